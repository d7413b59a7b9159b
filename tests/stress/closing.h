/* SPDX-License-Identifier: MIT */
/*
 * closing.h - the census: what the server holds with a full pool and nobody to serve, before the
 * first request and after the last, and what is left when it is stopped.
 */
#ifndef STRESS_CLOSING_H
#define STRESS_CLOSING_H

#include "ledger.h"
#include "stage.h"

#include <stdbool.h>

struct holding {
	int keeper_fds, broker_fds, host_fds;	   /* -1: may not be looked at */
	unsigned parked, launched, queued, leaves; /* by status */
	long keeper_kib, broker_kib;		   /* resident */
	unsigned processes, zombies;		   /* by /proc: all that descend from the keeper */
};

/* Looks until it is at rest (full pool, nothing launched, no zombies) and, if not NULL, as before;
 * 0, or -1 when that does not come about in time: ret has what was last seen. */
int holding_await(struct stage *s, const struct holding *before, struct holding *ret);
/* Says on stderr what else there is: leaves that are not parked, who asked for them, and who holds
 * what. */
void holding_explain(struct stage *s, const struct ledger *ledger);
bool holding_is_at_rest(const struct holding *h);
/* What is left of the server when it is over: processes that came to this one, its subreaper. Says
 * which, and ends them. */
unsigned leftover_processes(void);

#endif
