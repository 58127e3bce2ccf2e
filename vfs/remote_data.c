/* remote_data.c - contents of another device's files: a cache of blocks with read-ahead, and writes. */
#include "vfs/remote_impl.h"

#include <stdlib.h>
#include <string.h>

/* ---- reading ---- */

/* Asks for size bytes at offset. *bytes is valid until the next request. */
static enum ferr fetch(struct robj *o, uint64_t offset, uint32_t size, const uint8_t **bytes,
                       uint32_t *got)
{
	struct rd results;
	struct wr *q = remote_begin_at(o, FSOP_READ);
	wr_u64(q, offset);
	wr_u32(q, size);
	FTRY(remote_ask(o, &results));
	FTRY(remote_get_version(o, &results));
	if (rd_left(&results) > size)
		return FE_IO;
	*bytes = results.p;
	*got = (uint32_t)rd_left(&results);
	o->r->stats.bytes_read += *got;
	return FE_OK;
}

static void keep_blocks(struct robj *o, uint64_t index, const uint8_t *bytes, uint32_t size)
{
	const struct fs_version *v = &o->file->version;
	for (uint32_t at = 0; at < size; at += CACHE_BLOCK, index++) {
		uint32_t n = size - at < CACHE_BLOCK ? size - at : CACHE_BLOCK;
		bool whole = n == CACHE_BLOCK || index * CACHE_BLOCK + n == v->size_bytes;
		if (!whole)
			continue;
		cache_put(o->r->cache, v->dev, v->ino, index, bytes + at, n);
		kept_put_block(o, index, bytes + at, n);
	}
}

/* How much to ask for at a block that is missing: more when the reader goes straight on. */
static uint32_t window_of(struct rfile *f, uint64_t index)
{
	enum { WINDOW_MAX = FS_READ_MAX / CACHE_BLOCK };
	if (index != f->next_index)
		f->window = 1;
	else if (f->window < WINDOW_MAX)
		f->window++;
	f->next_index = index + f->window;
	return f->window * CACHE_BLOCK;
}

/* Past the end as we know it: somebody may have written more. */
static enum ferr read_past(struct robj *o, uint64_t offset, uint8_t *to, size_t size, size_t *done)
{
	const uint8_t *bytes;
	uint32_t got = 0;
	enum ferr e =
	    fetch(o, offset, size < FS_READ_MAX ? (uint32_t)size : FS_READ_MAX, &bytes, &got);
	if (e != FE_OK && e != FE_HOSTDOWN)
		return e;
	if (e == FE_OK)
		memcpy(to, bytes, got);
	*done = e == FE_OK ? got : 0;
	return FE_OK;
}

/* The block that is missing and some behind it; when the home is away, the block as it was kept. */
static enum ferr fetch_block(struct robj *o, uint64_t index, const uint8_t **bytes, uint32_t *got)
{
	struct vfs_remote *r = o->r;
	struct rfile *f = o->file;
	enum ferr e = fetch(o, index * CACHE_BLOCK, window_of(f, index), bytes, got);
	if (e == FE_OK)
		keep_blocks(o, index, *bytes, *got);
	if (e != FE_HOSTDOWN || !f->known)
		return e;
	wr_clear(&r->answer);
	FTRY(kept_block(o, index, &r->answer));
	*bytes = r->answer.data;
	*got = (uint32_t)r->answer.size;
	cache_put(r->cache, f->version.dev, f->version.ino, index, *bytes, *got);
	return FE_OK;
}

/* Some bytes at offset, at most size. 0: the end. */
static enum ferr read_some(struct robj *o, uint64_t offset, uint8_t *to, size_t size, size_t *done)
{
	struct rfile *f = o->file;
	uint64_t index = offset / CACHE_BLOCK;
	uint32_t in = (uint32_t)(offset % CACHE_BLOCK), got, n;
	const uint8_t *bytes;
	if (f->known && offset >= f->version.size_bytes)
		return read_past(o, offset, to, size, done);
	bytes =
	    f->known ? cache_get(o->r->cache, f->version.dev, f->version.ino, index, &got) : NULL;
	if (bytes) {
		o->r->stats.hits++;
	} else {
		o->r->stats.misses++;
		FTRY(fetch_block(o, index, &bytes, &got));
	}
	n = got > in ? got - in : 0;
	n = size < n ? (uint32_t)size : n;
	memcpy(to, bytes + (n ? in : 0), n);
	*done = n;
	return FE_OK;
}

enum ferr remote_read(struct vfs_obj *b, uint64_t offset, const struct vfs_iov *iov, size_t n,
                      size_t *done)
{
	struct robj *o = robj_of(b);
	if (!o->file || !(o->flags & VFS_READ))
		return FE_BADF;
	FTRY(behind_settle(o));
	o->file->was_read = true;
	for (size_t i = 0; i < n; i++)
		for (size_t at = 0; at < iov[i].size;) {
			size_t got;
			enum ferr e =
			    read_some(o, offset, (uint8_t *)iov[i].p + at, iov[i].size - at, &got);
			if (e != FE_OK)
				return *done ? FE_OK : e;
			if (got == 0)
				return FE_OK;
			at += got;
			offset += got;
			*done += got;
		}
	return FE_OK;
}

/* ---- writing ---- */

/* What we wrote is not in the cache any more; the rest stays when nobody else wrote before us. */
static void wrote(struct robj *o, uint64_t start, uint64_t end, const struct fs_version *before,
                  const struct fs_version *after)
{
	struct rfile *f = o->file;
	uint64_t dev = f->version.dev, ino = f->version.ino;
	if (!f->known || !remote_same_version(&f->version, before)) {
		remote_drop_all(o->r, f);
	} else {
		uint64_t tail = before->size_bytes / CACHE_BLOCK;
		cache_drop(o->r->cache, dev, ino, start / CACHE_BLOCK, end / CACHE_BLOCK);
		if (end > before->size_bytes)
			cache_drop(o->r->cache, dev, ino, tail, end / CACHE_BLOCK);
	}
	f->version = *after;
	f->version.dev = dev;
	f->version.ino = ino;
	f->known = true;
}

enum ferr remote_write(struct vfs_obj *b, uint64_t offset, unsigned flags,
                       const struct vfs_iov *iov, size_t n, size_t *done, uint64_t *end)
{
	struct robj *o = robj_of(b);
	struct rd results;
	struct fs_version before, after;
	uint32_t asked = 0, written;
	if (!o->file || !(o->flags & VFS_WRITE))
		return FE_BADF;
	if (!(flags & VFS_APPEND))
		FTRY(remote_may_change(o));
	if (o->r->pool && !(flags & (VFS_APPEND | VFS_SYNC | VFS_DSYNC)))
		return behind_write(o, offset, iov, n, done, end);
	FTRY(vfs_remote_flush(b));
	struct wr *q = remote_begin_at(o, FSOP_WRITE);
	wr_u64(q, offset);
	wr_u32(q, flags & (VFS_APPEND | VFS_SYNC | VFS_DSYNC));
	o->r->overwrites = o->r->may_repeat = !(flags & VFS_APPEND);
	for (size_t i = 0; i < n && asked < FS_READ_MAX; i++) {
		size_t room = FS_READ_MAX - asked, size = iov[i].size < room ? iov[i].size : room;
		if (size)
			wr_bytes(q, iov[i].p, size);
		asked += (uint32_t)size;
	}
	FTRY(remote_ask(o, &results));
	GET(rd_u32(&results, &written));
	GET(rd_u64(&results, end));
	GET(fs_get_version(&results, &before));
	GET(fs_get_version(&results, &after));
	if (written > asked || *end > INT64_MAX || *end < written)
		return FE_IO;
	wrote(o, *end - written, *end, &before, &after);
	o->r->stats.bytes_written += written;
	*done = written;
	return FE_OK;
}

enum ferr remote_set_size(struct vfs_obj *b, uint64_t size_bytes)
{
	struct rd results;
	FTRY(behind_settle(robj_of(b)));
	FTRY(remote_may_change(robj_of(b)));
	wr_u64(remote_begin_at(robj_of(b), FSOP_SET_SIZE), size_bytes);
	FTRY(remote_ask(robj_of(b), &results));
	return remote_get_version(robj_of(b), &results);
}

enum ferr remote_allocate(struct vfs_obj *b, uint64_t offset, uint64_t size_bytes)
{
	struct rd results;
	FTRY(behind_settle(robj_of(b)));
	FTRY(remote_may_change(robj_of(b)));
	struct wr *q = remote_begin_at(robj_of(b), FSOP_ALLOCATE);
	wr_u64(q, offset);
	wr_u64(q, size_bytes);
	FTRY(remote_ask(robj_of(b), &results));
	return remote_get_version(robj_of(b), &results);
}

enum ferr remote_sync(struct vfs_obj *b, bool data_only)
{
	struct rd results;
	FTRY(vfs_remote_flush(b));
	wr_u8(remote_begin_at(robj_of(b), FSOP_SYNC), data_only);
	return remote_ask(robj_of(b), &results);
}

enum ferr vfs_remote_flush(struct vfs_obj *o)
{
	if (!vfs_is_remote(o))
		return FE_OK;
	FTRY(behind_settle(robj_of(o)));
	return behind_error(robj_of(o));
}

enum ferr vfs_remote_flush_whole(struct vfs_obj *o)
{
	if (!vfs_is_remote(o))
		return FE_OK;
	FTRY(behind_settle_whole(robj_of(o)));
	return behind_error(robj_of(o));
}
