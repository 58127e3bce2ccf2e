/* os_track_linux.c - the kernel's own tracker of written pages (Linux 6.7): userfaultfd in its asynchronous
 * write-protect mode, read with PAGEMAP_SCAN. No faults reach the program, system calls may write, and a
 * first write costs a tenth of what a signal does.
 */
#include "base/os_track.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096u

/* Newer than some C libraries' headers. */
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif
#define OUR_UFFD_FEATURE_WP_UNPOPULATED (1u << 13)
#define OUR_UFFD_FEATURE_WP_ASYNC (1u << 15)

struct our_page_region {
	uint64_t start, end, categories;
};

struct our_pm_scan_arg {
	uint64_t size, flags, start, end, walk_end;
	uint64_t vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};

#define OUR_PAGEMAP_SCAN _IOWR('f', 16, struct our_pm_scan_arg)
#define OUR_PM_SCAN_WP_MATCHING 1u
#define OUR_PM_SCAN_CHECK_WPASYNC 2u
#define OUR_PAGE_IS_WRITTEN 2u

static enum err protect(struct os_track *t, size_t from, size_t size)
{
	struct uffdio_writeprotect wp = {
	    .range = {.start = (uintptr_t)t->base + from, .len = size},
	    .mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};
	return size && ioctl(t->kernel_fd, UFFDIO_WRITEPROTECT, &wp) != 0 ? ERR_UNSUPPORTED
	                                                                  : ERR_OK;
}

static enum err register_range(struct os_track *t, size_t from, size_t size)
{
	struct uffdio_register reg = {
	    .range = {.start = (uintptr_t)t->base + from, .len = size},
	    .mode = UFFDIO_REGISTER_MODE_WP,
	};
	return size && ioctl(t->kernel_fd, UFFDIO_REGISTER, &reg) != 0 ? ERR_UNSUPPORTED : ERR_OK;
}

enum err os_track_kernel_start(struct os_track *t)
{
	size_t size = atomic_load(&t->size_bytes);
	struct uffdio_api api = {
	    .api = UFFD_API,
	    .features = OUR_UFFD_FEATURE_WP_ASYNC | OUR_UFFD_FEATURE_WP_UNPOPULATED,
	};
	t->pagemap_fd = -1;
	t->kernel_fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
	if (t->kernel_fd < 0)
		return ERR_UNSUPPORTED;
	t->pagemap_fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (t->pagemap_fd < 0 || ioctl(t->kernel_fd, UFFDIO_API, &api) != 0 ||
	    register_range(t, 0, size) != ERR_OK || protect(t, 0, size) != ERR_OK) {
		os_track_kernel_stop(t);
		return ERR_UNSUPPORTED;
	}
	return ERR_OK;
}

void os_track_kernel_grown(struct os_track *t, size_t old_bytes, size_t size_bytes)
{
	/* Failing is harmless only where it is noticed: an unregistered page would never be seen as written again. */
	if (register_range(t, old_bytes, size_bytes - old_bytes) != ERR_OK)
		t->grown_failed = true;
}

static void report(uint8_t *bits, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		bits[i / 8] |= (uint8_t)(1u << (i % 8));
}

enum err os_track_kernel_collect(struct os_track *t, uint8_t *bits, size_t size_bytes, bool clear)
{
	struct our_page_region regions[512];
	struct our_pm_scan_arg arg = {
	    .size = sizeof arg,
	    .flags = OUR_PM_SCAN_CHECK_WPASYNC | (clear ? OUR_PM_SCAN_WP_MATCHING : 0),
	    .start = (uintptr_t)t->base,
	    .end = (uintptr_t)t->base + size_bytes,
	    .vec = (uintptr_t)regions,
	    .vec_len = sizeof regions / sizeof *regions,
	    .category_mask = OUR_PAGE_IS_WRITTEN,
	    .return_mask = OUR_PAGE_IS_WRITTEN,
	};
	if (t->grown_failed)
		return ERR_IO;
	while (arg.start < arg.end) {
		int n = ioctl(t->pagemap_fd, OUR_PAGEMAP_SCAN, &arg);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ERR_IO;
		for (int i = 0; i < n; i++)
			report(bits, (regions[i].start - (uintptr_t)t->base) / PAGE,
			       (regions[i].end - (uintptr_t)t->base) / PAGE);
		arg.start = arg.walk_end;
	}
	return ERR_OK;
}

void os_track_kernel_stop(struct os_track *t)
{
	if (t->pagemap_fd >= 0)
		close(t->pagemap_fd);
	if (t->kernel_fd >= 0)
		close(t->kernel_fd); /* unregisters, and lifts what protection is left */
	t->kernel_fd = t->pagemap_fd = -1;
}
