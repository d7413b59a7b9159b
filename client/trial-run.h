/* SPDX-License-Identifier: MIT */
/* trial-run.h - one run of a command line, as it is or through a template, and what it did. */
#ifndef CLIENT_TRIAL_RUN_H
#define CLIENT_TRIAL_RUN_H

#include "libspawn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct trial_run {
	double ms;
	int status;   /* 128 + n for signal n */
	char *out[2]; /* standard output and errors */
	size_t len[2];
};

/* By posix_spawn(3), program being its path. 0, or a negative errno. */
int trial_cold(const char *program, char *const *argv, struct trial_run *ret);
/* Through a template of the client's server; -ETIMEDOUT after patience_ms. */
int trial_warm(struct spawn_client *client, const char *name, char *const *argv,
	       uint64_t patience_ms, struct trial_run *ret, struct spawn_error *err);
/* Is the program executed anew there, for its environment, or for this one? env may be NULL. 1, 0,
 * or a negative errno. */
int trial_executes(struct spawn_client *client, const char *name, char *const *argv,
		   const char *const *env, struct spawn_error *err);
bool trial_same_output(const struct trial_run *a, const struct trial_run *b);
void trial_run_free(struct trial_run *run);

#endif
