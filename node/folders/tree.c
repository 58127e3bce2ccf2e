/* tree.c - a replicated folder as programs see it: names, folders, links and open files over folder/view.h.
 *
 * Each call holds the replica's lock. A name that is changed is on disk when the call returns; what is written into a file when it is closed
 * or by fsync. Hard links and named pipes are not kept. A folder is listed as it was when the listing began.
 */
#include "base/crypto.h"
#include "base/os.h"
#include "folder/view.h"
#include "node/folders/replica.h"
#include "vfs/walk.h"

#include <stdlib.h>
#include <string.h>

struct name {
	char text[ENTRY_NAME_MAX + 1];
	uint64_t ino;
	uint8_t type;
};

struct open {
	struct vfs_obj base;
	struct replica *r;
	struct entry_id id;
	struct work *work;  /* a file's */
	struct name *names; /* a folder's, as it was when cookie 0 was asked for */
	uint32_t count;
};

static const struct vfs_ops tree_ops;
static const struct entry_id root_id;

static struct open *open_of(struct vfs_obj *o)
{
	return (struct open *)o;
}

static uint64_t ino_of(const struct entry_id *id)
{
	uint64_t n;
	memcpy(&n, id->bytes, sizeof n);
	return entry_id_is_root(id) ? 1 : n & INT64_MAX;
}

static uint8_t type_of(enum entry_kind kind)
{
	return kind == ENTRY_FOLDER ? VFS_TYPE_DIR
	       : kind == ENTRY_LINK ? VFS_TYPE_SYMLINK
	                            : VFS_TYPE_FILE;
}

/* ---- objects ---- */

static enum ferr obj_new(struct replica *r, const struct entry_id *id, uint8_t type,
                         struct vfs_obj **out)
{
	struct open *o = calloc(1, sizeof *o);
	if (!o)
		return FE_NOMEM;
	if (type == VFS_TYPE_FILE && work_open(r, id, &o->work) != FE_OK) {
		free(o);
		return FE_NOMEM;
	}
	vfs_obj_init(&o->base, &tree_ops, type);
	o->r = replica_ref(r);
	o->id = *id;
	*out = &o->base;
	return FE_OK;
}

enum ferr replica_root(struct replica *r, struct vfs_obj **out)
{
	return obj_new(r, &root_id, VFS_TYPE_DIR, out);
}

static void tree_close(struct vfs_obj *b)
{
	struct open *o = open_of(b);
	if (o->work) {
		replica_lock(o->r);
		work_close(o->r, o->work);
		replica_unlock(o->r);
	}
	replica_unref(o->r);
	free(o->names);
	free(o);
}

/* ---- what stands there ---- */

static void stat_root(struct vfs_stat *out)
{
	out->type = VFS_TYPE_DIR;
	out->nlink = 2;
	out->mode = 0755;
}

static void stat_row(struct replica *r, const struct view_row *row, struct vfs_stat *out)
{
	const struct content *c = row->content;
	int64_t mtime = c ? c->mtime_ns : 0;
	uint64_t size = c ? row->entry->kind == ENTRY_LINK ? c->text_size : c->size : 0;
	work_state(r, &row->entry->id, &size, &mtime);
	out->type = type_of(row->entry->kind);
	out->nlink = out->type == VFS_TYPE_DIR ? 2 : 1;
	out->size_bytes = size;
	out->mode = c ? (uint16_t)c->mode : out->type == VFS_TYPE_DIR ? 0755 : 0644;
	out->atime_ns = out->mtime_ns = out->ctime_ns = mtime > 0 ? (uint64_t)mtime : 0;
}

static enum ferr stat_id(struct replica *r, const struct entry_id *id, struct vfs_stat *out)
{
	struct view_row row;
	*out = (struct vfs_stat){.has_mode = true, .ino = ino_of(id)};
	memcpy(&out->dev, r->id.bytes, sizeof out->dev);
	if (entry_id_is_root(id)) {
		stat_root(out);
		return FE_OK;
	}
	FTRY(replica_ferr(view_get(r->f, id, &row)));
	stat_row(r, &row, out);
	return FE_OK;
}

static enum ferr stat_open(struct open *o, struct vfs_stat *out)
{
	enum ferr e = stat_id(o->r, &o->id, out);
	int64_t mtime = 0;
	if (e != FE_NOENT)
		return e;
	/* Unlinked while it is open. */
	out->type = o->base.type;
	out->mode = 0644;
	work_state(o->r, &o->id, &out->size_bytes, &mtime);
	out->mtime_ns = out->atime_ns = out->ctime_ns = (uint64_t)mtime;
	return FE_OK;
}

/* ---- paths ---- */

/* An id of a row or of an open object stays where it is as long as nothing is changed. */
static enum ferr walk_enter(void *ctx, uintptr_t dir, const char *name, uintptr_t *out)
{
	struct replica *r = ctx;
	struct view_row row;
	FTRY(replica_ferr(view_find(r->f, (const struct entry_id *)dir, name, strlen(name), &row)));
	if (row.entry->kind != ENTRY_FOLDER)
		return row.entry->kind == ENTRY_LINK ? FE_LOOP : FE_NOTDIR;
	*out = (uintptr_t)&row.entry->id;
	return FE_OK;
}

static enum ferr read_text(const struct view_row *row, char *buf, size_t *size)
{
	if (row->entry->kind != ENTRY_LINK)
		return FE_INVAL;
	size_t n = row->content ? row->content->text_size : 0;
	if (*size > n)
		*size = n;
	if (*size)
		memcpy(buf, row->content->text, *size);
	return FE_OK;
}

static enum ferr walk_readlink(void *ctx, uintptr_t dir, const char *name, char *buf, size_t *size)
{
	struct replica *r = ctx;
	struct view_row row;
	FTRY(replica_ferr(view_find(r->f, (const struct entry_id *)dir, name, strlen(name), &row)));
	return read_text(&row, buf, size);
}

static void walk_leave(void *ctx, uintptr_t dir)
{
}

static const struct walk_ops tree_walk = {walk_enter, walk_readlink, walk_leave};

struct spot {
	struct walk walk;
	struct replica *r;
	struct entry_id dir, id; /* id: of what stands there, when exists */
	bool exists, dot, slash;
	uint8_t type;
	struct view_row row; /* when it exists and is no root */
	const char *name;
};

static enum ferr spot_of(struct spot *s, struct open *o, const char *path, enum walk_follow follow)
{
	s->r = o->r;
	s->row = (struct view_row){0};
	if (o->r->closed)
		return FE_IO;
	FTRY(walk_parent(&s->walk, &tree_walk, o->r, (uintptr_t)&o->id, path, follow));
	s->dir = *(const struct entry_id *)walk_dir(&s->walk);
	s->name = s->walk.name;
	s->slash = s->walk.slash;
	s->dot = !strcmp(s->name, ".");
	s->id = s->dir;
	s->type = VFS_TYPE_DIR;
	s->exists = s->dot;
	enum err e = s->dot && entry_id_is_root(&s->dir) ? ERR_OK
	             : s->dot                            ? view_get(o->r->f, &s->dir, &s->row)
	                      : view_find(o->r->f, &s->dir, s->name, strlen(s->name), &s->row);
	if (e == ERR_NOTFOUND && !s->dot)
		return FE_OK;
	FTRY(replica_ferr(e));
	s->exists = true;
	if (s->row.entry) {
		s->id = s->row.entry->id;
		s->type = type_of(s->row.entry->kind);
	}
	return s->slash && s->type != VFS_TYPE_DIR ? FE_NOTDIR : FE_OK;
}

/* ---- changes ---- */

typedef enum err (*change_fn)(const struct spot *s, const void *arg);

static enum ferr change(const struct spot *s, change_fn fn, const void *arg)
{
	struct depot_batch *b;
	FTRY(replica_ferr(replica_begin(s->r, &b)));
	return replica_ferr(replica_end(s->r, b, fn(s, arg), NULL));
}

struct making {
	enum entry_kind kind;
	struct entry_id id;
	struct content content;
};

static enum err make(const struct spot *s, const void *arg)
{
	const struct making *m = arg;
	return folder_make(s->r->f, &s->dir, s->name, strlen(s->name), m->kind, &m->content, &m->id,
	                   replica_now_ms(), NULL);
}

static enum ferr create(struct spot *s, enum entry_kind kind, unsigned mode, const char *text)
{
	struct making m = {.kind = kind, .content = {.mode = mode}};
	m.content.mtime_ns = (int64_t)os_wall_ns();
	m.content.text = (char *)text;
	m.content.text_size = text ? (uint16_t)strlen(text) : 0;
	crypto_random(m.id.bytes, sizeof m.id.bytes);
	FTRY(change(s, make, &m));
	s->id = m.id;
	s->type = type_of(kind);
	return FE_OK;
}

static enum err rewrite(const struct spot *s, const void *arg)
{
	return folder_write(s->r->f, &s->id, NULL, arg, replica_now_ms(), NULL);
}

/* The content as it is, but for mode or time. */
static enum ferr retouch(struct spot *s, const unsigned *mode, const int64_t *mtime_ns)
{
	struct content c = {0};
	if (!s->row.entry)
		return FE_OK; /* the root has none */
	if (mtime_ns)
		work_set_mtime(s->r, &s->id, *mtime_ns);
	if (s->row.content)
		FTRY(replica_ferr(content_copy(&c, s->row.content)));
	if (mode)
		c.mode = *mode & 07777;
	if (mtime_ns)
		c.mtime_ns = *mtime_ns;
	struct dot before = c.dot;
	enum ferr e = change(s, rewrite, &c);
	if (e == FE_OK && before.writer)
		work_touched(s->r, &s->id, &before);
	content_free(&c);
	return e;
}

static enum ferr set_times(struct spot *s, const struct vfs_times *t)
{
	int64_t ns = t->mtime_how == VFS_TIME_SET ? (int64_t)t->mtime_ns : (int64_t)os_wall_ns();
	return t->mtime_how == VFS_TIME_KEEP ? FE_OK : retouch(s, NULL, &ns);
}

/* Of what is open: where it is now. */
static enum ferr spot_of_open(struct spot *s, struct open *o)
{
	*s = (struct spot){.r = o->r, .id = o->id, .exists = true, .type = o->base.type};
	if (o->r->closed)
		return FE_IO;
	return entry_id_is_root(&o->id) ? FE_OK : replica_ferr(view_get(o->r->f, &o->id, &s->row));
}

/* ---- open files ---- */

#define LOCKED(o, call)                           \
	do {                                      \
		replica_lock(open_of(o)->r);      \
		enum ferr locked_error_ = (call); \
		replica_unlock(open_of(o)->r);    \
		return locked_error_;             \
	} while (0)

static enum ferr tree_read(struct vfs_obj *o, uint64_t offset, const struct vfs_iov *iov, size_t n,
                           size_t *done)
{
	if (!open_of(o)->work)
		return FE_ISDIR;
	LOCKED(o, work_read(open_of(o)->r, open_of(o)->work, offset, iov, n, done));
}

static enum ferr tree_write(struct vfs_obj *o, uint64_t offset, unsigned flags,
                            const struct vfs_iov *iov, size_t n, size_t *done, uint64_t *end)
{
	if (!open_of(o)->work)
		return FE_ISDIR;
	LOCKED(o, work_write(open_of(o)->r, open_of(o)->work, offset, flags, iov, n, done, end));
}

static enum ferr tree_stat(struct vfs_obj *o, struct vfs_stat *out)
{
	LOCKED(o, stat_open(open_of(o), out));
}

static enum ferr tree_set_size(struct vfs_obj *o, uint64_t size)
{
	if (!open_of(o)->work)
		return FE_ISDIR;
	LOCKED(o, work_set_size(open_of(o)->r, open_of(o)->work, size));
}

static enum ferr allocate(struct open *o, uint64_t size)
{
	struct vfs_stat st;
	FTRY(stat_open(o, &st));
	return size <= st.size_bytes ? FE_OK : work_set_size(o->r, o->work, size);
}

static enum ferr tree_allocate(struct vfs_obj *o, uint64_t offset, uint64_t size)
{
	if (!open_of(o)->work)
		return FE_ISDIR;
	LOCKED(o, allocate(open_of(o), offset + size));
}

static enum ferr times_of_open(struct open *o, const struct vfs_times *t)
{
	struct spot s;
	enum ferr e = spot_of_open(&s, o);
	return e == FE_NOENT ? FE_OK : e != FE_OK ? e : set_times(&s, t);
}

static enum ferr tree_set_times(struct vfs_obj *o, const struct vfs_times *t)
{
	LOCKED(o, times_of_open(open_of(o), t));
}

static enum ferr mode_of_open(struct open *o, unsigned mode)
{
	struct spot s;
	enum ferr e = spot_of_open(&s, o);
	return e == FE_NOENT ? FE_OK : e != FE_OK ? e : retouch(&s, &mode, NULL);
}

static enum ferr tree_set_mode(struct vfs_obj *o, unsigned mode)
{
	LOCKED(o, mode_of_open(open_of(o), mode));
}

static enum ferr tree_sync(struct vfs_obj *o, bool data_only)
{
	if (!open_of(o)->work)
		return FE_OK;
	LOCKED(o, work_commit(open_of(o)->r, open_of(o)->work));
}

static enum ferr tree_flush(struct vfs_obj *o)
{
	return tree_sync(o, true);
}

static enum ferr tree_space(struct vfs_obj *o, struct vfs_space *out)
{
	return vfs_space_of(open_of(o)->r->desk, out);
}

/* ---- listing ---- */

static enum ferr take_names(struct open *o)
{
	struct view_row row;
	uint32_t cap = 0;
	enum err e = ERR_OK;
	o->count = 0;
	for (uint32_t i = 0; (e = view_list(o->r->f, &o->id, i, &row)) == ERR_OK; i++) {
		if (o->count == cap || !o->names) {
			struct name *p;
			cap = cap ? 2 * cap : 64;
			if (!(p = realloc(o->names, cap * sizeof *p)))
				return FE_NOMEM;
			o->names = p;
		}
		struct name *n = &o->names[o->count++];
		n->ino = ino_of(&row.entry->id);
		n->type = type_of(row.entry->kind);
		memcpy(n->text, row.name, row.name_size);
		n->text[row.name_size] = 0;
	}
	return e == ERR_NOTFOUND ? FE_OK : replica_ferr(e);
}

static bool emit_name(uint64_t next, uint64_t ino, uint8_t type, const char *name,
                      vfs_dirent_fn emit, void *ctx)
{
	struct vfs_dirent e = {next, ino, type, name, strlen(name)};
	return emit(ctx, &e);
}

static enum ferr list(struct open *o, uint64_t cookie, vfs_dirent_fn emit, void *ctx)
{
	if (cookie == 0 || !o->names)
		FTRY(take_names(o));
	if (cookie < 1 && !emit_name(1, ino_of(&o->id), VFS_TYPE_DIR, ".", emit, ctx))
		return FE_OK;
	if (cookie < 2 && !emit_name(2, ino_of(&o->id), VFS_TYPE_DIR, "..", emit, ctx))
		return FE_OK;
	for (uint64_t i = cookie < 2 ? 0 : cookie - 2; i < o->count; i++) {
		const struct name *n = &o->names[i];
		if (!emit_name(i + 3, n->ino, n->type, n->text, emit, ctx))
			break;
	}
	return FE_OK;
}

static enum ferr tree_readdir(struct vfs_obj *o, uint64_t cookie, vfs_dirent_fn emit, void *ctx)
{
	LOCKED(o, list(open_of(o), cookie, emit, ctx));
}

/* ---- by name ---- */

static bool may(const struct spot *s, unsigned bits)
{
	unsigned mode = s->row.content ? s->row.content->mode : 0755;
	return (mode & bits) == bits;
}

static enum ferr open_existing(const struct spot *s, unsigned flags)
{
	if (flags & VFS_EXCLUSIVE && flags & VFS_CREATE)
		return FE_EXIST;
	if (s->type == VFS_TYPE_SYMLINK)
		return FE_LOOP;
	if (flags & VFS_DIRECTORY && s->type != VFS_TYPE_DIR)
		return FE_NOTDIR;
	if (s->type == VFS_TYPE_DIR)
		return flags & (VFS_WRITE | VFS_CREATE | VFS_TRUNCATE) ? FE_ISDIR : FE_OK;
	unsigned needs =
	    (flags & VFS_READ ? 0400u : 0u) | (flags & (VFS_WRITE | VFS_TRUNCATE) ? 0200u : 0u);
	return may(s, needs) ? FE_OK : FE_ACCES;
}

static enum ferr truncate_open(struct replica *r, struct vfs_obj *o)
{
	struct vfs_stat st;
	FTRY(stat_open(open_of(o), &st));
	return st.size_bytes ? work_set_size(r, open_of(o)->work, 0) : FE_OK;
}

static enum ferr open_at(struct open *dir, const char *path, unsigned flags, struct vfs_obj **out)
{
	struct spot s;
	bool nofollow = flags & VFS_NOFOLLOW || (flags & VFS_CREATE && flags & VFS_EXCLUSIVE);
	FTRY(spot_of(&s, dir, path, nofollow ? WALK_FOLLOW_SLASH : WALK_FOLLOW));
	if (s.exists)
		FTRY(open_existing(&s, flags));
	else if (!(flags & VFS_CREATE))
		return FE_NOENT;
	else if (s.slash)
		return FE_ISDIR;
	else
		FTRY(create(&s, ENTRY_FILE, vfs_mode_of(flags, 0644), NULL));
	return obj_new(s.r, &s.id, s.type, out);
}

static enum ferr tree_open(struct vfs_obj *dir, const char *path, unsigned flags,
                           struct vfs_obj **out)
{
	struct replica *r = open_of(dir)->r;
	struct vfs_obj *o = NULL;
	replica_lock(r);
	enum ferr e = open_at(open_of(dir), path, flags, &o);
	if (e == FE_OK && flags & VFS_TRUNCATE && open_of(o)->work)
		e = truncate_open(r, o);
	replica_unlock(r);
	if (e == FE_OK)
		*out = o;
	else
		vfs_unref(o);
	return e;
}

static enum ferr stat_at(struct open *dir, const char *path, bool follow, struct vfs_stat *out)
{
	struct spot s;
	FTRY(spot_of(&s, dir, path, follow ? WALK_FOLLOW : WALK_FOLLOW_SLASH));
	return s.exists ? stat_id(s.r, &s.id, out) : FE_NOENT;
}

static enum ferr tree_stat_at(struct vfs_obj *dir, const char *path, bool follow,
                              struct vfs_stat *out)
{
	LOCKED(dir, stat_at(open_of(dir), path, follow, out));
}

static enum ferr set_times_at(struct open *dir, const char *path, bool follow,
                              const struct vfs_times *t)
{
	struct spot s;
	FTRY(spot_of(&s, dir, path, follow ? WALK_FOLLOW : WALK_FOLLOW_SLASH));
	return s.exists ? set_times(&s, t) : FE_NOENT;
}

static enum ferr tree_set_times_at(struct vfs_obj *dir, const char *path, bool follow,
                                   const struct vfs_times *t)
{
	LOCKED(dir, set_times_at(open_of(dir), path, follow, t));
}

static enum ferr set_mode_at(struct open *dir, const char *path, bool follow, unsigned mode)
{
	struct spot s;
	FTRY(spot_of(&s, dir, path, follow ? WALK_FOLLOW : WALK_FOLLOW_SLASH));
	if (s.exists && s.type == VFS_TYPE_SYMLINK)
		return FE_NOTSUP;
	return s.exists ? retouch(&s, &mode, NULL) : FE_NOENT;
}

static enum ferr tree_set_mode_at(struct vfs_obj *dir, const char *path, bool follow, unsigned mode)
{
	LOCKED(dir, set_mode_at(open_of(dir), path, follow, mode));
}

static enum ferr make_folder(struct open *dir, const char *path)
{
	struct spot s;
	enum ferr e = spot_of(&s, dir, path, WALK_NOFOLLOW);
	if (e == FE_NOTDIR && s.exists)
		return FE_EXIST;
	FTRY(e);
	return s.exists ? FE_EXIST : create(&s, ENTRY_FOLDER, 0755, NULL);
}

static enum ferr tree_mkdir(struct vfs_obj *dir, const char *path)
{
	LOCKED(dir, make_folder(open_of(dir), path));
}

static enum err drop(const struct spot *s, const void *arg)
{
	return folder_remove(s->r->f, &s->id, replica_now_ms(), NULL);
}

static enum ferr remove_at(struct open *dir, const char *path, bool folder)
{
	struct spot s;
	FTRY(spot_of(&s, dir, path, WALK_NOFOLLOW));
	if (folder && s.dot)
		return FE_INVAL;
	if (!s.exists)
		return FE_NOENT;
	if (folder != (s.type == VFS_TYPE_DIR))
		return folder ? FE_NOTDIR : FE_ISDIR;
	return change(&s, drop, NULL);
}

static enum ferr tree_rmdir(struct vfs_obj *dir, const char *path)
{
	LOCKED(dir, remove_at(open_of(dir), path, true));
}

static enum ferr tree_unlink(struct vfs_obj *dir, const char *path)
{
	LOCKED(dir, remove_at(open_of(dir), path, false));
}

static enum ferr symlink_at(struct open *dir, const char *target, const char *path)
{
	struct spot s;
	FTRY(spot_of(&s, dir, path, WALK_NOFOLLOW));
	if (s.exists)
		return FE_EXIST;
	if (s.slash || !*target)
		return FE_NOENT;
	return create(&s, ENTRY_LINK, 0777, target);
}

static enum ferr tree_symlink(struct vfs_obj *dir, const char *target, const char *path)
{
	LOCKED(dir, symlink_at(open_of(dir), target, path));
}

static enum ferr readlink_at(struct open *dir, const char *path, char *buf, size_t *size)
{
	struct spot s;
	FTRY(spot_of(&s, dir, path, WALK_FOLLOW_SLASH));
	if (!s.exists)
		return FE_NOENT;
	return s.row.entry ? read_text(&s.row, buf, size) : FE_INVAL;
}

static enum ferr tree_readlink(struct vfs_obj *dir, const char *path, char *buf, size_t *size)
{
	LOCKED(dir, readlink_at(open_of(dir), path, buf, size));
}

static bool is_empty(struct replica *r, const struct entry_id *id)
{
	struct view_row row;
	return view_list(r->f, id, 0, &row) == ERR_NOTFOUND;
}

static bool is_beneath(struct replica *r, struct entry_id id, const struct entry_id *top)
{
	struct view_row row;
	for (int i = 0; i < 4 * FOLDER_DEPTH_MAX && !entry_id_is_root(&id); i++) {
		if (entry_id_equal(&id, top))
			return true;
		if (view_get(r->f, &id, &row) != ERR_OK)
			return false;
		id = row.parent;
	}
	return false;
}

static enum ferr check_rename(const struct spot *a, const struct spot *b)
{
	bool folder = a->type == VFS_TYPE_DIR;
	if (a->dot || b->dot)
		return FE_BUSY;
	if (!a->exists)
		return FE_NOENT;
	if (folder && is_beneath(a->r, b->dir, &a->id))
		return FE_INVAL;
	if (!b->exists)
		return b->slash && !folder ? FE_NOTDIR : FE_OK;
	if (b->type == VFS_TYPE_DIR && !folder)
		return FE_ISDIR;
	if (b->type != VFS_TYPE_DIR && folder)
		return FE_NOTDIR;
	return folder && !is_empty(b->r, &b->id) ? FE_NOTEMPTY : FE_OK;
}

static enum err move(const struct spot *to, const void *arg)
{
	return folder_move(to->r->f, arg, &to->dir, to->name, strlen(to->name), replica_now_ms(),
	                   NULL);
}

static enum ferr rename_at(struct open *from, const char *from_path, struct open *to,
                           const char *to_path)
{
	struct spot a, b;
	if (from->r != to->r)
		return FE_XDEV;
	FTRY(spot_of(&a, from, from_path, WALK_NOFOLLOW));
	FTRY(spot_of(&b, to, to_path, WALK_NOFOLLOW));
	if (a.exists && b.exists && entry_id_equal(&a.id, &b.id))
		return FE_OK;
	FTRY(check_rename(&a, &b));
	return change(&b, move, &a.id);
}

static enum ferr tree_rename(struct vfs_obj *from, const char *from_path, struct vfs_obj *to,
                             const char *to_path)
{
	LOCKED(from, rename_at(open_of(from), from_path, open_of(to), to_path));
}

/* ---- in an image ---- */

static void tree_identity(struct vfs_obj *o, uint64_t *dev, uint64_t *ino)
{
	memcpy(dev, open_of(o)->r->id.bytes, sizeof *dev);
	*ino = ino_of(&open_of(o)->id);
}

/* By its number: it may have another name here by now, or none yet. */
static enum ferr reopen(struct open *root, const struct vfs_saved *s, struct vfs_obj **out)
{
	struct replica *r = root->r;
	if (s->ino == 1)
		return obj_new(r, &root_id, VFS_TYPE_DIR, out);
	for (uint32_t i = 0; i < folder_count(r->f); i++) {
		const struct entry *e = folder_at(r->f, i);
		if (ino_of(&e->id) == s->ino && type_of(e->kind) == s->type && !entry_is_dead(e))
			return obj_new(r, &e->id, s->type, out);
	}
	return FE_STALE;
}

static enum ferr tree_reopen(struct vfs_obj *root, const struct vfs_saved *s, struct vfs_obj **out)
{
	LOCKED(root, reopen(open_of(root), s, out));
}

static const struct vfs_ops tree_ops = {
    .name = "folder",
    .close = tree_close,
    .read = tree_read,
    .write = tree_write,
    .stat = tree_stat,
    .set_size = tree_set_size,
    .allocate = tree_allocate,
    .set_times = tree_set_times,
    .set_mode = tree_set_mode,
    .sync = tree_sync,
    .flush = tree_flush,
    .space = tree_space,
    .readdir = tree_readdir,
    .open = tree_open,
    .stat_at = tree_stat_at,
    .set_times_at = tree_set_times_at,
    .set_mode_at = tree_set_mode_at,
    .mkdir = tree_mkdir,
    .rmdir = tree_rmdir,
    .unlink = tree_unlink,
    .symlink = tree_symlink,
    .readlink = tree_readlink,
    .rename = tree_rename,
    .reopen = tree_reopen,
    .identity = tree_identity,
    .keeps_absolute = true,
};
