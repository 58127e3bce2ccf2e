/* memory.c - files in memory.
 *
 * A tree (struct mem_fs) owns its nodes; objects refer to a node and keep the tree alive. A node lives while it
 * has a name or is open. Invariants: a folder has exactly one name (its nlink counts 1 for it); used_bytes is the sum of all files' sizes and
 * of a fixed price per node and name, and never over the limit; entries of a folder are in the order of their cookies.
 */
#include "vfs/memory_tree.h"
#include "vfs/walk.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const struct vfs_ops memory_ops;

bool vfs_is_memory(const struct vfs_obj *o)
{
	return o->ops == &memory_ops;
}

struct mem_node *mem_node_of(struct vfs_obj *o)
{
	return ((struct mem_obj *)o)->node;
}

static void changed(struct mem_node *n)
{
	n->mtime_ns = n->ctime_ns = os_wall_ns();
}

/* ---- nodes ---- */

static bool charge(struct mem_fs *fs, uint64_t bytes)
{
	if (bytes > fs->limit_bytes - fs->used_bytes)
		return false;
	fs->used_bytes += bytes;
	return true;
}

static void refund(struct mem_fs *fs, uint64_t bytes)
{
	assert(fs->used_bytes >= bytes);
	fs->used_bytes -= bytes;
}

enum ferr mem_node_new(struct mem_fs *fs, enum vfs_type type, struct mem_node **out)
{
	if (!charge(fs, MEM_NODE_PRICE))
		return FE_NOSPC;
	struct mem_node *n = calloc(1, sizeof *n);
	if (!n) {
		refund(fs, MEM_NODE_PRICE);
		return FE_NOMEM;
	}
	n->type = (uint8_t)type;
	n->mode = type == VFS_TYPE_DIR ? 0755 : type == VFS_TYPE_SYMLINK ? 0777 : 0644;
	n->ino = fs->next_ino++;
	n->next_cookie = 3;
	n->atime_ns = n->mtime_ns = n->ctime_ns = os_wall_ns();
	n->next = fs->nodes;
	if (fs->nodes)
		fs->nodes->prev = n;
	fs->nodes = n;
	*out = n;
	return FE_OK;
}

static void node_free(struct mem_fs *fs, struct mem_node *n)
{
	if (n->prev)
		n->prev->next = n->next;
	else
		fs->nodes = n->next;
	if (n->next)
		n->next->prev = n->prev;
	refund(fs, MEM_NODE_PRICE + n->size_bytes);
	for (uint32_t i = 0; i < n->nentries; i++) {
		refund(fs, MEM_NODE_PRICE);
		free(n->entries[i].name);
	}
	free(n->entries);
	free(n->data);
	free(n);
}

void mem_node_check(struct mem_fs *fs, struct mem_node *n)
{
	if (n->nlink == 0 && n->opens == 0 && n != fs->root)
		node_free(fs, n);
}

void mem_fs_free(struct mem_fs *fs)
{
	while (fs->nodes)
		node_free(fs, fs->nodes);
	free(fs);
}

static uint32_t hash_of(const char *name)
{
	uint32_t h = 2166136261u;
	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 16777619u;
	return h;
}

struct mem_entry *mem_find(const struct mem_node *dir, const char *name)
{
	uint32_t h = hash_of(name);
	for (uint32_t i = 0; i < dir->nentries; i++)
		if (dir->entries[i].hash == h && !strcmp(dir->entries[i].name, name))
			return &dir->entries[i];
	return NULL;
}

static enum ferr grow_entries(struct mem_node *dir)
{
	if (dir->nentries < dir->entries_cap)
		return FE_OK;
	uint32_t cap = dir->entries_cap ? 2 * dir->entries_cap : 8;
	struct mem_entry *p = realloc(dir->entries, cap * sizeof *p);
	if (!p)
		return FE_NOMEM;
	dir->entries = p;
	dir->entries_cap = cap;
	return FE_OK;
}

enum ferr mem_add(struct mem_fs *fs, struct mem_node *dir, const char *name, struct mem_node *n)
{
	FTRY(grow_entries(dir));
	char *copy = strdup(name);
	if (!copy)
		return FE_NOMEM;
	if (!charge(fs, MEM_NODE_PRICE)) {
		free(copy);
		return FE_NOSPC;
	}
	dir->entries[dir->nentries++] = (struct mem_entry){
	    .name = copy, .hash = hash_of(name), .node = n, .cookie = dir->next_cookie++};
	n->nlink++;
	if (n->type == VFS_TYPE_DIR)
		n->parent = dir;
	return FE_OK;
}

/* The node itself is left to mem_node_check. */
static void remove_entry(struct mem_fs *fs, struct mem_node *dir, struct mem_entry *e)
{
	size_t i = (size_t)(e - dir->entries);
	e->node->nlink--;
	e->node->ctime_ns = os_wall_ns();
	free(e->name);
	memmove(e, e + 1, (dir->nentries - i - 1) * sizeof *e);
	dir->nentries--;
	refund(fs, MEM_NODE_PRICE);
	changed(dir);
}

/* ---- objects ---- */

static enum ferr obj_new(struct mem_fs *fs, struct mem_node *n, struct vfs_obj **out)
{
	struct mem_obj *o = calloc(1, sizeof *o);
	if (!o)
		return FE_NOMEM;
	vfs_obj_init(&o->base, &memory_ops, n->type);
	o->fs = fs;
	o->node = n;
	fs->objs++;
	n->opens++;
	*out = &o->base;
	return FE_OK;
}

static void memory_close(struct vfs_obj *b)
{
	struct mem_obj *o = (struct mem_obj *)b;
	struct mem_fs *fs = o->fs;
	o->node->opens--;
	mem_node_check(fs, o->node);
	free(o);
	if (--fs->objs == 0)
		mem_fs_free(fs);
}

struct mem_fs *mem_fs_of(struct vfs_obj *o)
{
	return ((struct mem_obj *)o)->fs;
}

enum ferr mem_fs_new(uint64_t limit_bytes, struct mem_fs **out)
{
	struct mem_fs *fs = calloc(1, sizeof *fs);
	if (!fs)
		return FE_NOMEM;
	fs->limit_bytes = limit_bytes;
	fs->next_ino = 1;
	*out = fs;
	return FE_OK;
}

enum ferr mem_fs_open_root(struct mem_fs *fs, struct vfs_obj **root)
{
	return obj_new(fs, fs->root, root);
}

enum ferr vfs_memory_new(uint64_t limit_bytes, struct vfs_obj **root)
{
	struct mem_fs *fs;
	FTRY(mem_fs_new(limit_bytes, &fs));
	enum ferr e = mem_node_new(fs, VFS_TYPE_DIR, &fs->root);
	if (e == FE_OK)
		e = obj_new(fs, fs->root, root);
	if (e != FE_OK)
		mem_fs_free(fs);
	return e;
}

/* ---- contents ---- */

static enum ferr memory_read(struct vfs_obj *o, uint64_t offset, const struct vfs_iov *iov,
                             size_t n, size_t *done)
{
	struct mem_node *f = mem_node_of(o);
	for (size_t i = 0; i < n && offset < f->size_bytes; i++) {
		uint64_t left = f->size_bytes - offset;
		size_t size = iov[i].size < left ? iov[i].size : (size_t)left;
		if (size)
			memcpy(iov[i].p, f->data + offset, size);
		offset += size;
		*done += size;
	}
	return FE_OK;
}

static enum ferr resize(struct mem_fs *fs, struct mem_node *f, uint64_t size)
{
	if (size > f->size_bytes && !charge(fs, size - f->size_bytes))
		return FE_NOSPC;
	if (size > f->cap_bytes) {
		uint64_t cap = size + size / 2 + 64;
		uint8_t *p = realloc(f->data, cap);
		if (!p) {
			refund(fs, size - f->size_bytes);
			return FE_NOMEM;
		}
		f->data = p;
		f->cap_bytes = cap;
	}
	if (size > f->size_bytes)
		memset(f->data + f->size_bytes, 0, size - f->size_bytes);
	else
		refund(fs, f->size_bytes - size);
	f->size_bytes = size;
	return FE_OK;
}

static enum ferr memory_write(struct vfs_obj *o, uint64_t offset, unsigned flags,
                              const struct vfs_iov *iov, size_t n, size_t *done, uint64_t *end)
{
	struct mem_node *f = mem_node_of(o);
	if (flags & VFS_APPEND)
		offset = f->size_bytes;
	uint64_t total = 0;
	for (size_t i = 0; i < n; i++)
		total += iov[i].size;
	*end = offset;
	if (total == 0)
		return FE_OK;
	if (offset > INT64_MAX || total > INT64_MAX - offset)
		return FE_FBIG;
	if (offset + total > f->size_bytes)
		FTRY(resize(mem_fs_of(o), f, offset + total));
	for (size_t i = 0; i < n; i++) {
		if (iov[i].size)
			memcpy(f->data + offset, iov[i].p, iov[i].size);
		offset += iov[i].size;
	}
	*done = (size_t)total;
	*end = offset;
	changed(f);
	return FE_OK;
}

static void stat_node(const struct mem_fs *fs, const struct mem_node *n, struct vfs_stat *out)
{
	*out = (struct vfs_stat){
	    .dev = 0,
	    .ino = n->ino,
	    .nlink = n == fs->root ? 1 : n->nlink,
	    .size_bytes = n->size_bytes,
	    .atime_ns = n->atime_ns,
	    .mtime_ns = n->mtime_ns,
	    .ctime_ns = n->ctime_ns,
	    .type = n->type,
	    .has_mode = true,
	    .mode = n->mode,
	};
}

static enum ferr memory_stat(struct vfs_obj *o, struct vfs_stat *out)
{
	stat_node(mem_fs_of(o), mem_node_of(o), out);
	return FE_OK;
}

static enum ferr memory_set_size(struct vfs_obj *o, uint64_t size_bytes)
{
	struct mem_node *f = mem_node_of(o);
	FTRY(resize(mem_fs_of(o), f, size_bytes));
	changed(f);
	return FE_OK;
}

static enum ferr memory_allocate(struct vfs_obj *o, uint64_t offset, uint64_t size_bytes)
{
	struct mem_node *f = mem_node_of(o);
	return offset + size_bytes <= f->size_bytes ? FE_OK
	                                            : resize(mem_fs_of(o), f, offset + size_bytes);
}

static void set_times(struct mem_node *n, const struct vfs_times *t)
{
	uint64_t now = os_wall_ns();
	if (t->atime_how != VFS_TIME_KEEP)
		n->atime_ns = t->atime_how == VFS_TIME_SET ? t->atime_ns : now;
	if (t->mtime_how != VFS_TIME_KEEP)
		n->mtime_ns = t->mtime_how == VFS_TIME_SET ? t->mtime_ns : now;
	n->ctime_ns = now;
}

static enum ferr memory_set_times(struct vfs_obj *o, const struct vfs_times *t)
{
	set_times(mem_node_of(o), t);
	return FE_OK;
}

static void set_mode(struct mem_node *n, unsigned mode)
{
	n->mode = (uint16_t)mode;
	n->ctime_ns = os_wall_ns();
}

static enum ferr memory_set_mode(struct vfs_obj *o, unsigned mode)
{
	set_mode(mem_node_of(o), mode);
	return FE_OK;
}

static enum ferr memory_sync(struct vfs_obj *o, bool data_only)
{
	return FE_OK;
}

static enum ferr memory_space(struct vfs_obj *o, struct vfs_space *out)
{
	const struct mem_fs *fs = mem_fs_of(o);
	uint64_t left = fs->limit_bytes - fs->used_bytes;
	*out = (struct vfs_space){.total_bytes = fs->limit_bytes,
	                          .free_bytes = left,
	                          .files = fs->limit_bytes / MEM_NODE_PRICE,
	                          .free_files = left / MEM_NODE_PRICE};
	return FE_OK;
}

static bool emit_dot(struct mem_node *n, const char *name, uint64_t next, vfs_dirent_fn emit,
                     void *ctx)
{
	struct vfs_dirent e = {.next = next,
	                       .ino = n->ino,
	                       .type = VFS_TYPE_DIR,
	                       .name = name,
	                       .name_size = strlen(name)};
	return emit(ctx, &e);
}

static enum ferr memory_readdir(struct vfs_obj *o, uint64_t cookie, vfs_dirent_fn emit, void *ctx)
{
	struct mem_node *dir = mem_node_of(o);
	struct mem_node *up = dir->parent ? dir->parent : dir;
	if (dir->nlink == 0 && dir != mem_fs_of(o)->root)
		return FE_NOENT;
	if (cookie < 1 && !emit_dot(dir, ".", 1, emit, ctx))
		return FE_OK;
	if (cookie < 2 && !emit_dot(up, "..", 2, emit, ctx))
		return FE_OK;
	for (uint32_t i = 0; i < dir->nentries; i++) {
		struct mem_entry *m = &dir->entries[i];
		struct vfs_dirent e = {.next = m->cookie,
		                       .ino = m->node->ino,
		                       .type = m->node->type,
		                       .name = m->name,
		                       .name_size = strlen(m->name)};
		if (m->cookie > cookie && !emit(ctx, &e))
			break;
	}
	return FE_OK;
}

/* ---- by name ---- */

enum { MAY_READ = 0400, MAY_WRITE = 0200, MAY_SEARCH = 0100 };

static bool may(const struct mem_node *n, unsigned bits)
{
	return (n->mode & bits) == bits;
}

static enum ferr walk_enter(void *ctx, uintptr_t dir, const char *name, uintptr_t *out)
{
	if (!may((struct mem_node *)dir, MAY_SEARCH))
		return FE_ACCES;
	struct mem_entry *e = mem_find((struct mem_node *)dir, name);
	if (!e)
		return FE_NOENT;
	if (e->node->type != VFS_TYPE_DIR)
		return e->node->type == VFS_TYPE_SYMLINK ? FE_LOOP : FE_NOTDIR;
	*out = (uintptr_t)e->node;
	return FE_OK;
}

static enum ferr read_target(const struct mem_node *n, char *buf, size_t *size)
{
	if (n->type != VFS_TYPE_SYMLINK)
		return FE_INVAL;
	if (*size > n->size_bytes)
		*size = (size_t)n->size_bytes;
	memcpy(buf, n->data, *size);
	return FE_OK;
}

static enum ferr walk_readlink(void *ctx, uintptr_t dir, const char *name, char *buf, size_t *size)
{
	struct mem_entry *e = mem_find((struct mem_node *)dir, name);
	return e ? read_target(e->node, buf, size) : FE_NOENT;
}

static void walk_leave(void *ctx, uintptr_t dir)
{
}

static const struct walk_ops memory_walk = {walk_enter, walk_readlink, walk_leave};

struct place {
	struct mem_fs *fs;
	struct mem_node *dir;
	struct mem_node *node; /* NULL: no such name */
	const char *name;      /* "." for dir itself */
	bool slash, dot;
	struct walk walk;
};

static enum ferr place_of(struct place *p, struct vfs_obj *o, const char *path,
                          enum walk_follow follow)
{
	FTRY(walk_parent(&p->walk, &memory_walk, NULL, (uintptr_t)mem_node_of(o), path, follow));
	p->fs = mem_fs_of(o);
	p->dir = (struct mem_node *)walk_dir(&p->walk);
	p->name = p->walk.name;
	p->slash = p->walk.slash;
	p->dot = !strcmp(p->name, ".");
	if (!p->dot && !may(p->dir, MAY_SEARCH))
		return FE_ACCES;
	struct mem_entry *e = p->dot ? NULL : mem_find(p->dir, p->name);
	p->node = p->dot ? p->dir : e ? e->node : NULL;
	if (p->slash && p->node && p->node->type != VFS_TYPE_DIR)
		return FE_NOTDIR;
	return FE_OK;
}

/* A folder that was removed while it is open takes no new names. */
static enum ferr create(struct place *p, enum vfs_type type, struct mem_node **out)
{
	struct mem_node *n;
	if (p->dir->nlink == 0 && p->dir != p->fs->root)
		return FE_NOENT;
	if (!may(p->dir, MAY_WRITE))
		return FE_ACCES;
	FTRY(mem_node_new(p->fs, type, &n));
	enum ferr e = mem_add(p->fs, p->dir, p->name, n);
	if (e != FE_OK) {
		mem_node_check(p->fs, n);
		return e;
	}
	changed(p->dir);
	*out = n;
	return FE_OK;
}

static enum ferr open_existing(const struct place *p, unsigned flags)
{
	uint8_t type = p->node->type;
	if (flags & VFS_EXCLUSIVE && flags & VFS_CREATE)
		return FE_EXIST;
	if (type == VFS_TYPE_SYMLINK)
		return FE_LOOP;
	if (type == VFS_TYPE_STREAM)
		return FE_NXIO;
	if (flags & VFS_DIRECTORY && type != VFS_TYPE_DIR)
		return FE_NOTDIR;
	if (type == VFS_TYPE_DIR && flags & (VFS_WRITE | VFS_CREATE | VFS_TRUNCATE))
		return FE_ISDIR;
	unsigned needs = (flags & VFS_READ ? MAY_READ : 0u) |
	                 (flags & (VFS_WRITE | VFS_TRUNCATE) ? MAY_WRITE : 0u);
	return may(p->node, needs) ? FE_OK : FE_ACCES;
}

static enum ferr memory_open(struct vfs_obj *dir, const char *path, unsigned flags,
                             struct vfs_obj **out)
{
	struct place p;
	bool nofollow = flags & VFS_NOFOLLOW || (flags & VFS_CREATE && flags & VFS_EXCLUSIVE);
	FTRY(place_of(&p, dir, path, nofollow ? WALK_FOLLOW_SLASH : WALK_FOLLOW));
	if (p.node) {
		FTRY(open_existing(&p, flags));
	} else {
		if (!(flags & VFS_CREATE))
			return FE_NOENT;
		if (p.slash)
			return FE_ISDIR;
		FTRY(create(&p, VFS_TYPE_FILE, &p.node));
		p.node->mode = (uint16_t)vfs_mode_of(flags, p.node->mode);
	}
	if (flags & VFS_TRUNCATE && p.node->size_bytes) {
		FTRY(resize(p.fs, p.node, 0));
		changed(p.node);
	}
	return obj_new(p.fs, p.node, out);
}

static enum ferr memory_stat_at(struct vfs_obj *dir, const char *path, bool follow,
                                struct vfs_stat *out)
{
	struct place p;
	FTRY(place_of(&p, dir, path, follow ? WALK_FOLLOW : WALK_FOLLOW_SLASH));
	if (!p.node)
		return FE_NOENT;
	stat_node(p.fs, p.node, out);
	return FE_OK;
}

static enum ferr memory_set_times_at(struct vfs_obj *dir, const char *path, bool follow,
                                     const struct vfs_times *t)
{
	struct place p;
	FTRY(place_of(&p, dir, path, follow ? WALK_FOLLOW : WALK_FOLLOW_SLASH));
	if (!p.node)
		return FE_NOENT;
	set_times(p.node, t);
	return FE_OK;
}

static enum ferr memory_set_mode_at(struct vfs_obj *dir, const char *path, bool follow,
                                    unsigned mode)
{
	struct place p;
	FTRY(place_of(&p, dir, path, follow ? WALK_FOLLOW : WALK_FOLLOW_SLASH));
	if (!p.node)
		return FE_NOENT;
	if (p.node->type == VFS_TYPE_SYMLINK)
		return FE_NOTSUP;
	set_mode(p.node, mode);
	return FE_OK;
}

static enum ferr memory_mkdir(struct vfs_obj *dir, const char *path)
{
	struct place p;
	struct mem_node *n;
	enum ferr e = place_of(&p, dir, path, WALK_NOFOLLOW);
	if (e == FE_NOTDIR && p.node)
		return FE_EXIST;
	FTRY(e);
	return p.node ? FE_EXIST : create(&p, VFS_TYPE_DIR, &n);
}

static enum ferr memory_mkfifo(struct vfs_obj *dir, const char *path)
{
	struct place p;
	struct mem_node *n;
	FTRY(place_of(&p, dir, path, WALK_NOFOLLOW));
	if (p.node)
		return FE_EXIST;
	return p.slash ? FE_NOENT : create(&p, VFS_TYPE_STREAM, &n);
}

/* Takes the name away, and the node with it when nothing holds it any more. */
static void drop_name(struct place *p)
{
	struct mem_node *n = p->node;
	remove_entry(p->fs, p->dir, mem_find(p->dir, p->name));
	if (n->type == VFS_TYPE_DIR)
		n->parent = NULL;
	mem_node_check(p->fs, n);
}

static enum ferr memory_rmdir(struct vfs_obj *dir, const char *path)
{
	struct place p;
	FTRY(place_of(&p, dir, path, WALK_NOFOLLOW));
	if (p.dot)
		return FE_INVAL;
	if (!p.node)
		return FE_NOENT;
	if (!may(p.dir, MAY_WRITE))
		return FE_ACCES;
	if (p.node->type != VFS_TYPE_DIR)
		return FE_NOTDIR;
	if (p.node->nentries)
		return FE_NOTEMPTY;
	drop_name(&p);
	return FE_OK;
}

static enum ferr memory_unlink(struct vfs_obj *dir, const char *path)
{
	struct place p;
	FTRY(place_of(&p, dir, path, WALK_NOFOLLOW));
	if (!p.node)
		return FE_NOENT;
	if (p.node->type == VFS_TYPE_DIR)
		return FE_ISDIR;
	if (!may(p.dir, MAY_WRITE))
		return FE_ACCES;
	drop_name(&p);
	return FE_OK;
}

static enum ferr memory_symlink(struct vfs_obj *dir, const char *target, const char *path)
{
	struct place p;
	struct mem_node *n;
	FTRY(place_of(&p, dir, path, WALK_NOFOLLOW));
	if (p.node)
		return FE_EXIST;
	if (p.slash)
		return FE_NOENT;
	FTRY(create(&p, VFS_TYPE_SYMLINK, &n));
	enum ferr e = resize(p.fs, n, strlen(target));
	p.node = n;
	if (e == FE_OK)
		memcpy(n->data, target, strlen(target));
	else
		drop_name(&p);
	return e;
}

static enum ferr memory_readlink(struct vfs_obj *dir, const char *path, char *buf, size_t *size)
{
	struct place p;
	FTRY(place_of(&p, dir, path, WALK_FOLLOW_SLASH));
	return p.node ? read_target(p.node, buf, size) : FE_NOENT;
}

static enum ferr memory_link(struct vfs_obj *from, const char *from_path, bool follow,
                             struct vfs_obj *to, const char *to_path)
{
	struct place a, b;
	if (mem_fs_of(from) != mem_fs_of(to))
		return FE_XDEV;
	FTRY(place_of(&a, from, from_path, follow ? WALK_FOLLOW : WALK_NOFOLLOW));
	FTRY(place_of(&b, to, to_path, WALK_NOFOLLOW));
	if (!a.node)
		return FE_NOENT;
	if (b.node)
		return FE_EXIST;
	if (a.node->type == VFS_TYPE_DIR)
		return FE_PERM;
	if (b.slash || (b.dir->nlink == 0 && b.dir != b.fs->root))
		return FE_NOENT;
	if (!may(b.dir, MAY_WRITE))
		return FE_ACCES;
	FTRY(mem_add(b.fs, b.dir, b.name, a.node));
	a.node->ctime_ns = os_wall_ns();
	changed(b.dir);
	return FE_OK;
}

static bool is_beneath(const struct mem_node *n, const struct mem_node *top)
{
	for (; n; n = n->parent)
		if (n == top)
			return true;
	return false;
}

/* What may not be renamed onto what. */
static enum ferr check_rename(const struct place *a, const struct place *b)
{
	if (a->dot || b->dot)
		return FE_BUSY;
	if (!a->node)
		return FE_NOENT;
	if (!may(a->dir, MAY_WRITE) || !may(b->dir, MAY_WRITE))
		return FE_ACCES;
	bool dir = a->node->type == VFS_TYPE_DIR;
	if (dir && is_beneath(b->dir, a->node))
		return FE_INVAL;
	if (b->dir->nlink == 0 && b->dir != b->fs->root)
		return FE_NOENT;
	if (!b->node)
		return b->slash && !dir ? FE_NOTDIR : FE_OK;
	if (b->node->type == VFS_TYPE_DIR) {
		if (!dir)
			return FE_ISDIR;
		return b->node->nentries && b->node != a->node ? FE_NOTEMPTY : FE_OK;
	}
	return dir ? FE_NOTDIR : FE_OK;
}

static enum ferr memory_rename(struct vfs_obj *from, const char *from_path, struct vfs_obj *to,
                               const char *to_path)
{
	struct place a, b;
	if (mem_fs_of(from) != mem_fs_of(to))
		return FE_XDEV;
	FTRY(place_of(&a, from, from_path, WALK_NOFOLLOW));
	FTRY(place_of(&b, to, to_path, WALK_NOFOLLOW));
	FTRY(check_rename(&a, &b));
	if (a.node == b.node)
		return FE_OK;
	struct mem_node *n = a.node;
	/* The new name first: when there is no room for it, nothing has happened. */
	if (b.node) {
		struct mem_entry *e = mem_find(b.dir, b.name);
		struct mem_node *old = e->node;
		e->node = n;
		n->nlink++;
		old->nlink--;
		if (old->type == VFS_TYPE_DIR)
			old->parent = NULL;
		mem_node_check(b.fs, old);
	} else {
		FTRY(mem_add(b.fs, b.dir, b.name, n));
	}
	remove_entry(a.fs, a.dir, mem_find(a.dir, a.name));
	if (n->type == VFS_TYPE_DIR)
		n->parent = b.dir;
	changed(b.dir);
	return FE_OK;
}

/* Its number is its name: memory files travel with what is open. */
static enum ferr memory_reopen(struct vfs_obj *root, const struct vfs_saved *s,
                               struct vfs_obj **out)
{
	struct mem_fs *fs = mem_fs_of(root);
	for (struct mem_node *n = fs->nodes; n; n = n->next)
		if (n->ino == s->ino && n->type == s->type && n->type != VFS_TYPE_SYMLINK)
			return obj_new(fs, n, out);
	return FE_STALE;
}

static enum ferr memory_path_of(struct vfs_obj *o, struct vfs_obj *root, char *buf, size_t size)
{
	const struct mem_node *n = mem_node_of(o);
	return n->nlink || n == mem_fs_of(o)->root ? FE_NOTSUP : FE_NOENT;
}

static const struct vfs_ops memory_ops = {
    .name = "memory",
    .close = memory_close,
    .read = memory_read,
    .write = memory_write,
    .stat = memory_stat,
    .set_size = memory_set_size,
    .allocate = memory_allocate,
    .set_times = memory_set_times,
    .set_mode = memory_set_mode,
    .sync = memory_sync,
    .space = memory_space,
    .readdir = memory_readdir,
    .open = memory_open,
    .stat_at = memory_stat_at,
    .set_times_at = memory_set_times_at,
    .set_mode_at = memory_set_mode_at,
    .mkdir = memory_mkdir,
    .mkfifo = memory_mkfifo,
    .rmdir = memory_rmdir,
    .unlink = memory_unlink,
    .symlink = memory_symlink,
    .readlink = memory_readlink,
    .link = memory_link,
    .rename = memory_rename,
    .reopen = memory_reopen,
    .path_of = memory_path_of,
    .keeps_absolute = true,
};
