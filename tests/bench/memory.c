/* SPDX-License-Identifier: MIT */
/*
 * What a parked leaf costs: servers with pools of different sizes, and the slope of their memory
 * over the number of leaves. By the server's own memory cgroup where one can be made, and by the
 * machine's own account beside it.
 */
#include "server.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LEAVES_MIN   8
#define LEAVES	     500 /* from the smallest pool to the largest */
#define POINTS	     5
#define LEAVES_SMOKE 8
#define ROUNDS	     3
#define PARKED_KIB   128 /* at most, of the smallest template */

/* Those whose leaves are weighed. */
static const enum template templates[] = {TEMPLATE_TINY, TEMPLATE_WORDS, TEMPLATE_EXEC};
#define N_TEMPLATES (sizeof(templates) / sizeof(templates[0]))

struct cgroup {
	char directory[512]; /* empty: none */
	char procs[600], usage[600];
};

/* Where this process is, for a v1 memory hierarchy or for v2. */
static bool find_own(char *path, size_t size, bool *ret_v2)
{
	char line[512];
	FILE *f = fopen("/proc/self/cgroup", "re");
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f)) {
		const char *memory = strstr(line, ":memory:");
		const char *own = memory			 ? memory + 8
				  : strncmp(line, "0::", 3) == 0 ? line + 3
								 : NULL;
		const char *root = memory ? "/sys/fs/cgroup/memory" : "/sys/fs/cgroup";

		if (!own || (!memory && access("/sys/fs/cgroup/cgroup.controllers", F_OK) < 0))
			continue;
		snprintf(path, size, "%s%.*s", root, (int)strcspn(own, "\n"), own);
		*ret_v2 = !memory;
		found = true;
	}
	if (f)
		fclose(f);
	return found;
}

static bool try_cgroup(struct cgroup *c, const char *parent, bool v2)
{
	snprintf(c->directory, sizeof(c->directory), "%s/spawnd-bench-%d", parent, (int)getpid());
	if (mkdir(c->directory, 0755) < 0)
		return false;
	snprintf(c->procs, sizeof(c->procs), "%s/cgroup.procs", c->directory);
	snprintf(c->usage, sizeof(c->usage), "%s/%s", c->directory,
		 v2 ? "memory.current" : "memory.usage_in_bytes");
	if (access(c->usage, R_OK) == 0)
		return true;
	rmdir(c->directory);
	return false;
}

/* Below our own, else at the top, where a v1 hierarchy does not show ours. */
static void cgroup_open(struct cgroup *c)
{
	char own[480];
	bool v2 = false;

	if (find_own(own, sizeof(own), &v2) &&
	    (try_cgroup(c, own, v2) ||
	     try_cgroup(c, v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory", v2)))
		return;
	c->directory[0] = '\0';
}

static void cgroup_close(struct cgroup *c)
{
	/* Its processes are reaped, but leave a moment later. */
	while (c->directory[0] && rmdir(c->directory) < 0 && errno == EBUSY)
		pause_for(1);
}

static double cgroup_kib(const struct cgroup *c)
{
	FILE *f = fopen(c->usage, "re");
	double bytes;

	if (!f || fscanf(f, "%lf", &bytes) != 1)
		err(1, "%s", c->usage);
	fclose(f);
	return bytes / 1024;
}

static double machine_kib(void)
{
	static const char *const keys[] = {"Slab:", "PageTables:", "KernelStack:", "AnonPages:"};
	FILE *f = fopen("/proc/meminfo", "re");
	char key[64], line[256];
	double sum = 0, value;

	if (!f)
		err(1, "/proc/meminfo");
	while (fgets(line, sizeof(line), f))
		for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
			if (sscanf(line, "%63s %lf", key, &value) == 2 && strcmp(key, keys[i]) == 0)
				sum += value;
	fclose(f);
	return sum;
}

struct point {
	double leaves, cgroup_kib, machine_kib;
};

static struct point measure(const struct bench *b, const struct cgroup *c, enum template t,
			    unsigned leaves)
{
	struct pool_sizes pools[TEMPLATES] = {{0}};
	struct server server;
	struct point p = {.leaves = leaves};
	double before = machine_kib();

	pools[t] = (struct pool_sizes){leaves, 4};
	server_start(&server, b, pools, c->directory[0] ? c->procs : NULL);
	if (c->directory[0])
		p.cgroup_kib = cgroup_kib(c);
	p.machine_kib = machine_kib() - before;
	server_stop(&server);
	return p;
}

static double slope(const struct point *p, size_t n, bool machine)
{
	double sx = 0, sy = 0, sxx = 0, sxy = 0, m = (double)n;

	for (size_t i = 0; i < n; i++) {
		double x = p[i].leaves, y = machine ? p[i].machine_kib : p[i].cgroup_kib;

		sx += x;
		sy += y;
		sxx += x * x;
		sxy += x * y;
	}
	return (m * sxy - sx * sy) / (m * sxx - sx * sx);
}

/* Servers of all sizes, each a point; adds the two slopes. */
static void weigh(const struct bench *b, const struct cgroup *c, enum template t, FILE *data,
		  struct figure *in_cgroup, struct figure *of_machine)
{
	unsigned leaves = b->smoke ? LEAVES_SMOKE : LEAVES;
	struct point points[POINTS];

	for (unsigned i = 0; i < POINTS; i++) {
		points[i] = measure(b, c, t, LEAVES_MIN + leaves * i / (POINTS - 1));
		if (data)
			fprintf(data, "%s\t%g\t%g\t%g\n", template_name(t), points[i].leaves,
				points[i].cgroup_kib, points[i].machine_kib);
	}
	if (c->directory[0])
		figure_add(in_cgroup, slope(points, POINTS, false));
	figure_add(of_machine, slope(points, POINTS, true));
}

static void report(struct report *r, struct figure in_cgroup[N_TEMPLATES],
		   struct figure of_machine[N_TEMPLATES])
{
	bool has_cgroup = in_cgroup[0].n > 0;
	struct estimate weight = figure_estimate(has_cgroup ? &in_cgroup[0] : &of_machine[0], 50);

	report_table(r, "memory", "a parked leaf: slope of the server's memory over 500 leaves",
		     "KiB");
	for (size_t i = 0; i < N_TEMPLATES; i++) {
		if (has_cgroup)
			report_row(r, template_name(templates[i]), "memory cgroup of the server",
				   "all that is charged", &in_cgroup[i]);
		report_row(r, template_name(templates[i]), "/proc/meminfo",
			   "slab, page tables, stacks, anon", &of_machine[i]);
	}
	report_note(r, "each of n: a line through %d servers of different pools", POINTS);
	if (!has_cgroup)
		report_note(r, "no memory cgroup can be made here: /proc/meminfo is of the whole "
			       "machine");
	/* A slope that falls is the rest of the machine: no weight of a leaf. */
	if (weight.value <= 0)
		weight = (struct estimate){0};
	report_claim(r, AT_MOST, PARKED_KIB, "KiB", weight, "a parked leaf of %s, by %s",
		     template_name(templates[0]), has_cgroup ? "memory cgroup" : "/proc/meminfo");
	report_table_end(r);
}

void question_memory(const struct bench *b)
{
	unsigned rounds = bench_rounds(b, ROUNDS, 1);
	struct figure in_cgroup[N_TEMPLATES] = {{0}}, of_machine[N_TEMPLATES] = {{0}};
	FILE *data = report_data(b->report, "memory-points.tsv");
	size_t order[N_TEMPLATES];
	struct cgroup c;

	cgroup_open(&c);
	for (size_t i = 0; i < N_TEMPLATES; i++)
		order[i] = i;
	for (unsigned round = 0; round < rounds && round < ROUNDS; round++) {
		shuffle(order, N_TEMPLATES);
		for (size_t i = 0; i < N_TEMPLATES; i++)
			weigh(b, &c, templates[order[i]], data, &in_cgroup[order[i]],
			      &of_machine[order[i]]);
	}
	cgroup_close(&c);
	if (data)
		fclose(data);
	report(b->report, in_cgroup, of_machine);
	for (size_t i = 0; i < N_TEMPLATES; i++) {
		figure_done(&in_cgroup[i]);
		figure_done(&of_machine[i]);
	}
}
