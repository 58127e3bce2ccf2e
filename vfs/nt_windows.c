/* nt_windows.c - nt_windows.h: opening, asking, renaming and removing one name in an open folder.
 *
 * Renaming and removing first ask for POSIX's way (Windows 10 1709 on NTFS), and fall back on the older one where the
 * file system knows none: there an open file that is removed keeps its name until it is closed, so it is renamed first.
 */
#include "vfs/nt_windows.h"

#include "base/os.h"
#include "base/utf16.h"
#include "vfs/winname.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <winioctl.h>

/* Numbers and layouts of the driver kit's headers, which have other names for what winternl.h has. */
enum {
	INFO_BASIC = 4,
	INFO_RENAME = 10,
	INFO_LINK = 11,
	INFO_DISPOSITION = 13,
	INFO_ALL = 18,
	INFO_END_OF_FILE = 20,
	INFO_TAG = 35,
	INFO_DISPOSITION_EX = 64,
	INFO_RENAME_EX = 65,
	VOLUME_INFO = 1,
};

enum { REMOVE = 1, REMOVE_POSIX = 2, REMOVE_READ_ONLY = 16 };
enum { RENAME_REPLACE = 1, RENAME_POSIX = 2, RENAME_READ_ONLY = 64 };

struct basic_info {
	int64_t made, accessed, written, changed;
	uint32_t attributes, unused;
};

struct all_info {
	struct basic_info basic;
	int64_t allocated, size;
	uint32_t nlink;
	uint8_t delete_pending, is_folder;
	uint16_t unused;
	uint64_t ino;
	uint8_t rest[48 + 2 * WINNAME_MAX];
};

struct tag_info {
	uint32_t attributes, tag;
};

/* Of renaming and linking. */
struct name_info {
	uint32_t flags; /* the older forms: a byte, replace or not */
	HANDLE dir;
	uint32_t size_bytes;
	uint16_t name[WINNAME_MAX];
};

struct volume_info {
	int64_t made;
	uint32_t serial, label_bytes;
	uint16_t rest[36];
};

#define STATUS_OF(number) ((NTSTATUS)0x##number##u)

static const struct {
	NTSTATUS status;
	enum ferr e;
} statuses[] = {
    {STATUS_OF(C0000034), FE_NOENT},       /* OBJECT_NAME_NOT_FOUND */
    {STATUS_OF(C000003A), FE_NOENT},       /* OBJECT_PATH_NOT_FOUND */
    {STATUS_OF(C000000F), FE_NOENT},       /* NO_SUCH_FILE */
    {STATUS_OF(C0000056), FE_NOENT},       /* DELETE_PENDING */
    {STATUS_OF(C0000123), FE_NOENT},       /* FILE_DELETED */
    {STATUS_OF(C0000035), FE_EXIST},       /* OBJECT_NAME_COLLISION */
    {STATUS_OF(C0000033), FE_INVAL},       /* OBJECT_NAME_INVALID */
    {STATUS_OF(C000003B), FE_INVAL},       /* OBJECT_PATH_SYNTAX_BAD */
    {STATUS_OF(C000000D), FE_INVAL},       /* INVALID_PARAMETER */
    {STATUS_OF(C0000022), FE_ACCES},       /* ACCESS_DENIED */
    {STATUS_OF(C0000121), FE_ACCES},       /* CANNOT_DELETE */
    {STATUS_OF(C0000061), FE_PERM},        /* PRIVILEGE_NOT_HELD */
    {STATUS_OF(C0000103), FE_NOTDIR},      /* NOT_A_DIRECTORY */
    {STATUS_OF(C00000BA), FE_ISDIR},       /* FILE_IS_A_DIRECTORY */
    {STATUS_OF(C0000101), FE_NOTEMPTY},    /* DIRECTORY_NOT_EMPTY */
    {STATUS_OF(C0000043), FE_BUSY},        /* SHARING_VIOLATION */
    {STATUS_OF(C0000054), FE_BUSY},        /* FILE_LOCK_CONFLICT */
    {STATUS_OF(C0000243), FE_TXTBSY},      /* USER_MAPPED_FILE */
    {STATUS_OF(C000007F), FE_NOSPC},       /* DISK_FULL */
    {STATUS_OF(C0000044), FE_DQUOT},       /* QUOTA_EXCEEDED */
    {STATUS_OF(C0000904), FE_FBIG},        /* FILE_TOO_LARGE */
    {STATUS_OF(C00000A2), FE_ROFS},        /* MEDIA_WRITE_PROTECTED */
    {STATUS_OF(C00000D4), FE_XDEV},        /* NOT_SAME_DEVICE */
    {STATUS_OF(C0000265), FE_MLINK},       /* TOO_MANY_LINKS */
    {STATUS_OF(C0000106), FE_NAMETOOLONG}, /* NAME_TOO_LONG */
    {STATUS_OF(C000009A), FE_NOMEM},       /* INSUFFICIENT_RESOURCES */
    {STATUS_OF(C0000017), FE_NOMEM},       /* NO_MEMORY */
    {STATUS_OF(C000011F), FE_MFILE},       /* TOO_MANY_OPENED_FILES */
    {STATUS_OF(C0000005), FE_FAULT},       /* ACCESS_VIOLATION */
    {STATUS_OF(C0000002), FE_NOTSUP},      /* NOT_IMPLEMENTED */
    {STATUS_OF(C0000003), FE_NOTSUP},      /* INVALID_INFO_CLASS */
    {STATUS_OF(C0000010), FE_NOTSUP},      /* INVALID_DEVICE_REQUEST */
    {STATUS_OF(C00000BB), FE_NOTSUP},      /* NOT_SUPPORTED */
    {STATUS_OF(8000002D), FE_LOOP},        /* STOPPED_ON_SYMLINK */
    {STATUS_OF(C0000279), FE_LOOP},        /* IO_REPARSE_TAG_NOT_HANDLED */
    {STATUS_OF(C0000280), FE_LOOP},        /* REPARSE_POINT_NOT_RESOLVED */
};

enum ferr nt_ferr(NTSTATUS status)
{
	if (status >= 0)
		return FE_OK;
	for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
		if (statuses[i].status == status)
			return statuses[i].e;
	return FE_IO;
}

/* ---- opening ---- */

static enum ferr open_wide(HANDLE dir, uint16_t *name, size_t units, ACCESS_MASK access,
                           ULONG disposition, ULONG options, HANDLE *out)
{
	const ULONG share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
	UNICODE_STRING text = {
	    .Length = (USHORT)(2 * units), .MaximumLength = (USHORT)(2 * units), .Buffer = name};
	OBJECT_ATTRIBUTES a = {.Length = sizeof a,
	                       .RootDirectory = dir,
	                       .ObjectName = &text,
	                       .Attributes = OBJ_CASE_INSENSITIVE};
	IO_STATUS_BLOCK io;
	return nt_ferr(NtCreateFile(out, access | SYNCHRONIZE | FILE_READ_ATTRIBUTES, &a, &io, NULL,
	                            FILE_ATTRIBUTE_NORMAL, share, disposition,
	                            options | FILE_SYNCHRONOUS_IO_NONALERT, NULL, 0));
}

enum ferr nt_open(HANDLE dir, const char *name, ACCESS_MASK access, ULONG disposition,
                  ULONG options, HANDLE *out)
{
	uint16_t wide[WINNAME_MAX];
	size_t units = 0;
	if (strcmp(name, "."))
		FTRY(winname_of(name, wide, &units));
	return open_wide(dir, wide, units, access, disposition, options | FILE_OPEN_REPARSE_POINT,
	                 out);
}

enum ferr nt_open_through(HANDLE h, ACCESS_MASK access, ULONG options, HANDLE *out)
{
	uint16_t nothing[1];
	struct nt_info before, after;
	FTRY(nt_query(h, &before));
	FTRY(open_wide(h, nothing, 0, access, FILE_OPEN, options, out));
	enum ferr e = nt_query(*out, &after);
	if (e == FE_OK && (after.ino != before.ino || nt_volume(h) != nt_volume(*out)))
		e = FE_STALE;
	if (e != FE_OK)
		CloseHandle(*out);
	return e;
}

/* ---- asking ---- */

uint64_t nt_ns_of(int64_t ticks)
{
	const int64_t to_1970 = 116444736000000000;
	return ticks < to_1970 ? 0 : (uint64_t)(ticks - to_1970) * 100;
}

/* 0 would mean that the time is kept. */
static int64_t ticks_of(uint64_t ns)
{
	return (int64_t)(ns / 100) + 116444736000000000;
}

static bool is_surrogate(uint32_t tag)
{
	return tag & 0x20000000;
}

bool nt_is_link(const struct nt_info *i)
{
	return i->tag && is_surrogate(i->tag);
}

bool nt_is_folder(const struct nt_info *i)
{
	return i->attributes & FILE_ATTRIBUTE_DIRECTORY && !nt_is_link(i);
}

enum vfs_type nt_type(uint32_t attributes, uint32_t tag)
{
	if (!(attributes & FILE_ATTRIBUTE_REPARSE_POINT))
		tag = 0;
	if (is_surrogate(tag))
		return VFS_TYPE_SYMLINK;
	if (tag == (uint32_t)WINNAME_TAG_SOCKET)
		return VFS_TYPE_STREAM;
	return attributes & FILE_ATTRIBUTE_DIRECTORY ? VFS_TYPE_DIR : VFS_TYPE_FILE;
}

enum ferr nt_query(HANDLE h, struct nt_info *out)
{
	const NTSTATUS name_cut_off = STATUS_OF(80000005);
	struct all_info all;
	struct tag_info tag = {0};
	IO_STATUS_BLOCK io;
	NTSTATUS s =
	    NtQueryInformationFile(h, &io, &all, sizeof all, (FILE_INFORMATION_CLASS)INFO_ALL);
	if (s != name_cut_off)
		FTRY(nt_ferr(s));
	if (all.basic.attributes & FILE_ATTRIBUTE_REPARSE_POINT)
		FTRY(nt_ferr(NtQueryInformationFile(h, &io, &tag, sizeof tag,
		                                    (FILE_INFORMATION_CLASS)INFO_TAG)));
	*out = (struct nt_info){
	    .ino = all.ino,
	    .nlink = all.nlink,
	    .size_bytes = all.size < 0 ? 0 : (uint64_t)all.size,
	    .atime_ns = nt_ns_of(all.basic.accessed),
	    .mtime_ns = nt_ns_of(all.basic.written),
	    .ctime_ns = nt_ns_of(all.basic.changed),
	    .attributes = all.basic.attributes,
	    .tag = tag.tag,
	    .is_removed = all.delete_pending || !all.nlink,
	};
	return FE_OK;
}

enum ferr nt_query_name(HANDLE dir, const char *name, struct nt_info *out)
{
	HANDLE h;
	FTRY(nt_open(dir, name, 0, FILE_OPEN, 0, &h));
	enum ferr e = nt_query(h, out);
	CloseHandle(h);
	return e;
}

uint64_t nt_volume(HANDLE h)
{
	const NTSTATUS label_cut_off = STATUS_OF(80000005);
	struct volume_info v = {0};
	IO_STATUS_BLOCK io;
	NTSTATUS s =
	    NtQueryVolumeInformationFile(h, &io, &v, sizeof v, (FS_INFORMATION_CLASS)VOLUME_INFO);
	return s >= 0 || s == label_cut_off ? v.serial : 0;
}

enum ferr nt_path(HANDLE h, char *buf, size_t size)
{
	wchar_t wide[VFS_PATH_MAX];
	size_t n;
	DWORD units = GetFinalPathNameByHandleW(h, wide, VFS_PATH_MAX, VOLUME_NAME_NONE);
	if (units == 0)
		return FE_IO;
	if (units >= VFS_PATH_MAX ||
	    utf8_of_utf16((const uint16_t *)wide, units, buf, size - 1, &n) != ERR_OK)
		return FE_NAMETOOLONG;
	buf[n] = 0;
	for (size_t i = 0; i < n; i++)
		if (buf[i] == '\\')
			buf[i] = '/';
	return FE_OK;
}

/* ---- links ---- */

enum ferr nt_readlink(HANDLE dir, const char *name, char *buf, size_t *size)
{
	uint8_t reparse[WINNAME_REPARSE_MAX];
	struct nt_info info;
	DWORD n;
	HANDLE h;
	FTRY(nt_open(dir, name, 0, FILE_OPEN, 0, &h));
	enum ferr e = nt_query(h, &info);
	if (e == FE_OK && !nt_is_link(&info))
		e = FE_INVAL;
	if (e == FE_OK && !DeviceIoControl(h, FSCTL_GET_REPARSE_POINT, NULL, 0, reparse,
	                                   sizeof reparse, &n, NULL))
		e = FE_IO;
	CloseHandle(h);
	FTRY(e);
	/* A kind of link that nobody here can read leads nowhere. */
	return winname_link_text(reparse, n, buf, size) == FE_OK ? FE_OK : FE_LOOP;
}

static enum ferr set_link(HANDLE h, enum winname_tag tag, const char *target)
{
	uint8_t reparse[WINNAME_REPARSE_MAX];
	size_t size;
	DWORD n;
	FTRY(winname_link_make(tag, target, reparse, &size));
	if (DeviceIoControl(h, FSCTL_SET_REPARSE_POINT, reparse, (DWORD)size, NULL, 0, &n, NULL))
		return FE_OK;
	return GetLastError() == ERROR_PRIVILEGE_NOT_HELD ? FE_PERM : FE_NOTSUP;
}

static enum ferr make_link(HANDLE dir, const char *name, const char *target, enum winname_tag tag,
                           bool is_folder)
{
	HANDLE h;
	FTRY(nt_open(dir, name, FILE_WRITE_ATTRIBUTES | DELETE, FILE_CREATE,
	             is_folder ? FILE_DIRECTORY_FILE : FILE_NON_DIRECTORY_FILE, &h));
	enum ferr e = set_link(h, tag, target);
	if (e != FE_OK)
		nt_remove(h, dir);
	CloseHandle(h);
	return e;
}

/* Windows' own kind needs a privilege; WSL's (and Cygwin's) needs none, but only they and we follow it. */
enum ferr nt_symlink(HANDLE dir, const char *name, const char *target, bool is_folder)
{
	enum ferr e = make_link(dir, name, target, WINNAME_TAG_SYMLINK, is_folder);
	return e == FE_PERM ? make_link(dir, name, target, WINNAME_TAG_LX_SYMLINK, false) : e;
}

/* ---- contents ---- */

/* Of ntdll, as the driver kit documents them; winternl.h has them not. */
NTSTATUS NTAPI NtReadFile(HANDLE h, HANDLE event, void *apc, void *ctx, IO_STATUS_BLOCK *io,
                          void *p, ULONG size, LARGE_INTEGER *at, ULONG *key);
NTSTATUS NTAPI NtWriteFile(HANDLE h, HANDLE event, void *apc, void *ctx, IO_STATUS_BLOCK *io,
                           const void *p, ULONG size, LARGE_INTEGER *at, ULONG *key);

enum ferr nt_transfer(HANDLE h, bool write, void *p, size_t size, int64_t offset, size_t *done)
{
	const size_t most = 1u << 30;
	const NTSTATUS end_of_file = STATUS_OF(C0000011);
	IO_STATUS_BLOCK io = {0};
	LARGE_INTEGER at = {.QuadPart = offset};
	ULONG n = (ULONG)(size < most ? size : most);
	NTSTATUS s = write ? NtWriteFile(h, NULL, NULL, NULL, &io, p, n, &at, NULL)
	                   : NtReadFile(h, NULL, NULL, NULL, &io, p, n, &at, NULL);
	*done = s >= 0 ? (size_t)io.Information : 0;
	return s == end_of_file ? FE_OK : nt_ferr(s);
}

/* ---- changing ---- */

static NTSTATUS set_info(HANDLE h, void *info, size_t size, int which)
{
	IO_STATUS_BLOCK io;
	return NtSetInformationFile(h, &io, info, (ULONG)size, (FILE_INFORMATION_CLASS)which);
}

static int64_t time_for(uint8_t how, uint64_t ns)
{
	return how == VFS_TIME_KEEP ? 0 : ticks_of(how == VFS_TIME_NOW ? os_wall_ns() : ns);
}

enum ferr nt_set_times(HANDLE h, const struct vfs_times *t)
{
	struct basic_info b = {.accessed = time_for(t->atime_how, t->atime_ns),
	                       .written = time_for(t->mtime_how, t->mtime_ns)};
	return nt_ferr(set_info(h, &b, sizeof b, INFO_BASIC));
}

enum ferr nt_set_size(HANDLE h, uint64_t size_bytes)
{
	if (size_bytes > INT64_MAX)
		return FE_FBIG;
	int64_t size = (int64_t)size_bytes;
	return nt_ferr(set_info(h, &size, sizeof size, INFO_END_OF_FILE));
}

/* How a system answers that knows of no such request. */
static bool unknown(NTSTATUS s)
{
	return nt_ferr(s) == FE_NOTSUP || s == STATUS_OF(C000000D);
}

static size_t name_info_of(struct name_info *n, HANDLE dir, uint32_t flags, size_t units)
{
	n->flags = flags;
	n->dir = dir;
	n->size_bytes = (uint32_t)(2 * units);
	size_t size = offsetof(struct name_info, name) + 2 * units, least = 24; /* with its end */
	return size < least ? least : size;
}

/* Out of the way of who wants the name again. It is no matter if that fails. */
static void rename_away(HANDLE h, HANDLE dir)
{
	struct name_info n = {0};
	char name[40];
	uint64_t random;
	size_t units;
	os_random(&random, sizeof random);
	snprintf(name, sizeof name, ".wasmos-removed-%016llx", (unsigned long long)random);
	if (winname_of(name, n.name, &units) == FE_OK)
		set_info(h, &n, name_info_of(&n, dir, 0, units), INFO_RENAME);
}

/* A file that says "read-only" is not removed in the older way. */
static void make_writable(HANDLE h, uint32_t attributes)
{
	uint16_t nothing[1];
	HANDLE again;
	struct basic_info b = {.attributes = attributes & ~(uint32_t)FILE_ATTRIBUTE_READONLY};
	if (!b.attributes)
		b.attributes = FILE_ATTRIBUTE_NORMAL;
	if (!(attributes & FILE_ATTRIBUTE_READONLY) ||
	    open_wide(h, nothing, 0, FILE_WRITE_ATTRIBUTES, FILE_OPEN, FILE_OPEN_REPARSE_POINT,
	              &again) != FE_OK)
		return;
	set_info(again, &b, sizeof b, INFO_BASIC);
	CloseHandle(again);
}

enum ferr nt_remove(HANDLE h, HANDLE dir)
{
	uint32_t posix = REMOVE | REMOVE_POSIX | REMOVE_READ_ONLY;
	uint8_t older = 1;
	struct nt_info info;
	NTSTATUS s = set_info(h, &posix, sizeof posix, INFO_DISPOSITION_EX);
	if (!unknown(s))
		return nt_ferr(s);
	FTRY(nt_query(h, &info));
	make_writable(h, info.attributes);
	if (!(info.attributes & FILE_ATTRIBUTE_DIRECTORY))
		rename_away(h, dir);
	return nt_ferr(set_info(h, &older, sizeof older, INFO_DISPOSITION));
}

static enum ferr remove_open(HANDLE dir, const char *name)
{
	HANDLE h;
	FTRY(nt_open(dir, name, DELETE, FILE_OPEN, FILE_NON_DIRECTORY_FILE, &h));
	enum ferr e = nt_remove(h, dir);
	CloseHandle(h);
	return e;
}

enum ferr nt_rename(HANDLE h, HANDLE dir, const char *name)
{
	struct name_info n = {0};
	size_t units;
	FTRY(winname_of(name, n.name, &units));
	size_t size =
	    name_info_of(&n, dir, RENAME_REPLACE | RENAME_POSIX | RENAME_READ_ONLY, units);
	NTSTATUS s = set_info(h, &n, size, INFO_RENAME_EX);
	if (!unknown(s))
		return nt_ferr(s);
	n.flags = 1;
	s = set_info(h, &n, size, INFO_RENAME);
	/* What is open is not replaced in the older way, only removed. */
	if (nt_ferr(s) == FE_ACCES && remove_open(dir, name) == FE_OK)
		s = set_info(h, &n, size, INFO_RENAME);
	return nt_ferr(s);
}

enum ferr nt_link(HANDLE h, HANDLE dir, const char *name)
{
	struct name_info n = {0};
	size_t units;
	FTRY(winname_of(name, n.name, &units));
	return nt_ferr(set_info(h, &n, name_info_of(&n, dir, 0, units), INFO_LINK));
}
