/* memory_save.c - a tree of memory files as bytes, and back.
 *
 * Layout (little-endian): u32 version 2 (1: without modes), u64 limit, u64 next number, u32 nodes, then the nodes by rising number:
 *	u64 number, u8 type, u16 mode, u64 atime, u64 mtime, u64 ctime,
 *	file, symbolic link or (empty) named pipe: u64 size, bytes
 *	folder: u64 next cookie, u32 entries, each: u64 cookie, u64 number, u16 size, name
 * Number 1 is the root. The same tree gives the same bytes.
 */
#include "vfs/memory_tree.h"

#include <stdlib.h>
#include <string.h>

enum { FORMAT_VERSION = 2, VERSION_WITHOUT_MODES = 1, ROOT_INO = 1 };

/* ---- writing ---- */

static int by_ino(const void *a, const void *b)
{
	uint64_t x = (*(struct mem_node *const *)a)->ino, y = (*(struct mem_node *const *)b)->ino;
	return x < y ? -1 : x > y;
}

static struct mem_node **nodes_by_ino(const struct mem_fs *fs, uint32_t *count)
{
	uint32_t n = 0;
	for (struct mem_node *p = fs->nodes; p; p = p->next)
		n++;
	struct mem_node **list = malloc(n * sizeof(struct mem_node *));
	if (!list)
		return NULL;
	*count = n;
	n = 0;
	for (struct mem_node *p = fs->nodes; p; p = p->next)
		list[n++] = p;
	qsort(list, n, sizeof(struct mem_node *), by_ino);
	return list;
}

static void save_folder(const struct mem_node *n, struct wr *out)
{
	wr_u64(out, n->next_cookie);
	wr_u32(out, n->nentries);
	for (uint32_t i = 0; i < n->nentries; i++) {
		const struct mem_entry *e = &n->entries[i];
		wr_u64(out, e->cookie);
		wr_u64(out, e->node->ino);
		wr_u16(out, (uint16_t)strlen(e->name));
		wr_bytes(out, e->name, strlen(e->name));
	}
}

static void save_node(const struct mem_node *n, struct wr *out)
{
	wr_u64(out, n->ino);
	wr_u8(out, n->type);
	wr_u16(out, n->mode);
	wr_u64(out, n->atime_ns);
	wr_u64(out, n->mtime_ns);
	wr_u64(out, n->ctime_ns);
	if (n->type == VFS_TYPE_DIR) {
		save_folder(n, out);
		return;
	}
	wr_u64(out, n->size_bytes);
	if (n->size_bytes)
		wr_bytes(out, n->data, (size_t)n->size_bytes);
}

enum err vfs_memory_save(struct vfs_obj *root, struct wr *out)
{
	const struct mem_fs *fs = mem_fs_of(root);
	uint32_t count = 0;
	struct mem_node **list = nodes_by_ino(fs, &count);
	if (!list)
		return ERR_NOMEM;
	wr_u32(out, FORMAT_VERSION);
	wr_u64(out, fs->limit_bytes);
	wr_u64(out, fs->next_ino);
	wr_u32(out, count);
	for (uint32_t i = 0; i < count; i++)
		save_node(list[i], out);
	free(list);
	return wr_ok(out) ? ERR_OK : ERR_NOMEM;
}

/* ---- reading ---- */

struct load {
	struct rd *in;
	struct mem_fs *fs;
	struct mem_node **nodes; /* by rising number */
	struct rd *folders;      /* where each folder's entries stand; empty for others */
	uint32_t count;
	bool has_modes;
	struct errmsg *msg;
};

static enum err bad(struct load *l, const char *why)
{
	return err_set(l->msg, ERR_MALFORMED, "memory files: %s", why);
}

static enum err load_contents(struct load *l, struct mem_node *n)
{
	uint64_t size;
	const uint8_t *bytes;
	TRY(rd_u64(l->in, &size));
	if (size > rd_left(l->in))
		return bad(l, "contents are cut off");
	TRY(rd_bytes(l->in, (size_t)size, &bytes));
	if (n->type == VFS_TYPE_STREAM && size)
		return bad(l, "a named pipe has contents");
	if (n->type == VFS_TYPE_SYMLINK &&
	    (size == 0 || size >= VFS_PATH_MAX || memchr(bytes, 0, (size_t)size)))
		return bad(l, "a link's target is not a path");
	if (size > l->fs->limit_bytes - l->fs->used_bytes)
		return bad(l, "larger than their limit");
	if (size == 0)
		return ERR_OK;
	n->data = malloc((size_t)size);
	if (!n->data)
		return ERR_NOMEM;
	memcpy(n->data, bytes, (size_t)size);
	n->size_bytes = n->cap_bytes = size;
	l->fs->used_bytes += size;
	return ERR_OK;
}

/* Skips the entries: they are read when all nodes are known. */
static enum err skip_folder(struct load *l, struct mem_node *n, struct rd *folder)
{
	uint32_t entries;
	uint16_t size;
	const uint8_t *p;
	TRY(rd_u64(l->in, &n->next_cookie));
	TRY(rd_u32(l->in, &entries));
	const uint8_t *start = l->in->p;
	for (uint32_t i = 0; i < entries; i++) {
		TRY(rd_bytes(l->in, 16, &p));
		TRY(rd_u16(l->in, &size));
		TRY(rd_bytes(l->in, size, &p));
	}
	*folder = rd_of(start, (size_t)(l->in->p - start));
	return ERR_OK;
}

static enum err load_node(struct load *l, uint32_t i)
{
	uint64_t ino;
	uint8_t type;
	TRY(rd_u64(l->in, &ino));
	TRY(rd_u8(l->in, &type));
	if (type != VFS_TYPE_DIR && type != VFS_TYPE_FILE && type != VFS_TYPE_SYMLINK &&
	    type != VFS_TYPE_STREAM)
		return bad(l, "unknown type of node");
	if (i == 0 ? ino != ROOT_INO || type != VFS_TYPE_DIR : ino <= l->nodes[i - 1]->ino)
		return bad(l, "nodes are not in order");
	struct mem_node *n;
	enum ferr e = mem_node_new(l->fs, (enum vfs_type)type, &n);
	if (e != FE_OK)
		return e == FE_NOMEM ? ERR_NOMEM : bad(l, "larger than their limit");
	n->ino = ino;
	l->nodes[i] = n;
	if (l->has_modes)
		TRY(rd_u16(l->in, &n->mode));
	if (n->mode > 07777)
		return bad(l, "a mode has unknown bits");
	TRY(rd_u64(l->in, &n->atime_ns));
	TRY(rd_u64(l->in, &n->mtime_ns));
	TRY(rd_u64(l->in, &n->ctime_ns));
	return type == VFS_TYPE_DIR ? skip_folder(l, n, &l->folders[i]) : load_contents(l, n);
}

static struct mem_node *node_by_ino(const struct load *l, uint64_t ino)
{
	uint32_t low = 0, high = l->count;
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		if (l->nodes[mid]->ino == ino)
			return l->nodes[mid];
		if (l->nodes[mid]->ino < ino)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

static bool name_is_good(const uint8_t *p, uint16_t size)
{
	if (size == 0 || size > VFS_NAME_MAX || memchr(p, 0, size) || memchr(p, '/', size))
		return false;
	return !(p[0] == '.' && (size == 1 || (size == 2 && p[1] == '.')));
}

static enum err load_entry(struct load *l, struct mem_node *dir, struct rd *in)
{
	uint64_t cookie, ino;
	uint16_t size;
	const uint8_t *p;
	char name[VFS_NAME_MAX + 1];
	TRY(rd_u64(in, &cookie));
	TRY(rd_u64(in, &ino));
	TRY(rd_u16(in, &size));
	TRY(rd_bytes(in, size, &p));
	if (!name_is_good(p, size))
		return bad(l, "a name is not a file name");
	memcpy(name, p, size);
	name[size] = 0;
	struct mem_node *n = node_by_ino(l, ino);
	uint64_t last = dir->nentries ? dir->entries[dir->nentries - 1].cookie : 2;
	if (!n || n == l->fs->root || (n->type == VFS_TYPE_DIR && n->nlink))
		return bad(l, "a name stands for no node, or a folder has two");
	if (cookie <= last || mem_find(dir, name))
		return bad(l, "entries are not in order");
	enum ferr e = mem_add(l->fs, dir, name, n);
	if (e != FE_OK)
		return e == FE_NOMEM ? ERR_NOMEM : bad(l, "larger than their limit");
	dir->entries[dir->nentries - 1].cookie = cookie;
	return ERR_OK;
}

static enum err load_folder(struct load *l, uint32_t i)
{
	struct mem_node *dir = l->nodes[i];
	uint64_t next_cookie = dir->next_cookie;
	while (rd_left(&l->folders[i]))
		TRY(load_entry(l, dir, &l->folders[i]));
	if (dir->nentries && next_cookie <= dir->entries[dir->nentries - 1].cookie)
		return bad(l, "entries are not in order");
	dir->next_cookie = next_cookie;
	return ERR_OK;
}

/* A folder has one name at most; it hangs below the root, or is removed and empty. */
static bool hangs_well(const struct load *l, const struct mem_node *dir)
{
	uint32_t depth = 0;
	const struct mem_node *top = dir;
	for (; top->parent; top = top->parent)
		if (++depth > l->count)
			return false;
	return top == l->fs->root || (top == dir && dir->nentries == 0);
}

static enum err load_tree(struct load *l)
{
	for (uint32_t i = 0; i < l->count; i++)
		TRY(load_node(l, i));
	l->fs->root = l->nodes[0];
	for (uint32_t i = 0; i < l->count; i++)
		if (l->nodes[i]->type == VFS_TYPE_DIR)
			TRY(load_folder(l, i));
	for (uint32_t i = 0; i < l->count; i++)
		if (l->nodes[i]->type == VFS_TYPE_DIR && !hangs_well(l, l->nodes[i]))
			return bad(l, "a folder is in a circle");
	return ERR_OK;
}

static enum err load_head(struct load *l, uint64_t *limit, uint64_t *next_ino)
{
	uint32_t version;
	TRY(rd_u32(l->in, &version));
	TRY(rd_u64(l->in, limit));
	TRY(rd_u64(l->in, next_ino));
	TRY(rd_u32(l->in, &l->count));
	l->has_modes = version == FORMAT_VERSION;
	if (version != FORMAT_VERSION && version != VERSION_WITHOUT_MODES)
		return bad(l, "unknown version");
	/* A node takes at least 41 bytes: bounds what we allocate. */
	if (l->count == 0 || l->count > rd_left(l->in) / 41)
		return bad(l, "the count of nodes is wrong");
	return ERR_OK;
}

enum err vfs_memory_load(struct rd *in, struct vfs_obj **root, struct errmsg *msg)
{
	struct load l = {.in = in, .msg = msg};
	uint64_t limit, next_ino;
	enum err e = load_head(&l, &limit, &next_ino);
	if (e != ERR_OK)
		return msg && msg->text[0] ? e : bad(&l, "cut off");
	l.nodes = calloc(l.count, sizeof *l.nodes);
	l.folders = calloc(l.count, sizeof *l.folders);
	if (!l.nodes || !l.folders || mem_fs_new(limit, &l.fs) != FE_OK)
		e = err_set(msg, ERR_NOMEM, "memory files: out of memory");
	if (e == ERR_OK)
		e = load_tree(&l);
	if (e == ERR_OK) {
		l.fs->next_ino = next_ino;
		if (next_ino <= l.nodes[l.count - 1]->ino)
			e = bad(&l, "the next number is taken");
	}
	if (e == ERR_OK && mem_fs_open_root(l.fs, root) != FE_OK)
		e = ERR_NOMEM;
	if (e != ERR_OK && l.fs)
		mem_fs_free(l.fs);
	if (e == ERR_MALFORMED && msg && !msg->text[0])
		bad(&l, "cut off");
	free(l.nodes);
	free(l.folders);
	return e;
}

void vfs_memory_drop_orphans(struct vfs_obj *root)
{
	struct mem_fs *fs = mem_fs_of(root);
	struct mem_node *next;
	for (struct mem_node *n = fs->nodes; n; n = next) {
		next = n->next;
		mem_node_check(fs, n);
	}
}
