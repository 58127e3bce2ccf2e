/* tree.c - a cloud as a backend of files (vfs/vfs.h): folders by their paths, files by their copies (file.c).
 *
 * There are no symbolic links on a server, so a path is walked by its text: ".." takes a name away, and never more than there are below
 * the folder where the walk began. What storage of the web does not have (links, modes, times that are set) is NOTSUP.
 */
#include "cloud/cloud_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A name of a listing. */
struct row {
	char *name;
	bool is_folder;
};

struct object {
	struct vfs_obj base;
	struct cloud *cloud;
	struct cloud_file *file; /* of a file */
	char *path;       /* of a folder, "" is the root; of a file of an image until it is used */
	struct row *rows; /* of the listing that is being given out */
	uint32_t count, cap;
};

static const struct vfs_ops tree_ops;

static struct object *object_of(struct vfs_obj *o)
{
	return (struct object *)o;
}

/* ---- life ---- */

static void drop_rows(struct object *o)
{
	for (uint32_t i = 0; i < o->count; i++)
		free(o->rows[i].name);
	free(o->rows);
	o->rows = NULL;
	o->count = o->cap = 0;
}

static void tree_close(struct vfs_obj *b)
{
	struct object *o = object_of(b);
	if (o->file)
		file_unref(o->file);
	drop_rows(o);
	cloud_unref(o->cloud);
	free(o->path);
	free(o);
}

static struct object *new_object(struct cloud *c, enum vfs_type type)
{
	struct object *o = calloc(1, sizeof *o);
	if (!o)
		return NULL;
	vfs_obj_init(&o->base, &tree_ops, type);
	o->cloud = cloud_ref(c);
	return o;
}

static enum ferr folder_new(struct cloud *c, const char *path, struct vfs_obj **out)
{
	struct object *o = new_object(c, VFS_TYPE_DIR);
	if (o)
		o->path = strdup(path);
	if (o && o->path) {
		*out = &o->base;
		return FE_OK;
	}
	if (o)
		tree_close(&o->base);
	return FE_NOMEM;
}

struct vfs_obj *cloud_tree_root(struct cloud *c)
{
	struct vfs_obj *o;
	return folder_new(c, "", &o) == FE_OK ? o : NULL;
}

/* ---- paths ---- */

struct place {
	char path[2 * VFS_PATH_MAX];
	bool has_slash; /* it must be a folder */
};

static enum ferr add_name(struct place *p, size_t base, const char *name, size_t size)
{
	size_t n = strlen(p->path);
	if (size == 2 && !memcmp(name, "..", 2)) {
		if (n <= base)
			return FE_NOTCAPABLE;
		while (n > base && p->path[n - 1] != '/')
			n--;
		p->path[n && n > base ? n - 1 : n] = 0;
		return FE_OK;
	}
	if (n + size + 2 > sizeof p->path)
		return FE_NAMETOOLONG;
	snprintf(p->path + n, sizeof p->path - n, "%s%.*s", n ? "/" : "", (int)size, name);
	return FE_OK;
}

/* Path below dir. Its names are not looked at: the server will. */
static enum ferr place_of(struct vfs_obj *dir, const char *path, struct place *out)
{
	struct object *o = object_of(dir);
	size_t base = strlen(o->path);
	snprintf(out->path, sizeof out->path, "%s", o->path);
	out->has_slash = false;
	while (*path) {
		size_t size = strcspn(path, "/");
		bool is_dot = size == 1 && *path == '.';
		if (size && !is_dot)
			FTRY(add_name(out, base, path, size));
		path += size;
		out->has_slash =
		    *path == '/' || is_dot || (size == 2 && !memcmp(path - 2, "..", 2));
		path += strspn(path, "/");
	}
	return FE_OK;
}

/* What a name stands for: a file that is open here as it is here. */
static enum ferr look(struct cloud *c, const char *path, bool now, struct cloud_item *out)
{
	struct cloud_file *f = file_find(c, path);
	enum ferr e = FE_OK;
	bool has = false;
	if (f) {
		pthread_mutex_lock(&f->lock);
		has = f->is_dirty;
		pthread_mutex_unlock(&f->lock);
		if (has)
			file_item(f, out);
		file_unref(f);
	}
	if (!has)
		e = now ? cloud_item_now(c, path, out) : cloud_item(c, path, out);
	return e;
}

/* The place of path, and what is there. */
static enum ferr find(struct vfs_obj *dir, const char *path, bool now, struct place *p,
                      struct cloud_item *out)
{
	FTRY(place_of(dir, path, p));
	FTRY(look(object_of(dir)->cloud, p->path, now, out));
	return p->has_slash && !out->is_folder ? FE_NOTDIR : FE_OK;
}

/* What went wrong is told; the names that were touched are asked for anew. */
static enum ferr done(struct cloud *c, const char *path, enum ferr e, const struct errmsg *msg)
{
	cloud_item_drop(c, path);
	if (e != FE_OK && e != FE_NOENT && e != FE_EXIST && e != FE_NOTEMPTY)
		cloud_say(c, path, msg);
	return e;
}

/* ---- files ---- */

/* A file that an image named is opened when it is first used: loading asks nobody. */
static enum ferr use(struct vfs_obj *b)
{
	struct object *o = object_of(b);
	if (o->file)
		return FE_OK;
	enum ferr e = file_open_newest(o->cloud, o->path, NULL, &o->file);
	return e == FE_NOENT || e == FE_ISDIR ? FE_STALE : e;
}

static enum ferr tree_read(struct vfs_obj *o, uint64_t offset, const struct vfs_iov *iov, size_t n,
                           size_t *got)
{
	FTRY(use(o));
	return file_read_at(object_of(o)->file, offset, iov, n, got);
}

static enum ferr tree_flush(struct vfs_obj *o)
{
	return object_of(o)->file ? file_flush(object_of(o)->file) : FE_OK;
}

static enum ferr tree_write(struct vfs_obj *o, uint64_t offset, unsigned flags,
                            const struct vfs_iov *iov, size_t n, size_t *put, uint64_t *end)
{
	FTRY(use(o));
	FTRY(file_write_at(object_of(o)->file, offset, flags & VFS_APPEND, iov, n, put, end));
	return flags & (VFS_SYNC | VFS_DSYNC) ? tree_flush(o) : FE_OK;
}

static enum ferr tree_sync(struct vfs_obj *o, bool data_only)
{
	return tree_flush(o);
}

static enum ferr tree_set_size(struct vfs_obj *o, uint64_t size_bytes)
{
	FTRY(use(o));
	return file_set_size(object_of(o)->file, size_bytes);
}

/* Room on the server cannot be had in advance: only a file that is to be longer is made so. */
static enum ferr tree_allocate(struct vfs_obj *o, uint64_t offset, uint64_t size_bytes)
{
	struct cloud_item item;
	FTRY(use(o));
	file_item(object_of(o)->file, &item);
	return offset + size_bytes > item.size_bytes ? tree_set_size(o, offset + size_bytes)
	                                             : FE_OK;
}

static void put_stat(const struct cloud *c, const char *path, const struct cloud_item *item,
                     struct vfs_stat *out)
{
	*out = (struct vfs_stat){.dev = cloud_ino(c->name),
	                         .ino = cloud_ino(path),
	                         .nlink = item->is_folder ? 2 : 1,
	                         .size_bytes = item->is_folder ? 0 : item->size_bytes,
	                         .atime_ns = item->mtime_ns,
	                         .mtime_ns = item->mtime_ns,
	                         .ctime_ns = item->mtime_ns,
	                         .type = item->is_folder ? VFS_TYPE_DIR : VFS_TYPE_FILE};
}

static enum ferr tree_stat(struct vfs_obj *b, struct vfs_stat *out)
{
	struct object *o = object_of(b);
	struct cloud_item item = {.is_folder = true};
	if (b->type == VFS_TYPE_DIR) {
		FTRY(cloud_item(o->cloud, o->path, &item));
		put_stat(o->cloud, o->path, &item, out);
		return FE_OK;
	}
	FTRY(use(b));
	char *path = file_path(o->file);
	if (!path)
		return FE_NOMEM;
	file_item(o->file, &item);
	put_stat(o->cloud, path, &item, out);
	out->nlink = !file_is_unlinked(o->file);
	free(path);
	return FE_OK;
}

static void tree_identity(struct vfs_obj *b, uint64_t *dev, uint64_t *ino)
{
	struct object *o = object_of(b);
	char *path = o->file ? file_path(o->file) : NULL;
	*dev = cloud_ino(o->cloud->name);
	*ino = cloud_ino(path ? path : o->path ? o->path : "");
	free(path);
}

/* Only the present can be set: by an upload. */
static enum ferr check_times(const struct vfs_times *t, bool *touch)
{
	*touch = t->mtime_how == VFS_TIME_NOW;
	return t->mtime_how == VFS_TIME_SET ? FE_NOTSUP : FE_OK;
}

static enum ferr tree_set_times(struct vfs_obj *b, const struct vfs_times *t)
{
	bool touch;
	FTRY(check_times(t, &touch));
	if (!touch || b->type == VFS_TYPE_DIR)
		return FE_OK;
	FTRY(use(b));
	file_touch(object_of(b)->file);
	return tree_flush(b);
}

/* ---- folders ---- */

static bool add_row(void *ctx, const char *name, const struct cloud_item *item)
{
	struct object *o = ctx;
	char path[2 * VFS_PATH_MAX];
	if (o->count == o->cap) {
		uint32_t cap = o->cap ? 2 * o->cap : 64;
		struct row *rows = realloc(o->rows, cap * sizeof *rows);
		if (!rows)
			return false;
		o->rows = rows;
		o->cap = cap;
	}
	char *copy = strdup(name);
	if (!copy)
		return false;
	o->rows[o->count++] = (struct row){.name = copy, .is_folder = item->is_folder};
	snprintf(path, sizeof path, "%s%s%s", o->path, o->path[0] ? "/" : "", name);
	cloud_item_put(o->cloud, path, item);
	return o->count < CLOUD_ENTRIES_MAX;
}

static enum ferr list(struct object *o)
{
	struct errmsg msg = {0};
	drop_rows(o);
	enum ferr e = o->cloud->driver->ops->list(o->cloud->driver, o->path, add_row, o, &msg);
	if (e != FE_OK && e != FE_NOENT)
		cloud_say(o->cloud, o->path, &msg);
	return e;
}

static bool give(struct object *o, uint64_t at, vfs_dirent_fn emit, void *ctx)
{
	char path[2 * VFS_PATH_MAX];
	const struct row *r = at < 2 ? NULL : &o->rows[at - 2];
	const char *name = at == 0 ? "." : at == 1 ? ".." : r->name;
	snprintf(path, sizeof path, "%s%s%s", o->path, o->path[0] ? "/" : "", name);
	struct vfs_dirent e = {.next = at + 1,
	                       .ino = cloud_ino(r ? path : o->path),
	                       .type = r && !r->is_folder ? VFS_TYPE_FILE : VFS_TYPE_DIR,
	                       .name = name,
	                       .name_size = strlen(name)};
	return emit(ctx, &e);
}

static enum ferr tree_readdir(struct vfs_obj *b, uint64_t cookie, vfs_dirent_fn emit, void *ctx)
{
	struct object *o = object_of(b);
	if (!cookie || !o->rows)
		FTRY(list(o));
	for (uint64_t at = cookie; at < (uint64_t)o->count + 2; at++)
		if (!give(o, at, emit, ctx))
			break;
	return FE_OK;
}

/* ---- by name ---- */

static bool read_nothing(void *ctx, uint64_t offset, void *buf, size_t size)
{
	return !size;
}

/* An empty file, which others see at once. Who was faster made it. */
static enum ferr create(struct cloud *c, const struct place *p, unsigned flags,
                        struct cloud_item *out)
{
	struct errmsg msg = {0};
	struct http_source nothing = {.read = read_nothing};
	if (p->has_slash)
		return FE_ISDIR;
	enum ferr e = c->driver->ops->put(c->driver, p->path, NULL, &nothing, out, &msg);
	done(c, p->path, e, &msg);
	return e == FE_EXIST && !(flags & VFS_EXCLUSIVE) ? cloud_item_now(c, p->path, out) : e;
}

static enum ferr open_file(struct cloud *c, const char *path, unsigned flags,
                           const struct cloud_item *item, struct vfs_obj **out)
{
	struct object *o = new_object(c, VFS_TYPE_FILE);
	enum ferr e = o ? file_open_newest(c, path, item, &o->file) : FE_NOMEM;
	if (e == FE_OK && flags & VFS_TRUNCATE)
		e = file_set_size(o->file, 0);
	if (e == FE_OK)
		*out = &o->base;
	else if (o)
		tree_close(&o->base);
	return e;
}

static enum ferr check_open(const struct cloud_item *item, const struct place *p, unsigned flags)
{
	if (flags & VFS_CREATE && flags & VFS_EXCLUSIVE)
		return FE_EXIST;
	if (item->is_folder)
		return flags & (VFS_WRITE | VFS_TRUNCATE | VFS_CREATE) ? FE_ISDIR : FE_OK;
	return flags & VFS_DIRECTORY || p->has_slash ? FE_NOTDIR : FE_OK;
}

static enum ferr tree_open(struct vfs_obj *dir, const char *path, unsigned flags,
                           struct vfs_obj **out)
{
	struct cloud *c = object_of(dir)->cloud;
	struct cloud_item item;
	struct place p;
	FTRY(place_of(dir, path, &p));
	enum ferr e = look(c, p.path, true, &item);
	if (e == FE_NOENT && flags & VFS_CREATE && !(flags & VFS_DIRECTORY))
		e = create(c, &p, flags, &item);
	else if (e == FE_OK)
		e = check_open(&item, &p, flags);
	FTRY(e);
	return item.is_folder ? folder_new(c, p.path, out)
	                      : open_file(c, p.path, flags, &item, out);
}

static enum ferr tree_stat_at(struct vfs_obj *dir, const char *path, bool follow,
                              struct vfs_stat *out)
{
	struct cloud_item item;
	struct place p;
	FTRY(find(dir, path, false, &p, &item));
	put_stat(object_of(dir)->cloud, p.path, &item, out);
	return FE_OK;
}

/* There are no links: INVAL of what is there. */
static enum ferr tree_readlink(struct vfs_obj *dir, const char *path, char *buf, size_t *size)
{
	struct cloud_item item;
	struct place p;
	FTRY(find(dir, path, false, &p, &item));
	return FE_INVAL;
}

static enum ferr tree_set_times_at(struct vfs_obj *dir, const char *path, bool follow,
                                   const struct vfs_times *t)
{
	struct vfs_obj *o;
	bool touch;
	FTRY(check_times(t, &touch));
	FTRY(tree_open(dir, path, VFS_READ, &o));
	enum ferr e = tree_set_times(o, t);
	vfs_unref(o);
	return e;
}

static enum ferr tree_mkdir(struct vfs_obj *dir, const char *path)
{
	struct cloud *c = object_of(dir)->cloud;
	struct errmsg msg = {0};
	struct cloud_item item;
	struct place p;
	FTRY(place_of(dir, path, &p));
	enum ferr e = look(c, p.path, true, &item);
	if (e == FE_OK)
		return FE_EXIST;
	if (e == FE_NOENT)
		e = c->driver->ops->mkdir(c->driver, p.path, &msg);
	return done(c, p.path, e, &msg);
}

static enum ferr tree_rmdir(struct vfs_obj *dir, const char *path)
{
	struct cloud *c = object_of(dir)->cloud;
	struct errmsg msg = {0};
	struct cloud_item item;
	struct place p;
	FTRY(find(dir, path, true, &p, &item));
	if (!item.is_folder)
		return FE_NOTDIR;
	if (!p.path[0])
		return FE_BUSY;
	return done(c, p.path, c->driver->ops->rmdir(c->driver, p.path, &msg), &msg);
}

/* What somebody has open goes on without its name. */
static enum ferr let_go(struct cloud *c, const char *path, struct cloud_file **out)
{
	*out = file_find(c, path);
	enum ferr e = *out ? file_prepare_unlink(*out) : FE_OK;
	if (e == FE_OK || e == FE_FBIG || e == FE_STALE)
		return FE_OK; /* too large, or another version already: reading it on is STALE */
	file_unref(*out);
	*out = NULL;
	return e;
}

static void has_gone(struct cloud_file *f, enum ferr e)
{
	if (f && e == FE_OK)
		file_unlinked(f);
	if (f)
		file_unref(f);
}

static enum ferr tree_unlink(struct vfs_obj *dir, const char *path)
{
	struct cloud *c = object_of(dir)->cloud;
	struct errmsg msg = {0};
	struct cloud_file *f;
	struct cloud_item item;
	struct place p;
	FTRY(find(dir, path, true, &p, &item));
	if (item.is_folder)
		return FE_ISDIR;
	FTRY(let_go(c, p.path, &f));
	enum ferr e = c->driver->ops->remove(c->driver, p.path, &msg);
	has_gone(f, e);
	return done(c, p.path, e, &msg);
}

/* ---- renaming ---- */

static bool is_below(const char *path, const char *folder)
{
	size_t n = strlen(folder);
	return !strncmp(path, folder, n) && path[n] == '/';
}

/* What has the new name must be such that the old one may take its place. */
static enum ferr make_way(struct cloud *c, const struct cloud_item *from, const struct place *to)
{
	struct errmsg msg = {0};
	struct cloud_item item;
	enum ferr e = look(c, to->path, true, &item);
	if (e == FE_NOENT)
		return to->has_slash && !from->is_folder ? FE_NOTDIR : FE_OK;
	FTRY(e);
	if (item.is_folder != from->is_folder)
		return item.is_folder ? FE_ISDIR : FE_NOTDIR;
	return item.is_folder
	           ? done(c, to->path, c->driver->ops->rmdir(c->driver, to->path, &msg), &msg)
	           : FE_OK;
}

static enum ferr flush_path(struct cloud *c, const char *path)
{
	struct cloud_file *f = file_find(c, path);
	enum ferr e = f ? file_flush(f) : FE_OK;
	if (f)
		file_unref(f);
	return e;
}

static enum ferr move(struct cloud *c, const struct place *from, const struct place *to,
                      bool is_folder)
{
	struct errmsg msg = {0};
	struct cloud_file *f;
	FTRY(flush_path(c, from->path));
	FTRY(let_go(c, to->path, &f));
	enum ferr e = c->driver->ops->rename(c->driver, from->path, to->path, is_folder, &msg);
	has_gone(f, e);
	if (e == FE_OK)
		file_renamed(c, from->path, to->path);
	cloud_item_drop(c, to->path);
	return done(c, from->path, e, &msg);
}

static enum ferr tree_rename(struct vfs_obj *from, const char *from_path, struct vfs_obj *to,
                             const char *to_path)
{
	struct cloud *c = object_of(from)->cloud;
	struct cloud_item item;
	struct place a, b;
	if (c != object_of(to)->cloud)
		return FE_XDEV;
	FTRY(find(from, from_path, true, &a, &item));
	FTRY(place_of(to, to_path, &b));
	if (!a.path[0] || !b.path[0])
		return FE_BUSY;
	if (!strcmp(a.path, b.path))
		return FE_OK;
	if (is_below(b.path, a.path))
		return FE_INVAL;
	FTRY(make_way(c, &item, &b));
	return move(c, &a, &b, item.is_folder);
}

/* ---- images ---- */

/* A file of the same name: other storage knows no file ids. */
static enum ferr tree_reopen(struct vfs_obj *root, const struct vfs_saved *s, struct vfs_obj **out)
{
	struct cloud *c = object_of(root)->cloud;
	struct place p;
	if (place_of(root, s->path, &p) != FE_OK)
		return FE_STALE;
	FTRY(folder_new(c, p.path, out));
	if (s->type != VFS_TYPE_FILE && s->type != VFS_TYPE_DIR) {
		vfs_unref(*out);
		return FE_STALE;
	}
	(*out)->type = s->type;
	return FE_OK;
}

/* In a larger mount it is below the storage's name. */
static enum ferr tree_path_of(struct vfs_obj *b, struct vfs_obj *root, char *buf, size_t size)
{
	struct object *o = object_of(b);
	bool is_root = root->ops == &tree_ops;
	char *path = o->file ? file_path(o->file) : strdup(o->path);
	if (!path)
		return FE_NOMEM;
	bool gone = o->file && file_is_unlinked(o->file);
	int n = snprintf(buf, size, "%s%s%s", is_root ? "" : o->cloud->name,
	                 is_root || !*path ? "" : "/", is_root && !*path ? "." : path);
	free(path);
	return gone ? FE_NOENT : n < (int)size ? FE_OK : FE_NAMETOOLONG;
}

static const struct vfs_ops tree_ops = {
    .name = "cloud",
    .close = tree_close,
    .read = tree_read,
    .write = tree_write,
    .stat = tree_stat,
    .set_size = tree_set_size,
    .allocate = tree_allocate,
    .set_times = tree_set_times,
    .sync = tree_sync,
    .flush = tree_flush,
    .readdir = tree_readdir,
    .open = tree_open,
    .stat_at = tree_stat_at,
    .set_times_at = tree_set_times_at,
    .mkdir = tree_mkdir,
    .rmdir = tree_rmdir,
    .unlink = tree_unlink,
    .readlink = tree_readlink,
    .rename = tree_rename,
    .reopen = tree_reopen,
    .identity = tree_identity,
    .path_of = tree_path_of,
};
