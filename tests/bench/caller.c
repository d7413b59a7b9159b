/* SPDX-License-Identifier: MIT */
#include "caller.h"

#include "faulter.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct asked {
	enum way way;
	enum company company;
	unsigned pause_ms;
};

/* The state of a caller in its own process. */
struct inside {
	struct starter starter;
	struct faulter *probe, *busy[BUSY_THREADS];
	cpu_set_t cpus; /* before it was pinned */
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

/* The first CPU that this process may use, or the last. */
static int cpu_at_end(const cpu_set_t *cpus, bool last)
{
	int found = -1;

	for (int i = 0; i < CPU_SETSIZE && (last || found < 0); i++)
		if (CPU_ISSET(i, cpus))
			found = i;
	return found;
}

static cpu_set_t own_cpus(void)
{
	cpu_set_t cpus;

	if (sched_getaffinity(0, sizeof(cpus), &cpus) < 0)
		err(1, "sched_getaffinity");
	return cpus;
}

bool probe_has_cpus(void)
{
	cpu_set_t cpus = own_cpus();

	return CPU_COUNT(&cpus) > 1;
}

bool probe_is_real_time(void)
{
	struct faulter *f = faulter_open(-1, true);

	faulter_close(f);
	return f != NULL;
}

static void make_company(struct inside *in, enum company company)
{
	cpu_set_t first;

	CPU_ZERO(&first);
	CPU_SET(cpu_at_end(&in->cpus, false), &first);
	if (sched_setaffinity(0, sizeof(first), company == PROBED ? &first : &in->cpus) < 0)
		err(1, "sched_setaffinity");
	if (company == PROBED && !in->probe) {
		int cpu = cpu_at_end(&in->cpus, true);

		in->probe = faulter_open(cpu, true);
		if (!in->probe)
			in->probe = faulter_open(cpu, false);
	}
	for (int i = 0; company == BUSY && i < BUSY_THREADS && !in->busy[i]; i++)
		in->busy[i] = faulter_open(-1, false);
}

static void wait_until(uint64_t moment)
{
	const struct timespec t = {(time_t)(moment / NS_PER_S), (long)(moment % NS_PER_S)};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

static void run_one(struct inside *in, const struct asked *asked, struct caller_sample *ret)
{
	uint64_t from;

	make_company(in, asked->company);
	for (int i = 0; asked->company == BUSY && i < BUSY_THREADS; i++)
		faulter_begin(in->busy[i], 0);
	pause_for(asked->pause_ms);
	if (asked->company == PROBED)
		faulter_begin(in->probe, WINDOW_MS * NS_PER_MS);
	from = clock_now();
	starter_run(&in->starter, asked->way, &ret->sample);
	if (asked->company == PROBED) {
		ret->late = clock_now() > from + WINDOW_MS * NS_PER_MS;
		wait_until(from + WINDOW_MS * NS_PER_MS);
		ret->stall = faulter_end(in->probe);
	}
	for (int i = 0; asked->company == BUSY && i < BUSY_THREADS; i++)
		faulter_end(in->busy[i]);
}

/* In a child of ours; the end of file ends it. */
_Noreturn static void serve(struct inside *in, int ask, int answer)
{
	struct caller_sample sample = {0};
	struct asked asked;
	char byte = 0;

	if (write(answer, &byte, 1) != 1)
		_exit(1);
	while (read(ask, &asked, sizeof(asked)) == (ssize_t)sizeof(asked)) {
		run_one(in, &asked, &sample);
		if (write(answer, &sample, sizeof(sample)) != (ssize_t)sizeof(sample))
			_exit(1);
	}
	faulter_close(in->probe);
	for (int i = 0; i < BUSY_THREADS; i++)
		faulter_close(in->busy[i]);
	starter_close(&in->starter);
	_exit(0);
}

bool caller_open(struct caller *c, const struct bench *b, const struct server *server, size_t bytes,
		 const enum way *ways, size_t n_ways)
{
	struct inside in = {.cpus = own_cpus()};
	char byte;

	/* Its page tables, those of a fork, and room for everybody else. */
	if (available_bytes() < bytes + bytes / 64 + ((size_t)512 << 20))
		return false;
	if (pipe2(c->ask, O_CLOEXEC) < 0 || pipe2(c->answer, O_CLOEXEC) < 0)
		err(1, "pipe2");
	c->pid = fork();
	if (c->pid < 0)
		err(1, "fork");
	if (c->pid == 0) {
		close(c->ask[1]);
		close(c->answer[0]);
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		touch(bytes);
		starter_open(&in.starter, b, TEMPLATE_TINY, server->socket, true);
		for (size_t i = 0; i < n_ways; i++)
			starter_prepare(&in.starter, ways[i]);
		serve(&in, c->ask[0], c->answer[1]);
	}
	close(c->ask[0]);
	close(c->answer[1]);
	if (read(c->answer[0], &byte, 1) != 1)
		errx(1, "a caller failed");
	return true;
}

void caller_close(struct caller *c)
{
	int status;

	if (c->pid == 0)
		return;
	close(c->ask[1]);
	close(c->answer[0]);
	while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
		;
	c->pid = 0;
}

void caller_run(struct caller *c, enum way way, enum company company, unsigned pause_ms,
		struct caller_sample *ret)
{
	const struct asked asked = {way, company, pause_ms};

	if (write(c->ask[1], &asked, sizeof(asked)) != (ssize_t)sizeof(asked) ||
	    read(c->answer[0], ret, sizeof(*ret)) != (ssize_t)sizeof(*ret))
		errx(1, "a caller failed");
}
