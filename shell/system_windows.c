/* system_windows.c - system.h on Windows: UTF-8 arguments, a console that understands UTF-8 and control sequences, and the
 * program started again.
 *
 * A background node is the same command line once more, without a console, with a pipe whose handle stands in the environment
 * as WASMOS_BACKGROUND. It inherits that pipe and an empty device, nothing else: else whoever reads our
 * output would wait for the node's end. */
#include "shell/system.h"

#include "base/wide_windows.h"
#include "shell/internal.h"

#include <fcntl.h>
#include <io.h>
#include <shellapi.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <windows.h>

enum { HANDLES_MAX = 3 };
static const wchar_t background_name[] = L"WASMOS_BACKGROUND";

/* ---- at the start ---- */

static bool take_arguments(int *argc, char ***argv)
{
	int count;
	wchar_t **wide = CommandLineToArgvW(GetCommandLineW(), &count);
	char **out = wide ? calloc((size_t)count + 1, sizeof *out) : NULL;
	bool good = out != NULL;
	for (int i = 0; good && i < count; i++)
		good = (out[i] = wide_to_utf8(wide[i])) != NULL;
	LocalFree(wide);
	if (good) {
		*argc = count;
		*argv = out;
	}
	return good;
}

/* How the console was before; given back when the program ends. atexit() gives no context. */
static atomic_uint code_page_before;

static void give_back_code_page(void)
{
	SetConsoleOutputCP(atomic_load(&code_page_before));
}

static void prepare_console(void)
{
	static const DWORD ids[] = {STD_OUTPUT_HANDLE, STD_ERROR_HANDLE};
	bool any = false;
	for (int i = 0; i < 2; i++) {
		DWORD mode;
		HANDLE h = GetStdHandle(ids[i]);
		if (!GetConsoleMode(h, &mode))
			continue;
		any = true;
		SetConsoleMode(h,
		               mode | ENABLE_PROCESSED_OUTPUT | ENABLE_VIRTUAL_TERMINAL_PROCESSING);
	}
	unsigned before = any ? GetConsoleOutputCP() : CP_UTF8;
	if (before == CP_UTF8 || !before)
		return;
	atomic_store(&code_page_before, before);
	SetConsoleOutputCP(CP_UTF8);
	atexit(give_back_code_page);
}

static bool open_streams(void)
{
	FILE *streams[] = {stdin, stdout, stderr};
	for (int i = 0; i < 3; i++) {
		if (_fileno(streams[i]) < 0 && !_wfreopen(L"NUL", i ? L"w" : L"r", streams[i]))
			return false;
		_setmode(_fileno(streams[i]), _O_BINARY);
		/* Else printf() writes byte by byte, which takes letters apart. */
		if (i && setvbuf(streams[i], NULL, _IOFBF, BUFSIZ))
			return false;
	}
	return true;
}

bool system_begin(int *argc, char ***argv)
{
	if (!open_streams() || !take_arguments(argc, argv))
		return false;
	prepare_console();
	return true;
}

/* ---- starting this program again ---- */

struct command_line {
	wchar_t text[32768];
	size_t size;
};

static void put_unit(struct command_line *c, wchar_t unit)
{
	if (c->size + 1 < sizeof c->text / sizeof *c->text)
		c->text[c->size++] = unit;
	c->text[c->size] = 0;
}

/* In quotes; a backslash counts double before a quote and at the end only. */
static void put_argument(struct command_line *c, const wchar_t *text)
{
	size_t slashes = 0;
	if (c->size)
		put_unit(c, L' ');
	put_unit(c, L'"');
	for (; *text; text++) {
		for (slashes = 0; *text == L'\\'; text++)
			slashes++;
		for (size_t i = 0; i < (!*text || *text == L'"' ? 2 * slashes : slashes); i++)
			put_unit(c, L'\\');
		if (!*text)
			break;
		if (*text == L'"')
			put_unit(c, L'\\');
		put_unit(c, *text);
	}
	put_unit(c, L'"');
}

/* Starts this program with these handles and no others. in, out, err: its streams. */
static bool start(wchar_t *line, HANDLE *streams, HANDLE *handles, size_t count, DWORD flags,
                  PROCESS_INFORMATION *out)
{
	wchar_t self[32768];
	SIZE_T size = 0;
	STARTUPINFOEXW si = {.StartupInfo = {.cb = sizeof si,
	                                     .dwFlags = STARTF_USESTDHANDLES,
	                                     .hStdInput = streams[0],
	                                     .hStdOutput = streams[1],
	                                     .hStdError = streams[2]}};
	if (!GetModuleFileNameW(NULL, self, sizeof self / sizeof *self))
		return false;
	InitializeProcThreadAttributeList(NULL, 1, 0, &size);
	si.lpAttributeList = malloc(size);
	if (!si.lpAttributeList ||
	    !InitializeProcThreadAttributeList(si.lpAttributeList, 1, 0, &size)) {
		free(si.lpAttributeList);
		return false;
	}
	bool started =
	    UpdateProcThreadAttribute(si.lpAttributeList, 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST,
	                              handles, count * sizeof *handles, NULL, NULL) &&
	    CreateProcessW(self, line, NULL, NULL, TRUE, flags | EXTENDED_STARTUPINFO_PRESENT, NULL,
	                   NULL, &si.StartupInfo, out);
	DWORD why = GetLastError();
	DeleteProcThreadAttributeList(si.lpAttributeList);
	free(si.lpAttributeList);
	SetLastError(why);
	return started;
}

/* An inheritable copy of a stream of ours; of the empty device where there is none. */
static HANDLE copy_stream(DWORD id)
{
	HANDLE h = GetStdHandle(id), copy = NULL;
	if (h && h != INVALID_HANDLE_VALUE &&
	    DuplicateHandle(GetCurrentProcess(), h, GetCurrentProcess(), &copy, 0, TRUE,
	                    DUPLICATE_SAME_ACCESS))
		return copy;
	SECURITY_ATTRIBUTES sa = {.nLength = sizeof sa, .bInheritHandle = TRUE};
	return CreateFileW(L"NUL", GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE,
	                   &sa, OPEN_EXISTING, 0, NULL);
}

bool system_run_up(struct shell *sh, const char *home)
{
	static const DWORD ids[] = {STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE};
	struct command_line *line = calloc(1, sizeof *line);
	wchar_t *wide = wide_text(home);
	HANDLE streams[3];
	PROCESS_INFORMATION child = {0};
	DWORD status = 1;
	for (int i = 0; i < 3; i++)
		streams[i] = copy_stream(ids[i]);
	const wchar_t *arguments[] = {L"wasmos", L"up", L"--quiet", L"--home", wide};
	for (int i = 0; line && wide && i < 5; i++)
		put_argument(line, arguments[i]);
	if (!line || !wide || !start(line->text, streams, streams, 3, 0, &child)) {
		shell_fail(sh, "the node cannot be started (error %lu)", GetLastError());
	} else {
		WaitForSingleObject(child.hProcess, INFINITE);
		GetExitCodeProcess(child.hProcess, &status);
		CloseHandle(child.hProcess);
		CloseHandle(child.hThread);
	}
	for (int i = 0; i < 3; i++)
		CloseHandle(streams[i]);
	free(line);
	free(wide);
	return status == 0;
}

/* ---- the background ---- */

/* A program that is told to end with the job of the one that started it leaves the job, where it may. */
static bool start_detached(HANDLE empty, HANDLE tell, PROCESS_INFORMATION *child)
{
	HANDLE streams[3] = {empty, empty, empty}, handles[2] = {empty, tell};
	DWORD flags = DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP;
	wchar_t *line = _wcsdup(GetCommandLineW());
	if (!line)
		return false;
	bool started = start(line, streams, handles, 2, flags | CREATE_BREAKAWAY_FROM_JOB, child) ||
	               start(line, streams, handles, 2, flags, child);
	free(line);
	return started;
}

static bool read_verdict(HANDLE from, void *verdict, size_t size)
{
	for (size_t at = 0; at < size;) {
		DWORD n = 0;
		if (!ReadFile(from, (char *)verdict + at, (DWORD)(size - at), &n, NULL) || !n)
			return false;
		at += n;
	}
	return true;
}

/* The list of handles says it already; where it is not kept to (wine), our output would have no end. */
static void keep_streams(void)
{
	static const DWORD ids[] = {STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE};
	for (int i = 0; i < 3; i++) {
		HANDLE h = GetStdHandle(ids[i]);
		if (h && h != INVALID_HANDLE_VALUE)
			SetHandleInformation(h, HANDLE_FLAG_INHERIT, 0);
	}
}

static long start_background(void *verdict, size_t size)
{
	SECURITY_ATTRIBUTES sa = {.nLength = sizeof sa, .bInheritHandle = TRUE};
	HANDLE from, tell;
	PROCESS_INFORMATION child = {0};
	wchar_t number[32];
	if (!CreatePipe(&from, &tell, NULL, 0))
		return 0;
	SetHandleInformation(tell, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT);
	keep_streams();
	HANDLE empty = CreateFileW(L"NUL", GENERIC_READ | GENERIC_WRITE,
	                           FILE_SHARE_READ | FILE_SHARE_WRITE, &sa, OPEN_EXISTING, 0, NULL);
	_snwprintf(number, 32, L"%llu", (unsigned long long)(uintptr_t)tell);
	SetEnvironmentVariableW(background_name, number);
	bool good = start_detached(empty, tell, &child);
	SetEnvironmentVariableW(background_name, NULL);
	CloseHandle(tell);
	CloseHandle(empty);
	good = good && read_verdict(from, verdict, size);
	CloseHandle(from);
	if (child.hProcess) {
		CloseHandle(child.hProcess);
		CloseHandle(child.hThread);
	}
	return good ? (long)child.dwProcessId : 0;
}

long system_background(struct shell *sh, int (*fn)(struct shell *sh, void *ctx), void *ctx,
                       void *verdict, size_t size)
{
	wchar_t number[32];
	DWORD n = GetEnvironmentVariableW(background_name, number, 32);
	if (!n || n >= 32)
		return start_background(verdict, size);
	SetEnvironmentVariableW(background_name, NULL);
	sh->verdict_fd = (intptr_t)_wcstoui64(number, NULL, 10);
	SetHandleInformation((HANDLE)sh->verdict_fd, HANDLE_FLAG_INHERIT, 0);
	exit(fn(sh, ctx));
}

static void leave_terminal(const char *home)
{
	wchar_t folder[MAX_PATH];
	size_t size = strlen(home) + 16;
	char *path = malloc(size);
	if (path)
		snprintf(path, size, "%s\\stderr", home);
	wchar_t *wide = path ? wide_path(path) : NULL;
	if (wide && _wfreopen(wide, L"wb", stderr))
		setvbuf(stderr, NULL, _IONBF, 0);
	free(wide);
	free(path);
	/* So that the folder it was started in can be removed. */
	if (GetWindowsDirectoryW(folder, MAX_PATH))
		SetCurrentDirectoryW(folder);
}

void system_tell(struct shell *sh, const char *home, bool stays, const void *verdict, size_t size)
{
	DWORD n = 0;
	if (stays)
		leave_terminal(home);
	if (!WriteFile((HANDLE)sh->verdict_fd, verdict, (DWORD)size, &n, NULL) || n != size)
		exit(1);
	CloseHandle((HANDLE)sh->verdict_fd);
}

void system_hold_interrupts(void)
{
}

bool system_is_interrupted(void)
{
	return false;
}
