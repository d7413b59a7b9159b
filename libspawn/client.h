/* SPDX-License-Identifier: MIT */
/* client.h - from the handle that users hold to the connection of this process. */
#ifndef LIBSPAWN_CLIENT_H
#define LIBSPAWN_CLIENT_H

#include "connection.h"

struct spawn_client {
	/* Replaced in a forked child, never NULL. */
	_Atomic(struct connection *) connection;
	/* Beside a server's: to a private host; NULL until the first request needs it. */
	_Atomic(struct connection *) own;
};

/* A reference to the connection of this process: give it back with connection_unref(). */
int client_enter(struct spawn_client *client, struct connection **ret, struct spawn_error *err);
/* The same of the one to a private host, which may be that. */
int client_enter_private(struct spawn_client *client, struct connection **ret,
			 struct spawn_error *err);

#endif
