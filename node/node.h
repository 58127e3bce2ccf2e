/* node.h - the running WasmOS of one device: loop, home folder, and the parts that make it up.
 *
 * A node is one value; a test may hold several, each with its own home. All of it belongs to the
 * loop thread. What a node is made of is listed in parts.def: each row is a part with NAME_open()
 * and NAME_close(), opened in that order when the node starts and closed in reverse. To add a part:
 * a row in parts.def and the two functions; its state is the field n->NAME of type struct NAME *.
 *
 * The home folder (mode 0700): lock (held while the node lives), control (socket, 0600), log,
 * device (key), store/ (LMDB), modules/ (bytes of modules by hash).
 *
 *	struct node *n;
 *	node_open(&cfg, &n, &msg);
 *	node_run(n);       // until node_stop(), or the system wants it to stop (stop.h)
 *	node_close(n);
 */
#pragma once

#include "base/err.h"
#include "node/service/counters.h"
#include "node/process/process.h"

#include <uv.h>

struct dir;
struct file_lock;
struct node_log;
struct stops;
#define PART(name, text) struct name;
#include "node/parts.def"
#undef PART

struct node_config {
	const char *home; /* absolute */
	const char *
	    name; /* what other devices call this one; NULL: the stored one, else the host's name */
	const char *listen;    /* "ADDR:PORT" for links; NULL: the default of link.h */
	bool no_discovery;     /* no beacons on local networks (discovery.h) */
	const char *display;   /* "sdl", "terminal", "headless"; NULL: sdl when there is a display,
	                        else headless */
	uint32_t checkpoint_s; /* between checkpoints of what runs in the background; 0: none */
	/* Programs go to sleep when less memory is left; 0: the system's own floor (trims.h) */
	uint64_t low_memory_bytes;
	bool foreground;           /* log to stderr too */
	int log_level;             /* enum log_level */
	const char *log_levels;    /* as log.h reads them, instead of log_level; NULL: log_level */
	bool log_json;             /* lines for programs */
	bool no_log_file;          /* only to stderr, if at all */
	uint64_t log_size_bytes;   /* of <home>/log, before it is started anew; 0: NODE_LOG_MIB */
	uint32_t max_processes;    /* that are alive at once; 0: PROCESSES_MAX */
	uint32_t max_memory_pages; /* of a program that is started here without a limit; 0: none */
	uint32_t scrub_days;       /* between readings of the whole store; 0: none */
	uint64_t net_cache_bytes;  /* of other devices' files kept on disk; 0: none */
	const char *metrics; /* "ADDR:PORT" where figures can be read (metrics.h); NULL: nowhere */
	bool metrics_open;   /* that may be another address than loopback */
	/* Reads the settings again, into a config that lives until the next call; NULL: they cannot be read again. */
	const struct node_config *(*reread)(void *ctx, struct errmsg *msg);
	void *reread_ctx;
};

enum {
	NODE_SUBSCRIBERS_MAX = 8,
	NODE_CHECKPOINT_S = 60 /* what `wasmos up` sets */,
	NODE_LOG_MIB = 4
};

/* Open inside node/. */
struct node {
	uv_loop_t loop;
	struct node_config cfg; /* strings are owned */
	char name[64];
	/* BLAKE2b-256 of the device's public key; set by the part that reads <home>/device */
	uint8_t device_id[32];
	int64_t started_unix_ms;
	struct node_log *log;
	struct dir *home;
	struct file_lock *lock;
	struct file_lock *nearby; /* nearby.c: this node's file; NULL: none */
	bool stopping;
	struct stops *stops;
	struct counters counters;
	uv_prepare_t ready; /* looks whether a stop can go on */

	struct {
		struct process *first;
		uint32_t alive, ended, next_pid;
		struct {
			process_event_fn fn;
			void *ctx;
		} subscribers[NODE_SUBSCRIBERS_MAX];
		uint32_t nsubscribers;
	} table;

	struct {
		uv_async_t async;
		uv_mutex_t lock;
		struct letter *first, *last;
	} mailbox;

#define PART(name, text) struct name *name;
#include "node/parts.def"
#undef PART
};

/* Makes the home when it is missing. ERR_BUSY: another node serves this home (its pid is in msg).
 */
enum err node_open(const struct node_config *cfg, struct node **out, struct errmsg *msg);
void node_run(struct node *n);
/* Ends node_run() after a clean stop: what runs in the background is put to sleep on disk (keeper.h, where the
 * stop can be asked for so that it may be refused; end: is ended), the rest is ended. */
void node_stop(struct node *n, bool end);
void node_close(struct node *n);

/* Takes those settings anew that a running node can change (settings.def), as far as they make sense. */
void node_reload(struct node *n);

enum err node_log_open(struct node *n, struct errmsg *msg);
void node_log_close(struct node *n);

/* ---- log: <home>/log, one line each "2026-01-31T12:00:00.123 warn link: text". Any thread. ----
 */
enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
/* part: the part's name, "link". */
void node_log(struct node *n, enum log_level level, const char *part, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* What a line is about: fields of their own in JSON; text has no less in it. What is 0 or NULL is left out. */
enum log_event {
	LOG_NO_EVENT,
#define LOG_EVENT(name, text, fields) LOG_EVENT_##name,
#include "node/log_events.def"
#undef LOG_EVENT
};
struct log_about {
	enum log_event event;
	uint32_t pid;
	bool has_status;
	int status;
	enum err error;
	const char *program, *device; /* their names */
};
void node_log_about(struct node *n, enum log_level level, const char *part,
                    const struct log_about *about, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

#define PART(name, text)                                          \
	enum err name##_open(struct node *n, struct errmsg *msg); \
	void name##_close(struct node *n);
#include "node/parts.def"
#undef PART
