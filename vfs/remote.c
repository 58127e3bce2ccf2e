/* remote.c - objects that are numbers of another device.
 *
 * A request is built in r->request, sent, and its answer read in place. When the home does not know a number any more (it was
 * restarted), the object is opened again there by path and file id, and the request is sent once more. Closing makes no request of
 * its own: the numbers go with the next one.
 */
#include "vfs/remote.h"

#include "vfs/remote_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct vfs_ops remote_ops;

bool vfs_is_remote(const struct vfs_obj *o)
{
	return o->ops == &remote_ops;
}

/* ---- life ---- */

enum ferr vfs_remote_new(const struct vfs_remote_config *c, struct vfs_remote **out)
{
	enum { CACHE_BYTES = 64 << 20 };
	struct vfs_remote *r = calloc(1, sizeof *r);
	if (!r)
		return FE_NOMEM;
	r->cfg = *c;
	atomic_init(&r->refs, 1);
	r->cache = cache_new(c->cache_bytes ? c->cache_bytes : CACHE_BYTES);
	r->pool = r->cache && c->post ? behind_pool_new(c) : NULL;
	if (!r->cache || (c->post && !r->pool)) {
		cache_free(r->cache);
		free(r);
		return FE_NOMEM;
	}
	*out = r;
	return FE_OK;
}

void vfs_remote_unref(struct vfs_remote *r)
{
	if (!r || atomic_fetch_sub(&r->refs, 1) != 1)
		return;
	behind_pool_end(r->pool);
	if (r->cfg.end)
		r->cfg.end(r->cfg.ctx, !r->abandoned);
	cache_free(r->cache);
	wr_free(&r->request);
	wr_free(&r->answer);
	free(r);
}

void vfs_remote_abandon(struct vfs_obj *root)
{
	robj_of(root)->r->abandoned = true;
}

void vfs_remote_stats(const struct vfs_obj *o, struct vfs_remote_stats *out)
{
	*out = ((const struct robj *)o)->r->stats;
}

static struct rfile *file_ref(struct vfs_remote *r, uint64_t dev, uint64_t ino)
{
	struct rfile *f = r->files;
	while (f && (f->version.dev != dev || f->version.ino != ino))
		f = f->next;
	if (!f) {
		f = calloc(1, sizeof *f);
		if (!f)
			return NULL;
		f->version.dev = dev;
		f->version.ino = ino;
		f->window = 1;
		f->next = r->files;
		r->files = f;
	}
	f->refs++;
	return f;
}

/* Closed files keep what is cached: opening again compares versions. A few hundred are remembered. */
static void file_unref(struct vfs_remote *r, struct rfile *f)
{
	enum { REMEMBERED = 256 };
	uint32_t idle = 0;
	struct rfile **last_idle = NULL;
	if (!f || --f->refs)
		return;
	for (struct rfile **p = &r->files; *p; p = &(*p)->next)
		if ((*p)->refs == 0) {
			idle++;
			last_idle = p;
		}
	if (idle <= REMEMBERED)
		return;
	struct rfile *old = *last_idle;
	cache_drop(r->cache, old->version.dev, old->version.ino, 0, UINT64_MAX);
	*last_idle = old->next;
	behind_forget(old);
	free(old);
}

static enum ferr robj_new(struct vfs_remote *r, enum vfs_type type, uint32_t mount_id,
                          uint32_t handle, const char *path, unsigned flags, struct robj **out)
{
	struct robj *o = calloc(1, sizeof *o);
	char *copy = strdup(path);
	if (!o || !copy) {
		free(o);
		free(copy);
		return FE_NOMEM;
	}
	vfs_obj_init(&o->base, &remote_ops, type);
	atomic_fetch_add(&r->refs, 1);
	o->r = r;
	o->mount_id = mount_id;
	o->handle = handle;
	o->path = copy;
	o->flags = flags & (VFS_READ | VFS_WRITE);
	o->next = r->objects;
	r->objects = o;
	*out = o;
	return FE_OK;
}

struct vfs_obj *vfs_remote_mount(struct vfs_remote *r, uint32_t mount_id)
{
	struct robj *o;
	if (robj_new(r, VFS_TYPE_DIR, mount_id, (uint32_t)FS_ROOT | mount_id, ".", VFS_READ, &o) !=
	    FE_OK)
		return NULL;
	return &o->base;
}

static void free_files(struct vfs_remote *r)
{
	struct rfile *next;
	for (struct rfile *f = r->files; f; f = next) {
		next = f->next;
		behind_forget(f);
		free(f);
	}
	r->files = NULL;
}

static void unlist(struct robj *o)
{
	struct robj **at = &o->r->objects;
	while (*at != o)
		at = &(*at)->next;
	*at = o->next;
}

static void remote_close(struct vfs_obj *b)
{
	struct robj *o = robj_of(b);
	struct vfs_remote *r = o->r;
	behind_closing(o);
	unlist(o);
	if (!(o->handle & (uint32_t)FS_ROOT) && r->nclosed < FS_CLOSED_MAX)
		r->closed[r->nclosed++] = o->handle;
	file_unref(r, o->file);
	wr_free(&o->list);
	wr_free(&o->all);
	free(o->path);
	free(o);
	if (atomic_load(&r->refs) == 1)
		free_files(r);
	vfs_remote_unref(r);
}

/* ---- asking ---- */

/* Those that make, remove or rename names would fail the second time. */
static bool may_repeat(enum fsop op)
{
	switch (op) {
	case FSOP_MKDIR:
	case FSOP_RMDIR:
	case FSOP_UNLINK:
	case FSOP_SYMLINK:
	case FSOP_LINK:
	case FSOP_RENAME: return false;
	default: return true;
	}
}

static struct wr *begin(struct vfs_remote *r, enum fsop op)
{
	r->may_repeat = may_repeat(op);
	r->overwrites = op == FSOP_WRITE || op == FSOP_SET_SIZE || op == FSOP_ALLOCATE;
	wr_clear(&r->request);
	r->second_at = 0;
	wr_u16(&r->request, (uint16_t)r->nclosed);
	for (uint32_t i = 0; i < r->nclosed; i++)
		wr_u32(&r->request, r->closed[i]);
	wr_u8(&r->request, (uint8_t)op);
	return &r->request;
}

/* The usual beginning: the number comes first. */
struct wr *remote_begin_at(struct robj *o, enum fsop op)
{
	struct wr *q = begin(o->r, op);
	o->r->handle_at = q->size;
	wr_u32(q, o->handle);
	return q;
}

/* What we know may be old when the home is back. */
static void doubt_all(struct vfs_remote *r)
{
	for (struct rfile *f = r->files; f; f = f->next)
		f->in_doubt |= f->known;
}

static enum ferr send_request(struct vfs_remote *r, struct rd *results)
{
	uint16_t e;
	if (!wr_ok(&r->request))
		return FE_NOMEM;
	wr_clear(&r->answer);
	r->stats.calls++;
	enum err called =
	    r->cfg.call(r->cfg.ctx, r->request.data, r->request.size, r->may_repeat, &r->answer);
	if (called != ERR_OK)
		return called == ERR_AGAIN ? FE_INPROGRESS : FE_IO;
	r->nclosed = 0;
	*results = rd_of(r->answer.data, r->answer.size);
	if (rd_u16(results, &e) != ERR_OK || e >= FE_COUNT)
		return FE_IO;
	if (e == FE_HOSTDOWN)
		doubt_all(r);
	return (enum ferr)e;
}

/* A request that is put aside for another one. */
struct aside {
	struct wr request;
	size_t handle_at, second_at;
	bool may_repeat, overwrites;
};

static struct aside put_aside(struct vfs_remote *r)
{
	struct aside a = {.request = r->request,
	                  .handle_at = r->handle_at,
	                  .second_at = r->second_at,
	                  .may_repeat = r->may_repeat,
	                  .overwrites = r->overwrites};
	r->request = (struct wr){0};
	return a;
}

static void take_up(struct vfs_remote *r, const struct aside *a)
{
	wr_free(&r->request);
	r->request = a->request;
	r->handle_at = a->handle_at;
	r->second_at = a->second_at;
	r->may_repeat = a->may_repeat;
	r->overwrites = a->overwrites;
}

/* The home lost the number: opens the object again there. Keeps r->request as it is. */
static enum ferr reopen_there(struct robj *o)
{
	struct vfs_remote *r = o->r;
	struct rd results;
	struct aside a = put_aside(r);
	struct wr *q = begin(r, FSOP_REOPEN);
	wr_u32(q, o->mount_id);
	wr_u32(q, o->flags);
	wr_u64(q, o->dev);
	wr_u64(q, o->ino);
	wr_u8(q, o->base.type);
	fs_put_text(q, o->path);
	enum ferr e = send_request(r, &results);
	if (e == FE_OK && rd_u32(&results, &o->handle) != ERR_OK)
		e = FE_IO;
	take_up(r, &a);
	return e == FE_NOENT || e == FE_BADF ? FE_STALE : e;
}

/* The home was not there for a while: what is to be written may have been made of an older version. Keeps r->request. */
static enum ferr check_again(struct robj *o)
{
	struct aside a = put_aside(o->r);
	o->file->in_doubt = o->file->known;
	enum ferr e = remote_may_change(o);
	take_up(o->r, &a);
	return e;
}

static bool is_root(const struct robj *o)
{
	return o->handle & (uint32_t)FS_ROOT;
}

/* Sends r->request, whose number is o's (and at second_at second's). */
static enum ferr ask_two(struct robj *o, struct robj *second, struct rd *results)
{
	struct vfs_remote *r = o->r;
	enum ferr e = send_request(r, results);
	if (e != FE_BADF || (is_root(o) && (!second || is_root(second))))
		return e;
	if (!is_root(o))
		FTRY(reopen_there(o));
	if (r->overwrites && o->file)
		FTRY(check_again(o));
	if (second && !is_root(second))
		FTRY(reopen_there(second));
	wr_patch_u32(&r->request, r->handle_at, o->handle);
	if (second)
		wr_patch_u32(&r->request, r->second_at, second->handle);
	return send_request(r, results);
}

enum ferr remote_ask(struct robj *o, struct rd *results)
{
	return ask_two(o, NULL, results);
}

/* ---- what is known of a file ---- */

bool remote_same_version(const struct fs_version *a, const struct fs_version *b)
{
	return a->size_bytes == b->size_bytes && a->mtime_ns == b->mtime_ns &&
	       a->ctime_ns == b->ctime_ns;
}

void remote_drop_all(struct vfs_remote *r, const struct rfile *f)
{
	cache_drop(r->cache, f->version.dev, f->version.ino, 0, UINT64_MAX);
}

/* The home told us the file's version: what was cached of another one goes. */
static void learn(struct vfs_remote *r, struct rfile *f, const struct fs_version *v)
{
	uint64_t dev = f->version.dev, ino = f->version.ino;
	if (f->known && !remote_same_version(&f->version, v)) {
		remote_drop_all(r, f);
		for (struct robj *o = f->in_doubt ? r->objects : NULL; o; o = o->next)
			o->stale |= o->file == f;
	}
	f->in_doubt = false;
	f->version = *v;
	f->version.dev = dev;
	f->version.ino = ino;
	f->known = true;
}

enum ferr remote_get_version(struct robj *o, struct rd *results)
{
	struct fs_version v;
	GET(fs_get_version(results, &v));
	if (o->file)
		learn(o->r, o->file, &v);
	return FE_OK;
}

static enum ferr remote_set_times(struct vfs_obj *b, const struct vfs_times *t)
{
	struct rd results;
	FTRY(behind_settle(robj_of(b)));
	FTRY(remote_may_change(robj_of(b)));
	fs_put_times(remote_begin_at(robj_of(b), FSOP_SET_TIMES), t);
	FTRY(remote_ask(robj_of(b), &results));
	return remote_get_version(robj_of(b), &results);
}

/* The home is away: as it was when it was last seen; what is open may have been renamed since. */
static enum ferr stat_kept(const struct robj *o, struct vfs_stat *out)
{
	enum ferr e = kept_stat(o->r, o->mount_id, o->path, true, out);
	return e == FE_OK && out->ino == o->ino && out->dev == o->dev ? FE_OK : FE_HOSTDOWN;
}

enum ferr remote_stat(struct vfs_obj *b, struct vfs_stat *out)
{
	struct robj *o = robj_of(b);
	struct rd results;
	FTRY(behind_settle(o));
	remote_begin_at(o, FSOP_STAT);
	enum ferr e = remote_ask(o, &results);
	if (e == FE_HOSTDOWN)
		return stat_kept(o, out);
	FTRY(e);
	GET(fs_get_stat(&results, out));
	struct fs_version v = fs_version_of(out);
	if (o->file)
		learn(o->r, o->file, &v);
	if (!o->removed)
		kept_put_stat(o->r, o->mount_id, o->path, true, out);
	return FE_OK;
}

enum ferr remote_may_change(struct robj *o)
{
	struct vfs_stat st;
	struct rd results;
	if (o->file && o->file->in_doubt && o->file->was_read) {
		remote_begin_at(o, FSOP_STAT);
		FTRY(remote_ask(o, &results));
		GET(fs_get_stat(&results, &st));
		struct fs_version v = fs_version_of(&st);
		learn(o->r, o->file, &v);
	}
	return o->stale ? FE_STALE : FE_OK;
}

/* ---- listing ---- */

static enum ferr get_entry(struct rd *in, struct vfs_dirent *e)
{
	uint16_t size;
	const uint8_t *name;
	GET(rd_u64(in, &e->next));
	GET(rd_u64(in, &e->ino));
	GET(rd_u8(in, &e->type));
	GET(rd_u16(in, &size));
	GET(rd_bytes(in, size, &name));
	if (e->next == 0 || e->type > VFS_TYPE_SYMLINK || size == 0 || size > VFS_NAME_MAX ||
	    memchr(name, 0, size) || memchr(name, '/', size))
		return FE_IO;
	e->name = (const char *)name;
	e->name_size = size;
	return FE_OK;
}

/* All of the folder is known: for when the home is away. */
static void keep_list(struct robj *o, uint64_t cookie, bool ended)
{
	enum { ALL_MAX = 512 << 10 };
	if (!o->r->cfg.keep)
		return;
	if (cookie == 0)
		wr_clear(&o->all);
	else if (!o->all.size)
		return;
	wr_bytes(&o->all, o->list.data, o->list.size);
	if (ended && o->all.size <= ALL_MAX)
		kept_put_list(o, &o->all);
	if (ended || o->all.size > ALL_MAX)
		wr_free(&o->all);
}

/* From its start, whatever is asked for. */
static enum ferr fetch_kept_list(struct robj *o)
{
	wr_clear(&o->list);
	o->list_cookie = 0;
	o->list_ended = true;
	return kept_list(o, &o->list);
}

static enum ferr fetch_list(struct robj *o, uint64_t cookie)
{
	struct rd results;
	bool ended;
	wr_u64(remote_begin_at(o, FSOP_READDIR), cookie);
	enum ferr e = remote_ask(o, &results);
	if (e == FE_HOSTDOWN)
		return fetch_kept_list(o);
	FTRY(e);
	GET(fs_get_flag(&results, &ended));
	wr_clear(&o->list);
	wr_bytes(&o->list, results.p, rd_left(&results));
	o->list_cookie = cookie;
	o->list_ended = ended;
	keep_list(o, cookie, ended);
	return wr_ok(&o->list) ? FE_OK : FE_NOMEM;
}

/* Emits what follows *cookie in the list and moves it on. *found: the list goes on from there. */
static enum ferr emit_list(struct robj *o, uint64_t *cookie, vfs_dirent_fn emit, void *ctx,
                           bool *found, bool *more)
{
	struct rd in = rd_of(o->list.data, o->list.size);
	struct vfs_dirent e;
	*found = *cookie == o->list_cookie;
	while (rd_left(&in) && *more) {
		FTRY(get_entry(&in, &e));
		if (*found) {
			*more = emit(ctx, &e);
			if (*more)
				*cookie = e.next;
		} else {
			*found = e.next == *cookie;
		}
	}
	return FE_OK;
}

static enum ferr remote_readdir(struct vfs_obj *b, uint64_t cookie, vfs_dirent_fn emit, void *ctx)
{
	struct robj *o = robj_of(b);
	bool more = true, found = false;
	if (cookie && o->list.size)
		FTRY(emit_list(o, &cookie, emit, ctx, &found, &more));
	while (more && !(found && o->list_ended)) {
		FTRY(fetch_list(o, cookie));
		if (!o->list.size)
			break;
		FTRY(emit_list(o, &cookie, emit, ctx, &found, &more));
		if (!found) /* the list that was kept is another one */
			break;
	}
	return FE_OK;
}

/* ---- by name ---- */

/* The path in the mount. */
static enum ferr join(const struct robj *dir, const char *path, char out[VFS_PATH_MAX])
{
	size_t n = strcmp(dir->path, ".") ? strlen(dir->path) : 0, size = strlen(path);
	if (n + size + 2 > VFS_PATH_MAX)
		return FE_NAMETOOLONG;
	memcpy(out, dir->path, n);
	if (n)
		out[n++] = '/';
	memcpy(out + n, path, size + 1);
	return FE_OK;
}

static enum ferr set_identity(struct robj *o, uint64_t dev, uint64_t ino)
{
	o->dev = dev;
	o->ino = ino;
	if (o->base.type != VFS_TYPE_FILE)
		return FE_OK;
	o->file = file_ref(o->r, dev, ino);
	return o->file ? FE_OK : FE_NOMEM;
}

static enum ferr opened(struct robj *dir, const char *whole, uint32_t handle, unsigned flags,
                        const struct vfs_stat *st, struct vfs_obj **out)
{
	struct robj *o;
	FTRY(robj_new(dir->r, (enum vfs_type)st->type, dir->mount_id, handle, whole, flags, &o));
	enum ferr e = set_identity(o, st->dev, st->ino);
	if (e != FE_OK) {
		vfs_unref(&o->base);
		return e;
	}
	struct fs_version v = fs_version_of(st);
	if (o->file)
		learn(o->r, o->file, &v);
	o->stale = false;
	behind_opened(o);
	*out = &o->base;
	return FE_OK;
}

/* The home is away: what was there can be read. A number that no home gives makes it be opened there when it is back. */
static enum ferr open_kept(struct robj *dir, const char *whole, unsigned flags,
                           struct vfs_obj **out)
{
	struct vfs_stat st;
	if (flags & (VFS_WRITE | VFS_TRUNCATE))
		return FE_HOSTDOWN;
	enum ferr e = kept_stat(dir->r, dir->mount_id, whole, !(flags & VFS_NOFOLLOW), &st);
	if (e == FE_NOENT && flags & VFS_CREATE)
		return FE_HOSTDOWN;
	FTRY(e);
	if (flags & VFS_CREATE && flags & VFS_EXCLUSIVE)
		return FE_EXIST;
	if (st.type == VFS_TYPE_SYMLINK)
		return FE_LOOP;
	if (flags & VFS_DIRECTORY && st.type != VFS_TYPE_DIR)
		return FE_NOTDIR;
	if (st.type != VFS_TYPE_FILE && st.type != VFS_TYPE_DIR)
		return FE_HOSTDOWN;
	return opened(dir, whole, 1, flags, &st, out);
}

static enum ferr remote_open(struct vfs_obj *b, const char *path, unsigned flags,
                             struct vfs_obj **out)
{
	struct robj *dir = robj_of(b);
	struct rd results;
	struct vfs_stat st;
	char whole[VFS_PATH_MAX];
	uint32_t handle;
	FTRY(join(dir, path, whole));
	FTRY(behind_settle_all(dir->r));
	struct wr *q = remote_begin_at(dir, FSOP_OPEN);
	dir->r->may_repeat = !(flags & VFS_EXCLUSIVE);
	wr_u32(q, flags);
	fs_put_text(q, path);
	enum ferr e = remote_ask(dir, &results);
	if (e == FE_HOSTDOWN)
		return open_kept(dir, whole, flags, out);
	if (e == FE_NOENT)
		kept_forget(dir->r, dir->mount_id, whole);
	FTRY(e);
	GET(rd_u32(&results, &handle));
	GET(fs_get_stat(&results, &st));
	if (handle < FS_FIRST_NEW || handle & (uint32_t)FS_ROOT ||
	    (st.type != VFS_TYPE_FILE && st.type != VFS_TYPE_DIR))
		return FE_IO;
	kept_put_stat(dir->r, dir->mount_id, whole, !(flags & VFS_NOFOLLOW), &st);
	return opened(dir, whole, handle, flags, &st, out);
}

/* No request: the number is the home's from before the move. */
static enum ferr remote_reopen(struct vfs_obj *root, const struct vfs_saved *s,
                               struct vfs_obj **out)
{
	struct robj *dir = robj_of(root), *o;
	if (s->handle == 0 || s->handle & (uint32_t)FS_ROOT ||
	    (s->type != VFS_TYPE_FILE && s->type != VFS_TYPE_DIR))
		return FE_STALE;
	FTRY(robj_new(dir->r, (enum vfs_type)s->type, dir->mount_id, s->handle, s->path, s->flags,
	              &o));
	enum ferr e = set_identity(o, s->dev, s->ino);
	if (e != FE_OK)
		vfs_unref(&o->base);
	else
		*out = &o->base;
	return e;
}

static enum ferr remote_stat_at(struct vfs_obj *b, const char *path, bool follow,
                                struct vfs_stat *out)
{
	struct robj *dir = robj_of(b);
	struct rd results;
	char whole[VFS_PATH_MAX];
	FTRY(join(dir, path, whole));
	FTRY(behind_settle_all(dir->r));
	struct wr *q = remote_begin_at(dir, FSOP_STAT_AT);
	wr_u8(q, follow);
	fs_put_text(q, path);
	enum ferr e = remote_ask(dir, &results);
	if (e == FE_HOSTDOWN)
		return kept_stat(dir->r, dir->mount_id, whole, follow, out);
	if (e == FE_NOENT)
		kept_put_stat(dir->r, dir->mount_id, whole, follow, NULL);
	FTRY(e);
	GET(fs_get_stat(&results, out));
	kept_put_stat(dir->r, dir->mount_id, whole, follow, out);
	return FE_OK;
}

static enum ferr remote_set_mode(struct vfs_obj *b, unsigned mode)
{
	struct rd results;
	wr_u16(remote_begin_at(robj_of(b), FSOP_SET_MODE), (uint16_t)mode);
	return remote_ask(robj_of(b), &results);
}

static enum ferr remote_set_mode_at(struct vfs_obj *b, const char *path, bool follow, unsigned mode)
{
	struct rd results;
	struct wr *q = remote_begin_at(robj_of(b), FSOP_SET_MODE_AT);
	wr_u8(q, follow);
	wr_u16(q, (uint16_t)mode);
	fs_put_text(q, path);
	return remote_ask(robj_of(b), &results);
}

static enum ferr remote_set_times_at(struct vfs_obj *b, const char *path, bool follow,
                                     const struct vfs_times *t)
{
	struct rd results;
	FTRY(behind_settle_all(robj_of(b)->r));
	struct wr *q = remote_begin_at(robj_of(b), FSOP_SET_TIMES_AT);
	wr_u8(q, follow);
	fs_put_times(q, t);
	fs_put_text(q, path);
	return remote_ask(robj_of(b), &results);
}

/* ---- names of what is open ---- */

/* What is open under a name that is gone, or leads to something else now. */
static void name_is_gone(struct robj *dir, const char *path)
{
	char whole[VFS_PATH_MAX];
	if (join(dir, path, whole) != FE_OK)
		return;
	kept_forget(dir->r, dir->mount_id, whole);
	for (struct robj *o = dir->r->objects; o; o = o->next)
		if (o->mount_id == dir->mount_id && o->file && !strcmp(o->path, whole))
			o->removed = true;
}

static void set_path(struct robj *o, const char *start, const char *rest)
{
	char *path = malloc(strlen(start) + strlen(rest) + 1);
	if (!path)
		return; /* it is not found again after a move, then */
	strcpy(path, start);
	strcat(path, rest);
	free(o->path);
	o->path = path;
}

/* What is open there, and below it. */
static void name_is_now(struct robj *from, const char *from_path, struct robj *to,
                        const char *to_path)
{
	char was[VFS_PATH_MAX], now[VFS_PATH_MAX];
	if (join(from, from_path, was) != FE_OK || join(to, to_path, now) != FE_OK ||
	    !strcmp(was, now))
		return;
	name_is_gone(to, to_path);
	kept_forget(from->r, from->mount_id, was);
	size_t n = strlen(was);
	for (struct robj *o = from->r->objects; o; o = o->next)
		if (o->mount_id == from->mount_id && !o->removed && !is_root(o) &&
		    !strncmp(o->path, was, n) && (!o->path[n] || o->path[n] == '/'))
			set_path(o, now, o->path + n);
}

static enum ferr ask_name(struct vfs_obj *b, enum fsop op, const char *path)
{
	struct rd results;
	fs_put_text(remote_begin_at(robj_of(b), op), path);
	return remote_ask(robj_of(b), &results);
}

static enum ferr remote_mkdir(struct vfs_obj *b, const char *path)
{
	return ask_name(b, FSOP_MKDIR, path);
}

static enum ferr remote_mkfifo(struct vfs_obj *b, const char *path)
{
	return ask_name(b, FSOP_MKFIFO, path);
}

static enum ferr remote_rmdir(struct vfs_obj *b, const char *path)
{
	FTRY(ask_name(b, FSOP_RMDIR, path));
	name_is_gone(robj_of(b), path);
	return FE_OK;
}

/* By names that stay. */
static enum ferr remote_path_of(struct vfs_obj *b, struct vfs_obj *root, char *buf, size_t size)
{
	struct robj *o = robj_of(b);
	/* an image holds nothing that is not at the home yet, and no error that was not told */
	FTRY(behind_settle_whole(o));
	if (behind_has_error(o))
		return FE_HOSTDOWN;
	if (o->removed)
		return FE_NOENT;
	if (!o->r->cfg.place)
		return FE_NOTSUP;
	FTRY(o->r->cfg.place(o->r->cfg.ctx, o->mount_id, buf, size));
	size_t n = strlen(buf);
	if (strcmp(o->path, ".") != 0 &&
	    snprintf(buf + n, size - n, "/%s", o->path) >= (int)(size - n))
		return FE_NAMETOOLONG;
	return FE_OK;
}

static enum ferr remote_unlink(struct vfs_obj *b, const char *path)
{
	FTRY(ask_name(b, FSOP_UNLINK, path));
	name_is_gone(robj_of(b), path);
	return FE_OK;
}

static enum ferr remote_symlink(struct vfs_obj *b, const char *target, const char *path)
{
	struct rd results;
	struct wr *q = remote_begin_at(robj_of(b), FSOP_SYMLINK);
	fs_put_text(q, target);
	fs_put_text(q, path);
	return remote_ask(robj_of(b), &results);
}

static enum ferr remote_readlink(struct vfs_obj *b, const char *path, char *buf, size_t *size)
{
	struct robj *dir = robj_of(b);
	struct rd results;
	char whole[VFS_PATH_MAX];
	FTRY(join(dir, path, whole));
	struct wr *q = remote_begin_at(dir, FSOP_READLINK);
	wr_u16(q, *size < VFS_PATH_MAX ? (uint16_t)*size : VFS_PATH_MAX);
	fs_put_text(q, path);
	enum ferr e = remote_ask(dir, &results);
	if (e == FE_HOSTDOWN)
		return kept_link(dir->r, dir->mount_id, whole, buf, size);
	if (e == FE_INVAL)
		kept_put_link(dir->r, dir->mount_id, whole, NULL, 0);
	FTRY(e);
	if (rd_left(&results) > *size)
		return FE_IO;
	*size = rd_left(&results);
	memcpy(buf, results.p, *size);
	kept_put_link(dir->r, dir->mount_id, whole, results.p, *size);
	return FE_OK;
}

static enum ferr remote_link(struct vfs_obj *from, const char *from_path, bool follow,
                             struct vfs_obj *to, const char *to_path)
{
	struct robj *a = robj_of(from), *b = robj_of(to);
	struct rd results;
	if (a->r != b->r || a->mount_id != b->mount_id)
		return FE_XDEV;
	struct wr *q = remote_begin_at(a, FSOP_LINK);
	wr_u8(q, follow);
	a->r->second_at = q->size;
	wr_u32(q, b->handle);
	fs_put_text(q, from_path);
	fs_put_text(q, to_path);
	return ask_two(a, b, &results);
}

static enum ferr remote_rename(struct vfs_obj *from, const char *from_path, struct vfs_obj *to,
                               const char *to_path)
{
	struct robj *a = robj_of(from), *b = robj_of(to);
	struct rd results;
	if (a->r != b->r || a->mount_id != b->mount_id)
		return FE_XDEV;
	struct wr *q = remote_begin_at(a, FSOP_RENAME);
	a->r->second_at = q->size;
	wr_u32(q, b->handle);
	fs_put_text(q, from_path);
	fs_put_text(q, to_path);
	FTRY(ask_two(a, b, &results));
	name_is_now(a, from_path, b, to_path);
	return FE_OK;
}

static uint32_t remote_handle_of(struct vfs_obj *o)
{
	return robj_of(o)->handle;
}

static void remote_identity(struct vfs_obj *o, uint64_t *dev, uint64_t *ino)
{
	*dev = robj_of(o)->dev;
	*ino = robj_of(o)->ino;
}

static const struct vfs_ops remote_ops = {
    .name = "remote",
    .close = remote_close,
    .read = remote_read,
    .write = remote_write,
    .stat = remote_stat,
    .set_size = remote_set_size,
    .allocate = remote_allocate,
    .set_times = remote_set_times,
    .set_mode = remote_set_mode,
    .sync = remote_sync,
    .flush = vfs_remote_flush,
    .readdir = remote_readdir,
    .open = remote_open,
    .stat_at = remote_stat_at,
    .set_times_at = remote_set_times_at,
    .set_mode_at = remote_set_mode_at,
    .mkdir = remote_mkdir,
    .mkfifo = remote_mkfifo,
    .rmdir = remote_rmdir,
    .unlink = remote_unlink,
    .symlink = remote_symlink,
    .readlink = remote_readlink,
    .link = remote_link,
    .rename = remote_rename,
    .reopen = remote_reopen,
    .handle_of = remote_handle_of,
    .identity = remote_identity,
    .path_of = remote_path_of,
};
