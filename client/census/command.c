/* SPDX-License-Identifier: MIT */
#include "command.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int command_start(struct command *c, char **argv, const sigset_t *mask)
{
	posix_spawnattr_t attributes;
	int r;

	*c = (struct command){.argv = argv, .pidfd = -1};
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setsigmask(&attributes, mask);
	r = posix_spawnp(&c->pid, argv[0], NULL, &attributes, argv, environ);
	posix_spawnattr_destroy(&attributes);
	if (r != 0) {
		fprintf(stderr, "spawn-census: \"%s\": %s\n", argv[0], strerror(r));
		return -r;
	}
	c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
	if (c->pidfd >= 0)
		return 0;
	r = -errno;
	fprintf(stderr, "spawn-census: cannot watch \"%s\": %s\n", argv[0], strerror(errno));
	return r;
}

void command_signal(const struct command *c, const struct signalfd_siginfo *info)
{
	/* The terminal's went to the command as well. */
	if (info->ssi_code != SI_KERNEL)
		syscall(SYS_pidfd_send_signal, c->pidfd, info->ssi_signo, NULL, 0);
}

void command_wait(struct command *c)
{
	while (waitpid(c->pid, &c->status, 0) < 0 && errno == EINTR)
		;
	close(c->pidfd);
	c->pidfd = -1;
}

int command_end_as(const struct command *c)
{
	const struct sigaction by_default = {.sa_handler = SIG_DFL};
	int sig = WIFSIGNALED(c->status) ? WTERMSIG(c->status) : 0;
	sigset_t one;

	if (sig == 0)
		return WEXITSTATUS(c->status);
	/* The core, if any, is the command's. */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	sigaction(sig, &by_default, NULL);
	sigemptyset(&one);
	sigaddset(&one, sig);
	raise(sig);
	sigprocmask(SIG_UNBLOCK, &one, NULL);
	return 128 + sig;
}

int command_failure(int code)
{
	return code == -ENOENT || code == -ENOTDIR ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
}
