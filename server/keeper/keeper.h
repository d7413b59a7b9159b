/* SPDX-License-Identifier: MIT */
/*
 * keeper.h - the main process: what it holds.
 *
 * It accepts and identifies peers (listen.c, peer.c), starts hosts for them (host.c), plays a dead
 * host's part (orphans.c), keeps a broker running (broker.c), reads the configuration through a
 * short-lived process (configuration.c), and re-executes itself (reexec.c). It never reads a
 * client's byte. Single-threaded: it forks.
 */
#ifndef KEEPER_KEEPER_H
#define KEEPER_KEEPER_H

#include "brood.h"
#include "config/table.h"
#include "keeper/peer.h"
#include "poller.h"
#include "wire/channel.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What the command line says; strings live as long as the process. */
struct options {
	bool system_mode;
	char *config;	    /* absolute */
	char *socket;	    /* absolute */
	char *template_dir; /* absolute */
	char *libexec_dir;
	char *program; /* this executable's path, for re-execution */
};

/* A connection that the broker serves: what START_HOST may refer to. */
struct connection {
	struct connection *next;
	uint64_t connection;
	struct peer_identity identity;
	bool named;	    /* by a leaf, as its owner: of peer_forget_idle() */
	struct watch watch; /* of identity.pidfd; a peer that is gone needs no host */
	struct keeper *keeper;
};

/* Whose host: credentials as the host has them. */
struct credentials {
	uid_t uid;
	gid_t gid;
	uint32_t *groups; /* owned */
	size_t n_groups;
};

#define TAIL_SIZE 4096

/* A leaf as the keeper verified it; in the order of slots. Pids are reused: identity tells them
 * apart. */
struct registered {
	pid_t pid;
	uint64_t serial;
	uint64_t identity; /* of process_origin() */
};

enum host_state { HOST_WARMING, HOST_WARM, HOST_STOPPING, HOST_DEAD };

struct host_process {
	struct host_process *next;
	struct keeper *keeper;
	uint64_t id;
	char *template_name;
	uint64_t digest;
	struct credentials credentials;
	uint64_t generation;
	enum host_state state;
	pid_t pid; /* 0 once reaped */
	struct watch pidfd, channel, output;
	int slots_fd;
	uint32_t n_slots;
	struct registered *registered;
	uint32_t nofork, nofork_by;
	uint32_t start_id; /* of the START_HOST that asked for it */
	uint64_t started_ns, warm_deadline_ns;
	uint64_t mute_deadline_ns; /* its channel is closed: it has until then to be over */
	char reason[1024];
	bool killed; /* by SIGKILL, and not by the keeper */
	int reason_code;
	unsigned reason_step;
	char tail[TAIL_SIZE]; /* the last of its stdout and stderr */
	size_t tail_len;
	struct brood *brood; /* its leaves, once it is dead */
};

/* What is remembered of (template, credentials) from host to host. */
struct history {
	struct history *next;
	char *template_name;
	uint64_t digest; /* a changed template starts with a clean record */
	struct credentials credentials;
	uint64_t generation;
	unsigned failures; /* in a row, in warm-up */
	uint64_t retry_ns; /* not before; 0: now */
	char reason[1024];
	int code;
	unsigned step;
	char tail[TAIL_SIZE];
	size_t tail_len;
};

struct broker_process {
	pid_t pid; /* 0: none */
	struct watch pidfd, channel;
	uint64_t started_ns, restart_ns; /* restart_ns: 0 unless one is due */
	unsigned failures;
};

struct keeper {
	struct options options;
	struct poller poller;
	struct watch signals, listening;
	int lock_fd, reserve_fd;
	bool inherited_socket; /* from the service manager: not ours to unlink */
	bool ready_told;
	struct peer_baseline baseline;
	struct credentials own;

	int table_fd;
	uint64_t table_id;
	struct config *config;
	pid_t reload_pid; /* 0: no reload under way */
	struct watch reload_pidfd;
	int reload_table_fd, reload_errors_fd;

	struct broker_process broker;
	struct connection *peers;
	struct host_process *hosts;
	struct history *histories;
	uint64_t last_connection, last_host;

	bool reexec, reload, stopping;
	uint64_t stop_deadline_ns;
};

/* listen.c */
int listen_open(struct keeper *k, struct spawn_error *err);
/* Watches the socket; also after a re-execution. */
int listen_watch(struct keeper *k);
/* While there is no broker connections wait in the backlog. */
void listen_pause(struct keeper *k, bool on);
void listen_close(struct keeper *k);
struct connection *peer_find(struct keeper *k, uint64_t connection);
void peer_forget(struct keeper *k, uint64_t connection);
/* The broker that served them is gone: keeps those alone that a leaf names as its owner. */
void peer_forget_idle(struct keeper *k);
int peer_add(struct keeper *k, uint64_t connection, struct peer_identity *take);

/* broker.c */
int broker_start(struct keeper *k, struct spawn_error *err);
void broker_watch(struct keeper *k);
/* To the broker, if there is one; borrowed descriptors. */
void broker_send(struct keeper *k, struct frame *f, const int *fds, size_t n_fds);
/* Gives broker and host a channel to each other. */
void broker_introduce(struct keeper *k, struct host_process *h);
/* The table, to a new broker every host too, and that this was all. */
void broker_tell(struct keeper *k, bool hosts_too);
void broker_stop(struct keeper *k);

/* host.c */
void host_start(struct keeper *k, uint32_t start_id, const struct config_template *t,
		const struct credentials *c);
/* The answer to a START_HOST that cannot be. */
void host_refuse(struct keeper *k, uint32_t start_id, const char *template_name, int code,
		 const char *text);
void host_watch(struct host_process *h);
void host_stop(struct host_process *h, bool end_leaves);
void host_free(struct host_process *h);
void host_tick(struct keeper *k, uint64_t now);
uint64_t host_next_deadline(const struct keeper *k);
struct host_process *host_find(struct keeper *k, uint64_t id);

/* start.c: starts the process. 0, with its descriptors in h and watched, or a negative errno. */
int host_run(struct host_process *h, const struct config_template *t, struct spawn_error *err);

/* history.c */
struct history *history_get(struct keeper *k, const struct config_template *t,
			    const struct credentials *c);
void history_failure(struct history *r, const struct host_process *h);

/* orphans.c */
/* Takes over the leaves of a dead host; frees it when there is none. */
void orphans_adopt(struct host_process *h);
/* Frees dead hosts without leaves. */
void orphans_sweep(struct keeper *k);

/* reap.c */
/*
 * Closes what came with a message. A host (or a broker that lost its wits) may send a file whose
 * close hangs, as one of FUSE can: whatever is no socket is closed by a process that shares this
 * one's descriptors.
 */
void descriptors_close(struct fds *fds);
/* Waits for children that nobody watches: orphans of leaves. */
void reap_strangers(struct keeper *k);
/*
 * Who the parent of the pidfd's process is, whose pid this is, and a number that no other process
 * of that pid has: also of a zombie. 0, -ESRCH when it was reaped, or another negative errno.
 */
int process_origin(int pidfd, pid_t pid, pid_t *ret_parent, uint64_t *ret_identity);
/* True if the process that has the pid now is the one that was registered. */
bool registered_is_alive(const struct registered *r);

/* configuration.c */
int configuration_load(struct keeper *k, struct spawn_error *err);
void configuration_reload(struct keeper *k);
void configuration_reload_watch(struct keeper *k);
/* Runs spawnd-config in the foreground with one more option; its exit status. */
int configuration_tool(const struct options *o, const char *action);

/* notify.c: tells the service manager, if there is one. */
void notify(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* reexec.c */
int reexec_now(struct keeper *k, struct spawn_error *err);
int reexec_resume(struct keeper *k, int fd, struct spawn_error *err);

/* credentials.c */
int credentials_copy(struct credentials *ret, uid_t uid, gid_t gid, const uint32_t *groups,
		     size_t n);
bool credentials_equal(const struct credentials *a, const struct credentials *b);
void credentials_finish(struct credentials *c);
int credentials_own(struct credentials *ret);

#endif
