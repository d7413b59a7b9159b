// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "stress.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char help[] =
	"Usage: nofork-stress [--seconds N] [--seed N] [--only PART] [--machine [--require]]\n"
	"\n"
	"No-fork processes whose memory is written, split, merged, moved, unmapped while\n"
	"it is swapped, migrated, compacted, merged, collapsed; each knows what its memory\n"
	"must hold. All parts at once, for N seconds (10).\n"
	"\n"
	"  --only PART  of server, generation, race, exec, limits, userfault, trace, twins, grow,\n"
	"               huge\n"
	"  --machine    it is a machine of their own: may make swap, merge, compact, split, and\n"
	"               migrate whatever there is, and change vm.nofork_cohort\n"
	"  --require    a part or a kind of pressure that is not there is a failure\n"
	"\n"
	"Exit status: 0, all held; 1, not. The kernel's own reports are to be looked for\n"
	"on its console.\n";

static const struct part {
	const char *name;
	int (*run)(const struct run *run, struct dice *d);
} parts[] = {
	{"server", part_server}, {"generation", part_generation}, {"race", part_race},
	{"exec", part_exec},	 {"limits", part_limits},	  {"userfault", part_userfault},
	{"trace", part_trace},	 {"twins", part_twins},		  {"grow", part_grow},
	{"huge", part_huge},
};
#define N_PARTS (sizeof(parts) / sizeof(parts[0]))
#define SKIPPED 77

/* What must have happened for the run to say something. */
static const struct {
	const char *event, *what;
} events[] = {
	{"pswpin", "swapped in"},	   {"pswpout", "swapped out"},
	{"pgmigrate_success", "migrated"}, {"compact_migrate_scanned", "looked at to compact"},
	{"thp_split_page", "huge, split"}, {"thp_collapse_alloc", "huge, collapsed"},
	{"cow_ksm", "copied from merged"}, {"nofork_mm", "no-fork address spaces"},
};
#define N_EVENTS (sizeof(events) / sizeof(events[0]))

static void read_events(long *values)
{
	FILE *f = fopen("/proc/vmstat", "re");
	char name[64];
	long value;

	for (size_t i = 0; i < N_EVENTS; i++)
		values[i] = -1;
	while (f && fscanf(f, "%63s %ld", name, &value) == 2)
		for (size_t i = 0; i < N_EVENTS; i++)
			if (strcmp(name, events[i].event) == 0)
				values[i] = value;
	if (f)
		fclose(f);
}

static pid_t start(const struct part *part, const struct run *run, size_t number)
{
	pid_t pid = fork();

	if (pid == 0) {
		struct dice d = {run->seed * 1000003 + number};
		int bad = part->run(run, &d);

		_exit(bad < 0 ? SKIPPED : bad != 0);
	}
	return pid;
}

static bool running(const pid_t *pids)
{
	for (size_t i = 0; i < N_PARTS; i++) {
		siginfo_t si = {0};

		if (pids[i] > 0 &&
		    waitid(P_PID, (id_t)pids[i], &si, WEXITED | WNOWAIT | WNOHANG) == 0 &&
		    si.si_pid == 0)
			return true;
	}
	return false;
}

/* TAP; how many failed. */
static int tell(const char *name, int status, bool require, int number)
{
	bool skipped = WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED;

	if (skipped && !require) {
		printf("ok %d stress.%s # SKIP this kernel does not have it\n", number, name);
		return 0;
	}
	printf("%sok %d stress.%s\n", status == 0 ? "" : "not ", number, name);
	return status != 0;
}

static int tell_events(const long *before, bool require, int number)
{
	long after[N_EVENTS];
	int bad = 0;

	read_events(after);
	for (size_t i = 0; i < N_EVENTS; i++) {
		long n = after[i] < 0 ? -1 : after[i] - before[i];

		printf("stress\t%s\t%ld\t%s\n", events[i].event, n, events[i].what);
		if (n > 0 || (!require && n < 0)) {
			printf("ok %d stress.%s%s\n", number++, events[i].event,
			       n < 0 ? " # SKIP not counted here" : "");
		} else {
			printf("%sok %d stress.%s%s\n", require ? "not " : "", number++,
			       events[i].event, require ? "" : " # SKIP it did not happen");
			bad += require;
		}
	}
	return bad;
}

static int run_all(const struct run *run, const char *only, bool machine, bool require)
{
	pid_t pids[N_PARTS] = {0};
	struct dice d = {run->seed};
	long before[N_EVENTS];
	int bad = 0, number = 1;

	if (machine)
		pressure_begin();
	read_events(before);
	for (size_t i = 0; i < N_PARTS; i++)
		if (!only || strcmp(only, parts[i].name) == 0)
			pids[i] = start(&parts[i], run, i);
	while (running(pids)) {
		if (machine)
			pressure_turn(&d);
		usleep(50000); /* a pace, not an order */
	}
	for (size_t i = 0; i < N_PARTS; i++) {
		int status;

		if (pids[i] > 0 && waitpid(pids[i], &status, 0) == pids[i])
			bad += tell(parts[i].name, status, require, number++);
	}
	if (number == 1) {
		fprintf(stderr, "nofork-stress: no such part: %s\n", only);
		return 2;
	}
	bad += tell_events(before, require, number);
	printf("1..%d\n", number - 1 + (int)N_EVENTS);
	return bad != 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"seconds", required_argument, NULL, 's'}, {"seed", required_argument, NULL, 'e'},
		{"only", required_argument, NULL, 'o'},	   {"require", no_argument, NULL, 'r'},
		{"machine", no_argument, NULL, 'm'},	   {"exec", required_argument, NULL, 'x'},
		{"help", no_argument, NULL, 'h'},	   {0},
	};
	struct run run = {.seed = 1, .self = "/proc/self/exe"};
	const char *only = NULL;
	bool require = false, machine = false;
	double seconds = 10;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (c) {
		case 's':
			seconds = strtod(optarg, NULL);
			break;
		case 'e':
			run.seed = strtoull(optarg, NULL, 10);
			break;
		case 'o':
			only = optarg;
			break;
		case 'r':
			require = true;
			break;
		case 'm':
			machine = true;
			break;
		case 'x':
			return exec_main(strtoull(optarg, NULL, 10));
		case 'h':
			fputs(help, stdout);
			return 0;
		default:
			return 2;
		}
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	run.end = seconds_now() + seconds;
	return run_all(&run, only, machine, require);
}
