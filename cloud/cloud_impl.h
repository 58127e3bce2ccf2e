/* cloud_impl.h - what the files of cloud/ that make up a cloud share. Internal.
 *
 * Locks: a file's lock is held while the server is asked about that file; the cloud's lock is only held for moments, also within a
 * file's, and guards the list of files, their names and references, and the items.
 */
#pragma once

#include "base/os_thread.h"
#include "cloud/cloud.h"
#include "cloud/driver.h"

enum {
	FILE_BLOCK = 64 << 10,
	FILES_IDLE_MAX = 256,         /* copies of files that nobody has open now */
	FILES_IDLE_BYTES = 512 << 20, /* and what they take on disk, at most */
	ITEM_SLOTS = 4096,
	LOCAL_NAME_MAX = 80,
	CLOSER_STACK = 512 << 10,
};

/* What the server said of a name a moment ago. */
struct item_slot {
	char *path; /* NULL: empty */
	uint64_t until_ns;
	struct cloud_item item;
};

/* A version of a file: its copy here, as far as it was fetched, and what was written to it since.
 *
 * Truths: what lies below server_size and whose bit in `present` is not set is on the server only; all else is in the copy. While it is
 * not dirty, the copy is the version `etag`. Only the newest version of a path is found by it; others are `gone`. */
struct cloud_file {
	struct cloud *cloud;
	struct cloud_file *next; /* the most recently used first */
	uint32_t refs;           /* objects; 0: kept for who opens it again */
	char *
	    path; /* replaced when it is renamed; copied under the cloud's lock by who asks the server */
	bool is_gone;         /* no name any more, or another version has it */
	pthread_mutex_t lock; /* guards the rest */
	struct vfs_obj *local;
	char local_name[LOCAL_NAME_MAX];
	char etag[HTTP_ETAG_MAX];
	uint64_t size_bytes, server_size, mtime_ns;
	uint64_t held_bytes; /* of the copy, about */
	uint8_t *present;
	bool is_dirty, is_unlinked;
	bool is_unsure; /* an upload was begun, and nobody knows whether it arrived */
	bool was_tried; /* to bring it to the server, since it was written last */
	uint64_t next_read, read_ahead;
};

struct cloud {
	_Atomic uint32_t refs;
	char name[CLOUD_NAME_MAX + 1];
	struct http *http;
	struct cloud_driver *driver;
	struct vfs_obj *cache;
	char *cache_path;
	void (*tell)(void *ctx, const char *text);
	void *tell_ctx;
	pthread_mutex_t lock;
	struct cloud_file *files;
	struct item_slot *items; /* ITEM_SLOTS */
	uint64_t next_local;
	unsigned
	    closers; /* threads that bring files to the server which nobody has open any more */
	pthread_cond_t settled;
};

/* ---- cloud.c ---- */

/* Logs what went wrong with a name. */
void cloud_say(struct cloud *c, const char *path, const struct errmsg *msg);
/* What the server said within CLOUD_ITEM_MS, else it is asked. "" is the root. */
enum ferr cloud_item(struct cloud *c, const char *path, struct cloud_item *out);
/* Asked now. */
enum ferr cloud_item_now(struct cloud *c, const char *path, struct cloud_item *out);
void cloud_item_put(struct cloud *c, const char *path, const struct cloud_item *item);
/* The name was changed, or all below it. */
void cloud_item_drop(struct cloud *c, const char *path);
uint64_t cloud_ino(const char *path);
/* Free the copies of a cloud that ends. */
void cloud_files_free(struct cloud *c);

/* ---- file.c ---- */

/* A reference to the newest version, as the server says now (asked is what it just said, or NULL). NOENT, ISDIR. */
enum ferr file_open_newest(struct cloud *c, const char *path, const struct cloud_item *asked,
                           struct cloud_file **out);
/* The last one brings what is not on the server there, or keeps it as a file of the host. */
void file_unref(struct cloud_file *f);
enum ferr file_read_at(struct cloud_file *f, uint64_t offset, const struct vfs_iov *iov, size_t n,
                       size_t *done);
/* append: at the end. *end: where the writing ended. */
enum ferr file_write_at(struct cloud_file *f, uint64_t offset, bool append,
                        const struct vfs_iov *iov, size_t n, size_t *done, uint64_t *end);
enum ferr file_set_size(struct cloud_file *f, uint64_t size_bytes);
/* Its time becomes now. */
void file_touch(struct cloud_file *f);
enum ferr file_flush(struct cloud_file *f);
void file_item(struct cloud_file *f, struct cloud_item *out);
/* The one that somebody has open under that path, or NULL; a reference. */
struct cloud_file *file_find(struct cloud *c, const char *path);
/* Before its name goes: what is open is read to its end. FBIG: it is too large for that. */
enum ferr file_prepare_unlink(struct cloud_file *f);
void file_unlinked(struct cloud_file *f);
/* Files of that path, and below it, have the other one now. */
void file_renamed(struct cloud *c, const char *from, const char *to);
/* file_path() copies; free()d by the caller. NULL: out of memory. */
char *file_path(struct cloud_file *f);
bool file_is_unlinked(struct cloud_file *f);

/* ---- tree.c ---- */

struct vfs_obj *cloud_tree_root(struct cloud *c);
