/* SPDX-License-Identifier: MIT */
/*
 * private.h - the private host: the one process that an application starts to have its programs
 * started. It copies itself with CLONE_PARENT, so that the copy is the application's child, and the
 * copy becomes the program.
 */
#ifndef PRIVATE_PRIVATE_H
#define PRIVATE_PRIVATE_H

#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

/* The channel to the application; what it is started with. */
#define PRIVATE_CHANNEL_FD 3

struct private_host {
	int parent;	  /* pidfd of the application; -1 where that cannot be had */
	pid_t parent_pid; /* its copies have the same; 0 where its namespace does not show it */
	uint64_t count;
	struct rlimit limits[RLIM_NLIMITS]; /* as it has them, and its copies with it */
};

/* One request as the copy sees it. */
struct private_child {
	int body;	 /* the leaf's end of the body socket */
	unsigned nofork; /* enum nofork_level */
	uint64_t launched_ns;
};

/* child.c: in the copy, to the end: the program, or _exit(127). */
_Noreturn void private_child_run(struct private_host *h, struct private_child *c);

#endif
