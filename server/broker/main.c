/* SPDX-License-Identifier: MIT */
/* spawnd-broker: started by the keeper with its channel as descriptor 3. */
#include "base/fd.h"
#include "base/log.h"
#include "broker/broker.h"
#include "confine.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define KEEPER_FD    3
#define POOL_THREADS "8"

static int compare_gids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* As the keeper lists them: groups sorted. */
static int read_own_credentials(struct broker *b)
{
	int n = getgroups(0, NULL);

	b->own_uid = getuid();
	b->own_gid = getgid();
	if (n < 0)
		return -errno;
	b->own_groups = calloc((size_t)n + 1, sizeof(*b->own_groups));
	if (!b->own_groups)
		return -ENOMEM;
	n = getgroups(n, b->own_groups);
	if (n < 0)
		return -errno;
	b->n_own_groups = (size_t)n;
	qsort(b->own_groups, b->n_own_groups, sizeof(*b->own_groups), compare_gids);
	return 0;
}

/*
 * Descriptors are counted before they are accepted: a message that brings one when there is no room
 * is lost. Of the limit, half is for connections (two each), an eighth for requests that wait, an
 * eighth for what a user sends only to be closed and one message's 253 beyond that, a sixteenth for
 * what clients do not read, the rest for parked leaves (two each), hosts and libuv.
 */
static void share_descriptors(struct broker *b)
{
	struct rlimit files;
	size_t n = 1024;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0)
		n = files.rlim_cur == RLIM_INFINITY ? 1u << 20 : files.rlim_cur;
	b->max_sessions = n / 4;
	b->max_waiting = n / 8;
	b->max_closing = n / 8;
	b->max_kept = n / 16;
}

int main(int argc, char **argv)
{
	static struct broker b = {.keeper_fd = KEEPER_FD};
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	struct spawn_error err;

	if (argc != 3 || strncmp(argv[2], "--keeper=", 9) != 0 || !fd_is_seqpacket(KEEPER_FD)) {
		(void)!write(STDERR_FILENO, "spawnd-broker: started by spawnd, not by hand\n", 46);
		return 2;
	}
	log_open("broker");
	if (confine_privileges(&err) < 0) {
		log_line(LOG_ERR, "sandbox", "reason=\"%s\"", err.message);
		return 1;
	}
	sigaction(SIGPIPE, &ignore, NULL);
	fd_set_cloexec(KEEPER_FD, 1);
	b.system_mode = strcmp(argv[1], "--system") == 0;
	b.keeper_pid = (pid_t)strtol(argv[2] + 9, NULL, 10);
	share_descriptors(&b);
	/* No ring in the sandbox: a filter cannot see through it. */
	setenv("UV_USE_IO_URING", "0", 1);
	setenv("UV_THREADPOOL_SIZE", POOL_THREADS, 1);
	if (read_own_credentials(&b) < 0 || uv_loop_init(&b.loop) < 0 || closer_warm(&b) < 0 ||
	    keeper_link_open(&b) < 0) {
		log_line(LOG_ERR, "set-up", "reason=\"out of memory or descriptors\"");
		return 1;
	}
	look_open(&b);
	/* libuv makes all its threads with the first work: done once that has come back. */
	uv_run(&b.loop, UV_RUN_NOWAIT);
	if (confine_broker(&err) < 0) {
		log_line(LOG_ERR, "sandbox", "reason=\"%s\"", err.message);
		return 1;
	}
	uv_run(&b.loop, UV_RUN_DEFAULT);
	return 0; /* what was sent stays readable for those it was sent to */
}
