/* SPDX-License-Identifier: MIT */
#include "slab.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A sample each second, unless that took a tenth of the time. */
#define INTERVAL_MS 1000
#define WORK_SHARE  10

/* The last is there where the kernel knows leaves, and holds theirs alone. */
const char *const cache_names[N_CACHES] = {"anon_vma", "anon_vma_chain", "anon_vma_leaf"};

/* What the thread says: smaller than PIPE_BUF, so whole or not at all. */
struct result {
	enum { RESULT_BEGIN, RESULT_PROCESS, RESULT_END } kind;
	int error; /* BEGIN: no sample for this reason; PROCESS: not readable */
	pid_t pid; /* PROCESS */
	uint64_t mappings;
	struct cache caches[N_CACHES]; /* BEGIN */
	bool has[N_CACHES];
};

/* ---- the thread ---- */

static int read_caches(struct result *to)
{
	for (int i = 0; i < N_CACHES; i++) {
		int r = procfs_cache(cache_names[i], &to->caches[i]);

		if (r < 0 && r != -ENOENT)
			return r;
		to->has[i] = r == 0;
	}
	return to->has[CACHE_ANON_VMA] && to->has[CACHE_CHAIN] ? 0 : -ENOENT;
}

/* False: nobody reads any more. */
static bool say(int out, const struct result *result)
{
	return write(out, result, sizeof(*result)) == (ssize_t)sizeof(*result);
}

static bool say_process(int out, pid_t pid)
{
	struct result result = {.kind = RESULT_PROCESS, .pid = pid};
	int64_t n = procfs_anonymous(pid);

	if (n == 0 || n == -ESRCH || n == -ENOENT)
		return true;
	if (n < 0)
		result.error = (int)n;
	else
		result.mappings = (uint64_t)n;
	return say(out, &result);
}

static bool say_sample(int out)
{
	struct result begin = {.kind = RESULT_BEGIN}, end = {.kind = RESULT_END};
	struct dirent *entry;
	DIR *dir = opendir("/proc");
	bool goes_on;

	begin.error = dir ? read_caches(&begin) : -errno;
	goes_on = say(out, &begin);
	while (goes_on && begin.error == 0 && (entry = readdir(dir))) {
		if (isdigit((unsigned char)*entry->d_name))
			goes_on = say_process(out, (pid_t)strtol(entry->d_name, NULL, 10));
	}
	if (dir)
		closedir(dir);
	return goes_on && say(out, &end);
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void *work(void *user)
{
	const struct slab *s = user;
	struct pollfd reader = {.fd = s->out}; /* POLLERR: it is gone */
	int64_t began, pause;

	do {
		began = now_ms();
		if (!say_sample(s->out))
			break;
		pause = (now_ms() - began) * (WORK_SHARE - 1);
		if (pause < INTERVAL_MS)
			pause = INTERVAL_MS;
	} while (poll(&reader, 1, (int)pause) == 0);
	return NULL;
}

/* ---- who started it ---- */

int slab_start(struct slab *s)
{
	int ends[2], r;

	*s = (struct slab){.results = -1, .out = -1};
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	s->results = ends[0];
	s->out = ends[1];
	r = fcntl(s->results, F_SETFL, O_NONBLOCK) < 0 ? errno
						       : pthread_create(&s->thread, NULL, work, s);
	if (r == 0)
		return 0;
	close(s->results);
	close(s->out);
	s->results = s->out = -1;
	return -r;
}

static void take(struct slab *s, struct population *p, const struct result *result)
{
	switch (result->kind) {
	case RESULT_BEGIN:
		if (result->error < 0 && s->samples == 0)
			s->error = result->error;
		if (result->error < 0)
			break;
		s->error = 0;
		s->samples++;
		s->in_work = true;
		for (int i = 0; i < N_CACHES; i++) {
			s->has[i] |= result->has[i];
			s->sums[i].objects += result->caches[i].objects;
			s->sums[i].bytes += result->caches[i].bytes;
		}
		break;
	case RESULT_PROCESS:
		if (result->error < 0)
			s->unread++;
		else
			population_weigh(p, result->pid, result->mappings);
		break;
	case RESULT_END:
	default:
		s->in_work = false;
		break;
	}
}

void slab_take(struct slab *s, struct population *p)
{
	struct result result;

	while (read(s->results, &result, sizeof(result)) == (ssize_t)sizeof(result))
		take(s, p, &result);
}

void slab_stop(struct slab *s, struct population *p)
{
	struct pollfd results = {.fd = s->results, .events = POLLIN};

	if (s->results < 0)
		return;
	slab_take(s, p);
	while (s->in_work && poll(&results, 1, -1) > 0)
		slab_take(s, p);
	close(s->results);
	s->results = -1;
	pthread_join(s->thread, NULL);
	close(s->out);
	s->out = -1;
}
