/* SPDX-License-Identifier: MIT */
#include "config/scan.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cursor {
	unsigned char *p, *end;
	struct place at; /* of *p */
	unsigned depth;
	struct scan *scan;
	struct reject *reject;
};

int reject_set(struct reject *reject, int code, struct place at, const char *format, ...)
{
	va_list ap;

	reject->at = at;
	va_start(ap, format);
	vsnprintf(reject->text, sizeof(reject->text), format, ap);
	va_end(ap);
	return code;
}

#define REFUSE(c, place, ...) reject_set((c)->reject, -EINVAL, place, __VA_ARGS__)

void scan_free(struct scan *scan)
{
	free(scan->marks);
	*scan = (struct scan){0};
}

static void step(struct cursor *c)
{
	if (*c->p == '\n')
		c->at = (struct place){c->at.line + 1, 1};
	else if (c->p + 1 == c->end || (c->p[1] & 0xc0) != 0x80)
		c->at.column++; /* after the last byte of a character */
	c->p++;
}

static bool at_char(const struct cursor *c, char wanted)
{
	return c->p < c->end && *c->p == (unsigned char)wanted;
}

static bool at_digit(const struct cursor *c)
{
	return c->p < c->end && *c->p >= '0' && *c->p <= '9';
}

/* The length of the UTF-8 sequence at p, or 0: overlong, a surrogate, cut, above U+10FFFF. */
static size_t utf8_length(const unsigned char *p, const unsigned char *end)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = *p < 0x80   ? 1
		   : *p < 0xc0 ? 0
		   : *p < 0xe0 ? 2
		   : *p < 0xf0 ? 3
		   : *p < 0xf8 ? 4
			       : 0;
	uint32_t code;

	if (n <= 1)
		return n;
	if ((size_t)(end - p) < n)
		return 0;
	code = *p & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (p[i] & 0x3f);
	}
	return code >= least[n] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) ? n : 0;
}

static int check_bytes(struct cursor c)
{
	while (c.p < c.end) {
		size_t n = utf8_length(c.p, c.end);

		if (n == 0)
			return REFUSE(&c, c.at, "byte 0x%02x is not UTF-8 (expected UTF-8 text)",
				      *c.p);
		if (*c.p == '\0')
			return REFUSE(&c, c.at, "a NUL byte (expected text)");
		/* Not by step(), which trusts that the text is UTF-8. */
		c.at = *c.p == '\n' ? (struct place){c.at.line + 1, 1}
				    : (struct place){c.at.line, c.at.column + 1};
		c.p += n;
	}
	return 0;
}

/* What stands at the cursor, for a message. */
static const char *found(const struct cursor *c, char buf[24])
{
	if (c->p == c->end)
		return "the end of the file";
	if (*c->p < 0x20 || *c->p == 0x7f)
		snprintf(buf, 24, "U+%04X", *c->p);
	else
		snprintf(buf, 24, "'%.*s'", (int)utf8_length(c->p, c->end), (const char *)c->p);
	return buf;
}

static int expected(struct cursor *c, const char *what)
{
	char buf[24];

	return REFUSE(c, c->at, "%s (expected %s)", found(c, buf), what);
}

static void blank(struct cursor *c)
{
	unsigned char *p = c->p;
	bool newline = *p == '\n';

	step(c); /* before the byte goes: it decides the place */
	if (!newline)
		*p = ' ';
}

static int skip_comment(struct cursor *c)
{
	struct place begin = c->at;
	bool block;

	if (c->end - c->p < 2 || (c->p[1] != '/' && c->p[1] != '*'))
		return REFUSE(c, begin, "a lone '/' (expected // or /* for a comment)");
	block = c->p[1] == '*';
	blank(c);
	blank(c);
	while (c->p < c->end) {
		if (!block && *c->p == '\n')
			return 0;
		if (block && c->end - c->p >= 2 && c->p[0] == '*' && c->p[1] == '/') {
			blank(c);
			blank(c);
			return 0;
		}
		blank(c);
	}
	return block ? REFUSE(c, begin, "a comment without an end (expected */)") : 0;
}

static int skip_space(struct cursor *c)
{
	while (c->p < c->end) {
		int r = 0;

		if (*c->p == '/')
			r = skip_comment(c);
		else if (strchr(" \t\r\n", *c->p))
			step(c);
		else
			return 0;
		if (r < 0)
			return r;
	}
	return 0;
}

static int add_mark(struct cursor *c, enum json_kind kind, struct place key_at, size_t *ret)
{
	struct scan *s = c->scan;

	if (s->n_marks == s->size) {
		size_t size = s->size ? 2 * s->size : 64;
		struct mark *marks = reallocarray(s->marks, size, sizeof(*marks));

		if (!marks)
			return -ENOMEM;
		s->marks = marks;
		s->size = size;
	}
	*ret = s->n_marks;
	s->marks[s->n_marks++] = (struct mark){.kind = kind, .at = c->at, .key_at = key_at};
	return 0;
}

/* The four digits after \u; -1 if they are not. */
static int hex4(const struct cursor *c)
{
	int value = 0;

	if (c->end - c->p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		static const char digits[] = "0123456789abcdefABCDEF";
		const char *d = memchr(digits, c->p[i], sizeof(digits) - 1);

		if (!d)
			return -1;
		value = value << 4 | (int)(d - digits > 15 ? d - digits - 6 : d - digits);
	}
	return value;
}

/* After the backslash of \u. */
static int scan_unicode(struct cursor *c, struct place begin)
{
	int code, low = -1;

	step(c);
	code = hex4(c);
	if (code < 0)
		return REFUSE(c, begin, "a bad escape (expected \\u and four hexadecimal digits)");
	if (code == 0)
		return REFUSE(c, begin, "\\u0000 in a string (expected no NUL)");
	for (int i = 0; i < 4; i++)
		step(c);
	if (code < 0xd800 || code > 0xdfff)
		return 0;
	if (code < 0xdc00 && at_char(c, '\\')) {
		step(c);
		if (at_char(c, 'u')) {
			step(c);
			low = hex4(c);
		}
	}
	if (low < 0xdc00 || low > 0xdfff)
		return REFUSE(c, begin,
			      "half of a surrogate pair (expected \\uD8xx\\uDCxx, or the "
			      "character itself)");
	for (int i = 0; i < 4; i++)
		step(c);
	return 0;
}

static int scan_escape(struct cursor *c)
{
	struct place begin = c->at;

	step(c);
	if (at_char(c, 'u'))
		return scan_unicode(c, begin);
	if (c->p == c->end || !strchr("\"\\/bfnrt", *c->p))
		return REFUSE(c, begin,
			      "a bad escape (expected one of \\\" \\\\ \\/ \\b \\f \\n \\r "
			      "\\t \\uXXXX)");
	step(c);
	return 0;
}

static int scan_string(struct cursor *c)
{
	struct place begin = c->at;

	step(c);
	while (c->p < c->end && *c->p != '"') {
		int r = 0;

		if (*c->p == '\n')
			return REFUSE(c, begin,
				      "a string without an end (expected \" before the "
				      "end of the line)");
		if (*c->p < 0x20)
			return REFUSE(c, c->at,
				      "control character U+%04X in a string (expected "
				      "an escape, \\u%04x)",
				      *c->p, *c->p);
		if (*c->p == '\\')
			r = scan_escape(c);
		else
			step(c);
		if (r < 0)
			return r;
	}
	if (c->p == c->end)
		return REFUSE(c, begin, "a string without an end (expected \")");
	step(c);
	return 0;
}

static int scan_digits(struct cursor *c)
{
	if (!at_digit(c))
		return expected(c, "a digit");
	while (at_digit(c))
		step(c);
	return 0;
}

static int scan_fraction(struct cursor *c)
{
	int r = 0;

	if (at_char(c, '.')) {
		step(c);
		r = scan_digits(c);
	}
	if (r == 0 && (at_char(c, 'e') || at_char(c, 'E'))) {
		step(c);
		if (at_char(c, '+') || at_char(c, '-'))
			step(c);
		r = scan_digits(c);
	}
	return r;
}

static int scan_number(struct cursor *c, size_t mark)
{
	struct place begin = c->at;
	const unsigned char *first = c->p;
	uint64_t value = 0;
	bool whole = true;
	int r;

	if (at_char(c, '-'))
		step(c);
	if (at_char(c, '0') && c->end - c->p > 1 && c->p[1] >= '0' && c->p[1] <= '9')
		return REFUSE(c, begin, "a number with a leading zero (expected it without)");
	r = scan_digits(c);
	if (r == 0)
		r = scan_fraction(c);
	if (r < 0)
		return r;
	for (; first < c->p && whole; first++) {
		whole = *first >= '0' && *first <= '9';
		value = value * 10 + (uint64_t)(*first - '0');
		whole = whole && value <= JSON_WHOLE_MAX; /* so the next round cannot overflow */
	}
	c->scan->marks[mark].whole = whole;
	return 0;
}

static int scan_word(struct cursor *c, struct place key_at)
{
	static const struct {
		const char *word;
		enum json_kind kind;
	} words[] = {{"true", JSON_BOOLEAN}, {"false", JSON_BOOLEAN}, {"null", JSON_NULL}};
	size_t len = 0, mark;

	while (c->p + len < c->end && ((c->p[len] | 0x20) >= 'a' && (c->p[len] | 0x20) <= 'z'))
		len++;
	for (size_t i = 0; i < 3; i++) {
		if (len != strlen(words[i].word) || memcmp(c->p, words[i].word, len) != 0)
			continue;
		if (add_mark(c, words[i].kind, key_at, &mark) < 0)
			return -ENOMEM;
		while (len-- > 0)
			step(c);
		return 0;
	}
	if (len > 1)
		return REFUSE(c, c->at, "%.*s (expected a value; text goes in \"\")",
			      (int)(len < 40 ? len : 40), (const char *)c->p);
	return expected(c, "a value");
}

static int scan_value(struct cursor *c, struct place key_at);

static int scan_member(struct cursor *c)
{
	struct place key_at = c->at;
	int r;

	if (!at_char(c, '"'))
		return expected(c, "a key in \"\"");
	r = scan_string(c);
	if (r == 0)
		r = skip_space(c);
	if (r < 0)
		return r;
	if (!at_char(c, ':'))
		return expected(c, "':' after the key");
	step(c);
	r = skip_space(c);
	return r < 0 ? r : scan_value(c, key_at);
}

/* What stands between { and }, or [ and ]. */
static int scan_container(struct cursor *c, bool object)
{
	char close = object ? '}' : ']';
	int r;

	if (++c->depth > JSON_DEPTH_MAX)
		return REFUSE(c, c->at, "nested too deeply (expected at most %d levels)",
			      JSON_DEPTH_MAX);
	step(c);
	r = skip_space(c);
	if (r == 0 && at_char(c, close))
		goto closed;
	while (r == 0) {
		r = object ? scan_member(c) : scan_value(c, (struct place){0});
		if (r == 0)
			r = skip_space(c);
		if (r < 0)
			return r;
		if (at_char(c, close))
			goto closed;
		if (!at_char(c, ','))
			return expected(c, object ? "',' or '}'" : "',' or ']'");
		step(c);
		r = skip_space(c);
	}
	return r;
closed:
	step(c);
	c->depth--;
	return 0;
}

static int scan_value(struct cursor *c, struct place key_at)
{
	size_t mark;

	if (at_char(c, '{') || at_char(c, '[')) {
		bool object = at_char(c, '{');

		if (add_mark(c, object ? JSON_OBJECT : JSON_ARRAY, key_at, &mark) < 0)
			return -ENOMEM;
		return scan_container(c, object);
	}
	if (at_char(c, '"'))
		return add_mark(c, JSON_STRING, key_at, &mark) < 0 ? -ENOMEM : scan_string(c);
	if (at_char(c, '-') || at_digit(c))
		return add_mark(c, JSON_NUMBER, key_at, &mark) < 0 ? -ENOMEM : scan_number(c, mark);
	return scan_word(c, key_at);
}

int scan_text(struct scan *scan, char *text, size_t len, struct reject *reject)
{
	struct cursor c = {
		.p = (unsigned char *)text,
		.end = (unsigned char *)text + len,
		.at = {1, 1},
		.scan = scan,
		.reject = reject,
	};
	char buf[24];
	int r = check_bytes(c);

	if (r == 0)
		r = skip_space(&c);
	if (r == 0)
		r = scan_value(&c, (struct place){0});
	if (r == 0)
		r = skip_space(&c);
	if (r < 0)
		return r;
	if (c.p < c.end)
		return REFUSE(&c, c.at, "%s after the end of the configuration (expected nothing)",
			      found(&c, buf));
	return 0;
}
