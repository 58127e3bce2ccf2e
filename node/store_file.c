/* store_file.c - the pages of LMDB's file (0.9, 64-bit, little-endian), as far as a look at its trees needs.
 *
 *	page    u64 number, u16, u16 flags, u16 lower, u16 upper, then u16 places of its nodes, up to `lower`
 *	meta    pages 0 and 1: header (16), u32 magic, u32 version, u64, u64, tree FREE, tree MAIN, u64 last page, u64 transaction
 *	tree    u32 page size (FREE's), u16, u16, u64 branches, leaves, overflows, entries, root       48 bytes
 *	node    u16 low, u16 high, u16 flags, u16 key size, key, then in a leaf its data
 *	        branch: the child is low | high << 16 | flags << 32; leaf: the data have low | high << 16 bytes
 *
 * A file may be shorter than its last page and whole: pages at the end that were freed in the transaction that made them were never
 * written. So of a short file the trees are walked, by reads that may fail, and each page in them must be there.
 */
#include "node/store_file.h"

#include "base/bytes.h"
#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	HEADER = 16,
	TREE = 48,
	TREE_ROOT = 40,
	META_TREES = HEADER + 24,
	META_SIZE = HEADER + 136,
	NODE = 8,
	PAGE_MIN = 512,
	PAGE_MAX = 65536,
	DEPTH_MAX = 32, /* LMDB's own limit */
};
enum { PAGE_BRANCH = 1, PAGE_LEAF = 2 };
enum { NODE_BIG = 1, NODE_TREE = 2 };

#define MAGIC 0xBEEFC0DEu
#define NO_PAGE UINT64_MAX

struct look {
	struct file *file;
	uint64_t size_bytes;
	uint64_t last;   /* page */
	uint64_t budget; /* pages still to be visited: a damaged file may go in circles */
	uint32_t page_bytes;
};

static uint64_t get(const uint8_t *p, size_t bytes)
{
	uint64_t v = 0;
	while (bytes-- > 0)
		v = v << 8 | p[bytes];
	return v;
}

/* ---- which state the file is in ---- */

struct meta {
	uint32_t page_bytes;
	uint64_t roots[2], last, transaction;
};

static bool read_meta(struct file *f, uint64_t at, struct meta *m)
{
	uint8_t b[META_SIZE];
	if (file_read(f, b, sizeof b, at, NULL) != ERR_OK || get(b + HEADER, 4) != MAGIC)
		return false;
	m->page_bytes = (uint32_t)get(b + META_TREES, 4);
	m->roots[0] = get(b + META_TREES + TREE_ROOT, 8);
	m->roots[1] = get(b + META_TREES + TREE + TREE_ROOT, 8);
	m->last = get(b + META_TREES + 2 * TREE, 8);
	m->transaction = get(b + META_TREES + 2 * TREE + 8, 8);
	return m->page_bytes >= PAGE_MIN && m->page_bytes <= PAGE_MAX &&
	       m->last < UINT64_MAX / PAGE_MAX;
}

/* ---- its trees ---- */

static bool has_pages(const struct look *l, uint64_t first, uint64_t count)
{
	return first <= l->last && count <= l->last - first + 1 &&
	       (first + count) * l->page_bytes <= l->size_bytes;
}

static bool walk(struct look *l, uint64_t page, int depth);

static bool walk_leaf_node(struct look *l, const uint8_t *node, const uint8_t *end, int depth)
{
	uint64_t size = get(node, 4), key = get(node + 6, 2), flags = get(node + 4, 2);
	if ((uint64_t)(end - node) < NODE + key)
		return false;
	const uint8_t *data = node + NODE + key;
	size_t left = (size_t)(end - data);
	if (flags & NODE_BIG)
		return left >= 8 &&
		       has_pages(l, get(data, 8), (HEADER - 1 + size) / l->page_bytes + 1);
	if (flags & NODE_TREE)
		return left >= TREE && walk(l, get(data + TREE_ROOT, 8), depth + 1);
	return true;
}

static bool walk_nodes(struct look *l, const uint8_t *page, int depth)
{
	uint64_t flags = get(page + 10, 2), lower = get(page + 12, 2);
	if (!(flags & (PAGE_BRANCH | PAGE_LEAF)) || lower < HEADER || lower > l->page_bytes)
		return false;
	for (uint64_t i = HEADER; i + 2 <= lower; i += 2) {
		uint64_t at = get(page + i, 2);
		const uint8_t *node = page + at;
		if (at + NODE > l->page_bytes)
			return false;
		bool whole = flags & PAGE_BRANCH
		                 ? walk(l, get(node, 4) | get(node + 4, 2) << 32, depth + 1)
		                 : walk_leaf_node(l, node, page + l->page_bytes, depth);
		if (!whole)
			return false;
	}
	return true;
}

/* Whether every page of the tree is in the file. */
static bool walk(struct look *l, uint64_t page, int depth)
{
	if (page == NO_PAGE)
		return true;
	if (depth == DEPTH_MAX || l->budget-- == 0 || !has_pages(l, page, 1))
		return false;
	uint8_t *bytes = malloc(l->page_bytes);
	bool whole =
	    bytes &&
	    file_read(l->file, bytes, l->page_bytes, page * l->page_bytes, NULL) == ERR_OK &&
	    walk_nodes(l, bytes, depth);
	free(bytes);
	return whole;
}

static bool is_whole(struct file *f, uint64_t size_bytes, uint64_t *needed)
{
	struct meta m, second;
	if (!read_meta(f, 0, &m))
		return true; /* LMDB tells what it is */
	*needed = 2 * (uint64_t)m.page_bytes;
	if (size_bytes < *needed)
		return false;
	if (read_meta(f, m.page_bytes, &second) && second.transaction > m.transaction)
		m = second;
	*needed = (m.last + 1) * m.page_bytes;
	struct look l = {f, size_bytes, m.last, m.last + 1, m.page_bytes};
	return size_bytes >= *needed || (walk(&l, m.roots[0], 0) && walk(&l, m.roots[1], 0));
}

/* ---- what is said ---- */

static enum err refuse(struct errmsg *msg, const char *dir, const char *how)
{
	return err_set(msg, ERR_MALFORMED,
	               "%s/data.mdb is damaged: %s. Bring it back from a copy; without the folder "
	               "store (removed) paired devices and sleeping programs are forgotten",
	               dir, how);
}

static enum err check_file(struct file *f, uint64_t size_bytes, const char *dir, struct errmsg *msg)
{
	char how[96];
	uint64_t needed = 0;
	if (is_whole(f, size_bytes, &needed))
		return ERR_OK;
	snprintf(how, sizeof how, "it was cut short, to %llu of %llu bytes",
	         (unsigned long long)size_bytes, (unsigned long long)needed);
	return refuse(msg, dir, how);
}

static bool was_used(const char *dir)
{
	struct file *f;
	struct file_info info;
	char path[4200];
	snprintf(path, sizeof path, "%s/used", dir);
	if (file_open(path, &f, &info, NULL) != ERR_OK)
		return false;
	file_close(f);
	return true;
}

enum err store_file_check(const char *dir, struct errmsg *msg)
{
	struct file *f;
	struct file_info info;
	char path[4200];
	snprintf(path, sizeof path, "%s/data.mdb", dir);
	enum err e = file_open(path, &f, &info, NULL);
	if (e == ERR_NOTFOUND)
		return was_used(dir) ? refuse(msg, dir, "it is gone") : ERR_OK;
	if (e != ERR_OK)
		return ERR_OK; /* LMDB tells why */
	if (info.size_bytes > 0)
		e = check_file(f, info.size_bytes, dir, msg);
	else if (was_used(dir))
		e = refuse(msg, dir, "it is empty");
	file_close(f);
	return e;
}

void store_file_used(const char *dir)
{
	static const char text[] = "data.mdb beside this file is in use since the first start.\n";
	struct dir *d;
	if (was_used(dir) || dir_open(dir, 0, &d, NULL) != ERR_OK)
		return;
	dir_replace(d, "used", text, sizeof text - 1, NULL);
	dir_close(d);
}
