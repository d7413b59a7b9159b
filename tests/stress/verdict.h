/* SPDX-License-Identifier: MIT */
/*
 * verdict.h - judges each answer by what was asked for and by what was killed at the time. Whatever
 * nothing excuses is a fault, and is told in a line of its own.
 */
#ifndef STRESS_VERDICT_H
#define STRESS_VERDICT_H

#include "havoc.h"
#include "ledger.h"

#include <stdint.h>

enum verdict {
	RIGHT_EXIT,
	RIGHT_SIGNAL,
	RIGHT_TERM,
	RIGHT_DEADLINE,
	RIGHT_LET_GO,
	RIGHT_KILLED,	 /* its leaf was killed, and the record says so */
	RIGHT_CANCELLED, /* as asked */
	ERROR_LOST,	 /* the server was lost before the leaf was started: nothing ran */
	ERROR_LEAF,	 /* the leaf was killed, or met its deadline, before it was ready */
	ERROR_HOST,	 /* the template was held back: its hosts were killed */
	UNKNOWN_START,	 /* -EINPROGRESS */
	UNKNOWN_END,	 /* the record is lost */
	BEREFT,		 /* its client was killed */
	WRONG,
	HUNG,
	NOT_ASKED,
	VERDICT_COUNT,
};

struct tally {
	unsigned count[VERDICT_COUNT];
	unsigned faults; /* WRONG, HUNG and what the leaves' own count contradicts */
	/* Milliseconds, sorted: to the answer, and from answer to record beyond what was asked. */
	double *answer_ms[2];
	size_t n_answer[2]; /* spawn_process(), spawn_submit() */
};

/* What people are told of it; static. */
const char *verdict_name(enum verdict verdict);
int tally_make(struct tally *t, const struct ledger *ledger, const uint8_t *runs,
	       const struct havoc_log *log);
void tally_free(struct tally *t);
/* Of those whose client lived to the end: the share that was served, in percent. */
double tally_served(const struct tally *t);
unsigned tally_asked(const struct tally *t);

#endif
