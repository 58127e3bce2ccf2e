/* remote.c - objects that are numbers of another device.
 *
 * A request is built in r->request, sent, and its answer read in place. When the home does not know a number any more (it was
 * restarted), the object is opened again there by path and file id, and the request is sent once more. Closing makes no request of
 * its own: the numbers go with the next one.
 */
#include "vfs/remote.h"

#include "vfs/fsmsg.h"
#include "vfs/remote_cache.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A file some object stands for: what we know of its contents. known: version is. */
struct rfile {
	struct rfile *next;
	uint32_t refs;
	bool known;
	struct fs_version version; /* dev and ino are always right */
	uint64_t next_index;       /* the block a sequential reader asks for next */
	uint32_t window;           /* blocks of one request */
};

struct vfs_remote {
	_Atomic uint32_t refs;
	struct vfs_remote_config cfg;
	struct cache *cache;
	struct rfile *files;
	struct robj *objects; /* all that are open */
	uint32_t closed[FS_CLOSED_MAX];
	uint32_t nclosed;
	bool abandoned;
	struct wr request, answer;
	bool may_repeat;             /* asking twice does the same as asking once */
	size_t handle_at, second_at; /* where the numbers stand in request; second_at 0: none */
	struct vfs_remote_stats stats;
};

struct robj {
	struct vfs_obj base;
	struct vfs_remote *r;
	struct robj *next; /* of r->objects */
	bool removed;      /* by this process: it has no name any more */
	uint32_t handle, mount_id;
	unsigned flags;     /* VFS_READ, VFS_WRITE */
	char *path;         /* in the mount */
	struct rfile *file; /* NULL for folders */
	uint64_t dev, ino;
	struct wr list;       /* the last entries we were given */
	uint64_t list_cookie; /* what they follow */
	bool list_ended;
};

static const struct vfs_ops remote_ops;

static struct robj *robj_of(struct vfs_obj *o)
{
	return (struct robj *)o;
}

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
	if (!r->cache) {
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
	unlist(o);
	if (!(o->handle & (uint32_t)FS_ROOT) && r->nclosed < FS_CLOSED_MAX)
		r->closed[r->nclosed++] = o->handle;
	file_unref(r, o->file);
	wr_free(&o->list);
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
	wr_clear(&r->request);
	r->second_at = 0;
	wr_u16(&r->request, (uint16_t)r->nclosed);
	for (uint32_t i = 0; i < r->nclosed; i++)
		wr_u32(&r->request, r->closed[i]);
	wr_u8(&r->request, (uint8_t)op);
	return &r->request;
}

/* The usual beginning: the number comes first. */
static struct wr *begin_at(struct robj *o, enum fsop op)
{
	struct wr *q = begin(o->r, op);
	o->r->handle_at = q->size;
	wr_u32(q, o->handle);
	return q;
}

/* IO: no answer, or none that can be understood. */
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
	return (enum ferr)e;
}

/* The home lost the number: opens the object again there. Keeps r->request as it is. */
static enum ferr reopen_there(struct robj *o)
{
	struct vfs_remote *r = o->r;
	struct rd results;
	struct wr kept = r->request;
	r->request = (struct wr){0};
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
	wr_free(&r->request);
	r->request = kept;
	return e == FE_NOENT || e == FE_BADF ? FE_STALE : e;
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
	size_t second_at = r->second_at;
	if (!is_root(o))
		FTRY(reopen_there(o));
	if (second && !is_root(second))
		FTRY(reopen_there(second));
	wr_patch_u32(&r->request, r->handle_at, o->handle);
	if (second)
		wr_patch_u32(&r->request, second_at, second->handle);
	return send_request(r, results);
}

static enum ferr ask(struct robj *o, struct rd *results)
{
	return ask_two(o, NULL, results);
}

/* A result that does not parse. */
#define GET(expr)                     \
	do {                          \
		if ((expr) != ERR_OK) \
			return FE_IO; \
	} while (0)

/* ---- what is known of a file ---- */

static bool same_version(const struct fs_version *a, const struct fs_version *b)
{
	return a->size_bytes == b->size_bytes && a->mtime_ns == b->mtime_ns &&
	       a->ctime_ns == b->ctime_ns;
}

static void drop_all(struct vfs_remote *r, const struct rfile *f)
{
	cache_drop(r->cache, f->version.dev, f->version.ino, 0, UINT64_MAX);
}

/* The home told us the file's version: what was cached of another one goes. */
static void learn(struct vfs_remote *r, struct rfile *f, const struct fs_version *v)
{
	uint64_t dev = f->version.dev, ino = f->version.ino;
	if (f->known && !same_version(&f->version, v))
		drop_all(r, f);
	f->version = *v;
	f->version.dev = dev;
	f->version.ino = ino;
	f->known = true;
}

static enum ferr get_version(struct robj *o, struct rd *results)
{
	struct fs_version v;
	GET(fs_get_version(results, &v));
	if (o->file)
		learn(o->r, o->file, &v);
	return FE_OK;
}

/* ---- reading ---- */

/* Asks for size bytes at offset. *bytes is valid until the next request. */
static enum ferr fetch(struct robj *o, uint64_t offset, uint32_t size, const uint8_t **bytes,
                       uint32_t *got)
{
	struct rd results;
	struct wr *q = begin_at(o, FSOP_READ);
	wr_u64(q, offset);
	wr_u32(q, size);
	FTRY(ask(o, &results));
	FTRY(get_version(o, &results));
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
		if (whole)
			cache_put(o->r->cache, v->dev, v->ino, index, bytes + at, n);
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

/* Some bytes at offset, at most size. 0: the end. */
static enum ferr read_some(struct robj *o, uint64_t offset, uint8_t *to, size_t size, size_t *done)
{
	struct rfile *f = o->file;
	uint64_t index = offset / CACHE_BLOCK;
	uint32_t in = (uint32_t)(offset % CACHE_BLOCK), got, n;
	const uint8_t *bytes;
	if (f->known && offset >= f->version.size_bytes) {
		/* Past the end as we know it: somebody may have written more. */
		FTRY(fetch(o, offset, size < FS_READ_MAX ? (uint32_t)size : FS_READ_MAX, &bytes,
		           &got));
		memcpy(to, bytes, got);
		*done = got;
		return FE_OK;
	}
	bytes =
	    f->known ? cache_get(o->r->cache, f->version.dev, f->version.ino, index, &got) : NULL;
	if (bytes) {
		o->r->stats.hits++;
	} else {
		o->r->stats.misses++;
		FTRY(fetch(o, index * CACHE_BLOCK, window_of(f, index), &bytes, &got));
		keep_blocks(o, index, bytes, got);
	}
	n = got > in ? got - in : 0;
	n = size < n ? (uint32_t)size : n;
	memcpy(to, bytes + (n ? in : 0), n);
	*done = n;
	return FE_OK;
}

static enum ferr remote_read(struct vfs_obj *b, uint64_t offset, const struct vfs_iov *iov,
                             size_t n, size_t *done)
{
	struct robj *o = robj_of(b);
	if (!o->file || !(o->flags & VFS_READ))
		return FE_BADF;
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
	if (!f->known || !same_version(&f->version, before)) {
		drop_all(o->r, f);
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

static enum ferr remote_write(struct vfs_obj *b, uint64_t offset, unsigned flags,
                              const struct vfs_iov *iov, size_t n, size_t *done, uint64_t *end)
{
	struct robj *o = robj_of(b);
	struct rd results;
	struct fs_version before, after;
	uint32_t asked = 0, written;
	if (!o->file || !(o->flags & VFS_WRITE))
		return FE_BADF;
	struct wr *q = begin_at(o, FSOP_WRITE);
	wr_u64(q, offset);
	wr_u32(q, flags & (VFS_APPEND | VFS_SYNC | VFS_DSYNC));
	o->r->may_repeat = !(flags & VFS_APPEND);
	for (size_t i = 0; i < n && asked < FS_READ_MAX; i++) {
		size_t room = FS_READ_MAX - asked, size = iov[i].size < room ? iov[i].size : room;
		if (size)
			wr_bytes(q, iov[i].p, size);
		asked += (uint32_t)size;
	}
	FTRY(ask(o, &results));
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

static enum ferr remote_set_size(struct vfs_obj *b, uint64_t size_bytes)
{
	struct rd results;
	wr_u64(begin_at(robj_of(b), FSOP_SET_SIZE), size_bytes);
	FTRY(ask(robj_of(b), &results));
	return get_version(robj_of(b), &results);
}

static enum ferr remote_allocate(struct vfs_obj *b, uint64_t offset, uint64_t size_bytes)
{
	struct rd results;
	struct wr *q = begin_at(robj_of(b), FSOP_ALLOCATE);
	wr_u64(q, offset);
	wr_u64(q, size_bytes);
	FTRY(ask(robj_of(b), &results));
	return get_version(robj_of(b), &results);
}

static enum ferr remote_set_times(struct vfs_obj *b, const struct vfs_times *t)
{
	struct rd results;
	fs_put_times(begin_at(robj_of(b), FSOP_SET_TIMES), t);
	FTRY(ask(robj_of(b), &results));
	return get_version(robj_of(b), &results);
}

static enum ferr remote_sync(struct vfs_obj *b, bool data_only)
{
	struct rd results;
	wr_u8(begin_at(robj_of(b), FSOP_SYNC), data_only);
	return ask(robj_of(b), &results);
}

static enum ferr remote_stat(struct vfs_obj *b, struct vfs_stat *out)
{
	struct robj *o = robj_of(b);
	struct rd results;
	begin_at(o, FSOP_STAT);
	FTRY(ask(o, &results));
	GET(fs_get_stat(&results, out));
	struct fs_version v = fs_version_of(out);
	if (o->file)
		learn(o->r, o->file, &v);
	return FE_OK;
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

static enum ferr fetch_list(struct robj *o, uint64_t cookie)
{
	struct rd results;
	bool ended;
	wr_u64(begin_at(o, FSOP_READDIR), cookie);
	FTRY(ask(o, &results));
	GET(fs_get_flag(&results, &ended));
	wr_clear(&o->list);
	wr_bytes(&o->list, results.p, rd_left(&results));
	o->list_cookie = cookie;
	o->list_ended = ended;
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

static enum ferr remote_open(struct vfs_obj *b, const char *path, unsigned flags,
                             struct vfs_obj **out)
{
	struct robj *dir = robj_of(b), *o;
	struct rd results;
	struct vfs_stat st;
	char whole[VFS_PATH_MAX];
	uint32_t handle;
	FTRY(join(dir, path, whole));
	struct wr *q = begin_at(dir, FSOP_OPEN);
	dir->r->may_repeat = !(flags & VFS_EXCLUSIVE);
	wr_u32(q, flags);
	fs_put_text(q, path);
	FTRY(ask(dir, &results));
	GET(rd_u32(&results, &handle));
	GET(fs_get_stat(&results, &st));
	if (handle < FS_FIRST_NEW || handle & (uint32_t)FS_ROOT ||
	    (st.type != VFS_TYPE_FILE && st.type != VFS_TYPE_DIR))
		return FE_IO;
	FTRY(robj_new(dir->r, (enum vfs_type)st.type, dir->mount_id, handle, whole, flags, &o));
	enum ferr e = set_identity(o, st.dev, st.ino);
	if (e != FE_OK) {
		vfs_unref(&o->base);
		return e;
	}
	struct fs_version v = fs_version_of(&st);
	if (o->file)
		learn(o->r, o->file, &v);
	*out = &o->base;
	return FE_OK;
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
	struct rd results;
	struct wr *q = begin_at(robj_of(b), FSOP_STAT_AT);
	wr_u8(q, follow);
	fs_put_text(q, path);
	FTRY(ask(robj_of(b), &results));
	GET(fs_get_stat(&results, out));
	return FE_OK;
}

static enum ferr remote_set_mode(struct vfs_obj *b, unsigned mode)
{
	struct rd results;
	wr_u16(begin_at(robj_of(b), FSOP_SET_MODE), (uint16_t)mode);
	return ask(robj_of(b), &results);
}

static enum ferr remote_set_mode_at(struct vfs_obj *b, const char *path, bool follow, unsigned mode)
{
	struct rd results;
	struct wr *q = begin_at(robj_of(b), FSOP_SET_MODE_AT);
	wr_u8(q, follow);
	wr_u16(q, (uint16_t)mode);
	fs_put_text(q, path);
	return ask(robj_of(b), &results);
}

static enum ferr remote_set_times_at(struct vfs_obj *b, const char *path, bool follow,
                                     const struct vfs_times *t)
{
	struct rd results;
	struct wr *q = begin_at(robj_of(b), FSOP_SET_TIMES_AT);
	wr_u8(q, follow);
	fs_put_times(q, t);
	fs_put_text(q, path);
	return ask(robj_of(b), &results);
}

static enum ferr ask_name(struct vfs_obj *b, enum fsop op, const char *path)
{
	struct rd results;
	fs_put_text(begin_at(robj_of(b), op), path);
	return ask(robj_of(b), &results);
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
	return ask_name(b, FSOP_RMDIR, path);
}

/* ---- names of what is open ---- */

/* What is open under a name that is gone, or leads to something else now. */
static void name_is_gone(struct robj *dir, const char *path)
{
	char whole[VFS_PATH_MAX];
	if (join(dir, path, whole) != FE_OK)
		return;
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
	size_t n = strlen(was);
	for (struct robj *o = from->r->objects; o; o = o->next)
		if (o->mount_id == from->mount_id && !o->removed && !is_root(o) &&
		    !strncmp(o->path, was, n) && (!o->path[n] || o->path[n] == '/'))
			set_path(o, now, o->path + n);
}

/* By names that stay. */
static enum ferr remote_path_of(struct vfs_obj *b, struct vfs_obj *root, char *buf, size_t size)
{
	struct robj *o = robj_of(b);
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
	struct wr *q = begin_at(robj_of(b), FSOP_SYMLINK);
	fs_put_text(q, target);
	fs_put_text(q, path);
	return ask(robj_of(b), &results);
}

static enum ferr remote_readlink(struct vfs_obj *b, const char *path, char *buf, size_t *size)
{
	struct rd results;
	struct wr *q = begin_at(robj_of(b), FSOP_READLINK);
	wr_u16(q, *size < VFS_PATH_MAX ? (uint16_t)*size : VFS_PATH_MAX);
	fs_put_text(q, path);
	FTRY(ask(robj_of(b), &results));
	if (rd_left(&results) > *size)
		return FE_IO;
	*size = rd_left(&results);
	memcpy(buf, results.p, *size);
	return FE_OK;
}

static enum ferr remote_link(struct vfs_obj *from, const char *from_path, bool follow,
                             struct vfs_obj *to, const char *to_path)
{
	struct robj *a = robj_of(from), *b = robj_of(to);
	struct rd results;
	if (a->r != b->r || a->mount_id != b->mount_id)
		return FE_XDEV;
	struct wr *q = begin_at(a, FSOP_LINK);
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
	struct wr *q = begin_at(a, FSOP_RENAME);
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
