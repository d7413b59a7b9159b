/* SPDX-License-Identifier: MIT */
/* starter.h - one thing to start, and the ways to start it. */
#ifndef BENCH_STARTER_H
#define BENCH_STARTER_H

#include "bench.h"
#include "libspawn.h"
#include "stamp.h"

#include <sys/types.h>

enum way {
	WAY_SUBMIT,	 /* spawn_submit() until STARTED */
	WAY_PROCESS,	 /* spawn_process() */
	WAY_POSIX_SPAWN, /* of the same source, cold */
	WAY_VFORK,
	WAY_FORK_EXEC,
	WAY_FORK,	/* no exec: the child stamps, and says so through a pipe */
	WAY_ROUND_TRIP, /* no process: a datagram with a descriptor there, one back */
	WAYS
};
const char *way_name(enum way w);
/* What the caller knows when it has its handle. */
const char *way_mode(enum way w);

/* Of a leaf: from one moment that the server or the library noted to the next. */
enum stage {
	STAGE_ASK,     /* called until the broker has read it */
	STAGE_DECIDE,  /* until the broker has sent the launch to a leaf */
	STAGE_REPLY,   /* from there until the library has the handle */
	STAGE_WAKE,    /* from there until the leaf has read the launch */
	STAGE_BECOME,  /* until the leaf is what was asked for */
	STAGE_CONFIRM, /* until the library knows */
	STAGES
};

/* All in µs; those that a way has not are 0. */
struct sample {
	double blocked; /* the caller, in the call itself */
	double handle;	/* from the call until the caller can name its child */
	double first;	/* from the call until the child's first own instruction */
	double status;	/* from the child's last own instruction until its status is known */
	double stages[STAGES];
	bool hit; /* no leaf had to be forked for it, or it is not a leaf */
};

struct starter {
	const char *cold;
	struct spawn_client *client; /* NULL: without spawnd's ways */
	struct spawn_request *request;
	struct stamps *stamps;
	int stamps_fd;
	int echo; /* -1: no round trips */
	pid_t echo_pid;
};

/* socket NULL: without spawnd's ways. */
void starter_open(struct starter *s, const struct bench *b, enum work work, const char *socket);
/* Makes the process for round trips. */
void starter_add_echo(struct starter *s);
void starter_close(struct starter *s);

/* Starts, stamps, waits for the end. */
void starter_run(struct starter *s, enum way way, struct sample *ret);

/* Without stamps, for rates: starts and waits; the call's own time, and what the child used. */
struct pass {
	double call_us, child_us;
	bool hit;
};
void starter_pass(struct starter *s, enum way way, struct pass *ret);

#endif
