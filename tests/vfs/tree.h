/* tree.h - folders to test on: the same tree on the host (walked in both ways) and in memory. */
#pragma once

#include "vfs/vfs.h"

/* What a test runs on. */
enum kind { HOST_BEST, HOST_COMPONENTS, MEMORY, KINDS };
extern const char *const kind_names[KINDS];

struct tree {
	enum kind kind;
	struct vfs_obj *root; /* the mount */
	char base[64]; /* host folder: base/mount is the root, base/outside/secret lies beside it */
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
