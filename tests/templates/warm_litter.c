/* SPDX-License-Identifier: MIT */
/*
 * warm() leaves descriptors open, one of them inheritable and one with a high number, text
 * unflushed in stdio, and a limit that lets nobody write to a file. entry() lists what is open and
 * says one word by stdio.
 */
#include <libspawn-template.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static int warm(void **state)
{
	int fd;

	(void)state;
	for (int i = 0; i < 5; i++) {
		if (open("/etc/passwd", O_RDONLY) < 0)
			return -errno;
	}
	fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || dup2(fd, 200) < 0)
		return -errno;
	if (setrlimit(RLIMIT_FSIZE, &(struct rlimit){0, RLIM_INFINITY}) < 0)
		return -errno;
	printf("left in the template's buffer");
	return 0;
}

static int entry(void *state, int argc, char **argv)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *e;

	(void)state, (void)argc, (void)argv;
	if (!dir)
		return 1;
	while ((e = readdir(dir))) {
		if (e->d_name[0] != '.' && strtol(e->d_name, NULL, 10) != dirfd(dir))
			printf("fd %s\n", e->d_name);
	}
	closedir(dir);
	printf("entry\n");
	return 0;
}

SPAWN_TEMPLATE(.warm = warm, .entry = entry);
