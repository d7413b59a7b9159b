/* SPDX-License-Identifier: MIT */
/* request.h - what was asked for, as the start reads it. */
#ifndef LIBSPAWN_REQUEST_H
#define LIBSPAWN_REQUEST_H

#include "attributes.h"
#include "libspawn.h"
#include "stringlist.h"

struct env_change {
	char *entry;	 /* NAME=VALUE, or NAME to take it out */
	size_t name_len; /* of NAME */
	bool unset;
};

struct fd_passing {
	int fd, target;
};

/* In their order: a file that the child opens, or what it does with what it has. */
struct fd_step {
	char *path;   /* to open; owned; NULL: none */
	uint32_t act; /* enum fd_action; 0: open */
	int from, target, flags;
	mode_t mode;
};

struct spawn_request {
	struct spawn_error error; /* the first mistake; code 0: none */
	char *template_name;
	char *program; /* NULL: none, or program_fd */
	bool search;   /* a name without a slash in the PATH of path_of */
	enum spawn_path path_of;
	int program_fd; /* borrowed; -1: none */
	char *cgroup;	/* a directory; NULL: none, or cgroup_fd */
	int cgroup_fd;	/* borrowed; -1: none */
	char *argv0;	/* NULL: the program, else the template's name */
	struct strings args;
	bool env_given;
	struct strings env;
	struct env_change *changes;
	size_t n_changes;
	int chdir_fd; /* borrowed; -1: the caller's directory */
	char *chdir;  /* from there */
	struct fd_passing *fds;
	size_t n_fds;
	struct fd_step *steps;
	size_t n_steps;
	int inherit_below; /* 3 unless said */
	int *owned;	   /* the child's ends of pipes */
	size_t n_owned;
	bool umask_given, nofork_given, deadline_given, kill_with_caller, owner_given;
	enum spawn_owner owner;
	mode_t umask;
	struct attributes attributes;
	uint32_t nofork;
	uint64_t deadline_ms, grace_ms;
};

/* Latches: the first mistake is the one that the start tells. Needs base/error.h. */
#define MISTAKE(request, negative, ...)                                                        \
	((request)->error.code ? (negative)                                                    \
			       : error_set(&(request)->error, (negative), SPAWN_ORIGIN_CLIENT, \
					   STEP_REQUEST, __VA_ARGS__))

/*
 * For one start: shares all with the request but the list of descriptors, so that spawn_request_fd()
 * can give it others, and its mistakes. Nothing else of it may be changed.
 */
void request_copy(const struct spawn_request *request, struct spawn_request *ret);
void request_copy_end(struct spawn_request *copy);

/* descriptors.c */
void request_free_descriptors(struct spawn_request *request);
int request_no_memory(struct spawn_request *request);
int request_check_path(struct spawn_request *request, const char *path);
bool request_needs_stdio(const struct spawn_request *request, int fd);

bool request_has_program(const struct spawn_request *request);
/* What argv[0] is. Borrowed from the request. */
const char *request_argv0(const struct spawn_request *request);
/* Where the program is searched, of the caller's environment or of env, the child's; NULL: nowhere,
 * it is a path. Borrowed from either. */
const char *request_search(const struct spawn_request *request, const struct strings *env);
/* The environment of a start: the given one or the caller's of now, with the changes. */
int request_environment(const struct spawn_request *request, struct strings *ret);

#endif
