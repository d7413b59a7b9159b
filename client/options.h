/* SPDX-License-Identifier: MIT */
/* options.h - what the command line says. Strings are borrowed from argv. */
#ifndef CLIENT_OPTIONS_H
#define CLIENT_OPTIONS_H

#include "attributes.h"
#include "resources.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Whatever goes wrong in this command itself, a program that is there and cannot be executed, and
 * one that is not there: as env(1) and timeout(1) have it. */
#define EXIT_SPAWN_FAILED   125
#define EXIT_NOT_EXECUTABLE 126
#define EXIT_NOT_FOUND	    127

enum command {
	COMMAND_SPAWN,
	COMMAND_STATUS,
	COMMAND_PING,
	COMMAND_CENSUS,
	COMMAND_TEMPLATE,
	COMMAND_HELP,
	COMMAND_VERSION
};

/* One -E or -u, applied in their order. */
struct env_edit {
	char *name;	   /* owned */
	const char *value; /* NULL: unset */
};

struct options {
	enum command command;
	const char *socket;	   /* NULL: the default */
	const char *template_name; /* NULL: that of programs */
	const char *argv0, *chdir;
	const char *stdio[3]; /* NULL: this command's */
	struct env_edit *env;
	size_t n_env;
	bool ignore_environment;
	bool has_umask, has_nofork, has_deadline;
	mode_t umask;
	int nofork; /* enum spawn_nofork */
	uint64_t deadline_ms, grace_ms;
	struct attributes attributes;
	struct limits limits;
	bool detach, timing, json, pty, pipe;
	char **args; /* without a template the program and its own; census, template: that word and
			its own */
	size_t n_args;
};

/* 0, or a negative errno after one line on stderr. options_done() is due either way. */
int options_parse(struct options *o, int argc, char **argv);
void options_done(struct options *o);

/* One line on stderr about an option; -EINVAL. */
int usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
