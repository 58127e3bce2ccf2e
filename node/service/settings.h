/* settings.h - what `wasmos up` can be told (settings.def): by options, by a config file, by default.
 *
 * A config file is lines `key = value`; '#' at the start of a line or after a space begins a comment. What an option says wins over the
 * file, the file over the default. An unknown key, one that stands twice, and a value that is not allowed are errors that name file, line, key and
 * what is allowed; then nothing is taken. One thread at a time.
 *
 *	struct settings s;
 *	settings_begin(&s);
 *	settings_set(&s, SETTING_AT_display, "headless", &msg);       // an option
 *	settings_read(&s, "/etc/wasmos/config", &msg);
 *	settings_apply(&s, &cfg);                                    // cfg borrows texts of s
 *	settings_end(&s);
 */
#pragma once

#include "node/node.h"

#include <stdio.h>

enum setting {
#define SETTING(id, ...) SETTING_AT_##id,
#include "node/service/settings.def"
#undef SETTING
	SETTINGS
};

enum setting_kind { SETTING_TEXT, SETTING_CHOICE, SETTING_COUNT, SETTING_ADDRESS, SETTING_LEVELS };
enum setting_when { SETTING_START, SETTING_RELOAD };
enum setting_from { SETTING_BY_DEFAULT, SETTING_BY_FILE, SETTING_BY_OPTION };

struct setting_row {
	const char *key;
	enum setting_kind kind;
	const char *preset; /* the default; "": nothing is said */
	uint32_t min, max;
	const char *allowed, *value;
	enum setting_when when;
	const char *help;
};
extern const struct setting_row settings_table[SETTINGS];

enum { SETTINGS_FILE_MAX = 64 * 1024 /* bytes */ };

struct settings {
	struct {
		char *text; /* owned; NULL: the default */
		enum setting_from from;
		unsigned line;
	} at[SETTINGS];
	char *file; /* that was read; NULL: none */
};

void settings_begin(struct settings *s);
void settings_end(struct settings *s);
/* By an option. ERR_USAGE. */
enum err settings_set(struct settings *s, enum setting id, const char *text, struct errmsg *msg);
/* A file's text; file is how messages call it. ERR_USAGE, ERR_NOMEM. */
enum err settings_parse(struct settings *s, const char *file, const char *text, size_t size,
                        struct errmsg *msg);
/* A file. ERR_NOTFOUND: there is none; ERR_USAGE, ERR_IO. */
enum err settings_read(struct settings *s, const char *path, struct errmsg *msg);
/* What holds now; "" when nothing is said. */
const char *settings_text(const struct settings *s, enum setting id);
void settings_apply(const struct settings *s, struct node_config *cfg);

/* ---- documents ---- */

/* A config file that says nothing but what could be said: each row with its help, as comments. */
void settings_example(FILE *out);
/* What is allowed, for people: "a number of seconds from 0 to 86400". */
void settings_allowed(const struct setting_row *row, char *out, size_t size);
