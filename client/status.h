/* SPDX-License-Identifier: MIT */
/* status.h - `spawn status`: what the server says of itself. */
#ifndef CLIENT_STATUS_H
#define CLIENT_STATUS_H

#include "libspawn.h"

/* Ask and print on stdout, nothing before all has come. 0, or a negative errno with err filled. */
int status_print(struct spawn_client *client, struct spawn_error *err);
int status_print_json(struct spawn_client *client, struct spawn_error *err);

#endif
