/* file_linux.c - file.h on Linux and Android: descriptors of folders, modes, flock().
 *
 * Names are looked up below the open folder and never through a symbolic link; what is replaced is written beside its place
 * and renamed. */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct dir {
	int fd;
};

struct file {
	int fd;
};

struct file_lock {
	int fd;
};

static enum err err_of(int error)
{
	switch (error) {
	case ENOENT: return ERR_NOTFOUND;
	case EACCES:
	case EPERM: return ERR_DENIED;
	case ENOMEM: return ERR_NOMEM;
	case ENOSPC:
	case EDQUOT: return ERR_FULL;
	default: return ERR_IO;
	}
}

static enum err fail(struct errmsg *msg, const char *what)
{
	int error = errno;
	return err_set(msg, err_of(error), "%s: %s", what, strerror(error));
}

/* ---- folders ---- */

static enum err make_folders(const char *path, struct errmsg *msg)
{
	char *copy = strdup(path);
	if (!copy)
		return err_set(msg, ERR_NOMEM, "%s: out of memory", path);
	enum err e = ERR_OK;
	for (char *p = copy + 1; e == ERR_OK; p++) {
		if (*p && *p != '/')
			continue;
		char was = *p;
		*p = 0;
		if (mkdir(copy, 0700) != 0 && errno != EEXIST)
			e = err_set(msg, ERR_IO, "%s: %s", copy, strerror(errno));
		*p = was;
		if (!was)
			break;
	}
	free(copy);
	return e;
}

enum err dir_make(const char *path, struct errmsg *msg)
{
	return mkdir(path, 0700) == 0 || errno == EEXIST ? ERR_OK : fail(msg, path);
}

static DIR *list(int fd)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	if (!d && copy >= 0)
		close(copy);
	return d;
}

static bool is_empty(int fd)
{
	DIR *d = list(fd);
	if (!d)
		return false;
	int names = 0;
	while (readdir(d))
		names++;
	closedir(d);
	return names <= 2; /* "." and ".." */
}

static enum err check_private(int fd, const char *path, unsigned flags, struct errmsg *msg)
{
	struct stat st;
	if (fstat(fd, &st) != 0)
		return fail(msg, path);
	if (st.st_uid != geteuid())
		return err_set(msg, ERR_DENIED, "%s belongs to another user", path);
	if (!(st.st_mode & 077))
		return ERR_OK;
	if (!(flags & DIR_ADOPT) || (!is_empty(fd) && faccessat(fd, "lock", F_OK, 0) != 0))
		return err_set(msg, ERR_DENIED,
		               "%s can be entered by others (mode %o) and is no home of "
		               "WasmOS: choose another, "
		               "or `chmod 700` it",
		               path, st.st_mode & 07777);
	if (fchmod(fd, 0700) != 0)
		return err_set(msg, ERR_DENIED, "%s: its mode cannot be made 0700: %s", path,
		               strerror(errno));
	return ERR_OK;
}

enum err dir_open(const char *path, unsigned flags, struct dir **out, struct errmsg *msg)
{
	TRY(make_folders(path, msg));
	int fd =
	    open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (flags & DIR_NO_LINK ? O_NOFOLLOW : 0));
	if (fd < 0)
		return err_set(msg, ERR_IO, "%s: %s", path, strerror(errno));
	enum err e = check_private(fd, path, flags, msg);
	struct dir *d = e == ERR_OK ? malloc(sizeof *d) : NULL;
	if (!d) {
		close(fd);
		return e != ERR_OK ? e : err_set(msg, ERR_NOMEM, "%s: out of memory", path);
	}
	d->fd = fd;
	*out = d;
	return ERR_OK;
}

void dir_close(struct dir *d)
{
	if (!d)
		return;
	close(d->fd);
	free(d);
}

void dir_each(struct dir *d, bool (*fn)(void *ctx, const char *name), void *ctx)
{
	DIR *names = list(d->fd);
	if (!names)
		return;
	for (struct dirent *e = readdir(names); e; e = readdir(names))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..") && !fn(ctx, e->d_name))
			break;
	closedir(names);
}

void dir_remove(struct dir *d, const char *name)
{
	unlinkat(d->fd, name, 0);
}

enum err dir_sync(struct dir *d, struct errmsg *msg)
{
	return fsync(d->fd) == 0 ? ERR_OK : fail(msg, "a folder cannot be synced");
}

void dir_rename(struct dir *d, const char *from, const char *to)
{
	renameat(d->fd, from, d->fd, to);
}

static enum err read_up_to(int fd, const char *name, void *buf, size_t max, size_t *size,
                           struct errmsg *msg)
{
	uint8_t more;
	ssize_t n = pread(fd, buf, max, 0);
	if (n < 0)
		return fail(msg, name);
	if ((size_t)n == max && pread(fd, &more, 1, n) > 0)
		return err_set(msg, ERR_LIMIT, "%s has more than %zu bytes", name, max);
	*size = (size_t)n;
	return ERR_OK;
}

enum err dir_read_secret(struct dir *d, const char *name, void *buf, size_t max, size_t *size,
                         struct errmsg *msg)
{
	struct stat st;
	int fd = openat(d->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return fail(msg, name);
	enum err e;
	if (fstat(fd, &st) != 0)
		e = fail(msg, name);
	else if (st.st_mode & 077 || st.st_uid != geteuid())
		e = err_set(msg, ERR_DENIED,
		            "the file %s holds a secret, but others can read it (mode %o)", name,
		            st.st_mode & 07777);
	else
		e = read_up_to(fd, name, buf, max, size, msg);
	close(fd);
	return e;
}

/* ---- replacing ---- */

static bool write_all(int fd, const uint8_t *p, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, p, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		size -= (size_t)n;
	}
	return true;
}

/* temp and name are relative to the folder at. */
static enum err replace(int at, const char *temp, const char *name, const void *bytes, size_t size,
                        struct errmsg *msg)
{
	int fd = openat(at, temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail(msg, name);
	enum err e = ERR_OK;
	if (!write_all(fd, bytes, size) || fsync(fd) != 0)
		e = err_set(msg, ERR_IO, "%s: %s", name, strerror(errno));
	close(fd);
	if (e == ERR_OK && renameat(at, temp, at, name) != 0)
		e = err_set(msg, ERR_IO, "%s: %s", name, strerror(errno));
	if (e != ERR_OK)
		unlinkat(at, temp, 0);
	return e;
}

enum err dir_replace(struct dir *d, const char *name, const void *bytes, size_t size,
                     struct errmsg *msg)
{
	char temp[NAME_MAX + 1];
	if (snprintf(temp, sizeof temp, "%s.new", name) >= (int)sizeof temp)
		return err_set(msg, ERR_LIMIT, "%s: the name is too long", name);
	unlinkat(d->fd, temp, 0);
	enum err e = replace(d->fd, temp, name, bytes, size, msg);
	if (e == ERR_OK)
		fsync(d->fd);
	return e;
}

/* A device or a pipe is not replaced by a file, and a link stays one: *path becomes what it leads to. */
static enum err replaceable(const char **path, char real[PATH_MAX], struct errmsg *msg)
{
	struct stat st;
	if (stat(*path, &st) != 0)
		return ERR_OK;
	if (!S_ISREG(st.st_mode))
		return err_set(msg, ERR_IO, "%s: %s", *path,
		               S_ISDIR(st.st_mode) ? strerror(EISDIR) : "not a regular file");
	if (lstat(*path, &st) == 0 && S_ISLNK(st.st_mode) && realpath(*path, real))
		*path = real;
	return ERR_OK;
}

enum err file_replace(const char *path, const void *bytes, size_t size, struct errmsg *msg)
{
	char temp[PATH_MAX], real[PATH_MAX];
	TRY(replaceable(&path, real, msg));
	if (snprintf(temp, sizeof temp, "%s.%d.part", path, (int)getpid()) >= (int)sizeof temp)
		return err_set(msg, ERR_LIMIT, "the path is too long");
	return replace(AT_FDCWD, temp, path, bytes, size, msg);
}

/* ---- files ---- */

static struct file *file_of(int fd)
{
	struct file *f = malloc(sizeof *f);
	if (f)
		f->fd = fd;
	else
		close(fd);
	return f;
}

static void put_u64(uint8_t **at, uint64_t v)
{
	memcpy(*at, &v, sizeof v);
	*at += sizeof v;
}

static void describe(const struct stat *st, struct file_info *info)
{
	uint8_t *at = info->identity;
	memset(info, 0, sizeof *info);
	info->size_bytes = (uint64_t)st->st_size;
	put_u64(&at, (uint64_t)st->st_dev);
	put_u64(&at, (uint64_t)st->st_ino);
	put_u64(&at, (uint64_t)st->st_mtim.tv_sec);
	put_u64(&at, (uint64_t)st->st_mtim.tv_nsec);
	put_u64(&at, (uint64_t)st->st_ctim.tv_sec);
	put_u64(&at, (uint64_t)st->st_ctim.tv_nsec);
}

enum err file_open(const char *path, struct file **out, struct file_info *info, struct errmsg *msg)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return fail(msg, path);
	enum err e = ERR_OK;
	if (fstat(fd, &st) != 0)
		e = fail(msg, path);
	else if (!S_ISREG(st.st_mode))
		e = err_set(msg, ERR_INVALID, "%s: not a regular file", path);
	if (e != ERR_OK) {
		close(fd);
		return e;
	}
	describe(&st, info);
	*out = file_of(fd);
	return *out ? ERR_OK : err_set(msg, ERR_NOMEM, "%s: out of memory", path);
}

enum err file_read(struct file *f, void *buf, size_t size, uint64_t offset, struct errmsg *msg)
{
	for (size_t done = 0; done < size;) {
		ssize_t n =
		    pread(f->fd, (uint8_t *)buf + done, size - done, (off_t)(offset + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(msg, ERR_IO, "%s",
			               n < 0 ? strerror(errno)
			                     : "the file became shorter while it was read");
		done += (size_t)n;
	}
	return ERR_OK;
}

struct file *file_append_open(struct dir *d, const char *name, uint64_t *size_bytes)
{
	int fd = openat(d->fd, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return NULL;
	off_t end = lseek(fd, 0, SEEK_END);
	*size_bytes = end > 0 ? (uint64_t)end : 0;
	return file_of(fd);
}

bool file_append(struct file *f, const void *bytes, size_t size)
{
	return write_all(f->fd, bytes, size);
}

enum err file_open_in(struct dir *d, const char *name, bool make, struct file **out,
                      uint64_t *size_bytes, struct errmsg *msg)
{
	int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | (make ? O_CREAT : 0);
	int fd = openat(d->fd, name, flags, 0600);
	if (fd < 0)
		return fail(msg, name);
	off_t end = lseek(fd, 0, SEEK_END);
	*size_bytes = end > 0 ? (uint64_t)end : 0;
	*out = file_of(fd);
	return *out ? ERR_OK : err_set(msg, ERR_NOMEM, "%s: out of memory", name);
}

enum err file_write(struct file *f, const void *bytes, size_t size, uint64_t offset,
                    struct errmsg *msg)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = pwrite(f->fd, (const uint8_t *)bytes + done, size - done,
		                   (off_t)(offset + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return fail(msg, "writing");
		done += (size_t)n;
	}
	return ERR_OK;
}

enum err file_cut(struct file *f, uint64_t size_bytes, struct errmsg *msg)
{
	return ftruncate(f->fd, (off_t)size_bytes) == 0 ? ERR_OK : fail(msg, "cutting a file");
}

enum err file_punch(struct file *f, uint64_t offset, uint64_t size_bytes)
{
	int how = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	return fallocate(f->fd, how, (off_t)offset, (off_t)size_bytes) == 0 ? ERR_OK
	                                                                    : ERR_UNSUPPORTED;
}

enum err file_sync(struct file *f, struct errmsg *msg)
{
	return fdatasync(f->fd) == 0 ? ERR_OK : fail(msg, "syncing a file");
}

FILE *file_stream(const char *path, const char *mode)
{
	return fopen(path, mode);
}

void file_close(struct file *f)
{
	if (!f)
		return;
	close(f->fd);
	free(f);
}

/* ---- locks ---- */

static void read_line(int fd, char text[FILE_LOCK_TEXT_MAX])
{
	ssize_t n = pread(fd, text, FILE_LOCK_TEXT_MAX - 1, 0);
	text[n > 0 ? n : 0] = 0;
	text[strcspn(text, "\n")] = 0;
}

static enum err busy(int fd, const char *name, char holder[FILE_LOCK_TEXT_MAX], struct errmsg *msg)
{
	if (errno != EWOULDBLOCK)
		return fail(msg, name);
	if (holder)
		read_line(fd, holder);
	return err_set(msg, ERR_BUSY, "%s is held by another program", name);
}

enum err file_lock_take(struct dir *d, const char *name, struct file_lock **out,
                        char holder[FILE_LOCK_TEXT_MAX], struct errmsg *msg)
{
	int fd = openat(d->fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return fail(msg, name);
	enum err e = ERR_OK;
	struct file_lock *l = NULL;
	if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		e = busy(fd, name, holder, msg);
	else if (!(l = malloc(sizeof *l)))
		e = err_set(msg, ERR_NOMEM, "%s: out of memory", name);
	if (!l) {
		close(fd);
		return e;
	}
	l->fd = fd;
	*out = l;
	return ERR_OK;
}

enum err file_lock_write(struct file_lock *l, const char *text, struct errmsg *msg)
{
	size_t size = strlen(text);
	if (ftruncate(l->fd, (off_t)size) != 0 || pwrite(l->fd, text, size, 0) != (ssize_t)size)
		return fail(msg, "lock");
	return ERR_OK;
}

bool file_lock_is_gone(struct file_lock *l)
{
	struct stat st;
	return fstat(l->fd, &st) == 0 && !st.st_nlink;
}

void file_lock_free(struct file_lock *l)
{
	if (!l)
		return;
	close(l->fd);
	free(l);
}

bool file_lock_is_held(struct dir *d, const char *name, char text[FILE_LOCK_TEXT_MAX])
{
	int fd = openat(d->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return false;
	bool held = flock(fd, LOCK_SH | LOCK_NB) != 0;
	if (held)
		read_line(fd, text);
	close(fd);
	return held;
}

/* ---- paths ---- */

char *path_absolute(const char *path)
{
	char cwd[PATH_MAX], *out;
	if (path[0] == '/')
		return strdup(path);
	if (!getcwd(cwd, sizeof cwd) || asprintf(&out, "%s/%s", cwd, path) < 0)
		return NULL;
	return out;
}

char *path_resolve(const char *path)
{
	return realpath(path, NULL);
}

const char *path_last(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

bool path_is_absolute(const char *path)
{
	return path[0] == '/';
}

size_t path_drive_size(const char *path)
{
	return 0;
}

void path_to_guest(char *path)
{
}

char *path_env(const char *name)
{
	const char *value = getenv(name);
	return value ? strdup(value) : NULL;
}

char *path_default_home(void)
{
	const char *user = getenv("HOME");
	const struct passwd *p = user && *user ? NULL : getpwuid(geteuid());
	char *out;
	if (p)
		user = p->pw_dir;
	return asprintf(&out, "%s/.wasmos", user ? user : "") < 0 ? NULL : out;
}

char *path_runtime(void)
{
	const char *run = getenv("XDG_RUNTIME_DIR"), *temp = getenv("TMPDIR");
	char *out;
	int size = run && run[0] == '/'
	               ? asprintf(&out, "%s/wasmos", run)
	               : asprintf(&out, "%s/wasmos-%u", temp && temp[0] == '/' ? temp : "/tmp",
	                          (unsigned)geteuid());
	return size < 0 ? NULL : out;
}
