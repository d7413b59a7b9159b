/* SPDX-License-Identifier: MIT */
#include "host/environment.h"

#include "summons.h"

#include <dlfcn.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT	  __attribute__((visibility("default")))
#define LENGTH(s) (sizeof(s) - 1)

static struct {
	char names[4096]; /* each ends with NUL */
	size_t used;
	bool over, settled;
	char **envp; /* of the host, once settled */
} seen;

static bool is_noted(const char *name, size_t len)
{
	for (size_t at = 0; at < seen.used; at += strlen(seen.names + at) + 1)
		if (strncmp(seen.names + at, name, len) == 0 && !seen.names[at + len])
			return true;
	return false;
}

static void note(const char *name)
{
	size_t len = strlen(name);

	if (seen.settled || is_noted(name, len))
		return;
	if (len + 1 > sizeof(seen.names) - seen.used) {
		seen.over = true;
		return;
	}
	memcpy(seen.names + seen.used, name, len + 1);
	seen.used += len + 1;
}

typedef char *getenv_fn(const char *name);
static getenv_fn *next_getenv, *next_secure_getenv;

static void find_next(void)
{
	if (next_getenv && next_secure_getenv)
		return;
	next_getenv = (getenv_fn *)dlsym(RTLD_NEXT, "getenv");
	next_secure_getenv = (getenv_fn *)dlsym(RTLD_NEXT, "secure_getenv");
}

EXPORT char *getenv(const char *name)
{
	find_next();
	note(name);
	return next_getenv(name);
}

EXPORT char *secure_getenv(const char *name)
{
	find_next();
	note(name);
	return next_secure_getenv(name);
}

static char *value_of(char *const *envp, const char *name, size_t len)
{
	for (; *envp; envp++)
		if (strncmp(*envp, name, len) == 0 && (*envp)[len] == '=')
			return *envp + len + 1;
	return NULL;
}

char *environment_value(char *const *envp, const char *name)
{
	return value_of(envp, name, strlen(name));
}

static void take_out(char **entry)
{
	for (; *entry; entry++)
		*entry = entry[1];
}

void environment_settle(char **envp, char *preloaded, unsigned long size)
{
	char *ours = environment_value(envp, "LD_PRELOAD");
	size_t len;

	find_next(); /* not where a program may be when it asks, in a signal handler or a vfork */
	seen.settled = true;
	seen.envp = envp;
	for (char **p = envp; *p; p++) {
		if (strncmp(*p, SUMMONS_VARIABLE "=", LENGTH(SUMMONS_VARIABLE "=")) != 0)
			continue;
		take_out(p);
		break;
	}
	if (!ours)
		return;
	len = strcspn(ours, " :");
	if (preloaded && len < size) {
		memcpy(preloaded, ours, len);
		preloaded[len] = '\0';
	}
	if (ours[len]) {
		memmove(ours, ours + len + 1, strlen(ours + len + 1) + 1);
		return;
	}
	for (char **p = envp; *p; p++) {
		if (*p != ours - LENGTH("LD_PRELOAD="))
			continue;
		take_out(p);
		return;
	}
}

bool environment_is_overdone(void)
{
	return seen.over;
}

/* Read before any of the program's own code, by libc or the dynamic linker. */
static bool is_libcs(const char *entry)
{
	return strncmp(entry, "LD_", 3) == 0 || strncmp(entry, "MALLOC_", 7) == 0 ||
	       strncmp(entry, "GLIBC_TUNABLES=", 15) == 0;
}

bool environment_fits(char *const *envp)
{
	/* All of the template's: who gave it a variable meant it for what is read while it warms.
	 */
	for (char *const *p = seen.envp; *p; p++) {
		const char *value = value_of(envp, *p, strcspn(*p, "="));

		if (!value || strcmp(value, *p + strcspn(*p, "=") + 1) != 0)
			return false;
	}
	for (char *const *p = envp; *p; p++) {
		size_t len = strcspn(*p, "=");

		if ((is_libcs(*p) || is_noted(*p, len)) && !value_of(seen.envp, *p, len))
			return false;
	}
	return true;
}
