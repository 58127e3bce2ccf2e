/* files.c - names of files, in the tree of all devices and on this host; copies and removals of them. */
#include "shell/files.h"

#include "base/crypto.h"
#include "base/file.h"
#include "shell/console.h"
#include "shell/internal.h"
#include "shell/system.h"
#include "shell/tree.h"
#include "vfs/host.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COPY_BYTES = 256 << 10, DEPTH_MAX = 512 };

/* ---- names ---- */

/* The device's part of a name; -1: a name of this host. */
static int device_size(const char *given)
{
	size_t n = strcspn(given, ":/\\");
	if (given[n] != ':' || n == 1 || given[0] == '.')
		return -1;
	return (int)n;
}

/* Without ".", empty names and ".." (which leads up by name). */
static bool clean(const char *path, char out[VFS_PATH_MAX])
{
	size_t size = 0, n;
	for (; *path; path += n) {
		path += strspn(path, "/");
		n = strcspn(path, "/");
		if (!n || (n == 1 && *path == '.'))
			continue;
		if (n == 2 && !memcmp(path, "..", 2)) {
			while (size && out[--size] != '/')
				;
			continue;
		}
		if (size + n + 2 > VFS_PATH_MAX)
			return false;
		if (size)
			out[size++] = '/';
		memcpy(out + size, path, n);
		size += n;
	}
	out[size] = 0;
	return true;
}

static bool set_name(struct place *p)
{
	const char *slash = strrchr(p->path, '/'), *name = slash ? slash + 1 : p->path;
	if (strlen(name) > VFS_NAME_MAX)
		return false;
	strcpy(p->name, name);
	if (!p->path[0])
		strcpy(p->path, ".");
	return true;
}

static int far_place(struct files *f, const char *given, int device, struct place *out)
{
	char whole[VFS_PATH_MAX + 8];
	int n =
	    device ? snprintf(whole, sizeof whole, "net/%.*s/%s", device, given, given + device + 1)
	           : snprintf(whole, sizeof whole, "%s", given + 1);
	if (n >= (int)sizeof whole || !clean(whole, out->path) || !set_name(out))
		return files_fail(f, given, FE_NAMETOOLONG);
	if (!f->tree && tree_open(f->sh, &f->tree) != 0)
		return 1;
	out->root = tree_root(f->tree);
	return 0;
}

static int host_root(struct files *f, const char *given, const char *folder, struct place *out)
{
	struct errmsg msg = {0};
	if (f->nhosts == FILES_ROOTS_MAX)
		return shell_fail(f->sh, "at most %d names of this host at once", FILES_ROOTS_MAX);
	if (vfs_host_new(folder, VFS_WALK_BEST, &out->root, &msg) != ERR_OK)
		return shell_fail(f->sh, "%s: %s", given, msg.text);
	f->hosts[f->nhosts++] = out->root;
	return 0;
}

/* path: absolute. Its folder becomes the root, so that it can be renamed. */
static int host_split(struct files *f, const char *given, char *path, struct place *out)
{
	char *last = (char *)path_last(path);
	if (strlen(last) >= sizeof out->name)
		return files_fail(f, given, FE_NAMETOOLONG);
	strcpy(out->name, last);
	strcpy(out->path, *last ? last : ".");
	*last = 0;
	return host_root(f, given, path, out);
}

static int host_place(struct files *f, const char *given, struct place *out)
{
	char *path = path_resolve(given);
	if (!path) { /* nothing there, or a symbolic link that leads nowhere */
		char *whole = path_absolute(given);
		for (size_t n = whole ? strlen(whole) : 0; n > 1 && strchr("/\\", whole[n - 1]);)
			whole[--n] = 0;
		path = whole;
	}
	int status = path ? host_split(f, given, path, out) : files_fail(f, given, FE_NOENT);
	free(path);
	return status;
}

int files_place(struct files *f, const char *given, struct place *out)
{
	int device = device_size(given);
	*out = (struct place){.given = given, .is_far = device >= 0};
	if (!given[0])
		return shell_usage(f->sh, "an empty name");
	return device >= 0 ? far_place(f, given, device, out) : host_place(f, given, out);
}

void files_end(struct files *f)
{
	for (uint32_t i = 0; i < f->nhosts; i++)
		vfs_unref(f->hosts[i]);
	tree_close(f->tree);
}

enum ferr files_below(const struct place *dir, const char *name, struct place *out)
{
	size_t n = strcmp(dir->path, ".") ? strlen(dir->path) : 0, size = strlen(name);
	if (n + size + 2 > VFS_PATH_MAX || size > VFS_NAME_MAX)
		return FE_NAMETOOLONG;
	char path[VFS_PATH_MAX];
	memcpy(path, dir->path, n);
	if (n)
		path[n++] = '/';
	memcpy(path + n, name, size + 1);
	out->root = dir->root;
	out->is_far = dir->is_far;
	out->given = dir->given;
	strcpy(out->path, path);
	strcpy(out->name, name);
	return FE_OK;
}

/* ---- errors ---- */

static const char *text_of(enum ferr e)
{
	switch (e) {
	case FE_HOSTDOWN:
	case FE_HOSTUNREACH: return "the device is not there now";
	case FE_NOTCAPABLE: return "leads out of the folder that is shared";
	case FE_INTR: return "interrupted";
	default: return ferr_text(e);
	}
}

int files_fail(const struct files *f, const char *given, enum ferr e)
{
	char name[VFS_PATH_MAX];
	snprintf(name, sizeof name, "%s", given);
	text_for_people(name);
	return shell_fail(f->sh, "%s: %s", name, text_of(e));
}

int files_fail_at(const struct files *f, const struct place *p, const char *path, enum ferr e)
{
	char name[VFS_PATH_MAX + 2];
	snprintf(name, sizeof name, "%s%s", p->is_far ? ":/" : "", path);
	return files_fail(f, p->is_far ? name : path, e);
}

static int fail(const struct files *f, const struct place *p, enum ferr e)
{
	return files_fail_at(f, p, p->path, e);
}

const char *files_type(const struct vfs_stat *st)
{
	return st->type == VFS_TYPE_FILE      ? "file"
	       : st->type == VFS_TYPE_DIR     ? "folder"
	       : st->type == VFS_TYPE_SYMLINK ? "link"
	                                      : "special";
}

/* ---- folders ---- */

struct names {
	char **at;
	size_t count, cap;
	bool failed;
};

static bool keep_name(void *ctx, const struct vfs_dirent *e)
{
	struct names *n = ctx;
	if ((e->name_size == 1 && e->name[0] == '.') ||
	    (e->name_size == 2 && !memcmp(e->name, "..", 2)))
		return true;
	if (n->count == n->cap) {
		size_t cap = n->cap ? 2 * n->cap : 64;
		char **p = realloc(n->at, cap * sizeof *p);
		n->failed = !p;
		if (!p)
			return false;
		n->at = p;
		n->cap = cap;
	}
	char *copy = malloc(e->name_size + 1);
	n->failed = !copy;
	if (!copy)
		return false;
	memcpy(copy, e->name, e->name_size);
	copy[e->name_size] = 0;
	n->at[n->count++] = copy;
	return true;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

enum ferr files_names(const struct place *dir, char ***out, size_t *count)
{
	struct names n = {0};
	struct vfs_obj *o;
	FTRY(vfs_open(dir->root, dir->path, VFS_READ | VFS_DIRECTORY, &o));
	enum ferr e = vfs_readdir(o, 0, keep_name, &n);
	vfs_unref(o);
	if (e == FE_OK && n.failed)
		e = FE_NOMEM;
	if (e != FE_OK) {
		files_names_free(n.at, n.count);
		return e;
	}
	if (n.count)
		qsort(n.at, n.count, sizeof *n.at, by_name);
	*out = n.at;
	*count = n.count;
	return FE_OK;
}

void files_names_free(char **names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(names[i]);
	free(names);
}

/* ---- what a person sees while it lasts ---- */

static bool is_shown(const struct files *f)
{
	return !f->sh->json && console_is_terminal(2);
}

static void show(struct files *f, const char *name, uint64_t done, uint64_t total)
{
	enum { FIRST_NS = 1000000000, STEP_NS = 200000000, WIDTH = 24 };
	uint64_t now = os_monotonic_ns(), spent = now - f->began_ns;
	if (spent < FIRST_NS || now - f->shown_ns < STEP_NS || !is_shown(f))
		return;
	char bar[WIDTH + 1] = {0}, text[41];
	double part = total ? (double)done / (double)total : 1;
	for (int i = 0; i < WIDTH; i++)
		bar[i] = part * WIDTH > i ? '#' : '.';
	snprintf(text, sizeof text, "%s", name);
	text_for_people(text);
	fprintf(stderr, "\r\033[K%-20s [%s] %3d %%  %.1f MiB  %.1f MiB/s", text, bar,
	        part < 1 ? (int)(part * 100) : 100, (double)f->bytes / (1 << 20),
	        (double)f->bytes / (1 << 20) / ((double)spent / 1e9));
	f->shown_ns = now;
}

static void hide(struct files *f)
{
	if (f->shown_ns)
		fputs("\r\033[K", stderr);
	f->shown_ns = 0;
}

/* ---- contents ---- */

enum ferr files_read(struct vfs_obj *o, enum ferr (*fn)(void *ctx, const void *bytes, size_t size),
                     void *ctx)
{
	enum ferr e = FE_OK;
	uint64_t offset = 0;
	uint8_t *buf = malloc(COPY_BYTES);
	while (buf && e == FE_OK) {
		size_t done = 0;
		struct vfs_iov iov = {.p = buf, .size = COPY_BYTES};
		e = vfs_read(o, offset, &iov, 1, &done);
		if (e != FE_OK || !done)
			break;
		offset += done;
		e = fn(ctx, buf, done);
	}
	free(buf);
	return buf ? e : FE_NOMEM;
}

struct copy {
	struct files *f;
	const char *name;
	struct vfs_obj *to;
	uint64_t offset, total;
};

static enum ferr write_part(void *ctx, const void *bytes, size_t size)
{
	struct copy *c = ctx;
	for (size_t at = 0; at < size;) {
		size_t done = 0;
		uint64_t end;
		struct vfs_iov iov = {.p = (uint8_t *)(uintptr_t)bytes + at, .size = size - at};
		FTRY(vfs_write(c->to, c->offset, 0, &iov, 1, &done, &end));
		if (!done)
			return FE_NOSPC;
		at += done;
		c->offset += done;
		c->f->bytes += done;
		if (system_is_interrupted())
			return FE_INTR;
	}
	show(c->f, c->name, c->offset, c->total);
	return FE_OK;
}

/* Beside where the file is to stand. */
static enum ferr other_name(const struct place *to, struct place *out)
{
	uint32_t number;
	char name[VFS_NAME_MAX + 1];
	crypto_random(&number, sizeof number);
	if (snprintf(name, sizeof name, ".%.200s.wasmos-%08" PRIx32, to->name, number) < 0)
		return FE_NAMETOOLONG;
	*out = *to;
	size_t n = strlen(to->path) - strlen(to->name), size = strlen(name);
	if (n + size + 1 > VFS_PATH_MAX)
		return FE_NAMETOOLONG;
	memcpy(out->path + n, name, size + 1);
	return FE_OK;
}

static enum ferr keep_facts(struct vfs_obj *o, const struct vfs_stat *st)
{
	struct vfs_times t = {.atime_how = VFS_TIME_SET,
	                      .mtime_how = VFS_TIME_SET,
	                      .atime_ns = st->atime_ns,
	                      .mtime_ns = st->mtime_ns};
	enum ferr e = st->has_mode ? vfs_set_mode(o, st->mode & 0777) : FE_OK;
	if (e == FE_OK || e == FE_NOTSUP)
		e = vfs_set_times(o, &t);
	return e == FE_NOTSUP ? FE_OK : e;
}

static enum ferr fill(struct files *f, const struct place *from, const struct vfs_stat *st,
                      const struct place *temporary)
{
	struct vfs_obj *source, *target;
	FTRY(vfs_open(from->root, from->path, VFS_READ, &source));
	enum ferr e = vfs_open(
	    temporary->root, temporary->path,
	    VFS_WRITE | VFS_CREATE | VFS_EXCLUSIVE | VFS_NOFOLLOW | VFS_MODE(0600), &target);
	if (e == FE_OK) {
		struct copy c = {.f = f, .name = from->name, .to = target, .total = st->size_bytes};
		e = files_read(source, write_part, &c);
		if (e == FE_OK)
			e = keep_facts(target, st);
		if (e == FE_OK)
			e = vfs_sync(target, false);
		vfs_unref(target);
	}
	vfs_unref(source);
	return e;
}

static enum ferr copy_file(struct files *f, const struct place *from, const struct vfs_stat *st,
                           const struct place *to)
{
	struct place temporary;
	FTRY(other_name(to, &temporary));
	enum ferr e = fill(f, from, st, &temporary);
	if (e == FE_OK)
		e = vfs_rename(temporary.root, temporary.path, to->root, to->path);
	if (e != FE_OK && e != FE_EXIST)
		vfs_unlink(temporary.root, temporary.path);
	return e;
}

static enum ferr copy_link(const struct place *from, const struct place *to)
{
	struct place temporary;
	char text[VFS_PATH_MAX];
	size_t size = sizeof text - 1;
	FTRY(vfs_readlink(from->root, from->path, text, &size));
	text[size] = 0;
	FTRY(other_name(to, &temporary));
	FTRY(vfs_symlink(temporary.root, text, temporary.path));
	enum ferr e = vfs_rename(temporary.root, temporary.path, to->root, to->path);
	if (e != FE_OK)
		vfs_unlink(temporary.root, temporary.path);
	return e;
}

static int copy_any(struct files *f, const struct place *from, const struct place *to, int depth);

static int copy_names(struct files *f, const struct place *from, const struct place *to, int depth)
{
	char **names;
	size_t count;
	int status = 0;
	enum ferr e = files_names(from, &names, &count);
	if (e != FE_OK)
		return fail(f, from, e);
	struct place *two = malloc(2 * sizeof *two);
	for (size_t i = 0; two && i < count && !system_is_interrupted(); i++) {
		e = files_below(from, names[i], &two[0]);
		if (e == FE_OK)
			e = files_below(to, names[i], &two[1]);
		status |= e == FE_OK ? copy_any(f, &two[0], &two[1], depth + 1) : fail(f, from, e);
	}
	files_names_free(names, count);
	free(two);
	return two ? status : fail(f, from, FE_NOMEM);
}

static int copy_folder(struct files *f, const struct place *from, const struct vfs_stat *st,
                       const struct place *to, int depth)
{
	struct vfs_times t = {
	    .atime_how = VFS_TIME_KEEP, .mtime_how = VFS_TIME_SET, .mtime_ns = st->mtime_ns};
	if (depth == DEPTH_MAX)
		return fail(f, from, FE_NAMETOOLONG);
	enum ferr e = vfs_mkdir(to->root, to->path);
	bool made = e == FE_OK;
	if (e != FE_OK && e != FE_EXIST)
		return fail(f, to, e);
	int status = copy_names(f, from, to, depth);
	if (made && st->has_mode)
		vfs_set_mode_at(to->root, to->path, false, st->mode & 0777);
	if (made && st->mtime_ns)
		vfs_set_times_at(to->root, to->path, false, &t);
	return status;
}

static int copy_any(struct files *f, const struct place *from, const struct place *to, int depth)
{
	struct vfs_stat st;
	enum ferr e = vfs_stat_at(from->root, from->path, false, &st);
	if (e == FE_OK && st.type == VFS_TYPE_DIR)
		return copy_folder(f, from, &st, to, depth);
	if (e == FE_OK)
		e = st.type == VFS_TYPE_FILE      ? copy_file(f, from, &st, to)
		    : st.type == VFS_TYPE_SYMLINK ? copy_link(from, to)
		                                  : FE_NOTSUP;
	return e == FE_OK ? 0 : (hide(f), fail(f, from, e));
}

/* Whether a folder is copied into itself: by where it stands, since a device answers for its own files only. */
static bool lies_in(const struct place *inner, const struct place *outer)
{
	struct vfs_stat a, b;
	size_t n = strlen(outer->path);
	if (inner->is_far != outer->is_far)
		return false;
	if (inner->is_far)
		return !strncmp(inner->path, outer->path, n) &&
		       (!inner->path[n] || inner->path[n] == '/');
	return vfs_stat_at(inner->root, ".", true, &a) == FE_OK &&
	       vfs_stat_at(outer->root, outer->path, true, &b) == FE_OK && a.dev == b.dev &&
	       a.ino == b.ino;
}

static bool is_same(const struct place *from, const struct vfs_stat *st, const struct place *to)
{
	struct vfs_stat there;
	return from->is_far == to->is_far &&
	       vfs_stat_at(to->root, to->path, false, &there) == FE_OK && there.dev == st->dev &&
	       there.ino == st->ino && !strcmp(from->name, to->name) &&
	       (from->is_far ? !strcmp(from->path, to->path) : true);
}

/* Of a copy's two sides the one that an error is likely about. */
static const struct place *side_of(enum ferr e, const struct place *from, const struct place *to)
{
	bool is_target = e == FE_ISDIR || e == FE_ROFS || e == FE_NOSPC || e == FE_DQUOT ||
	                 (to->is_far && !from->is_far);
	return is_target ? to : from;
}

int files_copy(struct files *f, const struct place *from, const struct place *to, bool whole)
{
	struct vfs_stat st;
	enum ferr e = vfs_stat_at(from->root, from->path, !whole, &st);
	if (e != FE_OK)
		return files_fail(f, from->given, e);
	if (st.type == VFS_TYPE_DIR && !whole)
		return shell_fail(f->sh, "%s: is a folder; -r copies it with all below it",
		                  from->given);
	if (is_same(from, &st, to) || (st.type == VFS_TYPE_DIR && lies_in(to, from)))
		return shell_fail(f->sh, "%s: cannot be copied onto or into itself", from->given);
	if (!f->holds)
		system_hold_interrupts();
	f->holds = true;
	if (!f->began_ns)
		f->began_ns = os_monotonic_ns();
	int status = 0;
	if (whole)
		status = copy_any(f, from, to, 0);
	else if (st.type != VFS_TYPE_FILE)
		status = files_fail(f, from->given, FE_NOTSUP);
	else if ((e = copy_file(f, from, &st, to)) != FE_OK)
		status = (hide(f), fail(f, side_of(e, from, to), e));
	hide(f);
	return status;
}

/* ---- removing ---- */

static int remove_any(struct files *f, const struct place *p, bool whole, int depth)
{
	struct vfs_stat st;
	enum ferr e = vfs_stat_at(p->root, p->path, false, &st);
	if (e != FE_OK)
		return fail(f, p, e);
	if (st.type != VFS_TYPE_DIR)
		return (e = vfs_unlink(p->root, p->path)) == FE_OK ? 0 : fail(f, p, e);
	char **names;
	size_t count = 0;
	int status = 0;
	if (!whole)
		return shell_fail(f->sh, "%s: is a folder; -r removes it with all below it",
		                  p->given);
	e = depth == DEPTH_MAX ? FE_NAMETOOLONG : files_names(p, &names, &count);
	if (e != FE_OK)
		return fail(f, p, e);
	struct place *inner = malloc(sizeof *inner);
	for (size_t i = 0; inner && i < count; i++) {
		e = files_below(p, names[i], inner);
		status |= e == FE_OK ? remove_any(f, inner, whole, depth + 1) : fail(f, p, e);
	}
	files_names_free(names, count);
	free(inner);
	if (status)
		return status;
	return (e = vfs_rmdir(p->root, p->path)) == FE_OK ? 0 : fail(f, p, e);
}

int files_remove(struct files *f, const struct place *p, bool whole)
{
	return remove_any(f, p, whole, 0);
}
