/* SPDX-License-Identifier: MIT */
#include "confine.h"

#include "base/error.h"
#include "base/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CONFINE_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
	__has_feature(undefined_behavior_sanitizer)
#define CONFINE_SANITIZED 1
#endif
#endif

/* A system call that is allowed; several rules for one call are alternatives. */
struct rule {
	const char *syscall;
	unsigned n; /* conditions, all of which must hold */
	struct scmp_arg_cmp arg[2];
};

#define WITHOUT(index, bit)  .n = 1, .arg = {{index, SCMP_CMP_MASKED_EQ, bit, 0}}
#define EXACTLY(index, what) .n = 1, .arg = {{index, SCMP_CMP_EQ, what, 0}}
#define OPTION(option)	     .n = 2, .arg = {{1, SCMP_CMP_EQ, SOL_SOCKET, 0}, {2, SCMP_CMP_EQ, option, 0}}

/*
 * Names with 64 or time64, and mmap2, are what 32-bit architectures call the same. Not here, on
 * purpose: whatever makes a descriptor out of nothing (open, socket, accept, memfd_create), a
 * process or thread (clone, fork, execve), or touches another process (kill, ptrace, pidfd_*);
 * io_uring, which would do all of it unseen; prctl.
 */
static const struct rule allowed[] = {
	/* messages */
	{"read"},
	{"write"},
	{"readv"},
	{"writev"},
	{"pread64"},
	{"recvmsg"},
	{"recvfrom"},
	{"sendmsg"},
	{"sendto", EXACTLY(4, 0)}, /* to the connected peer; sendmsg's address cannot be seen */
	{"shutdown"},
	{"close"},
	/* waiting */
	{"epoll_wait"},
	{"epoll_pwait"},
	{"epoll_pwait2"},
	{"epoll_ctl"},
	{"poll"},
	{"ppoll"},
	{"ppoll_time64"},
	{"futex"},
	{"futex_time64"},
	{"restart_syscall"},
	{"sched_yield"},
	/* time, where the vDSO cannot tell it */
	{"clock_gettime"},
	{"clock_gettime64"},
	{"clock_getres"},
	{"clock_getres_time64"},
	{"gettimeofday"},
	{"time"},
	/* memory, never executable; malloc sizes its arenas by the affinity mask */
	{"mmap", WITHOUT(2, PROT_EXEC)},
	{"mmap2", WITHOUT(2, PROT_EXEC)},
	{"mprotect", WITHOUT(2, PROT_EXEC)},
	{"munmap"},
	{"mremap"},
	{"madvise"},
	{"brk"},
	{"sched_getaffinity"},
	{"getrandom"},
	/* what a descriptor is: seals and size of a table, a libuv handle set non-blocking */
	{"fcntl", EXACTLY(1, F_GETFL)},
	{"fcntl", EXACTLY(1, F_SETFL)},
	{"fcntl", EXACTLY(1, F_GETFD)},
	{"fcntl", EXACTLY(1, F_SETFD)},
	{"fcntl", EXACTLY(1, F_GET_SEALS)},
	{"fcntl", EXACTLY(1, F_DUPFD_CLOEXEC)},
	{"fcntl64", EXACTLY(1, F_GETFL)},
	{"fcntl64", EXACTLY(1, F_SETFL)},
	{"fcntl64", EXACTLY(1, F_GETFD)},
	{"fcntl64", EXACTLY(1, F_SETFD)},
	{"fcntl64", EXACTLY(1, F_GET_SEALS)},
	{"fcntl64", EXACTLY(1, F_DUPFD_CLOEXEC)},
	{"ioctl", EXACTLY(1, FIONBIO)},
	{"fstat"},
	{"fstat64"},
	/* glibc's fstat(). A path can still be asked about: it tells metadata, no contents. */
	{"newfstatat", EXACTLY(3, AT_EMPTY_PATH)},
	{"fstatat64", EXACTLY(3, AT_EMPTY_PATH)},
	{"getsockopt"},
	{"setsockopt", OPTION(SO_PASSCRED)},
	{"setsockopt", OPTION(SO_SNDBUF)},
	{"setsockopt", OPTION(SO_RCVBUF)},
	/* signals and the end */
	{"rt_sigaction"},
	{"rt_sigprocmask"},
	{"rt_sigreturn"},
	{"sigreturn"},
	{"sigaltstack"},
	{"getpid"},
	{"pidfd_open"}, /* a handle to look through: pidfd_send_signal is not here */
	{"gettid"},
	{"set_robust_list"},
	{"rseq"},
	{"exit"},
	{"exit_group"},
#ifdef CONFINE_SANITIZED
	/* The sanitizers' reports: they read maps and symbols, and ask about their stack. */
	{"openat"},
	{"readlink"},
	{"readlinkat"},
	{"lseek"},
	{"stat"},
	{"newfstatat"},
	{"statx"},
	{"access"},
	{"faccessat"},
	{"getcwd"},
	{"prlimit64"},
	{"prctl"},
	{"getuid"},
	{"geteuid"},
#endif
};

#ifdef CONFINE_SANITIZED
const char *__asan_default_options(void);
/* The leak check stops the process with clone and ptrace, and fails its exit where it cannot. */
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}
#endif

static int failed(struct spawn_error *err, int code, const char *what)
{
	return error_errno(err, code, SPAWN_ORIGIN_NONE, STEP_SANDBOX,
			   "the broker cannot confine itself: %s", what);
}

static int capget_raw(struct __user_cap_data_struct data[2])
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

	return syscall(SYS_capget, &header, data) < 0 ? -errno : 0;
}

static int drop_capabilities(struct spawn_error *err)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}};
	int r = capget_raw(data);

	if (r < 0)
		return failed(err, r, "capget");
	/* While CAP_SETPCAP is still there; without it the set can only stay as it is. */
	if (data[0].effective & (1u << CAP_SETPCAP))
		for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
			if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
				return failed(err, -errno, "drop the capability bounding set");
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return failed(err, -errno, "clear the ambient capabilities");
	memset(data, 0, sizeof(data));
	if (syscall(SYS_capset, &header, data) < 0)
		return failed(err, -errno, "capset");
	memset(data, 0xff, sizeof(data));
	r = capget_raw(data);
	if (r < 0)
		return failed(err, r, "capget");
	for (size_t i = 0; i < 2; i++)
		if (data[i].effective | data[i].permitted | data[i].inheritable)
			return failed(err, -EPERM, "capabilities were dropped and are still there");
	return 0;
}

int confine_privileges(struct spawn_error *err)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return failed(err, -errno, "no_new_privs");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return failed(err, -errno, "become non-dumpable");
	return drop_capabilities(err);
}

/* -EBUSY if the thread has a capability; 0 also when it has gone meanwhile. */
static int check_thread(int tasks, const char *tid)
{
	char path[64], status[8192];
	_cleanup_close_ int fd = -1;
	const char *field;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/status", tid);
	fd = openat(tasks, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	n = read(fd, status, sizeof(status) - 1);
	if (n < 0)
		return errno == ESRCH ? 0 : -errno;
	status[n] = '\0';
	field = strstr(status, "\nCapPrm:\t");
	if (!field)
		return -EBADMSG;
	return strtoull(field + strlen("\nCapPrm:\t"), NULL, 16) == 0 ? 0 : -EBUSY;
}

static int check_threads(struct spawn_error *err)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	int r = 0;

	if (!dir)
		return failed(err, -errno, "list its threads in /proc/self/task");
	while (r == 0 && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		r = check_thread(dirfd(dir), entry->d_name);
		if (r < 0)
			failed(err, r,
			       r == -EBUSY ? "a thread older than confine_privileges() has "
					     "capabilities"
					   : "read the status of its threads");
	}
	closedir(dir);
	return r;
}

static int add_rule(scmp_filter_ctx filter, const struct rule *rule)
{
	int number = seccomp_syscall_resolve_name(rule->syscall);
	int r;

	/* Newer than this libseccomp: it stays refused. */
	if (number == __NR_SCMP_ERROR)
		return 0;
	r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, number, rule->n, rule->arg);
	return r == -EDOM ? 0 : r; /* this architecture has no such call */
}

static int fill_filter(scmp_filter_ctx filter)
{
	/* abort() signals itself; another process's number is refused. */
	const struct rule abort_rule = {"tgkill", EXACTLY(0, (scmp_datum_t)getpid())};
	int r;

	/* Everything else speaks the native ABI here: another one is an intruder's. */
	r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (r == 0)
		r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	/* The kernel's own errno from seccomp_load(), not ECANCELED for all. */
	if (r == 0)
		r = seccomp_attr_set(filter, SCMP_FLTATR_API_SYSRAWRC, 1);
	if (r == 0)
		r = add_rule(filter, &abort_rule);
	for (size_t i = 0; r == 0 && i < sizeof(allowed) / sizeof(allowed[0]); i++)
		r = add_rule(filter, &allowed[i]);
	return r;
}

int confine_broker(struct spawn_error *err)
{
	scmp_filter_ctx filter;
	int r;

	r = confine_privileges(err);
	if (r < 0)
		return r;
	r = check_threads(err);
	if (r < 0)
		return r;
	/* Refusals, not death: a system call that the next libc uses for an old purpose then fails
	 * one operation, and the broker does not crash, restart and crash at every client. */
	filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!filter)
		return failed(err, -ENOMEM, "make a seccomp filter");
	r = fill_filter(filter);
	if (r == 0)
		r = seccomp_load(filter);
	seccomp_release(filter);
	return r < 0 ? failed(err, r, "load the seccomp filter") : 0;
}
