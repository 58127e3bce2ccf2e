/* resize_console.c - for windows_console.py: runs a command in this console, and makes the console smaller when a file is there.
 *
 *	resize_console.exe FILE COLUMNS ROWS COMMAND LINE...     ends with the command's status
 */
#include <stdlib.h>
#include <wchar.h>
#include <windows.h>

enum { LOOK_MS = 100, LINE_MAX = 4096 };

static void resize(SHORT cols, SHORT rows)
{
	HANDLE out = GetStdHandle(STD_OUTPUT_HANDLE);
	SMALL_RECT window = {0, 0, (SHORT)(cols - 1), (SHORT)(rows - 1)};
	SetConsoleWindowInfo(out, TRUE, &window);
	SetConsoleScreenBufferSize(out, (COORD){cols, rows});
}

int wmain(int argc, wchar_t **argv)
{
	wchar_t line[LINE_MAX] = L"";
	STARTUPINFOW how = {.cb = sizeof how};
	PROCESS_INFORMATION child;
	DWORD status = 1;
	BOOL done = FALSE;
	if (argc < 5)
		return 2;
	for (int i = 4; i < argc; i++) {
		wcsncat(line, argv[i], LINE_MAX - wcslen(line) - 2);
		wcscat(line, L" ");
	}
	SetConsoleCtrlHandler(NULL, TRUE); /* keys are the command's */
	if (!CreateProcessW(NULL, line, NULL, NULL, TRUE, 0, NULL, NULL, &how, &child))
		return 3;
	while (WaitForSingleObject(child.hProcess, LOOK_MS) == WAIT_TIMEOUT)
		if (!done && GetFileAttributesW(argv[1]) != INVALID_FILE_ATTRIBUTES) {
			resize((SHORT)_wtoi(argv[2]), (SHORT)_wtoi(argv[3]));
			done = TRUE;
		}
	GetExitCodeProcess(child.hProcess, &status);
	return (int)status;
}
