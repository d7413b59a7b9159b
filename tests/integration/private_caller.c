/* SPDX-License-Identifier: MIT */
/* private-caller SCENARIO: ends with 0 when all of it holds, 77 when it cannot be tried here. */
#include "private_caller.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_S (SANITIZED ? 180 : 60)

bool is_other_user;

void progress(void)
{
	alarm(PATIENCE_S); /* by default it ends the process */
	CHECK(write(1, ".", 1) == 1, "write");
}

struct spawn_client *own_client(void)
{
	struct spawn_client *client;
	struct spawn_error err;
	int r = spawn_private_open(&client, &err);

	CHECK(r == 0, "%d %s", r, err.message);
	return client;
}

struct spawn_request *probe(const char *arg, ...)
{
	struct spawn_request *request = spawn_request_new(NULL);
	va_list more;

	CHECK(request, "memory");
	spawn_request_program(request, getenv("PRIVATE_PROBE"));
	va_start(more, arg);
	for (; arg; arg = va_arg(more, const char *))
		spawn_request_args(request, 1, &arg);
	va_end(more);
	return request;
}

struct spawn_request *shell(const char *script)
{
	struct spawn_request *request = spawn_request_new(NULL);

	CHECK(request, "memory");
	spawn_request_program(request, "/bin/sh");
	spawn_request_args(request, 2, (const char *const[]){"-c", script});
	return request;
}

struct spawn_proc *start(struct spawn_client *client, struct spawn_request *request)
{
	struct spawn_error err = {0};
	struct spawn_proc *proc;
	int r = spawn_process(client, request, &proc, &err);

	CHECK(r == 0, "%d at %s: %s", r, err.step, err.message);
	spawn_request_free(request);
	return proc;
}

int wait_status(pid_t pid)
{
	int status;
	pid_t r;

	do
		r = waitpid(pid, &status, 0);
	while (r < 0 && errno == EINTR);
	CHECK(r == pid, "waitpid(%d) is %d: %s", (int)pid, (int)r, strerror(errno));
	return status;
}

char *read_all(int fd)
{
	size_t size = 65536, len = 0;
	char *text = malloc(size);
	ssize_t n;

	CHECK(text, "memory");
	while ((n = read(fd, text + len, size - len - 1)) > 0) {
		len += (size_t)n;
		if (size - len < 2)
			text = realloc(text, size *= 2);
		CHECK(text, "memory");
	}
	CHECK(n == 0, "read: %s", strerror(errno));
	text[len] = '\0';
	return text;
}

char *output_of(struct spawn_client *client, struct spawn_request *request)
{
	struct spawn_proc *proc;
	int out[2], status;
	char *text;

	CHECK(pipe2(out, O_CLOEXEC) == 0, "pipe");
	spawn_request_fd(request, out[1], 1);
	proc = start(client, request);
	close(out[1]);
	text = read_all(out[0]);
	close(out[0]);
	status = wait_status(spawn_proc_pid(proc));
	CHECK(status == 0, "status %x: %s", (unsigned)status, text);
	spawn_proc_free(proc);
	return text;
}

/* Of /proc/PID/stat; false when it is gone. */
static int read_stat(pid_t pid, char comm[32], char *state, pid_t *parent)
{
	char path[64], line[512], *open, *close;
	size_t n;
	FILE *f;
	int ppid;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	n = fread(line, 1, sizeof(line) - 1, f);
	fclose(f);
	line[n] = '\0';
	open = strchr(line, '(');
	close = strrchr(line, ')');
	if (!open || !close || sscanf(close + 1, " %c %d", state, &ppid) != 2)
		return 0;
	*close = '\0';
	snprintf(comm, 32, "%.31s", open + 1);
	*parent = ppid;
	return 1;
}

static int each_child(pid_t parent, const char *name, char wanted, pid_t *ret)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	int n = 0;

	CHECK(dir, "/proc");
	while ((entry = readdir(dir))) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10), of;
		char comm[32], state;

		if (pid <= 0 || !read_stat(pid, comm, &state, &of) || of != parent)
			continue;
		if ((wanted && state != wanted) || (name && strcmp(comm, name) != 0))
			continue;
		if (ret && state != 'Z')
			*ret = pid;
		n++;
	}
	closedir(dir);
	return n;
}

pid_t host_of(pid_t parent)
{
	pid_t pid = 0;

	each_child(parent, "spawn-private", 0, &pid);
	return pid;
}

int count_children(char state)
{
	return each_child(getpid(), NULL, state, NULL);
}

void complete(struct spawn_proc *proc, const struct spawn_error *err, void *user)
{
	struct completion *c = user;

	c->calls++;
	c->proc = proc;
	if (err) {
		c->code = err->code;
		snprintf(c->message, sizeof(c->message), "%s", err->message);
	}
}

void dispatch_once(struct spawn_client *client)
{
	struct pollfd p = {.fd = spawn_client_fd(client), .events = POLLIN};
	int r;

	CHECK(poll(&p, 1, PATIENCE_S * 1000) > 0, "nothing to dispatch");
	r = spawn_client_dispatch(client);
	CHECK(r >= 0 || r == -ECONNRESET, "dispatch: %d", r);
}

void await_completions(struct spawn_client *client, const struct completion *all, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		while (all[i].calls == 0)
			dispatch_once(client);
		CHECK(all[i].calls == 1, "completed %d times", all[i].calls);
	}
}

void submit(struct spawn_client *client, struct spawn_request *request, struct completion *c)
{
	struct spawn_error err;
	int r;

	while ((r = spawn_submit(client, request, complete, c, NULL, &err)) == -EAGAIN)
		dispatch_once(client);
	CHECK(r == 0, "%d %s", r, err.message);
}

static int run(int argc, char **argv)
{
	const struct scenario *const all[] = {children_scenarios, changes_scenarios,
					      deaths_scenarios, process_scenarios};

	alarm(PATIENCE_S); /* by default it ends the process */
	for (size_t i = 0; argc == 2 && i < 4; i++) {
		for (const struct scenario *s = all[i]; s->name; s++) {
			if (strcmp(s->name, argv[1]) != 0)
				continue;
			s->run();
			if (is_other_user)
				_exit(0);
			return 0;
		}
	}
	fprintf(stderr, "private-caller: no such scenario\n");
	return 2;
}

/* In a child: a scenario may want to lead a session, and the harness made this lead a group. */
int main(int argc, char **argv)
{
	pid_t child = fork();
	int status;

	if (child == 0)
		return run(argc, argv);
	status = wait_status(child);
	if (WIFSIGNALED(status))
		fprintf(stderr, "ended by signal %d\n", WTERMSIG(status));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
