/* SPDX-License-Identifier: MIT */
/*
 * slab.h - what the kernel's reverse mapping costs, and whose it may be: samples of the slab caches
 * and of all processes' anonymous mappings. A thread takes them, since reading mappings is long,
 * and who takes events is to be there when one comes.
 */
#ifndef CENSUS_SLAB_H
#define CENSUS_SLAB_H

#include "population.h"
#include "procfs.h"

#include <pthread.h>
#include <stdbool.h>

enum { CACHE_ANON_VMA, CACHE_CHAIN, CACHE_LEAF, N_CACHES };

struct slab {
	struct cache sums[N_CACHES]; /* of all samples */
	bool has[N_CACHES];
	uint64_t samples;
	int error;	 /* why there are none; 0 if there are */
	uint64_t unread; /* processes whose mappings could not be read */
	bool in_work;	 /* a sample is */
	int results;	 /* of the thread, -1: it does not run */
	int out;	 /* the thread's end */
	pthread_t thread;
};

extern const char *const cache_names[N_CACHES];

/* Starts the thread. Negative errno. */
int slab_start(struct slab *s);
/* Takes what there is in results. */
void slab_take(struct slab *s, struct population *p);
/* Completes the sample that is in work and ends the thread. */
void slab_stop(struct slab *s, struct population *p);

#endif
