/* SPDX-License-Identifier: MIT */
/*
 * words.c - a spell checker as a template: the word list is read once, in warm(), and every leaf
 * has it at once.
 *
 *	spawn -t words -- FILE...
 *
 * Checks each FILE (standard input when there is none, or for "-"). A word is a run of letters and
 * inner apostrophes. A word that the list has is right, and so are its capitalised form, its form
 * in capitals, and its possessive with 's. Prints each misspelt word once a file, as
 * FILE:LINE: word. Status 0: none; 1: there was one; 2: a file could not be read, or the result
 * not be written.
 *
 * The list is /usr/share/dict/words, or $WORDS_FILE of the template's own environment.
 */
#include "libspawn-template.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIST_DEFAULT "/usr/share/dict/words"
#define LIST_MAX     (64u << 20)
#define WORD_MAX     128 /* bytes; a longer word is in no list */

/* Open addressing over words that lie in `text`, each ended by '\n'. A slot is 1 + the word's
 * offset, or 0. At most two thirds of the slots are taken. */
struct table {
	const char *text;
	uint32_t *slots;
	uint32_t mask;
	uint32_t n;
};

struct checker {
	struct table list;
	struct table seen; /* misspelt words of this file, in seen_text */
	char *seen_text;
	size_t seen_len, seen_size;
	bool misspelt, failed;
};

static uint32_t hash(const char *word, size_t len)
{
	uint32_t h = 2166136261u; /* FNV-1a */

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)word[i]) * 16777619u;
	return h ^ (h >> 15);
}

/* The slot that holds the word, or the free one where it belongs. */
static uint32_t *table_slot(const struct table *t, const char *word, size_t len)
{
	uint32_t i = hash(word, len) & t->mask;

	while (t->slots[i]) {
		const char *other = t->text + t->slots[i] - 1;

		if (strncmp(other, word, len) == 0 && other[len] == '\n')
			break;
		i = (i + 1) & t->mask;
	}
	return &t->slots[i];
}

static bool table_has(const struct table *t, const char *word, size_t len)
{
	return *table_slot(t, word, len) != 0;
}

static size_t line_length(const char *line, const char *end)
{
	const char *newline = memchr(line, '\n', (size_t)(end - line));

	return (size_t)((newline ? newline : end) - line);
}

/* Room for n words and half as many again. */
static size_t slots_for(size_t n)
{
	size_t size = 64;

	while (2 * size < 3 * n)
		size *= 2;
	return size;
}

/* A possessive is right by rule if the word before it in the list is its base; a quarter of the
 * list is that, and would only cost each leaf more page tables. */
static bool is_possessive(const char *word, size_t len, const char *base, size_t base_len)
{
	return len == base_len + 2 && memcmp(word + base_len, "'s", 2) == 0 &&
	       memcmp(word, base, base_len) == 0;
}

/* Moves the words that are to be kept to the front of text, each ended by '\n'; returns how long
 * they are and how many. */
static size_t list_compact(char *text, size_t len, size_t *ret_n)
{
	char *out = text, *end = text + len, *last = text;
	size_t last_len = 0, n = 0;

	for (char *line = text; line < end;) {
		size_t length = line_length(line, end);

		if (length > 0 && length <= WORD_MAX && !memchr(line, '\0', length) &&
		    !(n > 0 && is_possessive(line, length, last, last_len))) {
			memmove(out, line, length);
			last = out;
			last_len = length;
			out += length;
			*out++ = '\n';
			n++;
		}
		line += length + 1;
	}
	*ret_n = n;
	return (size_t)(out - text);
}

static int read_all(int fd, char *buf, size_t len)
{
	for (size_t got = 0; got < len;) {
		ssize_t n = read(fd, buf + got, len - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENODATA;
		got += (size_t)n;
	}
	return 0;
}

static void *anonymous(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/*
 * Reads the list into two mappings, text and slots: what a fork costs follows the number of
 * mappings and pages, so there is no allocation per word, and the file itself is not kept mapped
 * (truncated, it would kill every leaf with SIGBUS).
 */
static int list_load(struct table *list, const char *path)
{
	struct stat st;
	size_t len, n;
	char *text;
	int r, fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	r = fstat(fd, &st) < 0 ? -errno : 0;
	if (r == 0 && !S_ISREG(st.st_mode))
		r = S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	if (r == 0 && (st.st_size < 1 || st.st_size > LIST_MAX))
		r = st.st_size < 1 ? -ENODATA : -EFBIG;
	if (r < 0) {
		close(fd);
		return r;
	}
	len = (size_t)st.st_size;
	text = anonymous(len + 1); /* + 1: the last line may lack its newline */
	r = text ? read_all(fd, text, len) : -ENOMEM;
	close(fd);
	if (r < 0)
		return r;
	len = list_compact(text, len, &n);
	if (n == 0)
		return -ENODATA;
	mremap(text, (size_t)st.st_size + 1, len, 0); /* gives back what is behind the words */
	list->text = text;
	list->mask = (uint32_t)slots_for(n) - 1;
	list->slots = anonymous(sizeof(uint32_t) * (list->mask + 1));
	if (!list->slots)
		return -ENOMEM;
	for (size_t at = 0; at < len;) {
		size_t length = line_length(text + at, text + len);
		uint32_t *slot = table_slot(list, text + at, length);

		if (*slot == 0) {
			*slot = (uint32_t)at + 1;
			list->n++;
		}
		at += length + 1;
	}
	return 0;
}

static int warm(void **state)
{
	const char *path = getenv("WORDS_FILE");
	struct checker *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	if (!path || !*path)
		path = LIST_DEFAULT;
	r = list_load(&c->list, path);
	if (r < 0) {
		fprintf(stderr,
			"words: cannot load the word list %s: %s (install wamerican, or set "
			"WORDS_FILE in the template's env)\n",
			path, strerror(-r));
		free(c);
		return r;
	}
	*state = c;
	return 0;
}

/* Letters: ASCII, and UTF-8 beyond Latin-1 punctuation and U+2000-U+2FFF (dashes, quotes, arrows).
 * Returns the bytes of the letter, or 0. */
static size_t letter_at(const char *p, const char *end)
{
	const unsigned char *u = (const unsigned char *)p;
	size_t len;

	if (u[0] < 0x80)
		return (u[0] | 0x20) >= 'a' && (u[0] | 0x20) <= 'z';
	len = u[0] >= 0xf0 ? 4 : u[0] >= 0xe0 ? 3 : u[0] >= 0xc3 ? 2 : 0;
	if (len == 0 || (size_t)(end - p) < len || u[0] == 0xe2)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((u[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

/* ' and U+2019. Returns its bytes, or 0. */
static size_t apostrophe_at(const char *p, const char *end)
{
	if (*p == '\'')
		return 1;
	return end - p >= 3 && memcmp(p, "\xe2\x80\x99", 3) == 0 ? 3 : 0;
}

/* The bytes of the word that starts at p, which is a letter. */
static size_t word_length(const char *p, const char *end)
{
	const char *at = p;

	for (;;) {
		size_t letter, apostrophe;

		while (at < end && (letter = letter_at(at, end)) > 0)
			at += letter;
		apostrophe = at < end ? apostrophe_at(at, end) : 0;
		if (apostrophe == 0 || at + apostrophe >= end ||
		    letter_at(at + apostrophe, end) == 0)
			return (size_t)(at - p);
		at += apostrophe;
	}
}

static bool ascii_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

/* U+00C0-U+00DE without the multiplication sign, which has its small letters 0x20 further. */
static bool latin_upper(const char *p)
{
	unsigned char next = (unsigned char)p[1];

	return (unsigned char)p[0] == 0xc3 && next >= 0x80 && next <= 0x9e && next != 0x97;
}

/* Copies a word with plain apostrophes. Returns its length, or 0 when it is longer than WORD_MAX.
 */
static size_t word_copy(char out[WORD_MAX + 1], const char *word, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; n++) {
		size_t apostrophe = apostrophe_at(word + i, word + len);

		if (n == WORD_MAX)
			return 0;
		out[n] = apostrophe ? '\'' : word[i];
		i += apostrophe ? apostrophe : 1;
	}
	out[n] = '\0';
	return n;
}

/* Makes the word lower-case from byte `from` on; returns how many letters that changed. */
static size_t word_lower(char *word, size_t len, size_t from)
{
	size_t changed = 0;

	for (size_t i = from; i < len; i++) {
		if (ascii_upper(word[i])) {
			word[i] = (char)(word[i] | 0x20);
			changed++;
		} else if (i + 1 < len && latin_upper(word + i)) {
			word[++i] |= 0x20;
			changed++;
		}
	}
	return changed;
}

static size_t word_letters(const char *word, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += ((unsigned char)word[i] & 0xc0) != 0x80 && word[i] != '\'';
	return n;
}

/* The word as it is; in capitals also as a name (America) and small; capitalised also small. */
static bool form_known(const struct table *list, const char *word, size_t len)
{
	char form[WORD_MAX + 1];
	size_t first, rest;

	if (table_has(list, word, len))
		return true;
	memcpy(form, word, len + 1);
	first = (size_t)((unsigned char)form[0] >= 0x80) + 1;
	if (!ascii_upper(form[0]) && !(len > 1 && latin_upper(form)))
		return false;
	rest = word_lower(form, len, first);
	if (rest > 0 && rest + 1 < word_letters(word, len))
		return false; /* mIxEd: right only as the list has it */
	if (rest > 0 && table_has(list, form, len))
		return true;
	word_lower(form, len, 0);
	return table_has(list, form, len);
}

static bool word_known(const struct table *list, const char *text, size_t text_len)
{
	char word[WORD_MAX + 1];
	size_t len = word_copy(word, text, text_len);

	if (len == 0)
		return false;
	if (form_known(list, word, len))
		return true;
	if (len < 3 || word[len - 2] != '\'' || (word[len - 1] | 0x20) != 's')
		return false;
	word[len - 2] = '\0';
	return form_known(list, word, len - 2);
}

static int seen_grow(struct checker *c)
{
	struct table bigger = {
		.text = c->seen_text,
		.mask = (uint32_t)slots_for(2 * ((size_t)c->seen.n + 1)) - 1,
		.n = c->seen.n,
	};

	bigger.slots = calloc((size_t)bigger.mask + 1, sizeof(uint32_t));
	if (!bigger.slots)
		return -ENOMEM;
	for (size_t at = 0; at < c->seen_len;) {
		size_t len = line_length(c->seen_text + at, c->seen_text + c->seen_len);

		*table_slot(&bigger, c->seen_text + at, len) = (uint32_t)at + 1;
		at += len + 1;
	}
	free(c->seen.slots);
	c->seen = bigger;
	return 0;
}

/* 1 if the word is new, 0 if this file had it already; -ENOMEM, -EFBIG. */
static int seen_add(struct checker *c, const char *word, size_t len)
{
	uint32_t *slot;

	if ((!c->seen.slots || 3 * ((size_t)c->seen.n + 1) > 2 * (size_t)c->seen.mask) &&
	    seen_grow(c) < 0)
		return -ENOMEM;
	slot = table_slot(&c->seen, word, len);
	if (*slot)
		return 0;
	if (len > UINT32_MAX / 2 - c->seen_len)
		return -EFBIG;
	if (c->seen_size - c->seen_len < len + 1) {
		size_t size = 2 * (c->seen_len + len + 1) + 4096;
		char *text = realloc(c->seen_text, size);

		if (!text)
			return -ENOMEM;
		c->seen.text = c->seen_text = text;
		c->seen_size = size;
	}
	*slot = (uint32_t)c->seen_len + 1;
	c->seen.n++;
	memcpy(c->seen_text + c->seen_len, word, len);
	c->seen_text[c->seen_len + len] = '\n';
	c->seen_len += len + 1;
	return 1;
}

static void seen_clear(struct checker *c)
{
	if (c->seen.slots)
		memset(c->seen.slots, 0, sizeof(uint32_t) * ((size_t)c->seen.mask + 1));
	c->seen.n = 0;
	c->seen_len = 0;
}

static int check_line(struct checker *c, const char *name, size_t number, const char *line,
		      size_t len)
{
	const char *end = line + len;

	for (const char *p = line; p < end;) {
		size_t word = letter_at(p, end) > 0 ? word_length(p, end) : 0;
		int r;

		if (word == 0) {
			p++;
			continue;
		}
		if (!word_known(&c->list, p, word)) {
			c->misspelt = true;
			r = seen_add(c, p, word);
			if (r < 0)
				return r;
			if (r > 0)
				printf("%s:%zu: %.*s\n", name, number, (int)word, p);
		}
		p += word;
	}
	return 0;
}

static int check_stream(struct checker *c, const char *name, FILE *f)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t len;
	int r = 0;

	seen_clear(c);
	for (size_t number = 1; r == 0; number++) {
		errno = 0;
		len = getline(&line, &size, f);
		if (len < 0) {
			r = ferror(f) || errno == ENOMEM ? -errno : 0;
			break;
		}
		r = check_line(c, name, number, line, (size_t)len);
	}
	free(line);
	return r;
}

static void check_file(struct checker *c, const char *name)
{
	bool standard = strcmp(name, "-") == 0;
	FILE *f = standard ? stdin : fopen(name, "re");
	int r = f ? check_stream(c, name, f) : -errno;

	if (f && !standard)
		fclose(f);
	if (r < 0) {
		fprintf(stderr, "words: cannot read %s: %s\n", standard ? "standard input" : name,
			strerror(-r));
		c->failed = true;
	}
}

static int entry(void *state, int argc, char **argv)
{
	struct checker *c = state;

	if (argc < 2)
		check_file(c, "-");
	for (int i = 1; i < argc; i++)
		check_file(c, argv[i]);
	errno = 0;
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "words: cannot write to standard output: %s\n",
			strerror(errno ? errno : EIO));
		c->failed = true;
	}
	if (c->failed)
		return 2;
	return c->misspelt ? 1 : 0;
}

SPAWN_TEMPLATE(.warm = warm, .entry = entry);
