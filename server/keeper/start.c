/* SPDX-License-Identifier: MIT */
/* How a host is started: an executable of the server's own, or the template's program. */
#include "base/error.h"
#include "base/fd.h"
#include "base/nofork.h"
#include "keeper/keeper.h"
#include "keeper/program.h"
#include "summons.h"
#include "wire/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What program_start() is given, and where it lies. */
struct command {
	char path[PATH_MAX], script[PATH_MAX];
	char id[32], slots[32];
	char summons[SUMMONS_SIZE];
	char *argv_own[16];
	char **argv, **envp; /* envp: NULL when it is the template's */
};

static size_t list_length(const char *const *list)
{
	size_t n = 0;

	while (list[n])
		n++;
	return n;
}

static void command_finish(struct command *c)
{
	if (c->argv != c->argv_own)
		free(c->argv);
	free(c->envp);
}

static void command_own(struct command *c, const struct host_process *h,
			const struct config_template *t)
{
	const char *binary = t->lane == LANE_EXEC ? "spawn-host-exec" : "spawn-host";
	size_t n = 0;

	snprintf(c->path, sizeof(c->path), "%s/%s", h->keeper->options.libexec_dir, binary);
	snprintf(c->id, sizeof(c->id), "%lu", h->id);
	snprintf(c->slots, sizeof(c->slots), "%u", h->n_slots);
	c->argv = c->argv_own;
	c->argv[n++] = (char *)binary;
	c->argv[n++] = (char *)"--id";
	c->argv[n++] = c->id;
	c->argv[n++] = (char *)"--name";
	c->argv[n++] = (char *)t->name;
	c->argv[n++] = (char *)"--slots";
	c->argv[n++] = c->slots;
	c->argv[n++] = (char *)"--nofork";
	c->argv[n++] = (char *)nofork_level_name(t->nofork);
	if (t->lane == LANE_OBJECT) {
		c->argv[n++] = (char *)"--object";
		c->argv[n++] = (char *)t->object;
	}
	if (t->nofork_weaker)
		c->argv[n++] = (char *)"--weaker";
	if (t->enforce_kernel)
		c->argv[n++] = (char *)"--kernel";
	if (t->gate_refuses)
		c->argv[n++] = (char *)"--strict";
	if (t->compact && t->lane == LANE_OBJECT)
		c->argv[n++] = (char *)"--compact";
}

/* Its arguments are its own, so the rest is in its environment. */
static int command_program(struct command *c, const struct host_process *h,
			   const struct config_template *t, char **ret_pid)
{
	size_t n_args = list_length(t->args), n_env = list_length(t->env), n = 0;
	struct summons s = {
		.id = h->id,
		.n_slots = h->n_slots,
		.nofork = t->nofork,
		.nofork_weaker = t->nofork_weaker,
		.enforce_kernel = t->enforce_kernel,
		.gate_refuses = t->gate_refuses,
		.compacts = t->compact,
	};

	if (t->lane == LANE_MAIN)
		snprintf(c->path, sizeof(c->path), "%s/spawn-host-main",
			 h->keeper->options.libexec_dir);
	else
		snprintf(c->path, sizeof(c->path), "%s", t->program);
	snprintf(s.name, sizeof(s.name), "%s", t->name);
	c->argv = calloc(n_args + 4, sizeof(*c->argv));
	c->envp = calloc(n_env + 2, sizeof(*c->envp));
	if (!c->argv || !c->envp)
		return -ENOMEM;
	c->argv[n++] = c->path;
	if (t->lane == LANE_MAIN)
		c->argv[n++] = (char *)(uintptr_t)t->program;
	if (t->lane == LANE_PYTHON) {
		/* What imports the modules, which are its arguments. */
		snprintf(c->script, sizeof(c->script), "%s/python/template.py",
			 h->keeper->options.libexec_dir);
		c->argv[n++] = c->script;
		c->argv[n++] = (char *)t->name;
	}
	memcpy(c->argv + n, t->args, n_args * sizeof(*c->argv));
	/* First, so that the configuration cannot have another before it. */
	c->envp[0] = c->summons;
	memcpy(c->envp + 1, t->env, n_env * sizeof(*c->envp));
	summons_write(&s, c->summons, ret_pid);
	return 0;
}

static int start(struct host_process *h, struct program *p, struct spawn_error *err)
{
	_cleanup_close_ int near = -1, far = -1, out_near = -1, out_far = -1;
	int pair[2], r = channel_pair(pair);

	if (r < 0)
		return error_errno(err, r, SPAWN_ORIGIN_HOST, STEP_START, "socketpair");
	near = pair[0];
	far = pair[1];
	if (pipe2(pair, O_CLOEXEC | O_NONBLOCK) < 0)
		return error_errno(err, -errno, SPAWN_ORIGIN_HOST, STEP_START, "pipe");
	out_near = pair[0];
	out_far = pair[1];
	fd_set_nonblock(out_far, 0);
	p->output = out_far;
	p->fds[0] = far;
	p->fds[1] = h->slots_fd;
	p->n_fds = 2;
	r = program_start(p, &h->pid, &h->pidfd.fd, err);
	if (r < 0)
		return r;
	h->channel.fd = take_fd(&near);
	h->output.fd = take_fd(&out_near);
	host_watch(h);
	return 0;
}

int host_run(struct host_process *h, const struct config_template *t, struct spawn_error *err)
{
	struct program p = {
		.drop = h->keeper->options.system_mode,
		.uid = h->credentials.uid,
		.gid = h->credentials.gid,
		.groups = h->credentials.groups,
		.n_groups = h->credentials.n_groups,
	};
	struct command c = {.argv = NULL};
	int r = 0;

	if (t->lane == LANE_PROGRAM || t->lane == LANE_MAIN || t->lane == LANE_PYTHON)
		r = command_program(&c, h, t, &p.own_pid);
	else
		command_own(&c, h, t);
	if (r == 0) {
		p.path = c.path;
		p.argv = c.argv;
		p.envp = c.envp ? c.envp : (char *const *)(uintptr_t)t->env;
		r = start(h, &p, err);
	} else {
		error_errno(err, r, SPAWN_ORIGIN_HOST, STEP_START, "start a host");
	}
	command_finish(&c);
	return r;
}
