/* os_windows.c - os.h on Windows (10, version 1809, and later): memory, page faults, clocks, randomness,
 * files, waiting.
 *
 * A refused access is an exception that the vectored handler sees first, on the faulting thread. To end a guard it
 * does not jump: it gives the system the registers that setjmp() noted, and says that the program continues. So the
 * system's own frames end as they should, and the frames of the guarded body, which have no unwind tables that
 * could be trusted (musttail, preserve_none), are left without being walked.
 *
 * All address space is reserved with MEM_WRITE_WATCH: the flag cannot be given later, and costs a bit a page.
 */
#include "base/os_fault.h"
#include "base/wide_windows.h"

#include <setjmp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>
/* after windows.h: */
#include <bcrypt.h>

#ifndef CREATE_WAITABLE_TIMER_HIGH_RESOLUTION
#define CREATE_WAITABLE_TIMER_HIGH_RESOLUTION 2 /* newer than some headers */
#endif

/* ---- memory ---- */

uint32_t os_processors(void)
{
	SYSTEM_INFO info;
	GetSystemInfo(&info);
	return info.dwNumberOfProcessors ? info.dwNumberOfProcessors : 1;
}

uint64_t os_memory_bytes(void)
{
	MEMORYSTATUSEX m = {.dwLength = sizeof m};
	return GlobalMemoryStatusEx(&m) ? m.ullTotalPhys : 0;
}

uint32_t os_files_max(void)
{
	return UINT32_MAX;
}

bool os_files_scarce(uint32_t kept)
{
	return false;
}

size_t os_page_size(void)
{
	SYSTEM_INFO info;
	GetSystemInfo(&info);
	return info.dwPageSize;
}

void *os_reserve(size_t size_bytes)
{
	void *p = VirtualAlloc(NULL, size_bytes, MEM_RESERVE | MEM_WRITE_WATCH, PAGE_NOACCESS);
	return p ? p : VirtualAlloc(NULL, size_bytes, MEM_RESERVE, PAGE_NOACCESS);
}

enum err os_commit(void *p, size_t size_bytes)
{
	if (size_bytes && !VirtualAlloc(p, size_bytes, MEM_COMMIT, PAGE_READWRITE))
		return ERR_NOMEM;
	return ERR_OK;
}

void os_decommit(void *p, size_t size_bytes)
{
	VirtualFree(p, size_bytes, MEM_DECOMMIT);
}

enum err os_protect(void *p, size_t size_bytes, enum os_access access)
{
	static const DWORD protect[] = {PAGE_NOACCESS, PAGE_READONLY, PAGE_READWRITE};
	DWORD before;
	if (size_bytes && !VirtualProtect(p, size_bytes, protect[access], &before))
		return ERR_NOMEM;
	return ERR_OK;
}

void os_release(void *p, size_t size_bytes)
{
	if (p)
		VirtualFree(p, 0, MEM_RELEASE);
}

/* ---- page faults ---- */

struct guard {
	jmp_buf env;
	struct guard *outer;
	uintptr_t addr;
};

static _Thread_local struct guard *guard_now;

/* The thread goes on where setjmp() returned, which now returns 1. */
static void continue_at(CONTEXT *c, const jmp_buf env)
{
	const _JUMP_BUFFER *j = (const void *)env;
	c->Rip = j->Rip;
	c->Rsp = j->Rsp;
	c->Rbp = j->Rbp;
	c->Rbx = j->Rbx;
	c->Rsi = j->Rsi;
	c->Rdi = j->Rdi;
	c->R12 = j->R12;
	c->R13 = j->R13;
	c->R14 = j->R14;
	c->R15 = j->R15;
	c->Rax = 1;
	c->EFlags &= ~0x400u; /* the direction flag */
	memcpy(&c->Xmm6, &j->Xmm6, 10 * sizeof c->Xmm6);
}

static LONG CALLBACK on_exception(EXCEPTION_POINTERS *x)
{
	const EXCEPTION_RECORD *r = x->ExceptionRecord;
	if (r->ExceptionCode != EXCEPTION_ACCESS_VIOLATION || r->NumberParameters < 2)
		return EXCEPTION_CONTINUE_SEARCH;
	uintptr_t addr = r->ExceptionInformation[1];
	DWORD saved = GetLastError();
	enum os_fault_answer answer = os_fault_ask(addr);
	SetLastError(saved);
	if (answer == OS_FAULT_RESOLVED)
		return EXCEPTION_CONTINUE_EXECUTION;
	if (answer == OS_FAULT_FOREIGN || !guard_now)
		return EXCEPTION_CONTINUE_SEARCH;
	guard_now->addr = addr;
	continue_at(x->ContextRecord, guard_now->env);
	return EXCEPTION_CONTINUE_EXECUTION;
}

void os_fault_install(void)
{
	static _Atomic int installed;
	int none = 0;
	if (atomic_compare_exchange_strong(&installed, &none, 1))
		AddVectoredExceptionHandler(1, on_exception);
}

bool os_fault_guarded(void (*body)(void *ctx), void *ctx, uintptr_t *addr)
{
	struct guard g = {.outer = guard_now};
	/* No frame: nothing is ever unwound to it. */
	if (_setjmp(g.env, NULL) == 0) {
		guard_now = &g;
		body(ctx);
		guard_now = g.outer;
		return true;
	}
	struct guard *caught = guard_now;
	guard_now = caught->outer;
	*addr = caught->addr;
	return false;
}

/* ---- clocks and randomness ---- */

uint64_t os_monotonic_ns(void)
{
	LARGE_INTEGER count, hz;
	QueryPerformanceFrequency(&hz); /* read from a page that every program shares */
	QueryPerformanceCounter(&count);
	uint64_t f = (uint64_t)hz.QuadPart, n = (uint64_t)count.QuadPart;
	return n / f * 1000000000u + n % f * 1000000000u / f;
}

static uint64_t ticks_of(FILETIME t)
{
	return (uint64_t)t.dwHighDateTime << 32 | t.dwLowDateTime;
}

uint64_t os_wall_ns(void)
{
	const uint64_t ticks_to_1970 = 116444736000000000u;
	FILETIME t;
	GetSystemTimePreciseAsFileTime(&t);
	return (ticks_of(t) - ticks_to_1970) * 100;
}

uint64_t os_thread_cpu_ns(void)
{
	FILETIME made, ended, kernel, user;
	if (!GetThreadTimes(GetCurrentThread(), &made, &ended, &kernel, &user))
		return 0;
	return (ticks_of(kernel) + ticks_of(user)) * 100;
}

uint64_t os_process_cpu_ns(void)
{
	FILETIME made, ended, kernel, user;
	if (!GetProcessTimes(GetCurrentProcess(), &made, &ended, &kernel, &user))
		return 0;
	return (ticks_of(kernel) + ticks_of(user)) * 100;
}

void os_random(void *buf, size_t size_bytes)
{
	uint8_t *p = buf;
	while (size_bytes) {
		ULONG n = size_bytes < 1u << 30 ? (ULONG)size_bytes : 1u << 30;
		if (BCryptGenRandom(NULL, p, n, BCRYPT_USE_SYSTEM_PREFERRED_RNG) < 0)
			abort();
		p += n;
		size_bytes -= n;
	}
}

/* ---- files ---- */

void os_ignore_broken_pipes(void)
{
	/* Windows has no signal for it. */
}

static enum err map_handle(HANDLE file, const uint8_t **bytes, size_t *size_bytes)
{
	LARGE_INTEGER size;
	if (GetFileType(file) != FILE_TYPE_DISK)
		return ERR_INVALID;
	if (!GetFileSizeEx(file, &size))
		return wide_err(GetLastError());
	if (size.QuadPart == 0)
		return ERR_INVALID;
	HANDLE section = CreateFileMappingW(file, NULL, PAGE_READONLY, 0, 0, NULL);
	if (!section)
		return wide_err(GetLastError());
	*bytes = MapViewOfFile(section, FILE_MAP_READ, 0, 0, 0);
	*size_bytes = (size_t)size.QuadPart;
	enum err e = *bytes ? ERR_OK : wide_err(GetLastError());
	CloseHandle(section); /* the view keeps it */
	return e;
}

static bool is_folder(const wchar_t *path)
{
	DWORD attributes = GetFileAttributesW(path);
	return attributes != INVALID_FILE_ATTRIBUTES && attributes & FILE_ATTRIBUTE_DIRECTORY;
}

enum err os_map_file(const char *path, const uint8_t **bytes, size_t *size_bytes)
{
	wchar_t *wide = wide_path(path);
	if (!wide)
		return ERR_NOTFOUND;
	HANDLE file =
	    CreateFileW(wide, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
	                NULL, OPEN_EXISTING, 0, NULL);
	enum err e = ERR_OK;
	if (file == INVALID_HANDLE_VALUE)
		e = is_folder(wide) ? ERR_INVALID : wide_err(GetLastError());
	free(wide);
	if (e == ERR_OK) {
		e = map_handle(file, bytes, size_bytes);
		CloseHandle(file);
	}
	return e;
}

void os_unmap_file(const uint8_t *bytes, size_t size_bytes)
{
	if (bytes)
		UnmapViewOfFile(bytes);
}

/* ---- waiting ---- */

static void close_handle(os_handle *h)
{
	if (*h != OS_NO_HANDLE)
		CloseHandle((HANDLE)*h);
	*h = OS_NO_HANDLE;
}

/* Waits count in ticks of the scheduler (up to 16 ms) but for such a timer. */
static HANDLE new_timer(void)
{
	HANDLE h = CreateWaitableTimerExW(NULL, NULL, CREATE_WAITABLE_TIMER_HIGH_RESOLUTION,
	                                  TIMER_ALL_ACCESS);
	return h ? h : CreateWaitableTimerExW(NULL, NULL, 0, TIMER_ALL_ACCESS);
}

enum err os_wake_init(struct os_wake *w)
{
	HANDLE flag = CreateEventW(NULL, FALSE, FALSE, NULL), timer = new_timer();
	w->flag = flag ? (os_handle)flag : OS_NO_HANDLE;
	w->timer = timer ? (os_handle)timer : OS_NO_HANDLE;
	if (flag && timer)
		return ERR_OK;
	os_wake_free(w);
	return ERR_LIMIT;
}

void os_wake_free(struct os_wake *w)
{
	close_handle(&w->flag);
	close_handle(&w->timer);
}

void os_wake_post(struct os_wake *w)
{
	SetEvent((HANDLE)w->flag);
}

enum { FLAG, TIMER, FIRST };

/* A handle says only that something may be read: for writing it is always ready. */
static int look(struct os_ready *on, int n)
{
	int ready = 0;
	for (int i = 0; i < n; i++) {
		on[i].is_writable = on[i].want_write;
		on[i].is_readable = on[i].want_read &&
		                    WaitForSingleObject((HANDLE)on[i].handle, 0) == WAIT_OBJECT_0;
		ready += on[i].is_readable || on[i].is_writable;
	}
	return ready;
}

/* Lowers the flag; true when it was up. */
static bool lower(struct os_wake *w)
{
	return WaitForSingleObject((HANDLE)w->flag, 0) == WAIT_OBJECT_0;
}

/* One wait until the deadline or sooner; handles beyond what the system can wait for at once are asked every 10 ms. */
static bool wait_once(struct os_wake *w, const struct os_ready *on, int n, uint64_t left_ns)
{
	const uint64_t poll_ns = 10000000;
	HANDLE h[MAXIMUM_WAIT_OBJECTS] = {[FLAG] = (HANDLE)w->flag, [TIMER] = (HANDLE)w->timer};
	DWORD count = FIRST;
	for (int i = 0; i < n && count < MAXIMUM_WAIT_OBJECTS; i++)
		if (on[i].want_read)
			h[count++] = (HANDLE)on[i].handle;
	if (count == MAXIMUM_WAIT_OBJECTS && left_ns > poll_ns)
		left_ns = poll_ns;
	if (left_ns != UINT64_MAX) {
		LARGE_INTEGER due = {.QuadPart = -(int64_t)(left_ns / 100 + 1)};
		SetWaitableTimer((HANDLE)w->timer, &due, 0, NULL, NULL, FALSE);
	} else {
		CancelWaitableTimer((HANDLE)w->timer);
	}
	return WaitForMultipleObjects(count, h, FALSE, INFINITE) == WAIT_OBJECT_0 + FLAG;
}

int os_wait(struct os_wake *w, struct os_ready *on, int n, uint64_t deadline_ns)
{
	if (n > OS_MAX_WAITS)
		n = OS_MAX_WAITS;
	for (bool woken = lower(w);;) {
		int ready = look(on, n);
		uint64_t now = os_monotonic_ns();
		if (ready || woken || now >= deadline_ns)
			return ready;
		woken = wait_once(w, on, n,
		                  deadline_ns == OS_NO_DEADLINE ? UINT64_MAX : deadline_ns - now);
	}
}
