/* SPDX-License-Identifier: MIT */
/* number.h - numbers of the command line: decimal, no space, no "+", nothing behind. */
#ifndef CLIENT_NUMBER_H
#define CLIENT_NUMBER_H

#include <stddef.h>
#include <stdint.h>

/* The len bytes at s. 0, -EINVAL or -ERANGE. */
int number_parse(const char *s, size_t len, uint64_t max, uint64_t *ret);
/* With a "-" in front, if need be. */
int number_parse_signed(const char *s, int min, int max, int *ret);

#endif
