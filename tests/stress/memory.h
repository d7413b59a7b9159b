/* SPDX-License-Identifier: MIT */
/* memory.h - resident memory over the requests of a run, and the line through it. */
#ifndef STRESS_MEMORY_H
#define STRESS_MEMORY_H

#include <stddef.h>
#include <stdint.h>

struct memory {
	struct {
		uint32_t done;
		long kib;
	} * samples;
	size_t n, size;
};

/* What a run may seem to grow by, in KiB: an allocator's arena takes that much at once. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1 /* as gcc says it */
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define MEMORY_NOISE_KIB (1 << 20) /* what was freed waits in quarantine: nothing can be said */
#else
#define MEMORY_NOISE_KIB 512
#endif

struct memory_line {
	double slope;	  /* KiB per thousand requests, after the first tenth */
	double grown_kib; /* what that makes over the run */
	long from, to;	  /* medians of the second tenth and of the last */
};

void memory_sample(struct memory *m, uint32_t done, long kib);
/* Of the samples after the first tenth of `done` requests; all 0 when they are too few. */
struct memory_line memory_line(const struct memory *m, uint32_t done);

#endif
