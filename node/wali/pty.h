/* pty.h - pseudo terminals: a program at the master's end is the keyboard and screen of programs at the other.
 *
 * A family has any number of them up to PTYS_MAX; /dev/ptmx makes one, /dev/pts/N opens its other end. Keys that are written to the
 * master become lines by the settings of the pty (node/terminal/tty_line.h), its signals go to its foreground; what programs write becomes
 * output (OPOST: a new line is two characters). When the last master is closed the pty hangs up: its session is told, reads end and
 * writes fail. When the last slave is closed the master reads what is left and then IO, until a slave is opened again.
 *
 *	enum ferr e = pty_new(family, &number, &master);
 *	e = pty_open(pty_find(family, number), &slave);
 *
 * Everything needs the family's lock. A pty lives while one of its ends is open.
 */
#pragma once

#include "base/bytes.h"
#include "node/wali/family.h"
#include "vfs/vfs.h"

enum { PTYS_MAX = 256, PTY_INPUT_SIZE = 16384, PTY_OUTPUT_SIZE = 16384, PTY_INO = 0x100 };

struct pty;

/* An open one of its masters, and its number. NOMEM; NOSPC: too many. */
enum ferr pty_new(struct family *f, uint32_t *number, struct vfs_obj **master);
/* NULL: there is none, or its master is closed. */
struct pty *pty_find(struct family *f, uint32_t number);
/* The slave's end. IO while it is locked. */
enum ferr pty_open(struct pty *p, struct vfs_obj **slave);
/* What an end is of. NULL: not an end of a pty, or of one that is no more. */
struct pty *pty_of(const struct vfs_obj *o);
bool pty_is_master(const struct vfs_obj *o);

struct family_terminal *pty_terminal(struct pty *p);
/* The terminal whose pty it is. NULL: the family's own. */
struct pty *pty_of_terminal(struct family_terminal *t);
uint32_t pty_number(const struct pty *p);
void pty_lock(struct pty *p, bool locked);
/* Its settings have changed. */
void pty_settings_changed(struct pty *p);
void pty_flush(struct pty *p, bool input, bool output);
/* Output that no master has read yet. */
size_t pty_unread(const struct pty *p);

/* The next pty of the family after p; NULL: the first. */
struct pty *pty_next(struct family *f, struct pty *p);

/* An end that belongs to no pty as yet, for an image: "ptmx 3" or "pts 3" by its stream name. NULL: no memory. */
struct vfs_obj *pty_end_new(bool master, uint32_t number);
bool pty_is_end(const struct vfs_obj *o);

/* All ptys of a family as bytes, but for who has their ends open: docs/formats/linux.md. */
void ptys_save(struct family *f, struct wr *out);
/* Hostile bytes. The ptys have no ends as yet: ptys_attach() is called with every open object, then ptys_settle() drops what has none.
 * number_of: what a saved process's number is now; 0: it is not here. */
enum err ptys_load(struct family *f, struct rd *in, uint32_t (*number_of)(void *ctx, uint32_t pid),
                   void *ctx);
void ptys_attach(struct family *f, struct vfs_obj *o);
void ptys_settle(struct family *f);
