/* SPDX-License-Identifier: MIT */
/*
 * proc.h - a started process. While its record is the server's to give it is in the connection's
 * table, also when the user has freed it and the server could not be told yet.
 */
#ifndef LIBSPAWN_PROC_H
#define LIBSPAWN_PROC_H

#include "body.h"
#include "connection.h"
#include "wire/record.h"

enum proc_state {
	PROC_NEW,      /* not started */
	PROC_HELD,     /* the server of this connection knows that it is ours */
	PROC_UNTAKEN,  /* the connection was lost: to be taken on the next */
	PROC_TAKING,   /* TAKE is sent */
	PROC_RELEASED, /* RELEASE is sent; listed until it is certain that the server read it */
	PROC_ORPHAN,   /* the server has no record of it */
	PROC_OWN,      /* a child of this process, always: there is no other record of it */
};

struct spawn_proc {
	struct connection *connection; /* a reference */
	struct spawn_proc *next;       /* in the connection's table, if listed */
	bool listed;
	enum proc_state state;
	uint32_t take_id;
	uint64_t serial;
	uint8_t token[WIRE_TOKEN_SIZE];

	pid_t pid; /* up to generation: written before the user has it, never after */
	int pidfd;
	uint32_t nofork, nofork_by;
	uint64_t generation;

	struct spawn_proc *next_released;
	uint64_t released_at; /* the connection's count of sends */
	uint32_t tallied_at;  /* and of what is written in its tally, if tallied */
	bool tallied;

	bool freed;    /* by the user: only the RELEASE is left to do */
	bool owed;     /* a RELEASE that could not be sent */
	bool finished; /* the record is here */
	bool known;    /* it says how it ended */
	struct exit_record record;
	struct body body;
	struct spawn_timing timing;
};

/* How it ended, of a child of this process that is over, which is thereby reaped. -EAGAIN: its
 * tracer is told first. -ECHILD: somebody else has reaped it. */
int proc_reap(const struct spawn_proc *p, bool wait, struct exit_record *ret);

/* Not started; NULL when out of memory. */
struct spawn_proc *proc_new(struct connection *c);

/* All below: with the connection's lock. */

/* The server gave it to us: by STARTED, or TAKEN. Takes pidfd. May free a proc that the user freed.
 */
void proc_hold(struct connection *c, struct spawn_proc *p, const struct message *m, int pidfd);
/* Enters one of which only the token is known, to be taken. */
void proc_add_untaken(struct connection *c, struct spawn_proc *p,
		      const uint8_t token[WIRE_TOKEN_SIZE]);
/* The private host made it; or, of one whose answer was lost, the child itself said so. Takes
 * pidfd, which may be -1: the pid is all that is known. */
void proc_own(struct connection *c, struct spawn_proc *p, pid_t pid, int pidfd);
/* The server has no record of it, or it is given up. May free a proc that the user freed. */
void proc_orphan(struct connection *c, struct spawn_proc *p);
/* Tells the server that nobody will ask any more, now or as soon as it can be told. */
void proc_release(struct connection *c, struct spawn_proc *p);
struct spawn_proc *proc_find(struct connection *c, uint64_t serial);
struct spawn_proc *proc_find_taking(struct connection *c, uint32_t id);
/* What the leaf said of its start, as far as it is there. */
void proc_read_body(struct spawn_proc *p);

void procs_take(struct connection *c);	 /* TAKE for those of a lost connection */
void procs_untake(struct connection *c); /* the connection was lost */
/* The server answered what was sent as number `sent`: all before it was read. 0 says nothing new.
 */
void procs_confirm(struct connection *c, uint64_t sent);
void procs_pay(struct connection *c);	    /* sends what is owed, as far as there is room */
bool procs_owe(const struct connection *c); /* some record is still to be released */
void procs_forget(struct connection *c);    /* the connection is over */

#endif
