/* SPDX-License-Identifier: MIT */
/*
 * stamp.h - how what is started says when: it writes its clock into a file of two words that it
 * shares with who measures. CLOCK_MONOTONIC is one clock for all processes.
 */
#ifndef BENCH_STAMP_H
#define BENCH_STAMP_H

#include "base/clock.h"

#include <stdint.h>
#include <sys/mman.h>

#define STAMP_FD  3	    /* where what is started finds the file */
#define STAMP_ARG "--stamp" /* its first argument when it shall stamp and do nothing else */

struct stamps {
	uint64_t first, last; /* own instructions of what was started */
};

/* Stamps both moments. `first` was read before anything else was done. */
static inline int stamp(uint64_t first)
{
	struct stamps *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED, STAMP_FD, 0);

	if (s == MAP_FAILED)
		return 3;
	s->first = first;
	s->last = clock_now();
	return 0;
}

#endif
