/* process.h - a process of this node: what it is, how it starts, stops, ends, and becomes sections.
 *
 * A process is one guest program: engine store + WASI + drivers + terminal. It has one worker
 * thread, which alone runs it (worker.h); the table and every function here belong to the loop
 * thread, unless a function says otherwise. The two meet at the stop word and a mailbox only, so
 * nothing here blocks.
 *
 * Life:
 *	process_create / process_restore
 *	      |  the worker loads the module and checks everything
 *	      |  (fails: started callback with the error, and there never was a process)
 *	      v
 *	create: RUNNING   restore: FROZEN
 *	RUNNING  --process_freeze-->  the worker stops at a safepoint within 1 ms, or at once when it waits: FROZEN
 *	FROZEN   --process_thaw---->  RUNNING
 *	RUNNING or FROZEN  --process_kill, exit, trap-->  ENDED (exit record, kept for `ps -a`)
 *	FROZEN   --process_forget-->  gone from this node (it moved away, or is only stored)
 *
 * While FROZEN the store, wasi and drivers may be read and written by one thread of the freezer's
 * choice (the loop, or a uv_queue_work task). While RUNNING only store_track_collect() and reading
 * linear memory (which then may tear) are allowed. Freezes nest: the process runs when each was
 * thawed.
 *
 * Pins: a process that ends while someone works with its store keeps the store until it is
 * unpinned.
 *
 *	process_pin(p);
 *	process_freeze(p, on_frozen, move);
 *	... later, on the loop: on_frozen(move, p, PROCESS_FROZEN)
 *	process_save_section(p, SECTION_WASI, &bytes);
 *	process_thaw(p);
 *	process_unpin(p);
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"
#include "node/terminal/tty.h"
#include "node/process/wait.h"

#include <stdatomic.h>

struct drivers;
struct family_image;
struct fdset;
struct instance;
struct kin;
struct module;
struct node;
struct os_wake;
struct process;
struct store;
struct wasi;
struct worker;

enum {
	PROCESS_UID_SIZE = 16,
	PROCESS_PID_MAX = 999999,
	PROCESS_NAME_MAX = 63,
	PROCESS_COMMAND_MAX = 512, /* bytes of what people see of its arguments, with the NUL */
	PROCESS_ARGS_MAX = 4096,
	PROCESS_ARGS_BYTES_MAX = 1 << 20, /* arguments together, environment together */
	PROCESS_MOUNTS_MAX = 64,
	PROCESSES_MAX = 4096,                                    /* alive on one node */
	PROCESSES_ENDED_MAX = 256,                               /* exit records kept */
	PROCESS_SECTION_MAX = 64 << 20,                          /* bytes of one section */
	PROCESS_CHECKPOINT_MAX = 86400,                          /* seconds between checkpoints */
	PROCESS_CHECKPOINT_DEFAULT = PROCESS_CHECKPOINT_MAX + 1, /* as its node does */
};

/* What `ps` shows. HOLD: why a frozen process is frozen; migrate sets it. */
enum process_state { PROCESS_STARTING, PROCESS_RUNNING, PROCESS_FROZEN, PROCESS_ENDED };
enum process_hold {
	HOLD_NONE,
	HOLD_SUSPENDED, /* by `wasmos suspend` */
	HOLD_MOVING,    /* leaving: may run on here until it is released */
	HOLD_ARRIVING,  /* restored, not owned yet */
	HOLD_EXEC,      /* another program takes it over just now */
	HOLD_IN_FLIGHT, /* released to another device that has not confirmed; never runs here by
	                   itself */
};

struct process_mount {
	const char *host;  /* absolute host path */
	const char *guest; /* absolute guest path */
	bool readonly;
};

/* How frames are shown and paced; `doom`'s drivers read it. */
struct display_options {
	const char *display; /* "sdl", "terminal", "headless"; NULL: the node's default */
	bool frame_hash;     /* keep a hash chain over all presented frames */
	bool unpaced;        /* present does not wait for vsync (tests) */
};

/* Everything a new process needs. Borrowed by process_create()/solo_run() until they return. */
struct process_config {
	const char *path;  /* host path of the module */
	const char *name;  /* NULL: the file's base name */
	char *const *argv; /* argv[0] is the guest's program name */
	uint32_t argc;
	char *const *env; /* "K=V" */
	uint32_t nenv;
	const struct process_mount *mounts;
	uint32_t nmounts;
	struct tty_config tty;
	struct display_options display;
	uint32_t max_memory_pages; /* 0: no limit but the module's */
	uint32_t parent;           /* pid or 0 */
	bool controls;             /* as struct process's */
	uint8_t net_mode;          /* enum net_mode of node/sockets/socket.h: what it may reach */
	uint8_t net_key[16];       /* SPACE_KEY_SIZE, random; zeros: it gets one */
	uint32_t
	    checkpoint_s; /* seconds between checkpoints (saver.h); 0: none, or PROCESS_CHECKPOINT_DEFAULT */
};

enum end_reason { END_EXIT, END_TRAP, END_KILLED, END_LOST };

/* How a process ended. status is what `wasmos run` exits with: the guest's own, or 134 trap, 137
 * killed, 130 ^C. */
struct exit_record {
	enum end_reason reason;
	int status;
	char text[192]; /* trap: "integer divide by zero"; with where: " in func (12+0x33)" */
	int64_t ended_unix_ms;
	uint64_t cpu_ns;
	uint64_t frames; /* presented over its life */
	bool has_frame_hash;
	uint8_t frame_hash[32];
};

/* Called once on the loop. p is NULL when it failed: then there never was a process. */
typedef void (*process_started_fn)(void *ctx, struct process *p, enum err e,
                                   const struct errmsg *msg);

/* Open inside node/. Fields marked L belong to the loop, W to the worker while the process runs (to
 * the freezer while it is frozen), C are constant after start. */
struct process {
	uint32_t pid; /* C */
	uint32_t
	    guest_pid; /* C after start: what it and its relatives know it by: pid, unless that was taken here */
	struct kin *kin; /* C: what it has in common with its relatives (kin.h). Owned reference */
	bool leads;      /* L: what is written about its family has its uid */
	uint8_t uid
	    [PROCESS_UID_SIZE]; /* L: the process's identity on all devices, random; a relative that ends may leave it its own */
	bool is_copy;                      /* C: from a snapshot, with a uid of its own ... */
	uint8_t copy_of[PROCESS_UID_SIZE]; /* C: ... whose process had this one */
	uint64_t epoch;                    /* L: ownership epoch; migrate raises it */
	char name[PROCESS_NAME_MAX + 1];   /* C */
	char **argv;                       /* L: exec changes them */
	uint32_t argc;                     /* C */
	uint32_t parent;                   /* L */
	int64_t created_unix_ms;           /* C */
	uint8_t module_hash[32];           /* C, but for exec: W */
	uint32_t max_memory_pages;         /* C: 0: no limit but the module's */
	enum process_state state;          /* L */
	enum process_hold hold;            /* L */
	struct exit_record end;            /* L: when ENDED */
	uint32_t pins, freezes;            /* L */
	struct freeze_waiter *waiters;     /* L: callbacks of process_freeze() not called yet */
	struct session *sessions;          /* L: attached clients (session.h) */
	bool begun;                        /* W: the start function is over, _start was called */
	bool forgotten;                    /* L: process_forget() was called */
	bool dying;   /* L: process_kill() was called: no children any more, and it is not kept */
	bool cut_off; /* L: the node ends it without having kept it: its record stays */
	atomic_bool has_output;         /* any thread: the terminal has something for the clients */
	atomic_bool has_shown;          /* any thread: see PROCESS_EVENT_SHOWN */
	atomic_bool was_interrupted;    /* any thread: ^C twice at a screen drawn in the terminal */
	struct display_options display; /* C: strings are static */
	uint32_t checkpoint_s;          /* C: as in process_config; goes along when it moves */
	uint8_t net_mode;               /* C: as in process_config */
	uint8_t net_key[16];            /* C: its family's, SPACE_KEY_SIZE */
	uint8_t net_home[32];           /* C: the device that has its family's network */
	process_started_fn started_fn;  /* L: until it was called */
	void *started_ctx;
	uint64_t cpu_ns_before; /* C: used on other devices or before a restart */

	struct node *node;     /* C */
	struct worker *worker; /* L */
	struct share *
	    share; /* C: a reference: processor time, with its relatives. NULL: as the host gives it */
	struct tty
	    *tty; /* L, W only while it has its first: a relative that ends leaves it its own */
	struct tty *first_tty; /* L: the one it had before. NULL: it still has it */
	bool
	    tty_left; /* L: it has ended, and a relative has its terminal: tty is only a reference */
	struct os_wake *waker;     /* C: any thread may poke */
	struct wait wait;          /* W: what the blocked host call waits for */
	struct module *module;     /* W */
	struct store *store;       /* W; NULL before it started and after it ended */
	struct instance *instance; /* W */
	bool stands;               /* W, under the worker's lock: the store may be asked to stop */
	struct wasi *wasi;         /* W */
	struct drivers *drivers;   /* W */
	struct wali *wali;         /* W: of a Linux program, and of what it started; else NULL */
	struct tty *terminal; /* C: a reference: whose terminal it has, its own or a relative's */
	atomic_bool exec_granted; /* any thread: hold is HOLD_EXEC */
	atomic_bool tty_news; /* any thread: the terminal has changed, relatives may wait for it */
	_Atomic uint64_t
	    foreground_signals; /* any thread: for those in its foreground; n is bit n - 1 */
	atomic_bool
	    controls; /* any thread: it may see and control all of the node's processes by /proc; children may too */
	struct question *questions; /* questions.c's lock: what it waits to hear */
	void *move;                 /* L: migrate's own state of this process, or NULL */
	uint8_t gone_to[32]; /* L: device it went to, set before process_forget(); zero: none */
	uint64_t
	    lonely_ms; /* L: since when output waits for a client that is not there; 0: it does not */
	struct process *next; /* L: table order: by pid */
};

/* ---- start ---- */

/* Called once on the loop. p is NULL when it failed: then there never was a process. */
typedef void (*process_started_fn)(void *ctx, struct process *p, enum err e,
                                   const struct errmsg *msg);

/* Starts a program; returns at once. */
void process_create(struct node *n, const struct process_config *cfg, process_started_fn fn,
                    void *ctx);

enum section {
	SECTION_ENGINE,
	SECTION_WASI,
	SECTION_DRIVERS,
	SECTION_PROCESS,
	SECTION_LINUX, /* empty, and not in the image, of a program that is none */
	SECTIONS
};
/* "engine", "wasi", "drivers", "process", "linux"; ERR_NOTFOUND for another name. */
const char *section_name(enum section s);
enum err section_find(const char *name, enum section *out);

/* The bytes of an image, all of them from outside. Borrowed until the callback. */
struct process_sections {
	struct rd bytes[SECTIONS];
	uint8_t module_hash[32]; /* the module must be in the cache or the store: modules.h */
	bool fresh;              /* a new uid and epoch 1: a copy, not the process itself */
	/* Of one of several relatives: */
	struct family_image **
	    family; /* *family NULL: this is the leader, whose worker makes it of family_bytes. NULL: it is alone */
	struct rd family_bytes;
	struct process *leader; /* NULL: this is it */
	uint32_t guest_pid;
};

/* Rebuilds a process: everything is checked by the worker, on its own thread, before the process
 * exists. It then stands FROZEN (one freeze) with its linear memory zero: the caller fills
 * store_memory() and thaws it. pid is kept unless taken. A process with the same uid that is alive
 * here: ERR_EXISTS. */
void process_restore(struct node *n, const struct process_sections *s, process_started_fn fn,
                     void *ctx);

/* ---- control ---- */

/* state: PROCESS_FROZEN, or PROCESS_ENDED when it ended first. Called on the loop, never from
 * within process_freeze(). */
typedef void (*process_frozen_fn)(void *ctx, struct process *p, enum process_state state);
void process_freeze(struct process *p, process_frozen_fn fn, void *ctx);
/* Undoes one freeze that was called back with PROCESS_FROZEN. */
void process_thaw(struct process *p);
/* status as in exit_record: 137, 130. */
void process_kill(struct process *p, int status);
/* A key of the terminal: to a Linux program and what runs in its foreground as a signal, else it kills (128 + signal). */
void process_interrupt(struct process *p, int signal);
/* Only FROZEN, with one freeze: drops the engine and the row, no exit record, subscribers get
 * PROCESS_EVENT_GONE. */
void process_forget(struct process *p);
void process_pin(struct process *p);
void process_unpin(struct process *p);
/* Any thread. Runs the blocked host call again. */
void process_wake(struct process *p);
/* CPU time of the guest, all devices together. */
uint64_t process_cpu_ns(const struct process *p);
/* Linear memory that it has now. */
uint64_t process_memory_bytes(const struct process *p);

/* Only FROZEN: the loop takes back its leave to become another program. */
void process_take_back_exec(struct process *p);

/* Only FROZEN. Any one thread. The same state gives the same bytes. */
enum err process_save_section(struct process *p, enum section s, struct wr *out,
                              struct errmsg *msg);
/* The same of one of several relatives, whose descriptions are in the set. */
enum err process_save_section_in(struct process *p, enum section s, const struct fdset *set,
                                 struct wr *out, struct errmsg *msg);

/* ---- mounts (fs_remote.c) ---- */

struct vfs_mount_config;
struct vfs_obj;
/* The root of a mount of a process that came in by an image: of this device only what it granted to this process before,
 * of another one through the link. Any thread; may block. */
enum err process_open_mount(struct process *p, struct vfs_mount_config *c, struct vfs_obj **root,
                            struct errmsg *msg);

/* ---- the table ---- */

/* NULL when there is none. Ended ones are found too. */
struct process *process_find(struct node *n, uint32_t pid);
struct process *process_find_uid(struct node *n, const uint8_t uid[PROCESS_UID_SIZE]);
/* The one whose terminal p has (its own or a relative's); p itself when that has ended. */
struct process *process_of_terminal(struct process *p);
/* Rows in order of pid: for (p = process_first(n); p; p = p->next). */
struct process *process_first(struct node *n);
/* "running", "waiting", "frozen", "suspending", "suspended", "moving", "in flight", "exited" ... for people. */
const char *process_state_text(const struct process *p);
/* "doom.wasm -iwad doom1.wad", cut off to fit (PROCESS_COMMAND_MAX is enough), without what a terminal would act on. */
void process_command_line(const struct process *p, char *out, size_t size);
bool process_alive(const struct process *p);

/* The mailbox has letters (node.c). */
void process_mail(struct node *n);
/* Kills all; when none is left node_stop() goes on. */
void process_kill_all(struct node *n);
/* After the loop: frees every row. */
void process_table_free(struct node *n);

enum process_event {
	PROCESS_EVENT_STARTED,
	PROCESS_EVENT_ENDED, /* p->end is set; the store is still there if it is pinned */
	PROCESS_EVENT_GONE,  /* process_forget() */
	PROCESS_EVENT_SHOWN, /* its first frame after process_restore() is on the screen */
};
typedef void (*process_event_fn)(void *ctx, struct process *p, enum process_event ev);
/* Subscribers are told in order of subscription, on the loop. There is no way to leave. */
enum err process_subscribe(struct node *n, process_event_fn fn, void *ctx);
