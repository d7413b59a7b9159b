/* SPDX-License-Identifier: MIT */
#include "closing.h"

#include "inventory.h"

#include "../integration/census.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK_EVERY_MS 20
#define MOMENT_MS     3000 /* a parked leaf ends at the end of file of its control socket */

static int look(struct stage *s, struct holding *h)
{
	static struct stage_status seen; /* large */
	static struct census_process all[STAGE_LEAVES_MAX];

	*h = (struct holding){.keeper_fds = -1, .broker_fds = -1, .host_fds = -1};
	if (stage_status(s, &seen) < 0)
		return -1;
	h->parked = seen.parked;
	h->launched = seen.launched;
	h->queued = seen.queued;
	h->leaves = (unsigned)(seen.n_parked + seen.n_launched);
	h->processes = (unsigned)census_descendants(s->pid, all, STAGE_LEAVES_MAX);
	h->zombies = (unsigned)census_zombies(s->pid);
	h->keeper_fds = census_fds(s->pid);
	h->broker_fds = census_fds(stage_broker(s));
	h->host_fds = census_fds(seen.host);
	h->keeper_kib = census_rss_kib(s->pid);
	h->broker_kib = census_rss_kib(stage_broker(s));
	return 0;
}

bool holding_is_at_rest(const struct holding *h)
{
	return h->parked == STAGE_POOL && h->leaves == STAGE_POOL && h->launched == 0 &&
	       h->queued == 0 && h->zombies == 0;
}

static bool is_same(const struct holding *a, const struct holding *b)
{
	return a->keeper_fds == b->keeper_fds && a->broker_fds == b->broker_fds &&
	       a->host_fds == b->host_fds && a->processes == b->processes;
}

/* The last request that had this pid: numbers come round again. */
static void explain_request(pid_t pid, const struct ledger *ledger)
{
	const struct entry *last = NULL;

	for (uint32_t i = 0; i < ledger->n; i++) {
		const struct entry *e = &ledger->entries[i];

		if (e->pid == pid && (!last || e->asked_ns > last->asked_ns))
			last = e;
	}
	if (last)
		fprintf(stderr,
			"stress: pid %d was last the leaf of request %ld of client %u (state %d), "
			"%.3f s ago\n",
			(int)pid, (long)(last - ledger->entries), last->client,
			(int)entry_state(last), (double)(clock_now() - last->asked_ns) / 1e9);
	else
		fprintf(stderr, "stress: pid %d was told to no client\n", (int)pid);
}

static void explain_process(const struct census_process *p, const struct stage_status *seen,
			    const struct ledger *ledger)
{
	const char *what = "no leaf that the server knows";

	for (size_t i = 0; i < seen->n_parked; i++) {
		if (seen->parked_pids[i] == p->pid)
			return;
	}
	for (size_t i = 0; i < seen->n_launched; i++) {
		if (seen->launched_pids[i] == p->pid)
			what = "a launched leaf";
	}
	if (p->pid == seen->host)
		what = "the host";
	fprintf(stderr, "stress: pid %d %s (%c), child of %d: %s\n", (int)p->pid, p->comm, p->state,
		(int)p->parent, what);
	if (what[0] == 'a')
		explain_request(p->pid, ledger);
}

void holding_explain(struct stage *s, const struct ledger *ledger)
{
	static struct stage_status seen; /* large */
	static struct census_process all[STAGE_LEAVES_MAX];
	size_t n;

	if (stage_status(s, &seen) < 0)
		return;
	n = census_descendants(s->pid, all, STAGE_LEAVES_MAX);
	for (size_t i = 0; i < n && i < STAGE_LEAVES_MAX; i++)
		explain_process(&all[i], &seen, ledger);
	inventory_show("keeper", s->pid);
	inventory_show("broker", stage_broker(s));
	inventory_show("host", seen.host);
}

int holding_await(struct stage *s, const struct holding *before, struct holding *ret)
{
	uint64_t end = clock_now() + STAGE_PATIENCE_MS * NS_PER_MS;

	for (;;) {
		if (look(s, ret) < 0)
			return -1;
		if (holding_is_at_rest(ret) && (!before || is_same(ret, before)))
			return 0;
		if (clock_now() >= end)
			return -1;
		poll(NULL, 0, LOOK_EVERY_MS); /* nothing tells of it */
	}
}

unsigned leftover_processes(void)
{
	uint64_t end = clock_now() + MOMENT_MS * NS_PER_MS;
	struct census_process left[64];
	unsigned killed = 0;

	for (;;) {
		siginfo_t info = {0};
		size_t n;

		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG) < 0 && errno == ECHILD)
			return killed;
		if (info.si_pid)
			continue;
		if (clock_now() < end) {
			poll(NULL, 0, LOOK_EVERY_MS);
			continue;
		}
		/* Our own descendants, and not reaped yet: their numbers are theirs. */
		n = census_descendants(getpid(), left, 64);
		for (size_t i = 0; i < n && i < 64; i++) {
			if (left[i].state == 'Z')
				continue;
			fprintf(stderr, "stress: left behind: pid %d %s\n", (int)left[i].pid,
				left[i].comm);
			kill(left[i].pid, SIGKILL);
			killed++;
		}
		end = clock_now() + MOMENT_MS * NS_PER_MS;
	}
}
