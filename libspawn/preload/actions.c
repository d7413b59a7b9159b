/* SPDX-License-Identifier: MIT */
/*
 * What a posix_spawn_file_actions_t holds is libc's secret, so each that is made is noted here as
 * well, in libc's order. libc's own is made all the same: it has the checks, and may have to do it.
 */
#include "preload.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Where a note is found: glibc keeps 64 bytes behind its three words unused, and zeroes them. */
struct mark {
	uint64_t magic;
	struct actions *actions;
};
#define MAGIC 0x737061776e707265u

static struct mark *mark_of(posix_spawn_file_actions_t *fa)
{
	/* at the end: what libc may come to need is likely taken from the front */
	return (void *)((char *)fa + sizeof(*fa) - sizeof(struct mark));
}

const struct actions *actions_of(const posix_spawn_file_actions_t *fa)
{
	struct mark mark;

	memcpy(&mark, (const char *)fa + sizeof(*fa) - sizeof(mark), sizeof(mark));
	return mark.magic == (MAGIC ^ (uintptr_t)fa) ? mark.actions : NULL;
}

static void note_free(struct actions *a)
{
	for (size_t i = 0; i < a->n; i++)
		free(a->list[i].path);
	free(a->list);
	free(a);
}

/* It could not be noted: from now on this one is libc's alone. */
static void forget(posix_spawn_file_actions_t *fa)
{
	struct mark *mark = mark_of(fa);

	if (actions_of(fa))
		note_free(mark->actions);
	*mark = (struct mark){0};
}

static int note(posix_spawn_file_actions_t *fa, int r, struct action action, const char *path)
{
	struct actions *a;
	struct action *more;

	if (r != 0 || !actions_of(fa))
		return r;
	a = mark_of(fa)->actions;
	more = realloc(a->list, (a->n + 1) * sizeof(*more));
	if (more)
		a->list = more;
	action.path = path ? strdup(path) : NULL;
	if (!more || (path && !action.path)) {
		free(action.path);
		forget(fa);
		return 0;
	}
	a->list[a->n++] = action;
	return 0;
}

PUBLIC int posix_spawn_file_actions_init(posix_spawn_file_actions_t *fa)
{
	int r = next()->actions_init(fa);

	if (r == 0)
		*mark_of(fa) =
			(struct mark){MAGIC ^ (uintptr_t)fa, calloc(1, sizeof(struct actions))};
	if (r == 0 && !mark_of(fa)->actions)
		*mark_of(fa) = (struct mark){0};
	return r;
}

PUBLIC int posix_spawn_file_actions_destroy(posix_spawn_file_actions_t *fa)
{
	forget(fa);
	return next()->actions_destroy(fa);
}

PUBLIC int posix_spawn_file_actions_addopen(posix_spawn_file_actions_t *fa, int fd,
					    const char *path, int flags, mode_t mode)
{
	return note(fa, next()->actions_open(fa, fd, path, flags, mode),
		    (struct action){ACTION_OPEN, .fd = fd, .flags = flags, .mode = mode}, path);
}

PUBLIC int posix_spawn_file_actions_addclose(posix_spawn_file_actions_t *fa, int fd)
{
	return note(fa, next()->actions_close(fa, fd), (struct action){ACTION_CLOSE, .fd = fd},
		    NULL);
}

PUBLIC int posix_spawn_file_actions_adddup2(posix_spawn_file_actions_t *fa, int fd, int newfd)
{
	return note(fa, next()->actions_dup2(fa, fd, newfd),
		    (struct action){ACTION_DUP2, .fd = fd, .other = newfd}, NULL);
}

PUBLIC int posix_spawn_file_actions_addchdir_np(posix_spawn_file_actions_t *fa, const char *path)
{
	return note(fa, next()->actions_chdir(fa, path), (struct action){.kind = ACTION_CHDIR},
		    path);
}

PUBLIC int posix_spawn_file_actions_addfchdir_np(posix_spawn_file_actions_t *fa, int fd)
{
	return note(fa, next()->actions_fchdir(fa, fd), (struct action){ACTION_FCHDIR, .fd = fd},
		    NULL);
}

PUBLIC int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *fa, int fd)
{
	if (!next()->actions_closefrom)
		return ENOSYS;
	return note(fa, next()->actions_closefrom(fa, fd),
		    (struct action){ACTION_CLOSEFROM, .fd = fd}, NULL);
}

PUBLIC int posix_spawn_file_actions_addtcsetpgrp_np(posix_spawn_file_actions_t *fa, int fd)
{
	if (!next()->actions_tcsetpgrp)
		return ENOSYS;
	return note(fa, next()->actions_tcsetpgrp(fa, fd),
		    (struct action){ACTION_TCSETPGRP, .fd = fd}, NULL);
}
