/* SPDX-License-Identifier: MIT */
/*
 * peer.h - who is at the other end of a connection, and how confined, by the kernel's word alone.
 *
 * The server is a way out of a sandbox: what it starts has the server's confinement, not its
 * client's. So a peer is compared with the server itself, at the time when it connects:
 *
 *	no_new_privs, seccomp mode, number of filters	in any of its threads
 *	capability bounding set				lacks one that the server's has
 *	user, pid, mnt, net, ipc, uts, cgroup namespace	another than the server's
 *	root directory					another than the server's
 *	security label					another than the server's, and not one that
 *							is known to confine nothing: AppArmor's
 *							unconfined, SELinux's type unconfined_t
 *
 * Whatever cannot be read counts as confined, and the text says so. To read the namespaces of
 * another user's process the server needs CAP_SYS_PTRACE; a user's own server cannot read those of
 * a non-dumpable process (ssh-agent, a former setuid program), which is thereby refused. Landlock
 * cannot be seen from outside. Labels cannot be ordered from outside either: two that differ may
 * both be mild, and are still taken for confinement.
 */
#ifndef KEEPER_PEER_H
#define KEEPER_PEER_H

#include "libspawn-error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PEER_GROUPS_MAX	  4096
#define PEER_THREADS_MAX  512 /* a process of more threads counts as confined */
#define PEER_CONFINED_MAX 256
#define PEER_LABEL_MAX	  256
#define PEER_NAMESPACES	  7

/* How confined a process is. */
struct peer_confinement {
	bool no_new_privs;
	unsigned seccomp; /* mode: 0, 1 strict, 2 filter */
	uint64_t filters;
	uint64_t bounding;
	struct peer_place {
		dev_t dev;
		ino_t ino; /* 0: the kernel has no such namespace */
	} namespaces[PEER_NAMESPACES], root;
	char label[PEER_LABEL_MAX]; /* "": no security module gives labels */
};

/* The server's own, read once at its start. */
struct peer_baseline {
	struct peer_confinement confinement;
};

struct peer_identity {
	pid_t pid;
	uid_t uid;
	gid_t gid;
	uint32_t *groups; /* supplementary; owned */
	size_t n_groups;
	int pidfd;			      /* owned */
	char confined[PEER_CONFINED_MAX + 1]; /* how; "" if not more than the server */
};

/* The calling process, which must have one thread. A negative errno where /proc cannot be read. */
int peer_baseline_read(struct peer_baseline *ret, struct spawn_error *err);

/*
 * Who connected. Call it right after accept(): before Linux 6.5 a pid that was reused between
 * connect() and this call is noticed only if its new process started later than this call.
 * Errors: -ESRCH (the peer is gone), -E2BIG (more than PEER_GROUPS_MAX groups), -EPERM (a peer that
 * has no pid here), others of the kernel's.
 */
int peer_identify(int connection_fd, const struct peer_baseline *self, struct peer_identity *ret,
		  struct spawn_error *err);
void peer_identity_finish(struct peer_identity *identity); /* NULL is fine */

#endif
