/* SPDX-License-Identifier: MIT */
/*
 * When a host dies its leaves become the keeper's children (it is their subreaper), zombies
 * included, and its slots are in memory that the keeper shares: the keeper plays the host's part.
 */
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "keeper/keeper.h"
#include "wire/channel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

/* True if it is a child of this process, alive or not reaped yet. */
static bool is_child(int pidfd)
{
	siginfo_t si;

	return waitid(P_PIDFD, (id_t)pidfd, &si, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/*
 * A leaf that its host reaped may have left its pid to somebody else's process, also one that is
 * a child here: the pidfd is asked about only if it is of the process that was verified.
 */
static int open_leaf(const struct registered *r)
{
	_cleanup_close_ int pidfd = r->pid ? pidfd_open_pid(r->pid) : -1;

	return pidfd >= 0 && registered_is_alive(r) && is_child(pidfd) ? take_fd(&pidfd) : -1;
}

static void adopt_leaf(struct host_process *h, uint32_t i)
{
	const struct registered *r = &h->registered[i];
	/* A copy: whoever else maps the slots may write there at any time. */
	const struct slot s = h->brood->slots[i];
	struct connection *owner;
	bool gone = false;
	int pidfd;

	/* The slot says whether it was reaped; the keeper's own register which process it is. */
	if (s.state == SLOT_FREE || s.serial != r->serial)
		return;
	pidfd = open_leaf(r);
	if (pidfd < 0 || brood_add(h->brood, r->serial, r->pid, pidfd) < 0) {
		fd_close(pidfd);
		return;
	}
	owner = s.state == SLOT_LAUNCHED ? peer_find(h->keeper, s.owner) : NULL;
	pidfd = owner ? fd_dup_above(owner->identity.pidfd, 3) : -1;
	if (pidfd >= 0)
		brood_own(h->brood, s.owner, pidfd);
	else if (s.state == SLOT_LAUNCHED && !owner)
		gone = true; /* the keeper forgets a caller that has leaves only when it is over */
	/* What the host was told by WATCH alone is in the slot too. */
	if (s.deadline_ns && s.state == SLOT_LAUNCHED) {
		struct leaf *l = &h->brood->leaves[i];

		l->deadline_ns = s.deadline_ns;
		l->grace_ms = s.grace_ms;
		if (!h->brood->next_deadline || l->deadline_ns < h->brood->next_deadline)
			h->brood->next_deadline = l->deadline_ns;
	}
	if (gone)
		brood_own_gone(h->brood, s.owner);
}

void orphans_adopt(struct host_process *h)
{
	struct keeper *k = h->keeper;
	struct brood *b = calloc(1, sizeof(*b));

	if (!b || brood_open(b, &k->poller, h->slots_fd, h->n_slots, NULL) < 0) {
		log_line(LOG_ERR, "orphans-lost", "template=%s reason=\"out of memory\"",
			 h->template_name);
		free(b);
		host_free(h);
		return;
	}
	h->brood = b;
	b->nofork = h->nofork;
	b->nofork_by = h->nofork_by;
	for (uint32_t i = 0; i < h->n_slots; i++)
		adopt_leaf(h, i);
	brood_doubt(b); /* a launch may be on its way to those that are parked */
	if (b->n_leaves == 0)
		return; /* swept by the loop: a caller up the stack may still hold it */
	log_line(LOG_NOTICE, "orphans-adopted", "template=%s leaves=%u", h->template_name,
		 b->n_leaves);
	h->start_id = 0;
	broker_introduce(k, h);
	if (k->stopping)
		brood_stop(b, k->config->stop_timeout_ms);
}

void orphans_sweep(struct keeper *k)
{
	struct host_process *h = k->hosts, *next;

	for (; h; h = next) {
		next = h->next;
		/* While the server stops nobody reads on: what a broker did not take is lost with
		 * it. */
		if (h->state == HOST_DEAD && h->brood && h->brood->n_leaves == 0 &&
		    (!h->brood->unsent || h->keeper->stopping))
			host_free(h);
	}
}
