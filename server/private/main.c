/* SPDX-License-Identifier: MIT */
/*
 * spawn-private: started by libspawn for one application, with a channel to it as descriptor 3, in
 * its session, process group, cgroup and sandbox, with its credentials. It plays a broker's part on
 * that channel, for programs alone, and ends with the application.
 *
 * It allocates nothing, opens nothing and holds nothing of the application's. That the application
 * may trace it, or read its memory, gives nobody anything: it has the application's own rights, and
 * what a request says goes past it to the copy. So it stays dumpable, and debuggers that follow the
 * application can follow it.
 */
#include "private/private.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/nofork.h"
#include "build-config.h"
#include "signals.h"
#include "wire/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1 /* as gcc says it */
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
/* A copy by the bare system call has not the threads' state that a look for leaks needs. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}
#endif

/* More than any message to it has; a longer one breaks the protocol. */
#define MESSAGE_SIZE 1024
#define FRAME_SIZE   1536

/* Until there is something to do on the channel, or never more: then the process ends. */
static void await(const struct private_host *h, short events, int timeout)
{
	struct pollfd p[2] = {
		{.fd = PRIVATE_CHANNEL_FD, .events = events},
		{.fd = h->parent, .events = POLLIN}, /* -1 is skipped by poll */
	};

	poll(p, 2, timeout);
	/* Processes that the application forked may hold its end of the channel open. */
	if (p[1].revents)
		_exit(0);
}

static void reply(const struct private_host *h, struct frame *f, int fd)
{
	int r;

	while ((r = channel_send_frame(PRIVATE_CHANNEL_FD, f, &fd, fd >= 0 ? 1 : 0, MSG_DONTWAIT)) <
	       0) {
		if (r == -EAGAIN)
			await(h, POLLOUT, -1); /* the application reads when it likes to */
		else if (r == -ETOOMANYREFS)
			await(h, 0,
			      1); /* the user's descriptors in flight: nothing tells of room */
		else
			_exit(0);
	}
}

static void reply_error(const struct private_host *h, uint32_t id, int code, unsigned step,
			const char *text)
{
	uint8_t buf[FRAME_SIZE];
	struct frame f;

	frame_begin(&f, buf, sizeof(buf), MSG_ERROR, id);
	frame_u32(&f, REC_CODE, (uint32_t)-code);
	frame_u32(&f, REC_ORIGIN, SPAWN_ORIGIN_HOST);
	frame_u32(&f, REC_STEP, step);
	frame_text(&f, REC_TEXT, text);
	reply(h, &f, -1);
}

static void reply_empty(const struct private_host *h, enum message_type type, uint32_t id)
{
	uint8_t buf[WIRE_HEADER_SIZE];
	struct frame f;

	frame_begin(&f, buf, sizeof(buf), type, id);
	reply(h, &f, -1);
}

static void reply_welcome(const struct private_host *h, const struct message *hello)
{
	uint8_t buf[256];
	struct frame f;

	if (message_u32(hello, REC_VERSION_MIN) > WIRE_VERSION ||
	    message_u32(hello, REC_VERSION_MAX) < WIRE_VERSION) {
		reply_error(h, hello->id, -EPROTO, STEP_HELLO,
			    "spawn-private " SPAWND_VERSION
			    " and this libspawn are not of one version: install both from the same "
			    "build");
		_exit(0);
	}
	frame_begin(&f, buf, sizeof(buf), MSG_WELCOME, hello->id);
	frame_u32(&f, REC_VERSION, WIRE_VERSION);
	frame_string(&f, REC_SERVER, SPAWND_VERSION);
	frame_u64(&f, REC_CONNECTION, 1);
	frame_u32(&f, REC_MODE, 0);
	frame_u32(&f, REC_PID, (uint32_t)getpid());
	reply(h, &f, -1);
}

static void reply_not_cloned(const struct private_host *h, uint32_t id, int code)
{
	const char *text;

	switch (code) {
	case -EAGAIN:
		text = "no process could be made: the user's limit (RLIMIT_NPROC), the cgroup's "
		       "(pids.max) or the machine's is reached; try again when some have ended";
		break;
	case -EMFILE:
	case -ENFILE:
		text = "no descriptor is left for the process's handle: raise RLIMIT_NOFILE or the "
		       "machine's fs.file-max, or try again when some are closed";
		break;
	case -EINVAL:
		text = "no process could be made: the kernel allows it to no first process of a "
		       "pid namespace; start the private host before unshare(2)";
		break;
	case -ENOMEM:
		text = "no process could be made: out of memory";
		break;
	default:
		text = "no process could be made";
		break;
	}
	reply_error(h, id, code, STEP_FORK, text);
}

static void reply_started(const struct private_host *h, uint32_t id, const struct private_child *c,
			  pid_t pid, int pidfd)
{
	static const uint8_t no_token[WIRE_TOKEN_SIZE];
	uint8_t buf[256], times[16];
	struct frame f;

	put_u64(times, c->launched_ns);
	put_u64(times + 8, clock_now());
	frame_begin(&f, buf, sizeof(buf), MSG_STARTED, id);
	frame_u32(&f, REC_PID, (uint32_t)pid);
	frame_u64(&f, REC_SERIAL, h->count);
	frame_bytes(&f, REC_TOKEN, no_token, sizeof(no_token));
	frame_u32(&f, REC_NOFORK, c->nofork);
	/* PR_SET_NOFORK ends at exec: a program is held to it by the filter alone. */
	frame_u32(&f, REC_NOFORK_BY, c->nofork ? NOFORK_BY_SECCOMP : NOFORK_BY_NOBODY);
	frame_u64(&f, REC_GENERATION, 1);
	frame_u32(&f, REC_FLAGS, 0);
	frame_bytes(&f, REC_TIMES, times, sizeof(times));
	reply(h, &f, pidfd);
}

/*
 * A copy of this process, whose parent is this one's: the child inherits the exit signal too, which
 * posix_spawn made SIGCHLD. Memory is copied, not shared: a program that hangs in execve, on a file
 * server that does not answer, shall not hold up the next.
 */
static pid_t clone_beside(int *ret_pidfd)
{
	int pidfd = -1;
	long pid =
		syscall(SYS_clone, CLONE_PARENT | CLONE_PIDFD | SIGCHLD, NULL, &pidfd, NULL, NULL);

	if (pid < 0)
		return -errno;
	*ret_pidfd = pidfd; /* close-on-exec by the kernel; not there in the copy */
	return (pid_t)pid;
}

static void serve_spawn(struct private_host *h, const struct message *m, struct fds *fds)
{
	struct private_child child = {
		.nofork = message_u32(m, REC_NOFORK),
		.launched_ns = clock_now(),
	};
	int pidfd = -1;
	pid_t pid;

	if (!(message_u32(m, REC_FLAGS) & FLAG_PROGRAM) || child.nofork > NOFORK_PROCESS) {
		reply_error(h, m->id, -EINVAL, STEP_REQUEST,
			    "a private host starts programs, at a level of no-fork that it knows");
		return;
	}
	if (message_u32(m, REC_FLAGS) & ~FLAG_PROGRAM || message_has(m, REC_DEADLINE)) {
		reply_error(h, m->id, -EOPNOTSUPP, STEP_OWNER,
			    "a private host ends no child: kill_with_caller and deadline are a "
			    "server's work");
		return;
	}
	child.body = fds_take(fds, 0);
	pid = clone_beside(&pidfd);
	if (pid == 0)
		private_child_run(h, &child);
	/* Else the application would not see that the copy has become a program. */
	fd_close(child.body);
	if (pid < 0) {
		reply_not_cloned(h, m->id, pid);
		return;
	}
	h->count++;
	reply_started(h, m->id, &child, pid, pidfd);
	fd_close(pidfd);
}

static void serve(struct private_host *h, const struct message *m, struct fds *fds)
{
	switch (m->type) {
	case MSG_HELLO:
		reply_welcome(h, m);
		break;
	case MSG_SPAWN:
		serve_spawn(h, m, fds);
		break;
	case MSG_PING:
		reply_empty(h, MSG_PONG, m->id);
		break;
	case MSG_CANCEL: /* nothing waits here */
	case MSG_RELEASE:
		break;
	default:
		reply_error(h, m->id, -EOPNOTSUPP, STEP_REQUEST,
			    "a private host has no such thing");
		break;
	}
}

_Noreturn static void run(struct private_host *h)
{
	uint32_t state = STATE_NEW;

	for (;;) {
		uint8_t buf[MESSAGE_SIZE];
		struct message m;
		struct fds fds;
		ssize_t n;

		memset(buf, 0, WIRE_HEADER_SIZE);
		n = channel_receive(PRIVATE_CHANNEL_FD, buf, sizeof(buf), &fds, NULL, MSG_DONTWAIT);
		if (n == -EAGAIN) {
			await(h, POLLIN, -1);
			continue;
		}
		if (n == -EMFILE && state == STATE_OPEN) {
			reply_not_cloned(h, get_u32(buf + 8),
					 -EMFILE); /* its body socket is lost */
			continue;
		}
		if (n <= 0 || message_decode(buf, (size_t)n, PEER_CLIENT, PEER_BROKER, state, fds.n,
					     &m, NULL) < 0)
			_exit(n == 0 ? 0 : 1);
		serve(h, &m, &fds);
		fds_close(&fds);
		state = STATE_OPEN;
	}
}

/*
 * The application, as long as it lives; after it this has another parent, which may never end. Who
 * made the channel is the application, too: 0 in a pid namespace that does not show it.
 */
static int open_parent(void)
{
	int pidfd = fd_above_stdio(pidfd_open_pid(getppid()));
	struct ucred maker = {0};
	socklen_t len = sizeof(maker);

	if (getsockopt(PRIVATE_CHANNEL_FD, SOL_SOCKET, SO_PEERCRED, &maker, &len) == 0 &&
	    maker.pid > 0 && maker.pid != getppid())
		_exit(0);
	return pidfd;
}

static void prepare(struct private_host *h)
{
	struct rlimit *files = &h->limits[RLIMIT_NOFILE];

	/*
	 * Whatever the application had open without close-on-exec: a pipe's end that stays open
	 * here would keep somebody from seeing its end. Standard streams too; a copy gets its own.
	 */
	close(0);
	close(1);
	close(2);
	syscall(SYS_close_range, PRIVATE_CHANNEL_FD + 1, ~0u, 0);
	fd_set_cloexec(PRIVATE_CHANNEL_FD, 1);
	/* Something that exec closes in their place: what comes over the channel need not be moved
	 * out of it. */
	for (int fd = 0; fd <= 2; fd++)
		open("/", O_PATH | O_CLOEXEC);
	(void)!chdir("/"); /* the application's may have to be unmounted; each body has its own */
	h->parent = open_parent();
	h->parent_pid = getppid();
	/* Children start from none ignored; what the application ignores comes with each request.
	 */
	signals_default();
	for (int i = 0; i < RLIM_NLIMITS; i++)
		getrlimit((__rlimit_resource_t)i, &h->limits[i]);
	/* Room for a request's descriptors; the program gets the application's own limit. */
	files->rlim_cur = files->rlim_max;
	setrlimit(RLIMIT_NOFILE, files);
}

int main(void)
{
	static struct private_host host;

	if (!fd_is_seqpacket(PRIVATE_CHANNEL_FD)) {
		static const char text[] = "spawn-private: started by libspawn, not by hand\n";

		fd_write_all(STDERR_FILENO, text, sizeof(text) - 1);
		return 2;
	}
	prepare(&host);
	run(&host);
}
