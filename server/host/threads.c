/* SPDX-License-Identifier: MIT */
/* Only a single-threaded process may fork: another thread's locks would stay held for ever. */
#include "base/error.h"
#include "base/fd.h"
#include "host/host.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOOK_US	     100
#define LOOKS_MAX    10000
#define TASK_EXITING 0x4u /* of the flags in /proc/PID/stat: PF_EXITING */

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

/* It runs no code of the program's any more: pthread_join() returns before the kernel is done. */
static bool is_exiting(const char *tid)
{
	char path[64], stat[512];
	_cleanup_close_ int fd = -1;
	unsigned flags;
	ssize_t n;
	char *p;

	snprintf(path, sizeof(path), "/proc/self/task/%.16s/stat", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, stat, sizeof(stat) - 1);
	if (n <= 0)
		return errno == ENOENT || errno == ESRCH;
	stat[n] = '\0';
	p = strrchr(stat, ')'); /* the name may hold anything */
	return p && sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %u", &flags) == 1 &&
	       (flags & TASK_EXITING);
}

/* How many there are beside this one, those on their way out left out; or a negative errno. */
static int list_others(char *names, size_t size, bool *ret_exiting)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *e;
	char self[16];
	int n = 0;

	if (!dir)
		return -errno;
	names[0] = '\0';
	*ret_exiting = false;
	snprintf(self, sizeof(self), "%d", getpid());
	while ((e = readdir(dir))) {
		if (e->d_name[0] == '.' || strcmp(e->d_name, self) == 0)
			continue;
		if (is_exiting(e->d_name)) {
			*ret_exiting = true;
			continue;
		}
		append_name(names, size, e->d_name);
		n++;
	}
	closedir(dir);
	return n;
}

int threads_check(struct spawn_error *err)
{
	char names[256];
	bool exiting;
	struct stat st;
	int n;

	for (unsigned looks = 0;; looks++) {
		/* The link count of the directory is 2 + threads: one call (1.8 us) for the usual
		 * answer. */
		if (stat("/proc/self/task", &st) == 0 && st.st_nlink == 3)
			return 0;
		n = list_others(names, sizeof(names), &exiting);
		if (n < 0)
			return error_errno(err, n, SPAWN_ORIGIN_HOST, STEP_THREADS,
					   "cannot count threads in /proc/self/task");
		if (n > 0)
			break;
		if (!exiting)
			return 0;
		/* The kernel tells nobody when it is done. A tracer can make it wait for ever. */
		if (looks == LOOKS_MAX)
			return error_set(
				err, -EBUSY, SPAWN_ORIGIN_HOST, STEP_THREADS,
				"a thread that has ended is still there after %d ms: is it "
				"held by a debugger?",
				LOOKS_MAX * LOOK_US / 1000);
		nanosleep(&(struct timespec){.tv_nsec = LOOK_US * 1000}, NULL);
	}
	return error_set(err, -EBUSY, SPAWN_ORIGIN_HOST, STEP_THREADS,
			 "%d thread%s beside the main one after warm-up: %s: a template must be "
			 "single-threaded when it forks; end or join them before",
			 n, n == 1 ? "" : "s", names);
}

int threads_settle(struct spawn_error *err)
{
	int r = threads_check(err);
	pid_t pid;

	if (r != -EBUSY)
		return r;
	pid = fork(); /* for the handlers of pthread_atfork() that it runs before */
	if (pid == 0)
		_exit(0);
	if (pid > 0) {
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		r = threads_check(err);
	}
	return r;
}
