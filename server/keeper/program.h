/* SPDX-License-Identifier: MIT */
/*
 * program.h - starts an executable of the server's own, or a template's, with exactly the
 * descriptors and credentials it shall have.
 */
#ifndef KEEPER_PROGRAM_H
#define KEEPER_PROGRAM_H

#include "libspawn-error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PROGRAM_FDS	   4
#define PROGRAM_GROUPS_MAX 4096

struct program {
	const char *path;
	char *const *argv, *const *envp;
	char *own_pid;	      /* in envp, where its pid shall be (summons.h); NULL: nowhere */
	int output;	      /* becomes 1 and 2; -1: the keeper's own 2 for both */
	int fds[PROGRAM_FDS]; /* become 3, 4, ...; borrowed */
	size_t n_fds;
	bool drop; /* to these credentials, verified */
	uid_t uid;
	gid_t gid;
	const uint32_t *groups; /* sorted; at most PROGRAM_GROUPS_MAX */
	size_t n_groups;
};

/*
 * Forks and execs; returns when the exec has happened or failed. The child gets a session of its
 * own (a terminal's Ctrl-C is for the keeper), an empty signal mask and default dispositions.
 */
int program_start(const struct program *p, pid_t *ret_pid, int *ret_pidfd, struct spawn_error *err);

#endif
