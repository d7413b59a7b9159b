/* SPDX-License-Identifier: MIT */
/*
 * connection.h - one connection that many threads share.
 *
 * A mutex protects the state. At most one thread reads the socket at a time (the leader): it polls
 * without the lock, takes it to hand each message to whom it belongs, and hands the reading over
 * when it has what it wants. The others wait on condition variables of their own.
 *
 * All of it belongs to the process that made it (pid). A fork may leave the mutex locked in the
 * child for ever, so there the whole is replaced and never touched again, see client.c.
 */
#ifndef LIBSPAWN_CONNECTION_H
#define LIBSPAWN_CONNECTION_H

#include "libspawn.h"
#include "private.h"
#include "wire/channel.h"
#include "wire/message.h"

#include <pthread.h>
#include <stdatomic.h>

#define HELLO_TIMEOUT_MS 10000
#define PROC_BUCKETS	 64
/* A client may have two connections: the ids of the private one have this bit. */
#define PRIVATE_IDS 0x80000000u

enum connection_state {
	CONNECTION_LOST,       /* or never made: the next operation that needs it connects */
	CONNECTION_CONNECTING, /* one thread is in connect(), without the lock */
	CONNECTION_GREETING,   /* HELLO is sent, WELCOME is not here */
	CONNECTION_OPEN,
};

enum call_kind { CALL_SPAWN, CALL_SUBMIT, CALL_PING, CALL_STATUS };

/* A STATUS reply as it came. */
struct reply {
	struct reply *next;
	size_t len;
	uint8_t data[];
};

/* A request that waits for its answer. Those of a blocking call live on its stack. */
struct call {
	struct call *next;
	uint32_t id;
	uint64_t sent; /* the connection's count of sends */
	enum call_kind kind;
	bool done;
	bool lost;		  /* done, but the answer is not known: the connection was lost */
	struct spawn_error error; /* code 0: none */
	struct spawn_proc *proc;  /* CALL_SPAWN, CALL_SUBMIT: made ready before it is sent */
	spawn_started_fn *on_started;
	void *user;
	struct reply *replies, **replies_end;
	uint32_t n_replies;
};

struct call_queue {
	struct call *first, **end;
};

struct waiter;

struct connection {
	atomic_uint refs;
	pid_t pid;
	bool is_private; /* to a private host; else to a server */
	char *path;	 /* of the socket, or of the private host's executable */
	char *peer;	 /* in words */
	struct connection *next_abandoned;

	pthread_mutex_t lock;
	enum connection_state state;
	int fd;
	ino_t ino; /* of fd: a child makes sure with it that the number is still this socket */
	struct private_host host; /* of a private connection */
	int reserve; /* given up to receive a descriptor when the process has no other left */
	bool reading;
	struct waiter *waiters, **waiters_end;
	uint8_t *buffer; /* the leader's */

	uint32_t last_id, hello_id;
	uint64_t hello_deadline;
	bool welcomed;		      /* ever */
	uint64_t losses;	      /* how often the connection was lost */
	uint64_t failures;	      /* how often connecting failed */
	struct spawn_error failure;   /* the last one */
	struct spawn_error complaint; /* ERROR with id 0: why the server is about to close */

	struct call_queue calls;     /* in flight */
	struct call_queue completed; /* submits to be told, without the lock */
	struct call_queue undecided; /* submits that were in flight when the connection was lost */
	struct spawn_proc *procs[PROC_BUCKETS]; /* by serial; those whose record is the server's */
	bool owed;				/* a RELEASE or TAKE could not be sent yet */
	struct spawn_proc *released, **released_end; /* in the order of their RELEASE */
	struct tally *tally;			     /* of this connection; NULL: none */
	uint32_t tally_written;
	uint64_t confirmed; /* what was sent as a number below this was read */
	uint64_t sends;	    /* calls and RELEASEs of this connection so far, in order */

	/* What spawn_client_fd() gives while the client has this connection and a private one: an
	 * epoll of both. */
	struct {
		int fd; /* -1: none */
		ino_t ino;
		int of[2];
		uint64_t losses[2];
	} joint;

	char server[65]; /* of WELCOME */
	uint32_t server_mode;
	pid_t keeper_pid;
};

/* Not connected yet. path: of a server's socket; NULL: to a private host. Takes nothing. */
int connection_new(const char *path, struct connection **ret);
struct connection *connection_ref(struct connection *c);
void connection_unref(struct connection *c); /* NULL is fine */
/* In a child of the process that it belongs to: closes its descriptors, leaves the rest. */
void connection_abandon(struct connection *c);

void connection_lock(struct connection *c);
/* Hands the reading over if nobody reads and somebody waits. */
void connection_unlock(struct connection *c);

/* A thread that was cancelled with the lock or the lead would stop all others: none is. */
static inline int cancel_off(void)
{
	int old;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
	return old;
}
static inline void cancel_restore(int *old)
{
	pthread_setcancelstate(*old, NULL);
}
#define _uncancellable_ __attribute__((cleanup(cancel_restore), unused)) int

/* All below: with the lock held. */

/* Connected and welcomed, connecting anew where necessary. 0 or a negative errno. */
int connection_open(struct connection *c, uint64_t deadline, struct spawn_error *err);
/*
 * Waits until something may have changed for `on`: look again after it, whatever it returns.
 * -ETIMEDOUT when the deadline (0: none) has passed; input that was there has been handled.
 */
int connection_turn(struct connection *c, const void *on, uint64_t deadline);
/* Handles what is there without waiting. The number of messages, or -ECONNRESET. */
int connection_drain(struct connection *c);
/* -EAGAIN, -ECONNRESET (lost, or about to be found lost), or another negative errno. */
int connection_send(struct connection *c, struct frame *f, int fd);
/*
 * The same, but connects anew when lost, and, if patient, waits for room. as: whom a private host
 * must be like, or another is started; NULL: anyone.
 */
int connection_send_anew(struct connection *c, struct frame *f, int fd, bool patient,
			 const struct identity *as, struct spawn_error *err);
/* Until the socket takes more. It is also read meanwhile: the server may wait for that. */
void connection_await_room(struct connection *c);
/* Tells the server, for a moment also at the price of connecting anew, of the records that nobody
 * will ask for. */
void connection_pay(struct connection *c);
void connection_lost(struct connection *c, const struct spawn_error *why);
/* The client is about to be closed. A private host answers at once: waits for what is in flight. */
void connection_finish(struct connection *c);
/* It is closed, and nothing is in flight: a private host ends. A server's connection is for the
 * procs, too. */
void connection_retire(struct connection *c);
void connection_wake(struct connection *c, const void *on); /* NULL: everybody */

uint32_t call_number(struct connection *c); /* an id for the next call */
/* Once it is sent, before the lock is let go: a call that was not sent is not lost with its
 * connection. */
void call_add(struct connection *c, struct call *call);
struct call *call_find(struct connection *c, uint32_t id);
void call_remove(struct connection *c, struct call *call);
void call_finish(struct connection *c, struct call *call); /* answered: error and proc are set */

/* Sends a message of no records and waits for the answer. */
int call_ask(struct connection *c, struct call *call, enum message_type type,
	     struct spawn_error *err);
void call_drop_replies(struct call *call);

void call_queue_put(struct call_queue *q, struct call *call);
struct call *call_queue_take(struct call_queue *q); /* the first, or NULL */

/* dispatch.c: hands the datagram in c->buffer to whom it belongs; lost_fds: its descriptors could
 * not be received. */
void connection_dispatch(struct connection *c, size_t len, struct fds *fds, bool lost_fds);

#endif
