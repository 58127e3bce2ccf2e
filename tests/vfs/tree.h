/* tree.h - folders to test on: the same tree on the host (walked in both ways) and in memory. */
#pragma once

#include "vfs/vfs.h"

/* What a test runs on. */
enum kind { HOST_BEST, HOST_COMPONENTS, MEMORY, KINDS };
extern const char *const kind_names[KINDS];

struct tree {
	enum kind kind;
	struct vfs_obj *root; /* the mount */
	char
	    base[200]; /* host folder: base/mount is the root, base/outside/secret lies beside it */
	bool has_links; /* false: symbolic links cannot be made here (wine) */
};

/* An empty mount beside a folder "outside" with a file "secret". */
struct tree tree_new(enum kind kind);
void tree_free(struct tree *t);

/* Aborts the test when it does not work. */
void tree_mkdir(struct tree *t, const char *path);
void tree_file(struct tree *t, const char *path, const char *text);
/* Also targets that vfs_symlink() refuses, as somebody else may have made them: false where that cannot be (memory). */
bool tree_symlink(struct tree *t, const char *target, const char *path);
/* The contents, or NULL when it cannot be opened (borrowed until the next call). */
const char *tree_read(struct tree *t, const char *path);

/* ---- what each system does in its own way (tree_linux.c, tree_windows.c) ---- */

/* A fresh folder with "mount" and "outside/secret" in it. */
void host_make(char *base, size_t size);
void host_remove(const char *base);
/* A symbolic link with any target. False: not to be had. */
bool host_link(const char *target, const char *path);
bool host_exists(const char *path);
/* A folder is renamed though a file in it is open, and the file knows its new name. */
bool host_renames_open_folders(void);
/* An open file knows its name after it was renamed by another handle. */
bool host_follows_renames(void);
/* A pipe's ends as the C library's numbers. */
void host_pipe(int fds[2]);
