/* SPDX-License-Identifier: MIT */
/* `spawn --pty` on a terminal of the test's, and without one; `spawn --pipe`. */
#include "census.h"
#include "desk.h"
#include "probe_run.h"
#include "server.h"
#include "tool.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static struct server server;

static void start(void)
{
	server_start(&server, CONFIG(EXEC("exec", PRESTART)));
}

static void stop(void)
{
	server_stop(&server);
}

TestSuite(terminal, .init = start, .fini = stop, .timeout = 60);

static void start_on(struct desk *d, const char *command)
{
	setenv("SPAWND_SOCKET", server.socket, 1);
	desk_start(d, ARGV("SPAWN", "--pty", "--", "sh", "-c", command));
}

Test(terminal, the_child_has_one_of_its_own_that_controls_it)
{
	struct desk d;
	int status;

	start_on(&d, "test -t 0 && test -t 1 && test -t 2 && echo three; echo control >/dev/tty; "
		     "stty size; echo end; exit 3");
	desk_await(&d, "end");
	cr_expect(strstr(d.seen, "three"), "%s", d.seen);
	cr_expect(strstr(d.seen, "control"), "%s", d.seen);
	cr_expect(strstr(d.seen, "33 77"), "%s", d.seen);
	status = desk_end(&d);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 3);
}

Test(terminal, keys_go_to_the_child)
{
	struct desk d;
	int status;

	start_on(
		&d,
		"trap 'echo interrupted' INT; echo ready; while ! read a; do :; done; echo got $a; cat; exit 9");
	desk_await(&d, "ready");
	desk_type(&d, "\003");
	desk_await(&d, "interrupted");
	desk_type(&d, "hello\r");
	desk_await(&d, "got hello");
	desk_type(&d, "\004");
	status = desk_end(&d);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 9);
}

Test(terminal, its_size_follows_the_users)
{
	struct winsize size = {.ws_row = 11, .ws_col = 22};
	struct desk d;

	start_on(&d, "trap 'stty size; exit 0' WINCH; echo ready; while :; do read x; done");
	desk_await(&d, "ready");
	cr_assert_eq(ioctl(d.master, TIOCSWINSZ, &size), 0);
	/* The kernel tells a terminal's foreground group, of which this one is not. */
	kill(d.pid, SIGWINCH);
	desk_await(&d, "11 22");
	cr_assert_eq(desk_end(&d), 0);
}

Test(terminal, the_users_is_as_it_was_whatever_dies)
{
	struct desk d;
	int status;

	start_on(&d, "echo ready; kill -KILL $$");
	desk_await(&d, "ready");
	status = desk_end(&d);
	cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);

	start_on(&d, "echo ready; read x; exit 0");
	desk_await(&d, "ready");
	server_terminate(&server);
	status = desk_end(&d);
	cr_assert(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
}

static void expect(const char *script, int status, const char *out, const char *err)
{
	tool_expect(&server, script, status, out, err);
}

Test(terminal, without_a_terminal_bytes_go_through_one)
{
	expect("echo hello | \"$SPAWN\" --pty -- cat", 0, "hello\r\n", "");
	expect("printf no-end | \"$SPAWN\" --pty -- cat", 0, "no-end", "");
	expect("seq 5000 | \"$SPAWN\" --pty -- wc -l", 0, "5000\r\n", "");
	expect("\"$SPAWN\" --pty -- seq 5000 </dev/null | tail -n 1", 0, "5000\r\n", "");
	expect("\"$SPAWN\" --pty --detach -- true", 125, "", "--pty needs");
}

Test(terminal, pipe_joins_programs)
{
	expect("\"$SPAWN\" --pipe -- sh -c 'echo c; echo a; echo b' '|' sort '|' head -n 2", 0,
	       "a\nb\n", "");
	expect("\"$SPAWN\" --pipe -- sh -c 'exit 2' '|' sh -c 'cat; exit 4'", 4, "", "");
	expect("\"$SPAWN\" --pipe --json -- sh -c 'exit 2' '|' sh -c 'kill $$' '|' sh -c 'exit 5'",
	       5, "", "{\"statuses\": [2, 143, 5]}");
	expect("\"$SPAWN\" --pipe -- echo x '|' nosuchprogram", 127, "", "nosuchprogram");
	expect("\"$SPAWN\" --pipe -- nosuchprogram '|' sh -c 'cat; echo end'", 0, "end\n",
	       "nosuchprogram");
	expect("\"$SPAWN\" --pipe -- echo '|'", 125, "", "command 2 of 2 is empty");
	expect("\"$SPAWN\" --pipe -- yes '|' head -n 1", 0, "y\n", "");
}
