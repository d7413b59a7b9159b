/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "request.h"
#include "wire/message.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int spawn_request_fd(struct spawn_request *r, int fd, int target)
{
	struct fd_passing *more;

	if (fd < 0 || target < 0)
		return MISTAKE(r, -EBADF, "descriptor %d cannot be passed as %d", fd, target);
	for (size_t i = 0; i < r->n_fds; i++) {
		if (r->fds[i].target == target) {
			r->fds[i].fd = fd;
			return 0;
		}
	}
	if (r->n_fds == WIRE_USER_FDS)
		return MISTAKE(r, -EMFILE, "more than %d descriptors to pass", WIRE_USER_FDS);
	more = reallocarray(r->fds, r->n_fds + 1, sizeof(*more));
	if (!more)
		return request_no_memory(r);
	r->fds = more;
	r->fds[r->n_fds++] = (struct fd_passing){fd, target};
	return 0;
}

static int add_step(struct spawn_request *r, struct fd_step step)
{
	struct fd_step *more = reallocarray(r->steps, r->n_steps + 1, sizeof(*more));

	if (!more)
		return request_no_memory(r);
	r->steps = more;
	r->steps[r->n_steps++] = step;
	return 0;
}

int spawn_request_open(struct spawn_request *r, int target, const char *path, int flags,
		       mode_t mode)
{
	char *copy;
	int rc = request_check_path(r, path);

	if (rc < 0)
		return rc;
	if (target < 0)
		return MISTAKE(r, -EBADF, "'%s' cannot be opened as descriptor %d", path, target);
	if (flags & O_CLOEXEC)
		return MISTAKE(r, -EINVAL,
			       "'%s': a descriptor that the child keeps cannot be "
			       "O_CLOEXEC",
			       path);
	copy = strdup(path);
	if (!copy)
		return request_no_memory(r);
	rc = add_step(
		r, (struct fd_step){.path = copy, .target = target, .flags = flags, .mode = mode});
	if (rc < 0)
		free(copy);
	return rc;
}

int spawn_request_dup(struct spawn_request *r, int from, int target)
{
	if (from < 0 || target < 0)
		return MISTAKE(r, -EBADF, "descriptor %d cannot be duplicated as %d", from, target);
	return add_step(r, (struct fd_step){.act = ACTION_DUP, .from = from, .target = target});
}

int spawn_request_close(struct spawn_request *r, int fd)
{
	if (fd < 0)
		return MISTAKE(r, -EBADF, "descriptor %d cannot be closed", fd);
	return add_step(r, (struct fd_step){.act = ACTION_CLOSE, .from = fd, .target = -1});
}

int spawn_request_close_from(struct spawn_request *r, int low)
{
	if (low < 0)
		return MISTAKE(r, -EBADF, "descriptors from %d on cannot be closed", low);
	return add_step(r, (struct fd_step){.act = ACTION_CLOSE_FROM, .from = low, .target = -1});
}

int spawn_request_inherit(struct spawn_request *r, int below)
{
	if (below < 0)
		return MISTAKE(r, -EINVAL, "there is no descriptor below %d", below);
	r->inherit_below = below;
	return 0;
}

int spawn_request_pipe(struct spawn_request *r, int target, int *ret_fd)
{
	int *more = reallocarray(r->owned, r->n_owned + 1, sizeof(*more)), pair[2], rc;
	bool reads = target == 0; /* the child */

	if (!more)
		return request_no_memory(r);
	r->owned = more;
	if (pipe2(pair, O_CLOEXEC) < 0)
		return MISTAKE(r, -errno, "cannot make a pipe: %s", strerror(errno));
	rc = spawn_request_fd(r, pair[reads ? 0 : 1], target);
	if (rc < 0) {
		close(pair[0]);
		close(pair[1]);
		return rc;
	}
	r->owned[r->n_owned++] = pair[reads ? 0 : 1];
	*ret_fd = pair[reads ? 1 : 0];
	return 0;
}

void request_copy(const struct spawn_request *request, struct spawn_request *ret)
{
	*ret = *request;
	ret->fds = NULL;
	if (request->n_fds == 0)
		return;
	ret->fds = reallocarray(NULL, request->n_fds, sizeof(*ret->fds));
	if (ret->fds) {
		memcpy(ret->fds, request->fds, request->n_fds * sizeof(*ret->fds));
	} else {
		ret->n_fds = 0;
		request_no_memory(ret);
	}
}

void request_copy_end(struct spawn_request *copy)
{
	free(copy->fds);
	copy->fds = NULL;
}

void request_free_descriptors(struct spawn_request *r)
{
	for (size_t i = 0; i < r->n_steps; i++)
		free(r->steps[i].path);
	for (size_t i = 0; i < r->n_owned; i++)
		close(r->owned[i]);
	free(r->steps);
	free(r->owned);
	free(r->fds);
}

bool request_needs_stdio(const struct spawn_request *r, int fd)
{
	for (size_t i = 0; i < r->n_fds; i++)
		if (r->fds[i].target == fd)
			return false;
	for (size_t i = 0; i < r->n_steps; i++) {
		const struct fd_step *s = &r->steps[i];

		if (s->act == ACTION_DUP && s->from == fd)
			return true;
		if (s->act == ACTION_CLOSE_FROM && s->from <= fd)
			return false;
		if (s->act == ACTION_CLOSE ? s->from == fd : s->target == fd)
			return false;
	}
	return true;
}
