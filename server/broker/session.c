/* SPDX-License-Identifier: MIT */
/*
 * A connection. Which message is legal when is the table's matter (messages.def); what is here is
 * what each does. Nothing waits: what a client does not read is kept up to a bound, then it is cut
 * off, and finds everything again under its tokens.
 */
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "broker/broker.h"
#include "build-config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define UNSENT_MAX	512
#define UNSENT_USER_MAX 16384 /* beyond, a user's STATUS has to wait */
#define MESSAGES_A_TURN 16
#define TAKES_MAX	4096
#define CLOSING_MAX	16 /* that hang: no more spawns */
#define CLOSING_HANG_MS 100
#define HELLO_RETRY_MS	100
#define HELLO_MS	10000

struct user *user_get(struct broker *b, uid_t uid)
{
	struct user *u;

	for (u = b->users; u; u = u->next)
		if (u->uid == uid)
			return u;
	u = calloc(1, sizeof(*u));
	if (!u)
		return NULL;
	u->uid = uid;
	u->next = b->users;
	b->users = u; /* kept: a uid is as many bytes as it was ever worth */
	return u;
}

struct session *session_find(struct broker *b, uint64_t connection)
{
	for (struct session *s = b->sessions; s; s = s->next)
		if (s->connection == connection)
			return s;
	return NULL;
}

static void tell_forget(struct session *s)
{
	uint8_t buf[64];
	struct frame f;

	frame_begin(&f, buf, sizeof(buf), MSG_FORGET, 0);
	frame_u64(&f, REC_CONNECTION, s->connection);
	keeper_send(s->broker, &f);
}

static void session_free(struct session *s)
{
	if (s->prev)
		s->prev->next = s->next;
	else
		s->broker->sessions = s->next;
	if (s->next)
		s->next->prev = s->prev;
	for (struct host *h = s->broker->hosts; h; h = h->next)
		host_disown(h, s->connection);
	tell_forget(s);
	fd_close(s->pidfd);
	free(s->groups);
	free(s->confined);
	free(s);
}

void session_unref_leaf(struct session *s)
{
	if (s->fd < 0 && s->n_leaves == 0)
		session_free(s);
}

static void drop_takes(struct session *s)
{
	struct held_take **p = &s->broker->takes;

	while (*p) {
		struct held_take *t = *p;

		if (t->session != s) {
			p = &t->next;
			continue;
		}
		*p = t->next;
		free(t);
	}
	s->n_takes = 0;
}

static void drop_outbox(struct session *s)
{
	s->user->unsent -= s->outbox.n;
	outbox_drop(s->broker, &s->outbox);
}

void session_close(struct session *s)
{
	pool_cancel(s->broker, s, 0);
	drop_takes(s);
	timer_close(&s->greeting);
	tally_close(s);
	poll_close(&s->poll);
	s->fd = fd_close(s->fd);
	drop_outbox(s);
	s->user->sessions--;
	s->broker->n_sessions--;
	session_unref_leaf(s);
}

static void ready(uv_poll_t *poll, int status, int events);

/*
 * Who does not read its answers is not asked for more requests, and neither is a user whose
 * descriptors pile up. What is left of a broken connection is read and dropped in any case.
 */
static bool may_read(const struct session *s)
{
	return s->user->closing < s->broker->max_closing && (s->broken || s->outbox.n == 0);
}

static void listen_for(struct session *s)
{
	int events = may_read(s) ? UV_READABLE : 0;

	if (!s->broken && s->outbox.n > 0)
		events |= UV_WRITABLE;
	poll_events(s->poll, events, ready);
}

void session_listen_again(struct broker *b, struct user *u)
{
	if (u->closing != b->max_closing - 1)
		return;
	for (struct session *s = b->sessions; s; s = s->next)
		if (s->user == u && s->fd >= 0)
			listen_for(s);
}

void session_break(struct session *s)
{
	if (s->fd < 0 || s->broken)
		return;
	s->broken = true;
	shutdown(s->fd, SHUT_RDWR);
	drop_outbox(s);
	listen_for(s);
}

int session_send(struct session *s, struct frame *f, int fd)
{
	size_t kept = s->outbox.n;
	int r;

	if (s->fd < 0 || s->broken)
		return -ENOTCONN;
	r = outbox_send(s->broker, &s->outbox, s->fd, f, fd, s->listing ? SIZE_MAX : UNSENT_MAX);
	if (r < 0) {
		session_break(s);
	} else if (s->outbox.n > kept) {
		s->user->unsent++;
		if (kept == 0)
			listen_for(s);
	}
	return r;
}

static void flush(struct session *s)
{
	size_t kept = s->outbox.n;
	int r = outbox_flush(s->broker, &s->outbox, s->fd);

	s->user->unsent -= kept - s->outbox.n;
	if (r < 0)
		session_break(s);
	else if (s->outbox.n == 0)
		listen_for(s);
}

void session_error(struct session *s, uint32_t id, const struct spawn_error *err, uint64_t retry_ms)
{
	uint8_t buf[2048];
	struct frame f;
	unsigned step = STEP_NONE;

	for (unsigned i = 0; i < 64; i++)
		if (step_name(i) == err->step)
			step = i;
	frame_begin(&f, buf, sizeof(buf), MSG_ERROR, id);
	frame_u32(&f, REC_CODE, (uint32_t)-err->code);
	frame_u32(&f, REC_ORIGIN, err->origin);
	frame_u32(&f, REC_STEP, step);
	frame_text(&f, REC_TEXT, err->message);
	if (retry_ms)
		frame_u64(&f, REC_RETRY, retry_ms);
	session_send(s, &f, -1);
}

static void handle_hello(struct session *s, const struct message *m, const struct fds *fds)
{
	uint32_t min = message_u32(m, REC_VERSION_MIN), max = message_u32(m, REC_VERSION_MAX);
	struct spawn_error err;
	uint8_t buf[256];
	struct frame f;

	if (min > WIRE_VERSION || max < WIRE_VERSION) {
		error_set(
			&err, -EPROTO, SPAWN_ORIGIN_WIRE, STEP_HELLO,
			"this server (%s) speaks version %d of the protocol, the client %u to %u: "
			"bring libspawn and spawnd to the same release",
			SPAWND_VERSION, WIRE_VERSION, min, max);
		session_error(s, m->id, &err, 0);
		session_break(s);
		return;
	}
	s->state = STATE_OPEN;
	timer_close(&s->greeting);
	if (fds->n > 0)
		tally_open(s, fds->fd[0]);
	frame_begin(&f, buf, sizeof(buf), MSG_WELCOME, m->id);
	frame_u32(&f, REC_VERSION, WIRE_VERSION);
	frame_string(&f, REC_SERVER, SPAWND_VERSION);
	frame_u64(&f, REC_CONNECTION, s->connection);
	frame_u32(&f, REC_MODE, s->broker->system_mode);
	frame_u32(&f, REC_PID, (uint32_t)s->broker->keeper_pid);
	session_send(s, &f, -1);
}

static int decide(struct session *s, const struct message *m, int body, struct plan *ret,
		  struct spawn_error *err)
{
	char name[65];
	uint32_t flags = message_u32(m, REC_FLAGS);
	const struct policy_peer peer = {
		.uid = s->uid,
		.gid = s->gid,
		.groups = s->groups,
		.n_groups = s->n_groups,
		.confined = s->confined,
		.leaves = s->user->leaves,
		.queued = s->user->queued,
	};
	const struct policy_request request = {
		.template_name = message_string(m, REC_TEMPLATE, name, sizeof(name)),
		.has_nofork = message_has(m, REC_NOFORK),
		.nofork = message_u32(m, REC_NOFORK),
		.kill_with_caller = flags & FLAG_KILL_WITH_CALLER,
		.program = flags & FLAG_PROGRAM,
		.has_deadline = message_has(m, REC_DEADLINE),
		.deadline_ms = message_u64(m, REC_DEADLINE),
		.grace_ms = message_has(m, REC_GRACE) ? message_u64(m, REC_GRACE)
						      : POLICY_GRACE_DEFAULT_MS,
	};

	if (s->broker->draining)
		return error_set(err, -ESHUTDOWN, SPAWN_ORIGIN_POOL, STEP_SHUTDOWN,
				 "the server is stopping");
	if ((flags & ~FLAG_SPAWN_KNOWN) || m->id == 0)
		return error_set(err, -EPROTO, SPAWN_ORIGIN_WIRE, STEP_REQUEST,
				 "SPAWN with unknown flags or without an id");
	if (!fd_is_seqpacket(body))
		return error_set(
			err, -EPROTO, SPAWN_ORIGIN_WIRE, STEP_REQUEST,
			"SPAWN came with something else than the end of a body socket pair");
	if (s->user->closing >= CLOSING_MAX &&
	    uv_now(&s->broker->loop) - s->user->closing_since > CLOSING_HANG_MS)
		return error_set(err, -EAGAIN, SPAWN_ORIGIN_POOL, STEP_LIMIT,
				 "%u descriptors of uid %u hang while they are closed; try again",
				 s->user->closing, s->uid);
	return policy_decide(s->broker->config, &peer, &request, ret, err);
}

static void handle_spawn(struct session *s, const struct message *m, struct fds *fds)
{
	uint64_t received = clock_now();
	int body = fds_take(fds, 0), r;
	struct spawn_error err;
	struct pool *p = NULL;
	struct plan plan;

	r = decide(s, m, body, &plan, &err);
	if (r == -EAGAIN) {
		tally_collect(s->broker); /* perhaps they are released */
		r = decide(s, m, body, &plan, &err);
	}
	if (r == 0) {
		p = pool_get(s->broker, s->broker->config->templates[plan.index].name, s->uid,
			     s->gid, s->groups, s->n_groups);
		if (!p)
			r = error_set(&err, -ENOMEM, SPAWN_ORIGIN_POOL, STEP_MEMORY,
				      "the server is out of memory");
	}
	if (r < 0) {
		closer_close(s->user, s->broker, body);
		session_error(s, m->id, &err, r == -EAGAIN ? 20 : 0);
		return;
	}
	pool_request(p, s, m->id, body, &plan, received);
}

static void handle_cancel(struct session *s, const struct message *m)
{
	struct spawn_error err;
	unsigned n = m->id ? pool_cancel(s->broker, s, m->id) : 0;

	error_set(&err, -ECANCELED, SPAWN_ORIGIN_CLIENT, STEP_CANCEL, "the request was cancelled");
	while (n-- > 0)
		session_error(s, m->id, &err, 0);
}

static void answer_take(struct session *s, uint32_t id, const uint8_t *token)
{
	struct entry *e = entry_find_token(s->broker, token);
	struct spawn_error err;
	uint8_t buf[256];
	struct frame f;

	if (!e || !e->user || e->user->uid != s->uid || e->released) {
		error_set(&err, -ENOENT, SPAWN_ORIGIN_POOL, STEP_TAKE,
			  "no such child is kept here");
		session_error(s, id, &err, 0);
		return;
	}
	/* Its pid cannot have been reused: it is not reaped before its record is released. */
	if (e->pidfd < 0)
		e->pidfd = (int)syscall(SYS_pidfd_open, e->pid, 0);
	if (e->pidfd < 0) {
		error_errno(&err, -errno, SPAWN_ORIGIN_POOL, STEP_TAKE, "pidfd of %d", e->pid);
		session_error(s, id, &err, 0);
		return;
	}
	host_know_owner(e->host, s);
	if (e->session != s) {
		frame_begin(&f, buf, sizeof(buf), MSG_CLAIM, 0);
		frame_u64(&f, REC_SERIAL, e->serial);
		frame_u64(&f, REC_OWNER, s->connection);
		host_send(e->host, &f, -1);
		entry_set_session(e, s);
	}
	frame_begin(&f, buf, sizeof(buf), MSG_TAKEN, id);
	frame_u32(&f, REC_PID, (uint32_t)e->pid);
	frame_u64(&f, REC_SERIAL, e->serial);
	frame_u32(&f, REC_NOFORK, e->nofork);
	frame_u32(&f, REC_NOFORK_BY, e->nofork_by);
	frame_u64(&f, REC_GENERATION, e->host->generation);
	session_send(s, &f, e->pidfd);
	e->pidfd = fd_close(e->pidfd);
	if (e->over)
		entry_tell(e);
}

static void handle_take(struct session *s, const struct message *m)
{
	size_t len;
	const uint8_t *token = message_bytes(m, REC_TOKEN, &len);
	struct held_take *t;

	if (!host_lists_pending(s->broker, s->uid)) {
		answer_take(s, m->id, token);
		return;
	}
	t = s->n_takes < TAKES_MAX ? malloc(sizeof(*t)) : NULL;
	if (!t) {
		session_break(s);
		return;
	}
	*t = (struct held_take){.next = s->broker->takes, .session = s, .id = m->id};
	memcpy(t->token, token, sizeof(t->token));
	s->broker->takes = t;
	s->n_takes++;
}

void session_answer_takes(struct broker *b)
{
	struct held_take **p = &b->takes;

	while (*p) {
		struct held_take *t = *p;

		if (host_lists_pending(b, t->session->uid)) {
			p = &t->next;
			continue;
		}
		*p = t->next;
		t->session->n_takes--;
		answer_take(t->session, t->id, t->token);
		free(t);
	}
}

void session_release(struct session *s, uint64_t serial)
{
	struct entry *e = entry_find(s->broker, serial);

	if (!e || e->session != s || e->released)
		return;
	e->released = true;
	host_reap(e->host, e->serial);
	if (!e->over)
		return;
	s->told -= s->told > 0;
	entry_gone(s->broker, e);
}

/* Before anything is answered that says so: the hosts know of all that was released. */
static void settle(struct session *s)
{
	tally_settle(s->broker);
	if (s->tally)
		tally_set_done(s->tally, s->tally_read);
}

/* As long as the table of leaves: no bound but that a client reads it before it asks anew. */
static void handle_status(struct session *s, const struct message *m)
{
	struct spawn_error err;

	if (s->user->unsent > UNSENT_USER_MAX) {
		error_set(&err, -EAGAIN, SPAWN_ORIGIN_POOL, STEP_LIMIT,
			  "other connections of uid %u do not read their answers; try again",
			  s->uid);
		session_error(s, m->id, &err, HELLO_RETRY_MS);
		return;
	}
	tally_collect(s->broker);
	tally_settle(s->broker);
	s->listing = true;
	status_send(s, m->id);
	s->listing = false;
}

static void handle(struct session *s, const struct message *m, struct fds *fds)
{
	uint8_t buf[64];
	struct frame f;

	switch (m->type) {
	case MSG_HELLO:
		handle_hello(s, m, fds);
		break;
	case MSG_SPAWN:
		handle_spawn(s, m, fds);
		break;
	case MSG_CANCEL:
		handle_cancel(s, m);
		break;
	case MSG_TAKE:
		handle_take(s, m);
		break;
	case MSG_RELEASE:
		session_release(s, message_u64(m, REC_SERIAL));
		settle(s);
		break;
	case MSG_PING:
		settle(s);
		frame_begin(&f, buf, sizeof(buf), MSG_PONG, m->id);
		session_send(s, &f, -1);
		break;
	case MSG_STATUS:
		handle_status(s, m);
		break;
	}
}

static void refuse_message(struct session *s, const uint8_t *buf, ssize_t n,
			   const struct spawn_error *err)
{
	char quoted[SPAWN_ERROR_TEXT * 2];

	session_error(s, n >= WIRE_HEADER_SIZE ? get_u32(buf + 8) : 0, err, 0);
	log_line(LOG_NOTICE, "message-refused", "uid=%u pid=%d reason=%s", s->uid, s->pid,
		 log_quote(quoted, sizeof(quoted), err->message));
	session_break(s);
}

/*
 * A connection is its connector's alone: not of who inherited it over a fork, or was given it, nor
 * of a later process with its number. The one message without a sender is a HELLO from before the
 * service manager's socket was ours (Linux 6.16 and later); it asks for nothing but an answer.
 */
static bool is_senders(const struct session *s, const struct sender *sender)
{
	bool unsaid = sender->pid == 0 && s->state == STATE_NEW;

	return (sender->pid == s->pid || unsaid) && pidfd_is_over(s->pidfd) != 1;
}

/* One message; false when there is none, or no connection any more. */
static bool receive(struct session *s)
{
	static uint8_t buf[WIRE_INLINE_MAX];
	struct spawn_error err;
	struct sender sender;
	struct message m;
	struct fds fds;
	ssize_t n = channel_receive_all(s->fd, buf, sizeof(buf), &fds, &sender, MSG_DONTWAIT);
	bool more = n != -EAGAIN;

	if (n == 0 || n == -ECONNRESET) {
		session_close(s);
		return false;
	}
	if (s->broken) {
		/*
		 * What was sent behind a fault is read and dropped, so that the client's end is no
		 * reset, and so that no descriptor in it is closed along with the socket, here,
		 * where that may hang.
		 */
	} else if (n < 0 && n != -EAGAIN) {
		error_errno(&err, (int)n, SPAWN_ORIGIN_WIRE, STEP_RECEIVE,
			    n == -EMFILE ? "too many descriptors in one message" : "receive");
		refuse_message(s, buf, 0, &err);
	} else if (n > 0 && !is_senders(s, &sender)) {
		error_set(&err, -EPERM, SPAWN_ORIGIN_POLICY, STEP_PERMISSION,
			  "process %d may not use the connection of process %d (connect anew)",
			  sender.pid, s->pid);
		session_error(s, 0, &err, 0);
	} else if (n > 0) {
		int r = message_decode(buf, (size_t)n, PEER_CLIENT, PEER_BROKER, s->state, fds.n,
				       &m, &err);

		if (r == 0)
			tally_read(s); /* written before the message was sent */
		if (r < 0)
			refuse_message(s, buf, n, &err);
		else if (!s->broken) /* by what was written there */
			handle(s, &m, &fds);
	}
	for (size_t i = 0; i < fds.n; i++)
		closer_close(s->user, s->broker, fds_take(&fds, i));
	return more && s->fd >= 0;
}

static void ready(uv_poll_t *poll, int status, int events)
{
	struct session *s = poll->data;

	/* The client's end was closed with answers unread; libuv takes that for the end of this
	 * one. */
	if (status < 0)
		listen_for(s);
	if (events & UV_WRITABLE)
		flush(s);
	for (int i = 0; i < MESSAGES_A_TURN && may_read(s); i++)
		if (!receive(s))
			return;
	if (!may_read(s))
		listen_for(s);
}

static int admit(struct session *s, struct spawn_error *err)
{
	const struct config *c = s->broker->config;

	if (s->broker->draining)
		return error_set(err, -ESHUTDOWN, SPAWN_ORIGIN_POOL, STEP_SHUTDOWN,
				 "the server is stopping");
	if (s->user->sessions > c->connections_per_uid)
		return error_set(
			err, -EAGAIN, SPAWN_ORIGIN_POOL, STEP_LIMIT,
			"uid %u has %u connections already (limits.connections_per_uid); try again",
			s->uid, c->connections_per_uid);
	if (s->broker->n_sessions > s->broker->max_sessions)
		return error_set(
			err, -EAGAIN, SPAWN_ORIGIN_POOL, STEP_LIMIT,
			"the server has %zu connections, as many as its limit on descriptors "
			"allows; try again",
			s->broker->max_sessions);
	return 0;
}

static struct session *session_new(struct broker *b, const struct message *m)
{
	struct session *s = calloc(1, sizeof(*s));
	const uint8_t *groups;
	char text[257];
	size_t len;

	if (!s)
		return NULL;
	groups = message_bytes(m, REC_GROUPS, &len);
	s->uid = message_u32(m, REC_UID);
	s->gid = message_u32(m, REC_GID);
	s->groups = calloc(len / 4 + 1, sizeof(*s->groups));
	s->user = user_get(b, s->uid);
	if (message_has(m, REC_CONFINED))
		s->confined = strdup(message_string(m, REC_CONFINED, text, sizeof(text)));
	if (!s->groups || !s->user || (message_has(m, REC_CONFINED) && !s->confined)) {
		free(s->groups);
		free(s->confined);
		free(s);
		return NULL;
	}
	s->n_groups = len / 4;
	for (size_t i = 0; i < s->n_groups; i++)
		s->groups[i] = get_u32(groups + 4 * i);
	s->broker = b;
	s->connection = message_u64(m, REC_CONNECTION);
	s->pid = (pid_t)message_u32(m, REC_PID);
	s->state = STATE_NEW;
	s->fd = s->pidfd = -1;
	outbox_init(&s->outbox);
	return s;
}

static void greeting_due(uv_timer_t *timer)
{
	struct session *s = timer->data;
	struct spawn_error err;

	error_set(&err, -ETIMEDOUT, SPAWN_ORIGIN_WIRE, STEP_HELLO, "a client has %d s to say HELLO",
		  HELLO_MS / 1000);
	session_error(s, 0, &err, 0);
	session_break(s);
}

void session_open(struct broker *b, const struct message *m, struct fds *fds)
{
	struct session *s = session_new(b, m);
	struct spawn_error err;

	if (!s)
		return; /* the connection is closed with fds: the client hears of it */
	s->fd = fds_take(fds, 0);
	s->pidfd = fds_take(fds, 1);
	s->next = b->sessions;
	if (s->next)
		s->next->prev = s;
	b->sessions = s;
	s->user->sessions++;
	b->n_sessions++;
	s->poll = poll_open(b, s->fd, s, ready);
	s->greeting = timer_open(b, s);
	uv_timer_start(s->greeting, greeting_due, HELLO_MS, 0);
	if (admit(s, &err) < 0) {
		session_error(s, 0, &err, err.code == -EAGAIN ? HELLO_RETRY_MS : 0);
		session_close(s); /* at once: it may be descriptors that are short */
	}
}
