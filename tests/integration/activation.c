/* SPDX-License-Identifier: MIT */
/* A socket that a service manager holds: clients come before the server does. */
#include "probe_run.h"
#include "raw.h"
#include "server.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct server server;

static void start(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd;

	server_prepare(&server, NULL);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", server.socket);
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_eq(listen(fd, 8), 0);
	/* dup2() to itself would leave it close-on-exec. */
	server.passed_socket = fcntl(fd, F_DUPFD_CLOEXEC, 10);
	close(fd);
}

static void stop(void)
{
	close(server.passed_socket);
	unlink(server.socket); /* it is its maker's */
	server_stop(&server);
}

TestSuite(activation, .init = start, .fini = stop, .timeout = 60);

static void start_server(void)
{
	server_launch(&server);
	server_await_notice(&server, "READY=1");
}

Test(activation, client_that_came_before_the_server_is_served)
{
	int fd = raw_connect(&server), body[2];
	struct raw_reply reply;

	cr_assert_geq(fd, 0);
	cr_assert_eq(raw_send_hello(fd, 1), 0);
	start_server();
	raw_expect(fd, &reply, MSG_WELCOME);
	/* Its sender is asked for, and known, from here on. */
	cr_assert_eq(channel_pair(body), 0);
	cr_assert_eq(raw_send_spawn(fd, 2, "nosuch", 0, body[1]), 0);
	raw_expect(fd, &reply, MSG_ERROR);
	cr_expect_eq(message_u32(&reply.message, REC_CODE), ENOENT);
	close(body[0]);
	close(body[1]);
	close(fd);
}

Test(activation, client_that_comes_later_is_served)
{
	struct spawn_client *client;
	struct outcome o;

	start_server();
	client = server_client(&server);
	probe_run(client, probe_request("exit", "3", NULL), &o);
	cr_expect_eq(o.status, 3);
	outcome_free(&o);
	spawn_client_close(client);
}
