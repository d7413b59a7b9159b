/* SPDX-License-Identifier: MIT */
#include "number.h"

#include <errno.h>
#include <string.h>

int number_parse(const char *s, size_t len, uint64_t max, uint64_t *ret)
{
	uint64_t value = 0;

	if (len == 0)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		unsigned digit = (unsigned)(s[i] - '0');

		if (s[i] < '0' || s[i] > '9')
			return -EINVAL;
		if (value > (UINT64_MAX - digit) / 10 || value * 10 + digit > max)
			return -ERANGE;
		value = value * 10 + digit;
	}
	*ret = value;
	return 0;
}

int number_parse_signed(const char *s, int min, int max, int *ret)
{
	int sign = *s == '-' ? -1 : 1, r;
	uint64_t value;

	s += sign < 0;
	r = number_parse(s, strlen(s), INT32_MAX, &value);
	if (r < 0)
		return r;
	if (sign * (int)value < min || sign * (int)value > max)
		return -ERANGE;
	*ret = sign * (int)value;
	return 0;
}
