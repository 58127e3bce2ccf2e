/* tree_windows.c - folders of the host to test on, on Windows: in its folder for such, with a name that is not ASCII. */
#include "tests/vfs/tree.h"

#include "base/os.h"
#include "base/wide_windows.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <io.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

static void host_folder(const char *path)
{
	wchar_t *wide = wide_path(path);
	cr_assert(wide && CreateDirectoryW(wide, NULL));
	free(wide);
}

static void host_file(const char *path, const char *text)
{
	DWORD n;
	wchar_t *wide = wide_path(path);
	HANDLE h = CreateFileW(wide, GENERIC_WRITE, 0, NULL, CREATE_NEW, 0, NULL);
	free(wide);
	cr_assert(h != INVALID_HANDLE_VALUE && WriteFile(h, text, (DWORD)strlen(text), &n, NULL));
	CloseHandle(h);
}

void host_make(char *base, size_t size)
{
	wchar_t temp[MAX_PATH + 1];
	char path[300];
	uint64_t number;
	cr_assert(GetTempPathW(MAX_PATH + 1, temp));
	char *text = wide_to_utf8(temp);
	os_random(&number, sizeof number);
	snprintf(base, size, "%swasmos-tést-%016llx", text, (unsigned long long)number);
	free(text);
	host_folder(base);
	snprintf(path, sizeof path, "%s/mount", base);
	host_folder(path);
	snprintf(path, sizeof path, "%s/outside", base);
	host_folder(path);
	snprintf(path, sizeof path, "%s/outside/secret", base);
	host_file(path, "secret");
}

/* Links are removed, not what they lead to. */
static void remove_all(const wchar_t *folder)
{
	wchar_t path[1024];
	WIN32_FIND_DATAW f;
	_snwprintf(path, 1024, L"%ls\\*", folder);
	HANDLE h = FindFirstFileW(path, &f);
	for (bool more = h != INVALID_HANDLE_VALUE; more; more = FindNextFileW(h, &f)) {
		if (!wcscmp(f.cFileName, L".") || !wcscmp(f.cFileName, L".."))
			continue;
		_snwprintf(path, 1024, L"%ls\\%ls", folder, f.cFileName);
		if (!(f.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY))
			DeleteFileW(path);
		else if (f.dwFileAttributes & FILE_ATTRIBUTE_REPARSE_POINT)
			RemoveDirectoryW(path);
		else
			remove_all(path);
	}
	FindClose(h);
	RemoveDirectoryW(folder);
}

void host_remove(const char *base)
{
	wchar_t *wide = wide_path(base);
	remove_all(wide);
	cr_assert_eq(GetFileAttributesW(wide), INVALID_FILE_ATTRIBUTES);
	free(wide);
}

bool host_link(const char *target, const char *path)
{
	return false; /* vfs_symlink() makes all that the tests want */
}

bool host_exists(const char *path)
{
	wchar_t *wide = wide_path(path);
	DWORD attributes = GetFileAttributesW(wide);
	free(wide);
	return attributes != INVALID_FILE_ATTRIBUTES;
}

void host_pipe(int fds[2])
{
	cr_assert_eq(_pipe(fds, 65536, _O_BINARY), 0);
}

bool host_renames_open_folders(void)
{
	return false;
}

/* Wine keeps the name that a handle was opened by. */
bool host_follows_renames(void)
{
	return !GetProcAddress(GetModuleHandleW(L"ntdll.dll"), "wine_get_version");
}
