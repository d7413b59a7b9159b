/* SPDX-License-Identifier: MIT */
/* main.c - the command `spawn`: libspawn for people and scripts. */
#include "census.h"
#include "launch.h"
#include "libspawn.h"
#include "options.h"
#include "status.h"
#include "trial.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char help[] =
	"Usage: spawn [OPTION...] -- PROGRAM [ARG...]         run a program, wait for it\n"
	"       spawn -t TEMPLATE [OPTION...] [--] [ARG...]   or a warm template's leaf\n"
	"       spawn [-s PATH] status [--json] | ping        the server's state; is it there?\n"
	"       spawn template try PROGRAM [ARG...]           held warm, is it faster?\n"
	"       spawn census [ARG...]                         who never forks? spawn-census(1)\n"
	"\n"
	"  -t, --template NAME        what to start; else \"exec\", which runs programs\n"
	"  -C, --chdir DIR            in this working directory\n"
	"  -E, --setenv NAME=VALUE    with this in its environment (repeatable)\n"
	"  -u NAME, -i                without this variable; with what -E says alone\n"
	"      --session, --no-new-privs, --nice N, --cpus LIST, --oom-score-adj N,\n"
	"      --timer-slack NS, --limit NAME=SOFT[:HARD], --user NAME|UID:GID[,GID...],\n"
	"      --capabilities HEX, --cgroup DIR         of the process: see spawn(1)\n"
	"      --stdin, --stdout, --stderr FILE      or null; and stdout as stderr's\n"
	"      --argv0 NAME, --umask OCTAL, --block-signal, --default-signal,\n"
	"      --ignore-signal LIST (as TERM,INT)    else its name, this command's\n"
	"      --nofork[=LEVEL]       promise off, copy (if bare) or process\n"
	"      --timeout SECONDS      SIGTERM after so long, SIGKILL --grace SECONDS on\n"
	"      --pty, --pipe, --detach, --timing, --json     a terminal of its own; programs\n"
	"                             joined by '|'; print its pid and go; tell times\n"
	"  -s, --socket PATH, --help, --version  else $SPAWND_SOCKET, the user's, system's\n"
	"\n"
	"Exit status: the leaf's; dead by signal N, this command dies of N too (128+N in\n"
	"a shell); 127: no such program; 126: it cannot be executed; 125: spawn itself\n"
	"failed, and said why.\n";

/* A closed 0, 1 or 2 would become a socket of the library's and go to the leaf as its stdio. Open
 * them so that use fails as it would on a closed one. */
static int hold_stdio(void)
{
	for (int fd = 0; fd <= 2; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		if (open("/dev/null", (fd == 0 ? O_WRONLY : O_RDONLY) | O_CLOEXEC) != fd)
			return -EBADF;
	}
	return 0;
}

static int run_ping(struct spawn_client *client, struct spawn_error *err)
{
	struct timespec from, to;
	int r;

	clock_gettime(CLOCK_MONOTONIC, &from);
	r = spawn_client_ping(client, err);
	clock_gettime(CLOCK_MONOTONIC, &to);
	if (r >= 0)
		printf("the server answers, in %.0f µs\n",
		       (double)(to.tv_sec - from.tv_sec) * 1e6 +
			       (double)(to.tv_nsec - from.tv_nsec) / 1e3);
	return r;
}

static int run_question(const struct options *o)
{
	struct spawn_client *client = NULL;
	struct spawn_error err = {0};
	int r = spawn_client_open(&client, o->socket, &err);

	if (r >= 0) {
		if (o->command == COMMAND_PING)
			r = run_ping(client, &err);
		else if (o->json)
			r = status_print_json(client, &err);
		else
			r = status_print(client, &err);
	}
	spawn_client_close(client);
	if (r < 0)
		fprintf(stderr, "spawn: %s\n", err.message);
	return r < 0 ? EXIT_SPAWN_FAILED : 0;
}

static int run(const struct options *o)
{
	switch (o->command) {
	case COMMAND_SPAWN:
		return launch(o);
	case COMMAND_STATUS:
	case COMMAND_PING:
		return run_question(o);
	case COMMAND_CENSUS:
		return census(o->args);
	case COMMAND_TEMPLATE:
		return trial(o->args + 1);
	case COMMAND_HELP:
		fputs(help, stdout);
		return 0;
	case COMMAND_VERSION:
	default:
		printf("spawn %s\n", spawn_version());
		return 0;
	}
}

int main(int argc, char **argv)
{
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	struct options o;
	int status = EXIT_SPAWN_FAILED;

	if (hold_stdio() < 0)
		return EXIT_SPAWN_FAILED;
	if (options_parse(&o, argc, argv) == 0) {
		/* EPIPE with a message rather than death; a launch does so once it is started, and
		 * what is executed inherits it. */
		if (o.command != COMMAND_SPAWN && o.command != COMMAND_CENSUS &&
		    o.command != COMMAND_TEMPLATE)
			sigaction(SIGPIPE, &ignore, NULL);
		status = run(&o);
	}
	options_done(&o);
	errno = 0;
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "spawn: cannot write to standard output: %s\n",
			strerror(errno ? errno : EIO));
		return EXIT_SPAWN_FAILED;
	}
	return status;
}
