/* SPDX-License-Identifier: MIT */
/* What a leaf of the `exec` lane becomes. Nothing but system calls: it may be a copy of anything.
 */
#include "host/body.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

/* One place that does not have it, or not for us; the next one may. */
static bool may_be_elsewhere(int code)
{
	switch (code) {
	case -ENOENT:
	case -ENOTDIR:
	case -EACCES:
	case -ENAMETOOLONG:
	case -ELOOP:
	case -ENODEV:
	case -ESTALE:
	case -ETIMEDOUT:
		return true;
	default:
		return false;
	}
}

/* As POSIX has PATH: an empty entry is the working directory; EACCES beats "not found". */
static int search(const struct body *b)
{
	size_t name_len = strlen(b->program);
	const char *entry = b->search;
	bool denied = false;

	for (;;) {
		size_t len = strcspn(entry, ":");
		char path[PATH_MAX];

		if (len + 1 + name_len < sizeof(path)) {
			size_t at = len;

			memcpy(path, entry, len);
			if (len > 0)
				path[at++] = '/';
			memcpy(path + at, b->program, name_len + 1);
			execve(path, b->argv, b->envp);
			if (!may_be_elsewhere(-errno))
				return -errno;
			denied |= errno == EACCES;
		}
		if (!entry[len])
			return denied ? -EACCES : -ENOENT;
		entry += len + 1;
	}
}

int body_execute(const struct body *b)
{
	if (b->program_fd >= 0)
		execveat(b->program_fd, "", b->argv, b->envp, AT_EMPTY_PATH);
	else if (!b->program || !b->program[0])
		return -ENOENT;
	else if (b->search && !strchr(b->program, '/'))
		return search(b);
	else
		execve(b->program, b->argv, b->envp);
	return -errno;
}
