// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static const struct {
	const char *name;
	void (*ask)(void);
} questions[] = {
	{"forkserver", bench_forkserver},
	{"walk", bench_walk},
	{"nothing", bench_nothing},
	{"programs", bench_programs},
};
#define N_QUESTIONS (sizeof(questions) / sizeof(questions[0]))

void give_up(const char *what)
{
	fprintf(stderr, "nofork-bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

void figure(double value, const char *unit, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\t%.6g\t%s\n", value, unit);
	fflush(stdout);
}

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void children_are(int cohort)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", cohort);
	if (cohort >= 0 && !write_text("/proc/sys/vm/nofork_cohort", text))
		give_up("vm.nofork_cohort");
	if (prctl(0x4e464b01 /* PR_SET_NOFORK */, cohort < 0 ? 0 : 2 /* CHILDREN */, 0, 0, 0) < 0 &&
	    cohort >= 0)
		give_up("PR_SET_NOFORK");
}

char *map_apart(unsigned vmas, unsigned pages)
{
	char *p = mmap(NULL, APART(vmas, pages), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		give_up("mmap");
	for (unsigned i = 0; i < vmas; i++)
		if (mprotect(p + APART(i, pages) + pages * PAGE, PAGE, PROT_NONE) < 0)
			give_up("mprotect");
	return p;
}

void write_apart(char *at, unsigned vmas, unsigned pages, char value)
{
	for (unsigned i = 0; i < vmas; i++)
		for (unsigned k = 0; k < pages; k++)
			at[APART(i, pages) + k * PAGE] = value;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--nothing") == 0)
		return 0; /* what bench_nothing() executes */
	if (argc < 2 || strcmp(argv[1], "--help") == 0) {
		puts("Usage: nofork-bench forkserver|walk|nothing|programs...\n\n"
		     "Prints name, value, unit. Needs root, on a machine of its own.");
		return argc < 2 ? 2 : 0;
	}
	for (int i = 1; i < argc; i++) {
		size_t q = 0;

		while (q < N_QUESTIONS && strcmp(argv[i], questions[q].name) != 0)
			q++;
		if (q == N_QUESTIONS) {
			fprintf(stderr, "nofork-bench: no such question: %s\n", argv[i]);
			return 2;
		}
		questions[q].ask();
	}
	return 0;
}
