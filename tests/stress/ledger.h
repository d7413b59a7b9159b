/* SPDX-License-Identifier: MIT */
/*
 * ledger.h - what was asked and what was answered, in memory that outlives any client: the driver
 * and all clients map it, so that a client killed amid a request leaves its mark. Leaves map one
 * page of a second memfd, where each counts that it ran.
 */
#ifndef STRESS_LEDGER_H
#define STRESS_LEDGER_H

#include "fate.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* No answer, or no record of an end, for that long is a hang. */
#define HANG_MS 30000

enum entry_state {
	ENTRY_NEW,	/* not asked yet */
	ENTRY_ASKED,	/* no answer yet */
	ENTRY_RUNNING,	/* started; its end is still to come */
	ENTRY_REFUSED,	/* answered by an error: code, origin, text */
	ENTRY_OVER,	/* it has a record: known, status, signal, start_error */
	ENTRY_LET_GO,	/* started and freed */
	ENTRY_WAIT_BAD, /* spawn_proc_wait() failed: code */
	ENTRY_HUNG,	/* the driver gave up on it */
	ENTRY_BEREFT,	/* its client was killed */
};

struct entry {
	_Atomic uint32_t state;
	_Atomic uint32_t answers; /* how often it was answered: 1 */
	uint32_t client;	  /* which: 1, 2, ... */
	pid_t pid;		  /* of the leaf, once started */
	int code, origin;
	char text[64];
	bool known;
	int status, signal, start_error;
	uint64_t asked_ns, answered_ns, over_ns;
	uint64_t bereft_ns; /* its client was over by then, killed or done; 0: not yet */
};

struct ledger {
	struct recipe recipe;
	uint32_t n;
	_Atomic uint32_t next; /* the number that is taken next; counts on beyond n */
	_Atomic uint32_t done; /* requests that are over, whatever came of them */
	_Atomic uint32_t stop; /* no more are taken */
	struct entry entries[];
};

/* A new one for n requests and its memfd; -1 and errno when there is no memory. */
int ledger_create(uint32_t n, struct ledger **ret);
/* The one of that memfd; NULL and errno. */
struct ledger *ledger_open(int fd);
/* How many were taken by clients. */
uint32_t ledger_taken(const struct ledger *ledger);

static inline void entry_finish(struct ledger *ledger, struct entry *e, enum entry_state state)
{
	atomic_store_explicit(&e->state, state, memory_order_release);
	atomic_fetch_add(&ledger->done, 1);
}

static inline enum entry_state entry_state(const struct entry *e)
{
	return (enum entry_state)atomic_load_explicit(&e->state, memory_order_acquire);
}

/* Runs counted by the leaves: a byte for each request, and some for the warm-up. */
#define RUNS_SPARE 4096
int runs_create(uint32_t n, const uint8_t **ret);

#endif
