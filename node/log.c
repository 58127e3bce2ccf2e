/* log.c - the node's log: <home>/log, one line a message, started anew (log.old) past LOG_SIZE_MAX. */
#include "node/node.h"

#include "base/file.h"
#include "base/os.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LOG_SIZE_MAX = 4 << 20, LOG_LINE_MAX = 1024 };

struct node_log {
	pthread_mutex_t lock;
	struct dir *home; /* borrowed from the node */
	struct file *file;
	bool to_stderr;
	int level;
	uint64_t size_bytes;
};

enum err node_log_open(struct node *n, struct errmsg *msg)
{
	struct node_log *l = calloc(1, sizeof *l);
	if (!l)
		return err_set(msg, ERR_NOMEM, "log: out of memory");
	*l = (struct node_log){
	    .home = n->home, .to_stderr = n->cfg.foreground, .level = n->cfg.log_level};
	l->file = file_append_open(n->home, "log", &l->size_bytes);
	if (!l->file) {
		free(l);
		return err_set(msg, ERR_IO, "%s/log: cannot be opened for writing", n->cfg.home);
	}
	pthread_mutex_init(&l->lock, NULL);
	n->log = l;
	return ERR_OK;
}

void node_log_close(struct node *n)
{
	struct node_log *l = n->log;
	file_close(l->file);
	pthread_mutex_destroy(&l->lock);
	free(l);
	n->log = NULL;
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

static size_t line_head(char *line, size_t size, enum log_level level, const char *part)
{
	static const char *const names[] = {"error", "warn", "info", "debug"};
	uint64_t now_ms = os_wall_ns() / 1000000;
	unsigned year, month, day, s = (unsigned)(now_ms / 1000 % 86400);
	date_of(now_ms / 86400000, &year, &month, &day);
	return (size_t)snprintf(line, size, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ %s %s: ", year,
	                        month, day, s / 3600, s / 60 % 60, s % 60,
	                        (unsigned)(now_ms % 1000), names[level], part);
}

void node_log(struct node *n, enum log_level level, const char *part, const char *fmt, ...)
{
	struct node_log *l = n->log;
	if (!l || (int)level > l->level)
		return;
	char line[LOG_LINE_MAX];
	size_t at = line_head(line, sizeof line - 1, level, part);
	va_list ap;
	va_start(ap, fmt);
	int more = vsnprintf(line + at, sizeof line - 1 - at, fmt, ap);
	va_end(ap);
	if (more > 0)
		at += (size_t)more < sizeof line - 1 - at ? (size_t)more : sizeof line - 2 - at;
	/* A peer's or guest's text must not forge lines. */
	for (size_t i = 0; i < at; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = '?';
	line[at++] = '\n';
	pthread_mutex_lock(&l->lock);
	if (l->size_bytes + at > LOG_SIZE_MAX)
		start_anew(l);
	if (l->file && file_append(l->file, line, at))
		l->size_bytes += at;
	if (l->to_stderr && write(STDERR_FILENO, line, at) < 0)
		l->to_stderr = false;
	pthread_mutex_unlock(&l->lock);
}
