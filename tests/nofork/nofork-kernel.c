/* SPDX-License-Identifier: MIT */
/*
 * A seccomp supervisor (SECCOMP_RET_USER_NOTIF) answers prctl and clone of the process that asks,
 * so that kernels can be tried that are not here: the patched one, and such as use its numbers for
 * something else.
 */
#include "nofork-kernel.h"

#include "host/nofork.h"
#include "trial.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define LOW_HALF 4
#else
#define LOW_HALF 0
#endif

/* Which system calls the supervisor is asked about. */
static struct sock_filter questions[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 2, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 4, 0),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0]) + LOW_HALF),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NOFORK_PR_SET, 1, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NOFORK_PR_GET, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};

/* A kernel to be played. */
struct kernel {
	bool takes;   /* PR_SET_NOFORK answers 0 */
	bool shows;   /* PR_GET_NOFORK tells what was set */
	bool born;    /* ... also in children of one that set PR_NOFORK_CHILDREN */
	bool refuses; /* they cannot fork */
	int refusal;  /* with this */
	int probe;    /* what nofork_kernel_probe() must say */
	bool keeps;   /* it knows PR_NOFORK_EXEC, and so nofork_kernel_probe_exec() must say */
};

struct supervisor {
	const struct kernel *kernel;
	pid_t host;
	unsigned long bits;   /* of the host */
	unsigned long others; /* of what it forked last, if that is not born a leaf */
};

static void answer(struct supervisor *s, const struct seccomp_notif *question,
		   struct seccomp_notif_resp *response)
{
	bool host = (pid_t)question->pid == s->host, leaf = !host && (s->bits & NOFORK_PR_CHILDREN);
	unsigned long *bits = host ? &s->bits : &s->others;

	response->id = question->id;
	if (question->data.nr == SYS_clone) {
		if (leaf && s->kernel->refuses)
			response->error = -s->kernel->refusal;
		else
			response->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	} else if (question->data.args[0] == NOFORK_PR_SET) {
		if (!s->kernel->takes ||
		    ((question->data.args[1] & NOFORK_PR_EXEC) && !s->kernel->keeps))
			response->error = -EINVAL;
		else if (!leaf)
			*bits = question->data.args[1];
	} else if (question->data.args[0] == NOFORK_PR_GET) {
		if (leaf)
			response->val = s->kernel->born ? NOFORK_PR_SELF : 0;
		else if (s->kernel->shows)
			response->val = (long long)*bits;
	} else {
		response->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	}
}

/* Until nobody is left to ask. */
static void supervise(struct supervisor *s, int listener)
{
	for (;;) {
		struct pollfd p = {.fd = listener, .events = POLLIN};
		struct seccomp_notif question = {0};
		struct seccomp_notif_resp response = {0};

		if (poll(&p, 1, -1) < 0 && errno != EINTR)
			trial_fail("poll: %s", strerror(errno));
		if (p.revents & POLLHUP)
			return;
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &question) < 0)
			continue;
		answer(s, &question, &response);
		/* Fails when the one that asked is gone, which is nobody's loss. */
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response) < 0 && errno != ENOENT)
			trial_fail("answer: %s", strerror(errno));
	}
}

static void expect_no_children(void)
{
	if (waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD)
		trial_fail("the probe left a child behind");
}

/* In the host that is played to. */
static void probe(const struct kernel *kernel)
{
	int r = nofork_kernel_probe();

	if (r != kernel->probe)
		trial_fail("the probe said %d", r);
	expect_no_children();
	r = prctl(NOFORK_PR_GET, 0, 0, 0, 0);
	if (r != 0)
		trial_fail("the probe left %d set", r);
	if (kernel->probe) {
		r = nofork_kernel_probe_exec();
		if (r != kernel->keeps)
			trial_fail("the probe of exec said %d", r);
		expect_no_children();
		trial_expect_errno("set", -nofork_kernel_children(1), 0);
		if (prctl(NOFORK_PR_GET, 0, 0, 0, 0) != (int)NOFORK_PR_CHILDREN)
			trial_fail("nofork_kernel_children(1) did not set it");
		trial_expect_errno("clear", -nofork_kernel_children(0), 0);
		trial_expect_errno("self", -nofork_kernel_self(), 0);
		if (prctl(NOFORK_PR_GET, 0, 0, 0, 0) != (int)NOFORK_PR_SELF)
			trial_fail("nofork_kernel_self() did not set it");
	}
}

static void played_kernel(const void *arg)
{
	struct sock_fprog program = {sizeof(questions) / sizeof(questions[0]), questions};
	struct supervisor s = {.kernel = arg};
	int said[2], number, pidfd, listener, status;

	if (pipe(said) < 0)
		trial_fail("pipe: %s", strerror(errno));
	s.host = fork();
	if (s.host == 0) {
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		number = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
				      SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
		/* The supervisor takes it by number; nothing is asked before. */
		if (write(said[1], &number, sizeof(number)) != sizeof(number) || number < 0)
			_exit(1);
		probe(arg);
		_exit(0);
	}
	if (s.host < 0 || read(said[0], &number, sizeof(number)) != sizeof(number))
		trial_fail("cannot start the host");
	if (number < 0)
		trial_skip("no seccomp supervisor on this machine");
	pidfd = (int)syscall(SYS_pidfd_open, s.host, 0);
	listener = (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);
	if (listener < 0) {
		kill(s.host, SIGKILL);
		waitpid(s.host, NULL, 0);
		trial_skip("cannot take the listener: %s", strerror(errno));
	}
	supervise(&s, listener);
	if (waitpid(s.host, &status, 0) != s.host)
		trial_fail("waitpid: %s", strerror(errno));
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		_exit(1); /* the host said why */
}

static void this_kernel(const void *arg)
{
	int patched = prctl(NOFORK_PR_GET, 0, 0, 0, 0) >= 0;
	int r = nofork_kernel_probe();

	if (r != patched)
		trial_fail("the probe said %d", r);
	if (nofork_kernel_probe_exec() != patched)
		trial_fail("the probe of exec did not say %d", patched);
	expect_no_children();
	if (!patched) {
		trial_expect_errno("children", -nofork_kernel_children(1), EINVAL);
		trial_expect_errno("clear", -nofork_kernel_children(0), EINVAL);
		trial_expect_errno("self", -nofork_kernel_self(), EINVAL);
	}
}

void nofork_kernel_trials(void)
{
	static const struct kernel patched = {true, true, true, true, EPERM, 1, true};
	static const struct kernel forgetful = {true, true, true, true, EPERM, 1, false};
	static const struct kernel not_shown = {.takes = true};
	static const struct kernel not_born = {.takes = true, .shows = true};
	static const struct kernel not_held = {.takes = true, .shows = true, .born = true};
	static const struct kernel transient = {true, true, true, true, EAGAIN, 0, false};

	trial("the probe says what this kernel is", this_kernel, NULL);
	trial("the probe believes a kernel that refuses the fork", played_kernel, &patched);
	trial("the probe finds that a kernel does not keep it over exec", played_kernel,
	      &forgetful);
	trial("the probe disbelieves a kernel that takes and does not show it", played_kernel,
	      &not_shown);
	trial("the probe disbelieves a kernel that shows it and bears no leaves", played_kernel,
	      &not_born);
	trial("the probe disbelieves a kernel whose leaves fork", played_kernel, &not_held);
	trial("the probe disbelieves a fork that fails for another reason", played_kernel,
	      &transient);
}
