/* SPDX-License-Identifier: MIT */
#include "json.h"
#include "utf8.h"

static void json_ascii(FILE *f, char c)
{
	if (c == '"' || c == '\\')
		fprintf(f, "\\%c", c);
	else if (c == '\n')
		fputs("\\n", f);
	else if (c == '\t')
		fputs("\\t", f);
	else if ((unsigned char)c < 0x20 || c == 0x7f)
		fprintf(f, "\\u%04x", (unsigned)c);
	else
		putc(c, f);
}

void json_string(FILE *f, const char *s)
{
	putc('"', f);
	while (*s) {
		size_t len = utf8_length(s);

		if (len == 1)
			json_ascii(f, *s);
		else if (len > 1)
			fwrite(s, 1, len, f);
		else
			fputs("\\ufffd", f);
		s += len ? len : 1;
	}
	putc('"', f);
}
