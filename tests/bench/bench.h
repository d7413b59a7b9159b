/* SPDX-License-Identifier: MIT */
/*
 * bench.h - the bench that dev/bench runs: what it was given, and its questions. Whatever fails
 * ends the program with a line on stderr: half a measurement is none. Its server leaves with it.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include "report.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bench {
	const char *spawnd;
	const char *templates; /* the directory of the bench's own templates and programs */
	const char *directory; /* for sockets and configurations; removed by who made it */
	bool quick;
	bool smoke;	   /* does it work? little of everything; no figures */
	unsigned rounds;   /* 0: as each question likes */
	unsigned pause_ms; /* of quiet in front of each single start, for all ways alike */
	uint64_t seed;
	struct report *report;
};

/* Two programs, and templates of the same source: what a start costs alone, and a warm one. */
enum work { WORK_TINY, WORK_WORDS, WORKS };
const char *work_name(enum work w);
/* Into a static buffer of each work's own. */
const char *work_cold(const struct bench *b, enum work w);

/* Each question prints its tables and adds them to the JSON. */
void question_start(const struct bench *b);   /* first instruction, handle, exit to status */
void question_rate(const struct bench *b);    /* spawns a second, CPU a spawn */
void question_memory(const struct bench *b);  /* of a parked leaf */
void question_blocked(const struct bench *b); /* the caller, by its size */
/* Not a question: so many starts for tests/bench/trace to count the system calls of. */
void load(const struct bench *b, unsigned n);

/* As each question does it, unless told otherwise. */
unsigned bench_rounds(const struct bench *b, unsigned rounds, unsigned quick);

void machine_describe(const struct bench *b);

/*
 * In front of a single start: longer where the one before it, of whatever way, took a leaf of a
 * pool. That is refilled after 20 ms without another (server/broker/pool.c), and the start that is
 * measured next shall not be beside it.
 */
unsigned pause_behind(const struct bench *b, bool served);

/* Sleeps; measurements pause, tests do not. */
void pause_for(unsigned ms);

#endif
