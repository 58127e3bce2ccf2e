/* file.h - the program's own files on its host: private folders, files replaced whole, locks, paths.
 *
 * Not for what guests see (that is vfs/). Paths are UTF-8, names are one component. Everything made here can be
 * used by its user alone. All calls block; each may be made from any thread, on one object by one thread at a time.
 * One file a system implements it (file_linux.c), chosen by the build.
 *
 *	TRY(dir_open("/home/me/.wasmos", DIR_ADOPT, &home, &msg));
 *	TRY(file_lock_take(home, "lock", &lock, NULL, &msg));
 *	TRY(dir_replace(home, "device", bytes, size, &msg));
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* ---- folders ---- */

struct dir;

enum dir_flags {
	DIR_ADOPT =
	    1, /* one that others may enter, but is empty or has a file "lock" in it, becomes private */
	DIR_NO_LINK = 2, /* refused when its last component is a symbolic link */
};

/* Opens the folder, made (with those above it) when missing. DENIED: others may enter it, or it is another
 * user's. */
enum err dir_open(const char *path, unsigned flags, struct dir **out, struct errmsg *msg);
/* NULL is fine. */
void dir_close(struct dir *d);
/* One folder, private; fine when it is there. */
enum err dir_make(const char *path, struct errmsg *msg);
/* Each name in it, until fn returns false. */
void dir_each(struct dir *d, bool (*fn)(void *ctx, const char *name), void *ctx);
void dir_remove(struct dir *d, const char *name);
/* The names of files that were made or removed are on the disk when it returns ERR_OK. */
enum err dir_sync(struct dir *d, struct errmsg *msg);
void dir_rename(struct dir *d, const char *from, const char *to);
/* A file that only this user may read: DENIED when others can. NOTFOUND; LIMIT: it has more than max bytes. */
enum err dir_read_secret(struct dir *d, const char *name, void *buf, size_t max, size_t *size,
                         struct errmsg *msg);
/* Writes the file whole: after a crash it is the old one or the new one. On disk when it returns. */
enum err dir_replace(struct dir *d, const char *name, const void *bytes, size_t size,
                     struct errmsg *msg);

/* ---- files ---- */

struct file;

struct file_info {
	uint64_t size_bytes;
	uint8_t identity
	    [48]; /* which file it is and when it was changed: equal bytes, the same contents */
};

/* A regular file, to read. NOTFOUND, DENIED, INVALID (no regular file). */
enum err file_open(const char *path, struct file **out, struct file_info *info, struct errmsg *msg);
/* Exactly size bytes at offset. IO: the file is shorter now. */
enum err file_read(struct file *f, void *buf, size_t size, uint64_t offset, struct errmsg *msg);
/* A file that is written at its end, made when missing; *size_bytes is what it has. NULL: it cannot be. */
struct file *file_append_open(struct dir *d, const char *name, uint64_t *size_bytes);
bool file_append(struct file *f, const void *bytes, size_t size);
/* A file that is read and written in any place; make: made when it is missing (dir_sync() makes its name last). *size_bytes is what it has. */
enum err file_open_in(struct dir *d, const char *name, bool make, struct file **out,
                      uint64_t *size_bytes, struct errmsg *msg);
/* All of it at offset, or an error: FULL when the disk is. In the system's memory only, until file_sync(). */
enum err file_write(struct file *f, const void *bytes, size_t size, uint64_t offset,
                    struct errmsg *msg);
enum err file_cut(struct file *f, uint64_t size_bytes, struct errmsg *msg);
/* The bytes there read as zeros from now on and take no room, as far as the file system can: UNSUPPORTED. */
enum err file_punch(struct file *f, uint64_t offset, uint64_t size_bytes);
/* What was written is on the disk when it returns ERR_OK. */
enum err file_sync(struct file *f, struct errmsg *msg);
void file_close(struct file *f);
/* fopen() for any path. */
FILE *file_stream(const char *path, const char *mode);
/* As dir_replace(), anywhere. IO: there is something that is no file; what a symbolic link leads to is replaced, not the link. */
enum err file_replace(const char *path, const void *bytes, size_t size, struct errmsg *msg);

/* ---- locks: a file with a line of text, held by one program until it ends or gives it back ---- */

struct file_lock;

enum { FILE_LOCK_TEXT_MAX = 64 };

/* Makes the file when it is missing. BUSY: somebody holds it; *holder (may be NULL) is then its first line. */
enum err file_lock_take(struct dir *d, const char *name, struct file_lock **out,
                        char holder[FILE_LOCK_TEXT_MAX], struct errmsg *msg);
enum err file_lock_write(struct file_lock *l, const char *text, struct errmsg *msg);
/* Somebody removed the file: others can no longer see the lock. */
bool file_lock_is_gone(struct file_lock *l);
/* Gives the lock back; the file stays. NULL is fine. */
void file_lock_free(struct file_lock *l);
/* True when somebody holds it now; text is the first line of the file then. */
bool file_lock_is_held(struct dir *d, const char *name, char text[FILE_LOCK_TEXT_MAX]);

/* ---- paths ---- */

/* The path from the root of the host, free()d by the caller; NULL: out of memory, or no current folder. */
char *path_absolute(const char *path);
/* The same without symbolic links; NULL when nothing is there. */
char *path_resolve(const char *path);
/* Its last component. */
const char *path_last(const char *path);
bool path_is_absolute(const char *path);
/* Bytes at the start that name a drive ("C:"); 0 where there are none. */
size_t path_drive_size(const char *path);
/* A host path as a guest would write it: no drive, parted by '/'. In place. */
void path_to_guest(char *path);
/* "HOME/.wasmos" as this system's users expect it; free()d by the caller. */
char *path_default_home(void);
/* Where nodes of this user on this machine find each other; free()d by the caller. */
char *path_runtime(void);
/* The environment, as UTF-8; NULL when not set. free()d by the caller. */
char *path_env(const char *name);
