/* SPDX-License-Identifier: MIT */
#include "bench.h"

#include "base/clock.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define REFILLED_MS 15

static const char usage[] =
	"Usage: bench --spawnd PROGRAM --templates DIR --directory DIR [--json FILE]\n"
	"             [--markdown FILE] [--data DIR] [--quick | --smoke] [--runs N] [--rounds N]\n"
	"             [--pause MS] [--seed N] [--only QUESTION]... [--load N]\n"
	"Questions: start, rate, memory, blocked\n";

static const struct {
	const char *name;
	void (*ask)(const struct bench *b);
} questions[] = {
	{"start", question_start},
	{"rate", question_rate},
	{"memory", question_memory},
	{"blocked", question_blocked},
};
#define QUESTIONS (sizeof(questions) / sizeof(questions[0]))

const char *work_name(enum work w)
{
	return w == WORK_TINY ? "tiny" : "words";
}

const char *work_cold(const struct bench *b, enum work w)
{
	static char paths[WORKS][4096];

	snprintf(paths[w], sizeof(paths[w]), "%s/%s", b->templates,
		 w == WORK_TINY ? "tiny-cold" : "words-stamp-cold");
	return paths[w];
}

unsigned pause_behind(const struct bench *b, bool served)
{
	return b->pause_ms && served ? b->pause_ms + REFILLED_MS : b->pause_ms;
}

void pause_for(unsigned ms)
{
	struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};

	while (ms && nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

unsigned bench_rounds(const struct bench *b, unsigned rounds, unsigned quick)
{
	return b->smoke ? 1 : b->rounds ? b->rounds : b->quick ? quick : rounds;
}

/* The private host beside the server, where it was built; in the environment of all alike. */
static void name_private_host(const char *spawnd)
{
	char path[4096];

	snprintf(path, sizeof(path), "%.*s/spawn-private", (int)(strrchr(spawnd, '/') - spawnd),
		 spawnd);
	setenv("SPAWN_PRIVATE_HOST", path, 1);
}

static bool parse_number(const char *s, unsigned long max, unsigned long *ret)
{
	char *end;

	errno = 0;
	*ret = strtoul(s, &end, 10);
	return *s >= '0' && *s <= '9' && !*end && !errno && *ret <= max;
}

static bool choose(const char *name, bool chosen[QUESTIONS])
{
	for (size_t i = 0; i < QUESTIONS; i++)
		if (strcmp(name, questions[i].name) == 0)
			return chosen[i] = true;
	return false;
}

struct arguments {
	struct bench bench;
	const char *json, *markdown, *data;
	unsigned long runs, load;
	bool chosen[QUESTIONS], any;
};

static bool take_option(struct arguments *a, int option, const char *value)
{
	unsigned long n = 0;

	switch (option) {
	case 's':
		a->bench.spawnd = value;
		return strchr(value, '/');
	case 't':
		a->bench.templates = value;
		return true;
	case 'd':
		a->bench.directory = value;
		return true;
	case 'j':
		a->json = value;
		return true;
	case 'm':
		a->markdown = value;
		return true;
	case 'a':
		a->data = value;
		return true;
	case 'q':
		return a->bench.quick = true;
	case 'S':
		return a->bench.quick = a->bench.smoke = true;
	case 'n':
		return parse_number(value, RUNS_MAX, &a->runs) && a->runs > 0;
	case 'o':
		return a->any = choose(value, a->chosen);
	case 'r':
		if (!parse_number(value, 1000000, &n))
			return false;
		a->bench.rounds = (unsigned)n;
		return true;
	case 'p':
		if (!parse_number(value, 10000, &n))
			return false;
		a->bench.pause_ms = (unsigned)n;
		return true;
	case 'e':
		if (!parse_number(value, ~0ul, &n))
			return false;
		a->bench.seed = n;
		return true;
	case 'l':
		return parse_number(value, 1000000, &a->load);
	default:
		return false;
	}
}

static void ask(const struct bench *b, size_t question)
{
	uint64_t from = clock_now();

	questions[question].ask(b);
	printf("\n(%s: %.0f s)\n", questions[question].name, (double)(clock_now() - from) / 1e9);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"spawnd", required_argument, NULL, 's'},
		{"templates", required_argument, NULL, 't'},
		{"directory", required_argument, NULL, 'd'},
		{"json", required_argument, NULL, 'j'},
		{"markdown", required_argument, NULL, 'm'},
		{"data", required_argument, NULL, 'a'},
		{"quick", no_argument, NULL, 'q'},
		{"smoke", no_argument, NULL, 'S'},
		{"runs", required_argument, NULL, 'n'},
		{"only", required_argument, NULL, 'o'},
		{"rounds", required_argument, NULL, 'r'},
		{"pause", required_argument, NULL, 'p'},
		{"seed", required_argument, NULL, 'e'},
		{"load", required_argument, NULL, 'l'},
		{NULL, 0, NULL, 0},
	};
	struct arguments a = {.bench = {.pause_ms = 10, .seed = (uint64_t)time(NULL)}, .runs = 1};
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	bool right = true;
	int option;

	while (right && (option = getopt_long(argc, argv, "", options, NULL)) >= 0)
		right = take_option(&a, option, optarg);
	if (!right || optind < argc || !a.bench.spawnd || !a.bench.templates ||
	    !a.bench.directory) {
		fputs(usage, stderr);
		return 2;
	}
	name_private_host(a.bench.spawnd);
	sigaction(SIGPIPE, &ignore, NULL); /* a caller that fails is told of in words */
	if (a.load) {
		load(&a.bench, (unsigned)a.load);
		return 0;
	}
	a.bench.report = report_open(a.json, a.markdown, a.data);
	machine_describe(&a.bench);
	for (unsigned long run = 0; run < a.runs; run++) {
		random_seed(a.bench.seed + run);
		report_run(a.bench.report, a.bench.seed + run);
		for (size_t i = 0; i < QUESTIONS; i++)
			if (!a.any || a.chosen[i])
				ask(&a.bench, i);
	}
	report_close(a.bench.report);
	if (a.bench.smoke)
		puts("\nA smoke test: all that is no figure.");
	return fflush(stdout) == 0 ? 0 : 1;
}
