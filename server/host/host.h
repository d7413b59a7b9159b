/* SPDX-License-Identifier: MIT */
/*
 * host.h - one warm template and what it needs to fork leaves.
 *
 * All of it is set before the first fork, so that a leaf finds everything in its own copy of this
 * memory and has nothing to allocate.
 */
#ifndef HOST_HOST_H
#define HOST_HOST_H

#include "brood.h"
#include "libspawn-template.h"
#include "poller.h"

#include <stdbool.h>
#include <stdint.h>

/* Descriptors that a host is started with. */
#define HOST_KEEPER_FD 3
#define HOST_SLOTS_FD  4

struct host {
	const char *name;   /* of the template */
	const char *object; /* path of the shared object; NULL in lane exec */
	uint64_t id;
	uint32_t n_slots;
	uint32_t nofork;    /* what its leaves promise */
	bool nofork_weaker; /* a request may ask for less: so the leaf can only promise when
			       launched */
	bool enforce_kernel;
	bool kernel_nofork; /* the kernel can */

	const struct spawn_template *template_;
	void *state; /* what warm() made */

	int null_fd; /* /dev/null, for the stdio of parked leaves */
	uint32_t count;
	struct poller poller;
	struct watch keeper;
	struct brood brood;
	bool stopping;
	bool end_leaves; /* with it */
	uint64_t stop_grace_ms;
};

/* threads.c: 0, or -EBUSY with the names of the threads that are not the main one. */
int threads_check(struct spawn_error *err);

/* fork.c: makes up to n leaves and offers each to the keeper; tells the broker how many it could
 * not. */
void host_fork(struct host *h, uint32_t n);

#endif
