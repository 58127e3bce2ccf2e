/* remote.h - a folder of another device as a backend.
 *
 * A process that moved still has the mounts of the device it came from. Here their objects are numbers: every operation becomes a
 * request to the home device (vfs/serve.h answers), carried by a function of the node, which waits for the answer.
 * Reads go through a cache of blocks with read-ahead; writes are sent and not waited for, where the carrier can do that, until the
 * file is read, asked about, synced or closed (remote_behind.c), and else are at the home before the call returns; a file that
 * somebody else changed is seen at the latest when it is opened again (close-to-open). When the home does not answer,
 * the guest gets IO, and what it asked for has not happened or is not known to have.
 *
 * Away: a home that answers HOSTDOWN, or its carrier for it. What was kept of its answers can then be looked at, listed and read, as old as it is: the
 * time of last access says when the home last confirmed it. What would change something answers HOSTDOWN. When the home is back,
 * the first answer about a file tells its version: if that is another one than this process knew before, those who have the
 * file open get STALE for every change they try, until they open it again: nothing is written that was made of what is gone.
 *
 * A file that this process removed while it has it open is carried along by an image (vfs_ops.path_of says NOENT); one that it renamed is
 * found under its new name.
 *
 * A remote belongs to one process and one home; all its objects hold it. Used by the thread that runs the process. Loading makes no request.
 *
 *	vfs_remote_new(&config, &r);
 *	struct vfs_obj *root = vfs_remote_mount(r, mount_id);
 *	vfs_remote_unref(r);
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"
#include "vfs/vfs.h"

struct vfs_remote;

/* The answer to a request that was not waited for, valid until it returns. */
typedef void (*vfs_remote_done)(void *arg, enum err e, const uint8_t *answer, size_t size);

struct vfs_remote_config {
	/* Sends a request of this process to its home and appends the answer; waits 10 s at most.
	 * may_repeat: it may be sent again when a link broke before the answer came. ERR_AGAIN (only then): the whole
	 * operation is to be tried again later; it answers FE_INPROGRESS and has had no effect. */
	enum err (*call)(void *ctx, const uint8_t *request, size_t size, bool may_repeat,
	                 struct wr *answer);
	/* The same without waiting: copies the request; done(arg, ...) is called once, later, from any thread, also when the remote is gone, and not
	 * from within. Else an error. NULL: each write waits for its answer. */
	enum err (*post)(void *ctx, const uint8_t *request, size_t size, vfs_remote_done done,
	                 void *arg);
	/* The last object is gone. forget: the process has ended, its home may forget its files. NULL: nothing to do. */
	void (*end)(void *ctx, bool forget);
	/* Where the mount stands in a larger one, by names that stay ("DEVICE/docs", see vfs_ops.path_form). NULL: it is the mount itself. */
	enum ferr (*place)(void *ctx, uint32_t mount_id, char *buf, size_t size);
	/* What the home answered, for when it is away (a call that answers HOSTDOWN): bytes by a name, which is bytes too. lasting: the same name always
	 * means the same bytes. NULL: nothing is kept. */
	void (*keep)(void *ctx, uint32_t mount_id, const struct wr *name, const struct wr *bytes,
	             bool lasting);
	/* Appends what was kept. seen_ms: of 1970, when the home said so. False: nothing was. */
	bool (*kept)(void *ctx, uint32_t mount_id, const struct wr *name, struct wr *bytes,
	             uint64_t *seen_ms);
	void *ctx;
	uint64_t cache_bytes; /* 0: 64 MiB */
};

enum ferr vfs_remote_new(const struct vfs_remote_config *c, struct vfs_remote **out);
void vfs_remote_unref(struct vfs_remote *r);
/* The root of the home's mount of that number. NULL when memory ran out. */
struct vfs_obj *vfs_remote_mount(struct vfs_remote *r, uint32_t mount_id);
bool vfs_is_remote(const struct vfs_obj *o);
/* The process goes on elsewhere: freeing its files here must not close them at their home. root: any object of the remote. */
void vfs_remote_abandon(struct vfs_obj *root);

/* What was written by any descriptor of o's file is at the home; or the error that came of it, once (FE_OK for what is no remote's). INPROGRESS as
 * for call. For who closes a descriptor. */
enum ferr vfs_remote_flush(struct vfs_obj *o);
/* Not INPROGRESS: waits until that is so, or will never be (ten seconds). */
enum ferr vfs_remote_flush_whole(struct vfs_obj *o);

struct vfs_remote_stats {
	uint64_t calls, bytes_read, bytes_written, hits, misses;
};
void vfs_remote_stats(const struct vfs_obj *o, struct vfs_remote_stats *out);
