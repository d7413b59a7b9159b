/* SPDX-License-Identifier: MIT */
#include "probe_run.h"

#include "server.h"

#include "base/fd.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct spawn_request *request_v(const char *template_name, const char *arg, va_list more)
{
	struct spawn_request *request = spawn_request_new(template_name);

	cr_assert_not_null(request);
	for (; arg; arg = va_arg(more, const char *))
		cr_assert_eq(spawn_request_args(request, 1, &arg), 0);
	return request;
}

struct spawn_request *probe_request(const char *arg, ...)
{
	struct spawn_request *request;
	va_list more;

	va_start(more, arg);
	request = request_v("probe", arg, more);
	va_end(more);
	return request;
}

struct spawn_request *template_request(const char *template_name, ...)
{
	struct spawn_request *request;
	va_list more;

	va_start(more, template_name);
	request = request_v(template_name, va_arg(more, const char *), more);
	va_end(more);
	return request;
}

void make_pipe(int ret[2])
{
	cr_assert_eq(pipe2(ret, O_CLOEXEC), 0, "pipe: %s", strerror(errno));
}

char *read_to_end(int fd, size_t *ret_len)
{
	size_t size = 65536, len = 0;
	char *text = malloc(size);

	cr_assert_not_null(text);
	for (;;) {
		ssize_t n;

		cr_assert(await_readable(fd), "its output does not end");
		n = read(fd, text + len, size - len - 1);
		cr_assert_geq(n, 0, "read: %s", strerror(errno));
		if (n == 0)
			break;
		len += (size_t)n;
		if (size - len < 2) {
			text = realloc(text, size *= 2);
			cr_assert_not_null(text);
		}
	}
	text[len] = '\0';
	if (ret_len)
		*ret_len = len;
	return text;
}

static void start_probe(struct spawn_client *client, struct spawn_request *request, int tries,
			struct probe *ret)
{
	struct spawn_error err = {0};
	int out[2], r;

	make_pipe(out);
	cr_assert_eq(spawn_request_fd(request, out[1], 1), 0);
	*ret = (struct probe){.out = out[0], .in = -1};
	do
		r = spawn_process(client, request, &ret->proc, &err);
	while (r == -ECONNRESET && err.origin == SPAWN_ORIGIN_WIRE && --tries > 0);
	close(out[1]);
	spawn_request_free(request);
	cr_assert_eq(r, 0, "spawn: %d %s", r, err.message);
}

void probe_start(struct spawn_client *client, struct spawn_request *request, struct probe *ret)
{
	start_probe(client, request, 1, ret);
}

void probe_start_again(struct spawn_client *client, struct spawn_request *request,
		       struct probe *ret)
{
	start_probe(client, request, 3, ret);
}

void expect_service_again(struct spawn_client *client)
{
	struct probe p;
	struct outcome o;

	probe_start_again(client, probe_request("exit", "21", NULL), &p);
	probe_finish(&p, &o);
	cr_assert(o.known && o.status == 21, "status %d signal %d", o.status, o.signal);
	outcome_free(&o);
}

void probe_start_fed(struct spawn_client *client, struct spawn_request *request, struct probe *ret)
{
	int in[2];

	make_pipe(in);
	cr_assert_eq(spawn_request_fd(request, in[0], 0), 0);
	probe_start(client, request, ret);
	close(in[0]);
	ret->in = in[1];
}

void probe_await_line(struct probe *p, const char *line)
{
	char seen[4096];
	size_t len = 0;

	/* Byte by byte: what follows the line stays in the pipe. */
	for (;;) {
		cr_assert(await_readable(p->out), "the leaf does not say %s", line);
		cr_assert_eq(read(p->out, seen + len, 1), 1, "the leaf ended before it said %s",
			     line);
		if (seen[len] != '\n') {
			cr_assert_lt(++len, sizeof(seen));
			continue;
		}
		seen[len] = '\0';
		if (strcmp(seen, line) == 0)
			return;
		len = 0;
	}
}

void proc_finish(struct spawn_proc *proc, struct outcome *ret)
{
	struct spawn_exit *end = NULL;
	const char *step = "";
	int r = spawn_proc_wait(proc, PATIENCE_MS, &end);

	cr_assert_eq(r, 0, "wait: %s", strerror(-r));
	*ret = (struct outcome){
		.known = spawn_exit_known(end),
		.core = spawn_exit_core(end),
		.status = spawn_exit_status(end),
		.signal = spawn_exit_signal(end),
		.start_error = spawn_exit_start_error(end, &step),
	};
	snprintf(ret->step, sizeof(ret->step), "%s", step ? step : "");
	snprintf(ret->nofork, sizeof(ret->nofork), "%s", spawn_exit_nofork(end));
	spawn_exit_free(end);
	spawn_proc_free(proc);
}

void proc_expect_status(struct spawn_proc *proc, int status)
{
	struct outcome o;

	proc_finish(proc, &o);
	cr_assert(o.known, "the status is not known");
	cr_assert_eq(o.status, status, "status %d (signal %d), not %d", o.status, o.signal, status);
}

void probe_finish(struct probe *p, struct outcome *ret)
{
	size_t len = 0;
	char *output;

	p->in = fd_close(p->in);
	output = read_to_end(p->out, &len);
	p->out = fd_close(p->out);
	proc_finish(p->proc, ret);
	p->proc = NULL;
	ret->output = output;
	ret->output_len = len;
}

void outcome_free(struct outcome *o)
{
	free(o->output);
	o->output = NULL;
}

void probe_run(struct spawn_client *client, struct spawn_request *request, struct outcome *ret)
{
	struct probe p;

	probe_start(client, request, &p);
	probe_finish(&p, ret);
}

char *probe_output(struct spawn_client *client, struct spawn_request *request)
{
	struct outcome o;

	probe_run(client, request, &o);
	cr_assert(o.known && o.status == 0, "the leaf ended with %d (signal %d): %s", o.status,
		  o.signal, o.output);
	return o.output;
}

int probe_refused(struct spawn_client *client, struct spawn_request *request,
		  struct spawn_error *err)
{
	struct spawn_proc *proc = NULL;
	struct spawn_error mine = {0};
	int r = spawn_process(client, request, &proc, err ? err : &mine);

	spawn_request_free(request);
	cr_assert_lt(r, 0, "it was not refused");
	cr_assert_null(proc);
	return r;
}
