/* SPDX-License-Identifier: MIT */
#include "json_check.h"

#include <string.h>

static const char *skip_space(const char *p)
{
	return p + strspn(p, " \t\r\n");
}

/* Each takes the text from its first character and returns what follows; NULL: it is none. */
static const char *take_value(const char *p, int depth);

static const char *take_string(const char *p)
{
	if (*p++ != '"')
		return NULL;
	for (; *p && *p != '"'; p++) {
		if ((unsigned char)*p < 0x20)
			return NULL;
		if (*p != '\\')
			continue;
		p++;
		if (*p == 'u') {
			if (strspn(p + 1, "0123456789abcdefABCDEF") < 4)
				return NULL;
			p += 4;
		} else if (!*p || !strchr("\"\\/bfnrt", *p)) {
			return NULL;
		}
	}
	return *p ? p + 1 : NULL;
}

static const char *take_digits(const char *p)
{
	size_t n = strspn(p, "0123456789");

	return n > 0 ? p + n : NULL;
}

static const char *take_number(const char *p)
{
	p += *p == '-';
	if (*p == '0')
		p++;
	else
		p = take_digits(p);
	if (p && *p == '.')
		p = take_digits(p + 1);
	if (p && (*p == 'e' || *p == 'E')) {
		p++;
		p += *p == '+' || *p == '-';
		p = take_digits(p);
	}
	return p;
}

static const char *take_word(const char *p)
{
	static const char *const words[] = {"true", "false", "null"};

	for (int i = 0; i < 3; i++) {
		if (strncmp(p, words[i], strlen(words[i])) == 0)
			return p + strlen(words[i]);
	}
	return NULL;
}

/* An object has a name before each value. */
static const char *take_members(const char *p, char end, int depth)
{
	p = skip_space(p + 1);
	if (*p == end)
		return p + 1;
	for (;;) {
		if (end == '}') {
			p = take_string(skip_space(p));
			if (!p)
				return NULL;
			p = skip_space(p);
			if (*p++ != ':')
				return NULL;
		}
		p = take_value(p, depth);
		if (!p)
			return NULL;
		p = skip_space(p);
		if (*p == end)
			return p + 1;
		if (*p++ != ',')
			return NULL;
	}
}

static const char *take_value(const char *p, int depth)
{
	p = skip_space(p);
	if (depth > 64)
		return NULL;
	if (*p == '{')
		return take_members(p, '}', depth + 1);
	if (*p == '[')
		return take_members(p, ']', depth + 1);
	if (*p == '"')
		return take_string(p);
	if (*p == '-' || (*p >= '0' && *p <= '9'))
		return take_number(p);
	return take_word(p);
}

bool json_is_right(const char *text)
{
	const char *end = take_value(text, 0);

	return end && *skip_space(end) == '\0';
}
