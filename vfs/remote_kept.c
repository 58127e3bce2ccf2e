/* remote_kept.c - what is kept of a home's answers, and answers made of it while the home is away.
 *
 * A name is u8 what, then u8 follow and the path, or the version of a file and a block's index. The bytes: of a path u8 there (0: nothing stands there),
 * then stat; of a link u8 is one, then its text; of a folder its entries; a block as it is.
 */
#include "vfs/remote_impl.h"

#include <string.h>

enum what { KEPT_STAT = 1, KEPT_LINK, KEPT_LIST, KEPT_BLOCK };

static void put(struct vfs_remote *r, uint32_t mount_id, struct wr *name, struct wr *bytes,
                bool lasting)
{
	if (r->cfg.keep && wr_ok(name) && wr_ok(bytes))
		r->cfg.keep(r->cfg.ctx, mount_id, name, bytes, lasting);
	wr_free(name);
	wr_free(bytes);
}

static bool get(const struct vfs_remote *r, uint32_t mount_id, struct wr *name, struct wr *bytes,
                uint64_t *seen_ms)
{
	bool found =
	    r->cfg.kept && wr_ok(name) && r->cfg.kept(r->cfg.ctx, mount_id, name, bytes, seen_ms);
	wr_free(name);
	return found;
}

static struct wr name_of(enum what what, bool follow, const char *path)
{
	struct wr name = {0};
	wr_u8(&name, (uint8_t)what);
	wr_u8(&name, follow);
	wr_bytes(&name, path, strlen(path));
	return name;
}

/* ---- what stands at a path ---- */

static void put_stat(struct vfs_remote *r, uint32_t mount_id, const char *path, bool follow,
                     const struct vfs_stat *st)
{
	struct wr name = name_of(KEPT_STAT, follow, path), bytes = {0};
	wr_u8(&bytes, st != NULL);
	if (st)
		fs_put_stat(&bytes, st);
	put(r, mount_id, &name, &bytes, false);
}

void kept_put_stat(struct vfs_remote *r, uint32_t mount_id, const char *path, bool follow,
                   const struct vfs_stat *st)
{
	if (!r->cfg.keep)
		return;
	put_stat(r, mount_id, path, follow, st);
	if (!follow && st && st->type != VFS_TYPE_SYMLINK)
		put_stat(r, mount_id, path, true, st);
}

static enum ferr get_stat(struct vfs_remote *r, uint32_t mount_id, const char *path, bool follow,
                          struct vfs_stat *out)
{
	struct wr name = name_of(KEPT_STAT, follow, path), bytes = {0};
	uint64_t seen_ms = 0;
	bool there = false;
	enum ferr e = FE_HOSTDOWN;
	if (get(r, mount_id, &name, &bytes, &seen_ms)) {
		struct rd in = rd_of(bytes.data, bytes.size);
		if (fs_get_flag(&in, &there) == ERR_OK)
			e = !there                            ? FE_NOENT
			    : fs_get_stat(&in, out) == ERR_OK ? FE_OK
			                                      : FE_HOSTDOWN;
		out->atime_ns = seen_ms * 1000000;
	}
	wr_free(&bytes);
	return e;
}

enum ferr kept_stat(struct vfs_remote *r, uint32_t mount_id, const char *path, bool follow,
                    struct vfs_stat *out)
{
	enum ferr e = get_stat(r, mount_id, path, follow, out);
	return e == FE_HOSTDOWN && !follow ? get_stat(r, mount_id, path, true, out) : e;
}

void kept_forget(struct vfs_remote *r, uint32_t mount_id, const char *path)
{
	kept_put_stat(r, mount_id, path, true, NULL);
	kept_put_stat(r, mount_id, path, false, NULL);
}

/* ---- links and folders ---- */

void kept_put_link(struct vfs_remote *r, uint32_t mount_id, const char *path, const uint8_t *text,
                   size_t size)
{
	if (!r->cfg.keep)
		return;
	struct wr name = name_of(KEPT_LINK, false, path), bytes = {0};
	wr_u8(&bytes, text != NULL);
	if (text)
		wr_bytes(&bytes, text, size);
	put(r, mount_id, &name, &bytes, false);
}

enum ferr kept_link(struct vfs_remote *r, uint32_t mount_id, const char *path, char *buf,
                    size_t *size)
{
	struct wr name = name_of(KEPT_LINK, false, path), bytes = {0};
	struct vfs_stat st;
	uint64_t seen_ms;
	enum ferr e = kept_stat(r, mount_id, path, false, &st);
	if (e == FE_OK || e == FE_HOSTDOWN)
		e = e == FE_OK && st.type != VFS_TYPE_SYMLINK ? FE_INVAL : FE_HOSTDOWN;
	if (get(r, mount_id, &name, &bytes, &seen_ms) && bytes.size && e == FE_HOSTDOWN) {
		e = bytes.data[0] ? FE_OK : FE_INVAL;
		*size = bytes.size - 1 < *size ? bytes.size - 1 : *size;
		memcpy(buf, bytes.data + 1, *size);
	}
	wr_free(&bytes);
	return e;
}

void kept_put_list(const struct robj *o, const struct wr *list)
{
	struct wr name = name_of(KEPT_LIST, false, o->path), bytes = {0};
	wr_bytes(&bytes, list->data, list->size);
	put(o->r, o->mount_id, &name, &bytes, false);
}

enum ferr kept_list(const struct robj *o, struct wr *list)
{
	struct wr name = name_of(KEPT_LIST, false, o->path);
	uint64_t seen_ms;
	return get(o->r, o->mount_id, &name, list, &seen_ms) ? FE_OK : FE_HOSTDOWN;
}

/* ---- blocks ---- */

static struct wr block_name(const struct robj *o, uint64_t index)
{
	struct wr name = {0};
	wr_u8(&name, KEPT_BLOCK);
	fs_put_version(&name, &o->file->version);
	wr_u64(&name, index);
	return name;
}

void kept_put_block(const struct robj *o, uint64_t index, const uint8_t *bytes, uint32_t size)
{
	if (!o->r->cfg.keep)
		return;
	struct wr name = block_name(o, index), copy = {0};
	wr_bytes(&copy, bytes, size);
	put(o->r, o->mount_id, &name, &copy, true);
}

/* Whole: as long as the file's version says. */
enum ferr kept_block(const struct robj *o, uint64_t index, struct wr *bytes)
{
	struct wr name = block_name(o, index);
	uint64_t seen_ms, start = index * CACHE_BLOCK, left = o->file->version.size_bytes - start;
	if (!get(o->r, o->mount_id, &name, bytes, &seen_ms))
		return FE_HOSTDOWN;
	return bytes->size == (left < CACHE_BLOCK ? left : CACHE_BLOCK) ? FE_OK : FE_HOSTDOWN;
}
