/* SPDX-License-Identifier: MIT */
#include "count.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_MS      1000000u
#define EVENTS_AT_ONCE 32
#define SETTLE_MS      1000
#define PRIORITY       1

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t); /* the clock of the events */
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int open_signals(struct count *c)
{
	static const int taken[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
		struct sigaction is;

		/* What nohup(1) or a shell had ignored stays so. */
		if (sigaction(taken[i], NULL, &is) == 0 && is.sa_handler != SIG_IGN)
			sigaddset(&set, taken[i]);
	}
	if (sigprocmask(SIG_BLOCK, &set, &c->mask) < 0)
		return -errno;
	c->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return c->signals < 0 ? -errno : 0;
}

static int open_root(struct count *c, const struct options *o)
{
	if (!o->below)
		return 0;
	c->population.scope = SCOPE_BELOW;
	c->population.root = o->below;
	c->root = (int)syscall(SYS_pidfd_open, o->below, 0);
	return c->root < 0 ? -errno : 0;
}

static int complain(int code, const char *what)
{
	fprintf(stderr, "spawn-census: %s: %s\n", what, strerror(-code));
	return code;
}

int count_begin(struct count *c, const struct options *o)
{
	int r;

	*c = (struct count){
		.signals = -1, .root = -1, .command.pidfd = -1, .watch.connector.fd = -1};
	c->population.self = getpid();
	if (o->command && !o->all)
		c->population.scope = SCOPE_CHILDREN;
	r = open_root(c, o);
	if (r < 0)
		return complain(r, "the process of --below");
	r = open_signals(c);
	if (r < 0)
		return complain(r, "signals");
	r = watch_start(&c->watch, c->population.self);
	if (r < 0)
		return r;
	r = procfs_sight_all(&c->population);
	if (r < 0)
		return complain(r, "/proc, which is needed to know what runs already");
	watch_hurry(PRIORITY);
	c->began_at = now();
	population_sighted(&c->population, c->began_at);
	return 0;
}

static void take(struct count *c, struct event *e)
{
	if (e->kind == EVENT_EXEC) {
		procfs_name(e->tgid, e->name);
		e->named_at = now();
	}
	population_take(&c->population, e);
}

/* The next events, not too many at once. How many were taken that were sent until then; of what
 * came later only ends are. Negative errno. */
static int take_events(struct count *c, uint64_t until)
{
	struct event events[EVENTS_AT_ONCE];
	int n = watch_take(&c->watch, events, EVENTS_AT_ONCE), taken = 0;

	for (int i = 0; i < n; i++) {
		if (events[i].time <= until || events[i].kind == EVENT_EXIT)
			take(c, &events[i]);
		taken += events[i].time <= until;
	}
	return n < 0 ? complain(n, "process events") : taken;
}

/* True if the window ends by it. */
static bool take_signal(struct count *c)
{
	struct signalfd_siginfo info;

	if (read(c->signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return false;
	if (c->command.pidfd < 0)
		return true;
	command_signal(&c->command, &info);
	return false;
}

/* Until the end of the window, if it has one. */
static int timeout_ms(uint64_t end)
{
	uint64_t at = now(), left = (end > at ? end - at : 0) / NS_PER_MS;

	if (end == UINT64_MAX)
		return -1;
	return left < INT32_MAX ? (int)left + (end > at) : INT32_MAX;
}

static int run_window(struct count *c, uint64_t end)
{
	struct pollfd fds[] = {
		{.fd = c->watch.ready, .events = POLLIN},
		{.fd = c->signals, .events = POLLIN},
		{.fd = c->command.pidfd >= 0 ? c->command.pidfd : c->root, .events = POLLIN},
		{.fd = c->slab.results, .events = POLLIN},
	};
	bool over = false;
	int r = 0;

	while (!over && r >= 0 && c->population.error == 0) {
		r = poll(fds, sizeof(fds) / sizeof(fds[0]), timeout_ms(end));
		if (r < 0 && errno == EINTR) {
			r = 0;
			continue;
		}
		if (r < 0)
			return complain(-errno, "poll");
		if (fds[0].revents)
			r = take_events(c, UINT64_MAX);
		if (fds[3].revents)
			slab_take(&c->slab, &c->population);
		if (fds[1].revents)
			over = take_signal(c);
		over = over || fds[2].revents || now() >= end;
	}
	return r;
}

/* The processes that are over and whose end is not told yet. Free the result. */
static pid_t *list_untold(const struct population *p, size_t *ret_n)
{
	pid_t *untold = calloc(p->processes.n + 1, sizeof(*untold)), pid;
	size_t cursor = 0;

	*ret_n = 0;
	while (untold && (pid = population_living(p, &cursor))) {
		if (procfs_is_over(pid))
			untold[(*ret_n)++] = pid;
	}
	return untold;
}

/*
 * The kernel tells a process's end to its parent, and to a pidfd, before it makes an event of it.
 * So those that are over and live by the events are waited for, not long: an event may be lost.
 */
static int settle(struct count *c)
{
	struct pollfd events = {.fd = c->watch.ready, .events = POLLIN};
	uint64_t end = now() + SETTLE_MS * NS_PER_MS;
	size_t n, i = 0;
	pid_t *untold = list_untold(&c->population, &n);
	int r = untold ? 0 : -ENOMEM;

	while (r >= 0 && i < n && now() < end) {
		struct event e;

		if (!population_lives(&c->population, untold[i])) {
			i++;
			continue;
		}
		r = watch_take(&c->watch, &e, 1);
		if (r == 0 && poll(&events, 1, timeout_ms(end)) < 0 && errno != EINTR)
			r = -errno;
		else if (r > 0 && e.kind == EVENT_EXIT)
			population_take(&c->population, &e);
	}
	free(untold);
	return r < 0 ? complain(r, "process events") : 0;
}

int count_run(struct count *c, const struct options *o)
{
	int r = slab_start(&c->slab);

	if (r < 0)
		return complain(r, "a thread for samples");
	r = run_window(c, o->for_ms ? c->began_at + o->for_ms * NS_PER_MS : UINT64_MAX);
	c->ended_at = now();
	/* What was sent until then stands in front of what comes now. */
	for (r = r < 0 ? r : 1; r > 0;)
		r = take_events(c, c->ended_at);
	if (r == 0)
		r = settle(c);
	slab_stop(&c->slab, &c->population);
	population_close(&c->population);
	if (r >= 0 && c->population.error < 0)
		return complain(c->population.error, "too many processes");
	return r;
}

void count_done(struct count *c)
{
	watch_stop(&c->watch);
	population_done(&c->population);
	if (c->signals >= 0)
		close(c->signals);
	if (c->root >= 0)
		close(c->root);
}
