/* SPDX-License-Identifier: MIT */
/*
 * spawnd-config - the one process that reads the configuration file. It never meets a client: the
 * keeper runs it and gets a flat table on descriptor 3.
 */
#include "base/fd.h"
#include "build-config.h"
#include "config/file.h"
#include "config/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sysexits.h>
#include <unistd.h>

#define TABLE_FD   3
#define EXIT_USAGE 2

enum action { ACTION_TABLE, ACTION_CHECK, ACTION_PRINT };

struct arguments {
	enum action action;
	const char *template_dir, *path;
	bool system;
};

static int usage(const char *text, const char *which)
{
	fprintf(stderr,
		"spawnd-config: %s%s (usage: spawnd-config [--check|--print] --template-dir DIR --mode "
		"user|system FILE)\n",
		text, which);
	return EXIT_USAGE;
}

static void help(void)
{
	puts("spawnd-config [--check|--print] --template-dir DIR --mode user|system FILE\n"
	     "\n"
	     "Reads a configuration of spawnd and writes it as a table to descriptor 3, for spawnd.\n"
	     "\n"
	     "  --check              say whether the file is right, and write no table\n"
	     "  --print              print it as JSON with the defaults filled in, likewise\n"
	     "  --template-dir DIR   where an \"object\" without a '/' lies\n"
	     "  --mode user|system   for which server\n"
	     "  --version, --help\n"
	     "\n"
	     "Ends with 0, 1 (could not do it), 2 (usage), 78 (the file is refused).");
}

/* 0, or -1 and the exit code. */
static int parse_arguments(int argc, char **argv, struct arguments *a, int *ret_code)
{
	static const struct option options[] = {
		{"check", no_argument, NULL, 'c'},
		{"print", no_argument, NULL, 'p'},
		{"template-dir", required_argument, NULL, 't'},
		{"mode", required_argument, NULL, 'm'},
		{"version", no_argument, NULL, 'v'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	const char *mode = NULL;
	int c;

	*ret_code = EXIT_USAGE;
	opterr = 0;
	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (c) {
		case 'c':
			a->action = ACTION_CHECK;
			break;
		case 'p':
			a->action = ACTION_PRINT;
			break;
		case 't':
			a->template_dir = optarg;
			break;
		case 'm':
			mode = optarg;
			break;
		case 'v':
			*ret_code = puts("spawnd-config " SPAWND_VERSION) < 0;
			return -1;
		case 'h':
			help();
			*ret_code = 0;
			return -1;
		default:
			usage("bad option ", argv[optind - 1]);
			return -1;
		}
	}
	if (argc - optind != 1)
		usage(argc == optind ? "no FILE" : "more than one FILE", "");
	else if (!a->template_dir || !a->template_dir[0])
		usage("--template-dir is missing", "");
	else if (!mode || (strcmp(mode, "user") != 0 && strcmp(mode, "system") != 0))
		usage(mode ? "--mode is user or system, not " : "--mode is missing",
		      mode ? mode : "");
	else
		*ret_code = 0;
	if (*ret_code != 0)
		return -1;
	a->path = argv[optind];
	a->system = strcmp(mode, "system") == 0;
	return 0;
}

/* The host that loads the object has another working directory. */
static char *absolute(const char *dir)
{
	char *cwd, *path;

	if (dir[0] == '/')
		return strdup(dir);
	cwd = getcwd(NULL, 0);
	if (!cwd || asprintf(&path, "%s/%s", cwd, dir) < 0)
		path = NULL;
	free(cwd);
	return path;
}

static int load(const struct arguments *a, const struct parse_options *options, struct parsed **ret)
{
	_cleanup_free_ char *text = NULL;
	struct reject reject;
	size_t len;
	int r = config_file_read(a->path, &text, &len, &reject);

	if (r == 0)
		r = config_parse(text, len, options, ret, &reject);
	if (r == 0)
		return 0;
	if (reject.at.line > 0)
		fprintf(stderr, "%s:%u:%u: %s\n", a->path, reject.at.line, reject.at.column,
			reject.text);
	else
		fprintf(stderr, "%s: %s\n", a->path, reject.text);
	return r == -ENOMEM ? EXIT_FAILURE : EX_CONFIG;
}

static int print(const struct parsed *parsed)
{
	_cleanup_free_ char *text = config_print(&parsed->config, parsed->broker_user);

	if (!text || puts(text) < 0 || fflush(stdout) != 0) {
		fprintf(stderr, "spawnd-config: cannot print the configuration: %s\n",
			text ? strerrordesc_np(errno) : "out of memory");
		return EXIT_FAILURE;
	}
	return 0;
}

static int write_table(const struct arguments *a, const struct parsed *parsed, int fd)
{
	struct spawn_error err;
	int r = config_write(&parsed->config, fd, &err);

	if (r == 0)
		return 0;
	fprintf(stderr, "%s: %s\n", a->path, err.message);
	return r == -EFBIG ? EX_CONFIG : EXIT_FAILURE;
}

/* The whole way but for the server's side of it: a table that is too large is refused here too. */
static int check(const struct arguments *a, const struct parsed *parsed)
{
	size_t n = parsed->config.n_templates;
	_cleanup_close_ int fd = memfd_create("spawnd-config", MFD_CLOEXEC);
	int code;

	if (fd < 0) {
		fprintf(stderr, "spawnd-config: no memfd: %s\n", strerrordesc_np(errno));
		return EXIT_FAILURE;
	}
	code = write_table(a, parsed, fd);
	if (code != 0)
		return code;
	if (printf("%s: ok, %zu template%s\n", a->path, n, n == 1 ? "" : "s") < 0 ||
	    fflush(stdout) != 0) {
		fprintf(stderr, "spawnd-config: cannot print: %s\n", strerrordesc_np(errno));
		return EXIT_FAILURE;
	}
	return 0;
}

static int act(const struct arguments *a, const struct parsed *parsed)
{
	switch (a->action) {
	case ACTION_CHECK:
		return check(a, parsed);
	case ACTION_PRINT:
		return print(parsed);
	case ACTION_TABLE:
		break;
	}
	return write_table(a, parsed, TABLE_FD);
}

int main(int argc, char **argv)
{
	struct arguments a = {.action = ACTION_TABLE};
	_cleanup_free_ char *template_dir = NULL;
	struct parse_options options;
	struct parsed *parsed;
	int code;

	if (parse_arguments(argc, argv, &a, &code) < 0)
		return code;
	/* Asked before anything is opened, or that would be descriptor 3. */
	if (a.action == ACTION_TABLE && fcntl(TABLE_FD, F_GETFD) < 0)
		return usage("descriptor 3 is not open: people want --check or --print", "");
	template_dir = absolute(a.template_dir);
	if (!template_dir) {
		fprintf(stderr, "spawnd-config: cannot find the template directory: %s\n",
			strerrordesc_np(errno));
		return EXIT_FAILURE;
	}
	options = (struct parse_options){.template_dir = template_dir, .system = a.system};
	code = load(&a, &options, &parsed);
	if (code != 0)
		return code;
	code = act(&a, parsed);
	parsed_free(parsed);
	return code;
}
