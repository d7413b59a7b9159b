/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "base/fd.h"
#include "host/host.h"
#include "host/leaf.h"
#include "wire/channel.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define FRAME_SIZE 1536

static int offer(struct host *h, uint64_t serial, pid_t pid, int control)
{
	uint8_t buf[FRAME_SIZE];
	struct frame f;

	frame_begin(&f, buf, sizeof(buf), MSG_OFFER, 0);
	frame_u64(&f, REC_SERIAL, serial);
	frame_u32(&f, REC_PID, (uint32_t)pid);
	return channel_send_frame(h->keeper.fd, &f, &control, 1, 0);
}

static int fork_one(struct host *h, struct spawn_error *err)
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

	pid = fork(); /* glibc's, so that atfork handlers and its own state stay right */
	if (pid < 0) {
		r = -errno;
		slot_set_state(slot, SLOT_FREE);
		return error_errno(err, r, SPAWN_ORIGIN_HOST, STEP_FORK, "fork of template \"%s\"",
				   h->warm->name);
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
	/* A keeper that is gone shows on its own channel; the leaf leaves when `far` is closed. */
	(void)!offer(h, serial, pid, far);
	return 0;
}

void host_fork(struct host *h, uint32_t n)
{
	struct spawn_error err;
	uint8_t buf[FRAME_SIZE];
	struct frame f;
	int r;

	r = threads_check(&err);
	while (r == 0 && n > 0) {
		r = fork_one(h, &err);
		if (r == 0)
			n--;
	}
	if (r == 0)
		return;
	frame_begin(&f, buf, sizeof(buf), MSG_FORK_FAILED, 0);
	frame_u32(&f, REC_COUNT, n);
	frame_u32(&f, REC_CODE, (uint32_t)-r);
	frame_u32(&f, REC_STEP, r == -EBUSY ? STEP_THREADS : r == -EAGAIN ? STEP_LIMIT : STEP_FORK);
	frame_text(&f, REC_TEXT, err.message);
	brood_send(&h->brood, &f, NULL);
}
