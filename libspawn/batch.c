/* SPDX-License-Identifier: MIT */
/*
 * Several at once: all are on their way before the first is waited for, so that a server serves
 * them in one turn and their leaves start beside each other. The messages stay one for each: the
 * end of a body socket decides over each request by itself, and a message that takes others with it
 * when it is lost would save a system call, not a wake-up.
 */
#include "base/clock.h"
#include "base/error.h"
#include "client.h"
#include "start.h"

#include <errno.h>
#include <limits.h>

/* On their way at a time: each has a descriptor here and one in flight, which count against this
 * process's limit. */
#define BATCH_WINDOW 32

struct slot {
	struct connection *connection; /* a reference; NULL: it failed before it was sent */
	uint64_t requested;
	struct call call;
	struct spawn_error err;
};

static void slot_send(struct slot *slot, struct spawn_client *client, struct spawn_request *request)
{
	*slot = (struct slot){.requested = clock_now()};
	if (start_choose(client, request, &slot->connection, &slot->err) < 0)
		return;
	if (start_send(slot->connection, request, slot->requested, &slot->call, &slot->err) < 0) {
		connection_unref(slot->connection);
		slot->connection = NULL;
	}
}

static struct spawn_proc *slot_settle(struct slot *slot, struct spawn_request *request)
{
	struct spawn_proc *proc = NULL;
	int r;

	if (!slot->connection)
		return NULL;
	r = start_settle(slot->connection, request, &slot->call, &proc, &slot->err);
	if (start_may_repeat(r, &slot->err))
		start_process(slot->connection, request, slot->requested, &proc, &slot->err);
	connection_unref(slot->connection);
	return proc;
}

int spawn_batch(struct spawn_client *client, struct spawn_request *const *requests, size_t n,
		struct spawn_proc **procs, struct spawn_error *errs)
{
	_uncancellable_ cancel = cancel_off();
	struct slot slots[BATCH_WINDOW];
	size_t sent = 0;
	int started = 0;

	if (n > INT_MAX)
		return -E2BIG;
	for (size_t i = 0; i < n; i++) {
		struct slot *slot = &slots[i % BATCH_WINDOW];

		for (; sent < n && sent < i + BATCH_WINDOW; sent++)
			slot_send(&slots[sent % BATCH_WINDOW], client, requests[sent]);
		procs[i] = slot_settle(slot, requests[i]);
		if (procs[i])
			started++;
		if (errs)
			errs[i] = procs[i] ? (struct spawn_error){0} : slot->err;
	}
	return started;
}
