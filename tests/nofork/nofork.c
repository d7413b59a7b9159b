/* SPDX-License-Identifier: MIT */
/* Every way to a second process, tried under each filter. */
#include "host/nofork.h"
#include "nofork-kernel.h"
#include "trial.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* A route gives the errno with which it was refused, or 0: there was a second process or thread. */
typedef int route_fn(void);

/* For routes that return twice: the child goes, the parent waits. */
static int outcome(long pid)
{
	int error = errno;

	if (pid < 0)
		return error;
	if (pid == 0)
		_exit(0);
	waitpid((pid_t)pid, NULL, __WALL);
	return 0;
}

static int route_fork(void)
{
	return outcome(fork());
}

/* s390 has stack and flags the other way round. */
static long raw_clone(unsigned long flags)
{
#if defined(__s390__)
	return syscall(SYS_clone, 0, flags, 0, 0, 0);
#else
	return syscall(SYS_clone, flags, 0, 0, 0, 0);
#endif
}

static int route_raw_clone(void)
{
	return outcome(raw_clone(SIGCHLD));
}

static int route_vfork(void)
{
	pid_t pid = vfork();

	if (pid == 0)
		_exit(0);
	return outcome(pid);
}

static int leave(void *unused)
{
	(void)unused;
	_exit(0);
}

static int clone_on_stack(int flags)
{
	static char stack[65536] __attribute__((aligned(16)));

	return outcome(clone(leave, stack + sizeof(stack), flags, NULL));
}

static int route_clone_vm_vfork(void)
{
	return clone_on_stack(CLONE_VM | CLONE_VFORK | SIGCHLD);
}

static int route_clone_vm(void)
{
	return clone_on_stack(CLONE_VM | SIGCHLD);
}

static int route_clone_files_fs(void)
{
	return clone_on_stack(CLONE_FILES | CLONE_FS | CLONE_PARENT_SETTID | SIGCHLD);
}

static int route_clone3(void)
{
	struct clone_args args = {.exit_signal = SIGCHLD};

	return outcome(syscall(SYS_clone3, &args, sizeof(args)));
}

static void *nothing(void *unused)
{
	return unused;
}

static int route_pthread(void)
{
	pthread_t thread;
	int r = pthread_create(&thread, NULL, nothing, NULL);

	if (r == 0)
		pthread_join(thread, NULL);
	return r;
}

static void *fork_in_thread(void *ret)
{
	*(int *)ret = route_fork();
	return NULL;
}

static int route_fork_in_thread(void)
{
	pthread_t thread;
	int forked = 0, r = pthread_create(&thread, NULL, fork_in_thread, &forked);

	if (r != 0)
		trial_fail("pthread_create: %s", strerror(r));
	pthread_join(thread, NULL);
	return forked;
}

static int route_posix_spawn(void)
{
	static char name[] = "true";
	char *argv[] = {name, NULL};
	int status;
	pid_t pid;
	int r = posix_spawn(&pid, "/bin/true", NULL, NULL, argv, environ);

	if (r != 0)
		return r;
	waitpid(pid, &status, 0);
	if (status != 0)
		trial_fail("/bin/true ended with wait status %#x", status);
	return 0;
}

#ifdef __x86_64__
static int route_sys_fork(void)
{
	return outcome(syscall(SYS_fork));
}

/* Only the low half of the flags counts, for the kernel and for the filter. */
static int route_clone_high_flags(void)
{
	return outcome(raw_clone(((unsigned long)(CLONE_VM | CLONE_THREAD) << 32) | SIGCHLD));
}

/* The 32-bit entry, from 64-bit code. */
static long int80(long number, long arg)
{
	long r;

	__asm__ volatile("int $0x80"
			 : "=a"(r)
			 : "a"(number), "b"(arg), "c"(0L), "d"(0L), "S"(0L), "D"(0L)
			 : "memory", "cc", "r8", "r9", "r10", "r11");
	if ((int)r < 0) {
		errno = -(int)r;
		return -1;
	}
	return r;
}

static noreturn void int80_missing(int signal)
{
	(void)signal;
	trial_skip("this kernel has no 32-bit entry (int 0x80 faults)");
}

static void int80_need(void)
{
	signal(SIGSEGV, int80_missing);
	if (int80(20, 0) != getpid())
		trial_skip("this kernel has no 32-bit entry (int 0x80 answers %s)",
			   strerror(errno));
	signal(SIGSEGV, SIG_DFL);
}

static int route_int80_fork(void)
{
	int80_need();
	return outcome(int80(2, 0));
}

static int route_int80_vfork(void)
{
	int80_need();
	return outcome(int80(190, 0));
}

static int route_int80_clone(void)
{
	int80_need();
	return outcome(int80(120, SIGCHLD));
}

static int route_int80_clone3(void)
{
	int80_need();
	return outcome(int80(435, 0));
}

#define X32 0x40000000L

/* A kernel without x32 answers ENOSYS, which is refused as well. */
static int x32_outcome(long pid)
{
	int error = outcome(pid);

	return error == ENOSYS ? EPERM : error;
}

static int route_x32_fork(void)
{
	return x32_outcome(syscall(X32 | SYS_fork));
}

static int route_x32_clone(void)
{
	return x32_outcome(syscall(X32 | SYS_clone, SIGCHLD, 0, 0, 0, 0));
}
#endif

static int refused(long r)
{
	return r < 0 ? errno : 0;
}

static int route_ptrace(void)
{
	return refused(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static int route_vm_readv(void)
{
	char from = 'x', to = 0;
	struct iovec local = {&to, 1}, remote = {&from, 1};

	return refused(process_vm_readv(getpid(), &local, 1, &remote, 1, 0));
}

static int route_vm_writev(void)
{
	char from = 'x', to = 0;
	struct iovec local = {&from, 1}, remote = {&to, 1};

	return refused(process_vm_writev(getpid(), &local, 1, &remote, 1, 0));
}

static int route_pidfd_getfd(void)
{
	int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	if (pidfd < 0)
		trial_fail("pidfd_open: %s", strerror(errno));
	return refused(syscall(SYS_pidfd_getfd, pidfd, 0, 0));
}

static int route_io_uring_setup(void)
{
	char params[120] = {0};

	return refused(syscall(SYS_io_uring_setup, 1, params));
}

static int route_io_uring_enter(void)
{
	return refused(syscall(SYS_io_uring_enter, -1, 0, 0, 0, NULL, 0));
}

static int route_io_uring_register(void)
{
	return refused(syscall(SYS_io_uring_register, -1, 0, NULL, 0));
}

struct route {
	const char *name;
	route_fn *fn;
	int copy, process; /* errno under each level; 0: goes on working */
};

static const struct route routes[] = {
	{"fork", route_fork, EPERM, EPERM},
	{"fork in a thread", route_fork_in_thread, EPERM, EPERM},
	{"clone(SIGCHLD)", route_raw_clone, EPERM, EPERM},
	{"clone(FILES|FS)", route_clone_files_fs, EPERM, EPERM},
	{"clone3", route_clone3, ENOSYS, ENOSYS},
	{"pthread_create", route_pthread, 0, 0},
	{"vfork", route_vfork, 0, EPERM},
	{"clone(VM|VFORK)", route_clone_vm_vfork, 0, EPERM},
	{"clone(VM)", route_clone_vm, 0, EPERM},
	{"posix_spawn", route_posix_spawn, 0, EPERM},
#ifdef __x86_64__
	{"SYS_fork", route_sys_fork, EPERM, EPERM},
	{"clone with CLONE_VM|CLONE_THREAD << 32", route_clone_high_flags, EPERM, EPERM},
	{"int 0x80 fork", route_int80_fork, EPERM, EPERM},
	{"int 0x80 clone", route_int80_clone, EPERM, EPERM},
	{"int 0x80 clone3", route_int80_clone3, ENOSYS, ENOSYS},
	{"x32 fork", route_x32_fork, EPERM, EPERM},
	{"x32 clone", route_x32_clone, EPERM, EPERM},
#endif
	{"process_vm_readv", route_vm_readv, 0, EPERM},
	{"process_vm_writev", route_vm_writev, 0, EPERM},
	{"pidfd_getfd", route_pidfd_getfd, 0, EPERM},
	{"ptrace", route_ptrace, 0, EPERM},
};

/* Those whose outcome without `process` is the machine's affair. */
static const struct route process_routes[] = {
#ifdef __x86_64__
	{"int 0x80 vfork", route_int80_vfork, 0, EPERM},
#endif
	{"io_uring_setup", route_io_uring_setup, 0, EPERM},
	{"io_uring_enter", route_io_uring_enter, 0, EPERM},
	{"io_uring_register", route_io_uring_register, 0, EPERM},
};

static void install(unsigned level)
{
	int r = nofork_install(level);

	if (r == -EINVAL || r == -ENOSYS)
		trial_skip("this kernel has no seccomp filters");
	trial_expect_errno("nofork_install", -r, 0);
}

/* The outcome in a child that has no filter of ours: a container may have one of its own. */
static int without_filter(const struct route *route)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(route->fn());
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		trial_fail("cannot try it without a filter");
	return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
}

static void try_copy(const void *arg)
{
	const struct route *route = arg;

	if (route->copy == 0 && without_filter(route) == EPERM)
		trial_skip("this machine refuses it without a filter of ours");
	install(NOFORK_COPY);
	trial_expect_errno(route->name, route->fn(), route->copy);
}

static void try_process(const void *arg)
{
	const struct route *route = arg;

	install(NOFORK_PROCESS);
	trial_expect_errno(route->name, route->fn(), route->process);
}

static void try_both(const void *arg)
{
	const struct route *route = arg;

	install(NOFORK_COPY);
	install(NOFORK_PROCESS);
	trial_expect_errno(route->name, route->fn(), route->process);
}

/* A route that fails without any filter would prove nothing above. */
static void try_off(const void *arg)
{
	const struct route *route = arg;
	int r = route->fn();

#ifdef __x86_64__
	if (r != 0 && (route->fn == route_x32_fork || route->fn == route_x32_clone))
		trial_skip("this kernel has no x32 ABI");
	/* Without a filter it reads its arguments, of which there are none. */
	if (route->fn == route_int80_clone3)
		trial_expect_errno(route->name, r, EINVAL), _exit(0);
#endif
	if (r == EPERM)
		trial_skip("this machine refuses it without a filter of ours");
	trial_expect_errno(route->name, r, 0);
}

static void spawned_shell(const void *arg)
{
	static char sh[] = "sh", c[] = "-c", script[] = "/bin/true & wait $!";
	char *argv[] = {sh, c, script, NULL};
	posix_spawn_file_actions_t actions;
	unsigned level = *(const unsigned *)arg;
	int status, r;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	if (level != NOFORK_OFF)
		install(level);
	r = posix_spawn(&pid, "/bin/sh", &actions, NULL, argv, environ);
	trial_expect_errno("posix_spawn of a shell", r, 0);
	if (waitpid(pid, &status, 0) != pid)
		trial_fail("waitpid: %s", strerror(errno));
	if (level == NOFORK_OFF && status != 0)
		trial_fail("the shell ended with wait status %#x", status);
	if (level != NOFORK_OFF && (!WIFEXITED(status) || WEXITSTATUS(status) == 0))
		trial_fail("the shell forked, or died: wait status %#x", status);
}

static noreturn void exec_works(const void *arg)
{
	install(NOFORK_PROCESS);
	execl("/bin/true", "true", NULL);
	trial_fail("execl: %s", strerror(errno));
}

static void sets_no_new_privs(const void *arg)
{
	install(NOFORK_COPY);
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		trial_fail("no_new_privs is not set");
}

static void refuses_other_levels(const void *arg)
{
	trial_expect_errno("off", -nofork_install(NOFORK_OFF), EINVAL);
	trial_expect_errno("3", -nofork_install(3), EINVAL);
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 0)
		trial_fail("a refused level set no_new_privs");
}

static void each(const char *what, const struct route *route, trial_fn *fn, int wanted)
{
	char name[128];

	snprintf(name, sizeof(name), "%s: %s %s", what, route->name,
		 wanted ? "is refused" : "works");
	trial(name, fn, route);
}

int main(void)
{
	const unsigned off = NOFORK_OFF, copy = NOFORK_COPY;

	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		each("off", &routes[i], try_off, 0);
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		each("copy", &routes[i], try_copy, routes[i].copy);
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		each("process", &routes[i], try_process, routes[i].process);
	for (size_t i = 0; i < sizeof(process_routes) / sizeof(process_routes[0]); i++)
		each("process", &process_routes[i], try_process, process_routes[i].process);
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		each("process after copy", &routes[i], try_both, routes[i].process);
	trial("off: a spawned shell forks", spawned_shell, &off);
	trial("copy: a spawned shell inherits the filter and cannot fork", spawned_shell, &copy);
	trial("process: exec works", exec_works, NULL);
	trial("a filter comes with no_new_privs", sets_no_new_privs, NULL);
	trial("a level without a filter is refused", refuses_other_levels, NULL);
	nofork_kernel_trials();
	return trials_finish();
}
