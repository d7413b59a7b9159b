/* SPDX-License-Identifier: MIT */
#include "driver.h"

#include "../integration/census.h"

#include "base/clock.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define WARM_UP	 300
#define TICK_MS	 100
#define FDS_OURS 2

static int complain(const char *what)
{
	fprintf(stderr, "stress: %s: %s\n", what, strerror(errno));
	return -1;
}

/* Serves the driver: once the pool was emptied and filled again, what is held is held for good. */
static int warm_up(struct driver *d, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const struct fate f = {.end = END_EXIT, .value = 7};
		struct spawn_request *request;
		struct spawn_proc *proc = NULL;
		struct spawn_exit *end = NULL;
		struct spawn_error err = {.message = "out of memory"};
		int r = -ENOMEM;

		/* Counted beyond all requests. */
		request = client_request(d->ledger->n, &f, d->crowd.setup.runs);
		if (request)
			r = spawn_process(d->stage.client, request, &proc, &err);
		spawn_request_free(request);
		if (r == 0)
			r = spawn_proc_wait(proc, HANG_MS, &end);
		if (r < 0 || spawn_exit_status(end) != 7) {
			fprintf(stderr, "stress: warm-up: %s\n", r < 0 ? err.message : "status");
			return -1;
		}
		spawn_exit_free(end);
		spawn_proc_free(proc);
	}
	return 0;
}

static int prepare(struct driver *d)
{
	const struct options *o = d->options;
	struct client_setup *setup = &d->crowd.setup;
	const struct rlimit no_core = {0, 0};

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	setrlimit(RLIMIT_CORE, &no_core);
	setup->ledger = ledger_create(o->spawns, &d->ledger);
	setup->runs = runs_create(o->spawns + 1, &d->runs);
	if (setup->ledger < 0 || setup->runs < 0)
		return complain("memory for the ledger");
	d->ledger->recipe = o->recipe;
	d->crowd.ledger = d->ledger;
	if (stage_start(&d->stage, o->spawnd, o->template_dir, o->clients) < 0)
		return -1;
	setup->socket = d->stage.socket;
	if (warm_up(d, WARM_UP) < 0)
		return -1;
	return holding_await(&d->stage, NULL, &d->before);
}

static void do_havoc(struct driver *d, int fd)
{
	uint32_t numbers[64];
	ssize_t n = read(fd, numbers, sizeof(numbers));

	for (ssize_t i = 0; i < n / (ssize_t)sizeof(numbers[0]); i++) {
		struct fate f = fate_of(&d->ledger->recipe, numbers[i]);

		havoc_do(&d->havoc, &d->stage, &d->crowd, &f);
	}
}

/* A request that nobody answers, or a leaf whose end nobody tells. */
static void find_hangs(struct driver *d)
{
	uint32_t taken = ledger_taken(d->ledger);
	uint64_t now = clock_now();
	bool before = true;

	for (uint32_t i = d->first_open; i < taken; i++) {
		struct entry *e = &d->ledger->entries[i];
		enum entry_state state = entry_state(e);
		bool open = state == ENTRY_ASKED || state == ENTRY_RUNNING;

		before = before && !open && state != ENTRY_NEW;
		if (before)
			d->first_open = i + 1;
		if (!open || now < e->asked_ns + HANG_MS * NS_PER_MS)
			continue;
		entry_finish(d->ledger, e, ENTRY_HUNG);
		crowd_kill_number(&d->crowd, e->client);
	}
}

static void sample(struct driver *d, pid_t *broker)
{
	uint32_t done = atomic_load(&d->ledger->done);
	long kib = -1;

	memory_sample(&d->keeper, done, census_rss_kib(d->stage.pid));
	if (stage_is_child(&d->stage, *broker))
		kib = census_rss_kib(*broker);
	if (kib < 0) {
		*broker = stage_broker(&d->stage);
		kib = *broker ? census_rss_kib(*broker) : -1;
	}
	memory_sample(&d->broker, done, kib);
}

static void show_progress(const struct driver *d, uint64_t begin)
{
	static uint64_t shown;
	uint64_t now = clock_now();

	if (!isatty(2) || now < shown + NS_PER_S)
		return;
	shown = now;
	fprintf(stderr, "\r%u of %u requests, %zu killed, %.0f s ", atomic_load(&d->ledger->done),
		d->ledger->n, d->havoc.n, (double)(now - begin) / 1e9);
}

/* The run: until no client is left. */
static void drive(struct driver *d, int havoc, int signals)
{
	uint64_t begin = clock_now(), tick = 0;
	uint64_t limit = begin + d->options->seconds * NS_PER_S;
	pid_t broker = 0;

	while (d->crowd.alive > 0) {
		struct pollfd fds[CROWD_MAX + FDS_OURS] = {{havoc, POLLIN, 0},
							   {signals, POLLIN, 0}};
		nfds_t n = FDS_OURS + crowd_poll(&d->crowd, fds + FDS_OURS);
		struct signalfd_siginfo info;

		poll(fds, n, TICK_MS);
		if (fds[0].revents)
			do_havoc(d, havoc);
		if (fds[1].revents && read(signals, &info, sizeof(info)) > 0) {
			d->interrupted = true;
			atomic_store(&d->ledger->stop, 1);
		}
		crowd_tend(&d->crowd);
		if (pidfd_is_over(d->stage.pidfd) == 1) {
			fprintf(stderr, "stress: the keeper is over\n");
			d->faults++;
			return;
		}
		if (clock_now() < tick)
			continue;
		tick = clock_now() + TICK_MS * NS_PER_MS;
		if (tick > limit)
			atomic_store(&d->ledger->stop, 1);
		sample(d, &broker);
		find_hangs(d);
		show_progress(d, begin);
	}
	if (isatty(2))
		fputc('\n', stderr);
	d->seconds = (double)(clock_now() - begin) / 1e9;
}

static int run_clients(struct driver *d)
{
	_cleanup_close_ int in = -1, out = -1, signals = -1;
	int fds[2], r;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals < 0 || pipe2(fds, O_CLOEXEC) < 0)
		return complain("pipe");
	in = fds[0];
	out = fds[1];
	fd_set_nonblock(in, 1);
	d->crowd.setup.havoc = out;
	r = crowd_start(&d->crowd, d->options->clients);
	if (r == 0)
		drive(d, in, signals);
	return r;
}

int driver_run(struct driver *d, const struct options *options)
{
	int r;

	*d = (struct driver){.options = options, .stage.pidfd = -1};
	r = prepare(d);
	if (r == 0)
		r = run_clients(d);
	/* This host may be another than the first, and shall know as many callers: the driver. */
	if (r == 0 && pidfd_is_over(d->stage.pidfd) == 0 && warm_up(d, STAGE_POOL) == 0 &&
	    holding_await(&d->stage, &d->before, &d->after) < 0)
		holding_explain(&d->stage, d->ledger);
	if (d->stage.pid > 0)
		d->end_status = stage_stop(&d->stage);
	d->processes = leftover_processes();
	if (stage_log_has(&d->stage, "stop-overdue")) {
		fprintf(stderr, "stress: hosts did not stop in time\n");
		d->faults++;
	}
	if (r == 0)
		r = tally_make(&d->tally, d->ledger, d->runs, &d->havoc);
	if (r < 0 || d->tally.faults || d->end_status || d->processes || d->faults)
		stage_show_log(&d->stage);
	if (d->stage.dir[0])
		d->files = stage_remove(&d->stage);
	return r;
}

void driver_done(struct driver *d)
{
	tally_free(&d->tally);
	free(d->havoc.deeds);
	free(d->keeper.samples);
	free(d->broker.samples);
}
