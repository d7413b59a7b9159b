/* SPDX-License-Identifier: MIT */
/* What `spawn status` shows. Other users' templates and leaves are for root to see. */
#include "base/clock.h"
#include "base/nofork.h"
#include "broker/broker.h"

#include <string.h>

struct listing {
	struct session *session;
	uint32_t id, count;
};

static bool may_see(const struct session *s, uid_t uid)
{
	return s->uid == uid || s->uid == 0;
}

static uint32_t enforcer(const struct host *h, uint32_t level)
{
	return level == NOFORK_OFF	 ? NOFORK_BY_NOBODY
	       : level == NOFORK_PROCESS ? NOFORK_BY_SECCOMP
					 : h->nofork_by;
}

static enum template_state pool_state(const struct pool *p)
{
	if (p->current)
		return p->current->warm ? TEMPLATE_WARM : TEMPLATE_WARMING;
	if (p->starting)
		return TEMPLATE_WARMING;
	return p->reason[0] ? TEMPLATE_DOWN : TEMPLATE_COLD;
}

static uint32_t count_launched(const struct broker *b, const struct pool *p)
{
	uint32_t n = 0;

	for (const struct host *h = b->hosts; h; h = h->next)
		if (h->uid == p->uid && strcmp(h->template_name, p->template_name) == 0)
			n += h->n_leaves;
	return n;
}

static void send_template(struct listing *l, const struct config_template *t, const struct pool *p)
{
	struct session *s = l->session;
	const struct host *h = p ? p->current : NULL;
	uint64_t now = clock_now();
	uint8_t buf[8192];
	struct frame f;

	frame_begin(&f, buf, sizeof(buf), MSG_STATUS_TEMPLATE, l->id);
	frame_string(&f, REC_TEMPLATE, t->name);
	frame_u32(&f, REC_LANE, t->lane);
	frame_u32(&f, REC_STATE, p ? pool_state(p) : TEMPLATE_COLD);
	frame_u64(&f, REC_GENERATION, h ? h->generation : 0);
	frame_u32(&f, REC_PID, h ? (uint32_t)h->pid : 0);
	frame_u32(&f, REC_UID, p ? p->uid : s->uid);
	frame_u32(&f, REC_PARKED, h ? h->n_parked : 0);
	frame_u32(&f, REC_LAUNCHED, p ? count_launched(s->broker, p) : 0);
	frame_u32(&f, REC_QUEUED, p ? p->n_waiting : 0);
	frame_u64(&f, REC_HITS, p ? p->hits : 0);
	frame_u64(&f, REC_MISSES, p ? p->misses : 0);
	frame_u32(&f, REC_NOFORK, t->nofork);
	frame_u32(&f, REC_NOFORK_BY, h && h->warm ? enforcer(h, t->nofork) : NOFORK_BY_NOBODY);
	if (p && p->reason[0]) {
		frame_text(&f, REC_REASON, p->reason);
		frame_bytes(&f, REC_TAIL, p->tail, p->tail_len);
		frame_u64(&f, REC_RETRY, p->retry_ns > now ? (p->retry_ns - now) / NS_PER_MS : 0);
	} else if (h && h->note[0]) {
		frame_text(&f, REC_REASON, h->note);
	}
	session_send(s, &f, -1);
	l->count++;
}

static void send_leaf(struct listing *l, const struct host *h, uint64_t serial, pid_t pid,
		      enum leaf_state state, uint32_t nofork, uint32_t by, uint64_t owner)
{
	uint8_t buf[256];
	struct frame f;

	frame_begin(&f, buf, sizeof(buf), MSG_STATUS_LEAF, l->id);
	frame_string(&f, REC_TEMPLATE, h->template_name);
	frame_u32(&f, REC_STATE, state);
	frame_u64(&f, REC_SERIAL, serial);
	frame_u32(&f, REC_PID, (uint32_t)pid);
	frame_u32(&f, REC_UID, h->uid);
	frame_u32(&f, REC_NOFORK, nofork);
	frame_u32(&f, REC_NOFORK_BY, by);
	if (owner)
		frame_u64(&f, REC_OWNER, owner);
	session_send(l->session, &f, -1);
	l->count++;
}

static void list_entry(struct entry *e, void *user)
{
	struct listing *l = user;

	if (!may_see(l->session, e->host->uid) || l->session->broken)
		return;
	send_leaf(l, e->host, e->serial, e->pid, e->over ? LEAF_OVER : LEAF_LAUNCHED, e->nofork,
		  e->nofork_by, e->session ? e->session->connection : 0);
}

static void list_templates(struct listing *l)
{
	struct broker *b = l->session->broker;

	for (size_t i = 0; i < b->config->n_templates; i++) {
		const struct config_template *t = &b->config->templates[i];
		bool shown = false;

		for (const struct pool *p = b->pools; p; p = p->next) {
			if (strcmp(p->template_name, t->name) != 0 || !may_see(l->session, p->uid))
				continue;
			send_template(l, t, p);
			shown = true;
		}
		if (!shown)
			send_template(l, t, NULL);
	}
}

void status_send(struct session *s, uint32_t id)
{
	struct listing l = {.session = s, .id = id};
	struct broker *b = s->broker;
	uint8_t buf[64];
	struct frame f;

	list_templates(&l);
	for (const struct host *h = b->hosts; h; h = h->next) {
		if (!may_see(s, h->uid))
			continue;
		for (const struct parked *p = h->parked; p; p = p->next)
			if (h->pool && pool_template(h->pool))
				send_leaf(&l, h, p->serial, p->pid, LEAF_PARKED,
					  pool_template(h->pool)->nofork,
					  enforcer(h, pool_template(h->pool)->nofork), 0);
	}
	entry_each(b, list_entry, &l);
	frame_begin(&f, buf, sizeof(buf), MSG_STATUS_END, id);
	frame_u32(&f, REC_COUNT, l.count);
	session_send(s, &f, -1);
}
