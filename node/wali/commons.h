/* commons.h - what the Linux programs of one node have in common beyond their families: locks of files, named pipes, and who waits for them.
 *
 * A file is known by its home device and its number there, so programs of different families that see the same folder meet; a memory
 * folder is its family's. A lock is of a process (fcntl: gone when the process closes the file by any descriptor), of an open file
 * description (fcntl's OFD), or a whole-file lock of a description (flock), which the other two do not see. Nothing of it reaches the
 * host, and two devices that have the same folder do not see each other's locks.
 *
 *	struct lock_wish w = {.file = id, .kind = LOCK_PROCESS, .owner = k, .exclusive = true, .end = UINT64_MAX};
 *	enum ferr e = locks_set(c, &w, &k->waiter);      // AGAIN: k->waiter stands in the list until the call is made again
 *
 * Any thread: one mutex inside, never held while anything else is called.
 */
#pragma once

#include "base/os.h"
#include "vfs/ferr.h"

#include <stdbool.h>
#include <stdint.h>

enum { LOCKS_OWNER_MAX = 1024 };

struct commons;

/* NULL: no memory. */
struct commons *commons_new(void);
struct commons *commons_ref(struct commons *c);
void commons_unref(struct commons *c);

/* A call that waits. Owned by who calls; zero: it does not. */
struct commons_waiter {
	struct commons_waiter *next;
	struct os_wake *waker;
	const void *owner, *other; /* of a lock: who has what it waits for */
	struct fifo
	    *fifo; /* of a named pipe (fifo.h): kept, when granted, until the call is made again */
	bool writes, granted;
	bool listed;
};
/* The call is made again, or will never be. */
void commons_wait_end(struct commons *c, struct commons_waiter *w);

/* For fifo.c. With the lock, which is the last but for a family's wakers. */
void commons_lock(struct commons *c);
void commons_unlock(struct commons *c);
struct fifo **commons_fifos(struct commons *c);
struct commons_waiter *commons_waiters(struct commons *c);
void commons_list(struct commons *c, struct commons_waiter *w);
void commons_wake(struct commons *c);

struct file_id {
	uint64_t where, dev, ino;
};

enum lock_kind { LOCK_PROCESS, LOCK_DESCRIPTION, LOCK_WHOLE };

struct lock_wish {
	struct file_id file;
	enum lock_kind kind;
	const void *owner; /* the process's, or the description: only compared */
	uint32_t pid;      /* what F_GETLK says */
	bool exclusive;
	uint64_t start, end; /* end: the last byte */
};

/* AGAIN: somebody else has it; then waiter, when not NULL, is poked when that may have changed. DEADLK: he waits for this owner.
 * NOLCK: too many. */
enum ferr locks_set(struct commons *c, const struct lock_wish *w, struct commons_waiter *waiter);
void locks_clear(struct commons *c, const struct lock_wish *w);
/* Who is in the way: written to *other. */
bool locks_find(struct commons *c, const struct lock_wish *w, struct lock_wish *other);
/* All of an owner's of this kind, of one file or (NULL) of all. */
void locks_drop(struct commons *c, enum lock_kind kind, const void *owner,
                const struct file_id *file);
/* For an image: the i-th of an owner's. */
bool locks_at(struct commons *c, const void *owner, uint32_t i, struct lock_wish *out);
