/* SPDX-License-Identifier: MIT */
#include "request.h"

#include "base/error.h"
#include "base/fd.h"
#include "wire/message.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEMPLATE_NAME_MAX 64

int request_no_memory(struct spawn_request *r)
{
	return MISTAKE(r, -ENOMEM, "out of memory while making the request");
}

static int too_big(struct spawn_request *r)
{
	return MISTAKE(r, -E2BIG, "arguments or environment are larger than 2 MiB");
}

static int add_string(struct spawn_request *r, struct strings *to, const char *string)
{
	int rc = strings_add(to, string);

	if (rc == -ENOMEM)
		return request_no_memory(r);
	return rc < 0 ? too_big(r) : 0;
}

static int replace(struct spawn_request *r, char **slot, const char *string)
{
	char *copy = strdup(string);

	if (!copy)
		return request_no_memory(r);
	free(*slot);
	*slot = copy;
	return 0;
}

struct spawn_request *spawn_request_new(const char *template_name)
{
	struct spawn_request *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->program_fd = -1;
	r->chdir_fd = -1;
	r->inherit_below = 3;
	r->cgroup_fd = -1;
	if (!template_name)
		template_name = "exec";
	if (!*template_name) {
		MISTAKE(r, -EINVAL, "a request needs the name of a template");
	} else if (strlen(template_name) > TEMPLATE_NAME_MAX) {
		MISTAKE(r, -ENAMETOOLONG, "a template's name has at most %d bytes",
			TEMPLATE_NAME_MAX);
	} else {
		r->template_name = strdup(template_name);
		if (!r->template_name) {
			free(r);
			return NULL;
		}
	}
	return r;
}

void spawn_request_free(struct spawn_request *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n_changes; i++)
		free(r->changes[i].entry);
	request_free_descriptors(r);
	free(r->attributes.groups);
	strings_free(&r->args);
	strings_free(&r->env);
	free(r->changes);
	free(r->chdir);
	free(r->cgroup);
	free(r->program);
	free(r->argv0);
	free(r->template_name);
	free(r);
}

static int set_program(struct spawn_request *r, const char *program, bool search,
		       enum spawn_path whose)
{
	int rc;

	if (!program || !*program)
		return MISTAKE(r, -ENOENT, "the name of the program is empty");
	if (strlen(program) >= PATH_MAX)
		return MISTAKE(r, -ENAMETOOLONG, "the program's path is longer than %d bytes",
			       PATH_MAX - 1);
	rc = replace(r, &r->program, program);
	if (rc < 0)
		return rc;
	r->program_fd = -1;
	r->search = search;
	r->path_of = whose;
	return 0;
}

int spawn_request_program(struct spawn_request *r, const char *path)
{
	return set_program(r, path, false, SPAWN_PATH_CALLER);
}

int spawn_request_path_search(struct spawn_request *r, const char *name, enum spawn_path whose)
{
	if (whose != SPAWN_PATH_CALLER && whose != SPAWN_PATH_CHILD)
		return MISTAKE(r, -EINVAL, "%d is nobody's PATH", (int)whose);
	return set_program(r, name, true, whose);
}

int spawn_request_program_fd(struct spawn_request *r, int fd)
{
	if (fd < 0)
		return MISTAKE(r, -EBADF, "descriptor %d cannot be the program", fd);
	free(r->program);
	r->program = NULL;
	r->program_fd = fd;
	return 0;
}

int spawn_request_args(struct spawn_request *r, size_t n, const char *const *args)
{
	for (size_t i = 0; i < n; i++) {
		int rc;

		if (!args || !args[i])
			return MISTAKE(r, -EINVAL, "argument %zu of %zu is NULL", i + 1, n);
		rc = add_string(r, &r->args, args[i]);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int spawn_request_argv0(struct spawn_request *r, const char *argv0)
{
	if (!argv0)
		return MISTAKE(r, -EINVAL, "argv[0] is NULL");
	return replace(r, &r->argv0, argv0);
}

int spawn_request_env(struct spawn_request *r, const char *const *env)
{
	struct strings list = {0};

	if (!env)
		return MISTAKE(r, -EINVAL, "the environment is NULL");
	for (; *env; env++) {
		int rc = add_string(r, &list, *env);

		if (rc < 0) {
			strings_free(&list);
			return rc;
		}
	}
	strings_free(&r->env);
	r->env = list;
	r->env_given = true;
	return 0;
}

/* Takes entry, also on failure. */
static int add_change(struct spawn_request *r, char *entry, size_t name_len, bool unset)
{
	struct env_change *more;

	for (size_t i = 0; i < r->n_changes; i++) {
		struct env_change *c = &r->changes[i];

		if (c->name_len != name_len || strncmp(c->entry, entry, name_len) != 0)
			continue;
		free(c->entry);
		*c = (struct env_change){entry, name_len, unset};
		return 0;
	}
	more = reallocarray(r->changes, r->n_changes + 1, sizeof(*more));
	if (!more) {
		free(entry);
		return request_no_memory(r);
	}
	r->changes = more;
	r->changes[r->n_changes++] = (struct env_change){entry, name_len, unset};
	return 0;
}

static int check_name(struct spawn_request *r, const char *name)
{
	if (!name || !*name || strchr(name, '='))
		return MISTAKE(r, -EINVAL, "'%s' is no name of an environment variable",
			       name ? name : "(null)");
	return 0;
}

int spawn_request_setenv(struct spawn_request *r, const char *name, const char *value)
{
	char *entry;
	int rc = check_name(r, name);

	if (rc < 0)
		return rc;
	if (!value)
		return MISTAKE(r, -EINVAL, "the value of %s is NULL", name);
	if (asprintf(&entry, "%s=%s", name, value) < 0)
		return request_no_memory(r);
	return add_change(r, entry, strlen(name), false);
}

int spawn_request_unsetenv(struct spawn_request *r, const char *name)
{
	char *entry;
	int rc = check_name(r, name);

	if (rc < 0)
		return rc;
	entry = strdup(name);
	return entry ? add_change(r, entry, strlen(name), true) : request_no_memory(r);
}

int request_check_path(struct spawn_request *r, const char *path)
{
	if (!path || !*path)
		return MISTAKE(r, -ENOENT, "a path is empty");
	if (strlen(path) >= PATH_MAX)
		return MISTAKE(r, -ENAMETOOLONG, "a path is longer than %d bytes", PATH_MAX - 1);
	return 0;
}

int spawn_request_chdir(struct spawn_request *r, const char *path)
{
	int rc = request_check_path(r, path);

	return rc < 0 ? rc : replace(r, &r->chdir, path);
}

int spawn_request_chdir_fd(struct spawn_request *r, int fd)
{
	if (fd < 0)
		return MISTAKE(r, -EBADF, "no descriptor has the number %d", fd);
	r->chdir_fd = fd;
	return 0;
}

int spawn_request_cgroup(struct spawn_request *r, const char *path)
{
	int rc = request_check_path(r, path);

	if (rc < 0)
		return rc;
	r->cgroup_fd = -1;
	return replace(r, &r->cgroup, path);
}

int spawn_request_cgroup_fd(struct spawn_request *r, int fd)
{
	if (fd < 0)
		return MISTAKE(r, -EBADF, "descriptor %d cannot be a control group's", fd);
	free(r->cgroup);
	r->cgroup = NULL;
	r->cgroup_fd = fd;
	return 0;
}

int spawn_request_umask(struct spawn_request *r, mode_t mask)
{
	if (mask & ~(mode_t)0777)
		return MISTAKE(r, -EINVAL, "umask 0%o has bits beyond 0777", (unsigned)mask);
	r->umask = mask;
	r->umask_given = true;
	return 0;
}

int spawn_request_nofork(struct spawn_request *r, enum spawn_nofork level)
{
	if ((unsigned)level > SPAWN_NOFORK_PROCESS)
		return MISTAKE(r, -EINVAL, "%d is no level of no-fork", (int)level);
	r->nofork = (uint32_t)level;
	r->nofork_given = true;
	return 0;
}

int spawn_request_owner(struct spawn_request *r, enum spawn_owner owner)
{
	if (owner != SPAWN_OWNER_SERVER && owner != SPAWN_OWNER_CALLER)
		return MISTAKE(r, -EINVAL, "%d is no owner of a child", (int)owner);
	r->owner = owner;
	r->owner_given = true;
	return 0;
}

int spawn_request_kill_with_caller(struct spawn_request *r, bool on)
{
	r->kill_with_caller = on;
	return 0;
}

int spawn_request_deadline(struct spawn_request *r, uint64_t deadline_ms, uint64_t grace_ms)
{
	if (deadline_ms == 0)
		return MISTAKE(r, -EINVAL, "a deadline is at least 1 ms");
	r->deadline_ms = deadline_ms;
	r->grace_ms = grace_ms;
	r->deadline_given = true;
	return 0;
}

static bool is_changed(const struct spawn_request *r, const char *entry)
{
	size_t n = strcspn(entry, "=");

	for (size_t i = 0; i < r->n_changes; i++)
		if (r->changes[i].name_len == n && strncmp(r->changes[i].entry, entry, n) == 0)
			return true;
	return false;
}

bool request_has_program(const struct spawn_request *r)
{
	return r->program || r->program_fd >= 0;
}

const char *request_argv0(const struct spawn_request *r)
{
	return r->argv0 ? r->argv0 : r->program ? r->program : r->template_name;
}

/* The first counts, as for getenv(3). */
static const char *find_path(const struct strings *env)
{
	for (size_t i = 0; i < env->len; i += strlen(env->data + i) + 1)
		if (strncmp(env->data + i, "PATH=", 5) == 0)
			return env->data + i + 5;
	return NULL;
}

const char *request_search(const struct spawn_request *r, const struct strings *env)
{
	const char *path;

	if (!r->program || !r->search || strchr(r->program, '/'))
		return NULL;
	path = r->path_of == SPAWN_PATH_CHILD ? find_path(env) : getenv("PATH");
	return path ? path : "/bin:/usr/bin"; /* as execvp(3) */
}

int request_environment(const struct spawn_request *r, struct strings *ret)
{
	struct strings list = {0};
	int rc = 0;

	/* Into a growing buffer, in one pass: another thread's setenv() must not make a size that
	 * was computed before a lie. */
	if (r->env_given) {
		for (size_t i = 0; rc == 0 && i < r->env.len; i += strlen(r->env.data + i) + 1)
			if (!is_changed(r, r->env.data + i))
				rc = strings_add(&list, r->env.data + i);
	} else {
		for (char **e = environ; rc == 0 && e && *e; e++)
			if (!is_changed(r, *e))
				rc = strings_add(&list, *e);
	}
	for (size_t i = 0; rc == 0 && i < r->n_changes; i++)
		if (!r->changes[i].unset)
			rc = strings_add(&list, r->changes[i].entry);
	if (rc < 0) {
		strings_free(&list);
		return rc;
	}
	*ret = list;
	return 0;
}
