/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "base/fd.h"
#include "host/host.h"
#include "host/leaf.h"
#include "signals.h"
#include "wire/channel.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define FRAME_SIZE 2048

_Static_assert(WIRE_HEADER_SIZE + WIRE_OFFER_MAX * (2 * WIRE_RECORD_SIZE + 12) <= OFFER_SIZE,
	       "an offer fits");

static void offer_begin(struct offer *o)
{
	frame_begin(&o->frame, o->data, sizeof(o->data), MSG_OFFER, 0);
	o->n = 0;
}

/* Returns how many leaves nobody will hear of: they leave when their sockets are closed. */
static uint32_t offer_send(struct host *h, struct offer *o)
{
	uint32_t lost = 0;

	if (o->n > 0 && channel_send_frame(h->keeper.fd, &o->frame, o->control, o->n, 0) < 0)
		lost = o->n;
	for (uint32_t i = 0; i < o->n; i++)
		close(o->control[i]);
	offer_begin(o);
	return lost;
}

/* 0 in the leaf, else its pid, or a negative errno with err filled. */
static pid_t fork_leaf(const struct warm *w, struct spawn_error *err)
{
	const struct spawn_template_hooks *hooks = &w->hooks;
	pid_t pid = 0;

	if (hooks->before_fork) {
		hooks->before_fork(hooks->user);
		pid = threads_check(err);
	}
	if (host_is_hooked(w)) {
		signals_default_child(); /* or there would be no record of an end */
		fflush(NULL); /* what a hook wrote, or this leaf and each later one would, too */
	}
	if (pid == 0) {
		pid = fork(); /* glibc's, so that atfork handlers and its own state stay right */
		if (pid == 0)
			return 0;
		if (pid < 0)
			pid = error_errno(err, -errno, SPAWN_ORIGIN_HOST, STEP_FORK,
					  "fork of template \"%s\"", w->name);
	}
	if (hooks->after_fork)
		hooks->after_fork(hooks->user);
	if (host_is_hooked(w))
		signals_default_child();
	return pid;
}

static int fork_one(struct host *h, struct offer *o, struct spawn_error *err)
{
	_cleanup_close_ int pidfd = -1, near = -1, far = -1;
	const struct warm *warm = h->warm;
	int index = brood_free_slot(&h->brood), pair[2], r;
	struct slot *slot;
	uint64_t serial;
	pid_t pid;

	if (index < 0)
		return error_set(err, -EAGAIN, SPAWN_ORIGIN_POOL, STEP_LIMIT,
				 "template \"%s\" has all of its %u leaves in use (leaves_max)",
				 h->warm->name, h->n_slots);
	r = channel_pair(pair);
	if (r < 0)
		return error_errno(err, r, SPAWN_ORIGIN_HOST, STEP_FORK, "socketpair");
	near = pair[0];
	far = pair[1];
	serial = serial_make(h->id, h->count++, (uint32_t)index);
	slot = &h->brood.slots[index];
	*slot = (struct slot){.serial = serial, .nofork = h->warm->nofork};
	slot_set_state(slot, SLOT_PARKED);

	pid = fork_leaf(warm, err);
	if (pid < 0) {
		slot_set_state(slot, SLOT_FREE);
		return pid;
	}
	if (pid == 0)
		leaf_run(warm, near, serial);

	pidfd = pidfd_open_pid(pid);
	r = pidfd < 0 ? pidfd : brood_add(&h->brood, serial, pid, pidfd);
	if (r < 0) {
		/* Unwatched it could never be reaped: end it here. It is ours and not reaped, so is
		 * the pid. */
		siginfo_t si;

		kill(pid, SIGKILL);
		while (waitid(P_PID, (id_t)pid, &si, WEXITED) < 0 && errno == EINTR)
			;
		slot_set_state(slot, SLOT_FREE);
		return error_errno(err, r, SPAWN_ORIGIN_HOST, STEP_FORK, "watch a leaf");
	}
	take_fd(&pidfd);
	frame_u64(&o->frame, REC_SERIAL, serial);
	frame_u32(&o->frame, REC_PID, (uint32_t)pid);
	o->control[o->n++] = take_fd(&far);
	return 0;
}

static void tell_failed(struct host *h, uint32_t n, int code, unsigned step, const char *text)
{
	uint8_t buf[FRAME_SIZE];
	struct frame f;

	frame_begin(&f, buf, sizeof(buf), MSG_FORK_FAILED, 0);
	frame_u32(&f, REC_COUNT, n);
	frame_u32(&f, REC_CODE, (uint32_t)-code);
	frame_u32(&f, REC_STEP, step);
	frame_text(&f, REC_TEXT, text);
	brood_send(&h->brood, &f, NULL);
}

void host_fork(struct host *h, uint32_t n, uint32_t waited_for)
{
	uint32_t made = 0, lost = 0;
	struct offer *offer = &h->offer;
	struct spawn_error *err = &h->error;
	int r;

	offer_begin(offer);
	/* Hooks may end threads: it is checked after them, for each leaf. */
	r = h->warm->hooks.before_fork ? 0 : threads_check(err);
	while (r == 0 && made < n) {
		r = fork_one(h, offer, err);
		if (r == 0)
			made++;
		if (offer->n == WIRE_OFFER_MAX || made <= waited_for)
			lost += offer_send(h, offer);
	}
	lost += offer_send(h, offer);
	/* A keeper that is gone shows on its own channel. */
	if (lost > 0)
		tell_failed(h, lost, -ECONNRESET, STEP_FORK,
			    "the server could not be told of a leaf");
	if (r < 0)
		tell_failed(h, n - made, r, step_number(err->step), err->message);
}
