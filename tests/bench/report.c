/* SPDX-License-Identifier: MIT */
#include "report.h"

#include <err.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 64

struct row {
	char what[32], way[48], mode[64];
	struct figure *figure;
};

struct report {
	FILE *json;	      /* NULL: none */
	const char *data_dir; /* borrowed; NULL: none */
	bool facts_over;
	unsigned n_tables, n_facts;
	char key[32];
	struct row rows[ROWS_MAX];
	size_t n_rows;
	/* The ratios and notes of the table, JSON and text, until its rows are out. */
	FILE *ratios, *notes;
	char *ratios_text, *notes_text;
	size_t ratios_size, notes_size;
};

static void put_string(FILE *f, const char *s)
{
	fputc('"', f);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			fputc('\\', f);
		if ((unsigned char)*s >= 0x20)
			fputc(*s, f);
	}
	fputc('"', f);
}

struct report *report_open(const char *json, const char *data_dir)
{
	struct report *r = calloc(1, sizeof(*r));

	if (!r)
		err(1, "memory");
	if (json) {
		r->json = fopen(json, "we");
		if (!r->json)
			err(1, "%s", json);
		fputs("{\"machine\": {", r->json);
	}
	r->data_dir = data_dir;
	return r;
}

void report_fact(struct report *r, const char *name, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	printf("  %-12s %s\n", name, text);
	if (!r->json)
		return;
	fputs(r->n_facts++ ? ",\n  " : "\n  ", r->json);
	put_string(r->json, name);
	fputs(": ", r->json);
	put_string(r->json, text);
}

void report_close(struct report *r)
{
	if (r->json) {
		fputs(r->facts_over ? "\n]}\n" : "},\n\"tables\": []}\n", r->json);
		if (fclose(r->json) != 0)
			err(1, "the JSON file");
	}
	free(r);
}

void report_table(struct report *r, const char *key, const char *title, const char *unit)
{
	printf("\n%s [%s]\n", title, unit);
	printf("  %-8s %-26s %-30s %9s %9s %6s\n", "", "", "", "median", "p99", "n");
	snprintf(r->key, sizeof(r->key), "%s", key);
	r->n_rows = 0;
	r->ratios = open_memstream(&r->ratios_text, &r->ratios_size);
	r->notes = open_memstream(&r->notes_text, &r->notes_size);
	if (!r->ratios || !r->notes)
		err(1, "memory");
	if (!r->json)
		return;
	fputs(r->facts_over ? ",\n" : "},\n\"tables\": [\n", r->json);
	r->facts_over = true;
	fputs("{\"question\": ", r->json);
	put_string(r->json, key);
	fputs(", \"title\": ", r->json);
	put_string(r->json, title);
	fputs(", \"unit\": ", r->json);
	put_string(r->json, unit);
	fputs(", \"rows\": [", r->json);
}

/* As many digits as mean something. */
static const char *figure_text(double v, char buf[32])
{
	double size = fabs(v);

	snprintf(buf, 32, size >= 100 ? "%.0f" : size >= 10 ? "%.1f" : "%.2f", v);
	return buf;
}

void report_row(struct report *r, const char *what, const char *way, const char *mode,
		struct figure *f)
{
	double median = figure_percentile(f, 50), p99 = figure_percentile(f, 99);
	struct row *row = &r->rows[r->n_rows];
	char a[32], b[32];

	if (r->n_rows == ROWS_MAX)
		errx(1, "too many rows");
	snprintf(row->what, sizeof(row->what), "%s", what);
	snprintf(row->way, sizeof(row->way), "%s", way);
	snprintf(row->mode, sizeof(row->mode), "%s", mode);
	row->figure = f;
	r->n_rows++;
	printf("  %-8s %-26s %-30s %9s %9s %6zu\n", what, way, mode, figure_text(median, a),
	       figure_text(p99, b), f->n);
	fflush(stdout);
	if (!r->json)
		return;
	fputs(r->n_rows > 1 ? ",\n  {\"what\": " : "\n  {\"what\": ", r->json);
	put_string(r->json, what);
	fputs(", \"way\": ", r->json);
	put_string(r->json, way);
	fputs(", \"mode\": ", r->json);
	put_string(r->json, mode);
	fprintf(r->json, ", \"n\": %zu, \"median\": %.6g, \"p99\": %.6g, \"min\": %.6g}", f->n,
		median, p99, f->n ? f->v[0] : 0);
}

void report_ratio(struct report *r, struct figure *a, struct figure *b, const char *format, ...)
{
	struct ratio median = figure_ratio(a, b, 50), p99 = figure_ratio(a, b, 99);
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fprintf(r->notes, "    %-56s %8.2f [%.2f, %.2f]   p99 %.2f [%.2f, %.2f]\n", text,
		median.value, median.low, median.high, p99.value, p99.low, p99.high);
	fputs(ftell(r->ratios) > 0 ? ",\n  {\"ratio\": " : "\n  {\"ratio\": ", r->ratios);
	put_string(r->ratios, text);
	fprintf(r->ratios,
		", \"median\": %.6g, \"low\": %.6g, \"high\": %.6g, "
		"\"p99\": %.6g, \"p99_low\": %.6g, \"p99_high\": %.6g}",
		median.value, median.low, median.high, p99.value, p99.low, p99.high);
}

void report_note(struct report *r, const char *format, ...)
{
	va_list args;

	fputs("    ", r->notes);
	va_start(args, format);
	vfprintf(r->notes, format, args);
	va_end(args);
	fputc('\n', r->notes);
}

FILE *report_data(const struct report *r, const char *name)
{
	char path[4096];
	FILE *f;

	if (!r->data_dir)
		return NULL;
	snprintf(path, sizeof(path), "%s/%s", r->data_dir, name);
	f = fopen(path, "we");
	if (!f)
		err(1, "%s", path);
	return f;
}

static void write_rows(const struct report *r)
{
	char name[48];
	FILE *f;

	snprintf(name, sizeof(name), "%s-rows.tsv", r->key);
	f = report_data(r, name);
	if (!f)
		return;
	for (size_t i = 0; i < r->n_rows; i++) {
		const struct row *row = &r->rows[i];

		fprintf(f, "\"%s, %s\"\t%g\t%g\n", row->what, row->way,
			figure_percentile(row->figure, 50), figure_percentile(row->figure, 99));
	}
	fclose(f);
}

/* A line a per cent, a column a row of the table. */
static void write_quantiles(const struct report *r)
{
	char name[48];
	FILE *f;

	snprintf(name, sizeof(name), "%s.tsv", r->key);
	f = report_data(r, name);
	if (!f)
		return;
	fputs("per cent", f);
	for (size_t i = 0; i < r->n_rows; i++)
		fprintf(f, "\t\"%s, %s\"", r->rows[i].what, r->rows[i].way);
	for (unsigned percent = 0; percent <= 100; percent++) {
		fprintf(f, "\n%u", percent);
		for (size_t i = 0; i < r->n_rows; i++)
			fprintf(f, "\t%g", figure_percentile(r->rows[i].figure, percent));
	}
	fputc('\n', f);
	fclose(f);
}

void report_table_end(struct report *r)
{
	if (fclose(r->ratios) != 0 || fclose(r->notes) != 0)
		err(1, "memory");
	fputs(r->notes_text, stdout);
	fflush(stdout);
	if (r->json) {
		fprintf(r->json, "], \"ratios\": [%s], \"notes\": ", r->ratios_text);
		for (char *p = r->notes_text; *p; p++)
			if (*p == '\n')
				*p = ';';
		put_string(r->json, r->notes_text);
		fputs("}", r->json);
	}
	free(r->ratios_text);
	free(r->notes_text);
	write_rows(r);
	write_quantiles(r);
}
