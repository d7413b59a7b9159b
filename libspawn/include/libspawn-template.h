/* SPDX-License-Identifier: MIT */
/*
 * libspawn-template.h - write a template: a shared object (lane `object`), or any program with one
 * more line (lane `program`, at the end).
 *
 * In lane `object` a template is a shared object with two functions. The host process loads it,
 * calls warm() once, and then forks leaves; each leaf that is handed to a client calls entry() with
 * that client's arguments, environment, working directory and descriptors.
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
 * SPAWN_TEMPLATE_EXIT). random() and drand48() are seeded anew for it, and arc4random() asks the
 * kernel; other random state and secrets made in warm() are the same in every leaf: make them in
 * entry(), or, what only the host is to know, in spawn_template_secret(). A leaf whose template
 * promises `copy` cannot fork (EPERM); threads, vfork and posix_spawn work.
 */
#ifndef LIBSPAWN_TEMPLATE_H
#define LIBSPAWN_TEMPLATE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

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
	int (*warm)(
		void **state); /* may be NULL; 0 or a negative errno, *state is handed to entry */
	int (*entry)(void *state, int argc, char **argv); /* argv[argc] is NULL */
};

#define SPAWN_TEMPLATE(...)                                                                       \
	__attribute__((visibility("default"))) extern const struct spawn_template spawn_template; \
	const struct spawn_template spawn_template = {                                            \
		.abi = SPAWN_TEMPLATE_ABI, .size = sizeof(struct spawn_template), __VA_ARGS__}

/*
 * Memory of whole pages for a secret of the host's, or for random state that has to be made anew:
 * it is all zero in each leaf, and in whatever else the host forks. NULL with errno set. Free it
 * with munmap(). Linux 4.14.
 */
#ifdef MADV_WIPEONFORK
static inline void *spawn_template_secret(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	if (madvise(p, size, MADV_WIPEONFORK) < 0) {
		munmap(p, size);
		return NULL;
	}
	return p;
}
#endif

/*
 * ---- lane `program`: libspawn-template.so or .a, which need libc alone ----
 *
 *	int main(int argc, char **argv)
 *	{
 *		struct dict *dict = dict_load("/usr/share/dict/words");
 *
 *		spawn_template_serve(&argc, &argv, NULL);
 *		return dict_check(dict, argc - 1, argv + 1) ? 0 : 1;
 *	}
 *
 * spawnd starts the program, as "program" and "args" of the template say, and waits for the call.
 * The process that makes it stays in there: it is the host. The call returns in the leaves that are
 * forked there, each time one is handed to a client. Started by anybody else the program goes on as
 * if the line were not there. spawnd has to start the very process that calls: a script that starts
 * the program uses exec.
 *
 * Before the call it is as in warm(), with the environment that the template has in the
 * configuration, and descriptors 3 and 4 are spawnd's: do not close them. After it, it is as in
 * entry(): arguments, environ, descriptors, working directory, umask, limits and signals are the
 * client's. What the program had open is closed, signal handlers that it had installed are not any
 * more, its memory is as it was. The leaf ends as the program does: by exit() or by returning from
 * main, which run handlers of atexit() from before the call, too, or by _exit().
 */

#define SPAWN_TEMPLATE_PLAIN 0 /* nobody asked for a template: nothing was done */
#define SPAWN_TEMPLATE_LEAF  1 /* this is a leaf */

/*
 * What the program does around each fork, for a runtime or a library that wants to be told. Each
 * may be NULL.
 */
struct spawn_template_hooks {
	size_t size; /* sizeof(struct spawn_template_hooks) */
	/*
	 * In the host, before a fork. Threads may be ended here: that there is no other is checked
	 * after it. Also called once, with after_fork, when the program calls.
	 */
	void (*before_fork)(void *user);
	/* In the host, after it or after it failed. */
	void (*after_fork)(void *user);
	/*
	 * In a leaf, before it waits for its client: what is done here nobody waits for. Nothing is
	 * the client's yet; descriptors 0 to 2 are /dev/null, 3 and 4 are spawnd's, all signals are
	 * blocked. It may wait for long: what it has from here on shall be nothing that grows
	 * stale. Handlers of signals that it installs stay.
	 */
	void (*before_wait)(void *user);
	/* In a leaf, once, before spawn_template_serve() returns; all is the client's already. */
	void (*in_leaf)(void *user);
	void *user; /* what they are called with */
};

/*
 * argc, argv: NULL, or what they point to becomes the leaf's; elsewhere it is left alone. *argv,
 * what it holds and environ stay valid as long as the process; they may be written to and must not
 * be freed. hooks: NULL or copied.
 *
 * SPAWN_TEMPLATE_LEAF in a leaf, SPAWN_TEMPLATE_PLAIN where spawnd did not start this process, and
 * in a leaf that calls again; -EINVAL, where spawnd did not start it, for hooks->size. Never
 * returns in the host: what fails there (the process has other threads, say) is told to the server,
 * with what the program wrote, and the host ends by _exit(), as it does when the server has no use
 * for it any more.
 *
 * To be called by the main thread, while there is no other, and from no signal handler. Handlers of
 * pthread_atfork() run around each fork, closer to it than hooks.
 */
int spawn_template_serve(int *argc, char ***argv, const struct spawn_template_hooks *hooks);

#ifdef __cplusplus
}
#endif
#endif
