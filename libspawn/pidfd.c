/* SPDX-License-Identifier: MIT */
#include "pidfd.h"

#include "base/clock.h"
#include "base/pidfd_info.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

/* How long the new parent of an orphan has to reap it. */
#define REAP_MS 1000

static int wait_for(int pidfd, short events, uint64_t deadline)
{
	for (;;) {
		struct pollfd p = {.fd = pidfd, .events = events};
		int n = poll(&p, 1, clock_poll_timeout(deadline));

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			return p.revents & POLLNVAL ? -EBADF : 0;
		if (n == 0 && deadline && clock_now() >= deadline)
			return -ETIMEDOUT;
	}
}

int pidfd_wait(int pidfd, uint64_t deadline)
{
	return wait_for(pidfd, POLLIN, deadline);
}

int pidfd_exit_status(int pidfd, struct exit_record *ret)
{
	struct pidfd_info_v0 info = {.mask = PIDFD_INFO_EXIT_BIT};

	if (ioctl(pidfd, PIDFD_INFO_IOCTL, &info) < 0)
		return -ENODATA; /* a kernel without it is not worth the wait */
	/* On a zombie the call succeeds and shows 0; POLLHUP says that it was reaped. */
	info = (struct pidfd_info_v0){.mask = PIDFD_INFO_EXIT_BIT};
	if (wait_for(pidfd, 0, clock_now() + REAP_MS * NS_PER_MS) < 0)
		return -ENODATA;
	if (ioctl(pidfd, PIDFD_INFO_IOCTL, &info) < 0 || !(info.mask & PIDFD_INFO_EXIT_BIT))
		return -ENODATA;
	*ret = (struct exit_record){0};
	if (WIFEXITED(info.exit_code)) {
		ret->code = CLD_EXITED;
		ret->status = WEXITSTATUS(info.exit_code);
	} else {
		ret->code = WCOREDUMP(info.exit_code) ? CLD_DUMPED : CLD_KILLED;
		ret->status = WTERMSIG(info.exit_code);
	}
	return 0;
}
