/* SPDX-License-Identifier: MIT */
/* The hand-out: a parked leaf becomes somebody's. Reply-first: nothing here waits for the leaf. */
#include "base/clock.h"
#include "base/fd.h"
#include "base/nofork.h"
#include "broker/broker.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>

struct promise {
	uint32_t level, by;
};

static struct promise promise_of(const struct host *h, uint32_t level)
{
	if (level == NOFORK_OFF)
		return (struct promise){level, NOFORK_BY_NOBODY};
	if (level == NOFORK_PROCESS)
		return (struct promise){level, NOFORK_BY_SECCOMP};
	return (struct promise){level, h->nofork_by};
}

static int send_launch(const struct parked *leaf, const struct waiting *w, const uint8_t *token,
		       struct promise promise, uint64_t deadline_ns)
{
	uint8_t buf[256];
	struct frame f;

	frame_begin(&f, buf, sizeof(buf), MSG_LAUNCH, 0);
	frame_u64(&f, REC_SERIAL, leaf->serial);
	frame_bytes(&f, REC_TOKEN, token, WIRE_TOKEN_SIZE);
	frame_u64(&f, REC_OWNER, w->session->connection);
	frame_u32(&f, REC_NOFORK, promise.level);
	frame_u32(&f, REC_NOFORK_BY, promise.by);
	frame_u32(&f, REC_FLAGS, w->plan.kill_with_caller ? FLAG_KILL_WITH_CALLER : 0);
	if (deadline_ns)
		frame_u64(&f, REC_DEADLINE, deadline_ns);
	frame_u64(&f, REC_GRACE, w->plan.grace_ms);
	return channel_send_frame(leaf->control, &f, &w->body, 1, MSG_DONTWAIT);
}

static void send_watch(struct host *h, uint64_t serial, uint64_t deadline_ns, uint64_t grace_ms)
{
	uint8_t buf[128];
	struct frame f;

	frame_begin(&f, buf, sizeof(buf), MSG_WATCH, 0);
	frame_u64(&f, REC_SERIAL, serial);
	frame_u64(&f, REC_DEADLINE, deadline_ns);
	frame_u64(&f, REC_GRACE, grace_ms);
	host_send(h, &f, -1);
}

static void send_started(const struct host *h, const struct parked *leaf, const struct waiting *w,
			 const uint8_t *token, struct promise promise, bool hit, uint64_t handed)
{
	uint8_t buf[256], times[16];
	struct frame f;

	put_u64(times, w->received_ns);
	put_u64(times + 8, handed);
	frame_begin(&f, buf, sizeof(buf), MSG_STARTED, w->id);
	frame_u32(&f, REC_PID, (uint32_t)leaf->pid);
	frame_u64(&f, REC_SERIAL, leaf->serial);
	frame_bytes(&f, REC_TOKEN, token, WIRE_TOKEN_SIZE);
	frame_u32(&f, REC_NOFORK, promise.level);
	frame_u32(&f, REC_NOFORK_BY, promise.by);
	frame_u64(&f, REC_GENERATION, h->generation);
	frame_u32(&f, REC_FLAGS, hit ? FLAG_POOL_HIT : 0);
	frame_bytes(&f, REC_TIMES, times, sizeof(times));
	session_send(w->session, &f, leaf->pidfd);
}

int launch(struct host *h, const struct waiting *w, bool hit)
{
	struct promise promise = promise_of(h, w->plan.nofork);
	uint8_t token[WIRE_TOKEN_SIZE];
	uint64_t now, deadline = 0;
	struct parked *leaf;
	struct entry *e;
	int r;

	if (getrandom(token, sizeof(token), 0) != (ssize_t)sizeof(token))
		return -EIO;
	host_know_owner(
		h, w->session); /* before the launch: the host shall know whom it is to watch */
	for (;;) {
		leaf = host_take_parked(h);
		if (!leaf)
			return -EAGAIN;
		e = entry_add(h->broker, h, w->session, leaf->serial, leaf->pid, token);
		if (!e) {
			parked_free(leaf);
			return -ENOMEM;
		}
		e->nofork = promise.level;
		e->nofork_by = promise.by;
		now = clock_now();
		if (w->plan.deadline_ms) {
			deadline = now + w->plan.deadline_ms * NS_PER_MS;
			send_watch(h, leaf->serial, deadline, w->plan.grace_ms);
		}
		r = send_launch(leaf, w, token, promise, deadline);
		if (r == 0)
			break;
		/* It died while parked: nothing reached it, so the next one may have the request.
		 */
		host_reap(h, leaf->serial);
		entry_remove(h->broker, e);
		parked_free(leaf);
		if (r != -EPIPE && r != -ECONNRESET)
			return r;
	}
	send_started(h, leaf, w, token, promise, hit, now);
	parked_free(leaf);
	return 0;
}
