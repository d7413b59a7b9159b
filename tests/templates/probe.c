/* SPDX-License-Identifier: MIT */
/*
 * probe.so - a template that does and tells what its arguments say: `cwd umask exit 3` prints the
 * working directory and the umask and ends with 3. Results go to descriptor 1 with write(2), one
 * line each, so that a test reads them in order whatever becomes of the leaf.
 */
#include "probe.h"

#include <libspawn-template.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static const char warm_word[] = "warm";

static int do_exit(char **argv)
{
	_exit(atoi_strict(argv[0]));
}

static int do_return(char **argv)
{
	return RETURN_BASE + atoi_strict(argv[0]);
}

static int do_print_fds(char **argv)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;

	(void)argv;
	if (!dir)
		return dprintf(1, "print-fds %s\n", strerrorname_np(errno));
	while ((entry = readdir(dir))) {
		char target[4096];
		ssize_t n;

		if (entry->d_name[0] == '.' || atoi_strict(entry->d_name) == dirfd(dir))
			continue;
		n = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);
		target[n < 0 ? 0 : n] = '\0';
		dprintf(1, "%s %s\n", entry->d_name, target);
	}
	closedir(dir);
	return 0;
}

static int do_cwd(char **argv)
{
	char path[4096];

	(void)argv;
	return dprintf(1, "%s\n", getcwd(path, sizeof(path)) ? path : strerrorname_np(errno));
}

static int do_umask(char **argv)
{
	mode_t mask = umask(0);

	(void)argv;
	umask(mask);
	return dprintf(1, "%03o\n", (unsigned)mask);
}

static int do_env(char **argv)
{
	const char *value = getenv(argv[0]);

	return value ? dprintf(1, "%s=%s\n", argv[0], value) : dprintf(1, "%s unset\n", argv[0]);
}

static int do_environ(char **argv)
{
	(void)argv;
	for (char **e = environ; *e; e++)
		dprintf(1, "%s\n", *e);
	return 0;
}

static int do_rlimit(char **argv)
{
	int resource = atoi_strict(argv[0]);
	struct rlimit limit;

	if (getrlimit((__rlimit_resource_t)resource, &limit) < 0)
		return dprintf(1, "%s\n", strerrorname_np(errno));
	return dprintf(1, "%llu %llu\n", (unsigned long long)limit.rlim_cur,
		       (unsigned long long)limit.rlim_max);
}

static int do_echo(char **argv)
{
	int fd = atoi_strict(argv[0]);
	char buf[65536];
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		if (write(1, buf, (size_t)n) != n)
			return RETURN_BASE + 99;
	}
	return n < 0 ? dprintf(1, "echo %s\n", strerrorname_np(errno)) : 0;
}

static int do_write(char **argv)
{
	size_t len = strlen(argv[1]);

	return write(atoi_strict(argv[0]), argv[1], len) == (ssize_t)len ? 0 : RETURN_BASE + 98;
}

/* Through stdio and without a flush: it is for the leaf's way out to flush. */
static int do_printf(char **argv)
{
	printf("%s\n", argv[0]);
	return 0;
}

static int do_session(char **argv)
{
	(void)argv;
	return dprintf(1, "sid %d pgrp %d pid %d\n", (int)getsid(0), (int)getpgrp(), (int)getpid());
}

static int do_dumpable(char **argv)
{
	(void)argv;
	return dprintf(1, "dumpable %d\n", prctl(PR_GET_DUMPABLE));
}

static int do_no_new_privs(char **argv)
{
	(void)argv;
	return dprintf(1, "no_new_privs %d\n", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
}

/* A file it creates shows the umask's effect and the cwd at once. */
static int do_create(char **argv)
{
	int fd = open(argv[0], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

	if (fd < 0)
		return dprintf(1, "create %s\n", strerrorname_np(errno));
	return close(fd);
}

/* As ps sees it, then as err(3) does. */
static int do_title(char **argv)
{
	char line[4096];
	int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, line, sizeof(line));

	(void)argv;
	close(fd);
	while (n > 0 && line[n - 1] == '\0')
		n--;
	for (ssize_t i = 0; i < n; i++)
		if (line[i] == '\0')
			line[i] = ' ';
	dprintf(1, "title %.*s\n", n > 0 ? (int)n : 0, line);
	return dprintf(1, "says %s %s\n", program_invocation_name, program_invocation_short_name) < 0;
}

static int do_scheduling(char **argv)
{
	FILE *f = fopen("/proc/self/oom_score_adj", "re");
	int oom = 9999, cpu = 0;
	cpu_set_t cpus;

	(void)argv;
	if (f && fscanf(f, "%d", &oom) != 1)
		oom = 9999;
	if (f)
		fclose(f);
	sched_getaffinity(0, sizeof(cpus), &cpus);
	while (!CPU_ISSET(cpu, &cpus))
		cpu++;
	return dprintf(1, "nice %d oom %d slack %d cpus %d first %d\n",
		       getpriority(PRIO_PROCESS, 0), oom, prctl(PR_GET_TIMERSLACK),
		       CPU_COUNT(&cpus), cpu);
}

static int do_name(char **argv)
{
	char name[16] = "";

	(void)argv;
	prctl(PR_GET_NAME, name);
	return dprintf(1, "%s\n", name);
}

static int do_credentials(char **argv)
{
	uid_t u[3];
	gid_t g[3];
	int back;

	(void)argv;
	getresuid(&u[0], &u[1], &u[2]);
	getresgid(&g[0], &g[1], &g[2]);
	back = setuid(0);
	return dprintf(1, "%u %u %u, %u %u %u, %d groups, back %s\n", u[0], u[1], u[2], g[0], g[1],
		       g[2], getgroups(0, NULL), back < 0 ? strerrorname_np(errno) : "possible");
}

static int do_cgroup(char **argv)
{
	FILE *f = fopen("/proc/self/cgroup", "re");
	char line[256];

	(void)argv;
	while (f && fgets(line, sizeof(line), f))
		dprintf(1, "%s", line);
	return f ? fclose(f) : dprintf(1, "cgroup %s\n", strerrorname_np(errno));
}

static const struct command {
	const char *name;
	int n_args;
	int (*run)(char **argv);
} commands[] = {
	{"exit", 1, do_exit},
	{"return", 1, do_return},
	{"print-fds", 0, do_print_fds},
	{"cwd", 0, do_cwd},
	{"umask", 0, do_umask},
	{"env", 1, do_env},
	{"environ", 0, do_environ},
	{"rlimit", 1, do_rlimit},
	{"echo", 1, do_echo},
	{"write", 2, do_write},
	{"printf", 1, do_printf},
	{"session", 0, do_session},
	{"dumpable", 0, do_dumpable},
	{"no-new-privs", 0, do_no_new_privs},
	{"create", 1, do_create},
	{"cgroup", 0, do_cgroup},
	{"credentials", 0, do_credentials},
	{"name", 0, do_name},
	{"title", 0, do_title},
	{"scheduling", 0, do_scheduling},
	{"signal", 1, probe_signal},
	{"sigmask", 0, probe_sigmask},
	{"dispositions", 0, probe_dispositions},
	{"wait-term", 0, probe_wait_term},
	{"ignore-term", 0, probe_ignore_term},
	{"tell", 1, probe_tell},
	{"block", 0, probe_block},
	{"fork-libc", 0, probe_fork_libc},
	{"fork-raw", 0, probe_fork_raw},
	{"clone", 0, probe_clone},
	{"clone-vm", 0, probe_clone_vm},
	{"clone3", 0, probe_clone3},
	{"vfork", 0, probe_vfork},
	{"fork-int80", 0, probe_fork_int80},
	{"fork-x32", 0, probe_fork_x32},
	{"posix-spawn", 1, probe_posix_spawn},
	{"posix-spawn-shell", 1, probe_posix_spawn_shell},
	{"threads", 1, probe_threads},
	{"ptrace", 1, probe_ptrace},
	{"vm-read", 1, probe_vm_read},
};

/* argv as a digest as well: 1.5 MiB of it is more than a test wants to read back. */
static int print_argv(int argc, char **argv)
{
	size_t bytes = 0;
	uint32_t sum = 0;

	for (int i = 0; i < argc; i++) {
		for (const char *p = argv[i]; *p; p++, bytes++)
			sum = sum * 31 + (unsigned char)*p;
	}
	dprintf(1, "argc %d bytes %zu sum %u\n", argc, bytes, sum);
	for (int i = 0; i < argc && i < 16; i++)
		dprintf(1, "%.200s\n", argv[i]);
	return 0;
}

static int warm(void **state)
{
	*state = (void *)(uintptr_t)warm_word;
	return 0;
}

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

static int entry(void *state, int argc, char **argv)
{
	if (!state || strcmp(state, warm_word) != 0)
		return 97;
	if (argc > 1 && strcmp(argv[1], "argv") == 0)
		return print_argv(argc, argv);
	for (int i = 1; i < argc;) {
		const struct command *c = find(argv[i]);
		int r;

		if (!c || argc - i - 1 < c->n_args) {
			dprintf(1, "probe: cannot \"%s\"\n", argv[i]);
			return 96;
		}
		r = c->run(argv + i + 1);
		if (r >= RETURN_BASE)
			return r - RETURN_BASE;
		i += 1 + c->n_args;
	}
	return 0;
}

SPAWN_TEMPLATE(.warm = warm, .entry = entry);
