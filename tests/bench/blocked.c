/* SPDX-License-Identifier: MIT */
/*
 * How long the call holds its caller, by the memory that the caller has touched, in pages of 4 KiB.
 * A process a size, all alive at once, so that sizes and ways alternate in one run.
 */
#include "server.h"
#include "starter.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB	     ((size_t)1 << 20)
#define GIB	     ((size_t)1 << 30)
#define ROUNDS	     60
#define ROUNDS_QUICK 12
#define WARM_UP	     2

static const struct {
	const char *name;
	size_t bytes;
} sizes[] = {{"10 MiB", 10 * MIB}, {"1 GiB", GIB}, {"8 GiB", 8 * GIB}};
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

static const enum way ways[] = {WAY_SUBMIT, WAY_PROCESS, WAY_POSIX_SPAWN, WAY_FORK_EXEC};
#define N_WAYS (sizeof(ways) / sizeof(ways[0]))

struct caller {
	pid_t pid;
	int ask[2], answer[2];
};

static size_t available_bytes(void)
{
	FILE *f = fopen("/proc/meminfo", "re");
	unsigned long long kib = 0;
	char line[256];

	while (f && fgets(line, sizeof(line), f) && sscanf(line, "MemAvailable: %llu", &kib) != 1)
		;
	if (f)
		fclose(f);
	return (size_t)kib * 1024;
}

static void touch(size_t bytes)
{
	char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED || madvise(p, bytes, MADV_NOHUGEPAGE) < 0)
		err(1, "mmap");
	for (size_t i = 0; i < bytes; i += 4096)
		p[i] = 1;
}

/* In a child of ours: a byte asks for a way, a sample answers; the end of file ends it. */
_Noreturn static void serve(const struct bench *b, const struct server *server, size_t bytes,
			    int ask, int answer)
{
	struct sample sample;
	struct starter s;
	char byte = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	touch(bytes);
	starter_open(&s, b, WORK_TINY, server->socket);
	if (write(answer, &byte, 1) != 1)
		_exit(1);
	while (read(ask, &byte, 1) == 1) {
		starter_run(&s, (enum way)byte, &sample);
		if (write(answer, &sample, sizeof(sample)) != (ssize_t)sizeof(sample))
			_exit(1);
	}
	starter_close(&s);
	_exit(0);
}

static void caller_open(struct caller *c, const struct bench *b, const struct server *server,
			size_t bytes)
{
	char byte;

	if (pipe2(c->ask, O_CLOEXEC) < 0 || pipe2(c->answer, O_CLOEXEC) < 0)
		err(1, "pipe2");
	c->pid = fork();
	if (c->pid < 0)
		err(1, "fork");
	if (c->pid == 0) {
		close(c->ask[1]);
		close(c->answer[0]);
		serve(b, server, bytes, c->ask[0], c->answer[1]);
	}
	close(c->ask[0]);
	close(c->answer[1]);
	if (read(c->answer[0], &byte, 1) != 1)
		errx(1, "a caller failed");
}

static void caller_close(struct caller *c)
{
	int status;

	if (c->pid == 0)
		return;
	close(c->ask[1]);
	close(c->answer[0]);
	while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
		;
}

static void caller_run(struct caller *c, enum way way, struct sample *ret)
{
	char byte = (char)way;

	if (write(c->ask[1], &byte, 1) != 1 ||
	    read(c->answer[0], ret, sizeof(*ret)) != (ssize_t)sizeof(*ret))
		errx(1, "a caller failed");
}

static void report(struct report *r, struct figure f[SIZES][N_WAYS], const struct caller *callers)
{
	report_table(r, "blocked", "the caller, held by the call, by its touched memory", "µs");
	for (size_t s = 0; s < SIZES; s++)
		for (size_t w = 0; w < N_WAYS && callers[s].pid; w++)
			report_row(r, sizes[s].name, way_name(ways[w]), way_mode(ways[w]),
				   &f[s][w]);
	for (size_t s = 0; s < SIZES; s++) {
		if (!callers[s].pid) {
			report_note(r, "SKIPPED %s: too little memory available here",
				    sizes[s].name);
			continue;
		}
		report_ratio(r, &f[s][2], &f[s][0], "%s: posix_spawn / spawn_submit",
			     sizes[s].name);
		report_ratio(r, &f[s][3], &f[s][0], "%s: fork + exec / spawn_submit",
			     sizes[s].name);
		if (s > 0)
			report_ratio(r, &f[s][0], &f[0][0], "spawn_submit: %s / %s", sizes[s].name,
				     sizes[0].name);
	}
	report_table_end(r);
}

void question_blocked(const struct bench *b)
{
	static const struct pool_sizes pools[WORKS] = {[WORK_TINY] = {8, 4}};
	unsigned rounds = b->rounds ? b->rounds : b->quick ? ROUNDS_QUICK : ROUNDS;
	static struct figure figures[SIZES][N_WAYS];
	struct caller callers[SIZES] = {{0}};
	size_t order[SIZES * N_WAYS];
	struct server server;

	server_start(&server, b, pools, NULL);
	for (size_t s = 0; s < SIZES; s++) {
		/* Its page tables, those of a fork, and room for everybody else. */
		if (available_bytes() < sizes[s].bytes + sizes[s].bytes / 64 + 512 * MIB)
			fprintf(stderr, "bench: SKIPPED %s: too little memory available\n",
				sizes[s].name);
		else
			caller_open(&callers[s], b, &server, sizes[s].bytes);
	}
	for (size_t i = 0; i < SIZES * N_WAYS; i++)
		order[i] = i;
	for (unsigned round = 0; round < rounds + WARM_UP; round++) {
		shuffle(order, SIZES * N_WAYS);
		for (size_t i = 0; i < SIZES * N_WAYS; i++) {
			size_t s = order[i] / N_WAYS, w = order[i] % N_WAYS;
			struct sample sample;

			if (!callers[s].pid)
				continue;
			pause_for(b->pause_ms);
			caller_run(&callers[s], ways[w], &sample);
			if (round >= WARM_UP)
				figure_add(&figures[s][w], sample.blocked);
		}
	}
	report(b->report, figures, callers);
	/* The last first: each has copies of the pipes of those before it. */
	for (size_t s = SIZES; s > 0; s--)
		caller_close(&callers[s - 1]);
	server_stop(&server);
	for (size_t i = 0; i < SIZES * N_WAYS; i++)
		figure_done(&figures[i / N_WAYS][i % N_WAYS]);
}
