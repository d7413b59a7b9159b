/* SPDX-License-Identifier: MIT */
/*
 * An application that was not written for spawnd: starts children in all ways of libc's that
 * libspawn-preload.so stands in for, and prints what came of it, without a pid or a time, so that
 * it prints the same with and without. What its children are is looked at by itself, as --child.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *self;

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vdprintf(STDOUT_FILENO, format, args);
	va_end(args);
}

static void say_status(const char *what, int status)
{
	if (WIFEXITED(status))
		say("%s: exit %d\n", what, WEXITSTATUS(status));
	else if (WIFSIGNALED(status))
		say("%s: signal %d%s\n", what, WTERMSIG(status), WCOREDUMP(status) ? " core" : "");
	else
		say("%s: status %#x\n", what, (unsigned)status);
}

/* What a child has. */
static int child_main(int argc, char **argv)
{
	char cwd[4096], link[64], target[256];
	struct sigaction sa;
	sigset_t mask;
	mode_t umasked = umask(0);

	say("  argv");
	for (int i = 0; i < argc; i++)
		say(" [%s]", i == 0 ? strrchr(argv[0], '/') ? "path" : argv[0] : argv[i]);
	say("\n  cwd %s umask %03o X=%s\n", getcwd(cwd, sizeof(cwd)), umasked,
	    getenv("X") ? getenv("X") : "-");
	say("  parent %s session %s group %s\n",
	    getenv("PARENT") && atol(getenv("PARENT")) == getppid() ? "same" : "other",
	    getsid(0) == getsid(getppid()) ? "same" : "other",
	    getpgrp() == getpgid(getppid()) ? "same" : "other");
	sigprocmask(SIG_SETMASK, NULL, &mask);
	say("  blocked");
	for (int sig = 1; sig < 32; sig++)
		if (sigismember(&mask, sig))
			say(" %d", sig);
	say(" ignored");
	for (int sig = 1; sig < 32; sig++)
		if (sigaction(sig, NULL, &sa) == 0 && sa.sa_handler == SIG_IGN)
			say(" %d", sig);
	say("\n  open");
	for (int fd = 0; fd < 300; fd++) {
		ssize_t n;

		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = readlink(link, target, sizeof(target) - 1);
		if (n < 0)
			continue;
		target[n] = 0;
		say(" %d=%s", fd,
		    strncmp(target, "pipe:", 5) == 0 ? "pipe"
		    : strrchr(target, '/')	     ? strrchr(target, '/') + 1
						     : target);
	}
	say("\n");
	return 0;
}

static int start_with(const posix_spawn_file_actions_t *fa, const posix_spawnattr_t *attr)
{
	char *argv[] = {(char *)"name", (char *)"--child", (char *)"a b", (char *)"", NULL};
	int status, r;
	pid_t pid;

	r = posix_spawn(&pid, self, fa, attr, argv, environ);
	if (r) {
		say("  failed: %s\n", strerror(r));
		return r;
	}
	if (waitpid(pid, &status, 0) != pid)
		say("  waitpid: %s\n", strerror(errno));
	else
		say_status("  status", status);
	return 0;
}

static void shell(const char *what, const char *command)
{
	char *argv[] = {(char *)"sh", (char *)"-c", (char *)command, NULL};
	int status, r;
	pid_t pid;

	r = posix_spawnp(&pid, "sh", NULL, NULL, argv, environ);
	if (r || waitpid(pid, &status, 0) != pid)
		say("%s: failed %d\n", what, r);
	else
		say_status(what, status);
}

static void statuses(void)
{
	char *argv[] = {(char *)"x", NULL};
	pid_t pid = -7;

	shell("exit", "exit 7");
	shell("killed", "kill -TERM $$");
	shell("127", "exit 127");
	say("missing: %s\n",
	    strerror(posix_spawn(&pid, "/nonexistent", NULL, NULL, argv, environ)));
	say("not in PATH: %s\n",
	    strerror(posix_spawnp(&pid, "nosuchprogram", NULL, NULL, argv, environ)));
	say("not executable: %s\n",
	    strerror(posix_spawn(&pid, "/etc/passwd", NULL, NULL, argv, environ)));
	say("a directory: %s\n", strerror(posix_spawn(&pid, "/", NULL, NULL, argv, environ)));
}

/* Numbers that do not depend on what else is open. */
static int open_as(const char *path, int flags, int number)
{
	int fd = open(path, flags | O_CLOEXEC), as = fcntl(fd, F_DUPFD, number);

	close(fd);
	fcntl(as, F_SETFD, flags & O_CLOEXEC);
	return as;
}

static void plain(void)
{
	int lasting = open_as("/dev/null", O_RDONLY, 20),
	    gone = open_as("/dev/null", O_RDONLY | O_CLOEXEC, 21);

	say("plain\n");
	start_with(NULL, NULL);
	setenv("X", "it's\nso", 1);
	umask(077);
	say("changed\n");
	start_with(NULL, NULL);
	umask(022);
	close(lasting);
	close(gone);
}

static void actions(void)
{
	posix_spawn_file_actions_t fa;
	int a = open_as("/dev/null", O_RDWR | O_CLOEXEC, 20),
	    b = open_as("/etc/passwd", O_RDONLY | O_CLOEXEC, 21);
	int high = fcntl(b, F_DUPFD_CLOEXEC, 200);

	say("actions: swapped, doubled, closed\n");
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, a, 100);
	posix_spawn_file_actions_adddup2(&fa, b, a);
	posix_spawn_file_actions_adddup2(&fa, 100, b);
	posix_spawn_file_actions_adddup2(&fa, high, high);
	posix_spawn_file_actions_adddup2(&fa, a, 0);
	posix_spawn_file_actions_addclose(&fa, 100);
	posix_spawn_file_actions_addclose(&fa, 250);
	start_with(&fa, NULL);
	posix_spawn_file_actions_destroy(&fa);

	say("actions: opened, in another directory\n");
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_addchdir_np(&fa, "/etc");
	posix_spawn_file_actions_addopen(&fa, 5, "passwd", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&fa, 5, 0);
	posix_spawn_file_actions_addopen(&fa, 6, "group", O_RDONLY | O_CLOEXEC, 0);
	posix_spawn_file_actions_addchdir_np(&fa, "..");
	start_with(&fa, NULL);
	posix_spawn_file_actions_destroy(&fa);

	say("actions: a standard one closed\n");
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_addclose(&fa, 0);
	start_with(&fa, NULL);
	posix_spawn_file_actions_destroy(&fa);

	say("actions: what fails\n");
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, 222, 0);
	start_with(&fa, NULL);
	posix_spawn_file_actions_destroy(&fa);
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_addopen(&fa, 0, "/nonexistent", O_RDONLY, 0);
	start_with(&fa, NULL);
	posix_spawn_file_actions_destroy(&fa);
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_addchdir_np(&fa, "/nonexistent");
	start_with(&fa, NULL);
	posix_spawn_file_actions_destroy(&fa);

	posix_spawn_file_actions_init(&fa);
	if (posix_spawn_file_actions_addclosefrom_np(&fa, 3) == 0) {
		int lasting = open_as("/dev/null", O_RDONLY, 20);

		say("actions: closed from 3\n");
		start_with(&fa, NULL);
		close(lasting);
	}
	posix_spawn_file_actions_destroy(&fa);
	close(a);
	close(b);
	close(high);
}

static void set_handler(int sig, void (*handler)(int))
{
	struct sigaction sa = {.sa_handler = handler};

	sigaction(sig, &sa, NULL);
}

static void attributes(void)
{
	posix_spawnattr_t attr;
	sigset_t set;

	set_handler(SIGPIPE, SIG_IGN);
	set_handler(SIGUSR1, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	say("signals, inherited\n");
	start_with(NULL, NULL);
	say("signals, set\n");
	posix_spawnattr_init(&attr);
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	posix_spawnattr_setsigdefault(&attr, &set);
	sigaddset(&set, SIGHUP);
	posix_spawnattr_setsigmask(&attr, &set);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	start_with(NULL, &attr);
	posix_spawnattr_destroy(&attr);
	say("a group, a session, both\n");
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP);
	start_with(NULL, &attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID);
	start_with(NULL, &attr);
	posix_spawnattr_setpgroup(&attr, 1);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP);
	start_with(NULL, &attr);
	posix_spawnattr_destroy(&attr);
	sigprocmask(SIG_SETMASK, NULL, &set);
	say("own mask kept: %d\n", sigismember(&set, SIGUSR2) && !sigismember(&set, SIGHUP));
	sigemptyset(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
	set_handler(SIGPIPE, SIG_DFL);
	set_handler(SIGUSR1, SIG_DFL);
}

static void shells(void)
{
	char line[64] = "";
	FILE *reads, *writes;
	int hold[2];

	say("system(NULL): %d\n", system(NULL) != 0);
	say_status("system", system("exit 3"));
	say_status("system, killed", system("kill -INT $$"));
	reads = popen("echo out; exit 4", "r");
	writes = popen("read a; exit $a", "we");
	say("read: %s", reads && fgets(line, sizeof(line), reads) ? line : "nothing\n");
	if (writes)
		fputs("6\n", writes);
	say_status("pclose, written", writes ? pclose(writes) : -1);
	say_status("pclose, read", reads ? pclose(reads) : -1);
	say("popen, bad mode: %s\n", popen("true", "x") ? "opened" : strerror(errno));
	/* The second has no copy of the first one's stream: or the first would not see its end. */
	writes = popen("cat >/dev/null; exit 8", "w");
	if (pipe2(hold, O_CLOEXEC) < 0 || dup2(hold[0], 9) != 9)
		exit(1);
	reads = popen("read x <&9; exit 9", "re");
	say_status("pclose beside another", writes ? pclose(writes) : -1);
	close(hold[1]);
	say_status("pclose of that", reads ? pclose(reads) : -1);
	close(hold[0]);
	close(9);
}

static pid_t start_exit(const char *status)
{
	char *argv[] = {(char *)"sh", (char *)"-c", (char *)status, NULL};
	pid_t pid;

	return posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ) == 0 ? pid : -1;
}

static void waits(void)
{
	pid_t pids[3] = {start_exit("exit 1"), start_exit("exit 2"), start_exit("exit 3")};
	int status, sum = 0, known = 0;
	siginfo_t info;
	pid_t pid;

	while ((pid = wait(&status)) > 0) {
		for (int i = 0; i < 3; i++)
			known += pids[i] == pid;
		sum += WEXITSTATUS(status);
	}
	say("wait: %d known, sum %d, then %s\n", known, sum, strerror(errno));
	pid = waitpid(-1, &status, WNOHANG);
	say("waitpid, nobody: %d %s\n", (int)pid, strerror(errno));
	say("waitid, nobody: %d %s\n", waitid(P_ALL, 0, &info, WEXITED), strerror(errno));
	pids[0] = start_exit("exit 9");
	say("waitid, looked: %d", waitid(P_ALL, 0, &info, WEXITED | WNOWAIT));
	say(" the same: %d status %d\n", info.si_pid == pids[0], info.si_status);
	say("waitid, taken: %d", waitid(P_PGID, (id_t)getpgrp(), &info, WEXITED));
	say(" the same: %d status %d\n", info.si_pid == pids[0], info.si_status);
	pids[0] = start_exit("read x </dev/zero; exit 0");
	say("waitpid, running: %d\n", (int)waitpid(-1, &status, WNOHANG));
	kill(pids[0], SIGKILL);
	say("waitpid(0): %d", waitpid(0, &status, 0) == pids[0]);
	say_status(" it was", status);
}

static void *work(void *arg)
{
	int *right = arg;

	for (int i = 0; i < 20; i++) {
		char command[32];
		int status;
		pid_t pid;

		snprintf(command, sizeof(command), "exit %d", i);
		pid = start_exit(command);
		*right += pid > 0 && waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == i;
	}
	return NULL;
}

static void threads(void)
{
	pthread_t ids[4];
	int right[4] = {0}, sum = 0;

	for (int i = 0; i < 4; i++)
		pthread_create(&ids[i], NULL, work, &right[i]);
	for (int i = 0; i < 4; i++) {
		pthread_join(ids[i], NULL);
		sum += right[i];
	}
	say("threads: %d right\n", sum);
}

static void forks(void)
{
	struct rusage usage;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		char parent[32];

		setsid();
		snprintf(parent, sizeof(parent), "%d", (int)getpid());
		setenv("PARENT", parent, 1);
		say("in a child that began a session\n");
		start_with(NULL, NULL);
		_exit(system("exit 2") == W_EXITCODE(2, 0) ? 11 : 12);
	}
	waitpid(pid, &status, 0);
	say_status("fork", status);
	pid = vfork();
	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", "exit 13", (char *)NULL);
		_exit(1);
	}
	waitpid(pid, &status, 0);
	say_status("vfork", status);
	shell("busy", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done");
	getrusage(RUSAGE_CHILDREN, &usage);
	say("children used time: %d\n", usage.ru_utime.tv_sec > 0 || usage.ru_utime.tv_usec > 0);
}

static volatile sig_atomic_t reaped;

/* As many programs do: all that are over, and nothing more is known. */
static void reap_all(int sig)
{
	int saved = errno;

	(void)sig;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		reaped++;
	errno = saved;
}

/* The handler interrupts whoever has the heap's lock. */
static void handlers(void)
{
	char *command[] = {(char *)"true", NULL};
	sigset_t child, none;
	int started = 0;
	pid_t pid;

	set_handler(SIGCHLD, reap_all);
	for (int i = 0; i < 200; i++) {
		started += posix_spawnp(&pid, "true", NULL, NULL, command, environ) == 0;
		for (int k = 0; k < 20000 && reaped < started; k++)
			free(malloc((size_t)(2000 + k)));
	}
	sigemptyset(&none);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	while (reaped < started)
		sigsuspend(&none);
	sigprocmask(SIG_UNBLOCK, &child, NULL);
	set_handler(SIGCHLD, SIG_DFL);
	say("reaped by a handler: %d of %d\n", (int)reaped, started);
}

/* Numbers are the program's own: what it opens has the next that is free. */
static void numbers(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	say("next descriptor: %d\n", fd);
	close(fd);
}

int main(int argc, char **argv)
{
	char parent[32];

	if (argc > 1 && strcmp(argv[1], "--child") == 0)
		return child_main(argc, argv);
	self = realpath("/proc/self/exe", NULL);
	snprintf(parent, sizeof(parent), "%d", (int)getpid());
	setenv("PARENT", parent, 1);
	if (argc > 1 && strcmp(argv[1], "--left") == 0) {
		posix_spawnattr_t attr;
		struct sched_param param = {0};

		posix_spawnattr_init(&attr);
		posix_spawnattr_setschedpolicy(&attr, SCHED_OTHER);
		posix_spawnattr_setschedparam(&attr, &param);
		posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSCHEDULER);
		start_with(NULL, &attr);
		start_with(NULL, &attr);
		return 0;
	}
	statuses();
	plain();
	actions();
	attributes();
	waits();
	threads();
	handlers();
	forks();
	shells();
	numbers();
	return 0;
}
