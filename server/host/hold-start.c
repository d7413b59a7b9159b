/* SPDX-License-Identifier: MIT */
/*
 * spawn-host-main: what the keeper starts for lane `main`. It looks at the program, with the user's
 * credentials, and becomes it, with libspawn-main.so in front of libc; or, where that cannot work,
 * spawn-host-exec, which executes it for each request. So the keeper reads no user's file.
 */
#include "base/error.h"
#include "host/fallback.h"
#include "host/fit.h"
#include "host/host.h"
#include "wire/channel.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PRELOAD	       "LD_PRELOAD="
#define PRELOAD_LENGTH (sizeof(PRELOAD) - 1)

_Noreturn static void fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
_Noreturn static void fail(int code, const char *format, ...)
{
	char text[PATH_MAX + 256];
	uint8_t buf[sizeof(text) + 256];
	struct frame f;
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	frame_begin(&f, buf, sizeof(buf), MSG_WARM_FAILED, 0);
	frame_u32(&f, REC_CODE, (uint32_t)-code);
	frame_u32(&f, REC_STEP, STEP_START);
	frame_text(&f, REC_TEXT, text);
	channel_send_frame(HOST_KEEPER_FD, &f, NULL, 0, 0);
	_exit(EXIT_FAILURE);
}

/* In front of what the template has there itself. */
static char **preload(const char *library)
{
	char **envp, *entry;
	size_t n = 0;
	bool found = false;

	while (environ[n])
		n++;
	envp = calloc(n + 2, sizeof(*envp));
	if (!envp)
		return NULL;
	for (n = 0; environ[n]; n++) {
		envp[n] = environ[n];
		if (found || strncmp(environ[n], PRELOAD, PRELOAD_LENGTH) != 0)
			continue;
		found = true;
		if (asprintf(&entry, PRELOAD "%s:%s", library, environ[n] + PRELOAD_LENGTH) < 0)
			return NULL;
		envp[n] = entry;
	}
	if (!found && asprintf(&entry, PRELOAD "%s", library) < 0)
		return NULL;
	if (!found)
		envp[n] = entry;
	return envp;
}

_Noreturn static void hold(const char *libexec_dir, const struct summons *s, char *program)
{
	char library[PATH_MAX + 32];
	char *argv[] = {program, NULL}, **envp;

	snprintf(library, sizeof(library), "%s/libspawn-main.so", libexec_dir);
	/* The dynamic linker would go on without it, and run the program. */
	if (access(library, R_OK) < 0)
		fail(-errno, "template \"%s\": %s: %s (is spawnd installed as a whole?)", s->name,
		     library, strerror(errno));
	if (strpbrk(library, " :"))
		fail(-EINVAL,
		     "template \"%s\": %s has a space or colon in its path, which LD_PRELOAD "
		     "cannot name: install spawnd elsewhere, or say \"lane\": \"exec\"",
		     s->name, library);
	envp = preload(library);
	if (!envp)
		fail(-ENOMEM, "template \"%s\": out of memory", s->name);
	execve(program, argv, envp);
	fail(-errno, "template \"%s\": cannot execute %s: %s", s->name, program, strerror(errno));
}

int main(int argc, char **argv)
{
	char directory[PATH_MAX - 32], like[PATH_MAX], why[100], what[FALLBACK_WHY_SIZE];
	struct summons summons;
	char *slash;
	int r;

	if (argc != 2 || summons_read(getenv(SUMMONS_VARIABLE), getpid(), &summons) != 1) {
		dprintf(STDERR_FILENO, "spawn-host-main: started by spawnd, not by hand\n");
		return 2;
	}
	snprintf(directory, sizeof(directory), "%s", argv[0]);
	slash = strrchr(directory, '/');
	if (slash)
		*slash = '\0';
	if (snprintf(like, sizeof(like), "%s/spawn-host", directory) >= (int)sizeof(like))
		fail(-ENAMETOOLONG, "template \"%s\": %s", summons.name, directory);
	r = fit_inspect(argv[1], like, why, sizeof(why));
	if (r < 0)
		fail(r, "template \"%s\": %s: %s", summons.name, argv[1], strerror(-r));
	if (r == 1)
		hold(directory, &summons, argv[1]);
	/* A long path is cut, the reason is not. */
	snprintf(what, sizeof(what), "%.*s %s", (int)(sizeof(what) - sizeof(why) - 2), argv[1],
		 why);
	r = fallback_execute(directory, &summons, argv[1], what);
	fail(r, "template \"%s\": cannot execute spawn-host-exec: %s", summons.name, strerror(-r));
}
