/* SPDX-License-Identifier: MIT */
/*
 * The copy, in a straight line from the request to execve. It is made by the bare system call, so
 * nothing of libc that a fork would put right may be used: no malloc, stdio or locks.
 */
#include "private/private.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "host/body.h"
#include "host/nofork.h"
#include "signals.h"
#include "wire/channel.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

_Noreturn static void die(int body, const struct body_error *why)
{
	uint8_t buf[64];
	struct frame f;

	frame_begin(&f, buf, sizeof(buf), MSG_FAILED, 0);
	frame_u32(&f, REC_PID, (uint32_t)getpid());
	frame_u32(&f, REC_STEP, why->step);
	frame_u32(&f, REC_CODE, (uint32_t)-why->code);
	if (why->index >= 0)
		frame_u32(&f, REC_INDEX, (uint32_t)why->index);
	channel_send_frame(body, &f, NULL, 0, MSG_DONTWAIT);
	_exit(127);
}

_Noreturn static void die_at(int body, unsigned step, int code)
{
	die(body, &(struct body_error){step, code, -1});
}

/*
 * body_apply() only lowers. An application that may raise its hard limits, and did after this host
 * was started, has children with those; the kernel refuses it to any other.
 */
static void raise_limits(struct rlimit *have, const struct body *b)
{
	struct record r;

	message_for_each (&b->message, cursor, &r) {
		uint32_t resource = r.type == REC_RLIMIT ? get_u32(r.data) : RLIM_NLIMITS;
		struct rlimit want;

		if (resource >= RLIM_NLIMITS)
			continue;
		want = (struct rlimit){get_u64(r.data + 4), get_u64(r.data + 12)};
		if (want.rlim_max > have[resource].rlim_max && want.rlim_cur <= want.rlim_max &&
		    setrlimit((__rlimit_resource_t)resource, &want) == 0)
			have[resource] = want;
	}
}

static void say_ready(const struct private_child *c)
{
	static const uint8_t no_token[WIRE_TOKEN_SIZE];
	uint8_t buf[128], times[16];
	struct frame f;
	int r;

	put_u64(times, c->launched_ns);
	put_u64(times + 8, clock_now());
	frame_begin(&f, buf, sizeof(buf), MSG_READY, 0);
	frame_bytes(&f, REC_TOKEN, no_token, sizeof(no_token));
	frame_bytes(&f, REC_TIMES, times, sizeof(times));
	frame_u32(&f, REC_PID, (uint32_t)getpid());
	r = channel_send_frame(c->body, &f, NULL, 0, 0); /* the first here: there is room */
	/* What runs must have been able to say so, or its caller would be told that it does not. */
	if (r < 0 && r != -EPIPE && r != -ECONNRESET)
		_exit(127);
}

_Noreturn void private_child_run(struct private_host *h, struct private_child *c)
{
	static BODY_ALIGNED struct body body; /* too large for a stack that may be limited */
	struct body_error failed;
	int r;

	/* With a copy of it here the application would not see the end of a host that dies now. */
	close(PRIVATE_CHANNEL_FD);
	body.kept_fd = -1;
	if (body_receive(c->body, &body, &failed) < 0 ||
	    settings_enter_group(&body.settings, body.of_server, &failed) < 0)
		die(c->body, &failed);
	raise_limits(h->limits, &body);
	if (body_apply(&body, h->limits, &c->body, &failed) < 0)
		die(c->body, &failed);
	/* The signal of a death that was before it was asked for does not come. */
	if (body.settings.given & 1u << SETTING_DEATH_SIGNAL && getppid() != h->parent_pid)
		_exit(127);
	if (c->nofork != NOFORK_OFF) {
		r = nofork_install(c->nofork);
		if (r < 0)
			die_at(c->body, STEP_NOFORK, r);
	}
	signals_ignore(body.sigignore);
	/*
	 * Everything is blocked up to here: a signal to the process group ends what the
	 * application knows to be running, as it would between fork and exec.
	 */
	say_ready(c);
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &body.sigmask, NULL, 8);
	die_at(c->body, STEP_EXEC, body_execute(&body));
}
