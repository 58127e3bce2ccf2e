/* fsmsg.c - the parts that requests and answers about files are made of. */
#include "vfs/fsmsg.h"

#include <string.h>

enum { NO_MODE = 0xffff };

void fs_put_text(struct wr *out, const char *text)
{
	size_t size = strlen(text);
	wr_u16(out, (uint16_t)size);
	wr_bytes(out, text, size);
}

enum err fs_get_text(struct rd *in, char buf[VFS_PATH_MAX])
{
	uint16_t size;
	const uint8_t *p;
	TRY(rd_u16(in, &size));
	TRY(rd_bytes(in, size, &p));
	if (size >= VFS_PATH_MAX || memchr(p, 0, size))
		return ERR_MALFORMED;
	memcpy(buf, p, size);
	buf[size] = 0;
	return ERR_OK;
}

enum err fs_get_flag(struct rd *in, bool *out)
{
	uint8_t v;
	TRY(rd_u8(in, &v));
	*out = v == 1;
	return v <= 1 ? ERR_OK : ERR_MALFORMED;
}

void fs_put_stat(struct wr *out, const struct vfs_stat *st)
{
	wr_u64(out, st->dev);
	wr_u64(out, st->ino);
	wr_u64(out, st->nlink);
	wr_u64(out, st->size_bytes);
	wr_u64(out, st->atime_ns);
	wr_u64(out, st->mtime_ns);
	wr_u64(out, st->ctime_ns);
	wr_u8(out, st->type);
	wr_u16(out, st->has_mode ? st->mode : NO_MODE);
}

enum err fs_get_stat(struct rd *in, struct vfs_stat *st)
{
	TRY(rd_u64(in, &st->dev));
	TRY(rd_u64(in, &st->ino));
	TRY(rd_u64(in, &st->nlink));
	TRY(rd_u64(in, &st->size_bytes));
	TRY(rd_u64(in, &st->atime_ns));
	TRY(rd_u64(in, &st->mtime_ns));
	TRY(rd_u64(in, &st->ctime_ns));
	TRY(rd_u8(in, &st->type));
	TRY(rd_u16(in, &st->mode));
	st->has_mode = st->mode != NO_MODE;
	return st->type <= VFS_TYPE_SYMLINK && (st->mode <= 07777 || !st->has_mode) &&
	               st->size_bytes <= INT64_MAX
	           ? ERR_OK
	           : ERR_MALFORMED;
}

void fs_put_version(struct wr *out, const struct fs_version *v)
{
	wr_u64(out, v->dev);
	wr_u64(out, v->ino);
	wr_u64(out, v->size_bytes);
	wr_u64(out, v->mtime_ns);
	wr_u64(out, v->ctime_ns);
}

enum err fs_get_version(struct rd *in, struct fs_version *v)
{
	TRY(rd_u64(in, &v->dev));
	TRY(rd_u64(in, &v->ino));
	TRY(rd_u64(in, &v->size_bytes));
	TRY(rd_u64(in, &v->mtime_ns));
	TRY(rd_u64(in, &v->ctime_ns));
	return v->size_bytes <= INT64_MAX ? ERR_OK : ERR_MALFORMED;
}

void fs_put_times(struct wr *out, const struct vfs_times *t)
{
	wr_u8(out, t->atime_how);
	wr_u8(out, t->mtime_how);
	wr_u64(out, t->atime_ns);
	wr_u64(out, t->mtime_ns);
}

enum err fs_get_times(struct rd *in, struct vfs_times *t)
{
	TRY(rd_u8(in, &t->atime_how));
	TRY(rd_u8(in, &t->mtime_how));
	TRY(rd_u64(in, &t->atime_ns));
	TRY(rd_u64(in, &t->mtime_ns));
	return t->atime_how <= VFS_TIME_NOW && t->mtime_how <= VFS_TIME_NOW ? ERR_OK
	                                                                    : ERR_MALFORMED;
}
