/* SPDX-License-Identifier: MIT */
#include "faulter.h"

#include "base/clock.h"

#include <err.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGES	 16 /* so few that giving them back is as short as a fault */
#define PRIORITY 10
#define WARM_UP	 64 /* rounds until it counts */

struct faulter {
	pthread_t thread;
	sem_t begin, under_way, ended;
	atomic_bool end, close;
	uint64_t window_ns, worst_ns;
};

static void await(sem_t *s)
{
	while (sem_wait(s) < 0)
		if (errno != EINTR)
			err(1, "sem_wait");
}

static char *map_pages(void)
{
	char *p = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);

	if (p == MAP_FAILED || madvise(p, PAGES * 4096, MADV_NOHUGEPAGE) < 0)
		err(1, "mmap");
	return p;
}

/* One round of touching; the longest step. */
static uint64_t fault(volatile char *pages)
{
	uint64_t before = clock_now(), worst = 0, now;

	for (int i = 0; i < PAGES; i++) {
		pages[i * 4096] = 1;
		now = clock_now();
		worst = now - before > worst ? now - before : worst;
		before = now;
	}
	if (madvise((void *)pages, PAGES * 4096, MADV_DONTNEED) < 0)
		err(1, "madvise");
	now = clock_now();
	return now - before > worst ? now - before : worst;
}

/* Until it is to end, or the window is over. */
static uint64_t fault_on(struct faulter *f, char *pages)
{
	uint64_t until = f->window_ns ? clock_now() + f->window_ns : UINT64_MAX, worst = 0;

	while (!atomic_load_explicit(&f->end, memory_order_relaxed) && clock_now() < until) {
		uint64_t ns = fault(pages);

		worst = ns > worst ? ns : worst;
	}
	return worst;
}

static void *run(void *user)
{
	struct faulter *f = user;
	char *pages = map_pages();

	for (;;) {
		await(&f->begin);
		if (atomic_load(&f->close))
			break;
		for (int i = 0; i < WARM_UP; i++)
			fault(pages);
		sem_post(&f->under_way);
		f->worst_ns = fault_on(f, pages);
		sem_post(&f->ended);
	}
	munmap(pages, PAGES * 4096);
	return NULL;
}

struct faulter *faulter_open(int cpu, bool real_time)
{
	const struct sched_param priority = {.sched_priority = PRIORITY};
	struct faulter *f = calloc(1, sizeof(*f));
	pthread_attr_t attributes;
	cpu_set_t cpus;
	int r;

	if (!f || sem_init(&f->begin, 0, 0) < 0 || sem_init(&f->under_way, 0, 0) < 0 ||
	    sem_init(&f->ended, 0, 0) < 0)
		err(1, "a thread that faults");
	pthread_attr_init(&attributes);
	if (cpu >= 0) {
		CPU_ZERO(&cpus);
		CPU_SET(cpu, &cpus);
		pthread_attr_setaffinity_np(&attributes, sizeof(cpus), &cpus);
	}
	if (real_time) {
		pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
		pthread_attr_setschedpolicy(&attributes, SCHED_FIFO);
		pthread_attr_setschedparam(&attributes, &priority);
	}
	r = pthread_create(&f->thread, &attributes, run, f);
	pthread_attr_destroy(&attributes);
	if (r == EPERM && real_time) {
		free(f);
		return NULL;
	}
	if (r)
		errx(1, "pthread_create: %s", strerror(r));
	return f;
}

void faulter_close(struct faulter *f)
{
	if (!f)
		return;
	atomic_store(&f->close, true);
	sem_post(&f->begin);
	pthread_join(f->thread, NULL);
	sem_destroy(&f->begin);
	sem_destroy(&f->under_way);
	sem_destroy(&f->ended);
	free(f);
}

void faulter_begin(struct faulter *f, uint64_t window_ns)
{
	f->window_ns = window_ns;
	atomic_store(&f->end, false);
	sem_post(&f->begin);
	await(&f->under_way);
}

double faulter_end(struct faulter *f)
{
	atomic_store(&f->end, true);
	await(&f->ended);
	return (double)f->worst_ns / 1e3;
}
