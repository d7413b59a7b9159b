/* SPDX-License-Identifier: MIT */
/*
 * Until READY nothing here allocates from the heap, uses stdio or takes a lock: the memory is a
 * copy of a host that may have stopped anywhere in a library. Each failure is one message with step
 * and errno, and _exit(127).
 */
#include "host/leaf.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/nofork.h"
#include "host/lane.h"
#include "host/nofork.h"
#include "signals.h"
#include "wire/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5 */
#endif

/* What the broker decided; flat. */
struct launch {
	uint64_t serial, owner, deadline_ns, grace_ms;
	uint8_t token[WIRE_TOKEN_SIZE];
	uint32_t nofork, nofork_by, flags;
	uint64_t launched_ns;
};

/* Where a parked leaf has what it holds beside stdio. */
#define LEAF_CONTROL_FD 3
#define LEAF_SLOTS_FD	HOST_SLOTS_FD

#define SLOTS_MAP_UNIT	65536u /* a multiple of every page size */

/* Not through the vDSO: faulting its page in is dearer than the two calls that there are. */
static uint64_t now(void)
{
	struct timespec t;

	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

struct leaf_self {
	const struct warm *warm;
	struct body *body;
	struct slot slot; /* as it was last written */
	int body_fd;	  /* -1 until launched */
};

/* A mapping cannot be refused, nor answered with SIGXFSZ, for a limit on the size of files. */
static int write_slot_mapped(const struct leaf_self *self, size_t from, size_t len)
{
	size_t at = serial_slot(self->slot.serial) * sizeof(struct slot) + from,
	       lead = at % SLOTS_MAP_UNIT;
	char *p = mmap(NULL, lead + len, PROT_READ | PROT_WRITE, MAP_SHARED, self->body->kept_fd,
		       (off_t)(at - lead));

	if (p == MAP_FAILED)
		return -errno;
	memcpy(p + lead, (const char *)&self->slot + from, len);
	return munmap(p, lead + len) < 0 ? -errno : 0; /* user code has none of it */
}

/*
 * Written through the descriptor: memory that parent and leaf share would have to be copied into
 * each leaf, faulted in, and unmapped before user code. The parent believes the rest once it sees
 * the state, so that goes last.
 */
static int write_slot(const struct leaf_self *self, size_t from, size_t len)
{
	size_t at = serial_slot(self->slot.serial) * sizeof(struct slot) + from;
	ssize_t n;

	if (self->warm->limits[RLIMIT_FSIZE].rlim_cur < at + len)
		return write_slot_mapped(self, from, len);
	n = pwrite(self->body->kept_fd, (const char *)&self->slot + from, len, (off_t)at);
	return n < 0 ? -errno : (size_t)n == len ? 0 : -EIO;
}

/* The limits may be the caller's by now. */
static void note_failure(const struct leaf_self *self)
{
	size_t from = offsetof(struct slot, start_step), len = sizeof(struct slot) - from;

	if (file_size_check(SLOTS_MAX * sizeof(struct slot)) < 0)
		write_slot_mapped(self, from, len);
	else
		write_slot(self, from, len);
}

_Noreturn static void die(struct leaf_self *self, unsigned step, int code, int index)
{
	uint8_t buf[64];
	struct frame f;

	if (self->body->kept_fd >= 0) {
		self->slot.start_step = step;
		self->slot.start_errno = (uint32_t)-code;
		/* A record that does not know why: the client still does. */
		note_failure(self);
	}
	if (self->body_fd >= 0) {
		frame_begin(&f, buf, sizeof(buf), MSG_FAILED, 0);
		frame_u32(&f, REC_STEP, step);
		frame_u32(&f, REC_CODE, (uint32_t)-code);
		if (index >= 0)
			frame_u32(&f, REC_INDEX, (uint32_t)index);
		channel_send_frame(self->body_fd, &f, NULL, 0, MSG_DONTWAIT);
	}
	_exit(127);
}

_Noreturn void leaf_not_executed(struct leaf_self *self, int code)
{
	die(self, STEP_EXEC, code, -1);
}

static void set_sigmask(uint64_t mask)
{
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, 8);
}

/* Everything that can be done before somebody waits for it. */
static void park(const struct warm *w, int control)
{
	int r;

	set_sigmask(~0ull); /* dispositions are the host's: all default (serve.c) */
	if (host_is_hooked(w))
		signals_default(); /* but for those that a hook set since */
	for (int fd = 0; fd <= 2; fd++)
		if (dup2(w->null_fd, fd) < 0)
			_exit(127);
	/* Beside the slots there is the control socket and no other: no host's, no sibling's. */
	if (dup3(control, LEAF_CONTROL_FD, O_CLOEXEC) < 0 ||
	    syscall(SYS_close_range, LEAF_SLOTS_FD + 1, ~0u, 0) < 0)
		_exit(127);
	if (w->hooks.before_wait)
		w->hooks.before_wait(w->hooks.user);
	if (w->nofork == NOFORK_OFF || w->nofork_weaker)
		return;
	/*
	 * With the kernel's help the leaf was born no-fork and this is its level `copy`; `process`
	 * is a filter's work everywhere.
	 */
	if (w->kernel_nofork && w->nofork == NOFORK_COPY)
		r = lane_executes ? nofork_kernel_exec() : 0;
	else
		r = nofork_install(w->nofork);
	if (r < 0)
		_exit(127);
}

/*
 * Parked, until there is a launch or nobody left to send one. Not in recvmsg: what that wants of
 * the stack would be a page more in each parked leaf.
 */
static void await_launch(void)
{
	struct pollfd p = {.fd = LEAF_CONTROL_FD, .events = POLLIN};

	while (poll(&p, 1, -1) < 0)
		if (errno != EINTR)
			_exit(127);
}

static void read_launch(struct leaf_self *self, struct launch *ret)
{
	uint8_t buf[512];
	struct message m;
	struct fds fds;
	const uint8_t *token;
	size_t len;
	ssize_t n = channel_receive(LEAF_CONTROL_FD, buf, sizeof(buf), &fds, NULL, 0);

	/* End of file: nobody can launch it any more. */
	if (n <= 0 || message_decode(buf, (size_t)n, PEER_BROKER, PEER_LEAF, STATE_PARKED, fds.n,
				     &m, NULL) < 0)
		_exit(0);
	*ret = (struct launch){
		.serial = message_u64(&m, REC_SERIAL),
		.owner = message_u64(&m, REC_OWNER),
		.deadline_ns = message_u64(&m, REC_DEADLINE),
		.grace_ms = message_u64(&m, REC_GRACE),
		.nofork = message_u32(&m, REC_NOFORK),
		.nofork_by = message_u32(&m, REC_NOFORK_BY),
		.flags = message_u32(&m, REC_FLAGS),
		.launched_ns = now(),
	};
	token = message_bytes(&m, REC_TOKEN, &len);
	memcpy(ret->token, token, WIRE_TOKEN_SIZE);
	self->body_fd = fds_take(&fds, 0);
}

static void note_launch(struct leaf_self *self, const struct launch *l)
{
	struct slot *slot = &self->slot;
	int r;

	slot->nofork = l->nofork;
	slot->nofork_by = l->nofork_by;
	slot->flags = l->flags;
	slot->owner = l->owner;
	memcpy(slot->token, l->token, WIRE_TOKEN_SIZE);
	slot->grace_ms = l->grace_ms;
	slot->deadline_ns = l->deadline_ns;
	slot->launched_ns = l->launched_ns;
	r = write_slot(self, offsetof(struct slot, nofork),
		       sizeof(struct slot) - offsetof(struct slot, nofork));
	slot->state = SLOT_LAUNCHED;
	if (r == 0)
		r = write_slot(self, 0, sizeof(slot->state));
	if (r < 0)
		die(self, STEP_LAUNCH, r, -1);
}

/*
 * The credentials were dropped before the template was loaded. The body socket says by the kernel
 * who made it: a broken broker cannot hand this leaf to somebody else.
 */
static void check_caller(struct leaf_self *self)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	uid_t ruid, euid, suid;
	gid_t rgid, egid, sgid;

	if (!fd_is_seqpacket(self->body_fd) ||
	    getsockopt(self->body_fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		die(self, STEP_CREDENTIALS, -ENOTSOCK, -1);
	if (getresuid(&ruid, &euid, &suid) < 0 || getresgid(&rgid, &egid, &sgid) < 0)
		die(self, STEP_CREDENTIALS, -errno, -1);
	if (cred.uid != ruid || cred.uid != euid || cred.uid != suid || cred.gid != rgid ||
	    cred.gid != egid || cred.gid != sgid)
		die(self, STEP_CREDENTIALS, -EPERM, -1);
	if (self->warm->dumpable && prctl(PR_SET_DUMPABLE, 1) < 0)
		die(self, STEP_DUMPABLE, -errno, -1);
}

/* What is promised beyond what parking did already. */
static void promise(struct leaf_self *self, const struct launch *l)
{
	const struct warm *w = self->warm;
	uint32_t held = w->nofork_weaker ? (uint32_t)NOFORK_OFF : w->nofork;
	int r;

	if (l->nofork <= held)
		return;
	if (l->nofork_by == NOFORK_BY_KERNEL)
		r = nofork_kernel_self();
	else if (l->nofork_by == NOFORK_BY_KERNEL_EXEC)
		r = nofork_kernel_exec();
	else
		r = nofork_install(l->nofork);
	if (r < 0)
		die(self, STEP_NOFORK, r, -1);
}

/* Whoever made the body socket, by the kernel: a closed socket alone is one that nobody reads. */
static bool caller_is_gone(int body)
{
	_cleanup_close_ int pidfd = -1;
	socklen_t len = sizeof(pidfd), cred_len = sizeof(struct ucred);
	struct ucred cred;

	if (getsockopt(body, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &len) < 0) {
		if (errno != ENOPROTOOPT)
			return errno == ESRCH || errno == EINVAL || errno == ENODATA;
		/* Before Linux 6.5; a pid that is somebody else's by now lets the leaf run. */
		if (getsockopt(body, SOL_SOCKET, SO_PEERCRED, &cred, &cred_len) < 0 ||
		    cred.pid <= 0)
			return false;
		pidfd = pidfd_open_pid(cred.pid);
		if (pidfd == -ESRCH)
			return true;
	}
	return pidfd >= 0 && pidfd_is_over(pidfd) == 1;
}

static void say_ready(const struct leaf_self *self, const struct launch *l, bool anew)
{
	uint8_t buf[128], times[16];
	struct frame f;
	int r;

	put_u64(times, l->launched_ns);
	put_u64(times + 8, now());
	frame_begin(&f, buf, sizeof(buf), MSG_READY, 0);
	frame_bytes(&f, REC_TOKEN, l->token, WIRE_TOKEN_SIZE);
	frame_bytes(&f, REC_TIMES, times, sizeof(times));
	if (anew)
		frame_u32(&f, REC_FLAGS, FLAG_EXECUTED);
	r = channel_send_frame(self->body_fd, &f, NULL, 0, 0); /* the first here: there is room */
	/* What runs must have been able to say so, or its caller would be told that it does not. */
	if (r < 0 && r != -EPIPE && r != -ECONNRESET)
		_exit(127);
	/*
	 * A caller that is gone already changes nothing, its leaf runs as a fork's child would; but
	 * one that shall end with its caller may have been launched too late for its parent to end
	 * it.
	 */
	if (r < 0 && (l->flags & FLAG_KILL_WITH_CALLER) && caller_is_gone(self->body_fd))
		_exit(127);
}

/* A program to become, and one, is what this lane needs and what the other has no use for. */
static bool fits_lane(const struct warm *w, const struct body *b)
{
	bool named = b->program, passed = b->flags & FLAG_EXECUTE_FD;

	if (b->search && !named)
		return false;
	return lane_executes && !w->program ? named != passed : !named && !passed;
}

_Noreturn void leaf_run(const struct warm *w, int control, uint64_t serial)
{
	static BODY_ALIGNED struct body
		body; /* not on the stack: entry's recursion may want all of that */
	struct leaf_self self = {.warm = w, .body = &body, .slot.serial = serial, .body_fd = -1};
	struct body_error failed;
	struct launch launch;
	bool executes;

	park(w, control);
	await_launch();
	read_launch(&self, &launch);
	body.kept_fd = LEAF_SLOTS_FD;
	body.of_server = true;
	note_launch(&self, &launch);
	check_caller(&self);

	/* Where processors are few this one is what the caller needs to see its answer on. */
	sched_yield();
	if (body_receive(self.body_fd, &body, &failed) < 0)
		die(&self, failed.step, failed.code, failed.index);
	/* Its own group in its host's session, where there is no terminal and it cannot come by
	 * one: unless a session of its own was asked for. */
	if (settings_enter_group(&body.settings, body.of_server, &failed) < 0)
		die(&self, failed.step, failed.code, failed.index);
	if (!fits_lane(w, &body))
		die(&self, STEP_EXEC, -EINVAL, -1);
	if (body_apply(&body, w->limits, &self.body_fd, &failed) < 0)
		die(&self, failed.step, failed.code, failed.index);
	promise(&self, &launch);
	executes = lane_executes || (w->executes && w->executes(&body));
	/* A mark of the process that is copied: a new image would not have it. */
	if (executes && launch.nofork != NOFORK_OFF && launch.nofork_by == NOFORK_BY_KERNEL)
		die(&self, STEP_ENVIRONMENT, -EOPNOTSUPP, -1);

	/* exec does all this; until then a failure of it is still to be told. */
	if (!executes) {
		close(body.kept_fd); /* fd_close() keeps errno: one more page to copy */
		body.kept_fd = -1;
		prctl(PR_SET_NAME, body.name);
	}
	signals_ignore(body.sigignore);
	set_sigmask(body.sigmask);
	say_ready(&self, &launch, executes && !lane_executes);
	if (!executes)
		close(self.body_fd);
	lane_run(&self, w, &body);
}
