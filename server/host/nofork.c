/* SPDX-License-Identifier: MIT */
#include "host/nofork.h"

#include "nofork-filter.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int nofork_install(unsigned level)
{
	struct sock_fprog program;

	switch (level) {
	case NOFORK_COPY:
		program.len = sizeof(nofork_filter_copy) / sizeof(nofork_filter_copy[0]);
		program.filter = (struct sock_filter *)nofork_filter_copy;
		break;
	case NOFORK_PROCESS:
		program.len = sizeof(nofork_filter_process) / sizeof(nofork_filter_process[0]);
		program.filter = (struct sock_filter *)nofork_filter_process;
		break;
	default:
		return -EINVAL;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	/* SPEC_ALLOW: a promise about fork is no reason to run with slower loads and branches. */
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW,
		    &program) < 0)
		return -errno;
	return 0;
}

/* Sets some bits and clears others, keeping those it was not asked about, and reads back. */
static int kernel_change(unsigned long set, unsigned long clear)
{
	int bits = prctl(NOFORK_PR_GET, 0, 0, 0, 0);
	unsigned long wanted;

	if (bits < 0)
		return -errno;
	wanted = ((unsigned long)bits & ~clear) | set;
	if (prctl(NOFORK_PR_SET, wanted, 0, 0, 0) < 0)
		return -errno;
	bits = prctl(NOFORK_PR_GET, 0, 0, 0, 0);
	if (bits < 0)
		return -errno;
	return (unsigned long)bits == wanted ? 0 : -ENOTSUP;
}

int nofork_kernel_children(int on)
{
	return on ? kernel_change(NOFORK_PR_CHILDREN, 0) : kernel_change(0, NOFORK_PR_CHILDREN);
}

int nofork_kernel_self(void)
{
	return kernel_change(NOFORK_PR_SELF, 0);
}

int nofork_kernel_exec(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return kernel_change(NOFORK_PR_EXEC, 0);
}

/* The exit status of a child; -1 if it was killed or cannot be known. */
static int child_status(pid_t pid)
{
	siginfo_t info = {0};
	int r;

	do
		r = waitid(P_PID, (id_t)pid, &info, WEXITED);
	while (r < 0 && errno == EINTR);
	return r == 0 && info.si_code == CLD_EXITED ? info.si_status : -1;
}

/* In the trial child: 0 if it was born no-fork and is. */
static int trial_child(void)
{
	int bits = prctl(NOFORK_PR_GET, 0, 0, 0, 0);
	pid_t pid;

	if (bits < 0 || !((unsigned long)bits & NOFORK_PR_SELF))
		return 1;
	pid = fork();
	if (pid == 0)
		_exit(0);
	if (pid > 0) {
		child_status(pid);
		return 1;
	}
	return errno == EPERM ? 0 : 1;
}

int nofork_kernel_probe_exec(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(nofork_kernel_exec() == 0 ? 0 : 1);
	return pid > 0 && child_status(pid) == 0;
}

int nofork_kernel_probe(void)
{
	int holds = 0;
	pid_t pid;

	/* A request that was taken and not shown is taken back as well. */
	if (nofork_kernel_children(1) == 0) {
		pid = fork();
		if (pid == 0)
			_exit(trial_child());
		holds = pid > 0 && child_status(pid) == 0;
	}
	return nofork_kernel_children(0) == 0 && holds;
}
