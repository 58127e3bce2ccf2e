/* family.h - processes that descend from one: pids, groups, sessions, signals that wait, and who waits for whom.
 *
 * Relatives share open files, pipes and a terminal; one lock stands before all of it (and before every host call of a relative).
 * A task is a process's row here; it stays after its end, as a zombie, until its parent has waited for it, or has ended. A family
 * lives as long as it has tasks that run.
 *
 *	family_lock(f); family_kill(f, 0, task->group, 15); family_unlock(f);
 *
 * Every function below the first two needs the lock.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"
#include "base/os.h"
#include "node/wali/far_terminal.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	LINUX_SIGNALS = 64,
	FAMILY_MAX = 4000, /* relatives */
	FAMILY_NUMBERS_LEAST =
	    30000, /* that a part of a family has for its children: more than are ever taken */
};

enum {
	LINUX_SIGHUP = 1,
	LINUX_SIGINT = 2,
	LINUX_SIGQUIT = 3,
	LINUX_SIGILL = 4,
	LINUX_SIGABRT = 6,
	LINUX_SIGKILL = 9,
	LINUX_SIGSEGV = 11,
	LINUX_SIGPIPE = 13,
	LINUX_SIGALRM = 14,
	LINUX_SIGTERM = 15,
	LINUX_SIGCHLD = 17,
	LINUX_SIGCONT = 18,
	LINUX_SIGSTOP = 19,
	LINUX_SIGTSTP = 20,
	LINUX_SIGTTIN = 21,
	LINUX_SIGTTOU = 22,
	LINUX_SIGURG = 23,
	LINUX_SIGWINCH = 28,
};

struct far_request;
struct kinship;
struct space;
struct store;
struct wali;

enum task_state { TASK_RUNS, TASK_STOPPED, TASK_ZOMBIE };

struct task {
	uint32_t pid; /* 0: a child that is being made, or could not be */
	uint32_t parent, group, session;
	enum task_state state;
	int status;            /* wait's: of the last end, stop or continuation */
	bool status_is_news;   /* stopped or continued, and not waited for yet */
	bool ignores_children; /* they leave no zombies */
	uint64_t used_ns,
	    children_ns; /* processor time: when it has ended, with its children's; of those waited for */
	bool runs; /* its last Linux call was done: nothing is waited for, so nobody pokes it */
	const void *
	    waits_for; /* else: the pipe that its call waits for, the task itself: for no file, NULL: for anything */
	bool has_execed;
	bool is_absent; /* of an image: its process is not there yet */
	bool is_held;   /* its parent's fork has not answered yet ... */
	bool is_out;    /* ... and it is no task of the family any more: it goes with that answer */
	uint64_t pending;    /* signal n is bit n - 1 */
	uint64_t alarm_ns;   /* host monotonic time at which it is to be poked; 0: never */
	struct store *store; /* its threads are asked to stop when a signal comes; NULL: not now */
	struct os_wake *waker;
	struct wali *wali; /* NULL: it is being made, or has ended */
	char comm[16];     /* what Linux calls it */
	struct kinship *
	    away; /* its process is in another part of the family, beyond this (kinship.h); NULL: here */
	uint8_t untold;    /* kinships that have not heard how it is now, by their bits */
	char device[64];   /* away: the name of the device that has it ... */
	uint32_t node_pid; /* ... and its number there; empty and 0: not known yet */
	struct task *next;
};

/* The terminal's settings, as a struct termios of Linux has them, and who is in its foreground. */
struct family_terminal {
	uint32_t iflag, oflag, cflag, lflag;
	uint8_t line, cc[19];
	uint32_t session, foreground;
	uint16_t cols, rows; /* as told last: WINCH when they change */
	bool is_pty;         /* pty.h; else the family's own, which is its first process's */
};

struct pty;
struct commons;
struct vfs_budget;
struct family_lock;

struct family {
	struct family_lock *
	    lock; /* a reference: parts of a family that were parted on this node have one, as they share files */
	struct task *tasks;
	uint32_t alive;    /* tasks that are no zombies */
	uint32_t users;    /* who look at it while it may end */
	uint32_t next_pid; /* for who has no table of processes */
	struct family_terminal terminal;
	struct pty *ptys;        /* pty.h */
	struct commons *commons; /* of its node. Owned reference */
	uint64_t memory_bytes,
	    memory_limit_bytes;    /* limits.c: what all have, and may; 0: not looked for yet */
	struct vfs_budget *files;  /* limits.c: what its open files may cost. Owned */
	struct os_wake alarm_wake; /* of the thread that watches the alarms, once there is one */
	pthread_t alarm_thread;
	bool has_alarms, ends;
	uint32_t asked_epolls; /* how many of each other are looked at just now */
	uint64_t cpu_shown_ns; /* the most that /proc has said that all have used */
	pthread_mutex_t
	    wakers; /* before changes of tasks and their wakers; the last lock anybody takes */
	struct space *space;       /* its sockets' (node/sockets/socket.h); NULL: no net. Owned */
	struct kinship *kinships;  /* with its other parts. Owned */
	struct kinship_talk *talk; /* with them, as long as it lives. A reference; NULL: none yet */
	struct kinship *terminal_at; /* the terminal is the part's beyond it; NULL: it is here */
	struct far_input input;      /* of a terminal that is not here */
	struct far_request *far_requests; /* far_requests.h. Owned */
	uint32_t far_last;                /* the number of the last one */
	bool has_come; /* out of an image, perhaps on another device: not told yet where it is */
	bool
	    elsewhere_changed; /* those in other parts, or where they are: the node does not know yet */
	bool has_untold;      /* some task's row, or signals for one that is away, are to be sent */
	atomic_bool has_news; /* other parts may have sent something ... */
	atomic_bool hears;    /* ... and the thread of the alarms looks */
	uint32_t pid_first, pid_last; /* numbers of children, when it has other parts; 0: any */
};

struct family *family_new(void);
/* What their calls wait for may have come, of those that wait for anything; or for that pipe. */
void family_wake(void *family);
void family_wake_pipe(void *family, const void *pipe);
/* Any thread, without the lock: all of them, as what they wait for may come from other families or from outside. */
void family_wake_all(void *family);
void family_set_waker(struct family *f, struct task *t, struct os_wake *waker);

void family_lock(struct family *f);
/* What other parts are to hear is sent. */
void family_unlock(struct family *f);
/* Only for a family that nobody else knows: the lock of the other from now on. */
void family_share_lock(struct family *f, struct family *other);

/* NULL: no memory. parent NULL: the first, leader of its session. */
struct task *family_add(struct family *f, uint32_t pid, const struct task *parent,
                        struct os_wake *waker);
struct task *family_find(struct family *f, uint32_t pid);
/* It has ended (status as wait's): children lose their parent, its own parent hears of it. The family is freed when it was the
 * last: then true, and there is no lock to give back. */
bool family_end(struct family *f, struct task *t, int status);
void family_remove(struct family *f, struct task *t);
/* Until family_let_go() the row stays readable, though the task may be removed meanwhile. */
void family_hold(struct task *t);
void family_let_go(struct task *t);
/* Its parent, group, session, state or name has changed. */
void family_changed(struct family *f, struct task *t);
/* It is a zombie, and nobody will ever wait for it here: it goes, once other parts have heard. */
void family_drop_if_nobodys(struct family *f, struct task *t);
/* Its children have no parent any more; as the leader of a session it hangs up. */
void family_orphan(struct family *f, struct task *t);
/* While somebody uses it a family without tasks that run is not freed. They take the lock themselves. */
void family_use(struct family *f);
void family_let(struct family *f);
/* Ends the tasks whose processes did not come; without the lock, by a user. */
void family_end_absent(struct family *f);
/* No task has this number, nor is it the number of a group or session that there is. */
bool family_is_free(const struct family *f, uint32_t pid);
/* The task's state or status has changed for its parent. */
void family_tell_parent(struct family *f, struct task *t);
void family_poke(struct task *t);
/* Some task's alarm_ns has changed. The first call starts a thread, which pokes tasks whose time has come. */
void family_watch_alarms(struct family *f);
/* A terminal as a new one is: lines, echo, signals; nobody's. */
void family_terminal_reset(struct family_terminal *t);
/* Its settings. Hostile bytes. */
void family_terminal_save(const struct family_terminal *t, struct wr *out);
enum err family_terminal_load(struct family_terminal *t, struct rd *in);
/* The controlling terminal of a session; NULL: it has none. */
struct family_terminal *family_terminal_of(struct family *f, uint32_t session);
/* Nobody of the session outside the group is the parent of one of it: who stops there would never go on. */
bool family_is_orphaned(struct family *f, uint32_t group);
/* Raises a signal for a task, wherever its process is. */
void family_raise(struct family *f, struct task *t, int signal);
/* As kill(2): pid > 0, 0 (the group of from), -1 (all but from), < -1 (a group). SRCH, INVAL. */
int family_kill(struct family *f, struct task *from, int64_t pid, int signal);
