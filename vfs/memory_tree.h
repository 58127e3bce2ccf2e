/* memory_tree.h - the tree behind vfs/memory.h: shared by memory.c (operations) and memory_save.c (bytes). */
#pragma once

#include "vfs/memory.h"

enum { MEM_NODE_PRICE = 256 }; /* bytes a node, and a name, count against the limit */

struct mem_node;

struct mem_entry {
	char *name; /* owned */
	uint32_t hash;
	struct mem_node *node;
	uint64_t cookie; /* grows with each entry of the folder */
};

struct mem_node {
	struct mem_node *prev, *next; /* all nodes of the tree */
	uint64_t ino;
	uint64_t atime_ns, mtime_ns, ctime_ns;
	uint32_t nlink; /* names */
	uint32_t opens; /* objects */
	uint8_t type;   /* file, folder, symbolic link or named pipe */
	uint16_t mode;  /* permission bits: the owner's are what anybody may do */

	uint8_t *data; /* contents, or a link's target */
	uint64_t size_bytes, cap_bytes;

	struct mem_entry *entries; /* in the order of cookies; 1 and 2 are "." and ".." */
	uint32_t nentries, entries_cap;
	uint64_t next_cookie;
	struct mem_node *parent; /* of a folder; NULL for the root and removed ones */
};

struct mem_fs {
	uint32_t objs; /* open objects: the last one frees the tree */
	uint64_t limit_bytes, used_bytes;
	uint64_t next_ino;
	struct mem_node *nodes;
	struct mem_node *root;
};

struct mem_obj {
	struct vfs_obj base;
	struct mem_fs *fs;
	struct mem_node *node;
};

struct mem_fs *mem_fs_of(struct vfs_obj *o);
struct mem_node *mem_node_of(struct vfs_obj *o);
enum ferr mem_fs_new(uint64_t limit_bytes, struct mem_fs **out); /* no root yet */
void mem_fs_free(struct mem_fs *fs);
enum ferr mem_fs_open_root(struct mem_fs *fs, struct vfs_obj **root);
/* Without a name, not open: mem_add it, or mem_node_check frees it. */
enum ferr mem_node_new(struct mem_fs *fs, enum vfs_type type, struct mem_node **out);
/* Frees a node that has no name and is not open. */
void mem_node_check(struct mem_fs *fs, struct mem_node *n);
struct mem_entry *mem_find(const struct mem_node *dir, const char *name);
enum ferr mem_add(struct mem_fs *fs, struct mem_node *dir, const char *name, struct mem_node *n);
