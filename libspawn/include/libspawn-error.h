/* SPDX-License-Identifier: MIT */
/*
 * libspawn-error.h - what went wrong, where, and what to do.
 *
 * Every libspawn function that can fail returns a negative errno and, when the caller passes a
 * struct spawn_error, says the rest there.  The struct belongs to the caller, holds no pointers
 * that need freeing, and is untouched on success.
 */
#ifndef LIBSPAWN_ERROR_H
#define LIBSPAWN_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

/* Who noticed. The numbers go over the wire and are never reused. */
enum spawn_origin {
	SPAWN_ORIGIN_NONE = 0,
	SPAWN_ORIGIN_CLIENT = 1, /* libspawn, in the calling process */
	SPAWN_ORIGIN_WIRE = 2,	 /* a message that broke the protocol, or a lost connection */
	SPAWN_ORIGIN_POLICY = 3, /* the server's configuration forbids it */
	SPAWN_ORIGIN_POOL = 4,	 /* a limit was reached; -EAGAIN is worth a retry */
	SPAWN_ORIGIN_HOST = 5,	 /* the template could not be loaded, warmed or forked */
	SPAWN_ORIGIN_LEAF = 6,	 /* the leaf could not take the form that was asked for */
};

#define SPAWN_ERROR_TEXT 512

struct spawn_error {
	int code;		       /* negative errno */
	enum spawn_origin origin;      /* who noticed */
	const char *step;	       /* what was being done; static, never NULL, never freed */
	char message[SPAWN_ERROR_TEXT]; /* for people: one line, names the thing and the way out */
};

/* The name of an origin: "client", "wire", ...; "none" for a number it does not know. Static. */
const char *spawn_origin_name(enum spawn_origin origin);

#ifdef __cplusplus
}
#endif
#endif
