/* SPDX-License-Identifier: MIT */
#include "keeper/program.h"

#include "base/error.h"
#include "base/fd.h"
#include "summons.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct failure {
	unsigned step;
	int code;
};

_Noreturn static void die(int report, unsigned step, int code)
{
	struct failure f = {step, code};

	(void)!write(report, &f, sizeof(f));
	_exit(127);
}

static void verify_groups(const struct program *p, int report)
{
	uint32_t groups[PROGRAM_GROUPS_MAX];
	long n = syscall(SYS_getgroups, PROGRAM_GROUPS_MAX, groups);

	if (n < 0)
		die(report, STEP_CREDENTIALS, -errno);
	/* The kernel sorts them, as credentials_copy() does. */
	if ((size_t)n != p->n_groups ||
	    (n > 0 && memcmp(groups, p->groups, (size_t)n * sizeof(*groups)) != 0))
		die(report, STEP_CREDENTIALS, -EPERM);
}

/* setresuid() drops them, unless a securebit says otherwise. */
static void verify_no_capabilities(int report)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	memset(data, 0xff, sizeof(data));
	if (syscall(SYS_capget, &header, data) < 0)
		die(report, STEP_CREDENTIALS, -errno);
	for (int i = 0; i < 2; i++)
		if (data[i].effective | data[i].permitted)
			die(report, STEP_CREDENTIALS, -EPERM);
}

/* groups, gid, uid, in this order; each checked, then verified. The kernel's own calls: glibc's
 * wrappers would signal threads, and use locks. */
static void drop_credentials(const struct program *p, int report)
{
	uid_t r, e, s;
	gid_t rg, eg, sg;

	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (syscall(SYS_setgroups, p->n_groups, p->groups) < 0 ||
	    syscall(SYS_setresgid, p->gid, p->gid, p->gid) < 0 ||
	    syscall(SYS_setresuid, p->uid, p->uid, p->uid) < 0)
		die(report, STEP_CREDENTIALS, -errno);
	if (getresuid(&r, &e, &s) < 0 || getresgid(&rg, &eg, &sg) < 0)
		die(report, STEP_CREDENTIALS, -errno);
	if (r != p->uid || e != p->uid || s != p->uid || rg != p->gid || eg != p->gid ||
	    sg != p->gid || (p->uid != 0 && syscall(SYS_setresuid, 0, 0, 0) == 0))
		die(report, STEP_CREDENTIALS, -EPERM);
	verify_groups(p, report);
	if (p->uid != 0)
		verify_no_capabilities(report);
	/* The session keyring is root's: whoever possesses it may read the keys in it. */
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS &&
	    errno != EPERM)
		die(report, STEP_CREDENTIALS, -errno);
}

static void place_fds(const struct program *p, int report)
{
	int high[PROGRAM_FDS], output = p->output, null_fd;

	/* All out of the way of 0 to 6 before any dup2: a source may be another's target. */
	for (size_t i = 0; i < p->n_fds; i++)
		if ((high[i] = fd_dup_above(p->fds[i], 16)) < 0)
			die(report, STEP_FDS, high[i]);
	if (output < 0)
		output = STDERR_FILENO;
	output = fd_dup_above(output, 16);
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (output < 0 || null_fd < 0)
		die(report, STEP_FDS, -errno);
	if (dup2(null_fd, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0)
		die(report, STEP_FDS, -errno);
	for (size_t i = 0; i < p->n_fds; i++)
		if (dup2(high[i], 3 + (int)i) < 0)
			die(report, STEP_FDS, -errno);
}

_Noreturn static void run_child(const struct program *p, int report)
{
	struct sigaction dfl = {.sa_handler = SIG_DFL};
	sigset_t none;

	report = fd_dup_above(report, 32);
	if (report < 0)
		_exit(127);
	for (int sig = 1; sig < NSIG; sig++)
		sigaction(sig, &dfl, NULL); /* fails for KILL, STOP and glibc's own: as it should */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	place_fds(p, report);
	/* What whoever started the keeper left open is not for its children. */
	syscall(SYS_close_range, 3 + (unsigned)p->n_fds, ~0u, CLOSE_RANGE_CLOEXEC);
	if (p->drop)
		drop_credentials(p, report);
	if (p->own_pid)
		summons_address(p->own_pid, getpid());
	execve(p->path, p->argv, p->envp);
	die(report, STEP_START, -errno);
}

int program_start(const struct program *p, pid_t *ret_pid, int *ret_pidfd, struct spawn_error *err)
{
	_cleanup_close_ int near = -1, far = -1;
	struct failure f = {0};
	int pipe_fds[2], pidfd;
	ssize_t n;
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return error_errno(err, -errno, SPAWN_ORIGIN_HOST, STEP_START, "start %s", p->path);
	near = pipe_fds[0];
	far = pipe_fds[1];
	pid = fork(); /* the keeper is small and has one thread */
	if (pid < 0)
		return error_errno(err, -errno, SPAWN_ORIGIN_HOST, STEP_START, "start %s: fork",
				   p->path);
	if (pid == 0)
		run_child(p, far);
	far = fd_close(far);
	do
		n = read(near, &f, sizeof(f)); /* ends with the exec, or with the child */
	while (n < 0 && errno == EINTR);
	pidfd = n == 0 ? pidfd_open_pid(pid) : -1;
	if (pidfd < 0) {
		siginfo_t si;

		kill(pid, SIGKILL); /* our own child, not reaped: the pid is its */
		while (waitid(P_PID, (id_t)pid, &si, WEXITED) < 0 && errno == EINTR)
			;
		if (n == (ssize_t)sizeof(f))
			return error_errno(err, f.code, SPAWN_ORIGIN_HOST, f.step, "start %s: %s",
					   p->path, step_name(f.step));
		return error_errno(err, n == 0 ? pidfd : -EIO, SPAWN_ORIGIN_HOST, STEP_START,
				   "start %s", p->path);
	}
	*ret_pid = pid;
	*ret_pidfd = pidfd;
	return 0;
}
