/* log.c - the node's log: <home>/log, one line a message, started anew (log.old) past LOG_SIZE_MAX. */
#include "node/node.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LOG_SIZE_MAX = 4 << 20, LOG_LINE_MAX = 1024 };

struct node_log {
	pthread_mutex_t lock;
	int home_fd; /* borrowed from the node */
	int fd;
	bool to_stderr;
	int level;
	size_t size_bytes;
};

static int open_log(int home_fd)
{
	return openat(home_fd, "log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
}

enum err node_log_open(struct node *n, struct errmsg *msg)
{
	struct node_log *l = calloc(1, sizeof *l);
	if (!l)
		return err_set(msg, ERR_NOMEM, "log: out of memory");
	*l = (struct node_log){.home_fd = n->home_fd,
	                       .fd = open_log(n->home_fd),
	                       .to_stderr = n->cfg.foreground,
	                       .level = n->cfg.log_level};
	if (l->fd < 0) {
		free(l);
		return err_set(msg, ERR_IO, "%s/log: cannot be opened for writing", n->cfg.home);
	}
	off_t end = lseek(l->fd, 0, SEEK_END);
	l->size_bytes = end > 0 ? (size_t)end : 0;
	pthread_mutex_init(&l->lock, NULL);
	n->log = l;
	return ERR_OK;
}

void node_log_close(struct node *n)
{
	struct node_log *l = n->log;
	close(l->fd);
	pthread_mutex_destroy(&l->lock);
	free(l);
	n->log = NULL;
}

static void start_anew(struct node_log *l)
{
	renameat(l->home_fd, "log", l->home_fd, "log.old");
	int fd = open_log(l->home_fd);
	if (fd < 0)
		return;
	close(l->fd);
	l->fd = fd;
	l->size_bytes = 0;
}

static size_t line_head(char *line, size_t size, enum log_level level, const char *part)
{
	static const char *const names[] = {"error", "warn", "info", "debug"};
	struct timespec now;
	struct tm tm;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	size_t at = strftime(line, size, "%Y-%m-%dT%H:%M:%S", &tm);
	at += (size_t)snprintf(line + at, size - at, ".%03ldZ %s %s: ", now.tv_nsec / 1000000,
	                       names[level], part);
	return at;
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
	ssize_t put = write(l->fd, line, at);
	l->size_bytes += put > 0 ? (size_t)put : 0;
	if (l->to_stderr && write(STDERR_FILENO, line, at) < 0)
		l->to_stderr = false;
	pthread_mutex_unlock(&l->lock);
}
