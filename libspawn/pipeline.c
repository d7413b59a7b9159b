/* SPDX-License-Identifier: MIT */
/* a | b | c: a batch, with a pipe from each to the next. */
#include "base/error.h"
#include "base/fd.h"
#include "libspawn.h"
#include "request.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static void close_all(int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fd_close(fds[i]);
	free(fds);
}

/* Ends 2i and 2i + 1 are between request i and i + 1. */
static int make_pipes(size_t n, int **ret)
{
	int *ends = calloc(n ? n : 1, 2 * sizeof(*ends));

	if (!ends)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		int two[2], r = pipe2(two, O_CLOEXEC) < 0 ? -errno : 0;

		for (int k = 0; r == 0 && k < 2; k++) {
			ends[2 * i + (size_t)k] = fd_above_stdio(two[k]);
			if (ends[2 * i + (size_t)k] < 0)
				r = ends[2 * i + (size_t)k];
		}
		if (r < 0) {
			close_all(ends, 2 * i);
			return r;
		}
	}
	*ret = ends;
	return 0;
}

static void refuse(struct spawn_proc **procs, struct spawn_error *errs, size_t n, int code,
		   const char *what)
{
	for (size_t i = 0; i < n; i++) {
		procs[i] = NULL;
		if (errs)
			error_errno(&errs[i], code, SPAWN_ORIGIN_CLIENT, STEP_REQUEST, "%s", what);
	}
}

int spawn_pipeline(struct spawn_client *client, struct spawn_request *const *requests, size_t n,
		   struct spawn_proc **procs, struct spawn_error *errs)
{
	struct spawn_request *copies = NULL, **list = NULL;
	int *ends = NULL, r;

	if (n == 0)
		return 0;
	r = make_pipes(n - 1, &ends);
	if (r < 0) {
		refuse(procs, errs, n, r, "make a pipe");
		return 0;
	}
	copies = calloc(n, sizeof(*copies));
	list = calloc(n, sizeof(struct spawn_request *));
	if (!copies || !list) {
		refuse(procs, errs, n, -ENOMEM, "start");
		r = 0;
		goto out;
	}
	for (size_t i = 0; i < n; i++) {
		/* What goes wrong here is latched in the copy, and told for its slot. */
		request_copy(requests[i], &copies[i]);
		if (i > 0)
			spawn_request_fd(&copies[i], ends[2 * (i - 1)], STDIN_FILENO);
		if (i + 1 < n)
			spawn_request_fd(&copies[i], ends[2 * i + 1], STDOUT_FILENO);
		list[i] = &copies[i];
	}
	r = spawn_batch(client, list, n, procs, errs);
	for (size_t i = 0; i < n; i++)
		request_copy_end(&copies[i]);
out:
	close_all(ends, 2 * (n - 1));
	free(list);
	free(copies);
	return r;
}
