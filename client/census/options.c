/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define DAYS_MAX 366

enum { OPT_FOR = 256, OPT_BELOW, OPT_ALL, OPT_JSON, OPT_HELP, OPT_VERSION };

static const struct option long_options[] = {
	{"for", required_argument, NULL, OPT_FOR},   {"below", required_argument, NULL, OPT_BELOW},
	{"all", no_argument, NULL, OPT_ALL},	     {"json", no_argument, NULL, OPT_JSON},
	{"output", required_argument, NULL, 'o'},    {"help", no_argument, NULL, OPT_HELP},
	{"version", no_argument, NULL, OPT_VERSION}, {NULL, 0, NULL, 0},
};

__attribute__((format(printf, 1, 2))) static int usage_error(const char *format, ...)
{
	va_list args;

	fputs("spawn-census: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputs(" (see: spawn-census --help)\n", stderr);
	return -EINVAL;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* 90, 90s, 1.5m, 2h: into milliseconds, rounded down, at least 1. */
static int parse_duration(const char *s, uint64_t *ret_ms)
{
	static const struct {
		const char *name;
		uint64_t ms;
	} units[] = {{"", 1000}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"ms", 1}};
	uint64_t whole = 0, fraction = 0, digits = 1;

	if (!is_digit(*s))
		return -EINVAL;
	for (; is_digit(*s); s++) {
		whole = whole * 10 + (uint64_t)(*s - '0');
		if (whole > DAYS_MAX * 86400000ull)
			return -ERANGE;
	}
	if (*s == '.' && !is_digit(*++s))
		return -EINVAL;
	for (; is_digit(*s); s++) {
		if (digits < 1000000) {
			fraction = fraction * 10 + (uint64_t)(*s - '0');
			digits *= 10;
		}
	}
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(s, units[i].name) != 0)
			continue;
		*ret_ms = whole * units[i].ms + fraction * units[i].ms / digits;
		return *ret_ms > 0 && *ret_ms <= DAYS_MAX * 86400000ull ? 0 : -ERANGE;
	}
	return -EINVAL;
}

static int parse_pid(const char *s, pid_t *ret)
{
	long pid = 0;

	for (; is_digit(*s); s++) {
		pid = pid * 10 + (*s - '0');
		if (pid > INT32_MAX)
			return -ERANGE;
	}
	*ret = (pid_t)pid;
	return *s || pid == 0 ? -EINVAL : 0;
}

static int take_option(struct options *o, int option, const char *arg)
{
	switch (option) {
	case OPT_FOR:
		return parse_duration(arg, &o->for_ms) == 0
			       ? 0
			       : usage_error("--for wants a duration, as 90, 1.5m or 500ms, at "
					     "most %d days, not '%s'",
					     DAYS_MAX, arg);
	case OPT_BELOW:
		return parse_pid(arg, &o->below) == 0
			       ? 0
			       : usage_error("--below wants a process id, not '%s'", arg);
	case OPT_ALL:
		o->all = true;
		return 0;
	case OPT_JSON:
		o->json = true;
		return 0;
	case 'o':
		o->output = arg;
		return *arg ? 0 : usage_error("-o wants a file");
	case OPT_HELP:
		o->action = ACTION_HELP;
		return 0;
	default:
		o->action = ACTION_VERSION;
		return 0;
	}
}

int options_parse(struct options *o, int argc, char **argv)
{
	int option, before = 1, r;

	*o = (struct options){.action = ACTION_COUNT};
	opterr = 0;
	while ((option = getopt_long(argc, argv, "+:o:", long_options, NULL)) >= 0) {
		before = optind;
		if (option == ':')
			return usage_error("%s wants an argument", argv[optind - 1]);
		if (option == '?')
			return usage_error("unknown or ambiguous option %s", argv[optind - 1]);
		r = take_option(o, option, optarg);
		if (r < 0 || o->action != ACTION_COUNT)
			return r;
	}
	if (argv[optind])
		o->command = argv + optind;
	else if (optind > before) /* it was "--", and no option's argument that reads so */
		return usage_error("a command is wanted after --");
	if (o->below && o->command)
		return usage_error("--below is for processes that run already: with a command it "
				   "is the command's that are counted");
	if (o->all && !o->command)
		return usage_error("--all is for a command: without one all are counted anyway");
	return 0;
}
