/* SPDX-License-Identifier: MIT */
/*
 * The `program` lane: a program that was started as a host says when it is warm. This is
 * libspawn-template; what it does as a host is spawn-host's.
 */
#include "base/error.h"
#include "base/fd.h"
#include "host/lane.h"
#include "summons.h"

#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

const bool lane_executes = false;

static struct warm warm;
static struct summons summons;

/* A leaf is forked deep in the host's loop, whose memory it does not have: it leaves that here. */
static struct {
	jmp_buf back;
	bool is_one;
	int argc;
	char **argv;
} leaf;

_Noreturn void lane_run(struct leaf_self *self, const struct warm *w, const struct body *body)
{
	char *slash = strrchr(body->argv[0], '/');

	environ = body->envp;
	/* The arguments themselves stay where they are: the program may still point at them. */
	program_invocation_name = body->argv[0];
	program_invocation_short_name = slash ? slash + 1 : body->argv[0];
	leaf.is_one = true;
	leaf.argc = body->argc;
	leaf.argv = body->argv;
	longjmp(leaf.back, 1);
}

/* What the keeper cannot be told on its channel it finds among the last words. */
_Noreturn static void refuse(const char *why)
{
	dprintf(STDERR_FILENO, "spawn_template_serve: %s\n", why);
	_exit(EXIT_FAILURE);
}

static int check_hooks(const struct spawn_template_hooks *hooks, struct spawn_error *err)
{
	if (!hooks || hooks->size == sizeof(*hooks))
		return 0;
	return error_set(
		err, -EINVAL, SPAWN_ORIGIN_HOST, STEP_WARM,
		"template \"%s\": its struct spawn_template_hooks says that it has %zu bytes, "
		"and this libspawn-template has %zu: set size to its sizeof",
		summons.name, hooks->size, sizeof(*hooks));
}

/* With the hooks as around a fork: a program that ends its threads there is a template, too. */
static int settle(struct host *h, struct spawn_error *err)
{
	const struct spawn_template_hooks *hooks = &h->warm->hooks;
	int r;

	if (hooks->before_fork)
		hooks->before_fork(hooks->user);
	r = host_settle(h, err);
	if (r == 0)
		r = host_choose_nofork(h, err);
	if (hooks->after_fork)
		hooks->after_fork(hooks->user);
	return r;
}

_Noreturn static void be_host(const struct spawn_template_hooks *hooks)
{
	struct host *h = host_new(&warm);
	struct spawn_error err;
	int r;

	if (!h)
		refuse("out of memory");
	if (!fd_is_seqpacket(HOST_KEEPER_FD))
		refuse("descriptor 3 is not the server's any more: a template closes none but its "
		       "own");
	host_take_summons(h, &summons);
	r = check_hooks(hooks, &err);
	if (r == 0) {
		if (hooks)
			warm.hooks = *hooks;
		r = host_open(h, &err);
	}
	if (r == 0)
		r = settle(h, &err);
	if (r < 0) {
		host_tell_failed(r, &err);
		_exit(EXIT_FAILURE);
	}
	_exit(host_serve(h));
}

/* Returns in leaves. */
static void fork_leaves(const struct spawn_template_hooks *hooks)
{
	if (setjmp(leaf.back) == 0)
		be_host(hooks);
}

EXPORT int spawn_template_serve(int *argc, char ***argv, const struct spawn_template_hooks *hooks)
{
	int r = leaf.is_one ? 0 : summons_read(secure_getenv(SUMMONS_VARIABLE), getpid(), &summons);

	if (r == -EPROTO)
		refuse("the server and this program's libspawn-template are not of one version");
	if (r < 0)
		refuse("what the server says of the template cannot be read");
	if (r == 0)
		return check_hooks(hooks, NULL) < 0 ? -EINVAL : SPAWN_TEMPLATE_PLAIN;
	fork_leaves(hooks);
	if (warm.hooks.in_leaf)
		warm.hooks.in_leaf(warm.hooks.user);
	if (argc)
		*argc = leaf.argc;
	if (argv)
		*argv = leaf.argv;
	return SPAWN_TEMPLATE_LEAF;
}
