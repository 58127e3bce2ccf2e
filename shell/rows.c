/* rows.c - rows of answers: their values, as JSON, as a table for people. */
#include "shell/internal.h"

#include "base/json.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- values ---- */

static const struct control_value *find(const struct client *c, const char *key,
                                        enum control_type type)
{
	const struct control_value *v = control_values_find(&c->row, key);
	return v && v->type == type ? v : NULL;
}

bool row_u64(const struct client *c, const char *key, uint64_t *out)
{
	const struct control_value *v = find(c, key, CONTROL_U64);
	if (v)
		*out = v->u64;
	return v != NULL;
}

bool row_f64(const struct client *c, const char *key, double *out)
{
	const struct control_value *v = control_values_find(&c->row, key);
	if (!v)
		return false;
	if (v->type == CONTROL_F64)
		*out = v->f64;
	else if (v->type == CONTROL_U64)
		*out = (double)v->u64;
	else if (v->type == CONTROL_I64)
		*out = (double)v->i64;
	else
		return false;
	return true;
}

const char *row_str(const struct client *c, const char *key)
{
	const struct control_value *v = find(c, key, CONTROL_TEXT);
	return v ? v->text.p : NULL;
}

const void *row_bytes(const struct client *c, const char *key, size_t *size)
{
	const struct control_value *v = find(c, key, CONTROL_BYTES);
	if (v)
		*size = v->text.size;
	return v ? v->text.p : NULL;
}

bool row_flag(const struct client *c, const char *key)
{
	const struct control_value *v = find(c, key, CONTROL_FLAG);
	return v && v->flag;
}

/* ---- JSON (RFC 8259) ---- */

void text_for_people(char *text)
{
	unsigned char *p = (unsigned char *)text;
	while (*p) {
		size_t n = utf8_size(p);
		bool control = (*p < ' ' && *p != '\n' && *p != '\t') || *p == 0x7f ||
		               (*p == 0xc2 && p[1] < 0xa0);
		if (!n || control)
			*p = '?';
		if (n == 2 && control)
			p[1] = '?';
		p += n ? n : 1;
	}
}

void json_text(const char *text)
{
	char part[JSON_CHAR_MAX];
	putchar('"');
	while (*text)
		fwrite(part, 1, json_char(&text, part), stdout);
	putchar('"');
}

static void json_bytes(const struct control_value *v)
{
	putchar('"');
	for (size_t i = 0; i < v->text.size; i++)
		printf("%02x", (unsigned char)v->text.p[i]);
	putchar('"');
}

static void json_list(const struct control_value *v)
{
	putchar('[');
	for (uint32_t i = 0; i < v->list.count; i++) {
		if (i)
			fputs(", ", stdout);
		json_text(v->list.at[i]);
	}
	putchar(']');
}

/* With as few digits as give the same number again. */
static void json_number(double value)
{
	char text[32] = "null";
	for (int digits = 15; isfinite(value) && digits <= 17; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	fputs(text, stdout);
}

static void json_value(const struct control_value *v)
{
	switch (v->type) {
	case CONTROL_U64: printf("%" PRIu64, v->u64); break;
	case CONTROL_I64: printf("%" PRId64, v->i64); break;
	case CONTROL_F64: json_number(v->f64); break;
	case CONTROL_FLAG: fputs(v->flag ? "true" : "false", stdout); break;
	case CONTROL_TEXT: json_text(v->text.p); break;
	case CONTROL_BYTES: json_bytes(v); break;
	case CONTROL_LIST: json_list(v); break;
	}
}

void json_row(const struct control_values *v)
{
	putchar('{');
	for (uint32_t i = 0; i < v->count; i++) {
		if (i)
			fputs(", ", stdout);
		json_text(v->at[i].key);
		fputs(": ", stdout);
		json_value(&v->at[i]);
	}
	putchar('}');
}

void row_print_json(const struct client *c)
{
	json_row(&c->row);
	putchar('\n');
	fflush(stdout);
}

/* ---- text ---- */

/* For people: control characters of texts become '?', so that no guest or peer writes to the terminal. */
static void value_text(const struct control_value *v, char *out, size_t size)
{
	out[0] = 0;
	if (!v)
		return;
	switch (v->type) {
	case CONTROL_U64: snprintf(out, size, "%" PRIu64, v->u64); break;
	case CONTROL_I64: snprintf(out, size, "%" PRId64, v->i64); break;
	case CONTROL_F64: snprintf(out, size, "%.1f", v->f64); break;
	case CONTROL_FLAG: snprintf(out, size, "%s", v->flag ? "yes" : "no"); break;
	case CONTROL_TEXT: snprintf(out, size, "%s", v->text.p); break;
	case CONTROL_BYTES: snprintf(out, size, "(%zu bytes)", v->text.size); break;
	case CONTROL_LIST: snprintf(out, size, "(%u)", v->list.count); break;
	}
	text_for_people(out);
	for (char *p = out; *p; p++)
		if (*p == '\n' || *p == '\t') /* a cell is one line */
			*p = '?';
}

/* "memory_bytes" as 18.4M, "cpu_ms" as 1:02.5: keys end in their unit. */
static void cell_text(const char *key, const struct control_value *v, char *out, size_t size)
{
	size_t n = strlen(key);
	value_text(v, out, size);
	if (!v || v->type != CONTROL_U64)
		return;
	if (n > 6 && !strcmp(key + n - 6, "_bytes")) {
		static const char units[] = " KMGTP";
		double x = (double)v->u64;
		int unit = 0;
		for (; x >= 1024 && unit < 5; unit++)
			x /= 1024;
		snprintf(out, size, unit ? "%.1f%c" : "%.0f", x, units[unit]);
	} else if (n > 3 && !strcmp(key, "cpu_ms")) {
		uint64_t s = v->u64 / 1000;
		snprintf(out, size, "%" PRIu64 ":%02" PRIu64 ".%" PRIu64, s / 60, s % 60,
		         v->u64 % 1000 / 100);
	}
}

enum { COLUMNS_MAX = 16, CELL_MAX = 512 };

struct column {
	char key[CONTROL_KEY_MAX + 1], title[40];
	bool right;
	int width;
};

/* Columns of a terminal that text takes, near enough: a character is one, of East Asia and pictures two, a combining mark none. */
static int text_width(const char *text)
{
	static const struct {
		uint32_t first, last;
		int width;
	} other[] = {{0x300, 0x36f, 0},    {0x1100, 0x115f, 2}, {0x2e80, 0xa4cf, 2},
	             {0xac00, 0xd7a3, 2},  {0xf900, 0xfaff, 2}, {0xfe00, 0xfe0f, 0},
	             {0xfe30, 0xfe6f, 2},  {0xff00, 0xff60, 2}, {0x1f300, 0x1faff, 2},
	             {0x20000, 0x3fffd, 2}};
	int width = 0;
	for (const unsigned char *p = (const unsigned char *)text; *p;) {
		int more = *p < 0xc0 ? 0 : *p < 0xe0 ? 1 : *p < 0xf0 ? 2 : 3, one = 1;
		uint32_t c = more ? *p & (0x3fu >> more) : *p;
		for (p++; more && (*p & 0xc0) == 0x80; more--)
			c = c << 6 | (*p++ & 0x3f);
		for (size_t i = 0; i < sizeof other / sizeof *other; i++)
			if (c >= other[i].first && c <= other[i].last)
				one = other[i].width;
		width += one;
	}
	return width;
}

static int parse_columns(const char *text, struct column *out)
{
	int n = 0, used;
	while (n < COLUMNS_MAX &&
	       sscanf(text, " %31[^: ]:%39s%n", out[n].key, out[n].title, &used) == 2) {
		out[n].width = (int)strlen(out[n].title);
		text += used;
		n++;
	}
	return n;
}

struct cells {
	char **at;
	size_t count, cap;
};

static bool add_text(struct cells *cells, const char *text)
{
	if (cells->count == cells->cap) {
		size_t cap = cells->cap ? cells->cap * 2 : 64;
		char **at = realloc(cells->at, cap * sizeof *at);
		if (!at)
			return false;
		cells->at = at;
		cells->cap = cap;
	}
	cells->at[cells->count] = strdup(text);
	return cells->at[cells->count++] != NULL;
}

/* "3: it is in flight ...", for below the table: what a row of a program says more than the table shows. */
static bool add_note(const struct client *c, struct cells *notes)
{
	char text[CELL_MAX], line[CELL_MAX + 24];
	const struct control_value *note = control_values_find(&c->row, "note");
	uint64_t pid;
	if (!note || note->type != CONTROL_TEXT || !note->text.p[0] || !row_u64(c, "pid", &pid))
		return true;
	value_text(note, text, sizeof text);
	snprintf(line, sizeof line, "%" PRIu64 ": %s", pid, text);
	return add_text(notes, line);
}

static bool add_row(const struct client *c, struct column *columns, int n, struct cells *cells)
{
	for (int i = 0; i < n; i++) {
		char text[CELL_MAX];
		const struct control_value *v = control_values_find(&c->row, columns[i].key);
		cell_text(columns[i].key, v, text, sizeof text);
		if (v && v->type != CONTROL_TEXT)
			columns[i].right = true;
		if (!add_text(cells, text))
			return false;
		int width = text_width(text);
		if (width > columns[i].width)
			columns[i].width = width;
	}
	return true;
}

static void print_cell(const struct column *col, const char *text, bool last)
{
	int rest = col->width - text_width(text);
	printf("%*s%s%*s%s", col->right ? rest : 0, "", text, col->right || last ? 0 : rest, "",
	       last ? "\n" : "  ");
}

static void free_cells(struct cells *cells)
{
	for (size_t i = 0; i < cells->count; i++)
		free(cells->at[i]);
	free(cells->at);
}

static void print_cells(const struct column *columns, int n, const struct cells *cells)
{
	for (int i = 0; i < n; i++)
		print_cell(&columns[i], columns[i].title, i == n - 1);
	for (size_t k = 0; k < cells->count; k++)
		print_cell(&columns[k % (size_t)n], cells->at[k], k % (size_t)n == (size_t)n - 1);
}

static int table_json(struct shell *sh, struct client *c)
{
	int status, rows = 0;
	putchar('[');
	while (client_next(sh, c, &status)) {
		fputs(rows++ ? ",\n " : "", stdout);
		json_row(&c->row);
	}
	puts("]");
	return status;
}

int client_table(struct shell *sh, struct client *c, const char *text)
{
	struct column columns[COLUMNS_MAX] = {0};
	struct cells cells = {0}, notes = {0};
	int status = 1, n = parse_columns(text, columns);
	if (sh->json) {
		status = table_json(sh, c);
	} else {
		bool ok = true;
		while (client_next(sh, c, &status))
			ok = ok && add_row(c, columns, n, &cells) && add_note(c, &notes);
		if (!ok)
			status = shell_fail(sh, "out of memory");
		else if (!status)
			print_cells(columns, n, &cells);
		for (size_t i = 0; ok && !status && i < notes.count; i++)
			puts(notes.at[i]);
	}
	free_cells(&cells);
	free_cells(&notes);
	client_close(c);
	return status;
}

/* "moved {pid} to {peer}\n" */
static void print_filled(const struct client *c, const char *text)
{
	while (*text) {
		char key[CONTROL_KEY_MAX + 1], value[CELL_MAX];
		int used = 0;
		if (*text == '{' && sscanf(text, "{%31[a-z_0-9]}%n", key, &used) == 1 && used) {
			cell_text(key, control_values_find(&c->row, key), value, sizeof value);
			fputs(value, stdout);
			text += used;
		} else {
			putchar(*text++);
		}
	}
}

int client_report(struct shell *sh, struct client *c, const char *text)
{
	int status;
	c->busy = busy_begin(sh);
	while (client_next(sh, c, &status)) {
		if (sh->json)
			row_print_json(c);
		else if (text)
			print_filled(c, text);
	}
	client_close(c);
	return status;
}
