/* SPDX-License-Identifier: MIT */
/*
 * A program that tells what it has, one fact a line, for the one that started it to compare:
 * private-probe attributes; private-probe exit N; private-probe mark FILE (appends a byte).
 */
#include "sanitized.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#if SANITIZED
/* It may run as another user than the one that its tracer would have to be. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}
#endif

static void tell_status(void)
{
	static const char *const keys[] = {
		"Umask:",  "PPid:",    "TracerPid:",  "Uid:",	  "Gid:",
		"Groups:", "Threads:", "SigPnd:",     "ShdPnd:",  "SigBlk:",
		"SigIgn:", "SigCgt:",  "CapInh:",     "CapPrm:",  "CapEff:",
		"CapBnd:", "CapAmb:",  "NoNewPrivs:", "Seccomp:", "Cpus_allowed:",
	};
	FILE *f = fopen("/proc/self/status", "re");
	char line[4096];

	if (!f)
		exit(125);
	while (fgets(line, sizeof(line), f))
		for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
			if (strncmp(line, keys[i], strlen(keys[i])) == 0)
				fputs(line, stdout);
	fclose(f);
}

static void tell_limits(void)
{
	for (int i = 0; i < RLIM_NLIMITS; i++) {
		struct rlimit limit;

		getrlimit((__rlimit_resource_t)i, &limit);
		printf("limit %d %llu %llu\n", i, (unsigned long long)limit.rlim_cur,
		       (unsigned long long)limit.rlim_max);
	}
}

/* From 3 on without those of this program's own. */
static void tell_descriptors(void)
{
	for (int fd = 0; fd < 1024; fd++) {
		struct stat st;
		int flags = fcntl(fd, F_GETFD);

		if (flags < 0)
			continue;
		fstat(fd, &st);
		printf("fd %d flags %d status 0%o inode %llu\n", fd, flags,
		       (unsigned)fcntl(fd, F_GETFL), (unsigned long long)st.st_ino);
	}
}

static void tell_attributes(char **argv, char **env)
{
	char cwd[4096];

	tell_descriptors();
	tell_status();
	tell_limits();
	printf("cwd %s\n", getcwd(cwd, sizeof(cwd)));
	printf("session %d group %d nice %d policy %d\n", (int)getsid(0), (int)getpgrp(),
	       getpriority(PRIO_PROCESS, 0), sched_getscheduler(0));
	for (; *argv; argv++)
		printf("arg %s\n", *argv);
	for (; *env; env++)
		printf("env %s\n", *env);
}

int main(int argc, char **argv, char **env)
{
	if (argc == 2 && strcmp(argv[1], "attributes") == 0) {
		tell_attributes(argv, env);
		return fflush(stdout) == 0 ? 0 : 1;
	}
	if (argc == 3 && strcmp(argv[1], "exit") == 0)
		return (int)strtol(argv[2], NULL, 10);
	if (argc == 3 && strcmp(argv[1], "mark") == 0) {
		int fd = open(argv[2], O_WRONLY | O_APPEND | O_CLOEXEC);

		return fd >= 0 && write(fd, "x", 1) == 1 ? 0 : 1;
	}
	return 2;
}
