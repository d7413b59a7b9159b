/* SPDX-License-Identifier: MIT */
/* The library checks who serves before it says a word. */
#include "census.h"
#include "server.h"

#include "base/fd.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define NOBODY 65534

static char dir[64], path[96];
static int listening;

static void start(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(dir, sizeof(dir), "/tmp/spawnd-rogue-XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/socket", dir);
	listening = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	cr_assert_eq(bind(listening, (struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_eq(listen(listening, 8), 0);
}

static void stop(void)
{
	fd_close(listening);
	unlink(path);
	fini_expect(rmdir(dir) == 0, "%s is not empty", dir);
	fini_end();
}

TestSuite(rogue, .init = start, .fini = stop, .timeout = 60);

/* Refused before a connection is made, or at least before anything is sent. */
static void expect_refused(const char *what)
{
	struct pollfd p = {.fd = listening, .events = POLLIN};
	struct spawn_client *client = NULL;
	struct spawn_error err = {0};
	int r = spawn_client_open(&client, path, &err);

	cr_assert_eq(r, -EACCES, "%s: %d %s", what, r, err.message);
	cr_assert_null(client);
	cr_assert(strstr(err.message, dir), "%s", err.message);
	if (poll(&p, 1, 0) > 0) {
		_cleanup_close_ int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
		char byte;

		cr_assert_leq(recv(fd, &byte, 1, MSG_DONTWAIT), 0, "%s: it spoke", what);
	}
}

Test(rogue, directory_that_others_may_write_is_refused)
{
	cr_assert_eq(chmod(dir, 0770), 0);
	expect_refused("writable by the group");
	cr_assert_eq(chmod(dir, 0707), 0);
	expect_refused("writable by all");
	cr_assert_eq(chmod(dir, 01777), 0);
	expect_refused("writable by all and sticky");
}

Test(rogue, socket_of_another_user_is_refused)
{
	if (geteuid() != 0)
		cr_skip_test("only root can give a socket away");
	cr_assert_eq(chown(path, NOBODY, NOBODY), 0);
	expect_refused("another user's socket");
}

Test(rogue, directory_of_another_user_is_refused)
{
	if (geteuid() != 0)
		cr_skip_test("only root can give a directory away");
	cr_assert_eq(chown(dir, NOBODY, NOBODY), 0);
	expect_refused("another user's directory");
}

Test(rogue, file_that_is_no_socket_is_refused)
{
	struct spawn_client *client = NULL;
	struct spawn_error err = {0};

	unlink(path);
	fclose(fopen(path, "we"));
	cr_assert_lt(spawn_client_open(&client, path, &err), 0);
	cr_assert(strstr(err.message, path), "%s", err.message);
}

Test(rogue, name_too_long_for_an_address_is_refused_and_not_cut)
{
	struct spawn_client *client = NULL;
	char long_path[250];
	int r;

	memset(long_path, 'x', sizeof(long_path));
	memcpy(long_path, path, strlen(path));
	long_path[sizeof(long_path) - 1] = '\0';
	cr_assert_eq(rename(path, long_path), 0); /* bind() could not have made it */
	r = spawn_client_open(&client, long_path, NULL);
	rename(long_path, path);
	cr_assert_eq(r, -ENAMETOOLONG);
}

Test(rogue, socket_that_nobody_listens_at_is_told_with_the_way_out)
{
	struct spawn_client *client = NULL;
	struct spawn_error err = {0};

	listening = fd_close(listening);
	cr_assert_eq(spawn_client_open(&client, path, &err), -ECONNREFUSED);
	cr_assert(strstr(err.message, path) && strstr(err.message, "spawnd"), "%s", err.message);
}

/* Answers each HELLO with the bytes, or with nothing at all, and hangs up. */
static struct answer {
	const void *data;
	size_t len;
} answer;

static void *serve(void *user)
{
	struct answer *a = user;

	for (;;) {
		_cleanup_close_ int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
		char hello[4096];

		if (fd < 0)
			return NULL;
		if (recv(fd, hello, sizeof(hello), 0) > 0 && a->len > 0)
			send(fd, a->data, a->len, MSG_NOSIGNAL);
	}
}

static int open_with_answer(const void *data, size_t len, struct spawn_error *err)
{
	struct spawn_client *client = NULL;
	pthread_t thread;
	int r;

	answer = (struct answer){data, len};
	cr_assert_eq(pthread_create(&thread, NULL, serve, &answer), 0);
	r = spawn_client_open(&client, path, err);
	shutdown(listening, SHUT_RDWR); /* ends accept4() */
	pthread_join(thread, NULL);
	return r;
}

Test(rogue, server_that_talks_nonsense_is_an_error_of_the_wire)
{
	static const unsigned char random[] = "GET / HTTP/1.1\r\nHost: nowhere\r\n\r\n";
	struct spawn_error err = {0};

	cr_assert_lt(open_with_answer(random, sizeof(random), &err), 0);
	cr_assert_eq(err.origin, SPAWN_ORIGIN_WIRE, "%s", err.message);
}

Test(rogue, server_that_hangs_up_is_an_error_of_the_wire)
{
	struct spawn_error err = {0};

	cr_assert_lt(open_with_answer(NULL, 0, &err), 0);
	cr_assert_eq(err.origin, SPAWN_ORIGIN_WIRE, "%s", err.message);
}
