/* SPDX-License-Identifier: MIT */
/*
 * preload.h - libspawn-preload.so: posix_spawn(3) and what is made of it in libc, for programs that
 * were not written for spawnd, through libspawn's private host.
 *
 * It stands in front of libc's functions and uses libspawn's public interface alone. Whatever it
 * cannot serve exactly is left to libc, which is counted and said once, never done differently.
 */
#ifndef SPAWN_PRELOAD_H
#define SPAWN_PRELOAD_H

#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <sys/wait.h>

#define PUBLIC __attribute__((visibility("default")))

/* libc's own (next.c). */
struct next {
	int (*posix_spawn)(pid_t *, const char *, const posix_spawn_file_actions_t *,
			   const posix_spawnattr_t *, char *const *, char *const *);
	int (*posix_spawnp)(pid_t *, const char *, const posix_spawn_file_actions_t *,
			    const posix_spawnattr_t *, char *const *, char *const *);
	int (*pidfd_spawn)(int *, const char *, const posix_spawn_file_actions_t *,
			   const posix_spawnattr_t *, char *const *, char *const *);
	int (*pidfd_spawnp)(int *, const char *, const posix_spawn_file_actions_t *,
			    const posix_spawnattr_t *, char *const *, char *const *);
	int (*actions_init)(posix_spawn_file_actions_t *);
	int (*actions_destroy)(posix_spawn_file_actions_t *);
	int (*actions_open)(posix_spawn_file_actions_t *, int, const char *, int, mode_t);
	int (*actions_close)(posix_spawn_file_actions_t *, int);
	int (*actions_dup2)(posix_spawn_file_actions_t *, int, int);
	int (*actions_chdir)(posix_spawn_file_actions_t *, const char *);
	int (*actions_fchdir)(posix_spawn_file_actions_t *, int);
	int (*actions_closefrom)(posix_spawn_file_actions_t *, int);
	int (*actions_tcsetpgrp)(posix_spawn_file_actions_t *, int);
	FILE *(*popen)(const char *, const char *);
	int (*pclose)(FILE *);
	pid_t (*wait4)(pid_t, int *, int, struct rusage *);
	int (*waitid)(idtype_t, id_t, siginfo_t *, int);
	pid_t (*fork)(void);
};
const struct next *next(void);

/* What was done to a posix_spawn_file_actions_t, in order (actions.c). */
enum action_kind {
	ACTION_OPEN,
	ACTION_CLOSE,
	ACTION_DUP2,
	ACTION_CHDIR,
	ACTION_FCHDIR,
	ACTION_CLOSEFROM,
	ACTION_TCSETPGRP,
};
struct action {
	enum action_kind kind;
	int fd, other; /* other: the target of dup2 */
	char *path;
	int flags;
	mode_t mode;
};
struct actions {
	struct action *list;
	size_t n;
};
/* NULL: it was not made by these functions. */
const struct actions *actions_of(const posix_spawn_file_actions_t *fa);

/* The descriptors that a child is to have (table.c). */
struct table_entry {
	int target, fd; /* fd: the caller's; or one of `opened` */
	bool cloexec;
};
struct table {
	struct table_entry *entries;
	size_t n;
	int *opened; /* to be closed with the table */
	size_t n_opened;
	int directory; /* -1: the caller's */
};
/*
 * What the caller has now, and then each action applied. 0, or the positive errno with which
 * posix_spawn() fails; *ret_left is set where libc has to do it.
 */
int table_make(struct table *t, const struct actions *actions, const char **ret_left);
void table_free(struct table *t);

/* As posix_spawn(3) and posix_spawnp(3); ret_pidfd may be NULL, and so may ret_pid (spawn.c). */
int preload_spawn(pid_t *ret_pid, int *ret_pidfd, const char *path, bool search,
		  const posix_spawn_file_actions_t *fa, const posix_spawnattr_t *attr,
		  char *const *argv, char *const *env);
/* Lets the private host go, until it is needed again: it is a child, and somebody asks for any. */
void preload_retire(void);
/* This thread is in libspawn: its own calls are libc's. */
extern __thread bool preload_inside __attribute__((tls_model("initial-exec")));

/* The private host as a child that nobody shall see (wait.c). 0: none. */
void hidden_set(pid_t pid);
pid_t hidden_pid(void);
/* What is left of it, after it was reaped by someone. */
void hidden_gone(pid_t pid);

/* What happened, for SPAWN_PRELOAD_STATS (tally.c). */
enum tally {
	TALLY_SPAWNED, /* through the private host */
	TALLY_LEFT,    /* to libc */
	TALLY_FORK,
	TALLY_VFORK,
	TALLY_N,
};
extern unsigned long tally_counts[TALLY_N];
void tally_add(enum tally what);
/*
 * Something is left to libc, for this reason. Said once in a process. False if SPAWN_PRELOAD is
 * "require": then it is to fail with ENOTSUP.
 */
bool tally_leave(const char *what, const char *reason);

#endif
