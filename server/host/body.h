/* SPDX-License-Identifier: MIT */
/*
 * body.h - what the client asked of a leaf beside what the broker decided: arguments, environment,
 * descriptors, working directory. Read and applied by the leaf alone, without the heap.
 */
#ifndef HOST_BODY_H
#define HOST_BODY_H

#include "host/settings.h"
#include "wire/channel.h"
#include "wire/message.h"

#include <sys/resource.h>

struct body {
	struct message message; /* a view of memory that lives as long as the leaf */
	struct fds fds;
	uint32_t flags;
	int argc;
	char **argv, **envp;	     /* NULL-terminated */
	uint64_t sigmask, sigignore; /* bit n-1: signal n */
	char *program;		     /* to become: a path, or a name to search for; NULL: none */
	char *search;		     /* where to search, as PATH has it; NULL: nowhere */
	struct settings settings;
	bool of_server; /* a child of the server's: set before it is applied */
	int program_fd; /* the program itself, of b->fds; -1: none */
	int kept_fd;	/* the leaf's own, kept for it: set before body_apply(); -1: none */
	char name[16];	/* for ps: the end of argv[0] */

	/*
	 * What is usual fits in here, and begins in the page that is touched anyway: each page more
	 * is one more fault of a leaf that somebody waits for.
	 */
	char *lists[256];
	uint8_t data[WIRE_INLINE_MAX];
};

/* For one that a host has ready: its pages are nobody else's. */
#define BODY_ALIGNED _Alignas(4096)

struct body_error {
	unsigned step;
	int code;  /* negative errno */
	int index; /* which descriptor or open, or -1 */
};

/* Reads the BODY that waits in the socket (sent before SPAWN: a missing one is an error, not a
 * wait). */
int body_receive(int socket, struct body *ret, struct body_error *failed);
/*
 * Descriptors, working directory, umask, opens, limits. *socket and kept_fd may be moved out of the
 * way of a target. Afterwards nothing is open but what was asked for, 0 to 2, and these. limits:
 * RLIM_NLIMITS of them, as this process has them; NULL: they are looked up.
 */
int body_apply(struct body *body, const struct rlimit *limits, int *socket,
	       struct body_error *failed);
/* execute.c: becomes the program; returns a negative errno when it cannot, with all as it was. */
int body_execute(const struct body *body);

#endif
