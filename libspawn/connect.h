/* SPDX-License-Identifier: MIT */
/* connect.h - where the server is, and that it is the right one. */
#ifndef LIBSPAWN_CONNECT_H
#define LIBSPAWN_CONNECT_H

#include "libspawn-error.h"

/* Absolute path of the given socket, or of the default one for NULL; to be freed. */
int connect_path(const char *given, char **ret);
/* The same path, absolute: a reconnect must not depend on where the program is by then. */
int connect_absolute(const char *path, char **ret);
/*
 * A socket connected to a server that the caller or root owns, in a directory that nobody else may
 * write. Waits at most timeout_ms for room in the server's queue.
 */
int connect_server(const char *path, int timeout_ms, int *ret_fd, struct spawn_error *err);

#endif
