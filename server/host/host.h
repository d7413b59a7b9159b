/* SPDX-License-Identifier: MIT */
/*
 * host.h - one warm template and what it needs to fork leaves.
 *
 * A page that the host writes to between two forks is copied for each leaf. So what changes lies in
 * memory that is not inherited at all, and what a leaf needs is set before the first fork.
 */
#ifndef HOST_HOST_H
#define HOST_HOST_H

#include "brood.h"
#include "libspawn-template.h"
#include "poller.h"
#include "summons.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

/* Descriptors that a host is started with. */
#define HOST_KEEPER_FD 3
#define HOST_SLOTS_FD  4

struct body;

/* What leaves find in their copy of this memory: not written to once there is one. */
struct warm {
	const char *name;   /* of the template */
	uint32_t nofork;    /* what its leaves promise */
	bool nofork_weaker; /* a request may ask for less: so the leaf can only promise when
			       launched */
	bool kernel_nofork; /* the kernel can, what the lane needs */
	bool born_nofork;   /* leaves are marked by fork */

	struct spawn_template_hooks hooks; /* of a program */
	bool dumpable;			   /* before it became a host, so will its leaves be */
	const char *program; /* what all leaves of an exec host become; NULL: what each is told */
	/* Does the request need a new process image? NULL: as the lane has it. */
	bool (*executes)(const struct body *body);
	const struct spawn_template *template_;
	void *state; /* what warm() made */

	char *title; /* where the kernel looks for the arguments: ours, then a leaf's */
	size_t title_size;
	int null_fd;			    /* /dev/null, for the stdio of parked leaves */
	struct rlimit limits[RLIM_NLIMITS]; /* its own, and so those of a leaf */
};

/* Code of the template's runs between two forks. */
static inline bool host_is_hooked(const struct warm *w)
{
	return w->hooks.before_fork || w->hooks.after_fork;
}

#define OFFER_SIZE 2048

/* Forked and not offered yet: one message for many of them. */
struct offer {
	struct frame frame;
	uint8_t data[OFFER_SIZE];
	int control[WIRE_OFFER_MAX];
	uint32_t n;
};

/* What goes on changing: leaves have none of it (arena.h). */
struct host {
	struct warm *warm;
	const char *object; /* path of the shared object; NULL in lane exec */
	const char *note;   /* how it is not what its lane says, for status; NULL */
	uint64_t id;
	uint32_t n_slots;
	bool enforce_kernel;
	bool compacts;
	bool gate_refuses;  /* what gate.h finds; else it is told */
	char findings[544]; /* of that */
	uint32_t count;
	struct poller poller;
	struct watch keeper;
	struct brood brood;
	struct offer offer; /* here and not on the stack, which leaves inherit */
	struct spawn_error error;
	bool stopping;
	bool end_leaves; /* with it */
	uint64_t stop_grace_ms;
};

/*
 * serve.c: from a process that the keeper started to a host at work, in this order. With a negative
 * errno err is filled: for host_tell_failed(), which tells the keeper, and the end.
 */
/* Zeroed but for what only serve.c knows; NULL when out of memory. */
struct host *host_new(struct warm *warm);
/* For a program that is a host; what is pointed to has to stay. */
void host_take_summons(struct host *h, const struct summons *s);
/* Takes the descriptors that it was started with; name, id and n_slots are set. */
int host_open(struct host *h, struct spawn_error *err);
/* What the kernel can hold leaves to. Forks where that is to be tried: while single-threaded. */
int host_choose_nofork(struct host *h, struct spawn_error *err);
/* Warm: what a leaf shall not inherit of that is undone. Refuses a process with other threads. */
int host_settle(struct host *h, struct spawn_error *err);
void host_tell_failed(int code, const struct spawn_error *err);
/* Says that it is warm and forks leaves until it shall not any more. An exit status. */
int host_serve(struct host *h);

/* threads.c: 0, or -EBUSY with the names of the threads that are not the main one. */
int threads_check(struct spawn_error *err);
/* The same at the end of warm-up; but a library may end its threads before a fork (OpenBLAS does),
 * so one is tried. */
int threads_settle(struct spawn_error *err);

/*
 * fork.c: makes up to n leaves and offers them to the keeper, the first `waited_for` each by itself
 * and at once; tells the broker how many it could not.
 */
void host_fork(struct host *h, uint32_t n, uint32_t waited_for);

#endif
