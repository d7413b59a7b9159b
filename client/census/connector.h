/* SPDX-License-Identifier: MIT */
/* connector.h - the kernel's process events, by netlink. */
#ifndef CENSUS_CONNECTOR_H
#define CENSUS_CONNECTOR_H

#include "event.h"
#include "sequence.h"

struct connector {
	int fd;
	struct sequence sequence;
	uint64_t lost;	   /* events that did not arrive */
	uint64_t overruns; /* how often the buffer was full */
};

/* Events are kept from here on. Negative errno, after a line on stderr that says why there are none
 * and what helps. */
int connector_open(struct connector *c);
/* The next event: 1; 0: none is there. Negative errno. What is no event of use is passed over.
 * Nothing is looked up. */
int connector_next(struct connector *c, struct event *ret);
void connector_close(struct connector *c);

#endif
