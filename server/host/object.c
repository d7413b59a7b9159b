/* SPDX-License-Identifier: MIT */
/* The `object` lane: a shared object with warm and entry. */
#include "base/error.h"
#include "host/lane.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

const bool lane_executes = false;

static int check_abi(struct host *h, const struct spawn_template *t, struct spawn_error *err)
{
	if (t->abi != SPAWN_TEMPLATE_ABI)
		return error_set(
			err, -ENOEXEC, SPAWN_ORIGIN_HOST, STEP_LOAD,
			"template \"%s\": %s was built for template ABI %u, this server has %u: "
			"rebuild it with this version's libspawn-template.h",
			h->warm->name, h->object, t->abi, SPAWN_TEMPLATE_ABI);
	if (t->size != sizeof(*t))
		return error_set(
			err, -ENOEXEC, SPAWN_ORIGIN_HOST, STEP_LOAD,
			"template \"%s\": %s says its struct spawn_template is %u bytes, ABI %u has %zu: "
			"use SPAWN_TEMPLATE(), which fills it in",
			h->warm->name, h->object, t->size, t->abi, sizeof(*t));
	if (t->flags & ~SPAWN_TEMPLATE_EXIT)
		return error_set(err, -ENOEXEC, SPAWN_ORIGIN_HOST, STEP_LOAD,
				 "template \"%s\": %s has unknown flags 0x%x", h->warm->name,
				 h->object, t->flags & ~SPAWN_TEMPLATE_EXIT);
	if (!t->entry)
		return error_set(err, -ENOEXEC, SPAWN_ORIGIN_HOST, STEP_LOAD,
				 "template \"%s\": %s has no entry function", h->warm->name,
				 h->object);
	return 0;
}

int lane_warm(struct host *h, struct spawn_error *err)
{
	void *object = dlopen(h->object, RTLD_NOW | RTLD_LOCAL);
	const struct spawn_template *t;
	int r;

	if (!object)
		return error_set(err, -ENOEXEC, SPAWN_ORIGIN_HOST, STEP_LOAD, "template \"%s\": %s",
				 h->warm->name, dlerror());
	t = dlsym(object, "spawn_template");
	if (!t)
		return error_set(err, -ENOEXEC, SPAWN_ORIGIN_HOST, STEP_LOAD,
				 "template \"%s\": %s has no symbol spawn_template: end it with "
				 "SPAWN_TEMPLATE(.warm = ..., .entry = ...)",
				 h->warm->name, h->object);
	r = check_abi(h, t, err);
	if (r < 0)
		return r;
	h->warm->template_ = t;
	if (!t->warm)
		return 0;
	r = t->warm(&h->warm->state);
	if (r < 0)
		return error_errno(err, r, SPAWN_ORIGIN_HOST, STEP_WARM,
				   "template \"%s\": warm of %s failed", h->warm->name, h->object);
	if (r > 0)
		return error_set(
			err, -EINVAL, SPAWN_ORIGIN_HOST, STEP_WARM,
			"template \"%s\": warm of %s returned %d: 0 or a negative errno is expected",
			h->warm->name, h->object, r);
	return 0;
}

/* What ps says of it, as far as it fits where the host's own arguments were, and err(3). Those are
 * read by nobody any more. */
static void take_title(const struct warm *w, const struct body *body)
{
	size_t room = w->title_size - 1;
	char *to = w->title;
	char *name;

	memset(to, 0, w->title_size);
	for (int i = 0; i < body->argc && room; i++) {
		size_t len = strnlen(body->argv[i], room);

		memcpy(to, body->argv[i], len);
		to += len;
		room -= len;
		if (room) {
			to++;
			room--;
		}
	}
	name = strrchr(body->argv[0], '/');
	program_invocation_name = body->argv[0];
	program_invocation_short_name = name ? name + 1 : body->argv[0];
}

/* What warm() seeded, or nobody, would give all leaves the same numbers. */
static void renew_random(void)
{
	struct {
		unsigned random, rand48[2];
	} seed;

	if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		return; /* not below 256 bytes once the kernel has any */
	srandom(seed.random);
	seed48((unsigned short *)seed.rand48);
}

_Noreturn void lane_run(struct leaf_self *self, const struct warm *w, const struct body *body)
{
	int status;

	environ = body->envp;
	take_title(w, body);
	renew_random();
	status = w->template_->entry(w->state, body->argc, body->argv);
	if (w->template_->flags & SPAWN_TEMPLATE_EXIT)
		exit(status & 0xff);
	fflush(NULL);
	_exit(status & 0xff);
}
