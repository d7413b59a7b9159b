/* SPDX-License-Identifier: MIT */
/* What the broker can no longer do, and what it still can. */
#include "confine.h"
#include "trial.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

/* Made before the filter: a broker has its descriptors by then. */
static int pair[2], datagram, epoll, event, status_file, self_pidfd;

static void open_everything(void)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		trial_fail("socketpair: %s", strerror(errno));
	datagram = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	status_file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	self_pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	if (datagram < 0 || epoll < 0 || event < 0 || status_file < 0 || self_pidfd < 0)
		trial_fail("cannot open what a broker has: %s", strerror(errno));
}

static void confine(void)
{
	struct spawn_error err;

	open_everything();
	if (confine_privileges(&err) < 0 || confine_broker(&err) < 0)
		trial_fail("%s", err.message);
}

/* A deed gives the errno with which it was refused, or 0. */
typedef int deed_fn(void);

static int refused(long r)
{
	return r < 0 ? errno : 0;
}

static int deed_open(void)
{
	return refused(open("/dev/null", O_RDONLY | O_CLOEXEC));
}

static int deed_socket(void)
{
	return refused(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static int deed_socketpair(void)
{
	int fds[2];

	return refused(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
}

static int deed_connect(void)
{
	struct sockaddr_un nowhere = {.sun_family = AF_UNIX, .sun_path = "/nowhere"};

	return refused(connect(datagram, (struct sockaddr *)&nowhere, sizeof(nowhere)));
}

static int deed_sendto_address(void)
{
	struct sockaddr_un nowhere = {.sun_family = AF_UNIX, .sun_path = "/nowhere"};

	return refused(sendto(datagram, "x", 1, 0, (struct sockaddr *)&nowhere, sizeof(nowhere)));
}

static int deed_accept(void)
{
	return refused(accept4(datagram, NULL, NULL, SOCK_CLOEXEC));
}

static int deed_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return refused(pid);
}

static void *nothing(void *unused)
{
	return unused;
}

static int deed_thread(void)
{
	pthread_t thread;

	return pthread_create(&thread, NULL, nothing, NULL);
}

static int deed_execve(void)
{
	return refused(execl("/bin/true", "true", NULL));
}

static int deed_kill(void)
{
	return refused(kill(getppid(), 0));
}

static int deed_tgkill(void)
{
	return refused(syscall(SYS_tgkill, getppid(), getppid(), 0));
}

static int deed_pidfd_signal(void)
{
	return refused(syscall(SYS_pidfd_send_signal, self_pidfd, 0, NULL, 0));
}

static int deed_pidfd_getfd(void)
{
	return refused(syscall(SYS_pidfd_getfd, self_pidfd, 0, 0));
}

static int deed_ptrace(void)
{
	return refused(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static int deed_memfd(void)
{
	return refused(memfd_create("x", MFD_CLOEXEC));
}

static int deed_io_uring(void)
{
	char params[120] = {0};

	return refused(syscall(SYS_io_uring_setup, 1, params));
}

static int deed_mmap_exec(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? errno : 0;
}

static int deed_mprotect_exec(void)
{
	static char page[8192] __attribute__((aligned(4096)));

	return refused(mprotect(page, 4096, PROT_READ | PROT_EXEC));
}

static int deed_attach_filter(void)
{
	struct sock_filter accept_all = BPF_STMT(BPF_RET | BPF_K, 0xffff);
	struct sock_fprog program = {1, &accept_all};

	return refused(
		setsockopt(pair[0], SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)));
}

static int deed_terminal_injection(void)
{
	return refused(ioctl(pair[0], TIOCSTI, "x"));
}

static int deed_set_owner(void)
{
	return refused(fcntl(pair[0], F_SETOWN, getpid()));
}

static int deed_unlink(void)
{
	return refused(unlink("/nowhere"));
}

static int deed_unshare(void)
{
	return refused(unshare(CLONE_NEWUSER));
}

static int deed_prctl(void)
{
	return refused(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

struct deed {
	const char *name;
	deed_fn *fn;
	bool sanitized; /* the sanitizers' runtime is allowed it */
};

static const struct deed deeds[] = {
	{"open", deed_open, true},
	{"socket", deed_socket},
	{"socketpair", deed_socketpair},
	{"connect", deed_connect},
	{"sendto an address", deed_sendto_address},
	{"accept", deed_accept},
	{"fork", deed_fork},
	{"execve", deed_execve},
	{"a signal to the parent", deed_kill},
	{"tgkill of the parent", deed_tgkill},
	{"pidfd_send_signal", deed_pidfd_signal},
	{"pidfd_getfd", deed_pidfd_getfd},
	{"ptrace", deed_ptrace},
	{"memfd_create", deed_memfd},
	{"io_uring_setup", deed_io_uring},
	{"mmap of executable memory", deed_mmap_exec},
	{"mprotect to executable", deed_mprotect_exec},
	{"SO_ATTACH_FILTER", deed_attach_filter},
	{"TIOCSTI", deed_terminal_injection},
	{"F_SETOWN", deed_set_owner},
	{"unlink", deed_unlink},
	{"unshare", deed_unshare},
	{"prctl", deed_prctl, true},
};

/* In a child that is not confined: what is refused there as well proves nothing. */
static int unconfined(const struct deed *deed)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		open_everything();
		_exit(deed->fn());
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		trial_fail("cannot try it unconfined");
	return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
}

static void try_deed(const void *arg)
{
	const struct deed *deed = arg;

#ifdef SANITIZED
	if (deed->sanitized)
		trial_skip("the sanitizers need it");
#endif
	if (unconfined(deed) == EPERM)
		trial_skip("this machine refuses it without a filter of ours");
	confine();
	trial_expect_errno(deed->name, deed->fn(), EPERM);
}

static void refuses_threads(const void *arg)
{
	int r;

	confine();
	/* glibc maps a stack first, and may tell EPERM as EAGAIN. */
	r = deed_thread();
	if (r != EPERM && r != EAGAIN)
		trial_expect_errno("pthread_create", r, EPERM);
}

/* A pool thread that was there before, and is asked after. */
static pthread_barrier_t confined;
static int pool_outcome[4];

static void *pool_thread(void *arg)
{
	int *ret = arg;

	pthread_barrier_wait(&confined);
	*ret = deed_socket();
	return NULL;
}

static void start_pool(pthread_t threads[4])
{
	pthread_barrier_init(&confined, NULL, 5);
	for (size_t i = 0; i < 4; i++)
		if (pthread_create(&threads[i], NULL, pool_thread, &pool_outcome[i]) != 0)
			trial_fail("pthread_create");
}

static void reaches_pool_threads(const void *arg)
{
	struct spawn_error err;
	pthread_t threads[4];

	open_everything();
	if (confine_privileges(&err) < 0)
		trial_fail("%s", err.message);
	start_pool(threads);
	if (confine_broker(&err) < 0)
		trial_fail("%s", err.message);
	pthread_barrier_wait(&confined);
	for (size_t i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		trial_expect_errno("socket in a pool thread", pool_outcome[i], EPERM);
	}
}

static void refuses_threads_with_capabilities(const void *arg)
{
	struct spawn_error err = {0};
	pthread_t threads[4];

	if (geteuid() != 0)
		trial_skip("not root: there are no capabilities to leave behind");
	start_pool(threads);
	trial_expect_errno("confine_broker", -confine_broker(&err), EBUSY);
	if (!strstr(err.message, "confine_privileges"))
		trial_fail("the error does not tell the way out: %s", err.message);
}

/* A field of the status of the confined process, by the descriptor from before. */
static unsigned long long status_field(const char *key)
{
	char status[8192];
	ssize_t n = pread(status_file, status, sizeof(status) - 1, 0);
	const char *at;

	if (n < 0)
		trial_fail("read status: %s", strerror(errno));
	status[n] = '\0';
	at = strstr(status, key);
	if (!at)
		trial_fail("no %s in status", key);
	return strtoull(at + strlen(key), NULL, 16);
}

static void holds_no_capability(const void *arg)
{
	confine();
	if (status_field("\nCapInh:\t") || status_field("\nCapPrm:\t") ||
	    status_field("\nCapEff:\t") || status_field("\nCapAmb:\t"))
		trial_fail("a capability is left");
	if (geteuid() == 0 && status_field("\nCapBnd:\t"))
		trial_fail("the bounding set is not empty");
}

static void has_no_new_privs(const void *arg)
{
	confine();
	if (status_field("\nNoNewPrivs:\t") != 1)
		trial_fail("no_new_privs is not set");
}

static void is_not_dumpable(const void *arg)
{
	struct spawn_error err;

	if (confine_privileges(&err) < 0)
		trial_fail("%s", err.message);
	if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
		trial_fail("still dumpable");
}

static void unprivileged_user_confines(const void *arg)
{
	if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
		trial_skip("cannot become an ordinary user: %s", strerror(errno));
	confine();
	trial_expect_errno("socket", deed_socket(), EPERM);
}

static void need(const char *what, long r)
{
	if (r < 0)
		trial_fail("%s: %s", what, strerror(errno));
}

static void still_passes_messages(const void *arg)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	char byte = 'x';
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.bytes,
			     .msg_controllen = sizeof(control.bytes)};
	struct epoll_event ready = {.events = EPOLLIN};
	int one = 1, fd;
	socklen_t len = sizeof(one);
	struct stat st;

	confine();
	need("SO_PASSCRED", setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)));
	one = 0;
	need("SO_PASSCRED", setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)));
	need("getsockopt", getsockopt(pair[1], SOL_SOCKET, SO_TYPE, &one, &len));
	need("FIONBIO", ioctl(pair[1], FIONBIO, &one));
	need("epoll_ctl", epoll_ctl(epoll, EPOLL_CTL_ADD, pair[1], &ready));
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.header), &event, sizeof(int));
	need("sendmsg", sendmsg(pair[0], &msg, MSG_NOSIGNAL));
	if (epoll_wait(epoll, &ready, 1, -1) != 1)
		trial_fail("epoll_wait: %s", strerror(errno));
	need("recvmsg", recvmsg(pair[1], &msg, MSG_CMSG_CLOEXEC));
	memcpy(&fd, CMSG_DATA(&control.header), sizeof(int));
	need("fstat", fstat(fd, &st));
	need("F_DUPFD_CLOEXEC", fcntl(fd, F_DUPFD_CLOEXEC, 100));
	need("write", write(event, &(uint64_t){1}, sizeof(uint64_t)));
	need("send", send(pair[0], "x", 1, MSG_NOSIGNAL));
	need("close", close(fd));
	free(malloc(64 << 20));
}

static void kill_by(const char *what, void (*fn)(void), int wanted)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		confine();
		fn();
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid)
		trial_fail("waitpid: %s", strerror(errno));
	if (!WIFSIGNALED(status) || WTERMSIG(status) != wanted)
		trial_fail("%s: wait status %#x where death by signal %d was expected", what,
			   status, wanted);
}

static void can_abort(const void *arg)
{
	kill_by("abort", abort, SIGABRT);
}

#ifdef __x86_64__
static void int80_getpid(void)
{
	long r = 20;

	__asm__ volatile("int $0x80" : "+a"(r) : : "memory", "cc", "r8", "r9", "r10", "r11");
}

static void x32_getpid(void)
{
	syscall(0x40000000L | SYS_getpid);
}

static void dies_by_int80(const void *arg)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		int80_getpid();
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid)
		trial_fail("waitpid: %s", strerror(errno));
	if (status != 0)
		trial_skip("this kernel has no 32-bit entry");
	kill_by("int 0x80", int80_getpid, SIGSYS);
}

static void dies_by_x32(const void *arg)
{
	kill_by("x32 getpid", x32_getpid, SIGSYS);
}
#endif

int main(void)
{
	for (size_t i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++) {
		char name[128];

		snprintf(name, sizeof(name), "a confined broker is refused %s", deeds[i].name);
		trial(name, try_deed, &deeds[i]);
	}
	trial("a confined broker is refused new threads", refuses_threads, NULL);
	trial("the filter reaches pool threads", reaches_pool_threads, NULL);
	trial("a pool with capabilities is an error", refuses_threads_with_capabilities, NULL);
	trial("a confined broker holds no capability", holds_no_capability, NULL);
	trial("a confined broker has no_new_privs", has_no_new_privs, NULL);
	trial("a confined broker is not dumpable", is_not_dumpable, NULL);
	trial("an ordinary user's broker confines itself", unprivileged_user_confines, NULL);
	trial("a confined broker passes messages and descriptors", still_passes_messages, NULL);
	trial("a confined broker can abort", can_abort, NULL);
#ifdef __x86_64__
	trial("a confined broker dies by int 0x80", dies_by_int80, NULL);
	trial("a confined broker dies by x32", dies_by_x32, NULL);
#endif
	return trials_finish();
}
