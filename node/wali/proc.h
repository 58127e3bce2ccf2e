/* proc.h - /proc: processes, and what of the system a program may know, as files in Linux's formats. Internal to node/wali/.
 *
 * proc.c has the tree (which names there are, links, listings, /proc/PID/ctl), proc_text.c what the files say. A text is made when
 * its file is opened and is a file in memory from then on, so an open one moves like every other file; nothing can be
 * written but a process's ctl:
 *
 *	migrate DEVICE     suspend     resume     kill SIGNAL     one line, as one write; reading the same open file says what came of it
 *	confine                                            of oneself: control is given up
 *
 * A program knows its relatives (one family: what was started from one program) and nobody else. One that was started with
 * the control of its node's user (struct wali_about) knows all processes of the node; what of those is not its family's is asked of
 * the node, which answers a question later, so such a call blocks. All functions: with the family's lock, on the caller's thread.
 */
#pragma once

#include "node/wali/device.h"

/* One process, as /proc tells of it. */
struct proc_row {
	uint32_t pid, parent, group, session;
	char state; /* Linux's letter */
	uint64_t cpu_ns, memory_bytes;
	int64_t created_unix_ms;
	char comm[16];
	char device[64];       /* of a relative elsewhere: where */
	uint32_t node_pid;     /* of a relative: as the node counts */
	struct wali *relative; /* NULL: of another family, or it has ended */
	bool foreign;          /* of another family ... */
	char command[512];     /* ... then its arguments, with blanks between */
};

/* Whether the absolute path lies in /proc, and no mount is there. */
bool wali_in_proc(const struct wali *k, const char *whole);
/* Fills dev for whole. NOENT, INPROGRESS. */
enum ferr wali_proc_at(struct wali *k, struct wali_at *at);
/* A symbolic link's text. INVAL: it is none. */
enum ferr wali_proc_link(struct wali *k, const char *whole, char *out, size_t *size);
/* "/proc/self/fd/3" stands for the open file itself: its name in /dev ("/dev/fd/3") is written to whole. */
void wali_proc_magic(struct wali *k, char whole[VFS_PATH_MAX]);
/* A command for a process, as it was written to its ctl; size is what the call answers. */
int64_t wali_proc_control(struct wali *k, struct device *d, const void *text, size_t size);

/* kill() of a process that is no relative: ends it, when k has control. SRCH. */
int64_t wali_proc_kill(struct wali *k, uint32_t pid, int signal);

/* ---- proc.c for proc_text.c ---- */

/* NOENT, INPROGRESS. */
enum ferr proc_find(struct wali *k, uint32_t pid, struct proc_row *out);
/* Every process that k may know, by number. INPROGRESS. */
typedef void (*proc_row_fn)(void *ctx, const struct proc_row *row);
enum ferr proc_each(struct wali *k, proc_row_fn fn, void *ctx);
struct wali_about proc_about(const struct wali *k);
/* The node's answer to a question. PERM: k has no control of it; NOTSUP: there is no node. */
enum ferr proc_ask(struct wali *k, const char *question, struct wr *answer);

/* ---- proc_text.c ---- */

typedef enum ferr (*proc_text_fn)(struct wali *k, const struct proc_row *row, struct wr *out);
#define PROC_SYSTEM(name, path) \
	enum ferr proc_text_##name(struct wali *k, const struct proc_row *row, struct wr *out);
#define PROC_PROCESS(name, path) PROC_SYSTEM(name, path)
#define PROC_LINK(name, path)
#include "node/wali/proc.def"
#undef PROC_SYSTEM
#undef PROC_PROCESS
#undef PROC_LINK
