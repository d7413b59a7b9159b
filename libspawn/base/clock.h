/* SPDX-License-Identifier: MIT */
/* clock.h - CLOCK_MONOTONIC in nanoseconds: the one clock for deadlines and timing. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NS_PER_MS ((uint64_t)1000000)
#define NS_PER_S  ((uint64_t)1000000000)

static inline uint64_t clock_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* Milliseconds until the moment, rounded up, for poll(); 0 if it has passed, -1 for "never" (0). */
static inline int clock_poll_timeout(uint64_t moment)
{
	uint64_t now, ms;

	if (moment == 0)
		return -1;
	now = clock_now();
	if (moment <= now)
		return 0;
	ms = (moment - now + NS_PER_MS - 1) / NS_PER_MS;
	return ms > 86400000 ? 86400000 : (int)ms;
}

#endif
