/* SPDX-License-Identifier: MIT */
/*
 * A record that nobody wants any more is given back: soon, also when its owner says nothing more;
 * only by its owner; and also when the broker died with that unread.
 */
#include "census.h"
#include "probe_run.h"
#include "raw.h"
#include "server.h"

#include "base/fd.h"
#include "wire/tally.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LEAVES 20

static struct server server;

static void stop(void)
{
	server_stop(&server);
}

TestSuite(releases, .fini = stop, .timeout = 120);

/* A connection by hand with a tally. */
struct owner {
	int fd;
	struct tally *tally;
	uint32_t written;
};

static void owner_open(struct owner *o)
{
	_cleanup_close_ int tally = -1;
	struct raw_reply reply;
	uint8_t data[256];
	struct frame f;

	*o = (struct owner){.fd = raw_connect(&server)};
	cr_assert_geq(o->fd, 0);
	cr_assert_eq(tally_create(&o->tally, &tally), 0);
	frame_begin(&f, data, sizeof(data), MSG_HELLO, 1);
	frame_u32(&f, REC_VERSION_MIN, WIRE_VERSION);
	frame_u32(&f, REC_VERSION_MAX, WIRE_VERSION);
	cr_assert_eq(channel_send_frame(o->fd, &f, &tally, 1, 0), 0);
	raw_expect(o->fd, &reply, MSG_WELCOME);
}

static void owner_close(struct owner *o)
{
	tally_unmap(&o->tally);
	close(o->fd);
}

static void ask(struct owner *o)
{
	static const char *const args[] = {"probe", "exit", "0", NULL};
	int body[2];

	cr_assert_eq(channel_pair(body), 0);
	cr_assert_eq(raw_send_body(body[0], args), 0);
	cr_assert_eq(raw_send_spawn(o->fd, 7, "probe", 0, body[1]), 0);
	close(body[1]);
	close(body[0]);
}

/* The serial of a leaf that is over. */
static uint64_t run(struct owner *o)
{
	struct raw_reply reply;
	uint64_t serial;

	ask(o);
	raw_expect(o->fd, &reply, MSG_STARTED);
	serial = message_u64(&reply.message, REC_SERIAL);
	fds_close(&reply.fds);
	raw_expect(o->fd, &reply, MSG_EXIT);
	return serial;
}

/* As a client does; it may come late, and then says it. */
static void release(struct owner *o, uint64_t serial)
{
	if (tally_put(o->tally, &o->written, serial) != TALLY_WRITTEN)
		cr_assert_eq(raw_send_release(o->fd, serial), 0);
}

/* Without a look at whether somebody looks. */
static void write_down(struct owner *o, uint64_t serial)
{
	o->tally->serial[o->written % TALLY_SERIALS] = serial;
	__atomic_store_n(&o->tally->written, ++o->written, __ATOMIC_SEQ_CST);
}

static void ping(struct owner *o)
{
	struct raw_reply reply;
	uint8_t data[64];
	struct frame f;

	frame_begin(&f, data, sizeof(data), MSG_PING, 5);
	cr_assert_eq(channel_send_frame(o->fd, &f, NULL, 0, 0), 0);
	raw_expect(o->fd, &reply, MSG_PONG);
}

Test(releases, owner_that_says_nothing_more_leaves_no_zombie)
{
	struct owner o;

	server_start(&server, NULL);
	owner_open(&o);
	release(&o, run(&o));
	AWAIT(census_zombies(server.pid) == 0);
	for (int i = 0; i < LEAVES; i++)
		release(&o, run(&o));
	AWAIT(census_zombies(server.pid) == 0);
	AWAIT(tally_done(o.tally) == o.written);
	owner_close(&o);
}

Test(releases, record_that_is_not_released_is_kept)
{
	struct owner o;

	server_start(&server, NULL);
	owner_open(&o);
	for (int i = 0; i < 5; i++)
		run(&o);
	release(&o, run(&o));
	AWAIT(census_zombies(server.pid) == 5);
	ping(&o);
	cr_assert_eq(census_zombies(server.pid), 5);
	owner_close(&o);
}

Test(releases, what_is_written_is_read_with_the_next_message)
{
	struct owner o;
	uint64_t serial;

	server_start(&server, NULL);
	owner_open(&o);
	serial = run(&o);
	AWAIT(!o.tally->watched); /* the broker has given up looking by itself */
	write_down(&o, serial);
	ping(&o);
	cr_assert_eq(tally_done(o.tally), 1);
	AWAIT(census_zombies(server.pid) == 0);
	owner_close(&o);
}

Test(releases, place_of_a_released_leaf_is_another_clients_at_once)
{
	struct owner one, other;

	server_start(&server, CONFIG(TEMPLATE("probe", "probe.so",
					      PRESTART "," LEAVES_MAX(1) "," POOL(1, 0))));
	owner_open(&one);
	owner_open(&other);
	for (int i = 0; i < LEAVES; i++) {
		release(&one, run(&one));
		release(&other, run(&other));
	}
	owner_close(&one);
	owner_close(&other);
}

Test(releases, record_of_another_is_not_released)
{
	struct owner one, other;
	uint64_t serial;

	server_start(&server, NULL);
	owner_open(&one);
	owner_open(&other);
	serial = run(&one);
	write_down(&other, serial);
	ping(&other);
	cr_assert_eq(tally_done(other.tally), 1);
	cr_assert_eq(census_zombies(server.pid), 1);
	owner_close(&one);
	owner_close(&other);
}

Test(releases, count_that_cannot_be_ends_that_connection_alone)
{
	struct raw_reply reply;
	struct owner liar, honest;

	server_start(&server, NULL);
	owner_open(&liar);
	owner_open(&honest);
	__atomic_store_n(&liar.tally->written, TALLY_SERIALS + 1, __ATOMIC_SEQ_CST);
	ask(&liar);
	do {
		raw_receive(liar.fd, &reply, PATIENCE_MS);
		fds_close(&reply.fds);
	} while (!reply.closed && !reply.timed_out);
	cr_assert(reply.closed);
	release(&honest, run(&honest));
	AWAIT(census_zombies(server.pid) == 0);
	owner_close(&liar);
	owner_close(&honest);
}

Test(releases, broker_that_dies_with_releases_unread_leaves_no_zombie)
{
	struct spawn_client *client, *looker;
	struct spawn_request *request = probe_request("exit", "3", NULL);
	struct spawn_proc *procs[LEAVES];
	struct template_state_seen seen;
	pid_t broker;

	server_start(&server, NULL);
	client = server_client(&server);
	looker = server_client(&server);
	for (int i = 0; i < LEAVES; i++)
		cr_assert_eq(spawn_process(client, request, &procs[i], NULL), 0);
	for (int i = 0; i < LEAVES; i++)
		cr_assert(await_readable(spawn_proc_pidfd(procs[i])));
	AWAIT(census_zombies(server.pid) == LEAVES);
	/* An answer: the broker has told of all ends that it knew of. */
	server_status(looker, "probe", &seen);
	broker = server_broker(&server);
	cr_assert_eq(kill(broker, SIGSTOP), 0);
	for (int i = 0; i < LEAVES; i++) {
		struct spawn_exit *end;

		if (spawn_proc_wait(procs[i], 0, &end) == 0) {
			cr_assert_eq(spawn_exit_status(end), 3);
			spawn_exit_free(end);
			spawn_proc_free(procs[i]);
			procs[i] = NULL;
		}
	}
	cr_assert_eq(kill(broker, SIGKILL), 0);
	AWAIT(census_find(server.pid, "spawnd-broker", broker) != 0);
	expect_service_again(client);
	for (int i = 0; i < LEAVES; i++)
		if (procs[i])
			proc_expect_status(procs[i], 3);
	AWAIT(census_zombies(server.pid) == 0);
	AWAIT((server_status(looker, "probe", &seen), seen.launched == 0));
	spawn_request_free(request);
	spawn_client_close(looker);
	spawn_client_close(client);
}

/* More than one message has room for; done, for its owner, which does not say it again. */
Test(releases, host_that_dies_with_releases_unread_leaves_no_zombie)
{
	struct template_state_seen seen;
	struct spawn_client *looker;
	uint64_t serial[WIRE_REAP_MAX + 6];
	uint32_t n = sizeof(serial) / sizeof(serial[0]);
	struct owner o;

	server_start(&server, NULL);
	looker = server_client(&server);
	owner_open(&o);
	for (uint32_t i = 0; i < n; i++)
		serial[i] = run(&o);
	server_status(looker, "probe", &seen);
	cr_assert_eq(kill(seen.host, SIGSTOP), 0);
	for (uint32_t i = 0; i < n; i++)
		write_down(&o, serial[i]);
	ping(&o);
	cr_assert_eq(tally_done(o.tally), n);
	cr_assert_geq(census_zombies(server.pid), n);
	cr_assert_eq(kill(seen.host, SIGKILL), 0);
	AWAIT(census_zombies(server.pid) == 0);
	AWAIT((server_status(looker, "probe", &seen), seen.launched == 0));
	owner_close(&o);
	spawn_client_close(looker);
}

/* Nobody calls the library again: it has to find out by itself. */
Test(releases, broker_that_died_before_the_release_leaves_no_zombie)
{
	struct spawn_client *client;
	struct spawn_request *request = probe_request("exit", "3", NULL);
	struct spawn_proc *proc;
	uint64_t over;
	pid_t broker;

	server_start(&server, NULL);
	client = server_client(&server);
	broker = server_broker(&server);
	cr_assert_eq(spawn_process(client, request, &proc, NULL), 0);
	cr_assert(await_readable(spawn_proc_pidfd(proc)));
	over = now_ms();
	cr_assert(await_readable(spawn_client_fd(client)));
	cr_assert_eq(spawn_client_dispatch(client), 1);
	cr_assert_eq(kill(broker, SIGKILL), 0);
	AWAIT(census_find(server.pid, "spawnd-broker", broker) != 0);
	AWAIT(now_ms() > over + 200);
	proc_expect_status(proc, 3);
	AWAIT(census_zombies(server.pid) == 0);
	spawn_request_free(request);
	spawn_client_close(client);
}

/* Its last words before it goes: nobody else would tell. */
Test(releases, client_that_closes_at_once_leaves_no_zombie)
{
	server_start(&server, NULL);
	for (int i = 0; i < 10; i++) {
		struct spawn_client *client = server_client(&server);
		struct outcome o;

		probe_run(client, probe_request("exit", "3", NULL), &o);
		outcome_free(&o);
		spawn_client_close(client);
	}
	AWAIT(census_zombies(server.pid) == 0);
}
