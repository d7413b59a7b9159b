/* SPDX-License-Identifier: MIT */
/*
 * main.c - spawnd at work: a server, a thousand leaves that spell-check a text, and the same
 * checker started cold beside them. Run by dev/run.
 */
#include "demo.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static const char usage[] =
	"Usage: demo [--leaves N] [--text FILE] --spawnd PROGRAM --spawn PROGRAM --cold PROGRAM\n"
	"            --config FILE\n";

static int parse_count(const char *s, size_t *ret)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(s, &end, 10);
	if (*s < '0' || *s > '9' || *end || errno || n < LEAVES_PER_COLD || n > 1000000)
		return -EINVAL;
	*ret = n;
	return 0;
}

/* argv as run_job() of stage.c makes it. */
static int job_main(char **argv)
{
	struct demo d = {
		.socket = argv[2],
		.spawnd = argv[3],
		.spawn = argv[4],
		.cold = argv[5],
		.config = argv[6],
		.text = argv[7],
	};

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	return parse_count(argv[8], &d.leaves) < 0 ? 2 : job(&d);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"leaves", required_argument, NULL, 'l'},
		{"text", required_argument, NULL, 't'},
		{"spawnd", required_argument, NULL, 'd'},
		{"spawn", required_argument, NULL, 's'},
		{"cold", required_argument, NULL, 'c'},
		{"config", required_argument, NULL, 'f'},
		{NULL, 0, NULL, 0},
	};
	struct demo d = {.text = "/usr/share/common-licenses/GPL-3", .leaves = 1000};
	int option;

	if (argc == 9 && strcmp(argv[1], "--job") == 0)
		return job_main(argv);
	while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (option == 't')
			d.text = optarg;
		else if (option == 'd')
			d.spawnd = optarg;
		else if (option == 's')
			d.spawn = optarg;
		else if (option == 'c')
			d.cold = optarg;
		else if (option == 'f')
			d.config = optarg;
		else if (option != 'l' || parse_count(optarg, &d.leaves) < 0)
			break;
	}
	if (option >= 0 || optind < argc || !d.spawnd || !d.spawn || !d.cold || !d.config) {
		fputs(usage, stderr);
		return 2;
	}
	return stage(&d);
}
