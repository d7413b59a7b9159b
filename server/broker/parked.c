/* SPDX-License-Identifier: MIT */
/* The leaves of a host that wait to be launched. */
#include "base/fd.h"
#include "broker/broker.h"

#include <stdlib.h>

void parked_free(struct parked *p)
{
	if (!p)
		return;
	fd_close(p->control); /* a leaf that was not launched leaves at this */
	fd_close(p->pidfd);
	free(p);
}

struct parked *host_take_parked(struct host *h)
{
	struct parked *p = h->parked;

	if (!p)
		return NULL;
	h->parked = p->next;
	if (!h->parked)
		h->parked_end = &h->parked;
	h->n_parked--;
	return p;
}

void host_drop_parked(struct host *h)
{
	struct parked *p;

	while ((p = host_take_parked(h)))
		parked_free(p);
}

void host_drop_parked_leaf(struct host *h, uint64_t serial)
{
	for (struct parked **p = &h->parked; *p; p = &(*p)->next) {
		struct parked *dead = *p;

		if (dead->serial != serial)
			continue;
		*p = dead->next;
		if (!*p)
			h->parked_end = p;
		h->n_parked--;
		parked_free(dead);
		return;
	}
}

/* Takes the two descriptors that came with it, if they did. */
static void park(struct host *h, uint64_t serial, pid_t pid, int control, int pidfd)
{
	const struct config_template *t = pool_template(h->pool);
	struct parked *p = NULL;

	/* Those for whom it was forked may have gone; nor is it kept then. */
	if (control >= 0 && pidfd >= 0 && (!t || h->n_parked < t->pool_size + h->pool->n_waiting))
		p = calloc(1, sizeof(*p));
	if (!p) {
		fd_close(control); /* it leaves */
		fd_close(pidfd);
		return;
	}
	*p = (struct parked){.serial = serial, .pid = pid, .control = control, .pidfd = pidfd};
	*h->parked_end = p;
	h->parked_end = &p->next;
	h->n_parked++;
}

void host_offered(struct broker *b, const struct message *m, struct fds *fds)
{
	struct host *h = host_find(b, message_u64(m, REC_HOST));
	uint32_t count = message_u32(m, REC_COUNT);
	uint64_t serial = 0;
	struct record r;
	size_t n = 0;

	if (!h)
		return;
	h->forking -= count < h->forking ? count : h->forking;
	h->offered += count;
	if (!h->pool || h->dead || b->draining)
		return; /* their descriptors are closed: they leave */
	h->pool->fruitless = 0;
	message_for_each (m, cursor, &r) {
		if (r.type == REC_SERIAL) {
			serial = get_u64(r.data);
		} else if (r.type == REC_PID) {
			park(h, serial, (pid_t)get_u32(r.data), fds_take(fds, n),
			     fds_take(fds, n + 1));
			n += 2;
		}
	}
	pool_turn(h->pool);
}
