/* SPDX-License-Identifier: MIT */
/* start.h - what becomes of a request after it was sent. */
#ifndef LIBSPAWN_START_H
#define LIBSPAWN_START_H

#include "connection.h"

/* Tells the user of a submit, and ends the call. Without the lock. */
void start_complete(struct connection *c, struct call *call);

#endif
