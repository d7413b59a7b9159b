/* SPDX-License-Identifier: MIT */
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "exit.h"
#include "pidfd.h"
#include "proc.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

/* How much longer than asked a wait lasts when the process is over and its record is on the way. */
#define RECORD_MS 1000

/* Errors of connecting that say there is nobody (or nobody for us) to ask, now and later. */
static bool is_server_gone(int code)
{
	switch (code) {
	case -ENOENT:
	case -ECONNREFUSED:
	case -ENOTSOCK:
	case -EACCES:
	case -EPERM:
	case -EPROTO:
		return true;
	default:
		return false;
	}
}

static void finish(struct connection *c, struct spawn_proc *p, const struct exit_record *record,
		   bool known)
{
	p->record = *record;
	p->known = known;
	p->finished = true;
	connection_wake(c, p);
}

/* The end without a server: the kernel may know the status; if not it is unknown, never guessed. */
static int wait_alone(struct connection *c, struct spawn_proc *p, uint64_t deadline)
{
	struct exit_record record = {0};
	bool known;
	int r;

	connection_unlock(c);
	r = pidfd_wait(p->pidfd, deadline);
	connection_lock(c);
	if (r < 0 || p->finished)
		return r;
	/* The server may be back by now, with the record. */
	if (p->listed) {
		r = connection_open(c, deadline, NULL);
		if (!is_server_gone(r))
			return r;
	}
	connection_unlock(c);
	known = pidfd_exit_status(p->pidfd, &record) == 0;
	connection_lock(c);
	if (p->finished)
		return 0;
	finish(c, p, &record, known);
	if (p->listed)
		proc_orphan(c, p);
	return 0;
}

/* A child of this process. Whoever of it waits first has the status: this, or its own wait(2). */
static int wait_own(struct connection *c, struct spawn_proc *p, uint64_t deadline)
{
	struct exit_record record = {0};
	bool known;
	int r;

	connection_unlock(c);
	r = pidfd_wait(p->pidfd, deadline);
	connection_lock(c);
	if (r < 0 || p->finished)
		return r;
	r = proc_reap(p, false, &record);
	if (r == 0) {
		finish(c, p, &record, true);
		return 0;
	}
	connection_unlock(c);
	if (r == -EAGAIN)
		poll(NULL, 0, 1); /* nothing tells when a tracer has had its share */
	else
		known = pidfd_exit_status(p->pidfd, &record) == 0;
	connection_lock(c);
	if (r == -EAGAIN)
		return deadline && clock_now() >= deadline ? -ETIMEDOUT : 0;
	if (!p->finished)
		finish(c, p, &record, known);
	return 0;
}

/* One step towards the record; -ETIMEDOUT when the deadline has passed. */
static int approach(struct connection *c, struct spawn_proc *p, uint64_t deadline)
{
	int r;

	if (p->state == PROC_OWN)
		return wait_own(c, p, deadline);
	if (p->state == PROC_ORPHAN)
		return wait_alone(c, p, deadline);
	if (c->state != CONNECTION_OPEN) {
		r = connection_open(c, deadline, NULL);
		if (is_server_gone(r))
			return wait_alone(c, p, deadline);
		/* A server that does not greet is given another try, as long as there is time. */
		if (r == -ETIMEDOUT && (!deadline || clock_now() < deadline))
			return 0;
		return r;
	}
	r = connection_turn(c, p, deadline);
	return r == -ECONNRESET ? 0 : r;
}

static int await_record(struct connection *c, struct spawn_proc *p, uint64_t deadline)
{
	bool extended = false;

	while (!p->finished) {
		int r = approach(c, p, deadline);

		if (r == 0 || p->finished)
			continue;
		if (r != -ETIMEDOUT || extended || pidfd_is_over(p->pidfd) != 1)
			return r;
		/* Who saw the pidfd readable and asks with no time expects an answer. */
		deadline = clock_now() + RECORD_MS * NS_PER_MS;
		extended = true;
	}
	return 0;
}

static void describe(struct spawn_proc *p, struct spawn_exit *end)
{
	proc_read_body(p);
	*end = (struct spawn_exit){
		.known = p->known,
		.record = p->record,
		.nofork = p->nofork,
		.nofork_by = p->nofork_by,
	};
	if (end->record.start_errno)
		return;
	if (p->body.failed) {
		end->record.start_step = p->body.step;
		end->record.start_errno = p->body.code;
	} else if (p->body.over && !p->body.ready) {
		end->record.start_step = STEP_START; /* killed on the way: no user code ran */
		end->record.start_errno = ECONNRESET;
	}
}

int spawn_proc_wait(struct spawn_proc *p, int timeout_ms, struct spawn_exit **ret)
{
	uint64_t deadline = timeout_ms < 0 ? 0 : clock_now() + (uint64_t)timeout_ms * NS_PER_MS;
	_uncancellable_ cancel = cancel_off();
	_cleanup_free_ struct spawn_exit *end = NULL;
	struct connection *c = p->connection;
	int r;

	if (c->pid != getpid())
		return -ECHILD;
	end = malloc(sizeof(*end));
	if (!end)
		return -ENOMEM;
	connection_ref(c);
	connection_lock(c);
	r = await_record(c, p, deadline);
	if (r == 0) {
		describe(p, end);
		if (p->listed)
			proc_release(c, p);
		if (ret)
			*ret = take_pointer(&end);
	}
	connection_unlock(c);
	connection_unref(c);
	return r;
}
