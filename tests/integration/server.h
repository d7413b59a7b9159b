/* SPDX-License-Identifier: MIT */
/*
 * server.h - the real server in a temporary directory, for one test.
 *
 *	static struct server server;
 *	static void start(void) { server_start(&server, NULL); }
 *	static void stop(void) { server_stop(&server); }
 *	TestSuite(statuses, .init = start, .fini = stop);
 *
 * server_stop() asserts more than it does: that the server ended 0 at SIGTERM, that no process of
 * its is left, that its socket and files are gone, and that the test has as many descriptors as
 * before. All functions assert and do not return failures. It is for a .fini, and the last thing in
 * it.
 */
#ifndef TEST_SERVER_H
#define TEST_SERVER_H

#include "sanitized.h"

#include <libspawn.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

struct server {
	char dir[80];	     /* temporary, 0700 */
	char socket[96];     /* dir/run/socket */
	char config[96];     /* dir/spawnd.json */
	char log[96];	     /* dir/log: its stderr */
	bool may_be_overdue; /* it may have to kill what does not stop */
	rlim_t nofile;	     /* RLIMIT_NOFILE that it starts with; 0: the test's */
	int passed_socket;   /* listening: given to it as by a service manager; 0: none */
	pid_t pid;	     /* 0: not running */
	int pidfd;
	int notify; /* where READY=1 arrives */
	int fds_before;
};

/* How long anything that must happen may take before the test fails. Not a time to wait. */
#define PATIENCE_MS (SANITIZED ? 120000 : 30000)

/*
 * The configuration's text, from string literals:
 *
 *	CONFIG(PROBE "," TEMPLATE("words", "words.so", QUEUE_MAX(2) "," NOFORK("off")))
 */
#define CONFIG(templates)		"{\"templates\": {" templates "}}"
#define CONFIG_WITH(members, templates) "{" members ", \"templates\": {" templates "}}"
#define LIMITS(members)			"\"limits\": {" members "}"
#define TEMPLATE(name, object, members) \
	"\"" name "\": {\"lane\": \"object\", \"object\": \"" object "\", " members "}"
#define EXEC(name, members) "\"" name "\": {\"lane\": \"exec\", " members "}"
#define POOL(size, low)	    "\"pool\": {\"size\": " #size ", \"low\": " #low "}"
#define LEAVES_MAX(n)	    "\"leaves_max\": " #n
#define QUEUE_MAX(n)	    "\"queue_max\": " #n
#define NOFORK(level)	    "\"nofork\": \"" level "\""
#define WARM_TIMEOUT(ms)    "\"warm_timeout_ms\": " #ms
#define COLD		    "\"prestart\": false"
#define PRESTART	    "\"prestart\": true"
#define PROBE		    TEMPLATE("probe", "probe.so", PRESTART)

/* Starts it and waits until it says that it serves. config is the file's whole text; NULL: a
 * configuration with the template "probe" alone. */
void server_start(struct server *s, const char *config);
/* The steps of server_start(): a directory, then a process in it. May be repeated after the
 * process is over. */
void server_prepare(struct server *s, const char *config);
void server_launch(struct server *s);
/* Replaces the configuration's text; the server does not know yet. */
void server_write_config(struct server *s, const char *config);
/* Orderly, by SIGTERM; see above. Does nothing after server_kill() or a stop. */
void server_stop(struct server *s);
/* SIGTERM, then waits for the end. Returns the exit status, -1 when a signal ended it. */
int server_terminate(struct server *s);
/* Waits for the end of it. Returns as server_terminate(). */
int server_await_end(struct server *s);
/* SIGKILL to the keeper and waits until all that descended from it is over. */
void server_kill(struct server *s);
/* What a killed keeper cannot remove: the socket and its lock. */
void server_remove_stale(const struct server *s);
/* For a suite's .fini, where Criterion prints a failed assertion and lets the test pass: says what
 * was expected, and ends the process by a signal when the fini is over (fini_end()). */
void fini_expect(bool holds, const char *format, ...) __attribute__((format(printf, 2, 3)));
void fini_end(void);
/* Sends sig to the keeper by its pidfd. */
void server_signal(struct server *s, int sig);
/* Waits for a datagram at the notification socket that holds the text. */
void server_await_notice(struct server *s, const char *text);
/* The log so far; free it. */
char *server_log(const struct server *s);

/* A connection to it. */
struct spawn_client *server_client(const struct server *s);
pid_t server_broker(const struct server *s);

/* The server's own state of a template and its leaves. */
struct template_state_seen {
	bool found;
	char state[16], nofork[64], reason[1100], tail[4200];
	uint64_t generation, hits, misses, retry_ms;
	uint32_t parked, launched, queued;
	pid_t host;
	size_t n_leaves;
	pid_t leaves[512];
	char leaf_states[512][12];
};
void server_status(struct spawn_client *client, const char *template_name,
		   struct template_state_seen *ret);
/* Asks until the template has at least that many parked. */
void server_await_parked(struct spawn_client *client, const char *template_name, uint32_t n);
/* A parked leaf's pid, or 0. */
pid_t server_parked_leaf(struct spawn_client *client, const char *template_name);

/* Evaluates the condition until it holds; fails the test after PATIENCE_MS. For what has no event.
 */
#define AWAIT(condition)                                                                \
	do {                                                                            \
		uint64_t await_end = now_ms() + PATIENCE_MS;                            \
		while (!(condition)) {                                                  \
			cr_assert_lt(now_ms(), await_end, "still not: %s", #condition); \
			pause_briefly();                                                \
		}                                                                       \
	} while (0)
uint64_t now_ms(void);
void pause_briefly(void);
/* Waits until fd is readable or hung up; false after PATIENCE_MS. */
bool await_readable(int fd);

#endif
