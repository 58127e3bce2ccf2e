/* os_track.h - what os_track.c and the kernel's own tracker (os_track_linux.c) share. Internal to base/. */
#pragma once

#include "base/os.h"

#include <pthread.h>
#include <stdatomic.h>

#define OS_TRACK_PINS 16

struct os_track {
	uint8_t *base;
	size_t max_bytes;
	size_t
	    unit; /* pages of 4 KiB that the system protects together: 4 where its own have 16 KiB */
	_Atomic size_t size_bytes;
	enum os_track_kind kind;
	_Atomic uint64_t
	    *dirty; /* a bit a page; with the kernel's tracker: pages that came by growing */
	/* By faults, or where the kernel's tracker may miss what the host writes: pages that it may be writing to are not
	 * protected, and are reported. Held while bits are taken and pages protected, or marked; never by the fault. */
	pthread_mutex_t lock;
	struct {
		size_t from, to;
	} pins[OS_TRACK_PINS];
	unsigned npins;
	bool misses_host; /* the kernel's tracker: see above */
	int kernel_fd, pagemap_fd;
	bool grown_failed; /* a grown part could not be registered: collecting fails */
};

/* os_track_start() for a system whose pages have page_bytes, a multiple of 4 KiB. Tests pretend with it. */
enum err os_track_start_paged(uint8_t *base, size_t size_bytes, size_t max_bytes,
                              enum os_track_kind kind, size_t page_bytes, struct os_track **out);

/* ERR_UNSUPPORTED where the system has none. */
enum err os_track_kernel_start(struct os_track *t);
void os_track_kernel_grown(struct os_track *t, size_t old_bytes, size_t size_bytes);
enum err os_track_kernel_collect(struct os_track *t, uint8_t *bits, size_t size_bytes, bool clear);
void os_track_kernel_stop(struct os_track *t);
