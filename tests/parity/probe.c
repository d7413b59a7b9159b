/* SPDX-License-Identifier: MIT */
/*
 * A program that tells what it has, one attribute a line: its name as in docs/inheritance.md, a
 * tab, the value; "-" where this kernel has no such thing. It is told by the environment who counts
 * as the caller (PARITY_CALLER) and which file that one has locked (PARITY_LOCK).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#ifndef PR_GET_MDWE
#define PR_GET_MDWE 66 /* Linux 6.3 */
#endif
#ifndef PR_GET_MEMORY_MERGE
#define PR_GET_MEMORY_MERGE 68 /* Linux 6.4 */
#endif
#ifndef PR_GET_IO_FLUSHER
#define PR_GET_IO_FLUSHER 58 /* Linux 5.6 */
#endif
#define IOPRIO_WHO_PROCESS	1
#define KEYCTL_GET_KEYRING_ID	0
#define KEYRING_PROCESS		(-2)
#define KEYRING_SESSION		(-3)
#define FILE_DESCRIPTORS_LOOKED 1024

/* Where it may run as another user than the one that its tracer would have to be. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

static void tell_number(const char *name, long long value)
{
	printf("%s\t%lld\n", name, value);
}

/* Of what a system call returns: -1 is "there is none". */
static void tell_result(const char *name, long value)
{
	if (value < 0)
		printf("%s\t-\n", name);
	else
		tell_number(name, value);
}

static void tell_link(const char *name, const char *path)
{
	char target[4096];
	ssize_t n = readlink(path, target, sizeof(target));

	printf("%s\t%.*s\n", name, n < 0 ? 1 : (int)n, n < 0 ? "-" : target);
}

/* The first line of a file. */
static void tell_file(const char *name, const char *path)
{
	char line[4096] = "";
	FILE *f = fopen(path, "re");

	if (f && !fgets(line, sizeof(line), f))
		line[0] = '\0';
	if (f)
		fclose(f);
	line[strcspn(line, "\n")] = '\0';
	printf("%s\t%s\n", name, line[0] ? line : "-");
}

static void tell_status(void)
{
	static const struct {
		const char *key, *name;
	} lines[] = {
		{"Umask:", "umask"},
		{"TracerPid:", "tracer"},
		{"Uid:", "user ids"},
		{"Gid:", "group ids"},
		{"Groups:", "supplementary groups"},
		{"VmLck:", "locked memory"},
		{"Threads:", "threads"},
		{"SigPnd:", "pending signals of the thread"},
		{"ShdPnd:", "pending signals of the process"},
		{"SigBlk:", "blocked signals"},
		{"SigIgn:", "ignored signals"},
		{"SigCgt:", "caught signals"},
		{"CapInh:", "inheritable capabilities"},
		{"CapPrm:", "permitted capabilities"},
		{"CapEff:", "effective capabilities"},
		{"CapBnd:", "bounding set"},
		{"CapAmb:", "ambient capabilities"},
		{"NoNewPrivs:", "no_new_privs"},
		{"Seccomp:", "seccomp mode"},
		{"Seccomp_filters:", "seccomp filters"},
		{"Cpus_allowed:", "processors"},
		{"Mems_allowed:", "memory nodes"},
	};
	FILE *f = fopen("/proc/self/status", "re");
	char line[4096];

	if (!f)
		exit(125);
	while (fgets(line, sizeof(line), f)) {
		for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
			size_t len = strlen(lines[i].key);

			if (strncmp(line, lines[i].key, len) != 0)
				continue;
			line[strcspn(line, "\n")] = '\0';
			for (char *c = line; (c = strchr(c, '\t'));)
				*c = ' ';
			printf("%s\t%s\n", lines[i].name, line + len + strspn(line + len, " "));
		}
	}
	fclose(f);
}

static void tell_limits(void)
{
	printf("resource limits\t");
	for (int i = 0; i < RLIM_NLIMITS; i++) {
		struct rlimit limit;

		getrlimit((__rlimit_resource_t)i, &limit);
		printf("%lld/%lld ", (long long)limit.rlim_cur, (long long)limit.rlim_max);
	}
	printf("\n");
}

static void tell_descriptors(void)
{
	tell_link("standard input", "/proc/self/fd/0");
	tell_link("standard error", "/proc/self/fd/2");
	printf("other descriptors\t");
	for (int fd = 3; fd < FILE_DESCRIPTORS_LOOKED; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			printf("%d ", fd);
	printf("\n");
}

static void tell_locks(void)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	const char *path = getenv("PARITY_LOCK");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;

	if (fd < 0 || fcntl(fd, F_GETLK, &lock) < 0)
		printf("record locks\t-\n");
	else
		printf("record locks\t%s\n", lock.l_type == F_UNLCK ? "its own" : "another's");
	if (fd >= 0)
		close(fd);
}

static void tell_family(void)
{
	const char *caller = getenv("PARITY_CALLER");
	char line[4096], *fields = NULL, state;
	int parent = 0, group = 0, session = 0, terminal = 0, foreground = 0, signal = 0;
	FILE *f = fopen("/proc/self/stat", "re");

	if (f && fgets(line, sizeof(line), f))
		fields = strrchr(line, ')');
	if (f)
		fclose(f);
	/* What stands 34 fields behind is the signal that its parent gets at its end. */
	if (!fields ||
	    sscanf(fields + 1,
		   " %c %d %d %d %d %d %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
		   "%*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
		   "%*s %d",
		   &state, &parent, &group, &session, &terminal, &foreground, &signal) != 7)
		exit(125);
	tell_number("process id", getpid());
	printf("parent\t%s\n",
	       caller && strtol(caller, NULL, 10) == parent ? "the caller" : "another");
	tell_number("signal to the parent", signal);
	printf("process group\t%s\n", group == getpid() ? "led by it" : "another's");
	tell_number("session", session);
	tell_number("controlling terminal", terminal);
	tell_number("foreground group", foreground);
}

static void tell_scheduling(void)
{
	struct sched_param param = {0};
	int mode = -1;

	tell_number("nice value", getpriority(PRIO_PROCESS, 0));
	tell_number("scheduling policy", sched_getscheduler(0));
	sched_getparam(0, &param);
	tell_number("static priority", param.sched_priority);
	tell_result("I/O priority", syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0));
	tell_file("autogroup", "/proc/self/autogroup");
	tell_result("timer slack", prctl(PR_GET_TIMERSLACK));
	if (syscall(SYS_get_mempolicy, &mode, NULL, 0, NULL, 0) < 0)
		mode = -1;
	tell_result("memory policy", mode);
	tell_file("oom_score_adj", "/proc/self/oom_score_adj");
}

/* prctl(2) and what is like it. */
static void tell_process(void)
{
	struct itimerval timer = {0};
	stack_t stack = {0};
	struct rusage usage;
	char name[17] = "";
	int death = 0, reaper = 0;

	prctl(PR_GET_NAME, name);
	prctl(PR_GET_PDEATHSIG, &death);
	prctl(PR_GET_CHILD_SUBREAPER, &reaper);
	getitimer(ITIMER_REAL, &timer);
	sigaltstack(NULL, &stack);
	getrusage(RUSAGE_CHILDREN, &usage);
	printf("name\t%s\n", name);
	tell_number("death signal", death);
	tell_number("subreaper", reaper);
	tell_number("alarm and interval timers", timer.it_value.tv_sec);
	tell_file("POSIX timers", "/proc/self/timers");
	tell_number("alternate signal stack", !(stack.ss_flags & SS_DISABLE));
	tell_number("usage of children", usage.ru_maxrss);
	tell_number("secure execution", (long long)getauxval(AT_SECURE));
	tell_result("dumpable", prctl(PR_GET_DUMPABLE));
	tell_result("keep capabilities", prctl(PR_GET_KEEPCAPS));
	tell_result("securebits", prctl(PR_GET_SECUREBITS));
	tell_result("transparent huge pages off", prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
	tell_result("machine check policy", prctl(PR_MCE_KILL_GET, 0, 0, 0, 0));
	tell_result("I/O flusher", prctl(PR_GET_IO_FLUSHER, 0, 0, 0, 0));
	tell_result("memory merging", prctl(PR_GET_MEMORY_MERGE, 0, 0, 0, 0));
	tell_result("write or execute", prctl(PR_GET_MDWE, 0, 0, 0, 0));
	tell_result("speculation control",
		    prctl(PR_GET_SPECULATION_CTRL, PR_SPEC_STORE_BYPASS, 0, 0, 0));
	tell_file("core dump filter", "/proc/self/coredump_filter");
	tell_number("personality", personality(0xffffffff));
}

static void tell_surroundings(void)
{
	static const char *const namespaces[] = {"user", "mnt", "net",	  "pid",
						 "ipc",	 "uts", "cgroup", "time"};
	char cwd[4096], path[64], name[64];
	struct stat root;

	printf("working directory\t%s\n", getcwd(cwd, sizeof(cwd)) ? cwd : "-");
	if (stat("/", &root) < 0)
		exit(125);
	printf("root directory\t%llu:%llu\n", (unsigned long long)root.st_dev,
	       (unsigned long long)root.st_ino);
	for (size_t i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++) {
		snprintf(path, sizeof(path), "/proc/self/ns/%s", namespaces[i]);
		snprintf(name, sizeof(name), "%s namespace", namespaces[i]);
		tell_link(name, path);
	}
	tell_link("executable", "/proc/self/exe");
	tell_file("control group", "/proc/self/cgroup");
	tell_file("security label", "/proc/self/attr/current");
	tell_file("login uid", "/proc/self/loginuid");
	tell_file("audit session", "/proc/self/sessionid");
	tell_result("session keyring",
		    syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEYRING_SESSION, 0));
	tell_result("process keyring",
		    syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEYRING_PROCESS, 0));
}

int main(int argc, char **argv, char **env)
{
	tell_descriptors();
	tell_family();
	tell_status();
	tell_limits();
	tell_locks();
	tell_scheduling();
	tell_process();
	tell_surroundings();
	printf("arguments\t");
	for (int i = 0; i < argc; i++)
		printf("%s ", argv[i]);
	printf("\nenvironment\t");
	for (; *env; env++)
		printf("%s ", *env);
	printf("\n");
	return fflush(stdout) == 0 ? 0 : 1;
}
