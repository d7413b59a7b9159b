/* SPDX-License-Identifier: MIT */
#include "host/area.h"

#include "base/fd.h"

#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Fields of /proc/PID/stat, counted from the one behind the name. */
enum {
	STAT_START_CODE = 23,
	STAT_END_CODE,
	STAT_START_STACK,
	STAT_START_DATA = 42,
	STAT_END_DATA,
	STAT_START_BRK,
	STAT_ARG_START,
	STAT_ARG_END,
	STAT_ENV_START,
	STAT_ENV_END,
	STAT_FIELDS
};

static bool read_stat(unsigned long long *field)
{
	_cleanup_close_ int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	char text[2048], *p;
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n <= 0)
		return false;
	text[n] = '\0';
	p = strrchr(text, ')'); /* the name may hold anything */
	for (int i = 0; p && i < STAT_FIELDS; i++) {
		p = strchr(p + 1, ' ');
		if (p && sscanf(p, " %llu", &field[i]) != 1)
			field[i] = 0;
	}
	return p;
}

void area_prepare(struct area *ret, char **argv)
{
	unsigned long long f[STAT_FIELDS];
	char **p = argv;
	const ElfW(auxv_t) * aux;

	*ret = (struct area){.argv = argv};
	while (*p++)
		;
	while (*p++)
		;
	ret->auxv = aux = (const void *)p;
	while (aux->a_type != AT_NULL)
		aux++;
	ret->auxv_size = (size_t)((const char *)(aux + 1) - (const char *)ret->auxv);
	if (!read_stat(f))
		return;
	ret->may_move = true;
	ret->map = (struct prctl_mm_map){
		.start_code = f[STAT_START_CODE],
		.end_code = f[STAT_END_CODE],
		.start_data = f[STAT_START_DATA],
		.end_data = f[STAT_END_DATA],
		.start_brk = f[STAT_START_BRK],
		.start_stack = f[STAT_START_STACK],
		.arg_start = f[STAT_ARG_START],
		.arg_end = f[STAT_ARG_END],
		.env_start = f[STAT_ENV_START],
		.env_end = f[STAT_ENV_END],
		.exe_fd = (uint32_t)-1,
	};
}

static size_t strings_size(char *const *list, size_t *ret_n)
{
	size_t size = 0, n = 0;

	for (; list[n]; n++)
		size += strlen(list[n]) + 1;
	*ret_n = n;
	return size;
}

/* Copies the strings; where the next goes. */
static char *copy_strings(char **to, char *strings, char *const *from)
{
	for (; *from; from++) {
		size_t len = strlen(*from) + 1;

		memcpy(strings, *from, len);
		*to++ = strings;
		strings += len;
	}
	*to = NULL;
	return strings;
}

static void write_over(const struct area *a, const char *strings, size_t len)
{
	size_t room = a->map.arg_end - a->map.arg_start;
	char *to = (char *)(uintptr_t)a->map.arg_start;

	if (!a->may_move || room == 0)
		return;
	memset(to, 0, room);
	memcpy(to, strings, len < room ? len : room - 1);
}

char **area_make(const struct area *a, int argc, char *const *argv, char *const *envp)
{
	size_t n_args, n_env, args_size = strings_size(argv, &n_args),
			      env_size = strings_size(envp, &n_env);
	size_t lists = (1 + n_args + 1 + n_env + 1) * sizeof(char *) + a->auxv_size;
	struct prctl_mm_map map = a->map;
	char *p = mmap(NULL, lists + args_size + env_size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	char **new_argv, *env_at;

	if (p == MAP_FAILED)
		return NULL;
	*(long *)(void *)p = argc;
	new_argv = (char **)(void *)p + 1;
	env_at = copy_strings(new_argv, p + lists, argv);
	copy_strings(new_argv + n_args + 1, env_at, envp);
	memcpy(new_argv + n_args + n_env + 2, a->auxv, a->auxv_size);
	map.brk = (uint64_t)syscall(SYS_brk, 0);
	map.arg_start = (uintptr_t)p + lists;
	map.arg_end = map.env_start = (uintptr_t)env_at;
	map.env_end = map.env_start + env_size;
	if (!a->may_move || prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof(map), 0) < 0)
		write_over(a, p + lists, args_size);
	/* libc and the dynamic linker name the program by it in what they print when they give up.
	 */
	a->argv[0] = new_argv[0];
	return new_argv;
}
