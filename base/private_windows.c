/* private_windows.c - private_windows.h. Lists are written in SDDL: O owner, D discretionary list, P not inherited. */
#include "base/private_windows.h"

#include <aclapi.h>
#include <sddl.h>
#include <stdio.h>
#include <stdlib.h>

/* free() it. NULL: the system does not say who we are. */
static TOKEN_USER *current_user(void)
{
	HANDLE token;
	DWORD size = 0;
	TOKEN_USER *user = NULL;
	if (!OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token))
		return NULL;
	GetTokenInformation(token, TokenUser, NULL, 0, &size);
	if (size)
		user = malloc(size);
	if (user && !GetTokenInformation(token, TokenUser, user, size, &size)) {
		free(user);
		user = NULL;
	}
	CloseHandle(token);
	return user;
}

static PSECURITY_DESCRIPTOR descriptor_of(enum private_kind kind, const wchar_t *sid)
{
	static const wchar_t *const forms[] = {
	    [PRIVATE_FILE] = L"O:%lsD:P(A;;FA;;;%ls)(A;;FA;;;SY)",
	    [PRIVATE_FOLDER] = L"O:%lsD:P(A;OICI;FA;;;%ls)(A;OICI;FA;;;SY)",
	    [PRIVATE_PIPE] = L"O:%lsD:P(A;;GA;;;%ls)",
	};
	wchar_t text[512];
	PSECURITY_DESCRIPTOR d = NULL;
	_snwprintf(text, 511, forms[kind], sid, sid);
	text[511] = 0;
	if (!ConvertStringSecurityDescriptorToSecurityDescriptorW(text, SDDL_REVISION_1, &d, NULL))
		return NULL;
	return d;
}

bool private_attributes(enum private_kind kind, SECURITY_ATTRIBUTES *sa)
{
	TOKEN_USER *user = current_user();
	wchar_t *sid = NULL;
	*sa = (SECURITY_ATTRIBUTES){.nLength = sizeof *sa};
	if (user && ConvertSidToStringSidW(user->User.Sid, &sid))
		sa->lpSecurityDescriptor = descriptor_of(kind, sid);
	LocalFree(sid);
	free(user);
	return sa->lpSecurityDescriptor != NULL;
}

/* ---- looking ---- */

static bool is_well_known(PSID sid, WELL_KNOWN_SID_TYPE type)
{
	return IsWellKnownSid(sid, type);
}

static bool is_trusted(PSID sid, PSID user)
{
	return EqualSid(sid, user) || is_well_known(sid, WinLocalSystemSid) ||
	       is_well_known(sid, WinBuiltinAdministratorsSid) ||
	       is_well_known(sid, WinCreatorOwnerSid) ||
	       is_well_known(sid, WinCreatorOwnerRightsSid);
}

/* Of a kind of object: files and folders, or pipes. */
static bool owner_is_trusted(HANDLE h, SE_OBJECT_TYPE type)
{
	PSID owner = NULL;
	PSECURITY_DESCRIPTOR d = NULL;
	TOKEN_USER *user = current_user();
	bool ours = user &&
	            GetSecurityInfo(h, type, OWNER_SECURITY_INFORMATION, &owner, NULL, NULL, NULL,
	                            &d) == ERROR_SUCCESS &&
	            owner && is_trusted(owner, user->User.Sid);
	LocalFree(d);
	free(user);
	return ours;
}

bool private_is_owned(HANDLE h)
{
	return owner_is_trusted(h, SE_FILE_OBJECT);
}

bool private_is_ours(HANDLE pipe)
{
	return owner_is_trusted(pipe, SE_KERNEL_OBJECT);
}

/* Every entry that allows something names somebody trusted. No list at all allows everybody everything. */
static bool list_is_closed(PACL list, PSID user)
{
	if (!list)
		return false;
	for (DWORD i = 0; i < list->AceCount; i++) {
		ACCESS_ALLOWED_ACE *entry;
		if (!GetAce(list, i, (void **)&entry))
			return false;
		if (entry->Header.AceType == ACCESS_DENIED_ACE_TYPE)
			continue;
		if (entry->Header.AceType != ACCESS_ALLOWED_ACE_TYPE)
			return false;
		if (entry->Mask && !is_trusted((PSID)&entry->SidStart, user))
			return false;
	}
	return true;
}

bool private_is_closed(HANDLE h)
{
	PACL list = NULL;
	PSECURITY_DESCRIPTOR d = NULL;
	TOKEN_USER *user = current_user();
	bool closed = user &&
	              GetSecurityInfo(h, SE_FILE_OBJECT, DACL_SECURITY_INFORMATION, NULL, NULL,
	                              &list, NULL, &d) == ERROR_SUCCESS &&
	              list_is_closed(list, user->User.Sid);
	LocalFree(d);
	free(user);
	return closed;
}

bool private_close(HANDLE h)
{
	SECURITY_ATTRIBUTES sa;
	PACL list = NULL;
	BOOL present, defaulted;
	if (!private_attributes(PRIVATE_FOLDER, &sa))
		return false;
	bool done =
	    GetSecurityDescriptorDacl(sa.lpSecurityDescriptor, &present, &list, &defaulted) &&
	    SetSecurityInfo(h, SE_FILE_OBJECT,
	                    DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION, NULL,
	                    NULL, list, NULL) == ERROR_SUCCESS;
	LocalFree(sa.lpSecurityDescriptor);
	return done;
}
