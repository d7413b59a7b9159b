/* SPDX-License-Identifier: MIT */
#include "private.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "build-config.h"
#include "connect.h"
#include "pidfd.h"
#include "wire/channel.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHANNEL_FD 3 /* as spawn-private has it */
/* It has nothing to do at its channel's end but to leave. */
#define END_MS 1000

int private_path(char **ret)
{
	const char *given = secure_getenv("SPAWN_PRIVATE_HOST");

	return connect_absolute(given && *given ? given : SPAWND_LIBEXEC_DIR "/spawn-private", ret);
}

/*
 * Every signal is blocked: what a terminal or a service manager sends to the process group is for
 * the application, which may not want to end of it. Its environment is not the programs'.
 */
static int spawn_host(const char *path, int channel, pid_t *ret)
{
	char *const argv[] = {(char *)(uintptr_t) "spawn-private", NULL};
	char *const none[] = {NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t all;
	int r;

	r = posix_spawn_file_actions_init(&actions);
	if (r)
		return -r;
	r = posix_spawnattr_init(&attr);
	if (r) {
		posix_spawn_file_actions_destroy(&actions);
		return -r;
	}
	sigfillset(&all);
	r = posix_spawn_file_actions_adddup2(&actions, channel, CHANNEL_FD);
	if (!r)
		r = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	if (!r)
		r = posix_spawnattr_setsigmask(&attr, &all);
	if (!r)
		r = posix_spawn(ret, path, &actions, &attr, argv, none);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

int private_start(const char *path, struct private_host *ret, int *ret_fd, struct spawn_error *err)
{
	_cleanup_close_ int ours = -1, theirs = -1;
	int pair[2], r = channel_pair(pair);
	uint64_t ignored;
	struct stat st;
	mode_t mask;
	pid_t pid;

	if (r < 0)
		return error_errno(err, r, SPAWN_ORIGIN_CLIENT, STEP_CONNECT, "make a socket pair");
	ours = fd_for_long(pair[0]);
	theirs = pair[1];
	if (ours < 0)
		return error_errno(err, ours, SPAWN_ORIGIN_CLIENT, STEP_CONNECT,
				   "make a socket pair");
	/* dup2 of a descriptor onto itself would leave it close-on-exec in older libcs. */
	r = fd_dup_above(theirs, CHANNEL_FD + 1);
	if (r < 0)
		return error_errno(err, r, SPAWN_ORIGIN_CLIENT, STEP_CONNECT, "make a socket pair");
	fd_close(theirs);
	theirs = r;
	/* Before, not after: a change in between makes the next request start another. */
	identity_look(&ret->as, ours, &mask, &ignored);
	r = spawn_host(path, theirs, &pid);
	if (r < 0)
		return error_errno(err, r, SPAWN_ORIGIN_CLIENT, STEP_CONNECT,
				   "cannot start the private host %s%s", path,
				   r == -ENOENT ? " (install it with libspawn, or name it in "
						  "$SPAWN_PRIVATE_HOST)"
						: "");
	/* Another thread's wait(2) may have taken it, if it ended at once: the channel tells. */
	ret->pidfd = fd_for_long(pidfd_open_pid(pid));
	ret->ino = ret->pidfd >= 0 && fstat(ret->pidfd, &st) == 0 ? st.st_ino : 0;
	*ret_fd = take_fd(&ours);
	return 0;
}

void private_continue(const struct private_host *host)
{
	if (host->pidfd >= 0)
		pidfd_signal(host->pidfd, SIGCONT);
}

void private_end(struct private_host *host)
{
	uint64_t deadline = clock_now() + END_MS * NS_PER_MS;
	siginfo_t info;

	if (host->pidfd < 0)
		return;
	if (pidfd_wait(host->pidfd, deadline) == -ETIMEDOUT) {
		/* Stopped, or traced. It holds nothing that could be lost. */
		pidfd_signal(host->pidfd, SIGKILL);
		deadline += END_MS * NS_PER_MS;
		pidfd_wait(host->pidfd, deadline);
	}
	/*
	 * ECHILD: the application's own wait(2) was first, or it ignores SIGCHLD. Nothing, although
	 * it is over: who traces it (strace -f) is told first, without a sign to wait for.
	 */
	do
		info.si_pid = 0;
	while (waitid(P_PIDFD, (id_t)host->pidfd, &info, WEXITED | WNOHANG) == 0 &&
	       info.si_pid == 0 && clock_now() < deadline && poll(NULL, 0, 1) == 0);
	host->pidfd = fd_close(host->pidfd);
}
