/* log.c - the node's log: <home>/log, one line a message, started anew (log.old) past its size. */
#include "node/log.h"

#include "base/file.h"
#include "base/json.h"
#include "base/os.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	LOG_SIZE_MAX = NODE_LOG_MIB << 20, /* when the settings say nothing */
	LOG_TEXT_MAX = 1024,
	LOG_NAMES_MAX = 2 * 256, /* of a program and a device */
	LOG_LINE_MAX = (LOG_TEXT_MAX + LOG_NAMES_MAX) * JSON_CHAR_MAX + 512
};

struct node_log {
	pthread_mutex_t lock;
	struct dir *home; /* borrowed from the node */
	struct file *file;
	bool to_stderr;
	bool to_journal; /* what stderr leads to: it takes a line's level from a number before it */
	bool json;
	struct log_levels levels;
	uint64_t size_bytes, size_max_bytes;
};

/* ---- levels ---- */

static const char *const level_names[] = {"error", "warn", "info", "debug"};
static const char *const part_names[LOG_PARTS] = {
#define LOG_PART(name, text) #name,
#include "node/log_parts.def"
#undef LOG_PART
};

const char *log_level_name(enum log_level level)
{
	return level_names[level];
}

/* The place of a name in a table; -1: it is not there. */
static int find_name(const char *const *names, int count, const char *name, size_t size)
{
	for (int i = 0; i < count; i++)
		if (strlen(names[i]) == size && !memcmp(names[i], name, size))
			return i;
	return -1;
}

static enum err wrong_level(struct errmsg *msg, const char *word, size_t size)
{
	return err_set(msg, ERR_USAGE,
	               "there is no level \"%.*s\": it is error, warn, info or debug, and "
	               "PART=LEVEL for one part",
	               (int)(size < 40 ? size : 40), word);
}

static enum err wrong_part(struct errmsg *msg, const char *word, size_t size)
{
	char all[160] = "";
	size_t at = 0;
	for (int i = 0; i < LOG_PARTS && at < sizeof all; i++)
		at += (size_t)snprintf(all + at, sizeof all - at, "%s%s", i ? ", " : "",
		                       part_names[i]);
	return err_set(msg, ERR_USAGE, "there is no part \"%.*s\" of the log; there are %s",
	               (int)(size < 40 ? size : 40), word, all);
}

static enum err parse_word(const char *word, size_t size, struct log_levels *out,
                           struct errmsg *msg)
{
	const char *sign = memchr(word, '=', size);
	const char *level = sign ? sign + 1 : word;
	size_t level_size = (size_t)(word + size - level);
	int value = find_name(level_names, LOG_DEBUG + 1, level, level_size);
	if (value < 0)
		return wrong_level(msg, level, level_size);
	if (!sign) {
		out->other = (enum log_level)value;
		for (int i = 0; i < LOG_PARTS; i++)
			out->parts[i] = out->other;
		return ERR_OK;
	}
	int part = find_name(part_names, LOG_PARTS, word, (size_t)(sign - word));
	if (part < 0)
		return wrong_part(msg, word, (size_t)(sign - word));
	out->parts[part] = (enum log_level)value;
	return ERR_OK;
}

static void all_levels(struct log_levels *out, enum log_level level)
{
	out->other = level;
	for (int i = 0; i < LOG_PARTS; i++)
		out->parts[i] = level;
}

enum err log_levels_parse(const char *text, struct log_levels *out, struct errmsg *msg)
{
	static const char between[] = ", \t";
	all_levels(out, LOG_INFO);
	for (text += strspn(text, between); *text; text += strspn(text, between)) {
		size_t size = strcspn(text, between);
		TRY(parse_word(text, size, out, msg));
		text += size;
	}
	return ERR_OK;
}

static bool is_wanted(const struct log_levels *l, enum log_level level, const char *part)
{
	int i = find_name(part_names, LOG_PARTS, part, strlen(part));
	return level <= (i < 0 ? l->other : l->parts[i]);
}

/* ---- open, close ---- */

static enum err first_levels(const struct node_config *cfg, struct log_levels *out,
                             struct errmsg *msg)
{
	if (cfg->log_levels)
		return log_levels_parse(cfg->log_levels, out, msg);
	all_levels(out, (enum log_level)cfg->log_level);
	return ERR_OK;
}

enum err node_log_open(struct node *n, struct errmsg *msg)
{
	const struct node_config *cfg = &n->cfg;
	struct log_levels levels;
	TRY(first_levels(cfg, &levels, msg));
	struct node_log *l = calloc(1, sizeof *l);
	if (!l)
		return err_set(msg, ERR_NOMEM, "log: out of memory");
	char *journal = path_env("JOURNAL_STREAM");
	*l = (struct node_log){.home = n->home,
	                       .to_stderr = cfg->foreground,
	                       .to_journal = journal != NULL,
	                       .json = cfg->log_json,
	                       .levels = levels,
	                       .size_max_bytes =
	                           cfg->log_size_bytes ? cfg->log_size_bytes : LOG_SIZE_MAX};
	free(journal);
	l->file = cfg->no_log_file ? NULL : file_append_open(n->home, "log", &l->size_bytes);
	if (!l->file && !cfg->no_log_file) {
		free(l);
		return err_set(msg, ERR_IO, "%s/log: cannot be opened for writing", cfg->home);
	}
	pthread_mutex_init(&l->lock, NULL);
	n->log = l;
	return ERR_OK;
}

void node_log_close(struct node *n)
{
	struct node_log *l = n->log;
	if (l->file)
		file_close(l->file);
	pthread_mutex_destroy(&l->lock);
	free(l);
	n->log = NULL;
}

void node_log_change(struct node *n, const struct log_levels *levels, bool json)
{
	pthread_mutex_lock(&n->log->lock);
	n->log->levels = *levels;
	n->log->json = json;
	pthread_mutex_unlock(&n->log->lock);
}

static void start_anew(struct node_log *l)
{
	file_close(l->file); /* some systems rename no open file */
	dir_rename(l->home, "log", "log.old");
	l->file = file_append_open(l->home, "log", &l->size_bytes);
}

/* Days since 1970 as a date of the Gregorian calendar, in years that begin with March: their last day is the leap day. */
static void date_of(uint64_t days, unsigned *year, unsigned *month, unsigned *day)
{
	uint64_t z = days + 719468, era = z / 146097;
	unsigned doe = (unsigned)(z % 146097);
	unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
	*day = doy - (153 * mp + 2) / 5 + 1;
	*month = mp < 10 ? mp + 3 : mp - 9;
	*year = (unsigned)(yoe + era * 400) + (*month <= 2);
}

/* ---- lines ---- */

enum { TIME_SIZE = 32 };

/* RFC 3339, in UTC. */
static void time_text(char out[TIME_SIZE])
{
	uint64_t now_ms = os_wall_ns() / 1000000;
	unsigned year, month, day, s = (unsigned)(now_ms / 1000 % 86400);
	date_of(now_ms / 86400000, &year, &month, &day);
	snprintf(out, TIME_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", year % 10000, month % 100,
	         day % 100, s / 3600, s / 60 % 60, s % 60, (unsigned)(now_ms % 1000));
}

/* A peer's or guest's text must not forge lines. */
static void tame(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}

static const char *const event_names[] = {
    NULL,
#define LOG_EVENT(name, text, fields) #name,
#include "node/log_events.def"
#undef LOG_EVENT
};

/* A line in JSON that is being written; there is room for all that is put into one. */
struct json_line {
	char *text;
	size_t size;
};

static void put_key(struct json_line *l, const char *key)
{
	l->size += (size_t)snprintf(l->text + l->size, LOG_LINE_MAX - l->size,
	                            "%s\"%s\": ", l->size ? ", " : "{", key);
}

static void put_number(struct json_line *l, const char *key, long long value)
{
	put_key(l, key);
	l->size += (size_t)snprintf(l->text + l->size, LOG_LINE_MAX - l->size, "%lld", value);
}

static void put_text(struct json_line *l, const char *key, const char *text)
{
	if (!text)
		return;
	put_key(l, key);
	l->size += json_quote(l->text + l->size, LOG_LINE_MAX - l->size - 2, text);
}

static void put_about(struct json_line *l, const struct log_about *about)
{
	char error[24] = "";
	put_text(l, "event", event_names[about->event]);
	if (about->pid)
		put_number(l, "pid", about->pid);
	put_text(l, "program", about->program);
	put_text(l, "device", about->device);
	if (about->has_status)
		put_number(l, "status", about->status);
	if (about->error == ERR_OK)
		return;
	snprintf(error, sizeof error, "%s", err_name(about->error));
	put_text(l, "error", error);
}

static size_t json_line(char *line, const char *level, const char *part,
                        const struct log_about *about, const char *text)
{
	struct json_line l = {.text = line};
	char time[TIME_SIZE], short_part[24];
	time_text(time);
	snprintf(short_part, sizeof short_part, "%s", part);
	put_text(&l, "time", time);
	put_text(&l, "level", level);
	put_text(&l, "part", short_part);
	if (about)
		put_about(&l, about);
	put_text(&l, "text", text);
	memcpy(line + l.size, "}\n", 2);
	return l.size + 2;
}

static size_t plain_line(char *line, const char *level, const char *part, char *text)
{
	char time[TIME_SIZE];
	time_text(time);
	tame(text);
	return (size_t)snprintf(line, LOG_LINE_MAX, "%s %s %.20s: %s\n", time, level, part, text);
}

static bool write_stderr(const struct node_log *l, enum log_level level, const char *line,
                         size_t size)
{
	static const char *const numbers[] = {"<3>", "<4>", "<6>", "<7>"}; /* as syslog's */
	char all[LOG_LINE_MAX + 4];
	size_t head = l->to_journal ? strlen(numbers[level]) : 0;
	memcpy(all, numbers[level], head);
	memcpy(all + head, line, size);
	return write(STDERR_FILENO, all, head + size) >= 0;
}

static void write_line(struct node_log *l, enum log_level level, const char *line, size_t size)
{
	if (l->file && l->size_bytes + size > l->size_max_bytes)
		start_anew(l);
	if (l->file && file_append(l->file, line, size))
		l->size_bytes += size;
	if (l->to_stderr && !write_stderr(l, level, line, size))
		l->to_stderr = false;
}

static bool is_wanted_now(struct node_log *l, enum log_level level, const char *part)
{
	pthread_mutex_lock(&l->lock);
	bool wanted = is_wanted(&l->levels, level, part);
	pthread_mutex_unlock(&l->lock);
	return wanted;
}

static void say(struct node *n, enum log_level level, const char *part,
                const struct log_about *about, const char *fmt, va_list ap)
{
	struct node_log *l = n->log;
	if (!l || !is_wanted_now(l, level, part))
		return;
	char text[LOG_TEXT_MAX], line[LOG_LINE_MAX];
	vsnprintf(text, sizeof text, fmt, ap);
	pthread_mutex_lock(&l->lock);
	size_t size = l->json ? json_line(line, level_names[level], part, about, text)
	                      : plain_line(line, level_names[level], part, text);
	write_line(l, level, line, size);
	pthread_mutex_unlock(&l->lock);
}

void node_log(struct node *n, enum log_level level, const char *part, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	say(n, level, part, NULL, fmt, ap);
	va_end(ap);
}

void node_log_about(struct node *n, enum log_level level, const char *part,
                    const struct log_about *about, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	say(n, level, part, about, fmt, ap);
	va_end(ap);
}
