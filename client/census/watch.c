/* SPDX-License-Identifier: MIT */
#include "watch.h"

#include "procfs.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Before what takes the events from here, which has their names to look up. */
#define PRIORITY 2

static void look(struct watch *w, struct event *e)
{
	int refused;

	if (e->kind != EVENT_FORK || e->pid != e->tgid)
		return;
	/* This process's own child is the command: nobody could look while it was started. */
	if (e->parent_tgid == w->self) {
		e->memory = MEMORY_SHARED;
		return;
	}
	e->memory = procfs_memory(e->parent_pid, e->pid, &refused);
	if (refused) {
		w->refused = refused;
		w->refusals++;
	}
}

static int need_room(struct watch *w)
{
	size_t size = w->size ? w->size * 2 : 256;
	struct event *events;

	if (w->first + w->n < w->size)
		return 0;
	if (w->first > 0) {
		memmove(w->events, w->events + w->first, w->n * sizeof(*w->events));
		w->first = 0;
		return 0;
	}
	events = reallocarray(w->events, size, sizeof(*events));
	if (!events)
		return -ENOMEM;
	w->events = events;
	w->size = size;
	return 0;
}

/* Moves one event from the kernel to here: 1; 0: there is none. Holds the lock. */
static int move_event(struct watch *w)
{
	struct event *e;
	int r = need_room(w);

	if (r < 0)
		return r;
	e = &w->events[w->first + w->n];
	r = connector_next(&w->connector, e);
	if (r <= 0)
		return r;
	look(w, e);
	w->n++;
	return 1;
}

static void say_ready(const struct watch *w)
{
	const uint64_t one = 1;

	/* Nothing is lost where it is full: it says so already. */
	if (write(w->ready, &one, sizeof(one)) < 0 && errno != EAGAIN)
		fprintf(stderr, "spawn-census: eventfd: %s\n", strerror(errno));
}

static void *work(void *user)
{
	struct watch *w = user;
	struct pollfd fds[] = {
		{.fd = w->connector.fd, .events = POLLIN},
		{.fd = w->stop, .events = POLLIN},
	};
	int r = 0;

	watch_hurry(PRIORITY);
	while (r >= 0 && !fds[1].revents) {
		bool moved = false;

		do {
			pthread_mutex_lock(&w->lock);
			r = w->error ? w->error : move_event(w);
			if (r < 0)
				w->error = r;
			pthread_mutex_unlock(&w->lock);
			moved |= r != 0;
		} while (r > 0);
		if (moved)
			say_ready(w);
		if (r == 0 && poll(fds, 2, -1) < 0)
			fds[1].revents = 0;
	}
	return NULL;
}

static int start_thread(struct watch *w, int cpu)
{
	pthread_attr_t attributes;
	sigset_t all;
	cpu_set_t cpus;
	int r;

	sigfillset(&all);
	pthread_attr_init(&attributes);
	pthread_attr_setsigmask_np(&attributes, &all);
	if (cpu >= 0) {
		CPU_ZERO(&cpus);
		CPU_SET(cpu, &cpus);
		pthread_attr_setaffinity_np(&attributes, sizeof(cpus), &cpus);
	}
	r = pthread_create(&w->threads[w->n_threads], &attributes, work, w);
	pthread_attr_destroy(&attributes);
	w->n_threads += r == 0;
	return -r;
}

static int start_threads(struct watch *w)
{
	cpu_set_t cpus;
	int r = 0;

	if (sched_getaffinity(0, sizeof(cpus), &cpus) < 0 || CPU_COUNT(&cpus) > WATCHERS_MAX)
		return start_thread(w, -1);
	for (int cpu = 0; r == 0 && cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET(cpu, &cpus))
			r = start_thread(w, cpu);
	}
	return r;
}

int watch_start(struct watch *w, pid_t self)
{
	int r;

	*w = (struct watch){.self = self, .ready = -1, .stop = -1};
	pthread_mutex_init(&w->lock, NULL);
	r = connector_open(&w->connector);
	if (r < 0)
		return r;
	w->ready = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = w->ready < 0 || w->stop < 0 ? -errno : start_threads(w);
	if (r < 0)
		fprintf(stderr, "spawn-census: cannot start to watch: %s\n", strerror(-r));
	return r;
}

int watch_take(struct watch *w, struct event *ret, size_t most)
{
	uint64_t count;
	size_t n = 0;
	int r = 1;

	if (read(w->ready, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return -errno;
	pthread_mutex_lock(&w->lock);
	while (r > 0 && w->n < most)
		r = w->error ? w->error : move_event(w);
	while (n < most && w->n > 0) {
		ret[n++] = w->events[w->first++];
		w->n--;
	}
	if (w->n == 0)
		w->first = 0;
	else
		say_ready(w);
	pthread_mutex_unlock(&w->lock);
	return r < 0 ? r : (int)n;
}

void watch_stop(struct watch *w)
{
	const uint64_t one = 1;

	if (w->n_threads > 0 && write(w->stop, &one, sizeof(one)) < 0)
		return; /* they use what would be freed */
	while (w->n_threads > 0)
		pthread_join(w->threads[--w->n_threads], NULL);
	connector_close(&w->connector);
	if (w->ready >= 0)
		close(w->ready);
	if (w->stop >= 0)
		close(w->stop);
	free(w->events);
	pthread_mutex_destroy(&w->lock);
	*w = (struct watch){.connector.fd = -1, .ready = -1, .stop = -1};
}

void watch_hurry(int priority)
{
	const struct sched_param param = {.sched_priority = priority};

	sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &param);
}
