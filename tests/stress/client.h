/* SPDX-License-Identifier: MIT */
/* client.h - one client process: asks until nothing is left to ask, several at a time. */
#ifndef STRESS_CLIENT_H
#define STRESS_CLIENT_H

#include <libspawn.h>

#include "fate.h"

/* How many leaves a client has running at once. */
#define CLIENT_WINDOW 4

struct client_setup {
	const char *socket;
	int ledger, runs; /* memfds */
	int havoc;	  /* a pipe: the numbers of requests with havoc beside them */
	uint32_t number;  /* which client: 1, 2, ... */
};

/* The client's whole life; returns its exit status. */
int client_run(const struct client_setup *setup);

/* What is asked for that number and fate; NULL when out of memory. */
struct spawn_request *client_request(uint32_t number, const struct fate *fate, int runs);

#endif
