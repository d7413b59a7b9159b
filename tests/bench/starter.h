/* SPDX-License-Identifier: MIT */
/* starter.h - one thing to start, and the ways to start it. */
#ifndef BENCH_STARTER_H
#define BENCH_STARTER_H

#include "bench.h"
#include "libspawn.h"
#include "server.h"
#include "stamp.h"

#include <spawn.h>
#include <sys/types.h>

#define DEPTH_MAX 16

enum way {
	WAY_SUBMIT,	 /* spawn_submit() until STARTED */
	WAY_PROCESS,	 /* spawn_process() */
	WAY_EXEC_SUBMIT, /* of the same source, cold, executed by a leaf of the server */
	WAY_EXEC_PROCESS,
	WAY_OWN_SUBMIT, /* the same, a child of the caller's own by its private host */
	WAY_OWN_PROCESS,
	WAY_POSIX_SPAWN, /* of the same source, cold */
	WAY_VFORK,
	WAY_FORK_EXEC,
	WAY_FORK,	/* no exec: the child stamps, and says so through a pipe */
	WAY_ROUND_TRIP, /* no process: a datagram with a descriptor there, one back */
	WAY_NOTHING,	/* what the machine does by itself */
	WAYS
};
const char *way_name(enum way w);
/* What the caller knows when it has its handle. */
const char *way_mode(enum way w);
/* Through libspawn. */
bool way_is_leaf(enum way w);
/* The server has a part in it. */
bool way_is_served(enum way w);

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
	bool hit; /* no leaf had to be forked for it, or it is not of a pool */
};

struct starter {
	const char *cold;
	enum template template_;
	bool stamping;
	const char *socket;		   /* borrowed; NULL: without the server's ways */
	struct spawn_client *client;	   /* NULL until a way needs it; so are the others */
	struct spawn_client *own;	   /* the private host's */
	struct spawn_request *leaf, *exec; /* the latter for both owners' */
	struct stamps *stamps;		   /* with stamping */
	int stamps_fd;
	posix_spawn_file_actions_t actions; /* with stamping: as a request, made once */
	int echo;			    /* -1: no round trips yet */
	pid_t echo_pid;
};

/* stamping: the child says when it ran. Without, it has no argument and no descriptor but 0 to 2.
 */
void starter_open(struct starter *s, const struct bench *b, enum template template_,
		  const char *socket, bool stamping);
/* Makes what the way needs beside the child: a connection, an echo. Before its first use. */
void starter_prepare(struct starter *s, enum way way);
void starter_close(struct starter *s);

/* Starts, stamps, waits for the end. Needs stamping. */
void starter_run(struct starter *s, enum way way, struct sample *ret);

/* Without stamping, for rates: the call's own time, and what the child used. */
struct pass {
	double call_us, child_us;
	bool hit;
};
/* Starts n, with so many alive at once, and waits for each in the order of the starts. */
void starter_passes(struct starter *s, enum way way, unsigned depth, unsigned n, struct pass *ret);

#endif
