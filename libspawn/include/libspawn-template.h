/* SPDX-License-Identifier: MIT */
/*
 * libspawn-template.h - write a template for the `object` lane.
 *
 * A template is a shared object with two functions. The host process loads it, calls warm() once,
 * and then forks leaves; each leaf that is handed to a client calls entry() with that client's
 * arguments, environment, working directory and descriptors.
 *
 *	static int warm(void **state)
 *	{
 *		*state = dict_load("/usr/share/dict/words");
 *		return *state ? 0 : -errno;
 *	}
 *
 *	static int entry(void *state, int argc, char **argv)
 *	{
 *		return dict_check(state, argc - 1, argv + 1) ? 0 : 1;
 *	}
 *
 *	SPAWN_TEMPLATE(.warm = warm, .entry = entry);
 *
 * Build it with `cc -shared -fPIC`; it needs no library of spawnd's.
 *
 * What holds in warm(): it runs once, in the host, with the host's credentials, standard input on
 * /dev/null, and standard output and error kept for `spawn status`. When it returns the process
 * must be single-threaded again: a host with a second thread is refused, by the thread's name.
 * Descriptors that it leaves open belong to the host; they are closed in every leaf. Memory is what
 * a leaf gets: read-only sharing until written.
 *
 * What holds in entry(): it runs in the leaf, once. stdio works, the environment is the client's,
 * nothing is open but what the client asked for. Its return value, modulo 256, is the exit status;
 * stdio is flushed and _exit() called for it (exit(), with its atexit handlers, if flags has
 * SPAWN_TEMPLATE_EXIT). Random state and secrets made in warm() are the same in every leaf: make
 * them in entry(). A leaf whose template promises `copy` cannot fork (EPERM); threads, vfork and
 * posix_spawn work.
 */
#ifndef LIBSPAWN_TEMPLATE_H
#define LIBSPAWN_TEMPLATE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SPAWN_TEMPLATE_ABI 1

/* Leave with exit() rather than fflush() and _exit(): runs what warm() registered with atexit(). */
#define SPAWN_TEMPLATE_EXIT (1u << 0)

struct spawn_template {
	uint32_t abi;	/* SPAWN_TEMPLATE_ABI */
	uint32_t size;	/* sizeof(struct spawn_template) as the template was compiled */
	uint32_t flags; /* SPAWN_TEMPLATE_*; an unknown bit is refused at load */
	uint32_t reserved;
	int (*warm)(void **state); /* may be NULL; 0 or a negative errno, *state is handed to entry */
	int (*entry)(void *state, int argc, char **argv); /* argv[argc] is NULL */
};

#define SPAWN_TEMPLATE(...)                                                                        \
	__attribute__((visibility("default"))) extern const struct spawn_template spawn_template;  \
	const struct spawn_template spawn_template = {.abi = SPAWN_TEMPLATE_ABI,                   \
						      .size = sizeof(struct spawn_template),       \
						      __VA_ARGS__}

#ifdef __cplusplus
}
#endif
#endif
