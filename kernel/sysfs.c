// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "sysfs.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return done;
}
