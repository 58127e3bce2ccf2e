/* memory.h - a file system in memory that belongs to one process and moves along with it.
 *
 * Files, folders, symbolic and hard links; sizes are limited as a whole. Saved and loaded as bytes
 * (the format stands in docs/formats/wasi.md).
 *
 *	struct vfs_obj *root;
 *	vfs_memory_new(64 << 20, &root);     // an empty folder
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"
#include "vfs/vfs.h"

enum ferr vfs_memory_new(uint64_t limit_bytes, struct vfs_obj **root);
/* True for objects of this backend. */
bool vfs_is_memory(const struct vfs_obj *o);
/* Writes the whole tree that root belongs to, with files that have no name any more but are open. */
enum err vfs_memory_save(struct vfs_obj *root, struct wr *out);
/* Hostile bytes: everything is checked before anything is given out. */
enum err vfs_memory_load(struct rd *in, struct vfs_obj **root, struct errmsg *msg);
/* After a load, when everything that was open is open again: frees what has no name and is not open. */
void vfs_memory_drop_orphans(struct vfs_obj *root);
