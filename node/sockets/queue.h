/* queue.h - bytes and packets that wait in a socket, with the open files that go along with them (SCM_RIGHTS).
 *
 * A stream's bytes are put behind the last packet while it has room; a packet with files, or of a socket that keeps
 * borders, stands alone. Whoever owns the queue locks it; files are counted under their family's lock, so queue_free() and
 * queue_drop_files() are called with that.
 */
#pragma once

#include "node/sockets/address.h"
#include "vfs/fdtable.h"

enum { QUEUE_FILES_MAX = 253 /* as Linux */ };

struct packet_files {
	uint32_t count;
	struct vfs_file *list[QUEUE_FILES_MAX]; /* a reference each */
};

struct packet {
	struct packet *next;
	struct packet_files *files; /* owned; NULL: none */
	struct address from;        /* of a datagram */
	bool whole;                 /* nothing is put behind its bytes */
	uint32_t pid;               /* of who sent it */
	size_t start, end, cap;     /* of bytes */
	uint8_t bytes[];
};

struct queue {
	struct packet *first, *last;
	size_t bytes;
	uint32_t packets;
};

void packet_files_free(struct packet_files *f);
/* Drops what the queue has. */
void queue_free(struct queue *q);
/* Puts bytes behind what is there; false: out of memory, and nothing is put. */
bool queue_put(struct queue *q, const void *bytes, size_t size);
/* A packet of its own, with the files (taken when true). from may be NULL. */
bool queue_put_packet(struct queue *q, const struct vfs_iov *iov, size_t n, size_t size,
                      const struct address *from, uint32_t pid, struct packet_files *files);
/* Copies up to size bytes that begin skip bytes behind the first, over borders; nothing is taken. */
size_t queue_peek(const struct queue *q, size_t skip, void *out, size_t size);
/* Takes bytes away from the front; packets that are empty then go (their files must have been taken). */
void queue_drop(struct queue *q, size_t size);
/* The first packet goes, whatever is left of it. */
void queue_pop(struct queue *q);
/* All of from goes behind what to has; or its first packet. */
void queue_move(struct queue *to, struct queue *from);
void queue_move_one(struct queue *to, struct queue *from);
/* Does any packet have files? */
bool queue_has_files(const struct queue *q);
