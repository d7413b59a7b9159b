/* SPDX-License-Identifier: MIT */
#include "trial.h"

#include "json.h"
#include "libspawn.h"
#include "number.h"
#include "options.h"
#include "trial-run.h"
#include "trial-server.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXIT_FITS    0
#define EXIT_MISFIT  1
#define EXIT_USAGE   2
#define RUNS_DEFAULT 20
#define RUNS_MAX     1000

static const char usage[] =
	"Usage: spawn template try [--runs N] [--json] [--] PROGRAM [ARG...]\n"
	"Does PROGRAM fit a template of lane \"main\", and what does that save? It is run\n"
	"N times cold and N times through a server of its own, in turn; without ARG it is\n"
	"given --version.\n"
	"Exit status: 0 it fits, 1 it does not, 2 wrong usage.\n";

enum compared { OUTPUT_SAME, OUTPUT_DIFFERS, OUTPUT_VARIES };

struct verdict {
	char program[PATH_MAX];
	char **argv; /* of each run */
	size_t runs;
	bool json;
	char why[1100]; /* why it does not fit, or "" */
	enum compared output;
	int cold_status, warm_status;
	uint64_t patience_ms;	      /* for a run through the template */
	double *cold, *warm;	      /* ms, of each run */
	double cold_ms, warm_ms;      /* medians */
	long private_kib, tables_kib; /* of a parked leaf; -1: not to be read */
	pid_t parked;
};

static volatile sig_atomic_t interrupted;

static void interrupt(int sig)
{
	interrupted = sig;
}

/* 0, or -1 when it is neither a path nor in PATH. */
static int find_program(const char *name, char *ret)
{
	const char *path = getenv("PATH");
	char here[PATH_MAX];

	/* Not what a link leads to: programs go by their names. */
	if (strchr(name, '/')) {
		if (name[0] == '/')
			snprintf(ret, PATH_MAX, "%s", name);
		else if (!getcwd(here, sizeof(here)) ||
			 snprintf(ret, PATH_MAX, "%s/%s", here, name) >= PATH_MAX)
			return -1;
		return access(ret, X_OK);
	}
	for (path = path ? path : "/usr/bin:/bin"; *path; path += strspn(path, ":")) {
		size_t len = strcspn(path, ":");

		snprintf(ret, PATH_MAX, "%.*s/%s", (int)len, path, name);
		if (ret[0] == '/' && access(ret, X_OK) == 0)
			return 0;
		path += len;
	}
	return -1;
}

/* 0; or 1, all is said and done; or -1. */
static int parse(struct verdict *v, char **args)
{
	static char *with_version[] = {NULL, (char *)"--version", NULL};
	uint64_t runs = RUNS_DEFAULT;

	if (!*args || strcmp(*args++, "try") != 0)
		return usage_error("template knows one thing: try PROGRAM");
	for (; *args && args[0][0] == '-'; args++) {
		if (strcmp(*args, "--") == 0) {
			args++;
			break;
		}
		if (strcmp(*args, "--help") == 0) {
			fputs(usage, stdout);
			return 1;
		}
		if (strcmp(*args, "--json") == 0) {
			v->json = true;
		} else if (strcmp(*args, "--runs") == 0 && args[1]) {
			args++;
			if (number_parse(*args, strlen(*args), RUNS_MAX, &runs) < 0 || runs == 0)
				return usage_error("--runs wants 1 to %d, not '%s'", RUNS_MAX,
						   *args);
		} else {
			return usage_error("template try knows no %s", *args);
		}
	}
	if (!*args)
		return usage_error("template try wants a program");
	if (find_program(*args, v->program) < 0)
		return usage_error("template try: there is no program %s that can be executed",
				   *args);
	with_version[0] = *args;
	v->argv = args[1] ? args : with_version;
	v->runs = runs;
	return 0;
}

static void take_template(const struct spawn_template_status *t, void *user)
{
	struct verdict *v = user;

	if (*t->reason)
		snprintf(v->why, sizeof(v->why), "%s", t->reason);
}

static void take_leaf(const struct spawn_leaf_status *l, void *user)
{
	if (strcmp(l->state, "parked") == 0)
		((struct verdict *)user)->parked = l->pid;
}

/* The sum of these lines of a file of /proc, in KiB; -1: it cannot be read. */
static long read_kib(pid_t pid, const char *file, const char *const *names)
{
	char path[64], line[256];
	long sum = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		for (const char *const *name = names; *name; name++)
			if (strncmp(line, *name, strlen(*name)) == 0)
				sum = (sum < 0 ? 0 : sum) + strtol(line + strlen(*name), NULL, 10);
	if (f)
		fclose(f);
	return sum;
}

static int ask_status(struct spawn_client *client, struct verdict *v, struct spawn_error *err)
{
	static const struct spawn_status_calls calls = {.template_ = take_template,
							.leaf = take_leaf};
	static const char *const private[] = {"Private_Clean:", "Private_Dirty:", NULL};
	static const char *const tables[] = {"VmPTE:", NULL};
	int r = spawn_client_status(client, &calls, v, err);

	v->private_kib = v->tables_kib = -1;
	if (r == 0 && v->parked) {
		v->private_kib = read_kib(v->parked, "smaps_rollup", private);
		v->tables_kib = read_kib(v->parked, "status", tables);
	}
	return r;
}

/* Those that are the template's, and room for one more; free it. */
static const char **key_variables(size_t *ret_n)
{
	const char **list;
	size_t n = 0;

	while (environ[n])
		n++;
	list = calloc(n + 2, sizeof(*list));
	*ret_n = 0;
	for (char **p = environ; list && *p; p++)
		if (trial_is_key(*p))
			list[(*ret_n)++] = *p;
	return list;
}

/* Which variables a constructor asked for: with one of them alone it is executed anew as well. */
static int blame(struct spawn_client *client, struct verdict *v, struct spawn_error *err)
{
	size_t n, len = (size_t)snprintf(v->why, sizeof(v->why), "before main is asked for");
	const char **env = key_variables(&n);
	int r = env ? 0 : -ENOMEM;

	for (char **p = environ; r >= 0 && *p; p++) {
		int name = (int)strcspn(*p, "=");

		if (trial_is_key(*p) || len + (size_t)name + 100 > sizeof(v->why))
			continue;
		env[n] = *p;
		r = trial_executes(client, TRIAL_TEMPLATE, v->argv, env, err);
		if (r > 0)
			len += (size_t)snprintf(v->why + len, sizeof(v->why) - len, " %.*s", name,
						*p);
	}
	snprintf(v->why + len, sizeof(v->why) - len,
		 ", so with it each run is executed anew (give it to the template's \"env\")");
	free(env);
	return r < 0 ? r : 0;
}

/* What is compared: two cold runs, so that what varies by itself is known, and a warm one. The
 * first of each is not timed. 0, 1 when the template does not start, or -1. */
static int compare(struct spawn_client *client, struct verdict *v, struct spawn_error *err)
{
	struct trial_run one = {0}, two = {0}, warm = {0};
	int r = trial_cold(v->program, v->argv, &one), rw;

	if (r == 0)
		r = trial_cold(v->program, v->argv, &two);
	if (r < 0) {
		snprintf(err->message, sizeof(err->message), "cannot run %.300s: %s", v->program,
			 strerror(-r));
		return -1;
	}
	v->patience_ms = 10000 + 10 * (uint64_t)one.ms;
	rw = trial_warm(client, TRIAL_TEMPLATE, v->argv, v->patience_ms, &warm, err);
	v->cold_status = one.status;
	v->warm_status = warm.status;
	v->output = !trial_same_output(&one, &two)    ? OUTPUT_VARIES
		    : !trial_same_output(&one, &warm) ? OUTPUT_DIFFERS
						      : OUTPUT_SAME;
	trial_run_free(&one);
	trial_run_free(&two);
	trial_run_free(&warm);
	r = rw < 0 ? rw : trial_executes(client, TRIAL_TEMPLATE, v->argv, NULL, err);
	if (r > 0)
		r = blame(client, v, err);
	if (r < 0)
		snprintf(v->why, sizeof(v->why), "%s", err->message);
	return r < 0;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, size_t n)
{
	qsort(values, n, sizeof(*values), by_value);
	return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static int measure(struct spawn_client *client, struct verdict *v, struct spawn_error *err)
{
	for (size_t i = 0; i < v->runs; i++) {
		struct trial_run cold = {0}, warm = {0};
		int r;

		if (interrupted) {
			snprintf(err->message, sizeof(err->message), "interrupted");
			return -1;
		}
		r = trial_cold(v->program, v->argv, &cold);
		if (r == 0)
			r = trial_warm(client, TRIAL_TEMPLATE, v->argv, v->patience_ms, &warm, err);
		v->cold[i] = cold.ms;
		v->warm[i] = warm.ms;
		if (r == 0 && warm.status != cold.status)
			v->warm_status = warm.status;
		trial_run_free(&cold);
		trial_run_free(&warm);
		if (r < 0)
			return r;
	}
	v->cold_ms = median(v->cold, v->runs);
	v->warm_ms = median(v->warm, v->runs);
	return 0;
}

static int examine(struct verdict *v, const char *socket, struct spawn_error *err)
{
	struct spawn_client *client = NULL;
	int r = spawn_client_open(&client, socket, err);

	if (r == 0)
		r = compare(client, v, err);
	if (r == 0)
		r = ask_status(client, v, err);
	if (r == 0)
		r = measure(client, v, err);
	spawn_client_close(client);
	if (r == 0 && !v->why[0] && v->warm_status != v->cold_status)
		snprintf(v->why, sizeof(v->why), "it ends with status %d, and cold with %d",
			 v->warm_status, v->cold_status);
	else if (r == 0 && !v->why[0] && v->output == OUTPUT_DIFFERS)
		snprintf(v->why, sizeof(v->why), "its output is not what it is cold");
	return r;
}

static void print_json(const struct verdict *v)
{
	static const char *const outputs[] = {"same", "differs", "varies"};

	fputs("{\"program\":", stdout);
	json_string(stdout, v->program);
	printf(",\"fits\":%s,\"why\":", v->why[0] ? "false" : "true");
	json_string(stdout, v->why);
	if (v->warm_ms > 0)
		printf(",\"runs\":%zu,\"cold_ms\":%.3f,\"lane_ms\":%.3f,\"ratio\":%.3f,"
		       "\"output\":\"%s\",\"status\":%d,\"parked_private_kib\":%ld,"
		       "\"parked_tables_kib\":%ld",
		       v->runs, v->cold_ms, v->warm_ms, v->warm_ms / v->cold_ms, outputs[v->output],
		       v->warm_status, v->private_kib, v->tables_kib);
	fputs("}\n", stdout);
}

static void print_text(const struct verdict *v)
{
	if (v->why[0])
		printf("%s does not fit the lane \"main\": %s\n", v->program, v->why);
	else
		printf("%s fits the lane \"main\"\n", v->program);
	if (v->warm_ms > 0) {
		printf("  cold %.2f ms, through the template %.2f ms: %.2f of it (medians of %zu "
		       "runs each, in turn)\n",
		       v->cold_ms, v->warm_ms, v->warm_ms / v->cold_ms, v->runs);
		printf("  status %d%s, output %s\n", v->warm_status,
		       v->warm_status == v->cold_status ? " as cold" : "",
		       v->output == OUTPUT_SAME	     ? "as cold"
		       : v->output == OUTPUT_DIFFERS ? "not as cold"
						     : "varies from run to run, cold as well");
	}
	if (v->warm_ms > 0 && v->tables_kib >= 0) {
		printf("  a parked leaf takes %ld KiB of page tables", v->tables_kib);
		if (v->private_kib >= 0)
			printf(" and has %ld KiB to itself", v->private_kib);
		putchar('\n');
	}
	if (v->why[0]) {
		printf("  it is executed each time instead; without a template: spawn -- %s\n",
		       v->argv[0]);
		return;
	}
	fputs("  in spawnd.json: \"NAME\": {\"lane\": \"main\", \"program\": ", stdout);
	json_string(stdout, v->program);
	puts("}");
	for (char **p = environ; *p; p++)
		if (trial_is_key(*p))
			printf("  with \"env\": %.*s as it is here\n", (int)strcspn(*p, "="), *p);
}

int trial(char **args)
{
	struct sigaction stop = {.sa_handler = interrupt};
	struct verdict v = {.private_kib = -1, .tables_kib = -1};
	struct trial_server server;
	struct spawn_error err = {0};
	int r = parse(&v, args);

	if (r != 0)
		return r < 0 ? EXIT_USAGE : 0;
	v.cold = calloc(v.runs, sizeof(*v.cold));
	v.warm = calloc(v.runs, sizeof(*v.warm));
	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGHUP, &stop, NULL);
	r = v.cold && v.warm ? trial_server_start(&server, v.program) : -1;
	if (r == 0) {
		r = examine(&v, server.socket, &err);
		if (r < 0)
			fprintf(stderr, "spawn: template try: %s\n", err.message);
	}
	trial_server_stop(&server);
	free(v.cold);
	free(v.warm);
	if (r < 0)
		return EXIT_SPAWN_FAILED;
	if (v.json)
		print_json(&v);
	else
		print_text(&v);
	return v.why[0] ? EXIT_MISFIT : EXIT_FITS;
}
