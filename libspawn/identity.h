/* SPDX-License-Identifier: MIT */
/*
 * identity.h - what a process started by this thread now would have from it, and cannot be given in
 * another way: credentials, sandbox, session, scheduling, what prctl(2) sets. A private host has it
 * from the moment when it was started; a request of a thread that differs is not for that one.
 *
 * Not seen: Landlock, the cgroup, namespaces but those of users, processes, mounts and networks,
 * the security label of the next exec, oom_score_adj, coredump_filter. tests/parity compares.
 */
#ifndef LIBSPAWN_IDENTITY_H
#define LIBSPAWN_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

struct identity {
	bool known;	   /* all of it could be looked at */
	pid_t thread;	   /* who looked */
	uint64_t settings; /* of prctl(2), the memory policy, the session keyring */
	/* Of /proc/thread-self/status: ids, groups, capabilities, no_new_privs, filters, CPUs,
	 * memory nodes. */
	uint64_t status;
	uint64_t permitted; /* capabilities */
	uint64_t root_mount, root_ino;
	uint64_t network;
	char users[32], processes[32]; /* namespaces, as their links have them; "": cannot have
					  changed */
	pid_t session, group;
	int securebits, personality;
	int nice, policy, priority, io_priority;
	rlim_t processes_max; /* RLIMIT_NPROC: asked of who makes a process, not of the process */
};

/*
 * Of the calling thread, which made the socket just now. Also the umask and the ignored signals
 * (bit n-1: signal n), which are in the same file. -ENODATA without /proc: then ret is not known.
 */
int identity_look(struct identity *ret, int socket, mode_t *ret_umask, uint64_t *ret_ignored);
/* False also when one of them could not be looked at. */
bool identity_equal(const struct identity *a, const struct identity *b);

#endif
