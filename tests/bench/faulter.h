/* SPDX-License-Identifier: MIT */
/*
 * faulter.h - a thread that does nothing but fault fresh pages of 4 KiB: touches some, gives them
 * back, begins anew. As a probe it says how long the longest of these took.
 */
#ifndef BENCH_FAULTER_H
#define BENCH_FAULTER_H

#include <stdbool.h>
#include <stdint.h>

struct faulter;

/* cpu -1: anywhere. real_time: SCHED_FIFO. NULL if that is not permitted here; all else that fails
 * ends the program. */
struct faulter *faulter_open(int cpu, bool real_time);
void faulter_close(struct faulter *f);
/* Returns when it is under way. It faults until the end, or for so long (0: until the end). */
void faulter_begin(struct faulter *f, uint64_t window_ns);
/* The longest that one touch or one giving back took that began in the window, in µs. */
double faulter_end(struct faulter *f);

#endif
