/* SPDX-License-Identifier: MIT */
/* count.h - the window: events are taken until it is over. */
#ifndef CENSUS_COUNT_H
#define CENSUS_COUNT_H

#include "command.h"
#include "options.h"
#include "population.h"
#include "slab.h"
#include "watch.h"

struct count {
	struct watch watch;
	struct population population;
	struct slab slab;
	struct command command; /* pidfd -1: none, or over */
	int signals;		/* a signalfd */
	sigset_t mask;		/* as it was */
	int root;		/* pidfd of --below; -1: none */
	int refused;		/* errno of the last comparison of memory that was refused ... */
	uint64_t refusals;	/* ... and how many were */
	uint64_t began_at, ended_at;
};

/* Begins to listen and sights what is there. Negative errno after a line on stderr. */
int count_begin(struct count *c, const struct options *o);
/* Until the window is over. The same. */
int count_run(struct count *c, const struct options *o);
void count_done(struct count *c);

#endif
