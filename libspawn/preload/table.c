/* SPDX-License-Identifier: MIT */
/*
 * File actions are done on paper: only what comes out of them is given to the child, so that it is
 * the same whatever the numbers. Files are opened here, where posix_spawn(3) would have its child
 * do so while the caller waits.
 */
#include "preload.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PASSED_MAX 240 /* by spawn_request_fd() */

static struct table_entry *find(struct table *t, int target)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->entries[i].target == target)
			return &t->entries[i];
	return NULL;
}

static int set(struct table *t, int target, int fd, bool cloexec)
{
	struct table_entry *e = find(t, target), *more;

	if (!e) {
		more = realloc(t->entries, (t->n + 1) * sizeof(*more));
		if (!more)
			return ENOMEM;
		t->entries = more;
		e = &t->entries[t->n++];
	}
	*e = (struct table_entry){target, fd, cloexec};
	return 0;
}

static void drop(struct table *t, int target)
{
	struct table_entry *e = find(t, target);

	if (e)
		*e = t->entries[--t->n];
}

/* Takes fd. */
static int keep(struct table *t, int fd)
{
	int *more = realloc(t->opened, (t->n_opened + 1) * sizeof(*more));

	if (!more) {
		close(fd);
		return ENOMEM;
	}
	t->opened = more;
	t->opened[t->n_opened++] = fd;
	return 0;
}

static int read_own(struct table *t, const char **ret_left)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	int r = 0;

	if (!dir) {
		*ret_left = "without /proc it is not known which descriptors are inherited";
		return 0;
	}
	while (r == 0 && (entry = readdir(dir))) {
		char *end;
		long fd = strtol(entry->d_name, &end, 10);
		int flags;

		if (*end || end == entry->d_name || fd == dirfd(dir))
			continue;
		flags = fcntl((int)fd, F_GETFD);
		if (flags >= 0)
			r = set(t, (int)fd, (int)fd, flags & FD_CLOEXEC);
	}
	closedir(dir);
	return r;
}

static bool begins(const char *path, const char *with)
{
	return strncmp(path, with, strlen(with)) == 0;
}

/* Before anything is opened, which must not happen twice. */
static const char *left_to_libc(const struct action *a)
{
	if (a->kind == ACTION_TCSETPGRP)
		return "it sets the terminal's process group";
	/* What the name means depends on who opens it. */
	if (a->kind == ACTION_OPEN &&
	    (begins(a->path, "/proc/self") || begins(a->path, "/proc/thread-self") ||
	     begins(a->path, "/dev/fd") || begins(a->path, "/dev/std") ||
	     strcmp(a->path, "/dev/tty") == 0))
		return "it opens a file of /proc/self, /dev/fd or /dev/tty";
	return NULL;
}

static int act_open(struct table *t, const struct action *a)
{
	int fd, r;

	fd = openat(t->directory >= 0 ? t->directory : AT_FDCWD, a->path, a->flags | O_CLOEXEC,
		    a->mode);
	if (fd < 0)
		return errno;
	r = keep(t, fd);
	if (r)
		return r;
	/*
	 * glibc's child opens it with the lowest number that is free and moves it, which loses
	 * O_CLOEXEC; but for when that is the number wanted, which is not known here.
	 */
	return set(t, a->fd, fd, false);
}

static int act_dup2(struct table *t, const struct action *a)
{
	struct table_entry *from = find(t, a->fd);

	if (!from)
		return EBADF;
	return set(t, a->other, from->fd, false);
}

static int act_directory(struct table *t, int fd)
{
	int r;

	if (fd < 0)
		return errno;
	r = keep(t, fd);
	if (r == 0)
		t->directory = fd;
	return r;
}

static int act(struct table *t, const struct action *a)
{
	struct table_entry *e;

	switch (a->kind) {
	case ACTION_OPEN:
		return act_open(t, a);
	case ACTION_CLOSE:
		drop(t, a->fd);
		return 0;
	case ACTION_DUP2:
		return act_dup2(t, a);
	case ACTION_CHDIR:
		return act_directory(t, openat(t->directory >= 0 ? t->directory : AT_FDCWD, a->path,
					       O_PATH | O_DIRECTORY | O_CLOEXEC));
	case ACTION_FCHDIR:
		e = find(t, a->fd);
		if (!e)
			return EBADF;
		return act_directory(t, openat(e->fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
	case ACTION_CLOSEFROM:
		for (size_t i = t->n; i-- > 0;)
			if (t->entries[i].target >= a->fd)
				t->entries[i] = t->entries[--t->n];
		return 0;
	case ACTION_TCSETPGRP:
		break;
	}
	return EINVAL;
}

static size_t inherited(const struct table *t)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n; i++)
		n += !t->entries[i].cloexec;
	return n;
}

int table_make(struct table *t, const struct actions *actions, const char **ret_left)
{
	int r;

	*t = (struct table){.directory = -1};
	r = read_own(t, ret_left);
	for (size_t i = 0; !*ret_left && actions && i < actions->n; i++)
		*ret_left = left_to_libc(&actions->list[i]);
	if (inherited(t) + (actions ? actions->n : 0) > PASSED_MAX)
		*ret_left = "it may inherit more than 240 descriptors";
	for (size_t i = 0; r == 0 && !*ret_left && actions && i < actions->n; i++)
		r = act(t, &actions->list[i]);
	return r;
}

void table_free(struct table *t)
{
	for (size_t i = 0; i < t->n_opened; i++)
		close(t->opened[i]);
	free(t->opened);
	free(t->entries);
	*t = (struct table){.directory = -1};
}
