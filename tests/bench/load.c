/* SPDX-License-Identifier: MIT */
/*
 * Starts, for somebody else to count: says who takes part, waits for a line, starts, says for each
 * a spawn how often it gave up the processor of its own will (how often it was woken, that is), its
 * CPU in µs, and of leaves the page faults; waits for a line.
 */
#include "server.h"
#include "starter.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static long voluntary_switches(pid_t pid)
{
	char path[64], line[256];
	long n = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f) &&
	       sscanf(line, "voluntary_ctxt_switches: %ld", &n) != 1)
		;
	if (f)
		fclose(f);
	if (n < 0)
		errx(1, "process %d is gone", (int)pid);
	return n;
}

static void await_line(void)
{
	int c;

	fflush(stdout);
	do
		c = getchar();
	while (c != '\n' && c != EOF);
}

/* What the leaves used, added up. */
struct used {
	double wakes, cpu_us, faults;
};

static void start_one(struct starter *s, struct used *used)
{
	struct spawn_usage usage = {.size = sizeof(usage)};
	struct spawn_proc *proc;
	struct spawn_exit *end;
	struct spawn_error why;

	if (spawn_process(s->client, s->leaf, &proc, &why) < 0)
		errx(1, "spawn_process: %s", why.message);
	if (spawn_proc_wait(proc, -1, &end) < 0)
		errx(1, "spawn_proc_wait failed");
	spawn_exit_usage(end, &usage);
	used->wakes += (double)usage.nvcsw;
	used->cpu_us += (double)(usage.utime_us + usage.stime_us);
	used->faults += (double)usage.minflt;
	spawn_exit_free(end);
	spawn_proc_free(proc);
}

struct counts {
	double cpu_us;
	long wakes;
};

static struct counts counts_of(pid_t pid)
{
	return (struct counts){process_cpu_us(pid), voluntary_switches(pid)};
}

static void say(const char *name, pid_t pid, struct counts before, unsigned n)
{
	struct counts now = counts_of(pid);

	printf("used %-14s %6.2f %8.0f\n", name, (double)(now.wakes - before.wakes) / n,
	       (now.cpu_us - before.cpu_us) / n);
}

void load(const struct bench *b, unsigned n)
{
	static const struct pool_sizes pools[TEMPLATES] = {[TEMPLATE_TINY] = {32, 16}};
	struct counts before[PROCESSES_MAX], self;
	struct process p[PROCESSES_MAX];
	struct used unused = {0}, leaves = {0};
	struct server server;
	struct starter s;
	size_t n_p;

	server_start(&server, b, pools, NULL);
	starter_open(&s, b, TEMPLATE_TINY, server.socket, false);
	starter_prepare(&s, WAY_PROCESS);
	for (unsigned i = 0; i < 64; i++)
		start_one(&s, &unused);
	server_settle(&server);
	n_p = processes_of(server.pid, p);
	printf("client %d\n", (int)getpid());
	for (size_t i = 0; i < n_p; i++)
		printf("%s %d\n", p[i].name, (int)p[i].pid);
	puts("ready");
	await_line();
	self = counts_of(getpid());
	for (size_t i = 0; i < n_p; i++)
		before[i] = counts_of(p[i].pid);
	for (unsigned i = 0; i < n; i++)
		start_one(&s, &leaves);
	say("client", getpid(), self, n);
	for (size_t i = 0; i < n_p; i++)
		say(p[i].name, p[i].pid, before[i], n);
	printf("used %-14s %6.2f %8.0f %8.1f\n", "leaf", leaves.wakes / n, leaves.cpu_us / n,
	       leaves.faults / n);
	puts("done");
	await_line();
	starter_close(&s);
	server_stop(&server);
}
