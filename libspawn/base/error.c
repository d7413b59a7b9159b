/* SPDX-License-Identifier: MIT */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The one function here that libspawn.so shows. */
__attribute__((visibility("default"))) const char *spawn_origin_name(enum spawn_origin origin)
{
	switch (origin) {
	case SPAWN_ORIGIN_CLIENT:
		return "client";
	case SPAWN_ORIGIN_WIRE:
		return "wire";
	case SPAWN_ORIGIN_POLICY:
		return "policy";
	case SPAWN_ORIGIN_POOL:
		return "pool";
	case SPAWN_ORIGIN_HOST:
		return "host";
	case SPAWN_ORIGIN_LEAF:
		return "leaf";
	case SPAWN_ORIGIN_NONE:
		break;
	}
	return "none";
}

const char *step_name(unsigned step)
{
	switch (step) {
#define STEP(name, number, text)                                                                   \
	case number:                                                                               \
		return text;
#include "base/steps.def"
#undef STEP
	}
	return "unknown";
}

unsigned step_number(const char *name)
{
#define STEP(constant, number, text)                                                               \
	if (strcmp(name, text) == 0)                                                               \
		return number;
#include "base/steps.def"
#undef STEP
	return STEP_NONE;
}

__attribute__((format(printf, 5, 0))) static void fill(struct spawn_error *err, int code, enum spawn_origin origin, unsigned step,
		 const char *format, va_list ap)
{
	err->code = code;
	err->origin = origin;
	err->step = step_name(step);
	vsnprintf(err->message, sizeof(err->message), format, ap);
}

int error_set(struct spawn_error *err, int code, enum spawn_origin origin, unsigned step,
	      const char *format, ...)
{
	va_list ap;

	if (!err)
		return code;
	va_start(ap, format);
	fill(err, code, origin, step, format, ap);
	va_end(ap);
	return code;
}

int error_errno(struct spawn_error *err, int code, enum spawn_origin origin, unsigned step,
		const char *format, ...)
{
	va_list ap;
	size_t used;
	const char *words;

	if (!err)
		return code;
	va_start(ap, format);
	fill(err, code, origin, step, format, ap);
	va_end(ap);
	used = strlen(err->message);
	words = strerrordesc_np(-code); /* unlike strerror: no locale, no static buffer */
	snprintf(err->message + used, sizeof(err->message) - used, ": %s",
		 words ? words : "unknown error");
	return code;
}
