/* SPDX-License-Identifier: MIT */
/* An unmodified program, for tests/integration/main_lane.c: it says what it sees of itself. It
 * makes no use of anything of spawnd's. */
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <unistd.h>

const char *held_lib_saw(void);

static char seen[256];

__attribute__((constructor)) static void construct(int argc, char **argv, char **envp)
{
	snprintf(seen, sizeof(seen), "constructor %d %s %s", argc, argv[argc - 1],
		 envp[0] ? envp[0] : "none");
}

static void say_goodbye(void)
{
	puts("atexit");
}

/* From one to the next, as programs that need no libc do. */
static void walk(char **argv)
{
	char **p = argv;
	const ElfW(auxv_t) * aux;
	int n = 0;

	while (*p++)
		;
	for (; *p; p++)
		n++;
	aux = (const void *)(p + 1);
	while (aux->a_type != AT_PAGESZ && aux->a_type != AT_NULL)
		aux++;
	printf("argc %ld, %d variables, page size %s\n", *(long *)(void *)(argv - 1), n,
	       aux->a_un.a_val == (unsigned long)getpagesize() ? "right" : "wrong");
	printf("behind each other: %s\n",
	       !argv[1] || argv[1] == argv[0] + strlen(argv[0]) + 1 ? "yes" : "no");
}

int main(int argc, char **argv, char **envp)
{
	char name[16];
	pthread_attr_t threads;
	size_t stack;

	atexit(say_goodbye);
	prctl(PR_GET_NAME, name);
	printf("%s\n", seen);
	printf("argv[0] %s, %s, %s, comm %s\n", argv[0], program_invocation_name,
	       program_invocation_short_name, name);
	printf("environ %s, A=%s, preload %s, summons %s\n", environ == envp ? "same" : "differs",
	       getenv("A") ? getenv("A") : "", getenv("LD_PRELOAD") ? "is there" : "is not there",
	       getenv("SPAWND_HOST") ? "is there" : "is not there");
	printf("library saw %s\n", held_lib_saw());
	printf("executed as %s\n", (const char *)getauxval(AT_EXECFN));
	if (pthread_getattr_default_np(&threads) == 0 &&
	    pthread_attr_getstacksize(&threads, &stack) == 0)
		printf("stack of threads %zu\n", stack);
	walk(argv);
	return argc > 1 ? atoi(argv[1]) : 0;
}
