/* SPDX-License-Identifier: MIT */
/* One life of a template, as the broker sees it, and the channel to its leaves' parent. */
#include "base/fd.h"
#include "base/log.h"
#include "broker/broker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define FRAME_SIZE 2048
/*
 * Leaves forked at one go, in which the host tells of no end. Each go costs host, keeper and broker
 * a wake-up.
 */
#define FORK_BATCH 8
#define UNSENT_MAX 65536 /* a host that is behind by more does not read at all */

struct host *host_find(struct broker *b, uint64_t id)
{
	for (struct host *h = b->hosts; h; h = h->next)
		if (h->id == id)
			return h;
	return NULL;
}

static void close_channel(struct host *h)
{
	if (h->fd < 0)
		return;
	poll_close(&h->poll);
	h->fd = fd_close(h->fd);
	outbox_drop(h->broker, &h->outbox);
	h->n_reap = 0; /* who plays its part lists them, and is told then */
}

static void detach(struct host *h)
{
	struct pool *p = h->pool;

	if (!p)
		return;
	if (p->current == h)
		p->current = NULL;
	if (p->replacement == h)
		p->replacement = NULL;
	h->pool = NULL;
}

void host_maybe_free(struct host *h)
{
	struct host **p = &h->broker->hosts;

	if (!h->dead || h->n_leaves > 0)
		return;
	while (*p != h)
		p = &(*p)->next;
	*p = h->next;
	host_send_reaps(h);
	detach(h);
	host_drop_parked(h);
	close_channel(h);
	free(h->owners);
	free(h);
}

static void readable(uv_poll_t *poll, int status, int events);

static void listen_for(struct host *h)
{
	poll_events(h->poll, UV_READABLE | (h->outbox.n ? UV_WRITABLE : 0), readable);
}

void host_retire(struct host *h)
{
	detach(h);
	host_drop_parked(h);
	keeper_retire(h->broker, h);
}

void host_send(struct host *h, struct frame *f, int fd)
{
	size_t kept = h->outbox.n;

	if (h->fd < 0)
		return;
	/* Its end, and who plays its part then, is the keeper's to tell. */
	if (outbox_send(h->broker, &h->outbox, h->fd, f, fd, UNSENT_MAX) < 0)
		close_channel(h);
	else if (kept == 0 && h->outbox.n > 0)
		listen_for(h);
}

static uint32_t lesser(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

void host_fork(struct host *h, uint32_t count, uint32_t waited_for)
{
	if (count > 0)
		host_send_reaps(h); /* first: the places are wanted */
	h->forking += count;
	while (count > 0) {
		uint32_t n = lesser(count, FORK_BATCH), urgent = lesser(waited_for, n);
		uint8_t buf[64];
		struct frame f;

		frame_begin(&f, buf, sizeof(buf), MSG_FORK, 0);
		frame_u32(&f, REC_COUNT, n);
		if (urgent > 0)
			frame_u32(&f, REC_QUEUED, urgent);
		host_send(h, &f, -1);
		count -= n;
		waited_for -= urgent;
	}
}

void host_reap(struct host *h, uint64_t serial)
{
	h->reaped.serial[h->reaped.n++ % REAPED_KEPT] = serial;
	h->reap[h->n_reap++] = serial;
	if (h->n_reap == WIRE_REAP_MAX)
		host_send_reaps(h);
	else
		look_soon(h->broker);
}

void host_send_reaps(struct host *h)
{
	uint8_t buf[WIRE_HEADER_SIZE + WIRE_REAP_MAX * (WIRE_RECORD_SIZE + 8)];
	struct frame f;

	if (h->n_reap == 0)
		return;
	frame_begin(&f, buf, sizeof(buf), MSG_REAP, 0);
	for (unsigned i = 0; i < h->n_reap; i++)
		frame_u64(&f, REC_SERIAL, h->reap[i]);
	h->n_reap = 0;
	host_send(h, &f, -1);
}

static void send_owner(struct host *h, const struct session *s)
{
	uint8_t buf[64];
	struct frame f;

	frame_begin(&f, buf, sizeof(buf), MSG_OWNER, 0);
	frame_u64(&f, REC_OWNER, s->connection);
	host_send(h, &f, s->pidfd);
}

void host_know_owner(struct host *h, const struct session *s)
{
	for (size_t i = 0; i < h->n_owners; i++)
		if (h->owners[i] == s->connection)
			return;
	if (h->n_owners == h->owners_size) {
		size_t size = h->owners_size * 2 + 8;
		uint64_t *owners = realloc(h->owners, size * sizeof(*owners));

		if (!owners)
			return; /* told again with the next leaf */
		h->owners = owners;
		h->owners_size = size;
	}
	h->owners[h->n_owners++] = s->connection;
	send_owner(h, s);
}

void host_disown(struct host *h, uint64_t connection)
{
	uint8_t buf[64];
	struct frame f;

	for (size_t i = 0; i < h->n_owners; i++) {
		if (h->owners[i] != connection)
			continue;
		h->owners[i] = h->owners[--h->n_owners];
		frame_begin(&f, buf, sizeof(buf), MSG_DISOWN, 0);
		frame_u64(&f, REC_OWNER, connection);
		host_send(h, &f, -1);
		return;
	}
}

bool host_lists_pending(const struct broker *b, uid_t uid)
{
	for (const struct host *h = b->hosts; h; h = h->next)
		if (!h->listed && h->fd >= 0 && h->uid == uid)
			return true;
	return false;
}

static bool was_reaped(const struct host *h, uint64_t serial)
{
	for (unsigned i = 0; i < REAPED_KEPT; i++)
		if (h->reaped.serial[i] == serial)
			return true;
	return false;
}

/* A leaf of the list: known, or of a broker that is gone. */
static void handle_leaf(struct host *h, const struct message *m, struct fds *fds)
{
	uint64_t serial = message_u64(m, REC_SERIAL);
	struct entry *e = entry_find(h->broker, serial);
	const uint8_t *token;
	size_t len;

	if (!e && was_reaped(h, serial)) {
		host_reap(h, serial);
		return;
	}
	if (!e && message_u32(m, REC_STATE) != LEAF_PARKED) {
		token = message_bytes(m, REC_TOKEN, &len);
		e = entry_add(h->broker, h, NULL, serial, (pid_t)message_u32(m, REC_PID), token);
	}
	if (!e)
		return;
	e->listed = true;
	e->nofork = message_u32(m, REC_NOFORK);
	e->nofork_by = message_u32(m, REC_NOFORK_BY);
	if (e->pidfd < 0)
		e->pidfd = fds_take(fds, 0);
	/* The keeper knows only what the slots say: what is more recent is known here. */
	if (e->released)
		host_reap(h, serial);
}

static void drop_unlisted(struct entry *e, void *user)
{
	struct host *h = user;

	if (e->host != h || e->listed || e->over)
		return;
	/* Gone with a host that died at the wrong moment: its owner finds out by asking anew. */
	if (e->session)
		session_break(e->session);
	entry_remove(h->broker, e);
}

static void handle_listed(struct host *h, const struct message *m)
{
	struct broker *b = h->broker;
	struct pool *p = h->pool;

	h->listed = true;
	h->nofork = message_u32(m, REC_NOFORK);
	h->nofork_by = message_u32(m, REC_NOFORK_BY);
	message_string(m, REC_REASON, h->note, sizeof(h->note));
	if (h->dead)
		entry_each(b, drop_unlisted, h);
	session_answer_takes(b);
	if (message_u32(m, REC_STATE) != TEMPLATE_WARM || !p)
		return;
	h->warm = true;
	p->retry_ns = 0;
	p->reason[0] = '\0';
	p->tail_len = 0;
	if (p->replacement == h) {
		struct host *old = p->current;

		p->replacement = NULL;
		p->current = h;
		if (old)
			host_retire(old);
	}
	pool_turn(p);
}

static void handle_exit(struct host *h, const struct message *m)
{
	uint64_t serial = message_u64(m, REC_SERIAL);
	struct broker *b = h->broker;
	struct entry *e = entry_find(b, serial);
	size_t len;
	const uint8_t *record = message_bytes(m, REC_EXIT, &len);
	bool launched = message_u64(m, REC_OWNER) != 0;

	/* Not launched: the record is worth no zombie, and the place is wanted. */
	if (!launched)
		host_reap(h, serial);
	if (!e) {
		host_drop_parked_leaf(h, serial);
		if (h->pool)
			pool_turn(h->pool);
		return;
	}
	if (!launched)
		e->released = false;
	entry_over(b, e, record); /* may free the entry, and with it the host */
	if (!launched && (e = entry_find(b, serial)))
		entry_gone(b, e);
}

static void handle_fork_failed(struct host *h, const struct message *m)
{
	uint32_t count = message_u32(m, REC_COUNT);
	char text[1025];

	h->forking -= count < h->forking ? count : h->forking;
	message_string(m, REC_TEXT, text, sizeof(text));
	if (!h->pool)
		return;
	log_line(LOG_WARNING, "fork-failed", "template=%s count=%u", h->template_name, count);
	/* Out of places: the end of a leaf makes one, and pool_turn() asks again. */
	if (message_u32(m, REC_STEP) == STEP_LIMIT && h->n_leaves > 0)
		return;
	if (h->n_parked == 0 && h->forking == 0)
		pool_fail_waiting(h->pool, -(int)message_u32(m, REC_CODE), SPAWN_ORIGIN_HOST,
				  message_u32(m, REC_STEP), text, 100);
}

static void handle(struct host *h, const struct message *m, struct fds *fds)
{
	struct entry *e;

	switch (m->type) {
	case MSG_LEAF:
		handle_leaf(h, m, fds);
		break;
	case MSG_LISTED:
		handle_listed(h, m);
		break;
	case MSG_LEAF_EXIT:
		handle_exit(h, m);
		break;
	case MSG_REAPED:
		e = entry_find(h->broker, message_u64(m, REC_SERIAL));
		if (e)
			entry_gone(h->broker, e);
		break;
	case MSG_FORK_FAILED:
		handle_fork_failed(h, m);
		break;
	}
}

/* Without a channel it is of no use any more, and it may well live on. */
static void end_nonsense(struct host *h, const struct spawn_error *err)
{
	struct pool *p = h->pool;
	char quoted[SPAWN_ERROR_TEXT * 2];

	log_line(LOG_ERR, "host-protocol", "template=%s pid=%d reason=%s", h->template_name, h->pid,
		 log_quote(quoted, sizeof(quoted), err->message));
	if (!p)
		return;
	host_retire(h);
	pool_turn(p);
}

/* One that was dead before this broker came is never told down: its channel's end is its end. */
static void end_retired(struct host *h)
{
	if (h->pool)
		return;
	h->dead = true;
	h->listed = true;
	session_answer_takes(h->broker);
	host_maybe_free(h);
}

static void readable(uv_poll_t *poll, int status, int events)
{
	struct host *h = poll->data;
	struct broker *b = h->broker;
	uint64_t id = h->id;
	struct spawn_error err;
	uint8_t buf[FRAME_SIZE];
	struct message m;
	struct fds fds;

	/* Its end was closed with something unread; libuv takes that for the end of this one. */
	if (status < 0)
		listen_for(h);
	if (events & UV_WRITABLE) {
		if (outbox_flush(b, &h->outbox, h->fd) < 0)
			outbox_drop(b, &h->outbox); /* what it said last is still to be read */
		if (h->outbox.n == 0)
			listen_for(h);
	}
	for (int i = 0; i < 32 && h->fd >= 0; i++) {
		ssize_t n = channel_receive(h->fd, buf, sizeof(buf), &fds, NULL, MSG_DONTWAIT);

		if (n == -EAGAIN)
			return;
		if (n <= 0 || message_decode(buf, (size_t)n, PEER_HOST, PEER_BROKER, STATE_OPEN,
					     fds.n, &m, &err) < 0) {
			/* Its end, and who plays its part then, is the keeper's to tell. */
			fds_close(&fds);
			close_channel(h);
			if (n > 0)
				end_nonsense(h, &err);
			else
				end_retired(h);
			return;
		}
		handle(h, &m, &fds);
		fds_close(&fds);
		/* The message may have ended the last reason to keep the host. */
		if (host_find(b, id) != h)
			return;
	}
}

static void watch(struct host *h, int fd)
{
	h->fd = fd;
	h->listed = false;
	h->poll = poll_open(h->broker, fd, h, readable);
}

static struct host *host_new(struct broker *b, const struct message *m)
{
	struct host *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->broker = b;
	h->id = message_u64(m, REC_HOST);
	if (h->id == b->last_dead)
		h->reaped = b->last_dead_reaped;
	h->digest = message_u64(m, REC_DIGEST);
	h->generation = message_u64(m, REC_GENERATION);
	h->pid = (pid_t)message_u32(m, REC_PID);
	h->uid = message_u32(m, REC_UID);
	message_string(m, REC_TEMPLATE, h->template_name, sizeof(h->template_name));
	h->parked_end = &h->parked;
	outbox_init(&h->outbox);
	h->next = b->hosts;
	b->hosts = h;
	return h;
}

/* Into its pool: as the current host, or as the one that shall follow it. */
static void attach(struct host *h, const struct message *m)
{
	const struct config_template *t;
	size_t n;
	const uint8_t *bytes = message_bytes(m, REC_GROUPS, &n);
	uint32_t groups[4096];
	struct pool *p;

	n /= 4;
	for (size_t i = 0; i < n; i++)
		groups[i] = get_u32(bytes + 4 * i);
	p = pool_get(h->broker, h->template_name, h->uid, message_u32(m, REC_GID), groups, n);
	if (!p)
		return;
	if (m->id && p->start_id == m->id)
		p->starting = false;
	t = pool_template(p);
	if (!t || t->digest != h->digest || message_u32(m, REC_STATE) == TEMPLATE_RETIRING ||
	    h->broker->draining || p->replacement) {
		keeper_retire(h->broker, h);
		return;
	}
	h->pool = p;
	if (p->current)
		p->replacement = h;
	else
		p->current = h;
}

static void tell_owner(struct entry *e, void *user)
{
	struct host *h = user;

	if (e->host != h)
		return;
	e->listed = false;
	if (e->session)
		host_know_owner(h, e->session);
}

static void mark_dead(struct host *h)
{
	h->dead = true;
	h->warm = false;
	detach(h);
	host_drop_parked(h);
}

void host_up(struct broker *b, const struct message *m, struct fds *fds)
{
	struct host *h = host_find(b, message_u64(m, REC_HOST));
	int fd = fds_take(fds, 0);

	if (h) {
		/* The keeper plays its part now, and has to be told who owns what is left. */
		mark_dead(h);
		close_channel(h);
		watch(h, fd);
		h->n_owners = 0;
		entry_each(b, tell_owner, h);
		return;
	}
	h = host_new(b, m);
	if (!h) {
		fd_close(fd);
		return;
	}
	watch(h, fd);
	if (message_u32(m, REC_STATE) == TEMPLATE_WARMING)
		h->listed = true; /* it has no leaves yet: nobody need wait for its list */
	attach(h, m);
}

/* How many hosts in a row may die at work without having offered a leaf. */
#define FRUITLESS_MAX 3

void host_down(struct broker *b, const struct message *m)
{
	struct host *h = host_find(b, message_u64(m, REC_HOST));
	struct pool *p = h ? h->pool : NULL;
	uint64_t retry_ms = message_u64(m, REC_RETRY);
	char reason[1025];
	const uint8_t *tail;
	size_t tail_len;
	bool was_warm = h && h->warm;

	for (struct pool *q = b->pools; !p && m->id && q; q = q->next)
		if (q->start_id == m->id && q->starting)
			p = q;
	if (p && p->start_id == m->id)
		p->starting = false;
	if (h) {
		mark_dead(h);
		close_channel(h);
		h->listed = true;
		session_answer_takes(b);
	}
	if (p && !b->draining) {
		if (was_warm && h->offered == 0 && ++p->fruitless >= FRUITLESS_MAX)
			retry_ms = 1000;
		message_string(m, REC_REASON, reason, sizeof(reason));
		tail = message_bytes(m, REC_TAIL, &tail_len);
		pool_down(p, -(int)message_u32(m, REC_CODE), message_u32(m, REC_STEP), reason, tail,
			  tail_len, retry_ms);
	}
	if (h) {
		b->last_dead = h->id;
		b->last_dead_reaped = h->reaped;
		host_maybe_free(h);
	}
}
