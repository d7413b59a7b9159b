/* SPDX-License-Identifier: MIT */
/*
 * table.h - the configuration as keeper and broker use it: flat, checked, read-only.
 *
 * The short-lived `spawnd-config` parses the file, resolves names of users, groups and objects, and
 * writes a table into a memfd, which the keeper seals. Readers check every offset: nothing here
 * trusts the writer more than it must.
 */
#ifndef CONFIG_TABLE_H
#define CONFIG_TABLE_H

#include "libspawn-error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum lane { LANE_OBJECT = 1, LANE_EXEC = 2, LANE_PROGRAM = 3, LANE_MAIN = 4, LANE_PYTHON = 5 };

/* "object", "program", "main", "python", "exec"; "unknown" */
const char *lane_name(unsigned lane);

struct config_template {
	const char *name;
	enum lane lane;
	const char *object;  /* absolute path of the shared object; "" in other lanes */
	const char *program; /* absolute path of the executable, in lane `python` the interpreter's;
				"" in others */
	const char *const *
		args; /* NULL-terminated: the program's, after its name; in lane `python` modules */
	const char *const *env; /* NULL-terminated NAME=VALUE: the host's own environment */
	uint32_t pool_size;	/* parked leaves that a warm pool holds */
	uint32_t pool_low;	/* refill at once when this few are left */
	uint32_t leaves_max;	/* parked, running and untaken together */
	uint32_t queue_max;	/* requests that wait for a leaf */
	uint32_t nofork;	/* enum nofork_level */
	bool nofork_weaker;	/* a request may ask for less */
	bool enforce_kernel;	/* "enforce": "kernel": refuse where only seccomp can */
	bool gate_refuses;	/* "gate": "refuse": what a fork would not keep */
	bool compact;		 /* its memory before its first fork */
	bool prestart;		/* user mode: warm it when the server starts, not at first use */
	bool everyone;		/* no "users" and no "groups": whoever may connect */
	const uint32_t *users;	/* resolved uids */
	size_t n_users;
	const uint32_t *groups; /* resolved gids */
	size_t n_groups;
	uint64_t warm_timeout_ms;
	uint64_t digest; /* of all the above: equal exactly when nothing changed */
};

struct config {
	uint32_t connections_per_uid;
	uint32_t leaves_per_uid; /* running and untaken */
	uint32_t queue_per_uid;
	uint64_t stop_timeout_ms;	 /* SIGTERM: how long running leaves have */
	uint32_t broker_uid, broker_gid; /* system mode; UINT32_MAX when there is no such user */
	size_t n_templates;
	struct config_template *templates;
};

/* The largest table there can be; more is refused. */
#define CONFIG_TABLE_MAX (4u << 20)

/* Writes the table to fd (a memfd, not sealed yet). */
int config_write(const struct config *config, int fd, struct spawn_error *err);
/* Reads a sealed table. Free with config_free(). */
int config_read(int fd, struct config **ret, struct spawn_error *err);
void config_free(struct config *config); /* NULL is fine; of config_read() alone */
/* The template of that name, or NULL. */
const struct config_template *config_find(const struct config *config, const char *name);

#endif
