/* fifo.h - named pipes: opening a name of the type that mkfifo makes joins who reads and who writes it, in any family of the node.
 *
 * The name is the file system's, what goes through it the node's (commons.h), by the number of the file: a fifo of the host's is never
 * opened, so a program outside is not met. It is there while somebody has it open, or waits for its other side; its bytes go with the
 * last one. In an image an open end is hung up: what is on its way does not move.
 *
 *	enum ferr e = fifo_open(c, &id, flags, family, &k->waiter, &o);      // AGAIN: the waiter is poked when the other side is there
 */
#pragma once

#include "node/wali/commons.h"
#include "vfs/vfs.h"

struct family;
struct fifo;

enum { FIFO_BYTES = 65536 };

/* Reading waits for a writer, writing for a reader; VFS_NONBLOCK: reading does not, writing is NXIO. family: whose processes are woken. */
enum ferr fifo_open(struct commons *c, const struct file_id *id, unsigned flags,
                    struct family *family, struct commons_waiter *w, struct vfs_obj **out);
/* Who waited will not open it, though its other side has come: the process has ended. */
void fifo_forget(struct commons *c, struct commons_waiter *w);
/* An end that nobody is at the other side of. NULL: no memory. */
struct vfs_obj *fifo_hung_up(void);
bool fifo_is_end(const struct vfs_obj *o);
