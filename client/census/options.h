/* SPDX-License-Identifier: MIT */
/* options.h - what the command line says. Strings are borrowed from argv. */
#ifndef CENSUS_OPTIONS_H
#define CENSUS_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum action { ACTION_COUNT, ACTION_HELP, ACTION_VERSION };

struct options {
	enum action action;
	uint64_t for_ms; /* 0: no end of its own */
	pid_t below;	 /* 0: not asked for */
	bool all, json;
	const char *output; /* NULL: the standard output, or error beside a command's */
	char **command;	    /* NULL: none */
};

/* 0, or a negative errno after one line on stderr. */
int options_parse(struct options *o, int argc, char **argv);

#endif
