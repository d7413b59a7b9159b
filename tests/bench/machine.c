/* SPDX-License-Identifier: MIT */
/* What was measured where: figures without it say nothing. */
#include "bench.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <libspawn.h>
#include <link.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

/* The libraries that the loader brings into the program, by name, as ldd shows them. */
static void libraries_of(const char *program, char *ret, size_t size)
{
	char *argv[] = {(char *)program, NULL},
	     *env[] = {(char *)"LD_TRACE_LOADED_OBJECTS=1", NULL};
	posix_spawn_file_actions_t actions;
	char line[1024];
	int fds[2];
	pid_t pid;
	FILE *f;

	*ret = '\0';
	if (pipe2(fds, O_CLOEXEC) < 0)
		err(1, "pipe2");
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
	if (posix_spawn(&pid, program, &actions, NULL, argv, env) != 0)
		errx(1, "%s does not start", program);
	posix_spawn_file_actions_destroy(&actions);
	close(fds[1]);
	f = fdopen(fds[0], "r");
	while (f && fgets(line, sizeof(line), f)) {
		char *name = line + strspn(line, " \t"), *end = name + strcspn(name, " \n");
		size_t len = strlen(ret);

		*end = '\0';
		snprintf(ret + len, size - len, "%s%s", len ? " " : "",
			 strrchr(name, '/') ? strrchr(name, '/') + 1 : name);
	}
	if (f)
		fclose(f);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* It names a loader. */
static bool is_dynamic(const char *program)
{
	FILE *f = fopen(program, "re");
	bool dynamic = false;
	ElfW(Ehdr) head;
	ElfW(Phdr) part;

	if (!f || fread(&head, sizeof(head), 1, f) != 1 ||
	    fseek(f, (long)head.e_phoff, SEEK_SET) < 0)
		err(1, "%s", program);
	for (int i = 0; i < head.e_phnum && fread(&part, sizeof(part), 1, f) == 1; i++)
		dynamic |= part.p_type == PT_INTERP;
	fclose(f);
	return dynamic;
}

static void describe_program(const struct bench *b, const char *name, const char *path)
{
	const char *base = strrchr(path, '/');
	char libraries[512] = "static";

	if (is_dynamic(path))
		libraries_of(path, libraries, sizeof(libraries));
	report_fact(b->report, name, "%s: %s", base ? base + 1 : path, libraries);
}

/* A program that lies where spawnd does. */
static void describe_beside(const struct bench *b, const char *name, const char *program)
{
	char path[4096];

	snprintf(path, sizeof(path), "%.*s/%s", (int)(strrchr(b->spawnd, '/') - b->spawnd),
		 b->spawnd, program);
	describe_program(b, name, path);
}

static void read_line(const char *path, char *ret, size_t size)
{
	FILE *f = fopen(path, "re");

	snprintf(ret, size, "not to be seen here");
	if (f && fgets(ret, (int)size, f))
		ret[strcspn(ret, "\n")] = '\0';
	if (f)
		fclose(f);
}

static void describe_cpu(const struct bench *b)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	char line[4096], model[256] = "unknown";
	bool virtual = false;

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "model name : %255[^\n]", model) != 1 &&
		    strncmp(line, "flags", 5) == 0)
			virtual = strstr(line, " hypervisor");
	}
	if (f)
		fclose(f);
	report_fact(b->report, "cpu", "%ld × %s%s", sysconf(_SC_NPROCESSORS_ONLN), model,
		    virtual ? " (a virtual machine)" : "");
}

void machine_describe(const struct bench *b)
{
	char text[256];
	struct utsname u;

	uname(&u);
	puts("spawnd's bench");
	report_fact(b->report, "kernel", "%s %s %s", u.sysname, u.release, u.machine);
	describe_cpu(b);
	report_fact(b->report, "memory", "%ld MiB",
		    sysconf(_SC_PHYS_PAGES) / 256 * (sysconf(_SC_PAGESIZE) / 4096));
	read_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", text, sizeof(text));
	report_fact(b->report, "governor", "%s", text);
	read_line("/sys/kernel/mm/transparent_hugepage/enabled", text, sizeof(text));
	report_fact(b->report, "huge pages", "%s (the touched memory has none)", text);
	report_fact(b->report, "libc", "glibc %s", gnu_get_libc_version());
	report_fact(b->report, "libspawn", "%s", spawn_version());
	report_fact(b->report, "pause",
		    "%u ms of quiet in front of each single start, %u behind one from a pool",
		    b->pause_ms, pause_behind(b, true));
	report_fact(b->report, "pinned", "nothing, but for the stalls of a second thread");
	for (int w = 0; w < WORKS; w++)
		describe_program(b, work_name((enum work)w), work_cold(b, (enum work)w));
	describe_beside(b, "leaves", "spawn-host");
	describe_beside(b, "exec", "spawn-host-exec");
	describe_beside(b, "own exec", "spawn-private");
}
