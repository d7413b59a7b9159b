/* SPDX-License-Identifier: MIT */
/* warm() leaves what FINDING names, which a fork does not keep or all leaves would share. */
#include <libspawn-template.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static pthread_t thread;
static int wake[2];
static int runs;

static void *await_end(void *arg)
{
	char c;

	(void)arg;
	(void)!read(wake[0], &c, 1);
	return NULL;
}

static void end_thread(void)
{
	if (!runs)
		return;
	runs = 0;
	close(wake[1]);
	pthread_join(thread, NULL);
	close(wake[0]);
}

static int start_thread(void)
{
	if (pipe2(wake, O_CLOEXEC) < 0)
		return -errno;
	runs = 1;
	pthread_atfork(end_thread, NULL, NULL);
	return -pthread_create(&thread, NULL, await_end, NULL);
}

static int make_signal(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return raise(SIGUSR2);
}

static int make(const char *what)
{
	const struct itimerval hour = {.it_value.tv_sec = 3600};
	struct sigevent nothing = {.sigev_notify = SIGEV_NONE};
	struct io_uring_params params = {0};
	timer_t timer;

	if (strcmp(what, "descriptor") == 0)
		return open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	if (strcmp(what, "stream") == 0)
		return fputs("not yet", stdout);
	if (strcmp(what, "shared") == 0)
		return mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
			    0) == MAP_FAILED
			       ? -1
			       : 0;
	if (strcmp(what, "signal") == 0)
		return make_signal();
	if (strcmp(what, "itimer") == 0)
		return setitimer(ITIMER_VIRTUAL, &hour, NULL);
	if (strcmp(what, "timer") == 0)
		return timer_create(CLOCK_MONOTONIC, &nothing, &timer);
	if (strcmp(what, "io_uring") == 0)
		return (int)syscall(SYS_io_uring_setup, 4, &params);
	return 0;
}

static int warm(void **state)
{
	const char *what = getenv("FINDING");

	(void)state;
	if (!what)
		return -EINVAL;
	if (strcmp(what, "atfork") == 0)
		return start_thread();
	return make(what) < 0 ? -errno : 0;
}

static int entry(void *state, int argc, char **argv)
{
	(void)state, (void)argc, (void)argv;
	return 5;
}

SPAWN_TEMPLATE(.warm = warm, .entry = entry);
