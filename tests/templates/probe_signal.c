/* SPDX-License-Identifier: MIT */
#include "probe.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int atoi_strict(const char *text)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (errno || end == text || *end || n < INT_MIN || n > INT_MAX)
		_exit(95);
	return (int)n;
}

/* Raw calls throughout: glibc keeps 32 and 33 for itself, and a leaf can die of those too. */
static void unblock(int sig)
{
	uint64_t set = 1ull << (sig - 1);

	syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, &set, NULL, sizeof(set));
}

int probe_signal(char **argv)
{
	int sig = atoi_strict(argv[0]);

	unblock(sig);
	syscall(SYS_kill, getpid(), sig);
	return dprintf(1, "survived %d\n", sig);
}

int probe_sigmask(char **argv)
{
	uint64_t set = 0;

	(void)argv;
	syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &set, sizeof(set));
	return dprintf(1, "%016llx\n", (unsigned long long)set);
}

int probe_dispositions(char **argv)
{
	FILE *status = fopen("/proc/self/status", "re");
	char line[256];

	(void)argv;
	if (!status)
		return dprintf(1, "dispositions %s\n", strerrorname_np(errno));
	while (fgets(line, sizeof(line), status)) {
		if (strncmp(line, "SigIgn:", 7) == 0 || strncmp(line, "SigCgt:", 7) == 0)
			dprintf(1, "%s", line);
	}
	fclose(status);
	return 0;
}

int probe_wait_term(char **argv)
{
	sigset_t set;
	int sig;

	(void)argv;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	dprintf(1, "waiting\n");
	sigwait(&set, &sig);
	return dprintf(1, "term\n");
}

int probe_ignore_term(char **argv)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};

	(void)argv;
	return sigaction(SIGTERM, &ignore, NULL);
}

int probe_tell(char **argv)
{
	return dprintf(1, "%s\n", argv[0]);
}

int probe_block(char **argv)
{
	(void)argv;
	dprintf(1, "blocking\n");
	while (pause() < 0)
		;
	return 0;
}
