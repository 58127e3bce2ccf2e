/* settings.c - the rows of settings.def: reading, checking, and what a node is told. */
#include "node/service/settings.h"

#include "base/file.h"
#include "node/links/link_impl.h"
#include "node/log.h"

#include <stdlib.h>
#include <string.h>

const struct setting_row settings_table[SETTINGS] = {
#define SETTING(id, key, letter, kind, preset, min, max, allowed, value, when, help) \
	{key, SETTING_##kind, preset, min, max, allowed, value, SETTING_##when, help},
#include "node/service/settings.def"
#undef SETTING
};

void settings_begin(struct settings *s)
{
	memset(s, 0, sizeof *s);
}

void settings_end(struct settings *s)
{
	for (int i = 0; i < SETTINGS; i++)
		free(s->at[i].text);
	free(s->file);
	settings_begin(s);
}

const char *settings_text(const struct settings *s, enum setting id)
{
	return s->at[id].text ? s->at[id].text : settings_table[id].preset;
}

/* ---- what is allowed ---- */

static bool is_word_of(const char *words, const char *text)
{
	size_t size = strlen(text);
	while (*words) {
		size_t n = strcspn(words, " ");
		if (n == size && !memcmp(words, text, n))
			return true;
		words += n + strspn(words + n, " ");
	}
	return false;
}

static bool read_count(const char *text, uint32_t min, uint32_t max, uint32_t *out)
{
	uint64_t v = 0;
	size_t n = strspn(text, "0123456789");
	if (!n || n > 10 || text[n])
		return false;
	for (size_t i = 0; i < n; i++)
		v = v * 10 + (uint64_t)(text[i] - '0');
	*out = (uint32_t)v;
	return v >= min && v <= max;
}

static bool is_clean(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

/* "auto sdl2 headless" as "auto, sdl2 or headless". */
static void put_words(const char *words, char *out, size_t size)
{
	size_t at = 0;
	while (*words && at < size) {
		size_t n = strcspn(words, " ");
		const char *next = words + n + strspn(words + n, " ");
		bool last_but_one = *next && !strchr(next, ' ');
		at += (size_t)snprintf(out + at, size - at, "%.*s%s", (int)n, words,
		                       !*next         ? ""
		                       : last_but_one ? " or "
		                                      : ", ");
		words = next;
	}
}

void settings_allowed(const struct setting_row *row, char *out, size_t size)
{
	switch (row->kind) {
	case SETTING_TEXT:
		snprintf(out, size, "a text of %u to %u bytes", row->min, row->max);
		break;
	case SETTING_CHOICE: put_words(row->allowed, out, size); break;
	case SETTING_COUNT:
		snprintf(out, size, "a number of %s from %u to %u", row->allowed, row->min,
		         row->max);
		break;
	case SETTING_ADDRESS:
		snprintf(out, size, "an address and a port, like 192.0.2.7:4747 or [::]:4747");
		break;
	case SETTING_LEVELS:
		snprintf(out, size, "error, warn, info or debug, and PART=LEVEL for one part");
		break;
	}
}

static bool is_allowed(const struct setting_row *row, const char *text, struct errmsg *why)
{
	struct sockaddr_storage address;
	struct log_levels levels;
	uint32_t count;
	if (!is_clean(text))
		return false;
	switch (row->kind) {
	case SETTING_TEXT: return strlen(text) >= row->min && strlen(text) <= row->max;
	case SETTING_CHOICE: return is_word_of(row->allowed, text);
	case SETTING_COUNT: return read_count(text, row->min, row->max, &count);
	case SETTING_ADDRESS: return address_parse(text, &address) == ERR_OK;
	case SETTING_LEVELS: return log_levels_parse(text, &levels, why) == ERR_OK;
	}
	return false;
}

static enum err check(const struct setting_row *row, const char *text, struct errmsg *msg)
{
	struct errmsg why = {0};
	char allowed[160];
	if (is_allowed(row, text, &why))
		return ERR_OK;
	settings_allowed(row, allowed, sizeof allowed);
	if (why.text[0])
		return err_set(msg, ERR_USAGE, "%s", why.text);
	return err_set(msg, ERR_USAGE, "it must be %s", allowed);
}

enum err settings_set(struct settings *s, enum setting id, const char *text, struct errmsg *msg)
{
	const struct setting_row *row = &settings_table[id];
	enum err e = check(row, text, msg);
	if (e != ERR_OK)
		return err_prefix(msg, e, "--%s %.60s", row->key, text);
	free(s->at[id].text);
	s->at[id].text = strdup(text);
	s->at[id].from = SETTING_BY_OPTION;
	return s->at[id].text ? ERR_OK : err_set(msg, ERR_NOMEM, "out of memory");
}

/* ---- a file ---- */

struct line {
	const char *file;
	unsigned number;
	char *key, *value;
};

static char *trim(char *text)
{
	text += strspn(text, " \t");
	size_t size = strlen(text);
	while (size && strchr(" \t\r", text[size - 1]))
		text[--size] = 0;
	return text;
}

static void cut_comment(char *text)
{
	for (char *p = text; *p; p++)
		if (*p == '#' && (p == text || p[-1] == ' ' || p[-1] == '\t')) {
			*p = 0;
			return;
		}
}

/* False: nothing stands in it. */
static enum err split(struct line *l, char *text, bool *any, struct errmsg *msg)
{
	cut_comment(text);
	text = trim(text);
	*any = *text != 0;
	char *sign = strchr(text, '=');
	if (!*any)
		return ERR_OK;
	if (!sign || sign == text)
		return err_set(msg, ERR_USAGE,
		               "%s:%u: \"%.60s\" is no setting: write KEY = VALUE, or # before a "
		               "comment",
		               l->file, l->number, text);
	*sign = 0;
	l->key = trim(text);
	l->value = trim(sign + 1);
	return ERR_OK;
}

static enum err unknown_key(const struct line *l, struct errmsg *msg)
{
	char all[240] = "";
	size_t at = 0;
	for (int i = 0; i < SETTINGS && at < sizeof all; i++)
		at += (size_t)snprintf(all + at, sizeof all - at, "%s%s", i ? ", " : "",
		                       settings_table[i].key);
	return err_set(msg, ERR_USAGE, "%.80s:%u: there is no setting \"%.40s\"; there are %s",
	               l->file, l->number, l->key, all);
}

static int find_key(const char *key)
{
	for (int i = 0; i < SETTINGS; i++)
		if (!strcmp(settings_table[i].key, key))
			return i;
	return -1;
}

static enum err take_line(struct settings *s, const struct line *l, struct errmsg *msg)
{
	int i = find_key(l->key);
	if (i < 0)
		return unknown_key(l, msg);
	if (s->at[i].line)
		return err_set(msg, ERR_USAGE, "%s:%u: %s stands in line %u already", l->file,
		               l->number, l->key, s->at[i].line);
	enum err e = check(&settings_table[i], l->value, msg);
	if (e != ERR_OK)
		return err_prefix(msg, e, "%s:%u: %s = %.60s", l->file, l->number, l->key,
		                  l->value);
	s->at[i].line = l->number;
	if (s->at[i].from == SETTING_BY_OPTION)
		return ERR_OK;
	s->at[i].text = strdup(l->value);
	s->at[i].from = SETTING_BY_FILE;
	return s->at[i].text ? ERR_OK : err_set(msg, ERR_NOMEM, "out of memory");
}

static enum err parse_lines(struct settings *s, const char *file, char *text, struct errmsg *msg)
{
	struct line l = {.file = file};
	bool any;
	for (char *next; text; text = next) {
		next = strchr(text, '\n');
		if (next)
			*next++ = 0;
		l.number++;
		TRY(split(&l, text, &any, msg));
		if (any)
			TRY(take_line(s, &l, msg));
	}
	return ERR_OK;
}

enum err settings_parse(struct settings *s, const char *file, const char *text, size_t size,
                        struct errmsg *msg)
{
	if (size > SETTINGS_FILE_MAX || memchr(text, 0, size))
		return err_set(msg, ERR_USAGE, "%s: a config file is text, of at most %d bytes",
		               file, SETTINGS_FILE_MAX);
	char *copy = calloc(1, size + 1);
	s->file = strdup(file);
	if (!copy || !s->file) {
		free(copy);
		return err_set(msg, ERR_NOMEM, "out of memory");
	}
	memcpy(copy, text, size);
	enum err e = parse_lines(s, file, copy, msg);
	free(copy);
	return e;
}

enum err settings_read(struct settings *s, const char *path, struct errmsg *msg)
{
	struct file *f;
	struct file_info info;
	TRY(file_open(path, &f, &info, msg));
	size_t size =
	    info.size_bytes > SETTINGS_FILE_MAX ? SETTINGS_FILE_MAX + 1 : (size_t)info.size_bytes;
	char *text = calloc(1, size + 1);
	enum err e =
	    text ? file_read(f, text, size, 0, msg) : err_set(msg, ERR_NOMEM, "out of memory");
	file_close(f);
	if (e == ERR_OK)
		e = settings_parse(s, path, text, size, msg);
	free(text);
	return e;
}

/* ---- what a node is told ---- */

static const char *said(const struct settings *s, enum setting id)
{
	const char *text = settings_text(s, id);
	return *text ? text : NULL;
}

static uint32_t count_of(const struct settings *s, enum setting id)
{
	uint32_t v = 0;
	const struct setting_row *row = &settings_table[id];
	return said(s, id) && read_count(said(s, id), row->min, row->max, &v) ? v : 0;
}

static bool yes(const struct settings *s, enum setting id)
{
	return !strcmp(settings_text(s, id), "yes");
}

void settings_apply(const struct settings *s, struct node_config *cfg)
{
	cfg->name = said(s, SETTING_AT_name);
	cfg->listen = said(s, SETTING_AT_listen);
	cfg->no_discovery = !strcmp(settings_text(s, SETTING_AT_discovery), "off");
	cfg->display = said(s, SETTING_AT_display);
	cfg->checkpoint_s = count_of(s, SETTING_AT_checkpoint);
	cfg->scrub_days = count_of(s, SETTING_AT_scrub);
	cfg->low_memory_bytes = (uint64_t)count_of(s, SETTING_AT_low_memory) << 20;
	cfg->max_processes = count_of(s, SETTING_AT_max_processes);
	cfg->max_memory_pages = count_of(s, SETTING_AT_max_memory) * 16;
	cfg->log_levels = said(s, SETTING_AT_log_level);
	cfg->log_json = !strcmp(settings_text(s, SETTING_AT_log_format), "json");
	cfg->no_log_file = !yes(s, SETTING_AT_log_file);
	cfg->log_size_bytes = (uint64_t)count_of(s, SETTING_AT_log_size) << 20;
	cfg->net_cache_bytes = (uint64_t)count_of(s, SETTING_AT_net_cache) << 20;
	cfg->metrics = said(s, SETTING_AT_metrics);
	cfg->metrics_open = yes(s, SETTING_AT_metrics_open);
}

void settings_example(FILE *out)
{
	fputs("# Settings of a WasmOS node: KEY = VALUE. What is commented out is the default.\n",
	      out);
	for (int i = 0; i < SETTINGS; i++) {
		const struct setting_row *r = &settings_table[i];
		char allowed[160];
		settings_allowed(r, allowed, sizeof allowed);
		fprintf(out, "\n# %c%s.\n# It is %s.\n#%s = %s\n",
		        r->help[0] >= 'a' && r->help[0] <= 'z' ? r->help[0] - 32 : r->help[0],
		        r->help + 1, allowed, r->key, r->preset);
	}
}
