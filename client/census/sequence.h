/* SPDX-License-Identifier: MIT */
/* sequence.h - the events of each CPU are numbered; a number that is missing is a lost event. */
#ifndef CENSUS_SEQUENCE_H
#define CENSUS_SEQUENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sequence {
	struct {
		bool seen;
		uint32_t next;
	} * cpus;
	size_t n_cpus;
};

/* How many events of this CPU were lost before this one; 0 for the first that is seen. -ENOMEM. */
int64_t sequence_note(struct sequence *s, uint32_t cpu, uint32_t number);
void sequence_done(struct sequence *s);

#endif
