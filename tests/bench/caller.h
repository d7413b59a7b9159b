/* SPDX-License-Identifier: MIT */
/*
 * caller.h - a process of a size: it has touched so much memory in pages of 4 KiB and starts what
 * it is asked to, alone or beside threads of its own that fault memory.
 */
#ifndef BENCH_CALLER_H
#define BENCH_CALLER_H

#include "starter.h"

enum company {
	ALONE,	/* it has no thread but one */
	PROBED, /* by a thread that says its worst stall, each of the two on a CPU of its own */
	BUSY,	/* beside BUSY_THREADS that fault, nothing pinned */
	COMPANIES
};
#define BUSY_THREADS 2
/* In each of which a probe looks, as long for all ways; a stall that began in it counts whole. */
#define WINDOW_MS 4

struct caller_sample {
	struct sample sample;
	double stall; /* the probe's worst in the window, µs */
	bool late;    /* the child was not over when the window was */
};

struct caller {
	pid_t pid; /* 0: none */
	int ask[2], answer[2];
};

/* False: there is too little memory for it, and it is not started. ways: all that it will be asked
 * for. */
bool caller_open(struct caller *c, const struct bench *b, const struct server *server, size_t bytes,
		 const enum way *ways, size_t n_ways);
/* The last opened first: each has copies of the pipes of those before it. */
void caller_close(struct caller *c);
/* For companies, one after the other: threads once made stay. */
void caller_run(struct caller *c, enum way way, enum company company, unsigned pause_ms,
		struct caller_sample *ret);

/* Does a probe get two CPUs and SCHED_FIFO here? Without the latter it runs as any thread. */
bool probe_has_cpus(void);
bool probe_is_real_time(void);

#endif
