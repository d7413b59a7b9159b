/* SPDX-License-Identifier: MIT */
#include "desk.h"

#include "server.h"

#include "base/fd.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

void desk_start(struct desk *d, const char *const *argv)
{
	const char *program = getenv(argv[0]) ? getenv(argv[0]) : argv[0];
	struct winsize size = {.ws_row = 33, .ws_col = 77};
	posix_spawn_file_actions_t actions;
	char name[64];

	*d = (struct desk){.master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)};
	cr_assert_geq(d->master, 0);
	cr_assert(grantpt(d->master) == 0 && unlockpt(d->master) == 0);
	cr_assert_eq(ptsname_r(d->master, name, sizeof(name)), 0);
	d->slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	cr_assert_geq(d->slave, 0);
	cr_assert_eq(ioctl(d->master, TIOCSWINSZ, &size), 0);
	cr_assert_eq(tcgetattr(d->slave, &d->before), 0);
	posix_spawn_file_actions_init(&actions);
	for (int fd = 0; fd <= 2; fd++)
		posix_spawn_file_actions_adddup2(&actions, d->slave, fd);
	cr_assert_eq(posix_spawnp(&d->pid, program, &actions, NULL, (char *const *)(uintptr_t)argv,
				  environ),
		     0, "%s", program);
	posix_spawn_file_actions_destroy(&actions);
}

void desk_await(struct desk *d, const char *text)
{
	while (!strstr(d->seen, text)) {
		struct pollfd pfd = {d->master, POLLIN, 0};
		ssize_t n;

		cr_assert_eq(poll(&pfd, 1, PATIENCE_MS), 1, "no \"%s\" in: %s", text, d->seen);
		n = read(d->master, d->seen + d->len, sizeof(d->seen) - 1 - d->len);
		cr_assert_gt(n, 0);
		d->len += (size_t)n;
	}
}

void desk_type(struct desk *d, const char *text)
{
	cr_assert_eq(fd_write_all(d->master, text, strlen(text)), 0);
}

int desk_end(struct desk *d)
{
	struct termios after;
	int status;

	cr_assert_eq(waitpid(d->pid, &status, 0), d->pid);
	cr_assert_eq(tcgetattr(d->slave, &after), 0);
	cr_expect_eq(after.c_lflag, d->before.c_lflag, "the terminal is not as it was");
	cr_expect_eq(after.c_iflag, d->before.c_iflag);
	cr_expect_eq(after.c_oflag, d->before.c_oflag);
	close(d->master);
	close(d->slave);
	return status;
}
