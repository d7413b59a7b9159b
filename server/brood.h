/* SPDX-License-Identifier: MIT */
/*
 * brood.h - the leaves of one template's life, as their parent sees them.
 *
 * The parent is the host; once the host is dead it is the keeper, which plays the same part with
 * the same code. It holds each leaf's pidfd, keeps the zombie as the record until it is released
 * or its owner is gone, holds deadlines, and ends leaves that shall end with their caller. It
 * speaks with the broker over one channel and carries on without it.
 */
#ifndef SERVER_BROOD_H
#define SERVER_BROOD_H

#include "poller.h"
#include "slot.h"
#include "wire/record.h"

#include <stdbool.h>
#include <sys/types.h>

struct brood;

struct leaf {
	struct watch watch; /* of the pidfd, which is held */
	struct brood *brood;
	pid_t pid; /* 0: no leaf here */
	uint64_t serial;
	bool over, released;
	bool launched; /* seen to be */
	bool in_doubt; /* see brood_doubt() */
	struct slot
		noted; /* its slot at that moment: what is in shared memory may change any time */
	uint64_t deadline_ns; /* of TERM, then of KILL; 0 for none */
	uint64_t grace_ms;
	bool termed;
	struct exit_record end;
};

struct owner {
	struct watch watch; /* of the caller's pidfd, which is held */
	struct brood *brood;
	struct owner *next;
	uint64_t id;
	bool disowned; /* the broker has no leaf of it any more */
	bool gone;     /* the process is over; remembered for leaves that are launched only now */
};

/* A message that did not fit into the socket. */
struct unsent {
	struct unsent *next;
	uint64_t leaf; /* serial of the one whose pidfd goes with it; 0: none */
	size_t len;
	uint8_t data[];
};

/* What only a host can do; the keeper's broods have none. */
struct brood_calls {
	void (*fork)(struct brood *brood, uint32_t count, uint32_t waited_for);
};

struct brood {
	struct poller *poller;
	struct watch channel; /* to the broker; the fd is held */
	bool deaf;	      /* the broker is gone; the end of the channel is not read yet */
	struct unsent *unsent, **unsent_end;
	const struct brood_calls *calls;
	struct slot *slots;
	struct leaf *leaves; /* one for each slot */
	uint32_t n_slots, n_leaves;
	struct owner *owners;
	uint64_t next_deadline; /* 0: none */
	uint32_t n_doubts;
	uint64_t doubt_until; /* what is parked then is parked */
	bool listing;	      /* LISTED is owed to the broker */
	bool warm, stopping;
	bool ending; /* nobody will ask for a record any more: reaped once it was told */
	uint32_t nofork, nofork_by; /* of the template: told at the end of a list */
	const char *note;	    /* how it is not what its lane says, told with that; NULL */
};

/* fd: the slots' memfd, borrowed. */
int brood_open(struct brood *b, struct poller *poller, int slots_fd, uint32_t n_slots,
	       const struct brood_calls *calls);
/* Closes all; leaves are not touched. */
void brood_close(struct brood *b);

/* A slot for a new leaf: its index, or -EAGAIN. */
int brood_free_slot(const struct brood *b);
/* Watches a child of this process: takes pidfd. */
int brood_add(struct brood *b, uint64_t serial, pid_t pid, int pidfd);
/*
 * Whoever could launch the parked leaves is gone. Each leaves at the end of its socket, unless its
 * launch is waiting there unread: so within moments it is known, and until then (not for long: its
 * offer may have reached the new broker) a list would say of a running leaf that it is parked, and
 * nobody would see to its deadline.
 */
void brood_doubt(struct brood *b);
/* Takes the channel to a (new) broker, lists every leaf there and says LISTED, once there is no
 * doubt. */
void brood_connect(struct brood *b, int channel);
/* Takes a channel that was connected before this process became its own successor, once all leaves
 * are there; -1 is fine. */
void brood_resume(struct brood *b, int channel);
/*
 * Takes the caller's pidfd, -1 if it is known to be gone, in any case. 0, with the owner first in
 * the list; -EEXIST: an id that is known already keeps the one it has; -ENOMEM.
 */
int brood_own(struct brood *b, uint64_t owner, int pidfd);
/* The caller is known to be gone already: as when its pidfd says so. */
void brood_own_gone(struct brood *b, uint64_t owner);
/*
 * To the broker, if there is one, with a leaf's pidfd or NULL. Never waits: what a broker does not
 * read is kept, in order, and no more comes of it than it asked for leaves.
 */
void brood_send(struct brood *b, struct frame *f, const struct leaf *with);
/* Keeps a message to be sent later. 0 or a negative errno. */
int brood_keep(struct brood *b, uint64_t leaf, const void *data, size_t len);
/* Before the end of this process: waits, not for long, for the broker to take what is kept. */
void brood_flush(struct brood *b);
/* From now on a record is reaped once it was told, as the ones that are there are now. */
void brood_forget_records(struct brood *b);
/*
 * The server stops: TERM to every launched leaf, KILL after the grace; parked ones leave at
 * once; no record is kept: its owner reads it from its socket. May be repeated, for leaves launched
 * meanwhile.
 */
void brood_stop(struct brood *b, uint64_t grace_ms);
/* Acts on the deadlines that have passed; call after poller_run(). */
void brood_tick(struct brood *b);

#endif
