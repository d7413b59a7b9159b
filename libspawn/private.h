/* SPDX-License-Identifier: MIT */
/* private.h - the private host of this process: found, started, ended. */
#ifndef LIBSPAWN_PRIVATE_H
#define LIBSPAWN_PRIVATE_H

#include "identity.h"
#include "libspawn-error.h"

#include <sys/types.h>

struct private_host {
	int pidfd; /* -1: none */
	ino_t ino; /* of pidfd, as connection.h has it of its descriptor */
	struct identity as;
};

/* The executable, absolute; to be freed. */
int private_path(char **ret);
/* Starts it as a child of this process, with what the calling thread has. */
int private_start(const char *path, struct private_host *ret, int *ret_fd, struct spawn_error *err);
/* After its channel was closed, of which it ends: waits for that, for a moment, and reaps it. */
void private_end(struct private_host *host);
/* One that a signal to the process group has stopped goes on. */
void private_continue(const struct private_host *host);

#endif
