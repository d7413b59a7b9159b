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
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define BURSTS	     7
#define BURSTS_QUICK 3
#define SPAWNS	     3000 /* a burst */
#define SPAWNS_QUICK 800
#define POOL_SIZE    32
#define POOL_LOW     16

static const unsigned client_counts[] = {1, 2, 8};
#define COUNTS (sizeof(client_counts) / sizeof(client_counts[0]))
static const enum way ways[] = {WAY_PROCESS, WAY_POSIX_SPAWN};
#define N_WAYS (sizeof(ways) / sizeof(ways[0]))

struct outcome {
	struct figure rate, cpu, calls, misses, hit_ratio;
	struct figure caller_cpu, child_cpu, server_cpu;
};

/* What a caller writes into memory shared with us. */
struct caller {
	double self_us;
	struct pass passes[];
};

static double self_cpu_us(void)
{
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	return (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * 1e6 +
	       (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec);
}

struct gate {
	int ready[2], go[2];
};

/* In a child of ours. */
_Noreturn static void call(const struct bench *b, const struct server *server, enum way way,
			   struct gate *gate, struct caller *caller, unsigned n)
{
	struct starter s;
	char byte = 0;

	close(gate->ready[0]);
	close(gate->go[1]);
	starter_open(&s, b, WORK_TINY, way == WAY_PROCESS ? server->socket : NULL);
	if (s.request) { /* without the argument to stamp */
		spawn_request_free(s.request);
		s.request = spawn_request_new(work_name(WORK_TINY));
	}
	if (write(gate->ready[1], &byte, 1) != 1 || read(gate->go[0], &byte, 1) != 0)
		_exit(1);
	caller->self_us = -self_cpu_us();
	for (unsigned i = 0; i < n; i++)
		starter_pass(&s, way, &caller->passes[i]);
	caller->self_us += self_cpu_us();
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

static void start_callers(const struct bench *b, struct server *server, enum way way,
			  struct gate *gate, char *memory, size_t stride, pid_t *pids,
			  unsigned clients, unsigned each)
{
	if (pipe(gate->ready) < 0 || pipe(gate->go) < 0)
		err(1, "pipe");
	for (unsigned i = 0; i < clients; i++) {
		pids[i] = fork();
		if (pids[i] < 0)
			err(1, "fork");
		if (pids[i] == 0)
			call(b, server, way, gate, (void *)(memory + i * stride), each);
	}
	close(gate->ready[1]);
	close(gate->go[0]);
	for (unsigned i = 0; i < clients; i++) {
		char byte;

		if (read(gate->ready[0], &byte, 1) != 1)
			errx(1, "a caller failed");
	}
}

static void add_up(struct outcome *o, const char *memory, size_t stride, unsigned clients,
		   unsigned each, double seconds, double server_us)
{
	double self = 0, children = 0, hits = 0, n = (double)clients * each;

	for (unsigned i = 0; i < clients; i++) {
		const struct caller *c = (const void *)(memory + i * stride);

		self += c->self_us;
		for (unsigned j = 0; j < each; j++) {
			const struct pass *p = &c->passes[j];

			children += p->child_us;
			hits += p->hit;
			figure_add(&o->calls, p->call_us);
			if (!p->hit)
				figure_add(&o->misses, p->call_us);
		}
	}
	figure_add(&o->rate, n / seconds);
	figure_add(&o->cpu, (self + children + server_us) / n);
	figure_add(&o->caller_cpu, self / n);
	figure_add(&o->child_cpu, children / n);
	figure_add(&o->server_cpu, server_us / n);
	figure_add(&o->hit_ratio, 100 * hits / n);
}

static void burst(const struct bench *b, struct server *server, enum way way, unsigned clients,
		  unsigned spawns, struct outcome *o)
{
	unsigned each = spawns / clients;
	size_t stride = (sizeof(struct caller) + each * sizeof(struct pass) + 63) & ~(size_t)63;
	char *memory = mmap(NULL, clients * stride, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	double server_us;
	uint64_t from, to;
	struct gate gate;
	pid_t pids[16];

	if (memory == MAP_FAILED)
		err(1, "mmap");
	server_settle(server);
	start_callers(b, server, way, &gate, memory, stride, pids, clients, each);
	server_us = -server_cpu_us(server);
	from = clock_now();
	close(gate.go[1]); /* they go */
	await_callers(pids, clients);
	to = clock_now();
	close(gate.ready[0]);
	server_settle(server);
	server_us += server_cpu_us(server);
	if (way != WAY_PROCESS)
		server_us = 0; /* it had no part in it */
	add_up(o, memory, stride, clients, each, (double)(to - from) / 1e9, server_us);
	munmap(memory, clients * stride);
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
}

static void row(struct report *r, size_t count, enum way way, const char *mode, struct figure *f)
{
	char way_text[64];

	snprintf(way_text, sizeof(way_text), "%s, %u %s", way_name(way), client_counts[count],
		 client_counts[count] == 1 ? "caller" : "callers");
	report_row(r, work_name(WORK_TINY), way_text, mode, f);
}

static void report(struct report *r, struct outcome o[COUNTS][N_WAYS])
{
	report_table(r, "rate", "children started, waited for and over, all callers together",
		     "1/s");
	for (size_t c = 0; c < COUNTS; c++)
		for (size_t w = 0; w < N_WAYS; w++)
			row(r, c, ways[w], way_mode(ways[w]), &o[c][w].rate);
	for (size_t c = 0; c < COUNTS; c++)
		report_ratio(r, &o[c][0].rate, &o[c][1].rate, "%u callers: leaves / posix_spawn",
			     client_counts[c]);
	report_table_end(r);

	report_table(r, "cpu", "CPU of one spawn over all processes that take part", "µs");
	for (size_t c = 0; c < COUNTS; c++)
		for (size_t w = 0; w < N_WAYS; w++) {
			row(r, c, ways[w], "all", &o[c][w].cpu);
			row(r, c, ways[w], "  callers", &o[c][w].caller_cpu);
			row(r, c, ways[w], "  children", &o[c][w].child_cpu);
			row(r, c, ways[w], "  keeper, broker, host", &o[c][w].server_cpu);
		}
	for (size_t c = 0; c < COUNTS; c++)
		report_ratio(r, &o[c][0].cpu, &o[c][1].cpu, "%u callers: a leaf / posix_spawn",
			     client_counts[c]);
	report_table_end(r);

	report_table(r, "call", "the starting call under that load", "µs");
	for (size_t c = 0; c < COUNTS; c++)
		for (size_t w = 0; w < N_WAYS; w++) {
			row(r, c, ways[w], way_mode(ways[w]), &o[c][w].calls);
			if (w == 0)
				row(r, c, ways[w], "  pool misses alone", &o[c][w].misses);
		}
	report_table_end(r);

	report_table(r, "hits", "leaves that were parked, waiting", "%");
	for (size_t c = 0; c < COUNTS; c++)
		row(r, c, ways[0], "pool of 32, low at 16", &o[c][0].hit_ratio);
	report_table_end(r);
}

void question_rate(const struct bench *b)
{
	static const struct pool_sizes pools[WORKS] = {[WORK_TINY] = {POOL_SIZE, POOL_LOW}};
	unsigned bursts = b->rounds ? b->rounds : b->quick ? BURSTS_QUICK : BURSTS;
	static struct outcome outcomes[COUNTS][N_WAYS];
	unsigned spawns = b->quick ? SPAWNS_QUICK : SPAWNS;
	size_t order[COUNTS * N_WAYS];
	struct server server;

	for (size_t i = 0; i < COUNTS * N_WAYS; i++)
		order[i] = i;
	server_start(&server, b, pools, NULL);
	for (unsigned i = 0; i < bursts + 1; i++) { /* the first warms up */
		shuffle(order, COUNTS * N_WAYS);
		for (size_t j = 0; j < COUNTS * N_WAYS; j++) {
			size_t count = order[j] / N_WAYS, way = order[j] % N_WAYS;
			struct outcome *o = &outcomes[count][way];

			if (i == 0) {
				struct outcome unused = {0};

				burst(b, &server, ways[way], client_counts[count], spawns / 10,
				      &unused);
				outcome_done(&unused);
			} else {
				burst(b, &server, ways[way], client_counts[count], spawns, o);
			}
		}
	}
	server_stop(&server);
	report(b->report, outcomes);
	for (size_t i = 0; i < COUNTS * N_WAYS; i++)
		outcome_done(&outcomes[i / N_WAYS][i % N_WAYS]);
}
