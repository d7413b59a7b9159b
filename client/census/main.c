/* SPDX-License-Identifier: MIT */
/* main.c - the command `spawn-census`: how many processes never fork? */
#include "build-config.h"
#include "count.h"
#include "init.h"
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
	"Usage: spawn-census [--for TIME] [--below PID] [OPTION...]\n"
	"       spawn-census [OPTION...] [--] COMMAND [ARG...]\n"
	"\n"
	"Counts processes that never fork, from the kernel's own events: until Ctrl-C,\n"
	"or as long as the command runs, whose processes alone are counted then. Needs\n"
	"root to tell fork from vfork, and a kernel with CONFIG_PROC_EVENTS.\n"
	"\n"
	"      --for TIME     for so long: 60, 1.5m, 500ms\n"
	"      --below PID    only this process and what descends from it\n"
	"      --all          with a command: count all processes while it runs\n"
	"  -o, --output FILE  the report goes there; else to standard output, with a\n"
	"                     command to standard error\n"
	"      --json         the report as JSON, with all programs\n"
	"      --help, --version\n"
	"\n"
	"LEAVES made no copy of their memory (fork); vfork and posix_spawn make none. Of\n"
	"the UNTOLD it is not known. CHILDLESS made no process in any way.\n"
	"\n"
	"Exit status: the command's, or 0; 127: no such command; 126: it cannot be\n"
	"executed; 125: spawn-census itself failed, and said why.\n";

static int report_to(const struct count *c, const struct options *o, FILE *f)
{
	int r = 0;

	if (o->json)
		report_print_json(c, o, f);
	else
		r = report_print(c, o, f);
	errno = 0;
	if (r == 0 && (fflush(f) != 0 || ferror(f)))
		r = errno ? -errno : -EIO;
	return r;
}

static int complain_of_output(int code, const char *name)
{
	fprintf(stderr, "spawn-census: cannot write the report%s%s: %s\n", name ? " to " : "",
		name ? name : "", strerror(-code));
	return EXIT_CENSUS_FAILED;
}

static int report(const struct count *c, const struct options *o)
{
	FILE *f = o->output ? fopen(o->output, "we") : o->command ? stderr : stdout;
	int r;

	/* Not known before, as a file system may come with the boot that is counted. */
	if (!f) {
		r = complain_of_output(-errno, o->output);
		report_to(c, o, stderr);
		return r;
	}
	r = report_to(c, o, f);
	if (o->output && fclose(f) != 0 && r == 0)
		r = -errno;
	return r < 0 ? complain_of_output(r, o->output) : 0;
}

/* A report that nobody reads is an error, not a death. The command has this as it found it. */
static void ignore_pipe(void)
{
	const struct sigaction ignore = {.sa_handler = SIG_IGN};

	sigaction(SIGPIPE, &ignore, NULL);
}

static int run_with_command(struct count *c, const struct options *o)
{
	int status = EXIT_CENSUS_FAILED, r = command_start(&c->command, o->command, &c->mask);

	if (r < 0)
		return command_failure(r);
	ignore_pipe();
	r = count_run(c, o);
	if (r >= 0)
		status = report(c, o);
	command_wait(&c->command);
	return status ? status : command_end_as(&c->command);
}

/* ready: closed once the counting began; -1: nobody waits for it. */
static int run(const struct options *o, int ready)
{
	struct count c;
	int status = EXIT_CENSUS_FAILED, r = count_begin(&c, o);

	if (ready >= 0)
		close(ready);
	if (r >= 0 && o->command) {
		status = run_with_command(&c, o);
	} else if (r >= 0) {
		if (!o->for_ms && ready < 0 && isatty(STDERR_FILENO))
			fputs("spawn-census: counting; Ctrl-C ends it\n", stderr);
		ignore_pipe();
		r = count_run(&c, o);
		status = r < 0 ? EXIT_CENSUS_FAILED : report(&c, o);
	}
	count_done(&c);
	return status;
}

static int run_as_init(struct options *o)
{
	int ready = init_leave(o->command);

	if (ready < 0)
		return command_failure(ready);
	o->command = NULL;
	return run(o, ready);
}

int main(int argc, char **argv)
{
	struct options o;

	if (options_parse(&o, argc, argv) < 0)
		return EXIT_CENSUS_FAILED;
	if (o.action == ACTION_COUNT)
		return o.command && getpid() == 1 ? run_as_init(&o) : run(&o, -1);
	ignore_pipe();
	if (o.action == ACTION_HELP)
		fputs(help, stdout);
	else
		puts("spawn-census " SPAWND_VERSION);
	errno = 0;
	if (fflush(stdout) == 0)
		return 0;
	fprintf(stderr, "spawn-census: cannot write to standard output: %s\n",
		strerror(errno ? errno : EIO));
	return EXIT_CENSUS_FAILED;
}
