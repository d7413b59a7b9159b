/* SPDX-License-Identifier: MIT */
#include "census.h"
#include "options.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char name[] = "spawn-census";

/* The path of the one beside this program, or "". */
static void beside(char *path, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", path, size - sizeof(name));
	char *end;

	path[n > 0 ? n : 0] = '\0';
	end = strrchr(path, '/');
	if (end)
		memcpy(end + 1, name, sizeof(name));
}

int census(char **args)
{
	char path[PATH_MAX], word[] = "spawn-census";
	int code;

	args[0] = word;
	beside(path, sizeof(path));
	errno = ENOENT;
	if (*path)
		execv(path, args);
	if (errno == ENOENT)
		execvp(name, args);
	code = errno;
	fprintf(stderr, "spawn: cannot execute %s, which is to be beside spawn or in PATH: %s\n",
		name, strerror(code));
	return code == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
}
