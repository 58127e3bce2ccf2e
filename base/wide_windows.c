/* wide_windows.c - UTF-8 paths and errors at Windows' edge. */
#include "base/wide_windows.h"

#include "base/utf16.h"

#include <stdlib.h>
#include <string.h>
#include <windows.h>

wchar_t *wide_text(const char *text)
{
	size_t size = strlen(text), units;
	wchar_t *out = malloc((size + 1) * sizeof *out);
	if (!out)
		return NULL;
	if (utf16_of_utf8(text, size, out, size + 1, &units) != ERR_OK) {
		free(out);
		return NULL;
	}
	out[units] = 0;
	return out;
}

char *wide_to_utf8(const wchar_t *text)
{
	size_t units = wcslen(text), size;
	char *out = malloc(3 * units + 1);
	if (!out || utf8_of_utf16(text, units, out, 3 * units, &size) != ERR_OK)
		return NULL;
	out[size] = 0;
	return out;
}

/* Where the path itself goes behind the prefix: \\server\share becomes \\?\UNC\server\share. */
static const wchar_t *prefix_of(const wchar_t *full, size_t *skip)
{
	*skip = 0;
	if (!wcsncmp(full, L"\\\\?\\", 4) || !wcsncmp(full, L"\\\\.\\", 4))
		return L"";
	if (wcsncmp(full, L"\\\\", 2))
		return L"\\\\?\\";
	*skip = 2;
	return L"\\\\?\\UNC\\";
}

wchar_t *wide_path(const char *path)
{
	enum { PREFIX_MAX = 8 };
	size_t skip;
	wchar_t *out = NULL, *text = wide_text(path);
	DWORD size = text && *text ? GetFullPathNameW(text, 0, NULL, NULL) : 0;
	wchar_t *full = size ? malloc(size * sizeof *full) : NULL;
	if (full && GetFullPathNameW(text, size, full, NULL) < size)
		out = malloc((size + PREFIX_MAX) * sizeof *out);
	if (out) {
		wcscpy(out, prefix_of(full, &skip));
		wcscat(out, full + skip);
	}
	free(full);
	free(text);
	return out;
}

enum err wide_err(unsigned long last_error)
{
	switch (last_error) {
	case ERROR_SUCCESS: return ERR_OK;
	case ERROR_FILE_NOT_FOUND:
	case ERROR_PATH_NOT_FOUND:
	case ERROR_INVALID_NAME:
	case ERROR_BAD_NETPATH:
	case ERROR_BAD_NET_NAME:
	case ERROR_INVALID_DRIVE: return ERR_NOTFOUND;
	case ERROR_ACCESS_DENIED:
	case ERROR_WRITE_PROTECT:
	case ERROR_PRIVILEGE_NOT_HELD: return ERR_DENIED;
	case ERROR_NOT_ENOUGH_MEMORY:
	case ERROR_OUTOFMEMORY:
	case ERROR_COMMITMENT_LIMIT:
	case ERROR_NO_SYSTEM_RESOURCES: return ERR_NOMEM;
	case ERROR_FILE_EXISTS:
	case ERROR_ALREADY_EXISTS: return ERR_EXISTS;
	case ERROR_SHARING_VIOLATION:
	case ERROR_LOCK_VIOLATION: return ERR_BUSY;
	case ERROR_DISK_FULL:
	case ERROR_HANDLE_DISK_FULL: return ERR_FULL;
	case ERROR_DIRECTORY: return ERR_INVALID;
	case ERROR_NOT_SUPPORTED:
	case ERROR_CALL_NOT_IMPLEMENTED: return ERR_UNSUPPORTED;
	default: return ERR_IO;
	}
}
