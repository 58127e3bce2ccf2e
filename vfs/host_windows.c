/* host_windows.c - a folder of the host, on Windows.
 *
 * Every path is walked by vfs/walk.h, one folder's handle after another; each name is opened relative to a handle and
 * nothing is followed but by the walk, which reads the text of symbolic links and junctions itself. So neither "..", a
 * drive ("C:x"), a junction, a stream ("f:s") nor a device's name leads out. A short name ("PROGRA~1") is one more name
 * of a file in the same folder, and as everywhere on Windows the case of letters is kept and makes no difference.
 *
 * What differs from POSIX stands in docs/PLATFORMS.md.
 */
#include "vfs/host.h"

#include "vfs/host_names.h"
#include "vfs/nt_windows.h"

#include "base/utf16.h"
#include "base/wide_windows.h"

#include <stdlib.h>
#include <string.h>

/* ---- objects ---- */

struct entry {
	uint64_t ino;
	uint32_t name_at;
	uint16_t name_size;
	uint8_t type;
};

/* What a folder held when it was last listed from its start; a cookie is the number of an entry, from 1. */
struct listing {
	struct entry *entries;
	char *names;
	size_t count, room, names_size, names_room;
};

struct host_obj {
	struct vfs_obj base;
	HANDLE h;
	uint64_t volume;
	bool writes;
	struct listing list;
};

static const struct vfs_ops host_ops;

bool vfs_is_host(const struct vfs_obj *o)
{
	return o->ops == &host_ops;
}

static struct host_obj *host_of(struct vfs_obj *o)
{
	return (struct host_obj *)o;
}

/* Takes the handle. */
static enum ferr obj_of(HANDLE h, uint64_t volume, bool writes, struct vfs_obj **out)
{
	struct nt_info info;
	struct host_obj *o = NULL;
	enum ferr e = nt_query(h, &info);
	if (e == FE_OK && !(o = calloc(1, sizeof *o)))
		e = FE_NOMEM;
	if (e != FE_OK) {
		CloseHandle(h);
		return e;
	}
	vfs_obj_init(&o->base, &host_ops, nt_type(info.attributes, info.tag));
	o->h = h;
	o->volume = volume;
	o->writes = writes;
	*out = &o->base;
	return FE_OK;
}

/* ---- homes ---- */

static bool is_file(HANDLE dir, const char *name)
{
	struct nt_info info;
	return nt_query_name(dir, name, &info) == FE_OK &&
	       nt_type(info.attributes, info.tag) == VFS_TYPE_FILE;
}

/* The home of a node, told by what is in it: a folder has many names. What a walk came through is looked at one by one, so a
 * folder in a home is out of reach too. */
static bool is_home(HANDLE dir)
{
	return is_file(dir, HOST_HOME_KEY) && is_file(dir, HOST_HOME_LOCK);
}

/* The folder that h, which is to be given to a guest, lies in. NULL: none, or it cannot be looked at. */
static HANDLE parent_of(HANDLE h)
{
	enum { UNITS = 32768 };
	wchar_t *path = malloc(UNITS * sizeof *path), *end;
	DWORD units = path ? GetFinalPathNameByHandleW(h, path, UNITS, VOLUME_NAME_DOS) : 0;
	HANDLE up = INVALID_HANDLE_VALUE;
	if (units && units < UNITS && (end = wcsrchr(path, L'\\'))) {
		end[1] = 0;
		up = CreateFileW(path, FILE_LIST_DIRECTORY | FILE_READ_ATTRIBUTES | SYNCHRONIZE,
		                 FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL,
		                 OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS, NULL);
	}
	free(path);
	return up == INVALID_HANDLE_VALUE ? NULL : up;
}

static bool is_in_home(HANDLE h)
{
	HANDLE up = parent_of(h);
	bool in = is_home(h) || (up && is_home(up));
	if (up)
		CloseHandle(up);
	return in;
}

static void list_free(struct listing *l)
{
	free(l->entries);
	free(l->names);
	*l = (struct listing){0};
}

static void host_close(struct vfs_obj *o)
{
	CloseHandle(host_of(o)->h);
	list_free(&host_of(o)->list);
	free(o);
}

enum err vfs_host_new(const char *host_path, enum vfs_host_walk walk, struct vfs_obj **root,
                      struct errmsg *msg)
{
	wchar_t *wide = wide_path(host_path);
	if (!wide)
		return err_set(msg, ERR_INVALID, "folder %s: not a path", host_path);
	HANDLE h = CreateFileW(wide, FILE_LIST_DIRECTORY | FILE_READ_ATTRIBUTES | SYNCHRONIZE,
	                       FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL,
	                       OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS, NULL);
	enum err e = h == INVALID_HANDLE_VALUE ? wide_err(GetLastError()) : ERR_OK;
	free(wide);
	if (e == ERR_OK && obj_of(h, nt_volume(h), false, root) != FE_OK)
		e = ERR_INVALID; /* a device */
	if (e == ERR_OK && (*root)->type != VFS_TYPE_DIR) {
		vfs_unref(*root);
		e = ERR_INVALID;
	}
	if (e == ERR_OK && is_in_home(host_of(*root)->h)) {
		vfs_unref(*root);
		return err_set(msg, ERR_DENIED, "folder %s: " HOST_HOME_TEXT, host_path);
	}
	return e == ERR_OK ? e
	                   : err_set(msg, e, "folder %s: %s", host_path,
	                             e == ERR_INVALID ? "not a folder" : err_text(e));
}

/* ---- the walk ---- */

static enum ferr walk_enter(void *ctx, uintptr_t dir, const char *name, uintptr_t *out)
{
	struct nt_info info;
	HANDLE h;
	FTRY(nt_open((HANDLE)dir, name, FILE_LIST_DIRECTORY, FILE_OPEN, 0, &h));
	enum ferr e = nt_query(h, &info);
	if (e == FE_OK && nt_is_link(&info))
		e = FE_LOOP;
	else if (e == FE_OK && !nt_is_folder(&info))
		e = FE_NOTDIR;
	else if (e == FE_OK && is_home(h))
		e = FE_ACCES;
	if (e != FE_OK) {
		CloseHandle(h);
		return e;
	}
	*out = (uintptr_t)h;
	return FE_OK;
}

static enum ferr walk_readlink(void *ctx, uintptr_t dir, const char *name, char *buf, size_t *size)
{
	return nt_readlink((HANDLE)dir, name, buf, size);
}

static void walk_leave(void *ctx, uintptr_t dir)
{
	CloseHandle((HANDLE)dir);
}

static const struct walk_ops host_walk = {walk_enter, walk_readlink, walk_leave};

enum ferr host_find(struct walk *at, struct vfs_obj *dir, const char *path, enum walk_follow follow)
{
	enum ferr e = is_home(host_of(dir)->h) ? FE_ACCES : FE_OK; /* it became one */
	at->depth = 0;
	if (e == FE_OK)
		e = walk_parent(at, &host_walk, NULL, (uintptr_t)host_of(dir)->h, path, follow);
	if (e != FE_OK)
		walk_end(at);
	return e;
}

/* Modes are not kept here. */
enum ferr sys_check_change(const struct walk *at)
{
	return FE_OK;
}

enum ferr sys_check_home(const struct walk *at)
{
	uintptr_t dir;
	enum ferr e = walk_enter(NULL, walk_dir(at), at->name, &dir);
	if (e == FE_OK)
		walk_leave(NULL, dir);
	return e == FE_ACCES ? e : FE_OK;
}

static HANDLE dir_of(const struct walk *at)
{
	return (HANDLE)walk_dir(at);
}

enum ferr sys_check_folder(const struct walk *at)
{
	struct nt_info info;
	FTRY(nt_query_name(dir_of(at), at->name, &info));
	return nt_is_folder(&info) ? FE_OK : FE_NOTDIR;
}

/* ---- opening ---- */

static ACCESS_MASK access_of(unsigned flags)
{
	ACCESS_MASK a = flags & VFS_WRITE ? FILE_WRITE_DATA | FILE_APPEND_DATA : 0;
	if (flags & VFS_READ || !(flags & VFS_WRITE))
		a |= FILE_READ_DATA; /* of a folder: to list it */
	if (flags & VFS_TRUNCATE)
		a |= FILE_WRITE_DATA;
	return a;
}

static ULONG kind_of(unsigned flags, bool slash)
{
	if (flags & VFS_DIRECTORY || slash)
		return FILE_DIRECTORY_FILE;
	return flags & (VFS_WRITE | VFS_CREATE | VFS_TRUNCATE) ? FILE_NON_DIRECTORY_FILE : 0;
}

/* Whoever may change a file's times may so by a handle that reads; the right may be missing. */
static enum ferr open_with_times(const struct walk *at, unsigned flags, ACCESS_MASK access,
                                 ULONG kind, HANDLE *out)
{
	ULONG disposition = !(flags & VFS_CREATE)   ? FILE_OPEN
	                    : flags & VFS_EXCLUSIVE ? FILE_CREATE
	                                            : FILE_OPEN_IF;
	enum ferr e =
	    nt_open(dir_of(at), at->name, access | FILE_WRITE_ATTRIBUTES, disposition, kind, out);
	if (e == FE_ACCES || e == FE_ROFS)
		e = nt_open(dir_of(at), at->name, access, disposition, kind, out);
	return e;
}

/* LOOP for a link, which was opened itself; what else has a reparse point is opened through it. */
static enum ferr settle(HANDLE *h, ACCESS_MASK access, ULONG kind)
{
	struct nt_info info;
	HANDLE real;
	FTRY(nt_query(*h, &info));
	if (nt_is_link(&info))
		return FE_LOOP;
	if (!info.tag)
		return FE_OK;
	FTRY(nt_open_through(*h, access, kind, &real));
	CloseHandle(*h);
	*h = real;
	return FE_OK;
}

static enum ferr open_name(const struct walk *at, unsigned flags, HANDLE *out)
{
	struct nt_info info;
	ACCESS_MASK access = access_of(flags);
	ULONG kind = kind_of(flags, at->slash);
	if (flags & VFS_CREATE && at->slash)
		return FE_ISDIR;
	if (flags & VFS_CREATE && flags & VFS_DIRECTORY)
		return FE_INVAL;
	enum ferr e = open_with_times(at, flags, access, kind, out);
	/* A link to a folder is a folder to the kernel. */
	if (e == FE_ISDIR && nt_query_name(dir_of(at), at->name, &info) == FE_OK &&
	    nt_is_link(&info))
		return flags & VFS_EXCLUSIVE ? FE_EXIST : FE_LOOP;
	FTRY(e);
	e = settle(out, access, kind);
	if (e == FE_OK && flags & VFS_TRUNCATE)
		e = nt_set_size(*out, 0);
	if (e != FE_OK)
		CloseHandle(*out);
	return e;
}

static enum ferr open_once(struct vfs_obj *dir, const char *path, unsigned flags, HANDLE *out)
{
	struct walk at;
	bool exclusive = flags & VFS_CREATE && flags & VFS_EXCLUSIVE;
	FTRY(host_find(&at, dir, path,
	               flags & VFS_NOFOLLOW || exclusive ? WALK_FOLLOW_SLASH : WALK_FOLLOW));
	enum ferr e = open_name(&at, flags, out);
	walk_end(&at);
	return e;
}

/* LOOP with follow: a link appeared after it was looked for. */
static enum ferr host_open(struct vfs_obj *dir, const char *path, unsigned flags,
                           struct vfs_obj **out)
{
	HANDLE h = NULL;
	enum ferr e = FE_LOOP;
	for (int tries = 0; tries < 4 && e == FE_LOOP; tries++) {
		e = open_once(dir, path, flags, &h);
		if (flags & VFS_NOFOLLOW)
			break;
	}
	FTRY(e);
	if (is_home(h)) { /* of a file nothing is found below it */
		CloseHandle(h);
		return FE_ACCES;
	}
	return obj_of(h, host_of(dir)->volume, flags & VFS_WRITE, out);
}

/* ---- contents ---- */

/* What was done before an error counts. */
static enum ferr transfer(const struct host_obj *o, bool write, uint64_t offset, bool append,
                          const struct vfs_iov *iov, size_t n, size_t *done)
{
	*done = 0;
	for (size_t i = 0; i < n; i++) {
		size_t now;
		if (iov[i].size == 0)
			continue;
		int64_t at = append ? -1 : (int64_t)(offset + *done);
		enum ferr e = nt_transfer(o->h, write, iov[i].p, iov[i].size, at, &now);
		if (e != FE_OK && !*done)
			return e;
		*done += now;
		if (now < iov[i].size)
			break;
	}
	return FE_OK;
}

static bool has_offset(const struct vfs_obj *o)
{
	return o->type == VFS_TYPE_FILE;
}

static enum ferr host_read(struct vfs_obj *o, uint64_t offset, const struct vfs_iov *iov, size_t n,
                           size_t *done)
{
	if (!has_offset(o))
		return FE_ISDIR;
	if (offset > INT64_MAX)
		return FE_INVAL;
	return transfer(host_of(o), false, offset, false, iov, n, done);
}

static enum ferr size_of(HANDLE h, uint64_t *size_bytes)
{
	LARGE_INTEGER size;
	if (!GetFileSizeEx(h, &size))
		return FE_IO;
	*size_bytes = (uint64_t)size.QuadPart;
	return FE_OK;
}

/* Where a write at the end ended: the handle's own position tells, whoever writes beside us. */
static enum ferr position_of(HANDLE h, uint64_t *at)
{
	LARGE_INTEGER none = {.QuadPart = 0}, now;
	if (!SetFilePointerEx(h, none, &now, FILE_CURRENT))
		return FE_IO;
	*at = (uint64_t)now.QuadPart;
	return FE_OK;
}

static enum ferr host_write(struct vfs_obj *o, uint64_t offset, unsigned flags,
                            const struct vfs_iov *iov, size_t n, size_t *done, uint64_t *end)
{
	const struct host_obj *h = host_of(o);
	bool append = flags & VFS_APPEND;
	if (!h->writes)
		return FE_BADF;
	if (offset > INT64_MAX)
		return FE_FBIG;
	FTRY(transfer(h, true, offset, append, iov, n, done));
	if (flags & (VFS_SYNC | VFS_DSYNC) && !FlushFileBuffers(h->h))
		return FE_IO;
	*end = offset + *done;
	return append && *done ? position_of(h->h, end) : append ? size_of(h->h, end) : FE_OK;
}

static void stat_of(const struct nt_info *i, uint64_t volume, struct vfs_stat *out)
{
	*out = (struct vfs_stat){
	    .dev = volume,
	    .ino = i->ino,
	    .nlink = i->nlink,
	    .size_bytes = i->size_bytes,
	    .atime_ns = i->atime_ns,
	    .mtime_ns = i->mtime_ns,
	    .ctime_ns = i->ctime_ns,
	    .type = (uint8_t)nt_type(i->attributes, i->tag),
	};
}

static enum ferr host_stat(struct vfs_obj *o, struct vfs_stat *out)
{
	struct nt_info info;
	FTRY(nt_query(host_of(o)->h, &info));
	stat_of(&info, host_of(o)->volume, out);
	return FE_OK;
}

static enum ferr host_set_size(struct vfs_obj *o, uint64_t size_bytes)
{
	return host_of(o)->writes ? nt_set_size(host_of(o)->h, size_bytes) : FE_INVAL;
}

/* A file that is not sparse has all of its room. */
static enum ferr host_allocate(struct vfs_obj *o, uint64_t offset, uint64_t size_bytes)
{
	uint64_t have, end;
	if (size_bytes == 0)
		return FE_INVAL;
	if (__builtin_add_overflow(offset, size_bytes, &end) || end > INT64_MAX)
		return FE_FBIG;
	if (!host_of(o)->writes)
		return FE_BADF;
	FTRY(size_of(host_of(o)->h, &have));
	return end > have ? nt_set_size(host_of(o)->h, end) : FE_OK;
}

static enum ferr host_set_times(struct vfs_obj *o, const struct vfs_times *t)
{
	return nt_set_times(host_of(o)->h, t);
}

/* A handle that does not write has nothing to flush, and the kernel would refuse. */
static enum ferr host_sync(struct vfs_obj *o, bool data_only)
{
	if (!host_of(o)->writes || FlushFileBuffers(host_of(o)->h))
		return FE_OK;
	return FE_IO;
}

/* ---- listing ---- */

static bool grow(void **p, size_t *room, size_t need, size_t each)
{
	if (need <= *room)
		return true;
	size_t more = need * 2 + 64;
	void *bigger = realloc(*p, more * each);
	if (!bigger)
		return false;
	*p = bigger;
	*room = more;
	return true;
}

static enum ferr list_add(struct listing *l, uint64_t ino, enum vfs_type type, const wchar_t *name,
                          size_t units)
{
	size_t size, most = 3 * units;
	if (!grow((void **)&l->names, &l->names_room, l->names_size + most, 1) ||
	    !grow((void **)&l->entries, &l->room, l->count + 1, sizeof *l->entries))
		return FE_NOMEM;
	if (l->names_size > UINT32_MAX - most ||
	    utf8_of_utf16((const uint16_t *)name, units, l->names + l->names_size, most, &size) !=
	        ERR_OK)
		return FE_NOMEM;
	l->entries[l->count++] = (struct entry){.ino = ino,
	                                        .name_at = (uint32_t)l->names_size,
	                                        .name_size = (uint16_t)size,
	                                        .type = (uint8_t)type};
	l->names_size += size;
	return FE_OK;
}

static bool is_dots(const FILE_ID_BOTH_DIR_INFO *f)
{
	size_t units = f->FileNameLength / 2;
	return (units == 1 || units == 2) && f->FileName[0] == '.' && f->FileName[units - 1] == '.';
}

static enum ferr list_batch(struct listing *l, const FILE_ID_BOTH_DIR_INFO *f)
{
	for (;;) {
		if (!is_dots(f))
			FTRY(list_add(l, (uint64_t)f->FileId.QuadPart,
			              nt_type(f->FileAttributes, f->EaSize), f->FileName,
			              f->FileNameLength / 2));
		if (!f->NextEntryOffset)
			return FE_OK;
		f = (const void *)((const char *)f + f->NextEntryOffset);
	}
}

/* What lies above a mount is nobody's business: ".." is the folder itself. */
static enum ferr list_all(struct host_obj *dir)
{
	_Alignas(8) char buf[16384];
	struct listing *l = &dir->list;
	struct nt_info self;
	FILE_INFO_BY_HANDLE_CLASS how = FileIdBothDirectoryRestartInfo;
	list_free(l);
	FTRY(nt_query(dir->h, &self));
	FTRY(list_add(l, self.ino, VFS_TYPE_DIR, L".", 1));
	FTRY(list_add(l, self.ino, VFS_TYPE_DIR, L"..", 2));
	while (GetFileInformationByHandleEx(dir->h, how, buf, sizeof buf)) {
		FTRY(list_batch(l, (const void *)buf));
		how = FileIdBothDirectoryInfo;
	}
	DWORD why = GetLastError();
	return why == ERROR_NO_MORE_FILES || why == ERROR_FILE_NOT_FOUND ? FE_OK : FE_IO;
}

static enum ferr host_readdir(struct vfs_obj *o, uint64_t cookie, vfs_dirent_fn emit, void *ctx)
{
	struct host_obj *dir = host_of(o);
	if (o->type != VFS_TYPE_DIR)
		return FE_NOTDIR;
	/* A cookie from before the folder was opened again continues in a fresh listing: they are ordered by name. */
	if (cookie == 0 || !dir->list.count)
		FTRY(list_all(dir));
	for (uint64_t i = cookie; i < dir->list.count; i++) {
		const struct entry *e = &dir->list.entries[i];
		struct vfs_dirent d = {.next = i + 1,
		                       .ino = e->ino,
		                       .type = e->type,
		                       .name = dir->list.names + e->name_at,
		                       .name_size = e->name_size};
		if (!emit(ctx, &d))
			break;
	}
	return FE_OK;
}

/* ---- by name ---- */

static enum ferr host_stat_at(struct vfs_obj *dir, const char *path, bool follow,
                              struct vfs_stat *out)
{
	struct walk at;
	struct nt_info info;
	FTRY(host_find(&at, dir, path, follow ? WALK_FOLLOW : WALK_FOLLOW_SLASH));
	enum ferr e = nt_query_name(dir_of(&at), at.name, &info);
	if (e == FE_OK && at.slash && !nt_is_folder(&info))
		e = FE_NOTDIR;
	if (e == FE_OK)
		stat_of(&info, host_of(dir)->volume, out);
	walk_end(&at);
	return e;
}

enum ferr sys_set_times(const struct walk *at, const struct vfs_times *t)
{
	HANDLE h;
	FTRY(nt_open(dir_of(at), at->name, FILE_WRITE_ATTRIBUTES, FILE_OPEN, 0, &h));
	enum ferr e = nt_set_times(h, t);
	CloseHandle(h);
	return e;
}

enum ferr sys_set_mode(const struct walk *at, unsigned mode)
{
	return FE_NOTSUP;
}

enum ferr sys_mkfifo(const struct walk *at)
{
	return FE_NOTSUP;
}

enum ferr sys_mkdir(const struct walk *at)
{
	HANDLE h;
	FTRY(nt_open(dir_of(at), at->name, 0, FILE_CREATE, FILE_DIRECTORY_FILE, &h));
	CloseHandle(h);
	return FE_OK;
}

/* A link to a folder is a file to POSIX. */
enum ferr sys_remove(const struct walk *at, bool folder)
{
	struct nt_info info;
	HANDLE h;
	FTRY(nt_open(dir_of(at), at->name, DELETE, FILE_OPEN, 0, &h));
	enum ferr e = nt_query(h, &info);
	if (e == FE_OK && nt_is_folder(&info) != folder)
		e = folder ? FE_NOTDIR : FE_ISDIR;
	if (e == FE_OK)
		e = nt_remove(h, dir_of(at));
	CloseHandle(h);
	return e;
}

/* Whether a link that is to stand at path would lead to a folder; false when nothing is there. */
static bool leads_to_folder(struct vfs_obj *dir, const char *path, const char *target)
{
	char full[2 * VFS_PATH_MAX];
	struct vfs_stat st;
	size_t size = strlen(path);
	while (size && path[size - 1] != '/')
		size--;
	memcpy(full, path, size);
	strcpy(full + size, target);
	return strlen(full) < VFS_PATH_MAX && host_stat_at(dir, full, true, &st) == FE_OK &&
	       st.type == VFS_TYPE_DIR;
}

enum ferr sys_symlink(const struct walk *at, struct vfs_obj *dir, const char *path,
                      const char *target)
{
	if (strlen(target) >= VFS_PATH_MAX)
		return FE_NAMETOOLONG;
	return nt_symlink(dir_of(at), at->name, target, leads_to_folder(dir, path, target));
}

enum ferr sys_readlink(const struct walk *at, char *buf, size_t *size)
{
	return nt_readlink(dir_of(at), at->name, buf, size);
}

/* ---- two names ---- */

enum ferr sys_link(const struct walk *from, const struct walk *to)
{
	struct nt_info info;
	HANDLE h;
	FTRY(nt_open(dir_of(from), from->name, FILE_WRITE_ATTRIBUTES, FILE_OPEN, 0, &h));
	enum ferr e = nt_query(h, &info);
	if (e == FE_OK && nt_is_folder(&info))
		e = FE_PERM;
	if (e == FE_OK)
		e = nt_link(h, dir_of(to), to->name);
	CloseHandle(h);
	return e;
}

static bool same_file(HANDLE a, HANDLE b)
{
	struct nt_info x, y;
	return nt_query(a, &x) == FE_OK && nt_query(b, &y) == FE_OK && x.ino == y.ino;
}

/* The folder h, or one in it, is where the name would be. */
static enum ferr check_not_inside(HANDLE h, HANDLE dir)
{
	char outer[VFS_PATH_MAX], inner[VFS_PATH_MAX];
	FTRY(nt_path(h, outer, sizeof outer));
	FTRY(nt_path(dir, inner, sizeof inner));
	size_t size = strlen(outer);
	bool inside = !strncmp(inner, outer, size) && (inner[size] == '/' || inner[size] == 0);
	return inside ? FE_INVAL : FE_OK;
}

/* A name of this file that another one differs from in the case of letters only. */
static bool same_name(const struct walk *a, const struct walk *b)
{
	wchar_t *x = wide_text(a->name), *y = wide_text(b->name);
	bool same = x && y && CompareStringOrdinal(x, -1, y, -1, TRUE) == CSTR_EQUAL &&
	            same_file(dir_of(a), dir_of(b));
	free(x);
	free(y);
	return same;
}

/* What stands at the new name gives way, or is why nothing is done (*done). */
static enum ferr make_way(const struct nt_info *moved, const struct walk *from,
                          const struct walk *to, bool *done)
{
	struct nt_info there;
	enum ferr e = nt_query_name(dir_of(to), to->name, &there);
	if (e != FE_OK)
		return e == FE_NOENT ? FE_OK : e;
	if (there.ino == moved->ino) {
		/* POSIX: two names of one file stay; but its one name may change the case of its letters. */
		*done = !same_name(from, to) || !strcmp(from->name, to->name);
		return FE_OK;
	}
	bool folder = nt_is_folder(moved), onto_folder = nt_is_folder(&there);
	if (folder != onto_folder)
		return folder ? FE_NOTDIR : FE_ISDIR;
	return folder ? sys_remove(to, true) : FE_OK;
}

static enum ferr rename_handle(HANDLE h, const struct walk *from, const struct walk *to)
{
	struct nt_info moved;
	bool done = false;
	FTRY(nt_query(h, &moved));
	if (nt_is_folder(&moved))
		FTRY(check_not_inside(h, dir_of(to)));
	FTRY(make_way(&moved, from, to, &done));
	return done ? FE_OK : nt_rename(h, dir_of(to), to->name);
}

enum ferr sys_rename(const struct walk *from, const struct walk *to)
{
	HANDLE h;
	FTRY(nt_open(dir_of(from), from->name, DELETE, FILE_OPEN, 0, &h));
	enum ferr e = rename_handle(h, from, to);
	CloseHandle(h);
	return e;
}

/* ---- where it is now ---- */

/* The name stands for this file. */
static enum ferr check_path(struct vfs_obj *root, const char *path, const struct nt_info *is)
{
	struct vfs_stat st;
	enum ferr e = host_stat_at(root, path, false, &st);
	return e == FE_OK && st.ino == is->ino ? FE_OK : FE_NOENT;
}

static enum ferr host_path_of(struct vfs_obj *o, struct vfs_obj *root, char *buf, size_t size)
{
	char base[VFS_PATH_MAX], path[VFS_PATH_MAX];
	struct nt_info info;
	FTRY(nt_query(host_of(o)->h, &info));
	if (info.is_removed)
		return FE_NOENT;
	FTRY(nt_path(host_of(root)->h, base, sizeof base));
	FTRY(nt_path(host_of(o)->h, path, sizeof path));
	FTRY(host_below(base, path, buf, size));
	return check_path(root, buf, &info);
}

static const struct vfs_ops host_ops = {
    .name = "host",
    .close = host_close,
    .read = host_read,
    .write = host_write,
    .stat = host_stat,
    .set_size = host_set_size,
    .allocate = host_allocate,
    .set_times = host_set_times,
    .sync = host_sync,
    .readdir = host_readdir,
    .open = host_open,
    .stat_at = host_stat_at,
    .set_times_at = names_set_times,
    .mkdir = names_mkdir,
    .rmdir = names_rmdir,
    .unlink = names_unlink,
    .symlink = names_symlink,
    .readlink = names_readlink,
    .link = names_link,
    .rename = names_rename,
    .reopen = host_reopen,
    .path_of = host_path_of,
};
