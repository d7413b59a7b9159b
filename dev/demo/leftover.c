/* SPDX-License-Identifier: MIT */
#include "leftover.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOMENT_MS 3000 /* a parked leaf ends at the end of file of its control socket */

struct child {
	pid_t pid;
	char name[64];
};

/* Fills ret if /proc/<entry> is a child of this process and not a zombie. */
static int child_read(const char *entry, struct child *ret)
{
	char path[64], line[512];
	const char *open, *close;
	size_t len;
	int parent;
	char state;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%.16s/stat", entry);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	len = fread(line, 1, sizeof(line) - 1, f);
	fclose(f);
	line[len] = '\0';
	open = strchr(line, '(');
	close = strrchr(line, ')'); /* a name may hold any character */
	if (!open || !close || sscanf(close + 1, " %c %d", &state, &parent) != 2)
		return -EBADMSG;
	if (parent != getpid() || state == 'Z' || state == 'X')
		return -ECHILD;
	ret->pid = (pid_t)strtol(entry, NULL, 10);
	snprintf(ret->name, sizeof(ret->name), "%.*s", (int)(close - open - 1), open + 1);
	return 0;
}

/* One child that is alive, or -ECHILD. Since it is ours its pid is not reused before we reap it. */
static int child_find(struct child *ret)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	int r = -ECHILD;

	if (!proc)
		return -errno;
	while (r < 0 && (entry = readdir(proc)))
		if (isdigit((unsigned char)entry->d_name[0]))
			r = child_read(entry->d_name, ret);
	closedir(proc);
	return r < 0 ? -ECHILD : 0;
}

size_t leftover_processes(void)
{
	struct child child;
	size_t killed = 0;

	for (;;) {
		struct pollfd over = {.events = POLLIN};
		pid_t reaped;
		int r;

		while ((reaped = waitpid(-1, NULL, WNOHANG)) > 0)
			;
		if (reaped < 0) /* ECHILD */
			return killed;
		r = child_find(&child);
		if (r == -ECHILD) /* it became a zombie in between */
			continue;
		if (r < 0)
			return killed + 1;
		over.fd = (int)syscall(SYS_pidfd_open, child.pid, 0);
		if (over.fd < 0)
			continue;
		if (poll(&over, 1, MOMENT_MS) == 0) {
			fprintf(stderr, "demo: still running: %s, pid %d\n", child.name,
				(int)child.pid);
			killed++;
			syscall(SYS_pidfd_send_signal, over.fd, SIGKILL, NULL, 0);
			while (poll(&over, 1, -1) < 0 && errno == EINTR)
				;
		}
		close(over.fd);
	}
}

static size_t files_found;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	if (where->level > 0) {
		fprintf(stderr, "demo: still there: %s\n", path);
		files_found++;
	}
	remove(path);
	return 0;
}

size_t leftover_files(const char *dir)
{
	files_found = 0;
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return files_found;
}
