/* SPDX-License-Identifier: MIT */
/* trial-server.h - a server of this command's own, in a temporary directory, with one template. */
#ifndef CLIENT_TRIAL_SERVER_H
#define CLIENT_TRIAL_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

#define TRIAL_TEMPLATE "trial"

struct trial_server {
	char dir[200], socket[240];
	pid_t pid; /* 0: none */
	int pidfd, notify;
};

/* Is this variable one that is used before a program runs any code of its own? */
bool trial_is_key(const char *entry);
/* Returns when it serves. 0, or -1 after one line on stderr. trial_server_stop() is due either way.
 */
int trial_server_start(struct trial_server *s, const char *program);
/* Nothing of it is left. */
void trial_server_stop(struct trial_server *s);

#endif
