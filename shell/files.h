/* files.h - what the commands about files share (ls, cat, cp, mv, rm, stat, du, find): names of files everywhere, walks, copies.
 *
 * A name is one of the tree of all devices, or of this host:
 *
 *	laptop:docs/plan     the file plan of the share docs of the device laptop: /net/laptop/docs/plan
 *	laptop:              what laptop shares
 *	:/home/plan          a path of the tree itself, as programs of WasmOS see it; ":" is its root
 *	plan  ./a:b  C:\plan a file of this host
 *
 * A device is what stands before the first colon, if that is two characters or more, has no slash in it and does not begin with a dot: a single
 * letter is a drive of Windows, on every system, so that a script means the same everywhere (`:/net/x/...` names a device called "x").
 *
 *	struct files f = {.sh = sh};
 *	if ((status = files_place(&f, "laptop:docs", &p)) == 0) ... vfs_stat_at(p.root, p.path, true, &st) ...
 *	files_end(&f);
 */
#pragma once

#include "shell/shell.h"
#include "vfs/vfs.h"

struct tree;

/* A name: path below root. */
struct place {
	struct vfs_obj *root; /* borrowed from files */
	bool is_far;          /* of the tree */
	const char *given;    /* as it was typed */
	char path[VFS_PATH_MAX];
	char name[VFS_NAME_MAX + 1]; /* the last one; empty for a root */
};

enum { FILES_ROOTS_MAX = 64 };

struct files {
	struct shell *sh;
	struct tree *tree;                      /* once one is needed */
	struct vfs_obj *hosts[FILES_ROOTS_MAX]; /* folders of this host */
	uint32_t nhosts;
	uint64_t began_ns, shown_ns; /* of what is copied, for people who wait */
	uint64_t bytes;
	bool holds; /* interrupts are only looked at */
};

/* 0, else the exit status, after saying why. */
int files_place(struct files *f, const char *given, struct place *out);
void files_end(struct files *f);
/* Says "NAME: why". Returns 1. */
int files_fail(const struct files *f, const char *given, enum ferr e);
/* The same for a path below a place's root. */
int files_fail_at(const struct files *f, const struct place *p, const char *path, enum ferr e);
/* The place called name in the folder. */
enum ferr files_below(const struct place *dir, const char *name, struct place *out);

/* The names in a folder, without "." and "..", sorted; free()d by files_names_free(). */
enum ferr files_names(const struct place *dir, char ***out, size_t *count);
void files_names_free(char **names, size_t count);

/* Reads all of a file. */
enum ferr files_read(struct vfs_obj *o, enum ferr (*fn)(void *ctx, const void *bytes, size_t size),
                     void *ctx);
/* What a file or (whole) a tree is, to where nothing but a file may stand: under another name first, so that what was there stays until
 * the new one is whole. Says what went wrong. */
int files_copy(struct files *f, const struct place *from, const struct place *to, bool whole);
/* Removes it, whole: and all below it. Says what went wrong. */
int files_remove(struct files *f, const struct place *p, bool whole);

/* "file", "folder", "link" or "special". */
const char *files_type(const struct vfs_stat *st);
