/* SPDX-License-Identifier: MIT */
#include "pty.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* From one side to the other. */
struct way {
	char data[4096];
	size_t from, to; /* of what is to be written */
	bool ended;
};

struct relay {
	struct pty *pty;
	struct way in, out;
	bool gone; /* nobody has the child's side open any more */
};

int pty_open(struct pty *ret)
{
	struct winsize size;
	struct termios settings;
	int r;

	*ret = (struct pty){.master = -1, .slave = -1};
	ret->has_terminal = tcgetattr(STDIN_FILENO, &ret->before) == 0;
	ret->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (ret->master < 0 || grantpt(ret->master) < 0 || unlockpt(ret->master) < 0)
		goto fail;
	r = ptsname_r(ret->master, ret->name, sizeof(ret->name));
	if (r) {
		errno = r;
		goto fail;
	}
	ret->slave = open(ret->name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (ret->slave < 0)
		goto fail;
	if (ret->has_terminal) {
		tcsetattr(ret->slave, TCSANOW, &ret->before);
	} else if (tcgetattr(ret->slave, &settings) == 0) {
		/* What is read from a file or a pipe is not typed: nobody needs to see it again. */
		settings.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(ret->slave, TCSANOW, &settings);
	}
	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0 ||
	    ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
		ioctl(ret->master, TIOCSWINSZ, &size);
	return 0;
fail:
	r = -errno;
	pty_close(ret);
	return r;
}

void pty_request(const struct pty *pty, struct spawn_request *request)
{
	spawn_request_session(request, true);
	/* The child itself opens it, which makes it the session's. */
	spawn_request_open(request, STDIN_FILENO, pty->name, O_RDWR, 0);
	spawn_request_fd(request, pty->slave, STDOUT_FILENO);
	spawn_request_fd(request, pty->slave, STDERR_FILENO);
}

int pty_enter(struct pty *pty)
{
	struct termios raw = pty->before;

	if (!pty->has_terminal || pty->is_raw)
		return 0;
	cfmakeraw(&raw);
	if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) < 0)
		return -errno;
	pty->is_raw = true;
	return 0;
}

void pty_leave(struct pty *pty)
{
	if (pty->is_raw)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &pty->before);
	pty->is_raw = false;
}

void pty_close(struct pty *pty)
{
	pty_leave(pty);
	if (pty->master >= 0)
		close(pty->master);
	if (pty->slave >= 0)
		close(pty->slave);
	pty->master = pty->slave = -1;
}

static bool is_empty(const struct way *w)
{
	return w->from == w->to;
}

/* False at its end. */
static bool way_fill(struct way *w, int fd)
{
	ssize_t n = read(fd, w->data, sizeof(w->data));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0)
		return false;
	w->from = 0;
	w->to = (size_t)n;
	return true;
}

static void way_empty(struct way *w, int fd)
{
	ssize_t n = write(fd, w->data + w->from, w->to - w->from);

	if (n >= 0)
		w->from += (size_t)n;
	else if (errno != EAGAIN && errno != EINTR)
		w->from = w->to; /* nobody reads it: as after a hang-up */
}

/* At the end of what is not typed: the key that says so; twice, as the first one may only end a
 * line. */
static void end_input(struct relay *r)
{
	struct termios settings;
	bool known = tcgetattr(r->pty->master, &settings) == 0;

	r->in.data[0] = r->in.data[1] = known ? (char)settings.c_cc[VEOF] : 4;
	r->in.from = 0;
	r->in.to = 2;
	r->in.ended = true;
}

static void turn(struct relay *r, const struct pollfd *pfd)
{
	if (pfd[0].revents && is_empty(&r->in) && !way_fill(&r->in, STDIN_FILENO))
		end_input(r);
	if (pfd[1].revents & POLLOUT && !is_empty(&r->in))
		way_empty(&r->in, r->pty->master);
	if (pfd[1].revents & (POLLIN | POLLHUP) && is_empty(&r->out) &&
	    !way_fill(&r->out, r->pty->master))
		r->gone = true;
	if (pfd[2].revents && !is_empty(&r->out))
		way_empty(&r->out, STDOUT_FILENO);
}

/* What is in the terminal when the child is over; what it left running may write more, which is not
 * waited for. */
static void drain(struct relay *r)
{
	for (;;) {
		struct pollfd pfd = {r->pty->master, POLLIN, 0};

		while (!is_empty(&r->out))
			way_empty(&r->out, STDOUT_FILENO);
		if (r->gone || poll(&pfd, 1, 0) <= 0 || !way_fill(&r->out, r->pty->master) ||
		    is_empty(&r->out))
			return;
	}
}

static int window_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGWINCH);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void resize(struct pty *pty, int signals)
{
	struct signalfd_siginfo info;
	struct winsize size;

	while (read(signals, &info, sizeof(info)) > 0)
		;
	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0)
		ioctl(pty->master, TIOCSWINSZ, &size);
}

int pty_relay(struct pty *pty, const struct spawn_proc *proc, int signals,
	      void (*on_signal)(int signals, void *user), void *user)
{
	struct relay r = {.pty = pty};
	int window = window_signals(), rc = pty_enter(pty);

	/* Or its end would not be seen here: while one is open a terminal has no end. But the last
	 * one here keeps what the child wrote, until the child has its own. */
	close(pty->slave);
	pty->slave = -1;
	while (rc == 0) {
		struct pollfd pfd[] = {
			{is_empty(&r.in) && !r.in.ended ? STDIN_FILENO : -1, POLLIN, 0},
			{r.gone ? -1 : pty->master,
			 (short)((is_empty(&r.out) ? POLLIN : 0) | (is_empty(&r.in) ? 0 : POLLOUT)),
			 0},
			{is_empty(&r.out) ? -1 : STDOUT_FILENO, POLLOUT, 0},
			{spawn_proc_pidfd(proc), POLLIN, 0},
			{signals, POLLIN, 0},
			{window, POLLIN, 0},
		};

		if (poll(pfd, 6, -1) < 0) {
			rc = errno == EINTR ? 0 : -errno;
			continue;
		}
		turn(&r, pfd);
		if (pfd[4].revents)
			on_signal(signals, user);
		if (pfd[5].revents)
			resize(pty, window);
		if (pfd[3].revents)
			break;
	}
	drain(&r);
	if (window >= 0)
		close(window);
	pty_leave(pty);
	return rc;
}
