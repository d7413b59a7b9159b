/* SPDX-License-Identifier: MIT */
/* driver.h - one run: a server, clients, havoc, and what became of it all. */
#ifndef STRESS_DRIVER_H
#define STRESS_DRIVER_H

#include "closing.h"
#include "crowd.h"
#include "havoc.h"
#include "ledger.h"
#include "memory.h"
#include "stage.h"
#include "verdict.h"

struct options {
	uint32_t spawns;
	unsigned clients, seconds;
	struct recipe recipe;
	const char *spawnd, *template_dir;
};

struct driver {
	const struct options *options;
	struct stage stage;
	struct crowd crowd;
	struct ledger *ledger;
	const uint8_t *runs;
	struct havoc_log havoc;
	struct memory keeper, broker;
	struct holding before, after;
	struct tally tally;
	double seconds;	     /* that requests were made and served */
	uint32_t first_open; /* all requests before this one are over */
	bool interrupted;
	int end_status;	    /* the server's: 0 */
	unsigned processes; /* left when it is over: 0 */
	int files;	    /* 0 */
	unsigned faults;    /* other than what the rest of this shows */
};

/* All of it; -1 when it could not be done at all. The server is over either way. */
int driver_run(struct driver *d, const struct options *options);
void driver_done(struct driver *d);
/* Prints what came of it. Returns how many things are not as they should be. */
unsigned report(const struct driver *d);

#endif
