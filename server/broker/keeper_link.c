/* SPDX-License-Identifier: MIT */
/* The channel to the keeper: what it tells, and the four things that the broker may ask of it. */
#include "base/fd.h"
#include "base/log.h"
#include "broker/broker.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

/* What one turn of the loop reads here at most. */
#define MESSAGES_A_TURN 64

static void readable(uv_poll_t *poll, int status, int events);

static void listen_for(struct broker *b)
{
	poll_events(b->keeper_poll, UV_READABLE | (b->keeper_outbox.n ? UV_WRITABLE : 0), readable);
}

void keeper_send(struct broker *b, struct frame *f)
{
	/* Kept when the keeper is busy: it must not wait for us while we wait for it. */
	int r = outbox_send(b, &b->keeper_outbox, b->keeper_fd, f, -1, SIZE_MAX);

	/* Without a keeper there is no server; what runs runs on. */
	if (r < 0 && r != -EPIPE && r != -ECONNRESET)
		log_line(LOG_ERR, "keeper-send", "errno=%d", -r);
	if (b->keeper_outbox.n > 0)
		listen_for(b);
}

void keeper_start_host(struct broker *b, struct pool *p, size_t index, uint64_t connection)
{
	uint8_t buf[128];
	struct frame f;

	p->starting = true;
	p->start_id = ++b->last_start;
	if (p->start_id == 0)
		p->start_id = ++b->last_start; /* 0 says: nobody asked */
	frame_begin(&f, buf, sizeof(buf), MSG_START_HOST, p->start_id);
	frame_u64(&f, REC_TABLE, b->table_id);
	frame_u32(&f, REC_INDEX, (uint32_t)index);
	frame_u64(&f, REC_CONNECTION, connection);
	keeper_send(b, &f);
}

void keeper_retire(struct broker *b, const struct host *h)
{
	uint8_t buf[64];
	struct frame f;

	frame_begin(&f, buf, sizeof(buf), MSG_RETIRE, 0);
	frame_u64(&f, REC_HOST, h->id);
	keeper_send(b, &f);
}

static void handle_table(struct broker *b, const struct message *m, struct fds *fds)
{
	struct spawn_error err;
	struct config *config;
	char quoted[SPAWN_ERROR_TEXT * 2];

	if (config_read(fds->fd[0], &config, &err) < 0) {
		log_line(LOG_ERR, "table-refused", "reason=%s",
			 log_quote(quoted, sizeof(quoted), err.message));
		if (!b->config)
			exit(1); /* nothing to serve with: the keeper says so and tries again */
		return;
	}
	config_free(b->config);
	b->config = config;
	b->table_id = message_u64(m, REC_TABLE);
}

/* Only now is it known what a changed table changes, and which templates have no host. */
static void handle_told(struct broker *b)
{
	uint8_t buf[64];
	struct frame f;

	pool_reconfigure(b);
	frame_begin(&f, buf, sizeof(buf), MSG_SERVING, 0);
	frame_u64(&f, REC_TABLE, b->table_id);
	keeper_send(b, &f);
}

static void handle(struct broker *b, const struct message *m, struct fds *fds)
{
	switch (m->type) {
	case MSG_TABLE:
		handle_table(b, m, fds);
		break;
	case MSG_TOLD:
		handle_told(b);
		break;
	case MSG_PEER:
		session_open(b, m, fds);
		break;
	case MSG_HOST_UP:
		host_up(b, m, fds);
		break;
	case MSG_HOST_DOWN:
		host_down(b, m);
		break;
	case MSG_OFFERED:
		host_offered(b, m, fds);
		break;
	case MSG_DRAIN:
		b->draining = true;
		pool_drain(b);
		break;
	}
}

/*
 * The limits of main.c keep this from happening; should it, what was lost is a connection or a
 * leaf, and each of them sees its other end close.
 */
static void handle_lost(struct broker *b, const uint8_t *buf, uint32_t state)
{
	uint32_t len = get_u32(buf);
	uint8_t forget[64];
	struct message m;
	struct frame f;
	struct fds none = {0};

	log_line(LOG_ERR, "out-of-descriptors", "lost=1");
	/* PEER brings two, and OFFERED may. */
	if (len > WIRE_INLINE_MAX ||
	    message_decode(buf, len, PEER_KEEPER, PEER_BROKER, state, 2, &m, NULL) < 0)
		return;
	if (m.type == MSG_OFFERED) {
		host_offered(b, &m, &none);
	} else if (m.type == MSG_PEER) {
		frame_begin(&f, forget, sizeof(forget), MSG_FORGET, 0);
		frame_u64(&f, REC_CONNECTION, message_u64(&m, REC_CONNECTION));
		keeper_send(b, &f);
	}
}

static void readable(uv_poll_t *poll, int status, int events)
{
	static uint8_t buf[WIRE_INLINE_MAX];
	struct broker *b = poll->data;
	struct spawn_error err;
	struct message m;
	struct fds fds;

	/* Its end was closed with something unread; libuv takes that for the end of this one. */
	if (status < 0)
		listen_for(b);
	if (events & UV_WRITABLE) {
		if (outbox_flush(b, &b->keeper_outbox, b->keeper_fd) < 0)
			outbox_drop(b, &b->keeper_outbox);
		if (b->keeper_outbox.n == 0)
			listen_for(b);
	}
	for (int i = 0; i < MESSAGES_A_TURN; i++) {
		uint32_t state = b->config ? STATE_OPEN : STATE_NEW;
		ssize_t n =
			channel_receive(b->keeper_fd, buf, sizeof(buf), &fds, NULL, MSG_DONTWAIT);

		if (n == -EAGAIN)
			return;
		if (n == -EMFILE) {
			handle_lost(b, buf, state);
			continue;
		}
		if (n <= 0 || message_decode(buf, (size_t)n, PEER_KEEPER, PEER_BROKER, state, fds.n,
					     &m, &err) < 0) {
			fds_close(&fds);
			if (n > 0)
				log_line(LOG_ERR, "keeper-protocol", "reason=\"%s\"", err.message);
			uv_stop(&b->loop);
			return;
		}
		handle(b, &m, &fds);
		fds_close(&fds);
	}
}

int keeper_link_open(struct broker *b)
{
	outbox_init(&b->keeper_outbox);
	b->keeper_poll = poll_open(b, b->keeper_fd, b, readable);
	return 0;
}
