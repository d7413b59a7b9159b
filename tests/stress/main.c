/* SPDX-License-Identifier: MIT */
/* stress - see usage(), or dev/stress --help. */
#include "client.h"
#include "driver.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define SPAWNS_MAX  10000000ul
#define SECONDS_MAX 86400ul

static void usage(FILE *to)
{
	fprintf(to,
		"Usage: stress --spawnd PATH --template-dir DIR [--spawns N] [--clients M]\n"
		"              [--kill PERCENT] [--only KINDS] [--seconds LIMIT] [--seed SEED]\n");
}

static unsigned long read_number(const char *option, const char *text, unsigned long min,
				 unsigned long max)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || n < min || n > max) {
		fprintf(stderr, "stress: %s: expected %lu to %lu, not \"%s\"\n", option, min, max,
			text);
		exit(2);
	}
	return n;
}

static double read_percent(const char *text)
{
	char *end;
	double percent = strtod(text, &end);

	if (end == text || *end || !(percent >= 0 && percent <= 100)) {
		fprintf(stderr, "stress: --kill: expected 0 to 100, not \"%s\"\n", text);
		exit(2);
	}
	return percent;
}

/* The kinds of a list with commas. */
static unsigned read_kinds(const char *text)
{
	unsigned kinds = 0, kind = HAVOC_COUNT;
	size_t len;

	for (const char *word = text; *text; word += len + (word[len] == ',')) {
		len = strcspn(word, ",");
		for (kind = HAVOC_NONE + 1; kind < HAVOC_COUNT; kind++) {
			const char *known = havoc_word((enum havoc)kind);

			if (strlen(known) == len && strncmp(known, word, len) == 0)
				break;
		}
		if (kind == HAVOC_COUNT)
			break;
		kinds |= 1u << kind;
		if (!word[len])
			return kinds;
	}
	fprintf(stderr, "stress: --only: expected some of");
	for (kind = HAVOC_NONE + 1; kind < HAVOC_COUNT; kind++)
		fprintf(stderr, " %s", havoc_word((enum havoc)kind));
	fprintf(stderr, ", with commas between, not \"%s\"\n", text);
	exit(2);
}

static void read_options(int argc, char **argv, struct options *o)
{
	static const struct option known[] = {
		{"spawns", required_argument, NULL, 'n'},
		{"clients", required_argument, NULL, 'm'},
		{"kill", required_argument, NULL, 'k'},
		{"only", required_argument, NULL, 'o'},
		{"seconds", required_argument, NULL, 't'},
		{"seed", required_argument, NULL, 's'},
		{"spawnd", required_argument, NULL, 'd'},
		{"template-dir", required_argument, NULL, 'l'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", known, NULL)) >= 0) {
		switch (c) {
		case 'n':
			o->spawns = (uint32_t)read_number("--spawns", optarg, 1, SPAWNS_MAX);
			break;
		case 'm':
			o->clients = (unsigned)read_number("--clients", optarg, 1, CROWD_MAX);
			break;
		case 'k':
			o->recipe.kill_percent = read_percent(optarg);
			break;
		case 'o':
			o->recipe.kinds = read_kinds(optarg);
			break;
		case 't':
			o->seconds = (unsigned)read_number("--seconds", optarg, 1, SECONDS_MAX);
			break;
		case 's':
			o->recipe.seed = read_number("--seed", optarg, 0, UINT64_MAX);
			break;
		case 'd':
			o->spawnd = optarg;
			break;
		case 'l':
			o->template_dir = optarg;
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			usage(stderr);
			exit(2);
		}
	}
	if (optind < argc || !o->spawnd || !o->template_dir) {
		usage(stderr);
		exit(2);
	}
}

/* stress --client SOCKET LEDGER RUNS HAVOC NUMBER, by the driver alone. */
static int client_main(char **argv)
{
	const struct client_setup setup = {
		.socket = argv[2],
		.ledger = (int)read_number("ledger", argv[3], 0, 1024),
		.runs = (int)read_number("runs", argv[4], 0, 1024),
		.havoc = (int)read_number("havoc", argv[5], 0, 1024),
		.number = (uint32_t)read_number("number", argv[6], 1, UINT32_MAX),
	};

	return client_run(&setup);
}

int main(int argc, char **argv)
{
	struct options options = {.spawns = 40000,
				  .clients = 8,
				  .seconds = 600,
				  .recipe = {.kill_percent = 1, .kinds = HAVOC_ALL}};
	struct driver driver;
	unsigned bad;

	if (argc == 7 && strcmp(argv[1], "--client") == 0)
		return client_main(argv);
	if (getrandom(&options.recipe.seed, sizeof(uint32_t), 0) < 0)
		options.recipe.seed = 1;
	read_options(argc, argv, &options);
	printf("seed %llu\n", (unsigned long long)options.recipe.seed);
	fflush(stdout); /* known also when this run does not end */
	if (driver_run(&driver, &options) < 0) {
		driver_done(&driver);
		return 1;
	}
	bad = report(&driver);
	driver_done(&driver);
	return bad ? 1 : 0;
}
