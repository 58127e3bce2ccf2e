/* wali_state.h - the inside of struct wali, and what the files of node/wali/ share.
 *
 * Each row of sdk/abi/wali.def is one C function wali_NAME(k, a): a[] are the arguments as the engine gives them (i and p in the low
 * half). It answers a result, a negated errno (NO(ENT)), or one of the four below. Memory that results go to is checked before
 * anything happens, so that a call never takes effect and then fails.
 */
#pragma once

#include "node/process/wait.h"
#include "node/wali/commons.h"
#include "node/wali/family.h"
#include "node/wali/wali.h"
#include "node/wasi/wasi_state.h"

/* Nothing has happened and w->wait says what for; the program ends (or another takes its place); the thread stands elsewhere. */
#define WALI_BLOCK INT64_MIN
#define WALI_EXIT (INT64_MIN + 1)
#define WALI_STOP (INT64_MIN + 2)
#define WALI_TRAP (INT64_MIN + 3) /* thread_trap_set() was called */
/* All signals but KILL and STOP. */
#define WALI_BLOCKABLE (~(UINT64_C(1) << 8 | UINT64_C(1) << 18))

enum {
#define LERR(name, number) LINUX_E##name = number,
#include "node/wali/errno.def"
#undef LERR
};
#define NO(name) (-(int64_t)LINUX_E##name)

enum {
	WALI_PAGE = 4096,     /* of mmap */
	WALI_SLOTS_MAX = 300, /* more than handlers can nest */
	WALI_MAPS_MAX = 16384,
	WALI_ENV_MAX = 1 << 20, /* bytes of a new program's arguments, environment */
	WALI_UID = 1000,
	WALI_TID_FIRST = 1 << 20, /* of threads but the first, whose number is the process's */
	WALI_TID_LAST = (1 << 29) - 1,
};

/* What the call that the frame at depth is about to make must remember. */
struct wali_slot {
	uint32_t depth;
	bool has_until, has_result, has_mask, interrupted;
	uint64_t until_ns; /* the guest's clock, WAIT_FOREVER: never */
	uint64_t progress; /* bytes that it has written */
	int64_t result;    /* it was made: what it says when it is made again */
	uint64_t mask;     /* of signals, to be put back when the call is over */
};

/* A handler that has not returned. */
struct wali_frame {
	uint64_t mask;    /* to be put back ... */
	uint32_t context; /* ... as it stands in the ucontext_t there; 0: there is none */
};

/* What is a thread's own. They stand in the order of the engine's threads. */
struct wali_thread {
	struct thread *t; /* NULL: not joined with the engine's yet */
	uint32_t tid;
	uint32_t clear_tid;        /* where 0 is written, and one woken, when it ends; 0: nowhere */
	uint64_t blocked, pending; /* signal n is bit n - 1; pending: for it alone */
	struct wali_frame *handlers;
	struct wali_slot *slots;    /* by depth */
	uint32_t stack, stack_size; /* sigaltstack()'s, for handlers; size 0: none */
	uint32_t nhandlers, nslots, slots_cap;
	bool call_waits; /* the call that it stands before has blocked ... */
	bool no_restart; /* ... and a handler makes it EINTR in any case */
	bool hurries; /* it stops as soon as it can: a signal waits until an exception is caught */
};

struct wali_action {
	uint32_t handler, restorer;
	uint64_t flags, mask;
};

enum { SIG_DEFAULT = 0, SIG_IGNORE = 1 };

/* Which of rlimits[]: the soft limit is the first. */
enum {
	LIMIT_FSIZE = 1,
	LIMIT_DATA = 2,
	LIMIT_STACK = 3,
	LIMIT_NPROC = 6,
	LIMIT_NOFILE = 7,
	LIMIT_AS = 9,
};

/* A piece of linear memory that mmap gave out. */
struct wali_map {
	uint32_t start, end;
	bool shared, writable;
	struct vfs_file *file; /* shared and writable: written back. Owned reference, or NULL */
	uint64_t offset;
};

struct wali_timer {
	uint64_t at_ns, every_ns; /* the guest's clock; at 0: off */
};

struct wali {
	struct wasi *w;
	struct wali_host host;
	struct family *family;
	struct task *task;
	struct wali_thread **threads; /* never none */
	uint32_t nthreads, next_tid;
	struct wali_thread *me; /* whose call is under way, or who is given a signal ... */
	struct thread *t;       /* ... as the engine has it */
	struct instance *in;

	struct device *epolls; /* whose watches are of its descriptors */
	char *cwd;             /* absolute, in the guest's tree */
	uint32_t umask;

	uint32_t brk_start, brk_end;
	struct wali_map *maps; /* by address */
	uint32_t nmaps;

	struct wali_action actions[LINUX_SIGNALS + 1];
	struct wali_timer alarm;
	int end_signal;    /* what ended the process; 0: nothing */
	struct task *born; /* a child that is being made by ..., held; NULL: none is */
	struct wali_thread *mother;
	const void *waits_for; /* of the call under way: as a task's */
	const void
	    *owes; /* a pipe whose writer is to be woken, when this process does not read on ... */
	uint64_t owes_since_ns; /* ... or after a while */

	struct module *exec; /* the program that takes this one's place ... */
	char *exec_path;     /* ... and the name it was found by */
	uint64_t rlimits[16][2];
	uint64_t charged_bytes; /* of memory, to its family */
	char *exe;              /* the program's path in the guest's tree; NULL: it has none */
	char *proc_text; /* what /proc knows of processes that are no relatives, or NULL ... */
	uint64_t proc_text_ns; /* ... and since when, on the host's monotonic clock */
	bool unknown_told;

	bool has_locks; /* it may have some of its own, which end when it closes the file */
	struct commons_waiter
	    waiter; /* while a thread waits for a lock; several: each asks again after a while */
	const struct wali_thread *waiting;
};

#define WALI_CALL(name, signature, number) int64_t wali_##name(struct wali *k, const uint64_t *a);
#define WALI_FUNCTION(name, signature, result, text) \
	int64_t wali_aux_##name(struct wali *k, const uint64_t *a);
#include "sdk/abi/wali.def"
#undef WALI_CALL
#undef WALI_FUNCTION

/* A file operation's answer as a call's: never INPROGRESS, which blocks. */
int64_t wali_error(struct wali *k, enum ferr e);
#define WTRY(expr)                                     \
	do {                                           \
		enum ferr wtry_e_ = (expr);            \
		if (wtry_e_ != FE_OK)                  \
			return wali_error(k, wtry_e_); \
	} while (0)

/* Guest memory, checked; NULL: out of bounds (EFAULT). */
const uint8_t *wali_in(struct wali *k, uint64_t addr, uint64_t size);
uint8_t *wali_out(struct wali *k, uint64_t addr, uint64_t size);
/* A NUL-terminated text of fewer than size bytes: FAULT, NAMETOOLONG. */
enum ferr wali_text(struct wali *k, uint64_t addr, char *buf, size_t size);

/* The slot of the call under way: made when there is none. NULL: too many. */
struct wali_slot *wali_slot(struct wali *k);
/* The call waits: EINTR when a handler ran meanwhile, else WALI_BLOCK. restarts: it goes on after a handler with SA_RESTART. */
int64_t wali_block(struct wali *k, bool restarts);
int64_t wali_block_on(struct wali *k, struct vfs_obj *o, unsigned events);
/* The same, for what no file says: a signal, a child, time. */
int64_t wali_block_alone(struct wali *k, bool restarts);
/* The file was read: a pipe's writer may have to be woken. */
void wali_was_read(struct wali *k, struct vfs_obj *o);
void wali_pay(struct wali *k);
/* What the call under way has done before it blocked. */
uint64_t wali_progress(struct wali *k);
/* The instant, on the guest's clock, at which the call under way gives up: kept over tries. relative_ns WAIT_FOREVER: never. */
uint64_t wali_deadline(struct wali *k, uint64_t relative_ns);

/* k is its task's: names for /proc. */
void wali_set_first(struct wali *k);
/* A struct wali without a task. */
enum err wali_alloc(const struct wali_config *c, struct wali **out);

/* ---- threads.c ---- */
/* NULL: no memory. */
struct wali_thread *wali_thread_add(struct wali *k, uint32_t tid);
/* All but that one are gone; it waits to be joined with an engine's thread. */
void wali_thread_only(struct wali *k, struct wali_thread *only);
void wali_threads_free(struct wali *k);
/* Joins them with the store's, if they are not. False: they do not fit. */
bool wali_threads_join(struct wali *k, struct store *s);
void wali_use(struct wali *k, struct wali_thread *th);
/* A number for one more slot; false: too many. */
bool wali_slots_grow(struct wali_thread *th);

/* ---- files.c ---- */
/* The guest's buffers of a call that reads or writes, as places of the host. */
struct wali_io {
	struct vfs_iov v[VFS_IOVS_MAX];
	uint32_t count;
	uint64_t total;
};
/* Of count struct iovec at at; of one buffer. FAULT, INVAL. */
enum ferr wali_io_of(struct wali *k, uint64_t at, uint64_t count, bool into_guest,
                     struct wali_io *io);
enum ferr wali_io_one(struct wali *k, uint64_t addr, uint64_t size, bool into_guest,
                      struct wali_io *io);
/* Without its first n bytes. */
void wali_io_skip(struct wali_io *io, uint64_t n);
/* A call that has written before bytes cannot go on: what it says, or WALI_BLOCK. */
int64_t wali_write_blocked(struct wali *k, struct vfs_file *f, uint64_t before, bool may_wait);
enum ferr wali_fd(struct wali *k, uint64_t fd, struct fd_entry **out);
int64_t wali_add_file(struct wali *k, struct vfs_file *f, uint32_t linux_flags);
bool wali_is_terminal(const struct vfs_obj *o);
/* A stream that no mount has as an open file, called "KIND NUMBER" in an image. Takes o. NULL: no memory. */
struct vfs_file *wali_stream_file(struct vfs_obj *o, const char *kind, uint32_t number,
                                  unsigned flags);
/* As a struct stat and a struct statx. */
enum { WALI_STAT_SIZE = 144, WALI_STATX_SIZE = 256 };
uint32_t wali_mode(const struct vfs_stat *st, bool read_only);
enum ferr wali_stat_fd(const struct fd_entry *e, struct vfs_stat *st, bool *read_only);
void wali_put_statx(uint8_t *p, const struct vfs_stat *st, bool read_only);
void wali_put_stat(struct wali *k, uint8_t *p, const struct vfs_stat *st, bool read_only);

/* ---- terminal.c ---- */
/* Whether a terminal may be read now: 0, else the call's answer (it stops, it waits for more keys). *empty: the read gives nothing. */
int64_t wali_terminal_may_read(struct wali *k, struct vfs_file *f, uint64_t room, bool *empty);
int64_t wali_terminal_may_write(struct wali *k, const struct vfs_obj *o);
/* A session's leader that has no terminal gets the one it opens. */
void wali_terminal_opened(struct wali *k, const struct vfs_obj *o);

/* ---- process.c ---- */
/* What fork answers, once its child is made or will not be: that is let go of. WALI_BLOCK: not yet. */
int64_t wali_born(struct wali *k);
/* The process ends: nobody waits for that answer. */
void wali_disown_born(struct wali *k);

/* ---- limits.c ---- */
void wali_limits_reset(struct wali *k, uint64_t memory_bytes);
/* They came from elsewhere: what else keeps them is told. */
void wali_limits_set(struct wali *k);
/* What its family may have, and does not yet. */
void wali_family_memory(struct wali *k, uint64_t *total, uint64_t *left);
/* Whether its memory may have so many bytes, by its own limits and its family's: then they are its. */
bool wali_charge(struct wali *k, uint64_t memory_bytes);
/* How far memory.grow goes until the next turn. */
void wali_set_room(struct wali *k, struct store *s);
/* What it has grew by itself; false: beyond what its family may have. */
bool wali_charge_now(struct wali *k, struct store *s);
/* Whether its family may have its memory once more. */
bool wali_may_copy(struct wali *k);
/* The family pays for an open file, when nobody does yet, and for more that it costs; false: it has no more. */
bool wali_charge_file(struct wali *k, struct vfs_file *f, uint64_t more_bytes);
/* How much of a write of size bytes at offset fits; none: the process is told by a signal. */
uint64_t wali_file_room(struct wali *k, uint64_t offset, uint64_t size);

/* ---- locks.c ---- */
enum lock_call { LOCK_ASK, LOCK_SET, LOCK_WAIT };
int64_t wali_fcntl_lock(struct wali *k, struct vfs_file *f, enum lock_call call, bool description,
                        uint64_t addr);
/* Before a descriptor of the file is closed. */
void wali_closing(struct wali *k, const struct vfs_file *f);
/* The process ends. */
void wali_locks_end(struct wali *k);
/* Of the call under way, and its wait for what others in the commons do. */
struct commons_waiter *wali_waiter(struct wali *k);
int64_t wali_block_in_commons(struct wali *k);
struct wali_at;
/* at has a mount and a stat. */
struct file_id wali_file_id(const struct wali_at *at);
void wali_locks_save(struct wali *k, struct wr *out);
enum err wali_locks_load(struct wali *k, struct rd *in);
/* The lowest descriptor of an open file. UINT32_MAX: none. */
uint32_t wali_first_fd(struct wali *k, const struct vfs_file *f);

/* ---- path.c ---- */
struct wali_at {
	struct vfs_mount *mount; /* NULL: dev is the object itself */
	struct vfs_obj *dir;
	char path[VFS_PATH_MAX];  /* below dir */
	char whole[VFS_PATH_MAX]; /* absolute, in the guest's tree */
	struct vfs_obj *dev;      /* owned: a device or folder that no mount has */
	char dev_name[16];
	bool wants_dir;                                          /* the path ended in a slash */
	enum at_last { AT_NAME, AT_DOT, AT_DOTS, AT_ROOT } last; /* what the path ended in */
	bool has_stat;
	enum ferr seen;     /* why it has no stat */
	struct vfs_stat st; /* what stands there, when has_stat */
	bool fixed;         /* dev cannot be written to */
};
/* Where a path of the guest leads, when its last name is a symbolic link: to the link (unless the path ends in a slash); where that leads;
 * to the link in any case, as it is a name that is to be made or removed. */
enum wali_follow { WALI_NOFOLLOW, WALI_FOLLOW, WALI_NAME };
enum ferr wali_at(struct wali *k, uint64_t dirfd, uint64_t path, enum wali_follow follow,
                  struct wali_at *out);
enum ferr wali_at_text(struct wali *k, uint64_t dirfd, const char *path, enum wali_follow follow,
                       struct wali_at *out);
enum ferr wali_real(struct wali *k, struct wali_at *at);
void wali_at_end(struct wali_at *at);
/* The bits of the owner, who every program is. ACCES. */
enum ferr wali_may_open(const struct wali_at *at, unsigned flags);
/* Opens it; flags of VFS_*. A named pipe is not opened: NXIO. */
enum ferr wali_open_at(struct wali *k, struct wali_at *at, unsigned flags, struct vfs_file **out);
enum { AT_FDCWD_ = -100 };

/* ---- memory.c ---- */
void wali_memory_reset(struct wali *k);
void wali_maps_free(struct wali *k);
/* Shared maps into their files. */
void wali_maps_write(struct wali *k);

/* ---- time.c, info.c ---- */
/* A struct timespec of the guest's; WAIT_FOREVER beyond the end of time. */
enum ferr wali_timespec(struct wali *k, uint64_t addr, uint64_t *ns);
enum { WALI_RUSAGE_SIZE = 144 };
void wali_put_rusage(uint8_t *p, uint64_t cpu_ns);

/* ---- signals.c ---- */
/* Some signal would be delivered now. */
bool wali_has_signal(const struct wali *k);
void wali_signals_exec(struct wali *k);
/* After the alarm, or the host's clock under it, has changed. */
void wali_set_alarm(struct wali *k);

/* ---- sockets.c ---- */
/* The net's space of the family, when there is a net. */
enum err wali_open_space(struct wali *k, const struct wali_config *c);
/* Of a process from an image: its sockets are the family's; and when it runs on. */
enum err wali_own_sockets(struct wali *k, bool copy);
void wali_go_sockets(struct wali *k);
/* How long a call may wait for the socket (SO_RCVTIMEO, SO_SNDTIMEO); WAIT_FOREVER: for ever, or no socket. */
uint64_t wali_patience(struct vfs_obj *o, unsigned events);
/* The file is an AF_UNIX socket's name. */
bool wali_is_socket_name(struct wali *k, const struct vfs_stat *st);

/* ---- device.c ---- */
/* Fills dev and dev_name for whole. NOENT. */
enum ferr wali_device_at(struct wali *k, struct wali_at *at);
/* A symbolic link that no mount has. NOMEM. */
enum ferr wali_link_device(struct wali_at *at, const char *text);
/* What stands for something that is made when it is opened becomes that. IO: its other end is closed. */
enum ferr wali_device_open(struct wali *k, struct wali_at *at);
/* A folder's path in the guest's tree. NOTDIR. */
enum ferr wali_device_path(struct vfs_obj *o, char out[VFS_PATH_MAX]);
