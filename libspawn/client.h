/* SPDX-License-Identifier: MIT */
/* client.h - from the handle that users hold to the connection of this process. */
#ifndef LIBSPAWN_CLIENT_H
#define LIBSPAWN_CLIENT_H

#include "connection.h"

struct spawn_client {
	_Atomic(struct connection *) connection; /* replaced in a forked child, never NULL */
};

/* A reference to the connection of this process: give it back with connection_unref(). */
int client_enter(struct spawn_client *client, struct connection **ret, struct spawn_error *err);

#endif
