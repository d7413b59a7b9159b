/* SPDX-License-Identifier: MIT */
/* Only a single-threaded process may fork: another thread's locks would stay held for ever. */
#include "base/error.h"
#include "base/fd.h"
#include "host/host.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void append_name(char *list, size_t size, const char *tid)
{
	char path[64], name[32] = "?";
	size_t used = strlen(list);
	_cleanup_close_ int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/task/%.16s/comm", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, name, sizeof(name) - 1);
	if (n > 0) {
		name[n] = '\0';
		name[strcspn(name, "\n")] = '\0';
	}
	snprintf(list + used, size - used, "%s\"%s\"", used ? ", " : "", name);
}

int threads_check(struct spawn_error *err)
{
	char names[256] = "", self[16];
	unsigned n = 0;
	struct dirent *e;
	struct stat st;
	DIR *dir;

	/* The link count of the directory is 2 + threads: one call (1.8 us) for the usual answer.
	 */
	if (stat("/proc/self/task", &st) == 0 && st.st_nlink == 3)
		return 0;
	dir = opendir("/proc/self/task");
	if (!dir)
		return error_errno(err, -errno, SPAWN_ORIGIN_HOST, STEP_THREADS,
				   "cannot count threads in /proc/self/task");
	snprintf(self, sizeof(self), "%d", getpid());
	while ((e = readdir(dir))) {
		if (e->d_name[0] == '.' || strcmp(e->d_name, self) == 0)
			continue;
		append_name(names, sizeof(names), e->d_name);
		n++;
	}
	closedir(dir);
	if (n == 0)
		return 0;
	return error_set(err, -EBUSY, SPAWN_ORIGIN_HOST, STEP_THREADS,
			 "%u thread%s beside the main one after warm-up: %s: a template must be "
			 "single-threaded when it forks; end or join them before",
			 n, n == 1 ? "" : "s", names);
}
