/* device.h - open files that no mount has (device.c), and what of them poll.c and save.c need. Internal to node/wali/.
 *
 *	struct device *d = wali_device(file->obj);      // NULL: another kind of file
 */
#pragma once

#include "node/wali/wali_state.h"

enum device_kind {
	DEVICE_NULL,
	DEVICE_ZERO,
	DEVICE_FULL,
	DEVICE_RANDOM,
	DEVICE_TEXT,
	DEVICE_DIR,
	DEVICE_EVENT,
	DEVICE_EPOLL,
	DEVICE_CTL,  /* /proc/PID/ctl: text is the last answer */
	DEVICE_LINK, /* a symbolic link of /proc */
	DEVICE_PTMX, /* what a name stands for: opening it makes a pty ... */
	DEVICE_PTS,  /* ... or opens count's slave */
};

enum { WATCHES_MAX = FDTABLE_MAX };

/* What an epoll watches. */
struct watch {
	uint32_t fd, events, last; /* last: what was told of an edge-triggered one */
	uint32_t reads, writes;    /* of the file when it was told */
	uint64_t data;
	const struct vfs_file *file; /* borrowed, only compared: fd must still stand for it */
};

struct device {
	struct vfs_obj base;
	enum device_kind kind;
	char *text; /* TEXT: the bytes; DIR: type, name, NUL for each entry. Owned */
	size_t text_size;
	char *path;   /* DIR, CTL: owned */
	uint64_t ino; /* 0: by its kind */

	uint64_t count; /* EVENT */
	bool semaphore;
	void (*wake)(void *ctx); /* the count has changed */
	void *wake_ctx;

	struct watch *watches; /* EPOLL. Owned */
	uint32_t nwatches;
	bool (*any_ready)(const struct device *d);
	struct wali *owner; /* whose descriptors are watched; NULL: it has ended, nothing is */
	struct device *next_owned;  /* of the same owner */
	bool is_watched, is_nested; /* by another epoll; another one by it */
};

struct device *wali_device(struct vfs_obj *o);
struct device *wali_device_alloc(enum device_kind kind);
/* A symbolic link's text, cut off at *size. INVAL: it is none. */
enum ferr wali_device_link(struct vfs_obj *o, uint8_t *out, size_t *size);
/* What is known of an edge-triggered watch, whose fd stands for file: what was told and not read or written since. */
uint32_t wali_watch_told(const struct watch *w, const struct vfs_file *file);
/* The epoll's watches are of k's descriptors, until it is closed or k has ended. */
void wali_own_epoll(struct wali *k, struct device *d);
void wali_disown_epoll(struct device *d);
void wali_disown_epolls(struct wali *k);
