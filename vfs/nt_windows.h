/* nt_windows.h - the calls of Windows' kernel that act on one name in an open folder. Internal to vfs/.
 *
 * Only NtCreateFile() opens relative to a folder's handle, and FILE_OPEN_REPARSE_POINT keeps it from following anything.
 * A name given here is one component, checked by winname_of(); "." is the folder itself. Handles are synchronous and
 * share everything, so that files are renamed and removed while they are open, as POSIX has it. Any thread.
 */
#pragma once

#include "vfs/vfs.h"

#include <windows.h>
/* after windows.h: */
#include <winternl.h>

/* What a handle is of. */
struct nt_info {
	uint64_t ino, nlink, size_bytes;
	uint64_t atime_ns, mtime_ns, ctime_ns;
	uint32_t attributes, tag; /* FILE_ATTRIBUTE_*; the reparse point's tag, 0: none */
	bool is_removed;          /* its last name is gone, or goes when it is closed */
};

enum ferr nt_ferr(NTSTATUS status);
/* disposition FILE_OPEN..., options FILE_DIRECTORY_FILE, FILE_NON_DIRECTORY_FILE or 0. SYNCHRONIZE and
 * FILE_READ_ATTRIBUTES are added to access. */
enum ferr nt_open(HANDLE dir, const char *name, ACCESS_MASK access, ULONG disposition,
                  ULONG options, HANDLE *out);
/* Lets the file system (cloud files, deduplication) act on a reparse point that is no link: opens what the handle is of
 * again. STALE: it became something else meanwhile. */
enum ferr nt_open_through(HANDLE h, ACCESS_MASK access, ULONG options, HANDLE *out);
enum ferr nt_query(HANDLE h, struct nt_info *out);
enum ferr nt_query_name(HANDLE dir, const char *name, struct nt_info *out);
/* The volume's number. */
uint64_t nt_volume(HANDLE h);
/* A link of any kind, which only this tree's own walk may follow. */
bool nt_is_link(const struct nt_info *i);
/* A folder, and no link to one. */
bool nt_is_folder(const struct nt_info *i);
enum vfs_type nt_type(uint32_t attributes, uint32_t tag);
uint64_t nt_ns_of(int64_t ticks);

enum ferr nt_readlink(HANDLE dir, const char *name, char *buf, size_t *size);
/* is_folder: what the link leads to, for Windows' own programs. NOTSUP where the file system has no links. */
enum ferr nt_symlink(HANDLE dir, const char *name, const char *target, bool is_folder);
/* At offset, -1: at the end of the file. *done may be less than size; 0 at the end of what is read. */
enum ferr nt_transfer(HANDLE h, bool write, void *p, size_t size, int64_t offset, size_t *done);
enum ferr nt_set_times(HANDLE h, const struct vfs_times *t);
enum ferr nt_set_size(HANDLE h, uint64_t size_bytes);
/* h was opened with DELETE: the name is free at once where the file system can do that. */
enum ferr nt_remove(HANDLE h, HANDLE dir);
/* h was opened with DELETE. Replaces a file. */
enum ferr nt_rename(HANDLE h, HANDLE dir, const char *name);
enum ferr nt_link(HANDLE h, HANDLE dir, const char *name);
/* Where it is now, from the root of its volume, parted by '/'. */
enum ferr nt_path(HANDLE h, char *buf, size_t size);
