/* SPDX-License-Identifier: MIT */
/*
 * watch.h - takes events as soon as they are there, and looks at each new child's memory.
 *
 * That has to happen before the child executes. A thread on each CPU waits for events, at real-time
 * priority: the fork wakes them before it wakes the child, so wherever the child is to run, one of
 * them runs first.
 */
#ifndef CENSUS_WATCH_H
#define CENSUS_WATCH_H

#include "connector.h"
#include "event.h"

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

/* Each event wakes all of them: with more CPUs than that one thread waits, wherever it is. */
#define WATCHERS_MAX 8

struct watch {
	struct connector connector;
	pid_t self;
	int refused;	   /* errno of the last comparison of memory that was refused ... */
	uint64_t refusals; /* ... and how many were */
	int ready;	   /* an eventfd: there are events to take */
	int stop;	   /* an eventfd: the threads are to end */
	pthread_t threads[WATCHERS_MAX];
	size_t n_threads;
	pthread_mutex_t lock; /* over the connector, what follows, and the order of both */
	struct event *events; /* taken off from first on */
	size_t first, n, size;
	int error; /* latched */
};

/* Listens, and starts the threads. Negative errno after a line on stderr. */
int watch_start(struct watch *w, pid_t self);
/* Up to so many events, in their order, the oldest first, including what the kernel has ready now.
 * How many, or a negative errno. */
int watch_take(struct watch *w, struct event *ret, size_t most);
void watch_stop(struct watch *w);
/* At real-time priority from here on, if that is allowed; what is started does not inherit it. */
void watch_hurry(int priority);

#endif
