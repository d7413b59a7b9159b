/* SPDX-License-Identifier: MIT */
#include "preload.h"

#include <dlfcn.h>
#include <stdlib.h>

static struct next found;

static void *find(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

/* ISO C has no conversion of an object's pointer to a function's; POSIX has it by this. */
#define FIND(member, name) (*(void **)&found.member = find(name))

__attribute__((constructor)) static void find_all(void)
{
	FIND(posix_spawn, "posix_spawn");
	FIND(posix_spawnp, "posix_spawnp");
	FIND(pidfd_spawn, "pidfd_spawn");
	FIND(pidfd_spawnp, "pidfd_spawnp");
	FIND(actions_init, "posix_spawn_file_actions_init");
	FIND(actions_destroy, "posix_spawn_file_actions_destroy");
	FIND(actions_open, "posix_spawn_file_actions_addopen");
	FIND(actions_close, "posix_spawn_file_actions_addclose");
	FIND(actions_dup2, "posix_spawn_file_actions_adddup2");
	FIND(actions_chdir, "posix_spawn_file_actions_addchdir_np");
	FIND(actions_fchdir, "posix_spawn_file_actions_addfchdir_np");
	FIND(actions_closefrom, "posix_spawn_file_actions_addclosefrom_np");
	FIND(actions_tcsetpgrp, "posix_spawn_file_actions_addtcsetpgrp_np");
	FIND(popen, "popen");
	FIND(pclose, "pclose");
	FIND(wait4, "wait4");
	FIND(waitid, "waitid");
	FIND(fork, "fork");
}

/* A library's constructor may be before ours. */
const struct next *next(void)
{
	if (!found.fork)
		find_all();
	return &found;
}

/* Of a type that no code here calls it by: see fork.c. */
void *vfork_find(void);
void *vfork_find(void)
{
	return find("vfork");
}
