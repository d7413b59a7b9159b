/* SPDX-License-Identifier: MIT */
/* A template for one set of credentials: who waits, what is parked, when to fork more. */
#include "broker/broker.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Refills and teardowns are long unpreempted stretches: done inside a hand-out they cost it its
 * p99 (4.0 ms against 0.35 ms, DESIGN section 3). So a pool that is not low waits for a quiet
 * moment.
 */
#define REFILL_IDLE_MS 20

static bool groups_equal(const uint32_t *a, size_t n_a, const uint32_t *b, size_t n_b)
{
	return n_a == n_b && (n_a == 0 || memcmp(a, b, n_a * sizeof(*a)) == 0);
}

struct pool *pool_find(struct broker *b, const char *template_name, uid_t uid, gid_t gid,
		       const uint32_t *groups, size_t n_groups)
{
	for (struct pool *p = b->pools; p; p = p->next)
		if (strcmp(p->template_name, template_name) == 0 && p->uid == uid &&
		    p->gid == gid && groups_equal(p->groups, p->n_groups, groups, n_groups))
			return p;
	return NULL;
}

static void refill_due(uv_timer_t *timer);

struct pool *pool_get(struct broker *b, const char *template_name, uid_t uid, gid_t gid,
		      const uint32_t *groups, size_t n_groups)
{
	struct pool *p = pool_find(b, template_name, uid, gid, groups, n_groups);

	if (p)
		return p;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->template_name = strdup(template_name);
	p->groups = calloc(n_groups ? n_groups : 1, sizeof(*groups));
	if (!p->template_name || !p->groups) {
		free(p->template_name);
		free(p->groups);
		free(p);
		return NULL;
	}
	if (n_groups)
		memcpy(p->groups, groups, n_groups * sizeof(*groups));
	p->n_groups = n_groups;
	p->broker = b;
	p->uid = uid;
	p->gid = gid;
	p->waiting_end = &p->waiting;
	p->refill = timer_open(b, p);
	p->next = b->pools;
	b->pools = p;
	return p;
}

const struct config_template *pool_template(const struct pool *p)
{
	return config_find(p->broker->config, p->template_name);
}

void waiting_free(struct waiting *w)
{
	struct broker *b = w->session->broker;

	/* Its queue may hold the caller's descriptors, and closing those may hang. */
	closer_close(w->session->user, b, w->body);
	w->session->user->queued--;
	b->n_waiting--;
	free(w);
}

static struct waiting *take_waiting(struct pool *p)
{
	struct waiting *w = p->waiting;

	p->waiting = w->next;
	if (!p->waiting)
		p->waiting_end = &p->waiting;
	p->n_waiting--;
	return w;
}

void pool_fail_waiting(struct pool *p, int code, enum spawn_origin origin, unsigned step,
		       const char *text, uint64_t retry_ms)
{
	struct spawn_error err;

	error_set(&err, code, origin, step, "%s", text);
	while (p->waiting) {
		struct waiting *w = take_waiting(p);

		session_error(w->session, w->id, &err, retry_ms);
		waiting_free(w);
	}
}

unsigned pool_cancel(struct broker *b, struct session *s, uint32_t id)
{
	unsigned found = 0;

	for (struct pool *p = b->pools; p; p = p->next) {
		struct waiting **at = &p->waiting;

		while (*at) {
			struct waiting *w = *at;

			if (w->session != s || (id && w->id != id)) {
				at = &w->next;
				continue;
			}
			*at = w->next;
			p->n_waiting--;
			waiting_free(w);
			found++;
		}
		p->waiting_end = at;
	}
	return found;
}

/* Hands out what is parked to who waits. */
static void serve(struct pool *p)
{
	while (p->waiting && p->current && p->current->warm && p->current->n_parked > 0) {
		struct waiting *w = p->waiting;
		struct spawn_error err;
		int r = launch(p->current, w, false);

		if (r == -EAGAIN)
			return;
		take_waiting(p);
		if (r < 0) {
			error_errno(&err, r, SPAWN_ORIGIN_POOL, STEP_LAUNCH,
				    "hand out a leaf of \"%s\"", p->template_name);
			session_error(w->session, w->id, &err, r == -ETOOMANYREFS ? 50 : 0);
		} else {
			p->misses++;
			fd_close(w->body);
			w->body = -1;
		}
		waiting_free(w);
	}
}

/* In whose name a host may be asked for; false when there is nobody. */
static bool find_connection(const struct pool *p, uint64_t *ret)
{
	*ret = 0; /* the user's own server needs no name */
	if (!p->broker->system_mode)
		return true;
	for (const struct session *s = p->broker->sessions; s; s = s->next)
		if (s->fd >= 0 && !s->confined && pidfd_is_over(s->pidfd) != 1 &&
		    s->uid == p->uid && s->gid == p->gid &&
		    groups_equal(s->groups, s->n_groups, p->groups, p->n_groups)) {
			*ret = s->connection;
			return true;
		}
	return false;
}

static bool start_host(struct pool *p)
{
	const struct config_template *t = pool_template(p);
	uint64_t connection;

	if (!t || p->starting || p->replacement || p->broker->draining ||
	    !find_connection(p, &connection))
		return false;
	keeper_start_host(p->broker, p, (size_t)(t - p->broker->config->templates), connection);
	return true;
}

/* How many leaves the host may have beside the launched ones. */
static uint32_t places(const struct host *h, const struct config_template *t)
{
	return h->n_leaves < t->leaves_max ? t->leaves_max - h->n_leaves : 0;
}

static bool lacks_places(const struct pool *p)
{
	const struct config_template *t = pool_template(p);
	const struct host *h = p->current;

	return t && h && h->warm && h->n_parked + h->forking == 0 && places(h, t) == 0;
}

/*
 * All leaves are in use, and nobody knows until when: an answer now is worth more than a place in a
 * queue.
 */
static void refuse_for_want_of_places(struct pool *p)
{
	const struct config_template *t;
	char text[160];

	if (!lacks_places(p))
		return;
	tally_collect(p->broker); /* perhaps they are released */
	if (!p->waiting || !lacks_places(p))
		return;
	t = pool_template(p);
	snprintf(text, sizeof(text),
		 "template \"%s\": all of its %u leaves are in use (leaves_max); try again",
		 p->template_name, t->leaves_max);
	pool_fail_waiting(p, -EAGAIN, SPAWN_ORIGIN_POOL, STEP_LIMIT, text, 100);
}

/* Forks on request what is waited for, and in batches what the pool lacks. */
static void refill(struct pool *p, bool idle)
{
	const struct config_template *t = pool_template(p);
	struct host *h = p->current;
	uint32_t have, want, unserved;

	if (!t || !h || !h->warm || p->broker->draining)
		return;
	have = h->n_parked + h->forking;
	want = p->n_waiting + t->pool_size;
	if (want > places(h, t))
		want = places(h, t);
	if (have >= want)
		return;
	unserved = p->n_waiting > h->forking ? p->n_waiting - h->forking : 0;
	if (unserved > 0 || have <= t->pool_low || idle)
		host_fork(h, want - have, unserved);
	else
		uv_timer_start(p->refill, refill_due, REFILL_IDLE_MS, 0);
}

static void refill_due(uv_timer_t *timer)
{
	refill(timer->data, true);
}

void pool_turn(struct pool *p)
{
	serve(p);
	if (p->current) {
		refill(p, false);
		refuse_for_want_of_places(p);
	} else if (p->waiting && p->retry_ns <= clock_now()) {
		start_host(p);
	}
}

/* True if the request may wait. */
static bool may_wait(struct pool *p, struct session *s, uint32_t id)
{
	const struct config_template *t = pool_template(p);
	struct broker *b = p->broker;
	uint64_t now = clock_now();
	struct spawn_error err;

	if (!p->current && p->retry_ns > now) {
		error_set(&err, p->code, SPAWN_ORIGIN_HOST, p->step, "%s", p->reason);
		session_error(s, id, &err, (p->retry_ns - now) / NS_PER_MS + 1);
		return false;
	}
	if (p->n_waiting < t->queue_max && b->n_waiting < b->max_waiting)
		return true;
	error_set(&err, -EAGAIN, SPAWN_ORIGIN_POOL, STEP_QUEUE,
		  "template \"%s\": %u requests wait already (queue_max); try again",
		  p->template_name, p->n_waiting);
	session_error(s, id, &err, 20);
	return false;
}

void pool_request(struct pool *p, struct session *s, uint32_t id, int body, const struct plan *plan,
		  uint64_t received_ns)
{
	struct waiting *w, now = {.session = s,
				  .id = id,
				  .body = body,
				  .plan = *plan,
				  .received_ns = received_ns};

	if (!p->waiting && p->current && p->current->warm && launch(p->current, &now, true) == 0) {
		fd_close(body);
		p->hits++;
		refill(p, false);
		return;
	}
	w = may_wait(p, s, id) ? malloc(sizeof(*w)) : NULL;
	if (!w) {
		closer_close(s->user, p->broker, body);
		return;
	}
	*w = now;
	*p->waiting_end = w;
	p->waiting_end = &w->next;
	p->n_waiting++;
	s->user->queued++;
	p->broker->n_waiting++;
	pool_turn(p);
}

void pool_down(struct pool *p, int code, unsigned step, const char *reason, const uint8_t *tail,
	       size_t tail_len, uint64_t retry_ms)
{
	p->code = code;
	p->step = step;
	snprintf(p->reason, sizeof(p->reason), "%s", reason);
	if (tail_len > sizeof(p->tail))
		tail_len = sizeof(p->tail);
	memcpy(p->tail, tail, tail_len);
	p->tail_len = tail_len;
	p->retry_ns = retry_ms ? clock_now() + retry_ms * NS_PER_MS : 0;
	if (p->current)
		return; /* the one that should have followed it: the old one stays */
	if (retry_ms)
		pool_fail_waiting(p, code, SPAWN_ORIGIN_HOST, step, reason, retry_ms);
	else
		start_host(p); /* it was at work: keep the template warm */
}

void pool_reconfigure(struct broker *b)
{
	for (struct pool *p = b->pools; p; p = p->next) {
		const struct config_template *t = pool_template(p);
		char text[160];

		if (!t) {
			snprintf(text, sizeof(text),
				 "template \"%s\" was removed from the configuration",
				 p->template_name);
			pool_fail_waiting(p, -ENOENT, SPAWN_ORIGIN_POLICY, STEP_TEMPLATE, text, 0);
		}
		p->starting = false; /* what was asked with the old table's index is not answered */
		p->retry_ns = 0;
		if (p->replacement && (!t || p->replacement->digest != t->digest))
			host_retire(p->replacement);
		if (p->current && (!t || p->current->digest != t->digest)) {
			/* The old one serves until the new one is warm, if it is and there can be
			 * one. */
			if (!t || !p->current->warm || (!p->replacement && !start_host(p)))
				host_retire(p->current);
		}
		pool_turn(p);
	}
	if (b->system_mode)
		return;
	for (size_t i = 0; i < b->config->n_templates; i++) {
		const struct config_template *t = &b->config->templates[i];
		struct pool *p;

		if (!t->prestart)
			continue;
		/* The user's own server: there are no other credentials than its own. */
		p = pool_get(b, t->name, b->own_uid, b->own_gid, b->own_groups, b->n_own_groups);
		if (p && !p->current)
			start_host(p);
	}
}

void pool_drain(struct broker *b)
{
	for (struct pool *p = b->pools; p; p = p->next) {
		struct parked *leaf;

		pool_fail_waiting(p, -ESHUTDOWN, SPAWN_ORIGIN_POOL, STEP_SHUTDOWN,
				  "the server is stopping", 0);
		uv_timer_stop(p->refill);
		for (struct host *h = b->hosts; h; h = h->next)
			while ((leaf = host_take_parked(h)))
				parked_free(leaf);
	}
}
