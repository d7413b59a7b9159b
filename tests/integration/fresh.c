/* SPDX-License-Identifier: MIT */
/* A leaf is a process of its own: it draws its own numbers, and has not the host's secrets. */
#include "probe_run.h"
#include "server.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define LEAVES 20

static struct server server;
static struct spawn_client *client;

static void start(void)
{
	server_start(&server, CONFIG(TEMPLATE("fresh", "warm_fresh.so", PRESTART)));
	client = server_client(&server);
}

static void stop(void)
{
	spawn_client_close(client);
	server_stop(&server);
}

TestSuite(fresh, .init = start, .fini = stop, .timeout = 60);

struct drawn {
	long random, rand48;
	int rand;
	unsigned left;
};

static struct drawn draw(void)
{
	char *text = probe_output(client, template_request("fresh", "x", NULL));
	struct drawn d;

	cr_assert_eq(sscanf(text, "%ld %ld %d %u", &d.random, &d.rand48, &d.rand, &d.left), 4);
	free(text);
	return d;
}

Test(fresh, no_two_leaves_draw_the_same)
{
	struct drawn all[LEAVES];

	for (int i = 0; i < LEAVES; i++) {
		all[i] = draw();
		for (int j = 0; j < i; j++) {
			cr_expect_neq(all[i].random, all[j].random);
			cr_expect_neq(all[i].rand48, all[j].rand48);
			cr_expect_neq(all[i].rand, all[j].rand);
		}
	}
}

Test(fresh, secret_of_the_host_is_zero_in_a_leaf)
{
	cr_expect_eq(draw().left, 0);
}
