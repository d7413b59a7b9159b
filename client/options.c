/* SPDX-License-Identifier: MIT */
#include "options.h"
#include "libspawn.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECONDS_MAX	 (366ull * 86400)
#define GRACE_DEFAULT_MS 5000

enum {
	OPT_UMASK = 256,
	OPT_NOFORK,
	OPT_BLOCK_SIGNAL,
	OPT_DEFAULT_SIGNAL,
	OPT_IGNORE_SIGNAL,
	OPT_SESSION,
	OPT_CGROUP,
	OPT_USER,
	OPT_CAPABILITIES,
	OPT_STDIN,
	OPT_STDOUT,
	OPT_STDERR,
	OPT_NO_NEW_PRIVS,
	OPT_LIMIT,
	OPT_NICE,
	OPT_CPUS,
	OPT_OOM_SCORE_ADJ,
	OPT_TIMER_SLACK,
	OPT_TIMEOUT,
	OPT_GRACE,
	OPT_PTY,
	OPT_PIPE,
	OPT_DETACH,
	OPT_ARGV0,
	OPT_TIMING,
	OPT_JSON,
	OPT_HELP,
	OPT_VERSION
};

static const struct option long_options[] = {
	{"template", required_argument, NULL, 't'},
	{"chdir", required_argument, NULL, 'C'},
	{"setenv", required_argument, NULL, 'E'},
	{"ignore-environment", no_argument, NULL, 'i'},
	{"unset", required_argument, NULL, 'u'},
	{"socket", required_argument, NULL, 's'},
	{"umask", required_argument, NULL, OPT_UMASK},
	{"nofork", optional_argument, NULL, OPT_NOFORK},
	{"block-signal", required_argument, NULL, OPT_BLOCK_SIGNAL},
	{"default-signal", required_argument, NULL, OPT_DEFAULT_SIGNAL},
	{"ignore-signal", required_argument, NULL, OPT_IGNORE_SIGNAL},
	{"session", no_argument, NULL, OPT_SESSION},
	{"no-new-privs", no_argument, NULL, OPT_NO_NEW_PRIVS},
	{"stdin", required_argument, NULL, OPT_STDIN},
	{"stdout", required_argument, NULL, OPT_STDOUT},
	{"stderr", required_argument, NULL, OPT_STDERR},
	{"user", required_argument, NULL, OPT_USER},
	{"capabilities", required_argument, NULL, OPT_CAPABILITIES},
	{"cgroup", required_argument, NULL, OPT_CGROUP},
	{"limit", required_argument, NULL, OPT_LIMIT},
	{"nice", required_argument, NULL, OPT_NICE},
	{"cpus", required_argument, NULL, OPT_CPUS},
	{"oom-score-adj", required_argument, NULL, OPT_OOM_SCORE_ADJ},
	{"timer-slack", required_argument, NULL, OPT_TIMER_SLACK},
	{"timeout", required_argument, NULL, OPT_TIMEOUT},
	{"grace", required_argument, NULL, OPT_GRACE},
	{"pty", no_argument, NULL, OPT_PTY},
	{"pipe", no_argument, NULL, OPT_PIPE},
	{"detach", no_argument, NULL, OPT_DETACH},
	{"argv0", required_argument, NULL, OPT_ARGV0},
	{"timing", no_argument, NULL, OPT_TIMING},
	{"json", no_argument, NULL, OPT_JSON},
	{"help", no_argument, NULL, OPT_HELP},
	{"version", no_argument, NULL, OPT_VERSION},
	{NULL, 0, NULL, 0},
};

int usage_error(const char *format, ...)
{
	va_list args;

	fputs("spawn: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputs(" (see: spawn --help)\n", stderr);
	return -EINVAL;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Seconds with decimals, into milliseconds, rounded up; no sign, no exponent, no locale. */
static int parse_seconds(const char *s, uint64_t *ret_ms)
{
	uint64_t seconds = 0, ms = 0, unit = 100;
	bool more = false;

	if (!is_digit(*s))
		return -EINVAL;
	for (; is_digit(*s); s++) {
		seconds = seconds * 10 + (uint64_t)(*s - '0');
		if (seconds > SECONDS_MAX)
			return -ERANGE;
	}
	if (*s == '.') {
		if (!is_digit(*++s))
			return -EINVAL;
		for (; is_digit(*s); s++, unit /= 10) {
			ms += unit * (uint64_t)(*s - '0');
			more |= unit == 0 && *s != '0';
		}
	}
	if (*s)
		return -EINVAL;
	*ret_ms = seconds * 1000 + ms + more;
	return 0;
}

static int parse_umask(const char *s, mode_t *ret)
{
	unsigned mask = 0;

	if (!*s)
		return -EINVAL;
	for (; *s; s++) {
		if (*s < '0' || *s > '7')
			return -EINVAL;
		mask = mask * 8 + (unsigned)(*s - '0');
		if (mask > 0777)
			return -ERANGE;
	}
	*ret = mask;
	return 0;
}

static int parse_nofork(const char *s, int *ret)
{
	static const struct {
		const char *name;
		enum spawn_nofork level;
	} levels[] = {
		{"off", SPAWN_NOFORK_OFF},
		{"copy", SPAWN_NOFORK_COPY},
		{"process", SPAWN_NOFORK_PROCESS},
	};

	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
		if (strcmp(s, levels[i].name) == 0) {
			*ret = levels[i].level;
			return 0;
		}
	return -EINVAL;
}

static int add_env(struct options *o, const char *arg, bool unset)
{
	const char *equals = strchr(arg, '=');
	struct env_edit *env;
	char *name;

	if (unset && (equals || !*arg))
		return usage_error("-u wants the name of a variable, not '%s'", arg);
	if (!unset && (!equals || equals == arg))
		return usage_error("-E wants NAME=VALUE, not '%s'", arg);
	env = reallocarray(o->env, o->n_env + 1, sizeof(*env));
	if (!env)
		return usage_error("out of memory");
	o->env = env;
	name = unset ? strdup(arg) : strndup(arg, (size_t)(equals - arg));
	if (!name)
		return usage_error("out of memory");
	env[o->n_env++] = (struct env_edit){.name = name, .value = unset ? NULL : equals + 1};
	return 0;
}

static int bad_seconds(const char *option, const char *arg)
{
	return usage_error("%s wants seconds, as 2 or 0.25, at most 366 days, not '%s'", option,
			   arg);
}

/* What the process itself has. */
static int take_attribute(struct options *o, int option, const char *arg)
{
	switch (option) {
	case OPT_BLOCK_SIGNAL:
		return attributes_block(&o->attributes, arg);
	case OPT_DEFAULT_SIGNAL:
		return attributes_default(&o->attributes, arg);
	case OPT_IGNORE_SIGNAL:
		return attributes_ignore(&o->attributes, arg);
	case OPT_STDIN:
	case OPT_STDOUT:
	case OPT_STDERR:
		o->stdio[option - OPT_STDIN] = arg;
		return *arg ? 0 : usage_error("a standard stream wants a file");
	case OPT_USER:
		return attributes_user(&o->attributes, arg);
	case OPT_CAPABILITIES:
		return attributes_capabilities(&o->attributes, arg);
	case OPT_CGROUP:
		o->attributes.cgroup = arg;
		return *arg ? 0 : usage_error("--cgroup wants a directory");
	case OPT_LIMIT:
		return limits_add(&o->limits, arg);
	case OPT_NICE:
		return limits_nice(&o->limits, arg);
	case OPT_CPUS:
		return limits_cpus(&o->limits, arg);
	case OPT_OOM_SCORE_ADJ:
		return limits_oom_score_adj(&o->limits, arg);
	case OPT_TIMER_SLACK:
		return limits_timer_slack(&o->limits, arg);
	case OPT_NO_NEW_PRIVS:
		o->attributes.no_new_privs = true;
		return 0;
	case OPT_SESSION:
	default:
		o->attributes.session = true;
		return 0;
	}
}

static int take_option(struct options *o, int option, const char *arg)
{
	switch (option) {
	case 't':
		o->template_name = arg;
		return *arg ? 0 : usage_error("-t wants the name of a template");
	case 'C':
		o->chdir = arg;
		return *arg ? 0 : usage_error("-C wants a directory");
	case 'E':
	case 'u':
		return add_env(o, arg, option == 'u');
	case 'i':
		o->ignore_environment = true;
		return 0;
	case 's':
		o->socket = arg;
		return *arg ? 0 : usage_error("-s wants the path of a socket");
	case OPT_UMASK:
		o->has_umask = true;
		return parse_umask(arg, &o->umask) == 0
			       ? 0
			       : usage_error("--umask wants an octal number up to 777, not '%s'",
					     arg);
	case OPT_NOFORK:
		o->has_nofork = true;
		return parse_nofork(arg ? arg : "copy", &o->nofork) == 0
			       ? 0
			       : usage_error("--nofork is off, copy or process, not '%s'", arg);
	case OPT_TIMEOUT:
		o->has_deadline = true;
		if (parse_seconds(arg, &o->deadline_ms) < 0 || o->deadline_ms == 0)
			return bad_seconds("--timeout", arg);
		return 0;
	case OPT_GRACE:
		return parse_seconds(arg, &o->grace_ms) == 0 ? 0 : bad_seconds("--grace", arg);
	case OPT_PTY:
		o->pty = true;
		return 0;
	case OPT_PIPE:
		o->pipe = true;
		return 0;
	case OPT_DETACH:
		o->detach = true;
		return 0;
	case OPT_ARGV0:
		o->argv0 = arg;
		return 0;
	case OPT_TIMING:
		o->timing = true;
		return 0;
	case OPT_JSON:
		o->json = true;
		return 0;
	case OPT_HELP:
		o->command = COMMAND_HELP;
		return 0;
	default:
		o->command = COMMAND_VERSION;
		return 0;
	}
}

/* What getopt_long() saw: the long option as typed, or the letter. */
static int bad_option(int kind, char **argv)
{
	const char *typed = argv[optind - 1];
	char letter[] = {'-', (char)optopt, '\0'};
	const char *name =
		strncmp(typed, "--", 2) == 0 || optopt == 0 || optopt > 255 ? typed : letter;

	if (kind == ':')
		return usage_error("%s wants an argument", name);
	return usage_error("unknown or ambiguous option %s", name);
}

/* Options up to the first word that is none, or past "--". ret_launch_only: one that only a launch
 * has. ret_dashes: it was "--", and no option's argument that reads so. */
static int take_options(struct options *o, int argc, char **argv, const char **ret_launch_only,
			bool *ret_dashes)
{
	for (;;) {
		int before = optind;
		int option = getopt_long(argc, argv, "+:t:C:E:iu:s:", long_options, NULL), r;

		*ret_dashes = option < 0 && optind > before;
		if (option < 0)
			return 0;
		if (option == '?' || option == ':')
			return bad_option(option, argv);
		if (strchr("CEiu", option) || (option >= OPT_UMASK && option <= OPT_TIMING))
			*ret_launch_only = argv[optind - 1];
		r = option >= OPT_BLOCK_SIGNAL && option <= OPT_TIMER_SLACK
			    ? take_attribute(o, option, optarg)
			    : take_option(o, option, optarg);
		if (r < 0 || o->command == COMMAND_HELP || o->command == COMMAND_VERSION)
			return r;
	}
}

static int parse_command(struct options *o, int argc, char **argv, const char *launch_only)
{
	const char *name = argv[optind];
	bool dashes;
	int r;

	if (!name)
		return usage_error("nothing to do: say -- PROGRAM, -t TEMPLATE, status, ping, "
				   "template or census");
	if (strcmp(name, "census") == 0) {
		if (optind > 1)
			return usage_error("census is a program of its own: its options come "
					   "behind it");
		o->command = COMMAND_CENSUS;
		o->args = argv + optind;
		return 0;
	}
	if (strcmp(name, "template") == 0) {
		if (optind > 1)
			return usage_error("the options of template come behind it");
		o->command = COMMAND_TEMPLATE;
		o->args = argv + optind;
		return 0;
	}
	if (strcmp(name, "status") == 0)
		o->command = COMMAND_STATUS;
	else if (strcmp(name, "ping") == 0)
		o->command = COMMAND_PING;
	else
		return usage_error("unknown command '%s'; to start a program say: spawn -- %s",
				   name, name);
	optind++;
	r = take_options(o, argc, argv, &launch_only, &dashes);
	if (r < 0 || o->command == COMMAND_HELP || o->command == COMMAND_VERSION)
		return r;
	if (o->template_name || launch_only)
		return usage_error("%s takes no options of a launch", name);
	if (argv[optind])
		return usage_error("%s takes no arguments: '%s'", name, argv[optind]);
	if (o->json && o->command == COMMAND_PING)
		return usage_error("ping knows no --json");
	return 0;
}

/* What cannot be had together. */
static int check_together(const struct options *o)
{
	if (o->pty && o->detach)
		return usage_error(
			"--pty needs this command at its other end, which --detach ends");
	if (o->pty && (o->stdio[0] || o->stdio[1] || o->stdio[2]))
		return usage_error("--pty brings the standard streams: without --stdin, --stdout, "
				   "--stderr");
	if (o->pipe && (o->detach || o->pty || o->timing || o->template_name))
		return usage_error("--pipe joins programs that are waited for: without --detach, "
				   "--pty, --timing and -t");
	if (o->json && !o->timing && !o->pipe)
		return usage_error("--json of a launch is the form of --timing, or of --pipe: it "
				   "needs one");
	return 0;
}

int options_parse(struct options *o, int argc, char **argv)
{
	const char *launch_only = NULL;
	bool has_grace, dashes;
	int r;

	*o = (struct options){.command = COMMAND_SPAWN, .grace_ms = UINT64_MAX};
	attributes_init(&o->attributes);
	opterr = 0;
	r = take_options(o, argc, argv, &launch_only, &dashes);
	if (r < 0 || o->command == COMMAND_HELP || o->command == COMMAND_VERSION)
		return r;
	if (!o->template_name && !dashes)
		return parse_command(o, argc, argv, launch_only);
	if (!o->template_name && !argv[optind])
		return usage_error("nothing to do: a program is wanted after --");
	has_grace = o->grace_ms != UINT64_MAX;
	if (has_grace && !o->has_deadline)
		return usage_error("--grace is the time after --timeout: it needs one");
	if (!has_grace)
		o->grace_ms = GRACE_DEFAULT_MS;
	o->args = argv + optind;
	o->n_args = (size_t)(argc - optind);
	return check_together(o);
}

void options_done(struct options *o)
{
	for (size_t i = 0; i < o->n_env; i++)
		free(o->env[i].name);
	free(o->env);
	limits_done(&o->limits);
	*o = (struct options){0};
}
