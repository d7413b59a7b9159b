/* SPDX-License-Identifier: MIT */
/*
 * Messages that break the protocol are answered with an ERROR or a closed connection within a
 * second, and an honest client beside them is served throughout.
 */
#include "census.h"
#include "probe_run.h"
#include "raw.h"

#include "base/fd.h"
#include "wire/sealed.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static struct server server;

/* Spawns on and on until told to end. */
static struct honest {
	pthread_t thread;
	struct spawn_client *client;
	int end, served, failed;
	struct spawn_error err;
} honest;

static void *be_honest(void *user)
{
	struct honest *h = user;
	struct spawn_request *request = spawn_request_new("probe");

	spawn_request_args(request, 2, (const char *const[]){"exit", "41"});
	while (!__atomic_load_n(&h->end, __ATOMIC_ACQUIRE)) {
		struct spawn_proc *proc;
		struct spawn_exit *end = NULL;

		if (spawn_process(h->client, request, &proc, &h->err) < 0) {
			__atomic_add_fetch(&h->failed, 1, __ATOMIC_RELEASE);
			break;
		}
		if (spawn_proc_wait(proc, PATIENCE_MS, &end) == 0 && spawn_exit_status(end) == 41)
			__atomic_add_fetch(&h->served, 1, __ATOMIC_RELEASE);
		else
			__atomic_add_fetch(&h->failed, 1, __ATOMIC_RELEASE);
		spawn_exit_free(end);
		spawn_proc_free(proc);
	}
	spawn_request_free(request);
	return NULL;
}

static void start(void)
{
	server_start(&server, CONFIG_WITH(LIMITS("\"connections_per_uid\": 1000"), PROBE));
	honest.client = server_client(&server);
	cr_assert_eq(pthread_create(&honest.thread, NULL, be_honest, &honest), 0);
}

static void stop(void)
{
	int before = __atomic_load_n(&honest.served, __ATOMIC_ACQUIRE);
	uint64_t end = now_ms() + PATIENCE_MS;

	/* It must be served after the last of them, too. */
	while (!__atomic_load_n(&honest.failed, __ATOMIC_ACQUIRE) && now_ms() < end &&
	       __atomic_load_n(&honest.served, __ATOMIC_ACQUIRE) < before + 3)
		pause_briefly();
	__atomic_store_n(&honest.end, 1, __ATOMIC_RELEASE);
	pthread_join(honest.thread, NULL);
	fini_expect(honest.served >= before + 3 && honest.failed == 0,
		    "the honest client was not served: %s", honest.err.message);
	spawn_client_close(honest.client);
	server_stop(&server);
}

TestSuite(malformed, .init = start, .fini = stop, .timeout = 240);

/* Always the same numbers: a failure can be repeated. */
static uint32_t next_random(void)
{
	static uint32_t x = 2463534242u;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return x;
}

/* One connection, after HELLO when `open`, one datagram, and it must be refused. */
static void throw_message(bool open, const void *data, size_t len, const int *fds, size_t n_fds,
			  const char *what)
{
	int fd = open ? raw_open(&server) : raw_connect(&server), r;

	cr_assert_geq(fd, 0, "connect: %s", strerror(-fd));
	r = channel_send(fd, data, len, fds, n_fds, 0);
	cr_assert(r == 0 || r == -EPIPE || r == -ECONNRESET, "%s: %s", what, strerror(-r));
	cr_assert(raw_is_refused(fd), "not refused within a second: %s", what);
	close(fd);
}

Test(malformed, a_hundred_random_datagrams_are_refused)
{
	for (int i = 0; i < 100; i++) {
		uint8_t data[4096];
		size_t len = 1 + next_random() % sizeof(data);

		for (size_t j = 0; j < len; j++)
			data[j] = (uint8_t)next_random();
		if (i % 2 && len >= 4) /* past the first check */
			put_u32(data, (uint32_t)len);
		throw_message(i % 4 < 2, data, len, NULL, 0, "random bytes");
	}
}

/* A right SPAWN, in data; its length. */
static size_t right_spawn(uint8_t *data, size_t size)
{
	struct frame f;

	frame_begin(&f, data, size, MSG_SPAWN, 9);
	frame_string(&f, REC_TEMPLATE, "probe");
	frame_u32(&f, REC_FLAGS, 0);
	frame_u64(&f, REC_DEADLINE, 60000);
	frame_u64(&f, REC_GRACE, 1000);
	return (size_t)frame_finish(&f);
}

Test(malformed, a_hundred_mutations_of_a_request_are_refused)
{
	int body[2], thrown = 0;

	cr_assert_eq(channel_pair(body), 0);
	while (thrown < 100) {
		struct message ignored;
		uint8_t data[256];
		size_t len = right_spawn(data, sizeof(data));

		for (uint32_t n = 1 + next_random() % 4; n > 0; n--)
			data[next_random() % len] ^= (uint8_t)(1u << next_random() % 8);
		if (next_random() % 4 == 0)
			len = next_random() % len + 1;
		/* Some are still right in form. */
		if (message_decode(data, len, PEER_CLIENT, PEER_BROKER, STATE_OPEN, 1, &ignored,
				   NULL) == 0)
			continue;
		throw_message(true, data, len, &body[1], 1, "a mutation");
		thrown++;
	}
	close(body[0]);
	close(body[1]);
}

static void throw_frame(bool open, struct frame *f, const int *fds, size_t n_fds, const char *what)
{
	int len = frame_finish(f);

	cr_assert_gt(len, 0);
	throw_message(open, f->data, (size_t)len, fds, n_fds, what);
}

Test(malformed, messages_of_other_peers_and_states_are_refused)
{
	uint8_t data[256];
	struct frame f;

	for (unsigned type = 0; type < 80; type++) {
		if (type == MSG_HELLO || type == MSG_PING || type == MSG_STATUS ||
		    type == MSG_CANCEL)
			continue;
		frame_begin(&f, data, sizeof(data), (enum message_type)type, 5);
		throw_frame(true, &f, NULL, 0, message_name(type));
	}
	frame_begin(&f, data, sizeof(data), MSG_PING, 5);
	throw_frame(false, &f, NULL, 0, "PING before HELLO");
	frame_begin(&f, data, sizeof(data), MSG_STATUS, 5);
	throw_frame(false, &f, NULL, 0, "STATUS before HELLO");
	frame_begin(&f, data, sizeof(data), MSG_HELLO, 5);
	frame_u32(&f, REC_VERSION_MIN, WIRE_VERSION);
	frame_u32(&f, REC_VERSION_MAX, WIRE_VERSION);
	throw_frame(true, &f, NULL, 0, "a second HELLO");
}

Test(malformed, versions_that_do_not_meet_are_refused)
{
	uint8_t data[256];
	struct frame f;

	frame_begin(&f, data, sizeof(data), MSG_HELLO, 1);
	frame_u32(&f, REC_VERSION_MIN, WIRE_VERSION + 1);
	frame_u32(&f, REC_VERSION_MAX, WIRE_VERSION + 7);
	throw_frame(false, &f, NULL, 0, "later versions alone");
	frame_begin(&f, data, sizeof(data), MSG_HELLO, 1);
	frame_u32(&f, REC_VERSION_MIN, 5);
	frame_u32(&f, REC_VERSION_MAX, 0);
	throw_frame(false, &f, NULL, 0, "a range the wrong way round");
}

Test(malformed, records_out_of_their_rules_are_refused)
{
	static const char with_nul[] = "pro\0be";
	uint8_t data[4096];
	struct frame f;
	int body[2];

	cr_assert_eq(channel_pair(body), 0);

	frame_begin(&f, data, sizeof(data), MSG_SPAWN, 5);
	frame_u32(&f, REC_FLAGS, 0);
	throw_frame(true, &f, &body[1], 1, "a required record missing");

	frame_begin(&f, data, sizeof(data), MSG_SPAWN, 5);
	frame_string(&f, REC_TEMPLATE, "probe");
	frame_string(&f, REC_TEMPLATE, "probe");
	frame_u32(&f, REC_FLAGS, 0);
	throw_frame(true, &f, &body[1], 1, "a record twice");

	frame_begin(&f, data, sizeof(data), MSG_SPAWN, 5);
	frame_string(&f, REC_TEMPLATE, "probe");
	frame_u64(&f, REC_FLAGS, 0);
	throw_frame(true, &f, &body[1], 1, "a record of the wrong size");

	frame_begin(&f, data, sizeof(data), MSG_SPAWN, 5);
	frame_bytes(&f, REC_TEMPLATE, with_nul, sizeof(with_nul) - 1);
	frame_u32(&f, REC_FLAGS, 0);
	throw_frame(true, &f, &body[1], 1, "a NUL in a string");

	frame_begin(&f, data, sizeof(data), MSG_SPAWN, 5);
	frame_string(&f, REC_TEMPLATE, "probe");
	frame_u32(&f, REC_FLAGS, 0);
	frame_u32(&f, (enum record_type)63, 0);
	throw_frame(true, &f, &body[1], 1, "an unknown mandatory record");

	frame_begin(&f, data, sizeof(data), MSG_SPAWN, 5);
	frame_string(&f, REC_TEMPLATE, "probe");
	frame_u32(&f, REC_FLAGS, 0);
	frame_u32(&f, REC_PID, 1);
	throw_frame(true, &f, &body[1], 1, "a record of another message");

	close(body[0]);
	close(body[1]);
}

/* Right in form, wrong in what it says. */
static void throw_spawn(uint32_t id, uint32_t flags, const uint32_t *nofork,
			const uint64_t *deadline, int body_end, const char *what)
{
	uint8_t data[256];
	struct frame f;

	frame_begin(&f, data, sizeof(data), MSG_SPAWN, id);
	frame_string(&f, REC_TEMPLATE, "probe");
	frame_u32(&f, REC_FLAGS, flags);
	if (nofork)
		frame_u32(&f, REC_NOFORK, *nofork);
	if (deadline)
		frame_u64(&f, REC_DEADLINE, *deadline);
	throw_frame(true, &f, &body_end, 1, what);
}

Test(malformed, requests_with_impossible_values_are_refused)
{
	const uint32_t nofork = 99;
	const uint64_t deadline = UINT64_MAX;
	int body[2];

	cr_assert_eq(channel_pair(body), 0);
	throw_spawn(0, 0, NULL, NULL, body[1], "request id 0");
	throw_spawn(5, ~0u, NULL, NULL, body[1], "unknown flags");
	throw_spawn(5, 0, &nofork, NULL, body[1], "a no-fork level that is none");
	throw_spawn(5, 0, NULL, &deadline, body[1], "a deadline at the end of time");
	close(body[0]);
	close(body[1]);
}

Test(malformed, bodies_that_are_no_seqpacket_sockets_are_refused)
{
	int stream[2], datagram[2], ends[2], null = open("/dev/null", O_RDWR | O_CLOEXEC);

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stream), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, datagram), 0);
	make_pipe(ends);
	throw_spawn(5, 0, NULL, NULL, stream[1], "a stream socket");
	throw_spawn(5, 0, NULL, NULL, datagram[1], "a datagram socket");
	throw_spawn(5, 0, NULL, NULL, ends[1], "a pipe");
	throw_spawn(5, 0, NULL, NULL, null, "/dev/null");
	for (int i = 0; i < 2; i++) {
		close(stream[i]);
		close(datagram[i]);
		close(ends[i]);
	}
	close(null);
}

Test(malformed, descriptors_that_do_not_belong_are_refused_and_closed)
{
	pid_t broker = server_broker(&server);
	uint8_t data[256];
	struct frame f;
	int fds[240], null = open("/dev/null", O_RDWR | O_CLOEXEC), body[2];
	int held;

	cr_assert_eq(channel_pair(body), 0);
	for (int i = 0; i < 240; i++)
		fds[i] = null;
	for (int i = 0; i < 10; i++) {
		frame_begin(&f, data, sizeof(data), MSG_PING, 5);
		throw_frame(true, &f, fds, (size_t)(i < 5 ? 1 : 240), "PING with descriptors");
		throw_message(true, data, right_spawn(data, sizeof(data)), NULL, 0,
			      "SPAWN without a body");
		fds[0] = body[1];
		throw_message(true, data, right_spawn(data, sizeof(data)), fds, i < 5 ? 2 : 240,
			      "SPAWN with more than a body");
		fds[0] = null;
	}
	/* What it was sent it has closed: the pipe's last writer is here. */
	make_pipe(fds);
	frame_begin(&f, data, sizeof(data), MSG_PING, 5);
	throw_frame(true, &f, &fds[1], 1, "PING with a pipe");
	close(fds[1]);
	cr_assert(await_readable(fds[0]), "the server holds a descriptor that it refused");
	held = census_fds(broker);
	cr_assert_lt(held, 100, "the broker has %d descriptors", held);
	close(fds[0]);
	close(null);
	close(body[0]);
	close(body[1]);
}

Test(malformed, datagrams_that_are_too_long_or_empty_are_refused)
{
	static uint8_t data[150000];
	const size_t sizes[] = {WIRE_INLINE_MAX, WIRE_INLINE_MAX + 1, 100000, sizeof(data)};

	for (size_t i = 0; i < 4; i++) {
		struct frame f;

		frame_begin(&f, data, sizeof(data), MSG_PING, 5);
		put_u32(data, (uint32_t)sizes[i]);
		throw_message(true, data, sizes[i], NULL, 0, "too long");
	}
	throw_message(true, data, 0, NULL, 0, "an empty datagram");
}

Test(malformed, a_connection_in_another_process_is_refused)
{
	int fd = raw_open(&server), status;
	pid_t pid = fork();

	if (pid == 0) {
		uint8_t data[64];
		struct frame f;

		frame_begin(&f, data, sizeof(data), MSG_PING, 5);
		_exit(channel_send_frame(fd, &f, NULL, 0, 0) == 0 ? 0 : 1);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0);
	cr_assert(raw_is_refused(fd));
	close(fd);
}

Test(malformed, a_client_that_never_reads_is_dropped_or_held_back)
{
	int fd = raw_open(&server), sent = 0, r = 0;
	uint8_t data[64];
	struct frame f;

	while (r == 0 && sent < 200000) {
		frame_begin(&f, data, sizeof(data), MSG_STATUS, (uint32_t)++sent);
		r = channel_send_frame(fd, &f, NULL, 0, MSG_DONTWAIT);
	}
	cr_assert(r == -EAGAIN || r == -EPIPE || r == -ECONNRESET,
		  "%d requests and not held back: %s", sent, strerror(-r));
	close(fd);
}

/* ---- what a leaf is sent ---- */

/* Hands a leaf this body; true if it did not run and its end was told. */
static bool body_is_refused(const void *data, size_t len, const int *fds, size_t n_fds)
{
	struct raw_reply reply;
	int fd = raw_open(&server), body[2];
	bool refused = false, ran = false;

	cr_assert_eq(channel_pair(body), 0);
	cr_assert_eq(channel_send(body[0], data, len, fds, n_fds, 0), 0);
	cr_assert_eq(raw_send_spawn(fd, 7, "probe", 0, body[1]), 0);
	close(body[1]);
	raw_expect(fd, &reply, MSG_STARTED);
	fds_close(&reply.fds);
	for (;;) {
		struct fds got = {0};
		struct message m;
		ssize_t n;

		cr_assert(await_readable(body[0]), "a leaf hangs on its body");
		n = channel_receive(body[0], reply.data, sizeof(reply.data), &got, NULL, 0);
		if (n == -ECONNRESET)
			continue;
		if (n <= 0)
			break;
		cr_assert_eq(message_decode(reply.data, (size_t)n, PEER_LEAF, PEER_CLIENT,
					    STATE_LAUNCHED, got.n, &m, NULL),
			     0);
		refused |= m.type == MSG_FAILED;
		ran |= m.type == MSG_READY;
	}
	raw_expect(fd, &reply, MSG_EXIT);
	close(body[0]);
	close(fd);
	return refused && !ran;
}

Test(malformed, sixty_random_bodies_are_refused_by_the_leaf)
{
	for (int i = 0; i < 60; i++) {
		uint8_t data[2048];
		size_t len = 12 + next_random() % (sizeof(data) - 12);

		for (size_t j = 0; j < len; j++)
			data[j] = (uint8_t)next_random();
		put_u32(data, (uint32_t)len);
		if (i % 2)
			put_u32(data + 4, i % 4 == 1 ? MSG_BODY : MSG_BODY_SEALED);
		cr_assert(body_is_refused(data, len, NULL, 0), "body %d", i);
	}
}

static void begin_body(struct frame *f, uint8_t *data, size_t size, uint32_t flags)
{
	frame_begin(f, data, size, MSG_BODY, 0);
	frame_bytes(f, REC_ARGV, "probe\0exit\0000", 13);
	frame_bytes(f, REC_ENV, "", 0);
	frame_u32(f, REC_FLAGS, flags);
}

static void expect_body_refused(struct frame *f, const int *fds, size_t n_fds, const char *what)
{
	int len = frame_finish(f);

	cr_assert_gt(len, 0);
	cr_assert(body_is_refused(f->data, (size_t)len, fds, n_fds), "%s", what);
}

Test(malformed, bodies_with_impossible_values_are_refused_by_the_leaf)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	uint8_t data[512];
	struct frame f;

	begin_body(&f, data, sizeof(data), ~0u);
	expect_body_refused(&f, &null, 1, "unknown flags");
	begin_body(&f, data, sizeof(data), FLAG_CWD);
	expect_body_refused(&f, NULL, 0, "a working directory that is not there");
	begin_body(&f, data, sizeof(data), FLAG_CWD);
	expect_body_refused(&f, &null, 1, "a working directory that is none");
	begin_body(&f, data, sizeof(data), 0);
	frame_u32(&f, REC_FD, 5);
	expect_body_refused(&f, NULL, 0, "a target without a descriptor");
	begin_body(&f, data, sizeof(data), 0);
	expect_body_refused(&f, &null, 1, "a descriptor without a target");
	begin_body(&f, data, sizeof(data), 0);
	frame_u32(&f, REC_FD, 0x7fffffff);
	expect_body_refused(&f, &null, 1, "a target beyond all limits");
	begin_body(&f, data, sizeof(data), 0);
	frame_u32(&f, REC_FD, 0xffffffff);
	expect_body_refused(&f, &null, 1, "a negative target");
	begin_body(&f, data, sizeof(data), 0);
	frame_string(&f, REC_EXECUTE, "/bin/true");
	expect_body_refused(&f, NULL, 0, "a program for a leaf that executes none");
	begin_body(&f, data, sizeof(data), FLAG_EXECUTE_FD);
	expect_body_refused(&f, &null, 1, "a program's descriptor for such a leaf");
	begin_body(&f, data, sizeof(data), 0);
	frame_string(&f, REC_SEARCH, "/bin");
	expect_body_refused(&f, NULL, 0, "a path to search for no program");
	frame_begin(&f, data, sizeof(data), MSG_BODY, 0);
	frame_bytes(&f, REC_ARGV, "probe", 5);
	frame_bytes(&f, REC_ENV, "", 0);
	frame_u32(&f, REC_FLAGS, 0);
	expect_body_refused(&f, NULL, 0, "arguments that do not end");
	close(null);
}

Test(malformed, memfds_that_are_not_sealed_or_lie_are_refused_by_the_leaf)
{
	uint8_t inner[512], data[64];
	struct frame f, sealed;
	int len, fd, null = open("/dev/null", O_RDWR | O_CLOEXEC);

	begin_body(&f, inner, sizeof(inner), 0);
	len = frame_finish(&f);
	cr_assert_gt(len, 0);

	fd = memfd_create("open", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	cr_assert_eq(fd_write_all(fd, inner, (size_t)len), 0);
	frame_begin(&sealed, data, sizeof(data), MSG_BODY_SEALED, 0);
	frame_u64(&sealed, REC_SIZE, (uint64_t)len);
	expect_body_refused(&sealed, &fd, 1, "a memfd without seals");
	close(fd);

	cr_assert_eq(sealed_create("short", inner, (size_t)len - 1, &fd), 0);
	frame_begin(&sealed, data, sizeof(data), MSG_BODY_SEALED, 0);
	frame_u64(&sealed, REC_SIZE, (uint64_t)len);
	expect_body_refused(&sealed, &fd, 1, "a memfd shorter than it says");
	close(fd);

	cr_assert_eq(sealed_create("right", inner, (size_t)len, &fd), 0);
	frame_begin(&sealed, data, sizeof(data), MSG_BODY_SEALED, 0);
	frame_u64(&sealed, REC_SIZE, UINT64_MAX);
	expect_body_refused(&sealed, &fd, 1, "a size beyond all limits");
	close(fd);

	frame_begin(&sealed, data, sizeof(data), MSG_BODY_SEALED, 0);
	frame_u64(&sealed, REC_SIZE, (uint64_t)len);
	expect_body_refused(&sealed, &null, 1, "no memfd at all");
	close(null);
}
