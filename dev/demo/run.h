/* SPDX-License-Identifier: MIT */
/* run.h - the checker run once, warm or cold, with what it printed and how long it took. */
#ifndef DEMO_RUN_H
#define DEMO_RUN_H

#include "libspawn.h"

#include <stdbool.h>
#include <stddef.h>

struct run {
	char *output; /* owned, ends with NUL */
	size_t len;
	int status;	  /* 0 to 255, or -1 */
	double handle_us; /* the pid was known */
	double runs_us;	  /* the call returned: it runs */
	double over_us;	  /* output read to its end, exit status known */
	bool pool_hit;
	const char *nofork; /* static */
};

/* Each: 0, or a negative errno after a line on stderr. The clock runs from before the first
 * preparation, the pipe excepted, until the status is known. run_done() is due on success. */
int run_leaf(struct run *ret, struct spawn_client *client, const char *text);
int run_program(struct run *ret, const char *path, char *const argv[]);
void run_done(struct run *r);

#endif
