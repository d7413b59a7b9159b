/* SPDX-License-Identifier: MIT */
/*
 * fate.h - what becomes of request number n: what is asked of its leaf, how, and what is killed
 * beside it. A pure function of seed and number, so that a run can be repeated and whoever has to
 * judge an answer knows what was asked for.
 */
#ifndef STRESS_FATE_H
#define STRESS_FATE_H

#include <stdbool.h>
#include <stdint.h>

enum fate_end {
	END_EXIT,     /* the leaf returns `value` */
	END_SIGNAL,   /* it sends itself the signal `value` */
	END_TERM,     /* it waits; its caller sends SIGTERM */
	END_DEADLINE, /* it waits; the server sends SIGTERM after DEADLINE_MS */
	END_COUNT,
};

enum havoc {
	HAVOC_NONE,
	HAVOC_LAUNCHED, /* SIGKILL to a launched leaf */
	HAVOC_PARKED,	/* ... to a parked one */
	HAVOC_CLIENT,
	HAVOC_HOST,
	HAVOC_BROKER,
	HAVOC_REEXEC, /* SIGUSR2 to the keeper */
	HAVOC_RELOAD, /* another configuration, SIGHUP to the keeper */
	HAVOC_COUNT,
};

#define FATE_DEADLINE_MS 40
#define FATE_GRACE_MS	 5000

struct fate {
	enum fate_end end;
	int value;
	unsigned linger_ms; /* how long the leaf works before it ends */
	bool submit;	    /* spawn_submit(), else spawn_process() */
	bool cancel;	    /* taken back at once: either it is or it runs */
	bool let_go;	    /* freed as soon as it runs: nobody asks for its status */
	bool with_caller;   /* kill_with_caller */
	enum havoc havoc;
	uint64_t dice; /* which one of them */
};

/* What a run is made from. */
struct recipe {
	uint64_t seed;
	double kill_percent; /* of requests that have havoc beside them */
	unsigned kinds;	     /* of havoc: bit n for kind n */
};

struct fate fate_of(const struct recipe *recipe, uint32_t number);

/* "launched leaves"; static. */
const char *havoc_name(enum havoc havoc);
#define HAVOC_ALL ((1u << HAVOC_COUNT) - 1 - (1u << HAVOC_NONE))
/* The word for it on the command line: "launched"; static. */
const char *havoc_word(enum havoc havoc);

#endif
