/* SPDX-License-Identifier: MIT */
#include "demo.h"
#include "figures.h"
#include "libspawn.h"
#include "run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What is measured of a way to start the checker. */
struct way {
	struct figures handle, runs, over;
};

struct tally {
	struct way warm, cold;
	struct run expected; /* of the cold checker: what all others must print */
	double first_us;     /* a leaf before the measured ones */
	double command_us;
	size_t hits;
	const char *nofork; /* static */
};

static int way_init(struct way *w, size_t size)
{
	if (figures_init(&w->handle, size) < 0 || figures_init(&w->runs, size) < 0 ||
	    figures_init(&w->over, size) < 0)
		return -ENOMEM;
	return 0;
}

static void way_done(struct way *w)
{
	figures_done(&w->handle);
	figures_done(&w->runs);
	figures_done(&w->over);
}

static void way_add(struct way *w, const struct run *r)
{
	figures_add(&w->handle, r->handle_us);
	figures_add(&w->runs, r->runs_us);
	figures_add(&w->over, r->over_us);
}

/* 0 if the run found what the cold checker found. */
static int verify(const struct tally *t, const struct run *r, const char *who)
{
	if (r->status == t->expected.status && r->len == t->expected.len &&
	    memcmp(r->output, t->expected.output, r->len) == 0)
		return 0;
	fprintf(stderr,
		"demo: %s ended with status %d and %zu bytes of words; the cold checker with %d and "
		"%zu\n",
		who, r->status, r->len, t->expected.status, t->expected.len);
	return -EBADMSG;
}

static int leaf_once(struct tally *t, struct spawn_client *client, const struct demo *d,
		     bool measured)
{
	struct run run;
	int r = run_leaf(&run, client, d->text);

	if (r < 0)
		return r;
	r = verify(t, &run, "a leaf");
	if (measured) {
		way_add(&t->warm, &run);
		t->hits += run.pool_hit;
	} else {
		t->first_us = run.over_us;
	}
	t->nofork = run.nofork;
	run_done(&run);
	return r;
}

static int cold_once(struct tally *t, const struct demo *d)
{
	char *argv[] = {(char *)"words", (char *)d->text, NULL};
	struct run run;
	int r = run_program(&run, d->cold, argv);

	if (r < 0)
		return r;
	r = verify(t, &run, "the cold checker, run again,");
	way_add(&t->cold, &run);
	run_done(&run);
	return r;
}

static int command_once(struct tally *t, const struct demo *d)
{
	char *argv[] = {(char *)"spawn", (char *)"-s", (char *)d->socket, (char *)"-t",
			(char *)"words", (char *)"--", (char *)d->text,	  NULL};
	struct run run;
	int r = run_program(&run, d->spawn, argv);

	if (r < 0)
		return r;
	r = verify(t, &run, "the command spawn");
	t->command_us = run.over_us;
	run_done(&run);
	return r;
}

/* The cold runs lie between the leaves, so that both meet the same moods of the machine. */
static int measure(struct tally *t, const struct demo *d)
{
	char *argv[] = {(char *)"words", (char *)d->text, NULL};
	struct spawn_client *client = NULL;
	struct spawn_error err = {0};
	int r = spawn_client_open(&client, d->socket, &err);

	if (r < 0) {
		fprintf(stderr, "demo: %s\n", err.message);
		return r;
	}
	r = run_program(&t->expected, d->cold, argv);
	if (r == 0 && t->expected.status != 0 && t->expected.status != 1) {
		fprintf(stderr, "demo: the cold checker failed with status %d\n",
			t->expected.status);
		r = -EBADMSG;
	}
	if (r == 0)
		r = leaf_once(t, client, d, false);
	for (size_t i = 0; r == 0 && i < d->leaves; i++) {
		r = leaf_once(t, client, d, true);
		if (r == 0 && i % LEAVES_PER_COLD == LEAVES_PER_COLD - 1)
			r = cold_once(t, d);
	}
	if (r == 0)
		r = command_once(t, d);
	spawn_client_close(client);
	return r;
}

/* 12345678 as 12,345,678; n < 10^9. */
static const char *grouped(double n, char buf[16])
{
	unsigned v = (unsigned)(n + 0.5);

	if (v >= 1000000)
		snprintf(buf, 16, "%u,%03u,%03u", v / 1000000, v / 1000 % 1000, v % 1000);
	else if (v >= 1000)
		snprintf(buf, 16, "%u,%03u", v / 1000, v % 1000);
	else
		snprintf(buf, 16, "%u", v);
	return buf;
}

static void print_row(const char *what, struct figures *warm, struct figures *cold)
{
	char a[16], b[16], c[16], e[16];

	printf("  %-27s %9s %9s     %9s %9s\n", what, grouped(figures_percentile(warm, 50), a),
	       grouped(figures_percentile(warm, 99), b), grouped(figures_percentile(cold, 50), c),
	       grouped(figures_percentile(cold, 99), e));
}

static size_t count_lines(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

/* The words of "FILE:LINE: word" lines, as many as go on one line. */
static void print_words(const char *output)
{
	size_t width = 0;

	fputs("  ", stdout);
	while (*output) {
		size_t len = strcspn(output, "\n");
		const char *word = memrchr(output, ' ', len);
		size_t word_len = word ? len - (size_t)(++word - output) : 0;

		if (width + word_len > 68) {
			fputs("...", stdout);
			break;
		}
		width += word_len + 2;
		printf("%.*s%s", (int)word_len, word ? word : "",
		       output[len] && output[len + 1] ? ", " : "");
		output += len + (output[len] == '\n');
	}
	putchar('\n');
}

static void print_report(struct tally *t, const struct demo *d)
{
	const char *bold = isatty(STDOUT_FILENO) ? "\033[1m" : "";
	const char *green = isatty(STDOUT_FILENO) ? "\033[1;32m" : "";
	const char *normal = isatty(STDOUT_FILENO) ? "\033[0m" : "";
	double ratio =
		figures_percentile(&t->cold.over, 50) / figures_percentile(&t->warm.over, 50);
	char a[16], b[16], c[16];

	printf("\n%s%s leaves spell-checked %s%s\n", bold, grouped((double)d->leaves, a), d->text,
	       normal);
	printf("each found the %zu words that the cold checker finds:\n",
	       count_lines(t->expected.output));
	print_words(t->expected.output);
	printf("\n  %-28s %s%19s     %19s%s\n", "times in µs", bold, "a leaf of spawnd",
	       "cold, posix_spawn", normal);
	printf("  %-27s %9s %9s     %9s %9s\n", "", "median", "p99", "median", "p99");
	print_row("pid in hand", &t->warm.handle, &t->cold.handle);
	print_row("it runs", &t->warm.runs, &t->cold.runs);
	print_row("checked, status known", &t->warm.over, &t->cold.over);
	printf("\n  pool       %s of %s leaves were parked, waiting (%.1f %%)\n",
	       grouped((double)t->hits, a), grouped((double)d->leaves, b),
	       100.0 * (double)t->hits / (double)d->leaves);
	printf("  rate       %s spawns a second, one after the other, each waited for\n",
	       grouped((double)t->warm.over.n / figures_sum(&t->warm.over) * 1e6, a));
	printf("  first      %s µs for the very first leaf\n", grouped(t->first_us, a));
	printf("  no-fork    %s\n", t->nofork);
	printf("  command    spawn -t words: same words, status %d, %s µs with its own start\n",
	       t->expected.status, grouped(t->command_us, c));
	printf("\n%s%.1f× sooner than posix_spawn of the same checker%s (median, this run)\n\n",
	       green, ratio, normal);
}

int job(const struct demo *d)
{
	struct tally t = {0};
	int r = -ENOMEM;

	if (way_init(&t.warm, d->leaves) == 0 &&
	    way_init(&t.cold, d->leaves / LEAVES_PER_COLD) == 0)
		r = measure(&t, d);
	if (r == 0) {
		print_report(&t, d);
		if (fflush(stdout) != 0 || ferror(stdout)) {
			fprintf(stderr, "demo: cannot write to standard output\n");
			r = -EIO;
		}
	}
	run_done(&t.expected);
	way_done(&t.warm);
	way_done(&t.cold);
	return r < 0 ? 1 : 0;
}
