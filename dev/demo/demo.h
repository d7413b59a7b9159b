/* SPDX-License-Identifier: MIT */
/* demo.h - the demonstration that dev/run runs: what it was given, and its two halves. */
#ifndef DEMO_DEMO_H
#define DEMO_DEMO_H

#include <stddef.h>

struct demo {
	const char *spawnd, *spawn, *cold; /* executables */
	const char *config;
	const char *text;   /* the file to be checked */
	size_t leaves;	    /* how many check it */
	const char *socket; /* of the server */
};

#define LEAVES_PER_COLD 10 /* one cold run after so many leaves */

/*
 * The job, in a process of its own so that a signal can end it at any point without cleaning up:
 * checks, measures, prints. Returns the exit status.
 */
int job(const struct demo *d);

/* Starts a server in a temporary directory, runs this program again with --job, stops all, and
 * looks whether anything is left. Returns the exit status. */
int stage(struct demo *d);

#endif
