/* SPDX-License-Identifier: MIT */
/* start.h - a request, from the call of the library to what became of it. */
#ifndef LIBSPAWN_START_H
#define LIBSPAWN_START_H

#include "connection.h"

/* To whom it goes. A reference. */
int start_choose(struct spawn_client *client, const struct spawn_request *request,
		 struct connection **ret, struct spawn_error *err);
/* Without the lock. Once it returns 0 the call is in flight, and to be settled. */
int start_send(struct connection *c, const struct spawn_request *request, uint64_t requested,
	       struct call *call, struct spawn_error *err);
/* Waits until it runs or has failed. Without the lock. */
int start_settle(struct connection *c, struct spawn_request *request, struct call *call,
		 struct spawn_proc **ret, struct spawn_error *err);
/*
 * A server that was lost with the request still in its hands, as the end of the body socket proves,
 * has started nothing, nor has a leaf that died before it was launched: asking again cannot start
 * it twice.
 */
bool start_may_repeat(int r, const struct spawn_error *why);
/* Sends and settles, again where it may. err must not be NULL. Without the lock. */
int start_process(struct connection *c, struct spawn_request *request, uint64_t requested,
		  struct spawn_proc **ret, struct spawn_error *err);

/* Tells the user of a submit, and ends the call. Without the lock. */
void start_complete(struct connection *c, struct call *call);

#endif
