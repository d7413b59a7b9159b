/* SPDX-License-Identifier: MIT */
/* The command line of `spawnd`: exit codes and one clear line for what it refuses. */
#include "probe_run.h"
#include "tool.h"

#include "base/fd.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64], path[96];

static void start(void)
{
	snprintf(dir, sizeof(dir), "/tmp/spawnd-daemon-XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/spawnd.json", dir);
}

static void stop(void)
{
	unlink(path);
	fini_expect(rmdir(dir) == 0, "%s is not empty", dir);
	fini_end();
}

TestSuite(daemon, .init = start, .fini = stop, .timeout = 60);

#define REFUSED 78
#define USAGE	2

static void write_config(const char *text)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	cr_assert_geq(fd, 0);
	cr_assert_eq(fd_write_all(fd, text, strlen(text)), 0);
}

static void run(const char *option, const char *config, struct tool_end *ret)
{
	char socket[96];

	snprintf(socket, sizeof(socket), "%s/socket", dir);
	tool_run(NULL,
		 ARGV("SPAWND", "--user", "--socket", socket, "--template-dir",
		      getenv("TEMPLATE_DIR"), "--config", config, option),
		 ret);
}

static void expect_one_line(const struct tool_end *end, const char *text)
{
	const char *newline = strchr(end->err, '\n');

	cr_expect(strstr(end->err, text), "no \"%s\" in: %s", text, end->err);
	cr_expect(newline && newline[1] == '\0', "not one line: %s", end->err);
}

Test(daemon, configuration_that_cannot_be_read_is_one_line_and_78)
{
	const char *const options[] = {NULL, "--check-config", "--print-config"};

	for (int i = 0; i < 3; i++) {
		struct tool_end end;

		run(options[i], "/nowhere/spawnd.json", &end);
		cr_expect_eq(end.status, REFUSED, "%d", end.status);
		expect_one_line(&end, "/nowhere/spawnd.json");
		tool_end_free(&end);
		run(options[i], dir, &end);
		cr_expect_eq(end.status, REFUSED, "%d", end.status);
		expect_one_line(&end, dir);
		tool_end_free(&end);
	}
}

Test(daemon, configuration_that_others_may_write_is_refused)
{
	struct tool_end end;

	write_config(CONFIG(PROBE));
	cr_assert_eq(chmod(path, 0666), 0);
	run(NULL, path, &end);
	cr_expect_eq(end.status, REFUSED, "%d", end.status);
	expect_one_line(&end, path);
	tool_end_free(&end);
}

Test(daemon, configuration_that_is_wrong_is_told_with_its_place_and_78)
{
	const char *const options[] = {NULL, "--check-config", "--print-config"};
	char place[128];

	write_config("{\n  \"templates\": {\n    \"probe\": {\"lane\": \"ruby\"}\n  }\n}");
	snprintf(place, sizeof(place), "%s:3:", path);
	for (int i = 0; i < 3; i++) {
		struct tool_end end;

		run(options[i], path, &end);
		cr_expect_eq(end.status, REFUSED, "%d", end.status);
		expect_one_line(&end, place);
		tool_end_free(&end);
	}
}

Test(daemon, right_configuration_is_checked_and_printed_with_0)
{
	struct tool_end end;

	write_config(CONFIG(PROBE));
	run("--check-config", path, &end);
	cr_expect_eq(end.status, 0, "%d %s", end.status, end.err);
	tool_end_free(&end);
	run("--print-config", path, &end);
	cr_expect_eq(end.status, 0, "%d %s", end.status, end.err);
	cr_expect(strstr(end.out, "warm_timeout_ms"), "defaults are not filled in: %s", end.out);
	/* What was printed is a configuration, and the same one. */
	write_config(end.out);
	tool_end_free(&end);
	run("--check-config", path, &end);
	cr_expect_eq(end.status, 0, "%d %s", end.status, end.err);
	tool_end_free(&end);
}

Test(daemon, wrong_usage_ends_with_2)
{
	struct tool_end end;

	tool_run(NULL, ARGV("SPAWND", "--no-such-option"), &end);
	cr_expect_eq(end.status, USAGE);
	tool_end_free(&end);
	tool_run(NULL, ARGV("SPAWND", "--user", "--system"), &end);
	cr_expect_eq(end.status, USAGE);
	tool_end_free(&end);
	tool_run(NULL, ARGV("SPAWND", "argument"), &end);
	cr_expect_eq(end.status, USAGE);
	tool_end_free(&end);
}

Test(daemon, help_and_version_end_with_0)
{
	struct tool_end end;

	tool_run(NULL, ARGV("SPAWND", "--help"), &end);
	cr_expect_eq(end.status, 0);
	cr_expect(strstr(end.out, "--check-config"));
	tool_end_free(&end);
	tool_run(NULL, ARGV("SPAWND", "--version"), &end);
	cr_expect_eq(end.status, 0);
	cr_expect(strstr(end.out, spawn_version()), "%s", end.out);
	tool_end_free(&end);
}

Test(daemon, socket_in_a_directory_that_others_may_write_is_refused)
{
	char where[128];
	struct tool_end end;

	write_config(CONFIG(PROBE));
	snprintf(where, sizeof(where), "%s/socket", dir);
	cr_assert_eq(chmod(dir, 0770), 0);
	tool_run(NULL,
		 ARGV("SPAWND", "--user", "--socket", where, "--template-dir",
		      getenv("TEMPLATE_DIR"), "--config", path),
		 &end);
	cr_expect_eq(end.status, 1, "%d %s", end.status, end.err);
	expect_one_line(&end, dir);
	tool_end_free(&end);
}
