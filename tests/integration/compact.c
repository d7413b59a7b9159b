/* SPDX-License-Identifier: MIT */
/* A warm template's memory becomes huge pages before its first fork, unless it says that it shall
 * not. */
#include "probe_run.h"
#include "server.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <unistd.h>

static struct server server;
static struct spawn_client *client;

static void stop(void)
{
	spawn_client_close(client);
	server_stop(&server);
}

TestSuite(compact, .fini = stop, .timeout = 60);

/* In a leaf, in KiB. */
static long huge_pages(const char *config)
{
	char *text;
	long huge;

	server_start(&server, config);
	client = server_client(&server);
	text = probe_output(client, template_request("heap", "x", NULL));
	huge = strtol(text, NULL, 10);
	free(text);
	return huge;
}

/* 50 MiB are in use; the ends of the mapping, and what is too fragmented, stay as they are. */
Test(compact, heap_is_in_huge_pages)
{
	long huge = huge_pages(CONFIG(TEMPLATE("heap", "warm_heap.so", COLD)));

	if (access("/sys/kernel/mm/transparent_hugepage", F_OK) < 0)
		cr_skip("no huge pages in this kernel");
	cr_expect_geq(huge, 25 * 1024);
}

Test(compact, heap_is_left_as_it_is_where_that_is_asked_for)
{
	cr_expect_eq(
		huge_pages(CONFIG(TEMPLATE("heap", "warm_heap.so", COLD ", \"compact\": false"))),
		0);
}
