/* SPDX-License-Identifier: MIT */
/*
 * identity.h - what a process started by this thread now would have from it, and cannot be given in
 * another way: credentials, sandbox, session, scheduling. A private host has it from the moment
 * when it was started; a request of a thread that differs is not for that one.
 *
 * Not seen: Landlock, the cgroup, the security label of the next exec, keyrings, and what prctl(2)
 * sets beside all this.
 */
#ifndef LIBSPAWN_IDENTITY_H
#define LIBSPAWN_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define IDENTITY_NAMESPACES 7

struct identity {
	bool known;   /* all of it could be looked at */
	pid_t thread; /* for when it could not */
	/* Of /proc/thread-self/status: ids, groups, capabilities, no_new_privs, filters, CPUs,
	 * memory nodes. */
	uint64_t status;
	uint64_t capabilities; /* permitted */
	uint64_t root_mount, root_ino;
	ino_t namespaces[IDENTITY_NAMESPACES]; /* 0: cannot have changed */
	pid_t session, group;
	int securebits, personality;
	int nice, policy, priority, io_priority;
};

/* Of the calling thread. */
void identity_look(struct identity *ret);
/* False also when one of them could not be looked at. */
bool identity_equal(const struct identity *a, const struct identity *b);

#endif
