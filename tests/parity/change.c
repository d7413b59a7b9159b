/* SPDX-License-Identifier: MIT */
/*
 * Not tried, since a server refuses who is more confined than it is: credentials, capabilities,
 * no_new_privs, filters, namespaces, the root directory.
 */
#include "parity.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#ifndef PR_SET_MEMORY_MERGE
#define PR_SET_MEMORY_MERGE 67 /* Linux 6.4 */
#endif
#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65 /* Linux 6.3 */
#endif
#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57 /* Linux 5.6 */
#endif
#define KEYCTL_JOIN_SESSION_KEYRING 1
#define KEYCTL_GET_KEYRING_ID	    0
#define KEYRING_PROCESS		    (-2)
#define IOPRIO_WHO_PROCESS	    1
#define IOPRIO_BEST_EFFORT(level)   (2 << 13 | (level))
#define MEMORY_LOCAL		    4 /* MPOL_LOCAL */
#define REFUSE_WRITE_AND_EXECUTE    1 /* PR_MDWE_REFUSE_EXEC_GAIN */

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

static void on_signal(int sig)
{
	(void)sig;
}

static void change_signals(void (*changed)(const char *name))
{
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGRTMIN + 3);
	CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0, "mask");
	changed("blocked signals");
	CHECK(sigaction(SIGUSR2, &ignore, NULL) == 0 && sigaction(SIGRTMAX, &ignore, NULL) == 0,
	      "ignore");
	changed("ignored signals");
	CHECK(raise(SIGUSR1) == 0, "raise"); /* stays pending, and that is its own */
}

static void change_scheduling(void (*changed)(const char *name))
{
	const struct sched_param param = {0};
	int before = getpriority(PRIO_PROCESS, 0);
	cpu_set_t cpus;

	CHECK(sched_setscheduler(0, SCHED_BATCH, &param) == 0, "policy");
	changed("scheduling policy");
	CHECK(setpriority(PRIO_PROCESS, 0, before + 3) == 0, "nice");
	if (getpriority(PRIO_PROCESS, 0) != before) /* it ends at 19 */
		changed("nice value");
	CHECK(syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_BEST_EFFORT(6)) == 0, "ioprio");
	changed("I/O priority");
	CHECK(sched_getaffinity(0, sizeof(cpus), &cpus) == 0, "affinity");
	if (CPU_COUNT(&cpus) > 1) {
		for (int i = 0; CPU_COUNT(&cpus) > 1; i++)
			CPU_CLR(i, &cpus);
		CHECK(sched_setaffinity(0, sizeof(cpus), &cpus) == 0, "affinity");
		changed("processors");
	}
}

static void change_limits_and_files(void (*changed)(const char *name))
{
	const struct rlimit files = {300, 400}, size = {1 << 30, 1 << 30};
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = open(getenv("PARITY_LOCK"), O_RDWR); /* not close-on-exec */

	CHECK(fd >= 0 && fcntl(fd, F_SETLK, &lock) == 0, "%s", getenv("PARITY_LOCK"));
	changed("other descriptors");
	umask(0137);
	changed("umask");
	CHECK(chdir("/usr") == 0, "/usr");
	changed("working directory");
	CHECK(setenv("PARITY_NEW", "value", 1) == 0 && unsetenv("HOME") == 0, "environment");
	changed("environment");
	CHECK(setrlimit(RLIMIT_NOFILE, &files) == 0 && setrlimit(RLIMIT_FSIZE, &size) == 0,
	      "limits");
	changed("resource limits");
}

/* A session with a terminal of its own. */
static void change_session(void (*changed)(const char *name))
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave;

	CHECK(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0, "terminal");
	CHECK(setsid() == getpid(), "setsid");
	changed("session");
	slave = open(ptsname(master), O_RDWR | O_CLOEXEC);
	CHECK(slave >= 0 && tcgetpgrp(slave) == getpgrp(), "%s", ptsname(master));
	changed("controlling terminal");
	changed("foreground group");
	if (write_file("/proc/self/autogroup", "3"))
		changed("autogroup");
}

static void change_settings(void (*changed)(const char *name))
{
	CHECK(prctl(PR_SET_TIMERSLACK, 123456UL) == 0, "slack");
	changed("timer slack");
	CHECK(personality(ADDR_NO_RANDOMIZE) >= 0, "personality");
	changed("personality");
	if (syscall(SYS_set_mempolicy, MEMORY_LOCAL, NULL, 0) == 0)
		changed("memory policy");
	if (prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0)
		changed("transparent huge pages off");
	if (prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0) == 0)
		changed("machine check policy");
	if (prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) == 0)
		changed("I/O flusher");
	if (prctl(PR_SET_MEMORY_MERGE, 1, 0, 0, 0) == 0)
		changed("memory merging");
	if (prctl(PR_SET_MDWE, REFUSE_WRITE_AND_EXECUTE, 0, 0, 0) == 0)
		changed("write or execute");
	if (prctl(PR_SET_SPECULATION_CTRL, PR_SPEC_STORE_BYPASS, PR_SPEC_DISABLE, 0, 0) == 0)
		changed("speculation control");
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) >= 0)
		changed("session keyring");
}

/* What a child of fork and exec has not, nor may any other. */
static void change_what_is_its_own(void)
{
	static uint8_t stack[65536];
	const struct itimerval timer = {.it_value = {.tv_sec = 100}};
	const struct sigaction handle = {.sa_handler = on_signal};
	const stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};
	struct sigevent event = {.sigev_notify = SIGEV_NONE};
	timer_t timer_id;

	syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEYRING_PROCESS, 1);
	CHECK(sigaction(SIGHUP, &handle, NULL) == 0 && sigaltstack(&alternate, NULL) == 0,
	      "signals");
	CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0 && prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 &&
		      prctl(PR_SET_NAME, "changed") == 0 && prctl(PR_SET_KEEPCAPS, 1) == 0,
	      "process");
	CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0 &&
		      timer_create(CLOCK_MONOTONIC, &event, &timer_id) == 0,
	      "timers");
	CHECK(mlock(stack, 4096) == 0, "mlock");
}

void change_identity(void (*changed)(const char *name))
{
	change_session(changed);
	change_scheduling(changed);
	change_settings(changed);
	change_what_is_its_own();
}

void change_rest(void (*changed)(const char *name))
{
	change_signals(changed);
	change_limits_and_files(changed);
	CHECK(write_file("/proc/self/oom_score_adj", "321"), "oom_score_adj");
	changed("oom_score_adj");
	if (write_file("/proc/self/coredump_filter", "0x7"))
		changed("core dump filter");
}
