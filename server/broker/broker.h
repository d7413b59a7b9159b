/* SPDX-License-Identifier: MIT */
/*
 * broker.h - what reads clients' messages, and so may know and do nothing else.
 *
 * One libuv loop. A callback decodes, calls one named transition and returns. Objects: a session is
 * a connection (session.c); a pool is a template for one set of credentials (pool.c); a host is one
 * life of a template (host.c); a leaf entry is a launched leaf (leaf_table.c). Everything here can
 * be lost: hosts and keeper tell the next broker all of it.
 */
#ifndef BROKER_BROKER_H
#define BROKER_BROKER_H

#include "base/error.h"
#include "config/policy.h"
#include "config/table.h"
#include "wire/channel.h"
#include "wire/record.h"
#include "wire/tally.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

struct broker;
struct host;
struct pool;

/* Counts of one uid, for its limits. */
struct user {
	struct user *next;
	uid_t uid;
	uint32_t sessions, leaves, queued;
	uint32_t closing; /* descriptors of its that wait to be closed; a thread is at the first */
	uint64_t closing_since; /* loop time: when it began with that one */
	struct closing *closings;
	size_t unsent; /* messages for its sessions that do not read */
};

/* What did not fit into a socket. */
struct outbox {
	struct unsent *first, **end;
	size_t n;
};

struct session {
	struct session *next, *prev;
	struct broker *broker;
	uv_poll_t *poll;
	int fd;		/* -1 once closed */
	int pidfd;	/* the caller's */
	uint32_t state; /* STATE_NEW or STATE_OPEN */
	uint64_t connection;
	pid_t pid;
	uid_t uid;
	gid_t gid;
	uint32_t *groups;
	size_t n_groups;
	char *confined; /* NULL: no more than the server */
	struct user *user;
	uint32_t n_leaves; /* entries that it owns; a closed session lives until it has none */
	uint32_t n_takes;
	struct outbox outbox;
	uv_timer_t *greeting; /* until HELLO */
	bool listing;	      /* a STATUS is being answered, which is as long as it is */
	bool broken;
	struct tally *tally; /* what it releases without a word; NULL: nothing */
	uint32_t tally_read;
	struct session *next_watched;
	bool watched;	  /* its tally is looked at soon */
	bool parting;	  /* this is the last look */
	bool told_lately; /* of an end, since the last look */
	uint32_t told;	  /* of how many that it has not released */
};

/* A request that waits for a leaf. */
struct waiting {
	struct waiting *next;
	struct session *session;
	uint32_t id;
	int body;
	struct plan plan;
	uint64_t received_ns;
};

struct parked {
	struct parked *next;
	uint64_t serial;
	pid_t pid;
	int control, pidfd;
};

struct pool {
	struct pool *next;
	struct broker *broker;
	char *template_name;
	uid_t uid;
	gid_t gid;
	uint32_t *groups;
	size_t n_groups;
	struct host *current, *replacement; /* replacement: warming, to follow current */
	bool starting;			    /* a START_HOST is not answered yet */
	uint32_t start_id;
	struct waiting *waiting, **waiting_end;
	uint32_t n_waiting;
	uint64_t hits, misses;
	unsigned fruitless; /* hosts in a row that died without having offered a leaf */
	uint64_t retry_ns;  /* down until then */
	int code;
	unsigned step;
	char reason[1024], tail[4096];
	size_t tail_len;
	uv_timer_t *refill;
};

#define REAPED_KEPT 512

/* Serials told to be reaped last: a host that dies may have left that unread. */
struct reaped {
	uint64_t serial[REAPED_KEPT];
	unsigned n;
};

struct host {
	struct host *next;
	struct broker *broker;
	struct pool *pool; /* NULL once retired or dead: it has only leaves to see off */
	uv_poll_t *poll;
	int fd; /* -1: no channel */
	struct outbox outbox;
	uint64_t id, digest, generation;
	pid_t pid;
	uid_t uid;
	char template_name[65];
	bool warm, listed, dead;
	uint32_t nofork, nofork_by;
	char note[256]; /* how it is not what its lane says */
	struct parked *parked, **parked_end;
	uint32_t n_parked;
	uint32_t forking; /* asked for and not offered yet */
	uint32_t offered;
	uint32_t n_leaves; /* entries */
	uint64_t *owners;  /* connections whose pidfd it was given */
	size_t n_owners, owners_size;
	/* To be told at the next FORK, or soon. */
	uint64_t reap[WIRE_REAP_MAX];
	unsigned n_reap;
	struct reaped reaped;
};

struct entry {
	struct entry *next;
	uint64_t serial;
	struct host *host;
	struct session *session;
	struct user *user;
	pid_t pid;
	int pidfd; /* -1 unless it came with a list */
	uint8_t token[WIRE_TOKEN_SIZE];
	uint32_t nofork, nofork_by;
	bool over, released, listed;
	uint8_t record[EXIT_RECORD_SIZE];
};

/* A TAKE that cannot be answered before every host has listed its leaves. */
struct held_take {
	struct held_take *next;
	struct session *session;
	uint32_t id;
	uint8_t token[WIRE_TOKEN_SIZE];
};

#define ENTRY_BUCKETS 1024

struct broker {
	uv_loop_t loop;
	uv_poll_t *keeper_poll;
	int keeper_fd;
	struct outbox keeper_outbox;
	pid_t keeper_pid;
	bool system_mode, draining;
	struct config *config;
	uint64_t table_id;
	struct session *sessions;
	size_t n_sessions, n_waiting;
	struct user *users;
	struct pool *pools;
	struct host *hosts;
	/* Of the host that died last, which was freed if it had no entry: its zombies may be listed
	 * by who plays its part, next. */
	uint64_t last_dead;
	struct reaped last_dead_reaped;
	struct entry *entries[ENTRY_BUCKETS];
	struct held_take *takes;
	struct session *watched;
	uv_timer_t *look; /* at their tallies */
	bool collecting;
	uint32_t last_start;
	size_t n_kept; /* descriptors in outboxes */
	size_t max_sessions, max_waiting, max_closing,
		max_kept; /* what the limit on descriptors allows */
	uid_t own_uid;	  /* read before the sandbox, which refuses to tell */
	gid_t own_gid;
	uint32_t *own_groups; /* sorted */
	size_t n_own_groups;
};

/* poll.c: a handle of its own, so that its owner may be freed before libuv is done with it. */
uv_poll_t *poll_open(struct broker *b, int fd, void *data, uv_poll_cb readable);
void poll_events(uv_poll_t *poll, int events, uv_poll_cb cb);
/* The descriptor may be closed right after. */
void poll_close(uv_poll_t **poll);
uv_timer_t *timer_open(struct broker *b, void *data);
void timer_close(uv_timer_t **timer);

/* outbox.c */
void outbox_init(struct outbox *o);
/*
 * Finishes the frame and sends it, or keeps it if the socket is full: fd is borrowed, -1 for none.
 * -ENOBUFS when max are kept already.
 */
int outbox_send(struct broker *b, struct outbox *o, int sock, struct frame *f, int fd, size_t max);
/* Sends what now fits; look at n for what is left. */
int outbox_flush(struct broker *b, struct outbox *o, int sock);
void outbox_drop(struct broker *b, struct outbox *o);

/* keeper_link.c */
int keeper_link_open(struct broker *b);
void keeper_send(struct broker *b, struct frame *f);
void keeper_start_host(struct broker *b, struct pool *p, size_t index, uint64_t connection);
void keeper_retire(struct broker *b, const struct host *h);

/* session.c */
void session_open(struct broker *b, const struct message *m, struct fds *fds);
void session_close(struct session *s);
/* Ends the connection from afar: its own callback closes it, once nobody else is at work on it. */
void session_break(struct session *s);
/* A closed session without leaves is over. */
void session_unref_leaf(struct session *s);
int session_send(struct session *s, struct frame *f, int borrowed_fd);
void session_error(struct session *s, uint32_t id, const struct spawn_error *err,
		   uint64_t retry_ms);
struct session *session_find(struct broker *b, uint64_t connection);
/* Nobody will ask for that record any more. */
void session_release(struct session *s, uint64_t serial);
struct user *user_get(struct broker *b, uid_t uid);
/* Some of its descriptors were closed. */
void session_listen_again(struct broker *b, struct user *u);
/* Answers the TAKEs that waited for lists, if there is nothing to wait for any more. */
void session_answer_takes(struct broker *b);

/* pool.c */
struct pool *pool_find(struct broker *b, const char *template_name, uid_t uid, gid_t gid,
		       const uint32_t *groups, size_t n_groups);
struct pool *pool_get(struct broker *b, const char *template_name, uid_t uid, gid_t gid,
		      const uint32_t *groups, size_t n_groups);
const struct config_template *pool_template(
	const struct pool *p); /* NULL: not configured any more */
/* Hands out a leaf, or lets the request wait, or says why not. Takes body. */
void pool_request(struct pool *p, struct session *s, uint32_t id, int body, const struct plan *plan,
		  uint64_t received_ns);
/* Something changed: hand out, fork or start what is wanted. */
void pool_turn(struct pool *p);
void pool_down(struct pool *p, int code, unsigned step, const char *reason, const uint8_t *tail,
	       size_t tail_len, uint64_t retry_ms);
void pool_fail_waiting(struct pool *p, int code, enum spawn_origin origin, unsigned step,
		       const char *text, uint64_t retry_ms);
/* The request is taken back: how many waited with that id. A session's requests all go with id 0.
 */
unsigned pool_cancel(struct broker *b, struct session *s, uint32_t id);
/* Brings pools in line with a new table. */
void pool_reconfigure(struct broker *b);
void pool_drain(struct broker *b);
void waiting_free(struct waiting *w);

/* launch.c: hands a parked leaf to a request; -EAGAIN when the host has none that lives. */
int launch(struct host *h, const struct waiting *w, bool hit);

/* parked.c */
void host_offered(struct broker *b, const struct message *m, struct fds *fds);
/* The one that has waited longest, or NULL. */
struct parked *host_take_parked(struct host *h);
void parked_free(struct parked *p);
void host_drop_parked(struct host *h);
/* It is over. */
void host_drop_parked_leaf(struct host *h, uint64_t serial);

/* host.c */
struct host *host_find(struct broker *b, uint64_t id);
void host_up(struct broker *b, const struct message *m, struct fds *fds);
void host_down(struct broker *b, const struct message *m);
void host_send(struct host *h, struct frame *f, int borrowed_fd);
/* The first `waited_for` are to be offered as soon as each is there. */
void host_fork(struct host *h, uint32_t count, uint32_t waited_for);
/* Gives the host the caller's pidfd, once. */
void host_know_owner(struct host *h, const struct session *s);
void host_disown(struct host *h, uint64_t connection);
/* Sent with others, soon. */
void host_reap(struct host *h, uint64_t serial);
void host_send_reaps(struct host *h);
void host_retire(struct host *h);
/* True while a host of that user has not listed its leaves to this broker. */
bool host_lists_pending(const struct broker *b, uid_t uid);
/* Frees it if it is dead and has no leaf. */
void host_maybe_free(struct host *h);

/* leaf_table.c */
struct entry *entry_add(struct broker *b, struct host *h, struct session *s, uint64_t serial,
			pid_t pid, const uint8_t *token);
struct entry *entry_find(struct broker *b, uint64_t serial);
struct entry *entry_find_token(struct broker *b, const uint8_t *token);
void entry_remove(struct broker *b, struct entry *e);
/* The same for one that is reaped: its place in the host is free. */
void entry_gone(struct broker *b, struct entry *e);
/* The leaf is over: keeps the record and tells the owner. */
void entry_over(struct broker *b, struct entry *e, const uint8_t *record);
void entry_tell(struct entry *e);
void entry_set_session(struct entry *e, struct session *s);
typedef void entry_fn(struct entry *e, void *user);
void entry_each(struct broker *b, entry_fn *fn, void *user);

/* tally.c */
void look_open(struct broker *b);
/* Looks at tallies, and tells hosts what to reap, some milliseconds from now. */
void look_soon(struct broker *b);
/* Maps it, for HELLO; fd is borrowed. */
void tally_open(struct session *s, int fd);
void tally_close(struct session *s);
/* Does what is written there. */
void tally_read(struct session *s);
/* It is told of an end: looks soon. */
void tally_watch(struct session *s);
/* Reads all that may hold something, for who is short of places. */
void tally_collect(struct broker *b);
/* Tells every host what to reap, and the clients that this is done. */
void tally_settle(struct broker *b);

/* status.c */
void status_send(struct session *s, uint32_t id);

/* closer.c: closes a descriptor that came from outside, where it may hang, in a thread. */
void closer_close(struct user *u, struct broker *b, int fd);
int closer_warm(struct broker *b);

#endif
