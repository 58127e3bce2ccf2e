/* private_windows.h - access lists that name the user whom this program runs for, for the files that talk to Windows. Any
 * thread. */
#pragma once

#include <stdbool.h>
#include <windows.h>

enum private_kind { PRIVATE_FILE, PRIVATE_FOLDER, PRIVATE_PIPE };

/* The descriptor of a new object that this user alone (files: and the system itself) may use: LocalFree() what is
 * in sa->lpSecurityDescriptor. False: there is none, and nothing may be made. */
bool private_attributes(enum private_kind kind, SECURITY_ATTRIBUTES *sa);
/* Whether the open file or folder belongs to this user, and only this user, administrators and the system have rights to it. */
bool private_is_owned(HANDLE h);
bool private_is_closed(HANDLE h);
/* Gives an open folder (WRITE_DAC) the list that private_attributes() gives a new one. */
bool private_close(HANDLE h);
/* Whether the other end of an open pipe was made by this user. */
bool private_is_ours(HANDLE pipe);
