/* SPDX-License-Identifier: MIT */
/*
 * body.h - what the client asked of a leaf beside what the broker decided: arguments, environment,
 * descriptors, working directory. Read and applied by the leaf alone, without the heap.
 */
#ifndef HOST_BODY_H
#define HOST_BODY_H

#include "wire/channel.h"
#include "wire/message.h"

struct body {
	struct message message; /* a view of memory that lives as long as the leaf */
	struct fds fds;
	uint32_t flags;
	int argc;
	char **argv, **envp;	     /* NULL-terminated */
	uint64_t sigmask, sigignore; /* bit n-1: signal n */
	char *program;		     /* to become: a path, or a name to search for; NULL: none */
	char *search;		     /* where to search, as PATH has it; NULL: nowhere */
	int program_fd;		     /* the program itself, of b->fds; -1: none */
	char name[16];		     /* for ps: the end of argv[0] */
};

struct body_error {
	unsigned step;
	int code;  /* negative errno */
	int index; /* which descriptor or open, or -1 */
};

/* Reads the BODY that waits in the socket (sent before SPAWN: a missing one is an error, not a
 * wait). */
int body_receive(int socket, struct body *ret, struct body_error *failed);
/*
 * Descriptors, working directory, umask, opens, limits. *socket may be moved out of the way of a
 * target. Afterwards nothing is open but what was asked for, 0 to 2, and the socket.
 */
int body_apply(struct body *body, int *socket, struct body_error *failed);
/* execute.c: becomes the program; returns a negative errno when it cannot, with all as it was. */
int body_execute(const struct body *body);

#endif
