/* SPDX-License-Identifier: MIT */
#include "client.h"

#include "ledger.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct job {
	bool used;
	struct client *client;
	uint32_t number;
	struct fate fate;
	struct spawn_proc *proc; /* NULL: not answered yet */
};

struct client {
	const struct client_setup *setup;
	struct ledger *ledger;
	struct spawn_client *spawn;
	struct job jobs[CLIENT_WINDOW];
};

struct spawn_request *client_request(uint32_t number, const struct fate *fate, int runs)
{
	struct spawn_request *request = spawn_request_new("counted");
	char text[3][16];
	const char *const how[END_COUNT] = {"exit", "signal", "block", "block"};
	const char *const args[] = {text[0], text[1], how[fate->end], text[2]};

	if (!request)
		return NULL;
	snprintf(text[0], sizeof(text[0]), "%u", number);
	snprintf(text[1], sizeof(text[1]), "%u", fate->linger_ms);
	snprintf(text[2], sizeof(text[2]), "%d", fate->value);
	spawn_request_args(request, 4, args);
	spawn_request_fd(request, runs, 3);
	spawn_request_kill_with_caller(request, fate->with_caller);
	if (fate->end == END_DEADLINE)
		spawn_request_deadline(request, FATE_DEADLINE_MS, FATE_GRACE_MS);
	return request;
}

static struct entry *job_entry(const struct job *job)
{
	return &job->client->ledger->entries[job->number];
}

static void job_refused(struct job *job, const struct spawn_error *err)
{
	struct entry *e = job_entry(job);

	e->code = err->code;
	e->origin = err->origin;
	snprintf(e->text, sizeof(e->text), "%.*s", (int)sizeof(e->text) - 1, err->message);
	entry_finish(job->client->ledger, e, ENTRY_REFUSED);
	job->used = false;
}

static void job_started(struct job *job, struct spawn_proc *proc)
{
	struct entry *e = job_entry(job);

	e->pid = spawn_proc_pid(proc);
	if (job->fate.let_go) {
		spawn_proc_free(proc);
		entry_finish(job->client->ledger, e, ENTRY_LET_GO);
		job->used = false;
		return;
	}
	job->proc = proc;
	atomic_store(&e->state, ENTRY_RUNNING);
	if (job->fate.end == END_TERM)
		spawn_proc_kill(proc, SIGTERM);
}

/* The one answer. */
static void on_answer(struct spawn_proc *proc, const struct spawn_error *err, void *user)
{
	struct job *job = user;
	struct entry *e = job_entry(job);

	e->answered_ns = clock_now();
	if (atomic_fetch_add(&e->answers, 1) > 0)
		return;
	if (proc)
		job_started(job, proc);
	else
		job_refused(job, err);
}

static void job_over(struct job *job)
{
	struct entry *e = job_entry(job);
	struct spawn_exit *end = NULL;
	int r = spawn_proc_wait(job->proc, HANG_MS, &end);

	e->over_ns = clock_now();
	e->code = r;
	if (r == 0) {
		e->known = spawn_exit_known(end);
		e->status = spawn_exit_status(end);
		e->signal = spawn_exit_signal(end);
		e->start_error = spawn_exit_start_error(end, NULL);
	}
	spawn_exit_free(end);
	spawn_proc_free(job->proc);
	job->proc = NULL;
	job->used = false;
	entry_finish(job->client->ledger, e, r == 0 ? ENTRY_OVER : ENTRY_WAIT_BAD);
}

static void submit(struct job *job, struct spawn_request *request)
{
	struct client *c = job->client;
	struct spawn_error err;
	uint32_t id;
	int r = spawn_submit(c->spawn, request, on_answer, job, &id, &err);

	if (r < 0)
		on_answer(NULL, &err, job);
	else if (job->fate.cancel)
		spawn_cancel(c->spawn, id);
}

static void ask(struct client *c, struct job *job, uint32_t number)
{
	struct entry *e = &c->ledger->entries[number];
	struct spawn_request *request;
	struct spawn_proc *proc = NULL;
	struct spawn_error err;

	*job = (struct job){.used = true, .client = c, .number = number};
	job->fate = fate_of(&c->ledger->recipe, number);
	e->client = c->setup->number;
	e->asked_ns = clock_now();
	atomic_store(&e->state, ENTRY_ASKED);
	if (job->fate.havoc != HAVOC_NONE &&
	    write(c->setup->havoc, &number, sizeof(number)) != sizeof(number))
		exit(3);
	request = client_request(number, &job->fate, c->setup->runs);
	if (!request)
		exit(3);
	if (job->fate.submit)
		submit(job, request);
	else if (spawn_process(c->spawn, request, &proc, &err) < 0)
		on_answer(NULL, &err, job);
	else
		on_answer(proc, NULL, job);
	spawn_request_free(request);
}

/* Asks for as many as there is room for. */
static void fill(struct client *c)
{
	for (int i = 0; i < CLIENT_WINDOW; i++) {
		uint32_t number;

		if (c->jobs[i].used || atomic_load(&c->ledger->stop))
			continue;
		number = atomic_fetch_add(&c->ledger->next, 1);
		if (number < c->ledger->n)
			ask(c, &c->jobs[i], number);
		else
			atomic_store(&c->ledger->stop, 1);
	}
}

static bool is_busy(const struct client *c)
{
	for (int i = 0; i < CLIENT_WINDOW; i++) {
		if (c->jobs[i].used)
			return true;
	}
	return false;
}

/* Waits until something happens to one of them. */
static void turn(struct client *c)
{
	struct pollfd fds[CLIENT_WINDOW + 1];
	struct job *of[CLIENT_WINDOW + 1];
	nfds_t n = 1;

	fds[0] = (struct pollfd){.fd = spawn_client_fd(c->spawn), .events = POLLIN};
	for (int i = 0; i < CLIENT_WINDOW; i++) {
		struct job *job = &c->jobs[i];

		if (!job->used || !job->proc)
			continue;
		of[n] = job;
		fds[n++] = (struct pollfd){spawn_proc_pidfd(job->proc), POLLIN, 0};
	}
	poll(fds, n, -1);
	if (fds[0].revents)
		spawn_client_dispatch(c->spawn);
	for (nfds_t i = 1; i < n; i++) {
		if (fds[i].revents && of[i]->proc)
			job_over(of[i]);
	}
}

int client_run(const struct client_setup *setup)
{
	struct client c = {.setup = setup, .ledger = ledger_open(setup->ledger)};
	struct spawn_error err = {0};

	if (!c.ledger || spawn_client_open(&c.spawn, setup->socket, &err) < 0) {
		fprintf(stderr, "stress: client %u: %s\n", setup->number,
			c.ledger ? err.message : "no ledger");
		return 3;
	}
	do {
		fill(&c);
		if (is_busy(&c))
			turn(&c);
	} while (is_busy(&c) || !atomic_load(&c.ledger->stop));
	spawn_client_close(c.spawn);
	return 0;
}
