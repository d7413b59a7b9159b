/* SPDX-License-Identifier: MIT */
#include "connection.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

static void protocol_error(struct connection *c, const char *what)
{
	struct spawn_error why;

	error_set(&why, -EPROTO, SPAWN_ORIGIN_WIRE, STEP_DECODE, "%s broke the protocol: %s",
		  c->peer, what);
	connection_lost(c, &why);
}

static void on_welcome(struct connection *c, const struct message *m)
{
	if (m->id != c->hello_id || message_u32(m, REC_VERSION) != WIRE_VERSION) {
		protocol_error(c, "a WELCOME that was not asked for");
		return;
	}
	message_string(m, REC_SERVER, c->server, sizeof(c->server));
	c->server_mode = message_u32(m, REC_MODE);
	c->keeper_pid = (pid_t)message_u32(m, REC_PID);
	c->state = CONNECTION_OPEN;
	c->welcomed = true;
	procs_take(c);
	connection_wake(c, NULL);
}

static void read_error(const struct message *m, struct spawn_error *ret)
{
	uint32_t code = message_u32(m, REC_CODE), origin = message_u32(m, REC_ORIGIN);
	char text[SPAWN_ERROR_TEXT];

	if (code == 0 || code >= 4096)
		code = EPROTO;
	if (origin > SPAWN_ORIGIN_LEAF)
		origin = SPAWN_ORIGIN_NONE;
	message_string(m, REC_TEXT, text, sizeof(text));
	error_set(ret, -(int)code, (enum spawn_origin)origin, message_u32(m, REC_STEP), "%s", text);
}

static void on_error(struct connection *c, const struct message *m)
{
	struct spawn_error error;
	struct spawn_proc *proc;
	struct call *call;

	read_error(m, &error);
	if (c->state == CONNECTION_GREETING) {
		connection_lost(c, &error);
		return;
	}
	call = call_find(c, m->id);
	if (call) {
		call->error = error;
		call_finish(c, call);
		return;
	}
	proc = proc_find_taking(c, m->id);
	if (proc)
		proc_orphan(c, proc);
	else if (m->id == 0)
		c->complaint = error; /* end of file follows */
}

/* Of a request that nobody waits for any more (its client was closed): it runs on, unwatched. */
static void disclaim(struct connection *c, uint64_t serial)
{
	uint8_t buf[64];
	struct frame f;

	frame_begin(&f, buf, sizeof(buf), MSG_RELEASE, 0);
	frame_u64(&f, REC_SERIAL, serial);
	connection_send(c, &f, -1);
}

static void on_started(struct connection *c, const struct message *m, struct fds *fds)
{
	struct call *call = call_find(c, m->id);
	int pidfd = fds_take(fds, 0);
	struct spawn_proc *p;
	const uint8_t *times;
	size_t len;

	if (!call || (call->kind != CALL_SPAWN && call->kind != CALL_SUBMIT)) {
		fd_close(pidfd);
		if (!c->is_private)
			disclaim(c, message_u64(m, REC_SERIAL));
		return;
	}
	p = call->proc;
	times = message_bytes(m, REC_TIMES, &len);
	p->timing.started = clock_now();
	p->timing.received = get_u64(times);
	p->timing.handed = get_u64(times + 8);
	p->timing.pool_hit = message_u32(m, REC_FLAGS) & FLAG_POOL_HIT;
	if (pidfd >= 0 && c->is_private) {
		p->nofork = message_u32(m, REC_NOFORK);
		p->nofork_by = message_u32(m, REC_NOFORK_BY);
		proc_own(c, p, (pid_t)message_u32(m, REC_PID), pidfd);
	} else if (pidfd >= 0) {
		proc_hold(c, p, m, pidfd);
	} else /* it runs, and the pidfd is lost for want of a number: its token gets another */
		call->lost = true;
	call_finish(c, call);
}

static void on_taken(struct connection *c, const struct message *m, struct fds *fds)
{
	struct spawn_proc *p = proc_find_taking(c, m->id);
	int pidfd = fds_take(fds, 0);

	if (!p)
		fd_close(pidfd);
	else if (pidfd < 0 && p->pidfd < 0 && !p->freed)
		proc_orphan(c, p); /* no descriptor left even for this */
	else
		proc_hold(c, p, m, pidfd);
}

static void on_exit_record(struct connection *c, const struct message *m)
{
	struct spawn_proc *p = proc_find(c, message_u64(m, REC_SERIAL));
	const uint8_t *bytes;
	size_t len;

	if (!p || p->finished)
		return;
	bytes = message_bytes(m, REC_EXIT, &len);
	exit_record_decode(bytes, &p->record);
	p->known = p->record.code != 0; /* 0: its parent could not wait for it */
	p->finished = true;
	connection_wake(c, p);
}

static void on_pong(struct connection *c, const struct message *m)
{
	struct call *call = call_find(c, m->id);

	if (call && call->kind == CALL_PING)
		call_finish(c, call);
}

static void on_status(struct connection *c, const struct message *m, size_t len)
{
	struct call *call = call_find(c, m->id);
	struct reply *reply;

	if (!call || call->kind != CALL_STATUS)
		return;
	if (m->type == MSG_STATUS_END) {
		if (!call->error.code && message_u32(m, REC_COUNT) != call->n_replies)
			error_set(&call->error, -EPROTO, SPAWN_ORIGIN_WIRE, STEP_RECEIVE,
				  "the server counts %u lines of status and sent %u",
				  message_u32(m, REC_COUNT), call->n_replies);
		call_finish(c, call);
		return;
	}
	reply = malloc(sizeof(*reply) + len);
	if (!reply) {
		error_errno(&call->error, -ENOMEM, SPAWN_ORIGIN_CLIENT, STEP_RECEIVE,
			    "keep the server's status");
		return;
	}
	*reply = (struct reply){.len = len};
	memcpy(reply->data, c->buffer, len);
	*call->replies_end = reply;
	call->replies_end = &reply->next;
	call->n_replies++;
}

void connection_dispatch(struct connection *c, size_t len, struct fds *fds, bool lost_fds)
{
	uint32_t state = c->state == CONNECTION_GREETING ? STATE_NEW : STATE_OPEN;
	struct spawn_error why;
	struct message m;

	/* Room for the next descriptor, which TAKE asks for; refilled when there is room again. */
	if (lost_fds)
		c->reserve = fd_close(c->reserve);
	else if (c->reserve < 0)
		c->reserve = fd_for_long(fcntl(c->fd, F_DUPFD_CLOEXEC, 3));
	if (len > WIRE_INLINE_MAX) {
		protocol_error(c, "an impossible length");
		return;
	}
	if (message_decode(c->buffer, len, PEER_BROKER, PEER_CLIENT, state, lost_fds ? 1 : fds->n,
			   &m, &why) < 0) {
		connection_lost(c, &why);
		return;
	}
	switch (m.type) {
	case MSG_WELCOME:
		on_welcome(c, &m);
		break;
	case MSG_ERROR:
		on_error(c, &m);
		break;
	case MSG_STARTED:
		on_started(c, &m, fds);
		break;
	case MSG_TAKEN:
		on_taken(c, &m, fds);
		break;
	case MSG_EXIT:
		on_exit_record(c, &m);
		break;
	case MSG_PONG:
		on_pong(c, &m);
		break;
	default: /* the table lets no others through */
		on_status(c, &m, len);
		break;
	}
}
