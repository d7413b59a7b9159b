/* SPDX-License-Identifier: MIT */
/* A library whose constructor does what its environment says, as those of some libraries do. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *saw = "";

const char *held_lib_saw(void);
const char *held_lib_saw(void)
{
	return saw;
}

static void *wait_for_ever(void *arg)
{
	for (;;)
		pause();
	return arg;
}

__attribute__((constructor)) static void construct(void)
{
	const char *does = getenv("HELD_LIB");
	pthread_t thread;

	if (!does)
		return;
	saw = does;
	if (strcmp(does, "thread") == 0)
		pthread_create(&thread, NULL, wait_for_ever, NULL);
	else if (strcmp(does, "descriptor") == 0)
		open("/dev/null", O_RDONLY | O_CLOEXEC);
	else if (strcmp(does, "signal") == 0)
		signal(SIGUSR1, SIG_IGN);
}
