/* SPDX-License-Identifier: MIT */
/* crowd.h - the client processes: started, killed, replaced. */
#ifndef STRESS_CROWD_H
#define STRESS_CROWD_H

#include "client.h"
#include "ledger.h"

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define CROWD_MAX 64

struct member {
	pid_t pid;
	int pidfd;	 /* -1: nobody */
	uint32_t number; /* 1, 2, ...: never used again */
	bool killed;
};

struct crowd {
	struct member members[CROWD_MAX];
	unsigned size, alive;
	uint32_t numbers;
	unsigned faults; /* members that ended otherwise than they should */
	struct ledger *ledger;
	struct client_setup setup;
};

int crowd_start(struct crowd *c, unsigned size);
/* Kills one of those that live; false when there is none. */
bool crowd_kill(struct crowd *c, uint64_t dice);
void crowd_kill_number(struct crowd *c, uint32_t number);
/* Fills fds with what says that a member is over; CROWD_MAX at most. */
nfds_t crowd_poll(const struct crowd *c, struct pollfd *fds);
/* Buries those that are over, replaces those that were killed while there is something to ask. */
void crowd_tend(struct crowd *c);

#endif
