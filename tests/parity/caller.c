/* SPDX-License-Identifier: MIT */
/*
 * parity-caller MODE TABLE: starts a server, makes itself as different from it as it may, starts
 * the probe by fork and exec, as a child of its own, as the server's leaf and by the command spawn,
 * and compares all that the probe tells. 0: all is as the table has it; 77: not possible here.
 */
#include "parity.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libspawn.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define SKIPPED	   77
#define NOBODY	   65534
#define PATIENCE_S 120
#define LISTEN_FD  3
#define KEPT	   (1u << CAP_CHOWN | 1u << CAP_KILL)

static char dir[] = "/tmp/spawnd-parity-XXXXXX", socket_path[64], config_path[64], lock_path[64];
static pid_t server;
static const char *changed[FACTS_MAX];
static size_t n_changed;

static _Noreturn void skip(const char *why)
{
	fprintf(stderr, "%s: %s\n", why, strerror(errno));
	_exit(SKIPPED);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), "%s: %s", path,
	      strerror(errno));
	close(fd);
}

/* ---- modes ---- */

static void need_root(void)
{
	errno = EPERM;
	if (geteuid() != 0)
		skip("not root");
}

static void enter_root(void)
{
	need_root();
}

static void enter_user(void)
{
	const gid_t groups[] = {NOBODY - 1};

	if (geteuid() != 0)
		return; /* it is one */
	CHECK(setgroups(1, groups) == 0 && setresgid(NOBODY, NOBODY, NOBODY) == 0 &&
		      setresuid(NOBODY, NOBODY, NOBODY) == 0,
	      "%s", strerror(errno));
	prctl(PR_SET_DUMPABLE, 1);
}

static void enter_namespace(void)
{
	char uids[64], gids[64];

	snprintf(uids, sizeof(uids), "0 %d 1", (int)geteuid());
	snprintf(gids, sizeof(gids), "0 %d 1", (int)getegid());
	if (unshare(CLONE_NEWUSER) < 0)
		skip("no user namespace can be made");
	write_file("/proc/self/setgroups", "deny");
	write_file("/proc/self/uid_map", uids);
	write_file("/proc/self/gid_map", gids);
}

static void enter_no_new_privs(void)
{
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "%s", strerror(errno));
}

static void enter_few_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {
		{.effective = KEPT, .permitted = KEPT, .inheritable = 1u << CAP_KILL}};

	need_root();
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (cap >= 32 || !(KEPT & 1u << cap))
			CHECK(prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0, "capability %lu", cap);
	CHECK(syscall(SYS_capset, &header, data) == 0, "%s", strerror(errno));
	CHECK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0) == 0, "%s",
	      strerror(errno));
}

static const struct mode {
	const char *name;
	void (*enter)(void);
} modes[] = {
	{"root", enter_root},
	{"user", enter_user},
	{"namespace", enter_namespace},
	{"no-new-privs", enter_no_new_privs},
	{"few-capabilities", enter_few_capabilities},
};

/* ---- the server ---- */

/* It has the socket from here, so there is nothing to wait for. */
static void start_server(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	snprintf(socket_path, sizeof(socket_path), "%s/socket", dir);
	snprintf(config_path, sizeof(config_path), "%s/config", dir);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
	write_file(config_path, "{\"templates\": {\"exec\": {\"lane\": \"exec\"}}}");
	CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
		      listen(fd, 64) == 0,
	      "%s: %s", socket_path, strerror(errno));
	server = fork();
	CHECK(server >= 0, "fork");
	if (server == 0) {
		char pid[16];

		prctl(PR_SET_PDEATHSIG, SIGKILL); /* also when something is not so */
		snprintf(pid, sizeof(pid), "%d", (int)getpid());
		setenv("LISTEN_PID", pid, 1);
		setenv("LISTEN_FDS", "1", 1);
		if (fd != LISTEN_FD)
			dup2(fd, LISTEN_FD);
		else
			fcntl(fd, F_SETFD, 0);
		execl(getenv("SPAWND"), "spawnd", "--user", "--config", config_path, "--socket",
		      socket_path, (char *)NULL);
		_exit(127);
	}
	close(fd);
	CHECK(setenv("SPAWND_SOCKET", socket_path, 1) == 0, "environment");
}

static void stop_server(void)
{
	int status;

	CHECK(kill(server, SIGTERM) == 0 && waitpid(server, &status, 0) == server, "the server");
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the server ended with %x",
	      (unsigned)status);
}

/* ---- the probe, in each way ---- */

static void read_probe(int fd, struct facts *ret)
{
	size_t size = 1 << 20, len = 0;
	char *text = malloc(size);
	ssize_t n;

	CHECK(text, "memory");
	while ((n = read(fd, text + len, size - len - 1)) > 0)
		len += (size_t)n;
	CHECK(n == 0 && len < size - 1, "the probe's output");
	text[len] = '\0';
	close(fd);
	facts_read(ret, text);
}

static void make_pipe(int out[2])
{
	CHECK(pipe2(out, O_CLOEXEC) == 0, "pipe");
}

/* The program of argv and its end: status 0. */
static void by_fork(const char *const *argv, struct facts *ret)
{
	int out[2], status;
	pid_t pid;

	make_pipe(out);
	pid = fork();
	CHECK(pid >= 0, "fork");
	if (pid == 0) {
		dup2(out[1], 1);
		execv(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	close(out[1]);
	read_probe(out[0], ret);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0, "%s ended with %x", argv[0],
	      (unsigned)status);
}

static void probe_by_fork(struct facts *ret)
{
	by_fork((const char *const[]){getenv("PARITY_PROBE"), "one", "two", NULL}, ret);
}

static void probe_by_command(struct facts *ret)
{
	by_fork((const char *const[]){getenv("SPAWN"), "--", getenv("PARITY_PROBE"), "one", "two",
				      NULL},
		ret);
}

static void probe_by_library(struct spawn_client *client, enum spawn_owner owner, struct facts *ret)
{
	struct spawn_request *request = spawn_request_new(NULL);
	struct spawn_error err = {0};
	struct spawn_exit *end;
	struct spawn_proc *proc;
	int out[2], r;

	make_pipe(out);
	spawn_request_program(request, getenv("PARITY_PROBE"));
	spawn_request_args(request, 2, (const char *const[]){"one", "two"});
	spawn_request_fd(request, out[1], 1);
	spawn_request_owner(request, owner);
	r = spawn_process(client, request, &proc, &err);
	CHECK(r == 0, "%d at %s: %s", r, err.step, err.message);
	close(out[1]);
	read_probe(out[0], ret);
	CHECK(spawn_proc_wait(proc, -1, &end) == 0 && spawn_exit_status(end) == 0, "the probe");
	spawn_exit_free(end);
	spawn_proc_free(proc);
	spawn_request_free(request);
}

static void note_changed(const char *name)
{
	CHECK(n_changed < FACTS_MAX, "changes");
	changed[n_changed++] = name;
}

/* Else the comparison would say nothing. */
static void expect_changed(const struct facts *first, const struct facts *forked)
{
	for (size_t i = 0; i < n_changed; i++) {
		const char *before = facts_value(first, changed[i]);
		const char *after = facts_value(forked, changed[i]);

		CHECK(before && after && strcmp(before, after) != 0, "%s did not change: %s",
		      changed[i], after ? after : "not told");
	}
}

static size_t compare(const char *table_path)
{
	struct facts first, middle, forked, seen[WAYS];
	struct spawn_client *client;
	struct table table;
	struct spawn_error err;
	size_t wrong = 0;
	int r;

	table_read(&table, table_path);
	probe_by_fork(&first);
	start_server();
	r = spawn_client_open(&client, NULL, &err);
	CHECK(r == 0, "%d %s", r, err.message);
	probe_by_library(client, SPAWN_OWNER_CALLER, &seen[WAY_OWN]);
	change_identity(note_changed);
	probe_by_library(client, SPAWN_OWNER_CALLER, &seen[WAY_OWN]);
	probe_by_fork(&middle);
	change_rest(note_changed);
	probe_by_fork(&forked);
	expect_changed(&first, &forked);
	probe_by_library(client, SPAWN_OWNER_CALLER, &seen[WAY_OWN]);
	probe_by_library(client, SPAWN_OWNER_SERVER, &seen[WAY_SERVER]);
	probe_by_command(&seen[WAY_COMMAND]);
	for (int way = 0; way < WAYS; way++)
		wrong += table_compare(&table, way, &seen[way], &forked,
				       way == WAY_OWN ? &middle : &first);
	spawn_client_close(client);
	stop_server();
	return wrong;
}

/*
 * glibc's posix_spawn (to 2.36 at least) leaves its children two signals of libc's own ignored,
 * which nobody can ask for by a sigset_t. Who started this program may have used it.
 */
static void reset_signals_of_libc(void)
{
	static const unsigned long nothing[8]; /* the kernel's struct sigaction: SIG_DFL */

	for (int sig = 32; sig <= 33; sig++)
		syscall(SYS_rt_sigaction, sig, nothing, NULL, 8);
}

static _Noreturn void run_mode(const struct mode *mode, const char *table_path)
{
	char pid[16];
	size_t wrong;

	alarm(PATIENCE_S); /* by default it ends the process */
	reset_signals_of_libc();
	mode->enter();
	CHECK(mkdtemp(dir), "%s: %s", dir, strerror(errno));
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	snprintf(lock_path, sizeof(lock_path), "%s/lock", dir);
	write_file(lock_path, "");
	CHECK(setenv("PARITY_CALLER", pid, 1) == 0 && setenv("PARITY_LOCK", lock_path, 1) == 0,
	      "environment");
	wrong = compare(table_path);
	CHECK(unlink(config_path) == 0 && unlink(lock_path) == 0, "%s", dir);
	unlink(socket_path);
	CHECK(rmdir(dir) == 0, "%s: %s", dir, strerror(errno));
	/* Without a look for leaks: it may be another user than its tracer. */
	_exit(wrong ? 1 : 0);
}

/* In a child, which leads no group and so may lead a session. */
int main(int argc, char **argv)
{
	int status;
	pid_t pid;

	for (size_t i = 0; argc == 3 && i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(argv[1], modes[i].name) != 0)
			continue;
		pid = fork();
		CHECK(pid >= 0, "fork");
		if (pid == 0)
			run_mode(&modes[i], argv[2]);
		CHECK(waitpid(pid, &status, 0) == pid, "waitpid");
		if (WIFSIGNALED(status))
			fprintf(stderr, "ended by signal %d\n", WTERMSIG(status));
		return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
	}
	fprintf(stderr, "Usage: parity-caller MODE TABLE\n");
	return 2;
}
