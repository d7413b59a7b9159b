/* SPDX-License-Identifier: MIT */
#include "driver.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is asked of a run with at most that much havoc. */
#define SERVED_PERCENT	95.0
#define SERVED_AT_KILLS 1.0

static unsigned bad;

/* "12,345" in one of a few static buffers. */
static const char *grouped(unsigned long n)
{
	static char bufs[4][32];
	static unsigned next;
	char digits[24], *to = bufs[next++ % 4], *ret = to;
	size_t len = (size_t)snprintf(digits, sizeof(digits), "%lu", n);

	for (size_t i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			*to++ = ',';
		*to++ = digits[i];
	}
	*to = '\0';
	return ret;
}

static void heading(const char *text)
{
	printf("\n%s\n", text);
}

/* A fact and whether it is as it should be. */
__attribute__((format(printf, 3, 4))) static void check(const char *what, bool holds,
							const char *format, ...)
{
	va_list args;

	bad += !holds;
	printf("  %s %-34s ", holds ? "ok " : "BAD", what);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

static void report_answers(const struct tally *t)
{
	unsigned asked = tally_asked(t);

	heading("what became of the requests");
	for (unsigned v = 0; v < VERDICT_COUNT; v++) {
		if (!t->count[v] && v != WRONG && v != HUNG && v != UNKNOWN_START &&
		    v != UNKNOWN_END)
			continue;
		printf("  %-34s %10s", verdict_name((enum verdict)v), grouped(t->count[v]));
		if (v < NOT_ASKED && asked)
			printf("  %6.2f %%", 100.0 * t->count[v] / asked);
		putchar('\n');
	}
}

static void report_times(const struct tally *t)
{
	static const char *const names[] = {"spawn_process(): runs", "spawn_submit(): handed"};

	heading("ms until the answer                     median    99 %    worst");
	for (int i = 0; i < 2; i++) {
		const double *ms = t->answer_ms[i];
		size_t n = t->n_answer[i];

		if (n == 0)
			continue;
		printf("  %-34s %9.3f %7.2f %8.1f\n", names[i], ms[n / 2], ms[n * 99 / 100],
		       ms[n - 1]);
	}
}

static void report_havoc(const struct driver *d)
{
	heading("killed, and asked of the keeper");
	for (unsigned i = HAVOC_NONE + 1; i < HAVOC_COUNT; i++) {
		unsigned missed = d->havoc.missed[i];

		printf("  %-34s %10s", havoc_name((enum havoc)i),
		       grouped(havoc_count(&d->havoc, (enum havoc)i)));
		if (missed)
			printf("  (%s more found none)", grouped(missed));
		putchar('\n');
	}
}

static void check_memory(const char *what, const struct memory *m, uint32_t done, long before,
			 long after)
{
	struct memory_line line = memory_line(m, done);

	check(what, line.grown_kib < MEMORY_NOISE_KIB,
	      "%ld -> %ld KiB at work, %+.2f KiB per 1,000 requests; at rest %ld -> %ld", line.from,
	      line.to, line.slope, before, after);
}

static void check_fds(const char *what, int before, int after)
{
	if (before < 0 || after < 0)
		printf("      %-34s may not be looked at by this user\n", what);
	else
		check(what, before == after, "%d -> %d", before, after);
}

static void report_census(const struct driver *d)
{
	const struct holding *b = &d->before, *a = &d->after;
	uint32_t done = atomic_load(&d->ledger->done);

	heading("census, before the first request and after the last");
	check("leaves that nobody waits for", a->launched == 0 && a->leaves == a->parked, "%u",
	      a->leaves - a->parked);
	check("queued requests", a->queued == 0, "%u", a->queued);
	check("parked leaves", a->parked == b->parked, "%u -> %u", b->parked, a->parked);
	check("processes below the keeper", a->processes == b->processes, "%u -> %u", b->processes,
	      a->processes);
	check("zombies", a->zombies == 0, "%u", a->zombies);
	check_fds("descriptors of the keeper", b->keeper_fds, a->keeper_fds);
	check_fds("descriptors of the broker", b->broker_fds, a->broker_fds);
	check_fds("descriptors of the host", b->host_fds, a->host_fds);
	check_memory("resident memory of the keeper", &d->keeper, done, b->keeper_kib,
		     a->keeper_kib);
	check_memory("resident memory of the broker", &d->broker, done, b->broker_kib,
		     a->broker_kib);
	heading("after the stop");
	check("the server's exit status", d->end_status == 0, "%d", d->end_status);
	check("processes", d->processes == 0, "%u", d->processes);
	check("files in its runtime directory", d->files == 0, "%d", d->files);
}

static void print_again(const struct options *o)
{
	const char *separator = " --only ";

	printf("\n%u of these must not be. Again: dev/stress --seed %llu --spawns %u --clients %u "
	       "--kill %g --seconds %u",
	       bad, (unsigned long long)o->recipe.seed, o->spawns, o->clients,
	       o->recipe.kill_percent, o->seconds);
	for (unsigned i = 0; i < HAVOC_COUNT && o->recipe.kinds != HAVOC_ALL; i++) {
		if (o->recipe.kinds & (1u << i)) {
			printf("%s%s", separator, havoc_word((enum havoc)i));
			separator = ",";
		}
	}
	putchar('\n');
}

unsigned report(const struct driver *d)
{
	const struct options *o = d->options;
	const struct tally *t = &d->tally;
	unsigned asked = tally_asked(t);
	double served = tally_served(t);

	printf("%s requests by %u clients, %g %% with a kill beside them, seed %llu: %.1f s, "
	       "%s a second\n",
	       grouped(asked), o->clients, o->recipe.kill_percent,
	       (unsigned long long)o->recipe.seed, d->seconds,
	       grouped((unsigned long)(d->seconds > 0 ? asked / d->seconds : 0)));
	report_answers(t);
	report_times(t);
	report_havoc(d);
	heading("each request");
	check("answers nothing excuses", t->faults == 0, "%s", grouped(t->faults));
	check("clients that ended by themselves", d->crowd.faults == 0, "%u", d->crowd.faults);
	if (o->recipe.kill_percent <= SERVED_AT_KILLS)
		check("served, of clients not killed", served >= SERVED_PERCENT, "%.2f %%", served);
	else
		printf("      %-34s %.2f %%\n", "served, of clients not killed", served);
	report_census(d);
	check("all else", d->faults == 0, "%u", d->faults);
	if (bad)
		print_again(o);
	else
		printf("\nAll is as it should be%s.\n",
		       d->interrupted ? ", as far as it went: interrupted" : "");
	return bad;
}
