/* os_track_windows.c - the kernel's own tracker of written pages on Windows: MEM_WRITE_WATCH, read with
 * GetWriteWatch(). No faults reach the program, and system calls may write. But a write by a driver to memory
 * that it locked before the pages were reset is not seen; so what the host may be writing stays marked.
 */
#include "base/os_track.h"

#include <windows.h>

#define PAGE 4096u

enum err os_track_kernel_start(struct os_track *t)
{
	t->misses_host = true;
	size_t size = atomic_load(&t->size_bytes);
	/* Fails where the range was reserved without the flag. */
	if (!size || ResetWriteWatch(t->base, size) != 0)
		return ERR_UNSUPPORTED;
	return ERR_OK;
}

void os_track_kernel_grown(struct os_track *t, size_t old_bytes, size_t size_bytes)
{
	/* What is committed later is watched from its reservation on. */
}

enum err os_track_kernel_collect(struct os_track *t, uint8_t *bits, size_t size_bytes, bool clear)
{
	enum { AT_ONCE = 1024 };
	void *pages[AT_ONCE];
	uint8_t *from = t->base, *end = t->base + size_bytes;
	while (from < end) {
		ULONG_PTR n = AT_ONCE;
		DWORD page_size;
		if (GetWriteWatch(clear ? WRITE_WATCH_FLAG_RESET : 0, from, (SIZE_T)(end - from),
		                  pages, &n, &page_size) != 0)
			return ERR_IO;
		for (ULONG_PTR i = 0; i < n; i++) {
			size_t page = (size_t)((uint8_t *)pages[i] - t->base) / PAGE;
			bits[page / 8] |= (uint8_t)(1u << (page % 8));
		}
		if (n < AT_ONCE)
			break;
		from = (uint8_t *)pages[n - 1] + PAGE;
	}
	return ERR_OK;
}

void os_track_kernel_stop(struct os_track *t)
{
	/* Watching goes on, and costs nothing more. */
}
