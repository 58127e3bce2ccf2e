/* file_windows.c - file.h on Windows: handles, access lists, byte locks.
 *
 * A lock is on a byte far behind the text, so that others can read the text meanwhile: Windows' locks are mandatory. What is
 * replaced is written beside its place and moved over it; a scanner that has just opened a file makes that fail for a
 * moment, so it is tried for a while. */
#include "base/file.h"

#include "base/private_windows.h"
#include "base/wide_windows.h"

#include <stdlib.h>
#include <string.h>
#include <wchar.h>

enum { MOVE_TRIES = 50, MOVE_STEP_MS = 10, LOCK_HIGH = 0x40000000 };
#define SHARE_ALL (FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE)

struct dir {
	HANDLE handle; /* held, so that nobody renames it */
	wchar_t *path; /* owned */
};

struct file {
	HANDLE handle;
};

struct file_lock {
	HANDLE handle;
};

static enum err fail(struct errmsg *msg, const char *what)
{
	DWORD error = GetLastError();
	wchar_t *text = NULL;
	FormatMessageW(FORMAT_MESSAGE_ALLOCATE_BUFFER | FORMAT_MESSAGE_FROM_SYSTEM |
	                   FORMAT_MESSAGE_IGNORE_INSERTS,
	               NULL, error, 0, (wchar_t *)&text, 0, NULL);
	if (text)
		text[wcscspn(text, L"\r\n")] = 0;
	char *utf8 = text ? wide_to_utf8(text) : NULL;
	enum err e = err_set(msg, wide_err(error), "%s: %s (error %lu)", what,
	                     utf8 ? utf8 : "the system refused", error);
	free(utf8);
	LocalFree(text);
	return e;
}

static enum err no_memory(struct errmsg *msg, const char *what)
{
	return err_set(msg, ERR_NOMEM, "%s: out of memory", what);
}

/* The path of a name in the folder; free() it. */
static wchar_t *below(const struct dir *d, const char *name)
{
	wchar_t *tail = wide_text(name), *out = NULL;
	if (tail) {
		size_t size = wcslen(d->path) + wcslen(tail) + 2;
		out = malloc(size * sizeof *out);
		if (out) {
			wcscpy(out, d->path);
			wcscat(out, L"\\");
			wcscat(out, tail);
		}
	}
	free(tail);
	return out;
}

static HANDLE open_at(const struct dir *d, const char *name, DWORD access, DWORD how,
                      SECURITY_ATTRIBUTES *sa)
{
	wchar_t *path = below(d, name);
	HANDLE h = INVALID_HANDLE_VALUE;
	if (path)
		h = CreateFileW(path, access, SHARE_ALL, sa, how,
		                FILE_ATTRIBUTE_NORMAL | FILE_FLAG_OPEN_REPARSE_POINT, NULL);
	else
		SetLastError(ERROR_NOT_ENOUGH_MEMORY);
	DWORD why = GetLastError();
	free(path);
	SetLastError(why);
	return h;
}

/* As open_at(), and what is made belongs to this user alone. */
static HANDLE make_at(const struct dir *d, const char *name, DWORD access, DWORD how)
{
	SECURITY_ATTRIBUTES sa;
	if (!private_attributes(PRIVATE_FILE, &sa))
		return INVALID_HANDLE_VALUE;
	HANDLE h = open_at(d, name, access, how, &sa);
	DWORD why = GetLastError();
	LocalFree(sa.lpSecurityDescriptor);
	SetLastError(why);
	return h;
}

/* ---- folders ---- */

/* Cuts path for a while: those above first. False: GetLastError(). */
static bool make_folders(wchar_t *path, SECURITY_ATTRIBUTES *sa)
{
	if (CreateDirectoryW(path, sa) || GetLastError() == ERROR_ALREADY_EXISTS)
		return true;
	wchar_t *cut = wcsrchr(path, L'\\');
	if (GetLastError() != ERROR_PATH_NOT_FOUND || !cut || cut <= path + 4)
		return false;
	*cut = 0;
	bool made = make_folders(path, NULL);
	*cut = L'\\';
	return made && (CreateDirectoryW(path, sa) || GetLastError() == ERROR_ALREADY_EXISTS);
}

static enum err make_private(wchar_t *wide, const char *path, bool above, struct errmsg *msg)
{
	SECURITY_ATTRIBUTES sa;
	if (!private_attributes(PRIVATE_FOLDER, &sa))
		return fail(msg, path);
	bool made = above ? make_folders(wide, &sa)
	                  : CreateDirectoryW(wide, &sa) || GetLastError() == ERROR_ALREADY_EXISTS;
	enum err e = made ? ERR_OK : fail(msg, path);
	LocalFree(sa.lpSecurityDescriptor);
	return e;
}

enum err dir_make(const char *path, struct errmsg *msg)
{
	wchar_t *wide = wide_path(path);
	if (!wide)
		return no_memory(msg, path);
	enum err e = make_private(wide, path, false, msg);
	free(wide);
	return e;
}

static bool has_no_name(void *ctx, const char *name)
{
	*(bool *)ctx = false;
	return false;
}

static bool may_adopt(struct dir *d)
{
	bool empty = true;
	dir_each(d, has_no_name, &empty);
	wchar_t *lock = empty ? NULL : below(d, "lock");
	bool was_home = lock && GetFileAttributesW(lock) != INVALID_FILE_ATTRIBUTES;
	free(lock);
	return empty || was_home;
}

static enum err check_private(struct dir *d, const char *path, unsigned flags, struct errmsg *msg)
{
	BY_HANDLE_FILE_INFORMATION info;
	if (!GetFileInformationByHandle(d->handle, &info))
		return fail(msg, path);
	if (!(info.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY))
		return err_set(msg, ERR_IO, "%s is not a folder", path);
	if (flags & DIR_NO_LINK && info.dwFileAttributes & FILE_ATTRIBUTE_REPARSE_POINT)
		return err_set(msg, ERR_DENIED, "%s leads to another folder", path);
	if (!private_is_owned(d->handle))
		return err_set(msg, ERR_DENIED, "%s belongs to another user", path);
	if (private_is_closed(d->handle))
		return ERR_OK;
	if (!(flags & DIR_ADOPT) || !may_adopt(d))
		return err_set(
		    msg, ERR_DENIED,
		    "%s can be entered by others and is no home of WasmOS: choose another", path);
	if (!private_close(d->handle))
		return err_set(msg, ERR_DENIED, "%s cannot be made private to its user", path);
	return ERR_OK;
}

enum err dir_open(const char *path, unsigned flags, struct dir **out, struct errmsg *msg)
{
	struct dir *d = calloc(1, sizeof *d);
	if (!d || !(d->path = wide_path(path))) {
		free(d);
		return no_memory(msg, path);
	}
	d->handle = INVALID_HANDLE_VALUE;
	enum err e = make_private(d->path, path, true, msg);
	if (e == ERR_OK) {
		d->handle =
		    CreateFileW(d->path, FILE_LIST_DIRECTORY | READ_CONTROL | WRITE_DAC,
		                FILE_SHARE_READ | FILE_SHARE_WRITE, NULL, OPEN_EXISTING,
		                FILE_FLAG_BACKUP_SEMANTICS |
		                    (flags & DIR_NO_LINK ? FILE_FLAG_OPEN_REPARSE_POINT : 0),
		                NULL);
		e = d->handle == INVALID_HANDLE_VALUE ? fail(msg, path)
		                                      : check_private(d, path, flags, msg);
	}
	if (e == ERR_OK)
		*out = d;
	else
		dir_close(d);
	return e == ERR_NOTFOUND ? ERR_IO : e;
}

void dir_close(struct dir *d)
{
	if (!d)
		return;
	if (d->handle != INVALID_HANDLE_VALUE)
		CloseHandle(d->handle);
	free(d->path);
	free(d);
}

void dir_each(struct dir *d, bool (*fn)(void *ctx, const char *name), void *ctx)
{
	WIN32_FIND_DATAW found;
	wchar_t *all = below(d, "*");
	HANDLE h = all ? FindFirstFileW(all, &found) : INVALID_HANDLE_VALUE;
	free(all);
	if (h == INVALID_HANDLE_VALUE)
		return;
	bool more = true;
	do {
		if (!wcscmp(found.cFileName, L".") || !wcscmp(found.cFileName, L".."))
			continue;
		char *name = wide_to_utf8(found.cFileName);
		more = !name || fn(ctx, name);
		free(name);
	} while (more && FindNextFileW(h, &found));
	FindClose(h);
}

void dir_remove(struct dir *d, const char *name)
{
	wchar_t *path = below(d, name);
	if (path)
		DeleteFileW(path);
	free(path);
}

/* The names of an NTFS folder are in its journal: there is nothing to ask for. */
enum err dir_sync(struct dir *d, struct errmsg *msg)
{
	return ERR_OK;
}

static bool move_over(const wchar_t *from, const wchar_t *to)
{
	for (int i = 0; i < MOVE_TRIES; i++) {
		if (MoveFileExW(from, to, MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH))
			return true;
		DWORD why = GetLastError();
		if (why != ERROR_SHARING_VIOLATION && why != ERROR_ACCESS_DENIED)
			return false;
		Sleep(MOVE_STEP_MS);
	}
	return false;
}

void dir_rename(struct dir *d, const char *from, const char *to)
{
	wchar_t *a = below(d, from), *b = below(d, to);
	if (a && b)
		move_over(a, b);
	free(a);
	free(b);
}

static bool write_all(HANDLE h, const uint8_t *p, size_t size)
{
	while (size) {
		DWORD n = 0, part = size < 1 << 30 ? (DWORD)size : 1 << 30;
		if (!WriteFile(h, p, part, &n, NULL) || !n)
			return false;
		p += n;
		size -= n;
	}
	return true;
}

/* At most max bytes at offset; fewer at the end of the file. */
static bool read_at(HANDLE h, void *buf, size_t max, uint64_t offset, size_t *got)
{
	*got = 0;
	while (*got < max) {
		size_t left = max - *got;
		DWORD n = 0, part = left < 1 << 30 ? (DWORD)left : 1 << 30;
		OVERLAPPED at = {.Offset = (DWORD)(offset + *got),
		                 .OffsetHigh = (DWORD)((offset + *got) >> 32)};
		if (!ReadFile(h, (uint8_t *)buf + *got, part, &n, &at) &&
		    GetLastError() != ERROR_HANDLE_EOF)
			return false;
		if (!n)
			return true;
		*got += n;
	}
	return true;
}

static bool is_regular(HANDLE h, BY_HANDLE_FILE_INFORMATION *info)
{
	return GetFileType(h) == FILE_TYPE_DISK && GetFileInformationByHandle(h, info) &&
	       !(info->dwFileAttributes & (FILE_ATTRIBUTE_DIRECTORY | FILE_ATTRIBUTE_DEVICE));
}

enum err dir_read_secret(struct dir *d, const char *name, void *buf, size_t max, size_t *size,
                         struct errmsg *msg)
{
	BY_HANDLE_FILE_INFORMATION info;
	HANDLE h = open_at(d, name, GENERIC_READ, OPEN_EXISTING, NULL);
	if (h == INVALID_HANDLE_VALUE)
		return fail(msg, name);
	enum err e = ERR_OK;
	if (!is_regular(h, &info) || info.dwFileAttributes & FILE_ATTRIBUTE_REPARSE_POINT)
		e = err_set(msg, ERR_DENIED, "%s is not a file", name);
	else if (!private_is_owned(h) || !private_is_closed(h))
		e = err_set(msg, ERR_DENIED, "the file %s holds a secret, but others can read it",
		            name);
	else if (info.nFileSizeHigh || info.nFileSizeLow > max)
		e = err_set(msg, ERR_LIMIT, "%s has more than %zu bytes", name, max);
	else if (!read_at(h, buf, max, 0, size))
		e = fail(msg, name);
	CloseHandle(h);
	return e;
}

static enum err write_and_close(HANDLE h, const void *bytes, size_t size, const char *name,
                                struct errmsg *msg)
{
	if (h == INVALID_HANDLE_VALUE)
		return fail(msg, name);
	enum err e = write_all(h, bytes, size) && FlushFileBuffers(h) ? ERR_OK : fail(msg, name);
	CloseHandle(h);
	return e;
}

/* A file that is complete takes the place of another. */
static enum err take_place(const wchar_t *from, const wchar_t *to, const char *name,
                           struct errmsg *msg)
{
	if (move_over(from, to))
		return ERR_OK;
	enum err e = fail(msg, name);
	DeleteFileW(from);
	return e;
}

enum err dir_replace(struct dir *d, const char *name, const void *bytes, size_t size,
                     struct errmsg *msg)
{
	char temp[256];
	snprintf(temp, sizeof temp, "%s.new", name);
	dir_remove(d, temp);
	TRY(write_and_close(make_at(d, temp, GENERIC_WRITE, CREATE_NEW), bytes, size, name, msg));
	wchar_t *from = below(d, temp), *to = below(d, name);
	enum err e = from && to ? take_place(from, to, name, msg) : no_memory(msg, name);
	free(from);
	free(to);
	return e;
}

enum err file_replace(const char *path, const void *bytes, size_t size, struct errmsg *msg)
{
	SECURITY_ATTRIBUTES sa;
	wchar_t *to = wide_path(path), *from = to ? malloc((wcslen(to) + 32) * sizeof *to) : NULL;
	if (!from || !private_attributes(PRIVATE_FILE, &sa)) {
		free(to);
		free(from);
		return no_memory(msg, path);
	}
	_snwprintf(from, wcslen(to) + 32, L"%ls.%lu.part", to, GetCurrentProcessId());
	HANDLE h =
	    CreateFileW(from, GENERIC_WRITE, 0, &sa, CREATE_NEW, FILE_ATTRIBUTE_NORMAL, NULL);
	enum err e = write_and_close(h, bytes, size, path, msg);
	if (e == ERR_OK)
		e = take_place(from, to, path, msg);
	else if (h != INVALID_HANDLE_VALUE)
		DeleteFileW(from);
	LocalFree(sa.lpSecurityDescriptor);
	free(from);
	free(to);
	return e;
}

/* ---- files ---- */

static struct file *file_of(HANDLE h)
{
	struct file *f = h == INVALID_HANDLE_VALUE ? NULL : malloc(sizeof *f);
	if (f)
		f->handle = h;
	else if (h != INVALID_HANDLE_VALUE)
		CloseHandle(h);
	return f;
}

static void describe(HANDLE h, const BY_HANDLE_FILE_INFORMATION *st, struct file_info *info)
{
	FILE_BASIC_INFO times = {0};
	uint32_t id[6] = {st->dwVolumeSerialNumber,
	                  st->nFileIndexHigh,
	                  st->nFileIndexLow,
	                  st->ftLastWriteTime.dwHighDateTime,
	                  st->ftLastWriteTime.dwLowDateTime,
	                  0};
	memset(info, 0, sizeof *info);
	info->size_bytes = (uint64_t)st->nFileSizeHigh << 32 | st->nFileSizeLow;
	GetFileInformationByHandleEx(h, FileBasicInfo, &times, sizeof times);
	memcpy(info->identity, id, sizeof id);
	memcpy(info->identity + sizeof id, &times.ChangeTime, sizeof times.ChangeTime);
}

enum err file_open(const char *path, struct file **out, struct file_info *info, struct errmsg *msg)
{
	BY_HANDLE_FILE_INFORMATION st;
	wchar_t *wide = wide_path(path);
	if (!wide)
		return no_memory(msg, path);
	HANDLE h = CreateFileW(wide, GENERIC_READ, SHARE_ALL, NULL, OPEN_EXISTING,
	                       FILE_ATTRIBUTE_NORMAL | FILE_FLAG_BACKUP_SEMANTICS, NULL);
	enum err e = h == INVALID_HANDLE_VALUE ? fail(msg, path) : ERR_OK;
	free(wide);
	if (e != ERR_OK)
		return e;
	if (!is_regular(h, &st)) {
		CloseHandle(h);
		return err_set(msg, ERR_INVALID, "%s: not a regular file", path);
	}
	describe(h, &st, info);
	*out = file_of(h);
	return *out ? ERR_OK : no_memory(msg, path);
}

enum err file_read(struct file *f, void *buf, size_t size, uint64_t offset, struct errmsg *msg)
{
	size_t got;
	if (!read_at(f->handle, buf, size, offset, &got))
		return fail(msg, "reading");
	return got == size ? ERR_OK
	                   : err_set(msg, ERR_IO, "the file became shorter while it was read");
}

struct file *file_append_open(struct dir *d, const char *name, uint64_t *size_bytes)
{
	LARGE_INTEGER size = {0};
	HANDLE h =
	    make_at(d, name, FILE_APPEND_DATA | FILE_READ_ATTRIBUTES | SYNCHRONIZE, OPEN_ALWAYS);
	if (h != INVALID_HANDLE_VALUE)
		GetFileSizeEx(h, &size);
	*size_bytes = (uint64_t)size.QuadPart;
	return file_of(h);
}

bool file_append(struct file *f, const void *bytes, size_t size)
{
	return write_all(f->handle, bytes, size);
}

enum err file_open_in(struct dir *d, const char *name, bool make, struct file **out,
                      uint64_t *size_bytes, struct errmsg *msg)
{
	LARGE_INTEGER size = {0};
	HANDLE h = make ? make_at(d, name, GENERIC_READ | GENERIC_WRITE, OPEN_ALWAYS)
	                : open_at(d, name, GENERIC_READ | GENERIC_WRITE, OPEN_EXISTING, NULL);
	if (h == INVALID_HANDLE_VALUE)
		return fail(msg, name);
	GetFileSizeEx(h, &size);
	*size_bytes = (uint64_t)size.QuadPart;
	*out = file_of(h);
	return *out ? ERR_OK : no_memory(msg, name);
}

enum err file_write(struct file *f, const void *bytes, size_t size, uint64_t offset,
                    struct errmsg *msg)
{
	for (size_t done = 0; done < size;) {
		DWORD n = 0, part = size - done < 1 << 30 ? (DWORD)(size - done) : 1 << 30;
		OVERLAPPED at = {.Offset = (DWORD)(offset + done),
		                 .OffsetHigh = (DWORD)((offset + done) >> 32)};
		if (!WriteFile(f->handle, (const uint8_t *)bytes + done, part, &n, &at) || !n)
			return fail(msg, "writing");
		done += n;
	}
	return ERR_OK;
}

enum err file_cut(struct file *f, uint64_t size_bytes, struct errmsg *msg)
{
	FILE_END_OF_FILE_INFO end = {.EndOfFile.QuadPart = (LONGLONG)size_bytes};
	return SetFileInformationByHandle(f->handle, FileEndOfFileInfo, &end, sizeof end)
	           ? ERR_OK
	           : fail(msg, "cutting a file");
}

/* Files would have to be made sparse for it. */
enum err file_punch(struct file *f, uint64_t offset, uint64_t size_bytes)
{
	return ERR_UNSUPPORTED;
}

enum err file_sync(struct file *f, struct errmsg *msg)
{
	return FlushFileBuffers(f->handle) ? ERR_OK : fail(msg, "syncing a file");
}

FILE *file_stream(const char *path, const char *mode)
{
	wchar_t *wide = wide_text(path), how[8] = {0};
	for (size_t i = 0; i < 7 && mode[i]; i++)
		how[i] = (wchar_t)mode[i];
	FILE *f = wide ? _wfopen(wide, how) : NULL;
	free(wide);
	return f;
}

void file_close(struct file *f)
{
	if (!f)
		return;
	CloseHandle(f->handle);
	free(f);
}

/* ---- locks ---- */

static void read_line(HANDLE h, char text[FILE_LOCK_TEXT_MAX])
{
	size_t size = 0;
	read_at(h, text, FILE_LOCK_TEXT_MAX - 1, 0, &size);
	text[size] = 0;
	text[strcspn(text, "\n")] = 0;
}

static bool try_lock(HANDLE h, DWORD flags)
{
	OVERLAPPED far_off = {.OffsetHigh = LOCK_HIGH};
	return LockFileEx(h, flags | LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &far_off);
}

enum err file_lock_take(struct dir *d, const char *name, struct file_lock **out,
                        char holder[FILE_LOCK_TEXT_MAX], struct errmsg *msg)
{
	HANDLE h = make_at(d, name, GENERIC_READ | GENERIC_WRITE, OPEN_ALWAYS);
	if (h == INVALID_HANDLE_VALUE)
		return fail(msg, name);
	enum err e = ERR_OK;
	struct file_lock *l = NULL;
	if (!try_lock(h, LOCKFILE_EXCLUSIVE_LOCK)) {
		e = err_set(msg, ERR_BUSY, "%s is held by another program", name);
		if (holder)
			read_line(h, holder);
	} else if (!(l = malloc(sizeof *l))) {
		e = no_memory(msg, name);
	}
	if (!l) {
		CloseHandle(h);
		return e;
	}
	l->handle = h;
	*out = l;
	return ERR_OK;
}

enum err file_lock_write(struct file_lock *l, const char *text, struct errmsg *msg)
{
	LARGE_INTEGER start = {0};
	if (!SetFilePointerEx(l->handle, start, NULL, FILE_BEGIN) ||
	    !write_all(l->handle, (const uint8_t *)text, strlen(text)) || !SetEndOfFile(l->handle))
		return fail(msg, "lock");
	return ERR_OK;
}

bool file_lock_is_gone(struct file_lock *l)
{
	FILE_STANDARD_INFO info;
	return GetFileInformationByHandleEx(l->handle, FileStandardInfo, &info, sizeof info) &&
	       (info.DeletePending || !info.NumberOfLinks);
}

void file_lock_free(struct file_lock *l)
{
	if (!l)
		return;
	CloseHandle(l->handle);
	free(l);
}

bool file_lock_is_held(struct dir *d, const char *name, char text[FILE_LOCK_TEXT_MAX])
{
	HANDLE h = open_at(d, name, GENERIC_READ, OPEN_EXISTING, NULL);
	if (h == INVALID_HANDLE_VALUE)
		return false;
	bool held = !try_lock(h, 0);
	if (held)
		read_line(h, text);
	CloseHandle(h);
	return held;
}

/* ---- paths ---- */

static char *absolute(const char *path, bool must_exist)
{
	wchar_t *wide = wide_text(path), *full = NULL;
	DWORD room = wide ? GetFullPathNameW(wide, 0, NULL, NULL) : 0;
	char *out = NULL;
	if (room)
		full = malloc(room * sizeof *full);
	if (full && GetFullPathNameW(wide, room, full, NULL) < room)
		out = wide_to_utf8(full);
	free(wide);
	free(full);
	wchar_t *there = must_exist && out ? wide_path(out) : NULL;
	if (must_exist && (!there || GetFileAttributesW(there) == INVALID_FILE_ATTRIBUTES)) {
		free(out);
		out = NULL;
	}
	free(there);
	return out;
}

char *path_absolute(const char *path)
{
	return absolute(path, false);
}

char *path_resolve(const char *path)
{
	return absolute(path, true);
}

size_t path_drive_size(const char *path)
{
	unsigned char letter = (unsigned char)(path[0] | 32);
	return letter >= 'a' && letter <= 'z' && path[1] == ':' ? 2 : 0;
}

static bool is_slash(char c)
{
	return c == '\\' || c == '/';
}

const char *path_last(const char *path)
{
	const char *last = path + path_drive_size(path);
	for (const char *p = last; *p; p++)
		if (is_slash(*p))
			last = p + 1;
	return last;
}

/* "C:\\x" or "\\\\server\\x": what depends on no current folder or drive. */
bool path_is_absolute(const char *path)
{
	return path_drive_size(path) ? is_slash(path[2]) : is_slash(path[0]) && is_slash(path[1]);
}

void path_to_guest(char *path)
{
	size_t drive = path_drive_size(path);
	memmove(path, path + drive, strlen(path + drive) + 1);
	for (char *p = path; *p; p++)
		if (*p == '\\')
			*p = '/';
}

char *path_env(const char *name)
{
	wchar_t *wide = wide_text(name), *value = NULL;
	DWORD room = wide ? GetEnvironmentVariableW(wide, NULL, 0) : 0;
	char *out = NULL;
	if (room)
		value = malloc(room * sizeof *value);
	if (value && GetEnvironmentVariableW(wide, value, room) < room)
		out = wide_to_utf8(value);
	free(wide);
	free(value);
	return out;
}

/* A folder of the user's that does not roam to other machines. */
static char *local_folder(const char *name)
{
	char *base = path_env("LOCALAPPDATA");
	if (!base || !*base) {
		free(base);
		base = path_env("USERPROFILE");
	}
	size_t size = base ? strlen(base) + strlen(name) + 2 : 0;
	char *out = size ? malloc(size) : NULL;
	if (out)
		snprintf(out, size, "%s\\%s", base, name);
	free(base);
	return out;
}

char *path_default_home(void)
{
	return local_folder("WasmOS");
}

char *path_runtime(void)
{
	return local_folder("WasmOS-nearby");
}
