/* SPDX-License-Identifier: MIT */
/* What a request says about the process itself holds in it: in a leaf of a template, in a program,
 * and by the command's options. For children of the caller's own: private_process.c. */
#include "probe_run.h"
#include "server.h"
#include "tool.h"

#include "base/fd.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static struct server server;
static struct spawn_client *client;

static void start(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	/* The kernel would let a process go back from here. */
	cr_assert(fd >= 0 && write(fd, "100", 3) == 3);
	close(fd);
	server_start(&server, CONFIG(PROBE "," EXEC("exec", PRESTART) "," TEMPLATE(
				      "free", "probe.so", NOFORK("off") "," COLD)));
	client = server_client(&server);
}

static void stop(void)
{
	spawn_client_close(client);
	server_stop(&server);
}

TestSuite(process, .init = start, .fini = stop, .timeout = 60);

static struct spawn_request *shell_request(const char *script)
{
	struct spawn_request *request = spawn_request_new(NULL);

	spawn_request_program(request, "/bin/sh");
	spawn_request_args(request, 2, (const char *const[]){"-c", script});
	return request;
}

/* A program that prints its own /proc/self/status. */
static struct spawn_request *status_request(void)
{
	struct spawn_request *request = spawn_request_new(NULL);

	spawn_request_program(request, "/bin/cat");
	spawn_request_args(request, 1, (const char *const[]){"/proc/self/status"});
	return request;
}

static void expect_output(struct spawn_request *request, const char *expected)
{
	char *output = probe_output(client, request);

	cr_expect_str_eq(output, expected, "\"%s\", not \"%s\"", output, expected);
	free(output);
}

/* Consumes the request. */
static void expect_refused(struct spawn_request *request, int code, const char *step,
			   const char *words)
{
	struct spawn_error err = {0};
	int r = probe_refused(client, request, &err);

	cr_expect_eq(r, code, "%d, not %d: %s", r, code, err.message);
	cr_expect_str_eq(err.step, step);
	cr_expect(strstr(err.message, words), "no \"%s\" in: %s", words, err.message);
}

static void expect_in_output(struct spawn_request *request, const char *line)
{
	char *output = probe_output(client, request);

	cr_expect(strstr(output, line), "no \"%s\" in: %s", line, output);
	free(output);
}

/* By the command, of a shell's script; what it printed. */
static void expect_by_command(const char *script, int status, const char *out)
{
	struct tool_end end;

	tool_shell(&server, script, &end);
	cr_expect_eq(end.status, status, "%s: %d, stderr: %s", script, end.status, end.err);
	cr_expect_str_eq(end.out, out, "%s: \"%s\", not \"%s\"; stderr: %s", script, end.out, out,
			 end.err);
	tool_end_free(&end);
}

/* One line of the command's own with the text in it. */
static void expect_complaint(const char *script, const char *text)
{
	struct tool_end end;

	tool_shell(&server, script, &end);
	cr_expect_eq(end.status, 125, "%s: %d", script, end.status);
	cr_expect(strncmp(end.err, "spawn: ", 7) == 0 && strstr(end.err, text), "%s: %s", script,
		  end.err);
	tool_end_free(&end);
}

/* ---- signals ---- */

Test(process, signal_mask_is_the_requests_where_it_says)
{
	struct spawn_request *leaf = probe_request("sigmask", NULL), *program = status_request();
	sigset_t mine, asked;

	sigemptyset(&mine);
	sigaddset(&mine, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &mine, NULL);
	sigemptyset(&asked);
	sigaddset(&asked, SIGUSR1);
	sigaddset(&asked, 64);
	spawn_request_sigmask(leaf, &asked);
	spawn_request_sigmask(program, &asked);
	expect_output(leaf, "8000000000000200\n");
	expect_in_output(program, "\nSigBlk:\t8000000000000200\n");
	program = status_request();
	sigemptyset(&asked);
	spawn_request_sigmask(program, &asked);
	expect_in_output(program, "\nSigBlk:\t0000000000000000\n");
	pthread_sigmask(SIG_UNBLOCK, &mine, NULL);
}

Test(process, of_ignored_and_default_the_later_call_counts)
{
	struct spawn_request *request = status_request();
	sigset_t both, one;

	sigemptyset(&both);
	sigaddset(&both, SIGUSR1);
	sigaddset(&both, SIGUSR2);
	sigemptyset(&one);
	sigaddset(&one, SIGUSR1);
	sigaddset(&one, SIGKILL);
	spawn_request_ignore(request, &both);
	spawn_request_sigdefault(request, &one);
	expect_in_output(request, "\nSigIgn:\t0000000000000800\n");
	request = status_request();
	spawn_request_sigdefault(request, &both);
	sigdelset(&one, SIGKILL);
	spawn_request_ignore(request, &one);
	expect_in_output(request, "\nSigIgn:\t0000000000000200\n");
}

Test(process, command_sets_signals)
{
#define SIGNALS_OF "grep -E 'Sig(Blk|Ign)' /proc/self/status"
	expect_by_command("trap '' USR1 USR2; \"$SPAWN\" --block-signal=TERM,SIGRTMAX "
			  "--default-signal=USR1 --ignore-signal 1,hup,PIPE -- " SIGNALS_OF,
			  0, "SigBlk:\t8000000000004000\nSigIgn:\t0000000000001801\n");
	expect_complaint("\"$SPAWN\" --block-signal=TERM, -- true", "TERM,INT");
	expect_complaint("\"$SPAWN\" --ignore-signal=RTMIN+99 -- true", "RTMIN+99");
	expect_complaint("\"$SPAWN\" --ignore-signal=KILL -- true", "SIGKILL");
}

/* ---- session and process group ---- */

/* Of a shell: its process group, and its session. */
#define READ_STAT "read pid comm state parent group session rest </proc/$$/stat; "

Test(process, session_is_led_where_asked_and_else_is_the_hosts)
{
	struct spawn_request *program = shell_request(READ_STAT "echo $((group - $$)) "
								"$((session - $$))"),
			     *leaf = probe_request("session", NULL);
	int sid, pgrp, pid;
	char *output;

	spawn_request_session(program, true);
	expect_output(program, "0 0\n");
	spawn_request_session(leaf, true);
	output = probe_output(client, leaf);
	cr_assert_eq(sscanf(output, "sid %d pgrp %d pid %d", &sid, &pgrp, &pid), 3);
	cr_expect(sid == pid && pgrp == pid, "%s", output);
	free(output);
	program = shell_request(READ_STAT "test $session != $$ && echo $((group - $$))");
	spawn_request_session(program, true);
	spawn_request_session(program, false);
	spawn_request_process_group(program, 0);
	expect_output(program, "0\n");
	expect_by_command("\"$SPAWN\" --session -- sh -c '" READ_STAT
			  "test $session = $$ && echo leads'",
			  0, "leads\n");
}

Test(process, group_of_the_callers_cannot_be_joined_by_the_servers_child)
{
	struct spawn_request *request = shell_request("exit 0");
	struct spawn_error err = {0};

	spawn_request_process_group(request, getpgrp());
	cr_expect_eq(probe_refused(client, request, &err), -EOPNOTSUPP);
	cr_expect_str_eq(err.step, "owner");
	cr_expect(strstr(err.message, "SPAWN_OWNER_CALLER"), "%s", err.message);
	request = shell_request("exit 0");
	spawn_request_process_group(request, -1);
	cr_expect_eq(probe_refused(client, request, &err), -EINVAL);
	request = shell_request("exit 0");
	spawn_request_process_group(request, 5);
	spawn_request_session(request, true);
	cr_expect_eq(probe_refused(client, request, &err), -EINVAL);
}

/* ---- limits and scheduling ---- */

#define TELL_LIMITS "ulimit -Sn; ulimit -Hn; ulimit -Sc; "
#define TELL_SCHEDULING                                                                     \
	"nice; cat /proc/$$/oom_score_adj; cat /proc/$$/timerslack_ns; grep Cpus_allowed: " \
	"/proc/$$/status"

/* A processor that this process may run on. */
static unsigned a_cpu(void)
{
	cpu_set_t set;
	unsigned cpu = 0;

	cr_assert_eq(sched_getaffinity(0, sizeof(set), &set), 0);
	while (!CPU_ISSET(cpu, &set))
		cpu++;
	return cpu;
}

Test(process, limits_are_as_asked_or_the_start_fails)
{
	struct spawn_request *program = shell_request(TELL_LIMITS), *leaf;
	char resource[16];

	snprintf(resource, sizeof(resource), "%d", RLIMIT_NOFILE);
	leaf = probe_request("rlimit", resource, NULL);
	setrlimit(RLIMIT_CORE, &(struct rlimit){4096, 8192});
	spawn_request_rlimit(program, RLIMIT_NOFILE, 77, 99);
	spawn_request_rlimit(leaf, RLIMIT_NOFILE, 77, 99);
	expect_output(program, "77\n99\n8\n"); /* of 512 bytes */
	expect_output(leaf, "77 99\n");
	program = shell_request("exit 0");
	spawn_request_rlimit(program, RLIMIT_NOFILE, UINT64_MAX, UINT64_MAX); /* fs.nr_open */
	expect_refused(program, -EPERM, "rlimit", "RLIMIT_NOFILE");
	program = shell_request("exit 0");
	spawn_request_rlimit(program, RLIMIT_NOFILE, 9, 8);
	expect_refused(program, -EINVAL, "request", "RLIMIT_NOFILE");
	program = shell_request("exit 0");
	spawn_request_rlimit(program, RLIM_NLIMITS, 1, 1);
	expect_refused(program, -EINVAL, "request", "16");
}

/* What has no room for the leaf's own work is set last. */
Test(process, limits_that_leave_no_room_are_set_all_the_same)
{
	struct spawn_request *request = probe_request("tell", "runs", NULL);

	spawn_request_rlimit(request, RLIMIT_NOFILE, 0, 0);
	spawn_request_rlimit(request, RLIMIT_FSIZE, 0, 0);
	spawn_request_rlimit(request, RLIMIT_NPROC, 0, 0);
	spawn_request_oom_score_adj(request, 500);
	expect_output(request, "runs\n");
}

static void ask_scheduling(struct spawn_request *request, unsigned cpu)
{
	spawn_request_nice(request, 7);
	spawn_request_oom_score_adj(request, 321);
	spawn_request_timer_slack(request, 123456);
	spawn_request_cpus(request, 1, &cpu);
}

Test(process, scheduling_is_as_asked)
{
	struct spawn_request *request = shell_request(TELL_SCHEDULING);
	unsigned cpu = a_cpu();
	char expected[128], script[512];

	snprintf(expected, sizeof(expected), "7\n321\n123456\nCpus_allowed:\t%x\n", 1u << cpu);
	ask_scheduling(request, cpu);
	expect_output(request, expected);
	request = probe_request("scheduling", NULL);
	ask_scheduling(request, cpu);
	snprintf(script, sizeof(script), "nice 7 oom 321 slack 123456 cpus %u first %u\n", 1, cpu);
	expect_output(request, script);
	snprintf(script, sizeof(script),
		 "\"$SPAWN\" --nice 7 --oom-score-adj=321 --timer-slack 123456 --cpus %u "
		 "--limit nofile=50:60 -- sh -c '" TELL_SCHEDULING "; ulimit -Hn'",
		 cpu);
	strcat(expected, "60\n");
	expect_by_command(script, 0, expected);
	expect_complaint("\"$SPAWN\" --limit nofile=1:x -- true", "nofile=1:x");
	expect_complaint("\"$SPAWN\" --limit file=1 -- true", "file=1");
	expect_complaint("\"$SPAWN\" --limit nofile=2:1 -- true", "RLIMIT_NOFILE");
	expect_complaint("\"$SPAWN\" --nice 20 -- true", "20");
	expect_complaint("\"$SPAWN\" --cpus 1-0 -- true", "1-0");
}

Test(process, scheduling_that_cannot_be_fails_with_its_step)
{
	struct spawn_request *request = shell_request("exit 0");
	const unsigned cpus[] = {a_cpu(), 8191};

	spawn_request_cpus(request, 2, cpus);
	expect_refused(request, -EINVAL, "affinity", "processors");
	request = shell_request("exit 0");
	spawn_request_oom_score_adj(request, 50);
	expect_refused(request, -EACCES, "oom_score_adj", "50");
	request = probe_request("exit", "0", NULL);
	spawn_request_oom_score_adj(request, 50);
	expect_refused(request, -EACCES, "oom_score_adj", "50");
	request = shell_request("exit 0");
	spawn_request_cpus(request, 0, NULL);
	expect_refused(request, -EINVAL, "request", "processor");
	request = shell_request("exit 0");
	spawn_request_nice(request, 20);
	expect_refused(request, -EINVAL, "request", "20");
	request = shell_request("exit 0");
	spawn_request_timer_slack(request, 0);
	expect_refused(request, -EINVAL, "request", "1 ns");
}

/* ---- privileges, the caller's end, the name ---- */

Test(process, no_new_privs_holds_where_asked)
{
	struct spawn_request *leaf = template_request("free", "no-new-privs", NULL),
			     *program = status_request();

	spawn_request_no_new_privs(leaf, true);
	expect_output(leaf, "no_new_privs 1\n");
	expect_output(template_request("free", "no-new-privs", NULL), "no_new_privs 0\n");
	spawn_request_no_new_privs(program, true);
	expect_in_output(program, "\nNoNewPrivs:\t1\n");
	program = status_request();
	spawn_request_no_new_privs(program, true);
	spawn_request_no_new_privs(program, false);
	expect_in_output(program, "\nNoNewPrivs:\t0\n");
	expect_by_command("\"$SPAWN\" --no-new-privs -- grep NoNewPrivs: /proc/self/status", 0,
			  "NoNewPrivs:\t1\n");
}

Test(process, death_signal_is_not_for_the_servers_child)
{
	struct spawn_request *request = shell_request("exit 0");

	spawn_request_death_signal(request, SIGTERM);
	expect_refused(request, -EOPNOTSUPP, "owner", "spawn_request_kill_with_caller");
	request = shell_request("exit 0");
	spawn_request_death_signal(request, 65);
	expect_refused(request, -EINVAL, "request", "65");
	request = shell_request("exit 0");
	spawn_request_death_signal(request, SIGTERM);
	spawn_request_death_signal(request, 0);
	expect_output(request, "");
}

Test(process, name_of_a_leaf_is_the_end_of_its_argv0)
{
	struct spawn_request *request = probe_request("name", NULL);

	spawn_request_argv0(request, "/some/where/spelling-checker");
	expect_output(request, "spelling-checke\n");
}

Test(process, title_of_a_leaf_is_its_own_arguments)
{
	struct spawn_request *request = probe_request("title", NULL);

	spawn_request_argv0(request, "/some/where/worker");
	expect_output(request, "title /some/where/worker title\nsays /some/where/worker worker\n");
}

/* ---- descriptors ---- */

/* What the steps below make of a file with "abc" in it, passed as 5. */
static void ask_descriptors(struct spawn_request *request, int file)
{
	spawn_request_fd(request, file, 5);
	spawn_request_dup(request, 5, 3);
	spawn_request_open(request, 5, "/dev/null", O_RDONLY, 0);
	spawn_request_dup(request, 3, 9);
	spawn_request_close(request, 3);
	spawn_request_close(request, 77);
	spawn_request_open(request, 3, "/dev/zero", O_RDONLY, 0);
	spawn_request_close(request, 0);
}

static int file_of(const char *text)
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	lseek(fd, 0, SEEK_SET);
	return fd;
}

Test(process, descriptors_are_opened_duplicated_and_closed_in_order)
{
	struct spawn_request *program = shell_request("ls /proc/$$/fd && cat <&9 && "
						      "readlink /proc/$$/fd/3 /proc/$$/fd/5"),
			     *leaf = probe_request("print-fds", NULL);
	_cleanup_close_ int a = file_of("abc\n"), b = file_of("abc\n");
	char *output;

	ask_descriptors(program, a);
	expect_output(program, "1\n2\n3\n5\n9\nabc\n/dev/zero\n/dev/null\n");
	ask_descriptors(leaf, b);
	output = probe_output(client, leaf);
	cr_expect(strncmp(output, "1 pipe:", 7) == 0 && strstr(output, "\n3 /dev/zero\n") &&
			  strstr(output, "\n5 /dev/null\n9 /tmp/"),
		  "%s", output);
	free(output);
}

Test(process, descriptors_from_a_number_on_are_closed)
{
	struct spawn_request *program = shell_request("ls /proc/$$/fd"),
			     *leaf = probe_request("print-fds", NULL);
	_cleanup_close_ int file = file_of("");
	char *output;

	for (int i = 0; i < 2; i++) {
		struct spawn_request *request = i ? leaf : program;

		for (int fd = 3; fd < 20; fd += 4)
			spawn_request_fd(request, file, fd);
		spawn_request_close_from(request, 8);
		spawn_request_close_from(request, 1000);
		spawn_request_dup(request, 3, 9);
	}
	expect_output(program, "0\n1\n2\n3\n7\n9\n");
	output = probe_output(client, leaf);
	cr_expect(strstr(output, "\n7 /") && strstr(output, "\n9 /") && !strstr(output, "\n11 "),
		  "%s", output);
	free(output);
}

/* The numbers that a leaf has for itself are no way to what it has there. */
Test(process, descriptor_that_the_child_has_not_cannot_be_duplicated)
{
	for (int from = 3; from < 12; from++) {
		struct spawn_request *request = shell_request("exit 0");

		spawn_request_dup(request, from, 12);
		expect_refused(request, -EBADF, "open", "duplicate");
		request = probe_request("exit", "0", NULL);
		spawn_request_dup(request, from, 12);
		expect_refused(request, -EBADF, "open", "duplicate");
	}
}

Test(process, standard_streams_can_be_swapped_by_duplicating)
{
	struct spawn_request *request = shell_request("echo out; echo err >&2");
	_cleanup_close_ int file = file_of("");
	char text[16] = "";

	spawn_request_fd(request, file, 2);
	spawn_request_dup(request, 1, 7);
	spawn_request_dup(request, 2, 1);
	spawn_request_dup(request, 7, 2);
	spawn_request_close(request, 7);
	expect_output(request, "err\n");
	cr_expect_eq(pread(file, text, sizeof(text) - 1, 0), 4);
	cr_expect_str_eq(text, "out\n");
}

Test(process, descriptors_that_are_not_close_on_exec_are_inherited_where_asked)
{
	struct spawn_request *request = shell_request("ls /proc/$$/fd; cat /proc/self/fd/150");
	_cleanup_close_ int file = file_of("inherited\n");
	char *output;

	cr_assert_eq(dup2(file, 150), 150);
	cr_assert_eq(dup2(file, 160), 160);
	expect_output(shell_request("ls /proc/$$/fd"), "0\n1\n2\n");
	spawn_request_inherit(request, 160);
	output = probe_output(client, request);
	cr_expect(strstr(output, "\n150\n") && strstr(output, "inherited\n") &&
			  !strstr(output, "\n160\n"),
		  "%s", output);
	free(output);
	request = shell_request("ls /proc/$$/fd");
	spawn_request_inherit(request, 1000);
	spawn_request_close(request, 150);
	output = probe_output(client, request);
	cr_expect(strstr(output, "\n160\n") && !strstr(output, "\n150"), "%s", output);
	free(output);
	close(150);
	close(160);
}

Test(process, pipes_to_and_from_the_child)
{
	struct spawn_request *request = shell_request("tr a-z A-Z; echo over >&2");
	struct spawn_proc *proc;
	int to, from;
	char *text;

	cr_assert_eq(spawn_request_pipe(request, 0, &to), 0);
	cr_assert_eq(spawn_request_pipe(request, 1, &from), 0);
	spawn_request_dup(request, 1, 2);
	cr_assert_eq(spawn_process(client, request, &proc, NULL), 0);
	spawn_request_free(request);
	cr_assert_eq(write(to, "text\n", 5), 5);
	close(to);
	text = read_to_end(from, NULL);
	cr_expect_str_eq(text, "TEXT\nover\n");
	free(text);
	close(from);
	proc_expect_status(proc, 0);
}

Test(process, command_opens_the_standard_streams)
{
	expect_by_command("cd /tmp && d=$(mktemp -d) && cd $d && echo text >in && "
			  "\"$SPAWN\" --stdin in --stdout out --stderr stdout -- "
			  "sh -c 'cat; echo err >&2' && cat out && rm -r $d",
			  0, "text\nerr\n");
	expect_by_command("echo x | \"$SPAWN\" --stdin null --stderr=null -- "
			  "sh -c 'cat; echo err >&2; readlink /proc/$$/fd/2'",
			  0, "/dev/null\n");
	expect_complaint("\"$SPAWN\" --stdin /nowhere/file -- true", "/nowhere/file");
}

Test(process, standard_stream_that_is_replaced_is_the_callers_until_then)
{
	struct spawn_request *request = shell_request("cat <&5; cat");
	_cleanup_close_ int file = file_of("the caller's\n");

	cr_assert_eq(dup2(file, 0), 0);
	spawn_request_dup(request, 0, 5);
	spawn_request_open(request, 0, "/dev/null", O_RDONLY, 0);
	expect_output(request, "the caller's\n");
}

/* ---- credentials ---- */

Test(process, user_and_groups_are_as_asked)
{
	const gid_t groups[] = {77, 12345, 5};
	struct spawn_request *program = status_request(),
			     *leaf = probe_request("credentials", NULL);
	char *output;

	if (geteuid() != 0) {
		stop(); /* a skipped test has no fini */
		cr_skip_test("only root may become somebody else");
	}
	spawn_request_credentials(program, 65000, 65001, 3, groups);
	output = probe_output(client, program);
	cr_expect(strstr(output, "\nUid:\t65000\t65000\t65000\t65000\n") &&
			  strstr(output, "\nGid:\t65001\t65001\t65001\t65001\n") &&
			  strstr(output, "\nGroups:\t5 77 12345 \n") &&
			  strstr(output, "\nCapPrm:\t0000000000000000\n"),
		  "%s", output);
	free(output);
	spawn_request_credentials(leaf, 65000, 65001, 0, NULL);
	expect_output(leaf, "65000 65000 65000, 65001 65001 65001, 0 groups, back EPERM\n");
	leaf = probe_request("dumpable", NULL);
	spawn_request_credentials(leaf, 65000, 65001, 0, NULL);
	output = probe_output(client, leaf);
	cr_expect(!strstr(output, "dumpable 1"), "the template's memory is root's: %s", output);
	free(output);
	expect_by_command("\"$SPAWN\" --user 65000:65001,7 -- sh -c 'id -u; id -g; id -G'", 0,
			  "65000\n65001\n65001 7\n");
	expect_by_command("\"$SPAWN\" --user nobody -- id -un", 0, "nobody\n");
	expect_complaint("\"$SPAWN\" --user 5 -- true", "UID:GID");
	expect_complaint("\"$SPAWN\" --user no-such-user -- true", "no-such-user");
}

Test(process, capabilities_are_dropped_from_every_set)
{
	static const char *const sets[] = {"Inh", "Prm", "Eff", "Bnd", "Amb"};
	struct spawn_request *request = status_request();
	char *output, line[64];

	spawn_request_capabilities(request, 0);
	if (geteuid() != 0) {
		expect_refused(request, -EPERM, "capabilities", "no_new_privs");
		request = status_request();
		spawn_request_capabilities(request, 0);
		spawn_request_no_new_privs(request, true);
	}
	output = probe_output(client, request);
	for (int i = 0; i < 5; i++) {
		snprintf(line, sizeof(line), "\nCap%s:\t0000000000000000\n", sets[i]);
		cr_expect(strstr(output, line) || (geteuid() != 0 && i == 3), "no %s in %s", line,
			  output);
	}
	free(output);
	if (geteuid() != 0)
		return;
	expect_by_command("\"$SPAWN\" --capabilities 9 -- grep -E 'Cap(Prm|Bnd)' "
			  "/proc/self/status",
			  0, "CapPrm:\t0000000000000009\nCapBnd:\t0000000000000009\n");
	request = shell_request("exit 0");
	spawn_request_credentials(request, (uid_t)-1, 0, 0, NULL);
	expect_refused(request, -EINVAL, "request", "-1");
}

/* ---- control group ---- */

/* A new one below that of this process, in version 2; false where none can be made. */
static bool make_cgroup(char path[256])
{
	char line[128] = "", mount[128] = "", type[32];
	FILE *f = fopen("/proc/self/cgroup", "re"), *m = fopen("/proc/self/mounts", "re");
	bool found = false;

	while (f && fgets(line, sizeof(line), f) && strncmp(line, "0::", 3) != 0)
		;
	while (m && !found && fscanf(m, "%*s %127s %31s %*[^\n]", mount, type) == 2)
		found = strcmp(type, "cgroup2") == 0;
	if (f)
		fclose(f);
	if (m)
		fclose(m);
	line[strcspn(line, "\n")] = '\0';
	if (!found || strncmp(line, "0::", 3) != 0)
		return false;
	snprintf(path, 256, "%.100s%.100s/spawnd-test-%d", mount, line + 3, (int)getpid());
	return mkdir(path, 0700) == 0;
}

Test(process, control_group_is_entered_where_asked)
{
	struct spawn_request *program = shell_request("grep ^0: /proc/$$/cgroup"),
			     *leaf = probe_request("cgroup", NULL);
	char path[256], script[512], name[64], *output;
	int fd;

	if (!make_cgroup(path)) {
		stop(); /* a skipped test has no fini */
		cr_skip_test("no control group can be made");
	}
	snprintf(name, sizeof(name), "/spawnd-test-%d\n", (int)getpid());
	spawn_request_cgroup(program, path);
	expect_in_output(program, name);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	spawn_request_cgroup_fd(leaf, fd);
	expect_in_output(leaf, name);
	close(fd);
	output = probe_output(client, probe_request("cgroup", NULL));
	cr_expect(!strstr(output, name), "%s", output);
	free(output);
	/* Beside a program by descriptor, and others. */
	program = spawn_request_new(NULL);
	fd = open("/bin/cat", O_PATH | O_CLOEXEC);
	spawn_request_program_fd(program, fd);
	spawn_request_args(program, 1, (const char *const[]){"/proc/self/cgroup"});
	spawn_request_fd(program, 0, 7);
	spawn_request_cgroup(program, path);
	expect_in_output(program, name);
	close(fd);
	snprintf(script, sizeof(script),
		 "\"$SPAWN\" --cgroup %s -- grep -c spawnd-test-%d /proc/self/cgroup", path,
		 (int)getpid());
	expect_by_command(script, 0, "1\n");
	AWAIT(rmdir(path) == 0);
}

Test(process, directory_that_is_no_control_group_is_refused)
{
	struct spawn_request *request = shell_request("exit 0");

	spawn_request_cgroup(request, "/tmp");
	expect_refused(request, -EMEDIUMTYPE, "cgroup", "/tmp");
	request = shell_request("exit 0");
	spawn_request_cgroup(request, "/nowhere");
	expect_refused(request, -ENOENT, "cgroup", "/nowhere");
	request = shell_request("exit 0");
	spawn_request_cgroup_fd(request, 999);
	expect_refused(request, -EBADF, "fds", "999");
}
