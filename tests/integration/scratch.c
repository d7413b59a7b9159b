/* SPDX-License-Identifier: MIT */
#include "scratch.h"

#include "server.h"

#include "base/fd.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[32];

void scratch_make(void)
{
	snprintf(dir, sizeof(dir), "/tmp/spawnd-files-XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
}

void scratch_end(void)
{
	fini_expect(rmdir(dir) == 0, "%s is not empty", dir);
}

const char *scratch_path(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s%s%s", dir, *name ? "/" : "", name);
	return path;
}

const char *scratch_file(const char *name, mode_t mode, const char *text)
{
	const char *path = scratch_path(name);
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

	cr_assert_geq(fd, 0, "%s: %s", path, strerror(errno));
	cr_assert_eq(fd_write_all(fd, text, strlen(text)), 0);
	cr_assert_eq(fchmod(fd, mode), 0); /* whatever the umask is */
	return path;
}

void scratch_remove(const char *name)
{
	cr_assert_eq(unlink(scratch_path(name)), 0);
}
