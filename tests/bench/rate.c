/* SPDX-License-Identifier: MIT */
/*
 * Bursts: 1, 2 and 8 processes each start children one after the other, each waited for. Spawns a
 * second, and what a spawn costs in CPU over all processes that take part: callers, children, and
 * the server, whose pool is as full after a burst as before.
 */
#include "server.h"
#include "starter.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define BURSTS	     7
#define BURSTS_QUICK 3
#define SPAWNS	     1500 /* a burst */
#define SPAWNS_QUICK 800
#define SPAWNS_SMOKE 48
#define CALLERS_MAX  8

/* What must hold of the small template where 2 and 8 callers saturate it. */
#define FASTER	    1.5
#define CPU_AT_MOST 0.7

struct outcome {
	struct figure rate, cpu, calls, misses, hit_ratio;
	struct figure caller_cpu, child_cpu, server_cpu, private_cpu, machine_cpu;
};

static struct lane {
	enum template template_;
	enum way way;
	unsigned callers, depth;
	const char *mode; /* NULL: the way's own */
	struct outcome outcome;
} lanes[] = {
	{TEMPLATE_TINY, WAY_PROCESS, 1, 1},
	{TEMPLATE_TINY, WAY_POSIX_SPAWN, 1, 1},
	{TEMPLATE_TINY, WAY_PROCESS, 2, 1},
	{TEMPLATE_TINY, WAY_POSIX_SPAWN, 2, 1},
	{TEMPLATE_TINY, WAY_PROCESS, 8, 1},
	{TEMPLATE_TINY, WAY_POSIX_SPAWN, 8, 1},
	{TEMPLATE_TINY, WAY_EXEC_PROCESS, 1, 1},
	{TEMPLATE_TINY, WAY_EXEC_PROCESS, 2, 1},
	{TEMPLATE_TINY, WAY_EXEC_PROCESS, 8, 1},
	{TEMPLATE_TINY, WAY_OWN_PROCESS, 1, 1},
	{TEMPLATE_TINY, WAY_OWN_PROCESS, 2, 1},
	{TEMPLATE_TINY, WAY_OWN_PROCESS, 8, 1},
	{TEMPLATE_TINY, WAY_SUBMIT, 1, 8},
	{TEMPLATE_TINY, WAY_EXEC_SUBMIT, 1, 8},
	{TEMPLATE_TINY, WAY_OWN_SUBMIT, 1, 8},
	{TEMPLATE_TINY, WAY_POSIX_SPAWN, 1, 8},
	{TEMPLATE_UNFILTERED, WAY_PROCESS, 2, 1, "NOT THE DEFAULT: no-fork off"},
	{TEMPLATE_UNFILTERED, WAY_PROCESS, 8, 1, "NOT THE DEFAULT: no-fork off"},
	{TEMPLATE_SCARCE, WAY_PROCESS, 8, 1, "pool of 4: mostly misses"},
};
#define LANES (sizeof(lanes) / sizeof(lanes[0]))

/* What a caller writes into memory shared with us. */
struct caller {
	double self_us, private_us;
	uint64_t over;
	struct pass passes[];
};

struct gate {
	int ready[2], go[2];
};

/* Of the caller's children while none was started: of its private host. */
static double private_cpu_us(void)
{
	static struct process processes[PROCESSES_MAX];
	static size_t n = 0;
	double sum = 0;

	if (n == 0)
		n = processes_of(getpid(), processes);
	for (size_t i = 0; i < n; i++)
		if (processes[i].pid != getpid())
			sum += process_cpu_us(processes[i].pid);
	return sum;
}

/* In a child of ours. */
_Noreturn static void call(const struct bench *b, const struct server *server,
			   const struct lane *lane, struct gate *gate, struct caller *caller,
			   unsigned n)
{
	struct starter s;
	char byte = 0;

	close(gate->ready[0]);
	close(gate->go[1]);
	starter_open(&s, b, lane->template_, server->socket, false);
	starter_prepare(&s, lane->way);
	caller->private_us = -private_cpu_us();
	if (write(gate->ready[1], &byte, 1) != 1 || read(gate->go[0], &byte, 1) != 0)
		_exit(1);
	caller->self_us = -self_cpu_us();
	starter_passes(&s, lane->way, lane->depth, n, caller->passes);
	caller->self_us += self_cpu_us();
	caller->over = clock_now();
	caller->private_us += private_cpu_us();
	starter_close(&s);
	_exit(0);
}

static void await_callers(const pid_t *pids, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		int status;

		while (waitpid(pids[i], &status, 0) < 0)
			if (errno != EINTR)
				err(1, "waitpid");
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			errx(1, "a caller failed");
	}
}

static void start_callers(const struct bench *b, struct server *server, const struct lane *lane,
			  struct gate *gate, char *memory, size_t stride, pid_t *pids,
			  unsigned each)
{
	if (pipe2(gate->ready, O_CLOEXEC) < 0 || pipe2(gate->go, O_CLOEXEC) < 0)
		err(1, "pipe2");
	for (unsigned i = 0; i < lane->callers; i++) {
		pids[i] = fork();
		if (pids[i] < 0)
			err(1, "fork");
		if (pids[i] == 0)
			call(b, server, lane, gate, (void *)(memory + i * stride), each);
	}
	close(gate->ready[1]);
	close(gate->go[0]);
	for (unsigned i = 0; i < lane->callers; i++) {
		char byte;

		if (read(gate->ready[0], &byte, 1) != 1)
			errx(1, "a caller failed");
	}
}

/* All of one burst, in µs. */
struct used {
	double seconds, server, machine;
};

static void add_up(struct outcome *o, const char *memory, size_t stride, unsigned callers,
		   unsigned each, const struct used *used)
{
	double self = 0, children = 0, private = 0, hits = 0, n = (double)callers * each;

	for (unsigned i = 0; i < callers; i++) {
		const struct caller *c = (const void *)(memory + i * stride);

		self += c->self_us;
		private += c->private_us;
		for (unsigned j = 0; j < each; j++) {
			const struct pass *p = &c->passes[j];

			children += p->child_us;
			hits += p->hit;
			figure_add(&o->calls, p->call_us);
			if (!p->hit)
				figure_add(&o->misses, p->call_us);
		}
	}
	figure_add(&o->rate, n / used->seconds);
	figure_add(&o->cpu, (self + children + private + used->server) / n);
	figure_add(&o->caller_cpu, self / n);
	figure_add(&o->child_cpu, children / n);
	figure_add(&o->server_cpu, used->server / n);
	figure_add(&o->private_cpu, private / n);
	figure_add(&o->machine_cpu, used->machine / n);
	figure_add(&o->hit_ratio, 100 * hits / n);
}

static void burst(const struct bench *b, struct server *server, const struct lane *lane,
		  unsigned spawns, struct outcome *o)
{
	unsigned each = spawns / lane->callers;
	size_t stride = (sizeof(struct caller) + each * sizeof(struct pass) + 63) & ~(size_t)63;
	char *memory = mmap(NULL, lane->callers * stride, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	struct used used;
	struct gate gate;
	pid_t pids[CALLERS_MAX];
	uint64_t from, over = 0;

	if (memory == MAP_FAILED)
		err(1, "mmap");
	server_settle(server);
	start_callers(b, server, lane, &gate, memory, stride, pids, each);
	used.server = -server_cpu_us(server);
	used.machine = -machine_busy_us();
	from = clock_now();
	close(gate.go[1]); /* they go */
	await_callers(pids, lane->callers);
	for (unsigned i = 0; i < lane->callers; i++) {
		const struct caller *c = (const void *)(memory + i * stride);

		over = c->over > over ? c->over : over;
	}
	used.seconds = (double)(over - from) / 1e9;
	close(gate.ready[0]);
	server_settle(server);
	used.machine += machine_busy_us();
	used.server += server_cpu_us(server);
	if (!way_is_served(lane->way))
		used.server = 0; /* it had no part in it */
	add_up(o, memory, stride, lane->callers, each, &used);
	munmap(memory, lane->callers * stride);
}

static void outcome_done(struct outcome *o)
{
	figure_done(&o->rate);
	figure_done(&o->cpu);
	figure_done(&o->calls);
	figure_done(&o->misses);
	figure_done(&o->hit_ratio);
	figure_done(&o->caller_cpu);
	figure_done(&o->child_cpu);
	figure_done(&o->server_cpu);
	figure_done(&o->private_cpu);
	figure_done(&o->machine_cpu);
}

/* "2 callers", "1 caller, 8 in flight" */
static const char *load_text(const struct lane *l, char buf[48])
{
	int n = snprintf(buf, 48, "%u %s", l->callers, l->callers == 1 ? "caller" : "callers");

	if (l->depth > 1)
		snprintf(buf + n, 48 - (size_t)n, ", %u in flight", l->depth);
	return buf;
}

/* So that nobody takes one for another, in plots too. */
static const char *what_of(const struct lane *l)
{
	return l->template_ == TEMPLATE_UNFILTERED ? "FILTER OFF"
	       : l->template_ == TEMPLATE_SCARCE   ? "pool of 4"
						   : template_name(l->template_);
}

static void row(struct report *r, const struct lane *l, const char *mode, struct figure *f)
{
	char way_text[64], load[48];

	snprintf(way_text, sizeof(way_text), "%s, %s", way_name(l->way), load_text(l, load));
	report_row(r, what_of(l), way_text, mode, f);
}

static const char *mode_of(const struct lane *l)
{
	return l->mode ? l->mode : way_mode(l->way);
}

/* posix_spawn under the same load; NULL: it is not measured so, or l is it. */
static struct lane *beside(const struct lane *l)
{
	for (size_t i = 0; i < LANES; i++)
		if (lanes[i].way == WAY_POSIX_SPAWN && lanes[i].callers == l->callers &&
		    lanes[i].depth == l->depth)
			return &lanes[i] == l ? NULL : &lanes[i];
	return NULL;
}

/* What the claims are about. */
static bool is_saturated(const struct lane *l)
{
	return l->template_ == TEMPLATE_TINY && l->way == WAY_PROCESS && l->callers > 1;
}

static void compare(struct report *r, const struct lane *l, struct figure *a, struct figure *b)
{
	char load[48];

	report_ratio(r, a, b, "%s: %s / posix_spawn%s%s", load_text(l, load), way_name(l->way),
		     l->mode ? "; " : "", l->mode ? l->mode : "");
}

static void report_rate(struct report *r)
{
	report_table(r, "rate", "children started, waited for and over, all callers together",
		     "1/s");
	for (size_t i = 0; i < LANES; i++)
		row(r, &lanes[i], mode_of(&lanes[i]), &lanes[i].outcome.rate);
	for (size_t i = 0; i < LANES; i++) {
		struct lane *l = &lanes[i], *other = beside(l);
		char load[48];

		if (!other)
			continue;
		compare(r, l, &l->outcome.rate, &other->outcome.rate);
		if (is_saturated(l))
			report_claim(r, AT_LEAST, FASTER, "",
				     figure_ratio(&l->outcome.rate, &other->outcome.rate, 50),
				     "tiny, %s: spawns a second, by posix_spawn's",
				     load_text(l, load));
	}
	report_table_end(r);
}

static void report_cpu(struct report *r)
{
	report_table(r, "cpu", "CPU of one spawn over all processes that take part", "µs");
	for (size_t i = 0; i < LANES; i++) {
		struct lane *l = &lanes[i];
		char all[64];

		snprintf(all, sizeof(all), "all%s%s", l->mode ? "; " : "", l->mode ? l->mode : "");
		row(r, l, all, &l->outcome.cpu);
	}
	for (size_t i = 0; i < LANES; i++) {
		struct lane *l = &lanes[i], *other = beside(l);
		char load[48];

		if (!other)
			continue;
		compare(r, l, &l->outcome.cpu, &other->outcome.cpu);
		if (is_saturated(l))
			report_claim(r, AT_MOST, CPU_AT_MOST, "",
				     figure_ratio(&l->outcome.cpu, &other->outcome.cpu, 50),
				     "tiny, %s: CPU of a spawn, by posix_spawn's",
				     load_text(l, load));
	}
	report_note(
		r, "of each process by its own clock: work of the kernel's own threads is in none");
	report_table_end(r);

	report_table(r, "cpu-parts", "whose CPU that is", "µs");
	for (size_t i = 0; i < LANES; i++) {
		struct lane *l = &lanes[i];

		row(r, l, "callers", &l->outcome.caller_cpu);
		row(r, l, "children", &l->outcome.child_cpu);
		if (way_is_served(l->way))
			row(r, l, "keeper, broker, hosts", &l->outcome.server_cpu);
		else if (way_is_leaf(l->way))
			row(r, l, "private hosts", &l->outcome.private_cpu);
		row(r, l, "the whole machine", &l->outcome.machine_cpu);
	}
	for (size_t i = 0; i < LANES; i++) {
		struct lane *l = &lanes[i], *other = beside(l);
		char load[48];

		if (other && is_saturated(l))
			report_ratio(r, &l->outcome.machine_cpu, &other->outcome.machine_cpu,
				     "the whole machine, %s: %s / posix_spawn", load_text(l, load),
				     way_name(l->way));
	}
	report_note(r,
		    "the whole machine: all that was not idle, by /proc/stat, a check of the sum: "
		    "whatever else runs is in it, and its ticks are of 10 ms");
	report_table_end(r);
}

static void report_calls(struct report *r)
{
	report_table(r, "call", "the starting call under that load", "µs");
	for (size_t i = 0; i < LANES; i++) {
		row(r, &lanes[i], mode_of(&lanes[i]), &lanes[i].outcome.calls);
		if (lanes[i].outcome.misses.n)
			row(r, &lanes[i], "  pool misses alone", &lanes[i].outcome.misses);
	}
	report_table_end(r);

	report_table(r, "hits", "leaves that were parked, waiting", "%");
	for (size_t i = 0; i < LANES; i++)
		if (way_is_served(lanes[i].way))
			row(r, &lanes[i], lanes[i].mode ? lanes[i].mode : "pool of 32, low at 16",
			    &lanes[i].outcome.hit_ratio);
	report_table_end(r);
}

void question_rate(const struct bench *b)
{
	static const struct pool_sizes pools[TEMPLATES] = {
		[TEMPLATE_TINY] = {32, 16},
		[TEMPLATE_UNFILTERED] = {32, 16},
		[TEMPLATE_SCARCE] = {4, 1},
		[TEMPLATE_EXEC] = {32, 16},
	};
	unsigned bursts = bench_rounds(b, BURSTS, BURSTS_QUICK);
	unsigned spawns = b->smoke ? SPAWNS_SMOKE : b->quick ? SPAWNS_QUICK : SPAWNS;
	size_t order[LANES];
	struct server server;

	for (size_t i = 0; i < LANES; i++)
		order[i] = i;
	server_start(&server, b, pools, NULL);
	for (unsigned i = 0; i < bursts + 1; i++) { /* the first warms up */
		shuffle(order, LANES);
		for (size_t j = 0; j < LANES; j++) {
			struct lane *l = &lanes[order[j]];
			struct outcome unused = {0};

			if (i == 0)
				burst(b, &server, l, spawns / 4, &unused);
			else
				burst(b, &server, l, spawns, &l->outcome);
			outcome_done(&unused);
		}
	}
	server_stop(&server);
	report_rate(b->report);
	report_cpu(b->report);
	report_calls(b->report);
	for (size_t i = 0; i < LANES; i++)
		outcome_done(&lanes[i].outcome);
}
