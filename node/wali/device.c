/* device.c - files that no mount has: /dev/null and its like, the folders above the mounts, eventfd and epoll as open files.
 *
 * An image names one by its stream name (vfs_file.stream): "null", "zero", "full", "random", "urandom", "environ", "dir /dev",
 * "eventfd 7", "ptmx 0", "pts 0" (pty.h); what an eventfd, an epoll or a pty holds stands in section "linux" under the same name.
 */
#include "node/wali/device.h"

#include "node/wali/fifo.h"
#include "node/wali/proc.h"

#include "base/os.h"
#include "node/wali/pty.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ZERO_MAX = 1 << 20 };

static const struct {
	const char *name;
	enum device_kind kind;
} devices[] = {{"null", DEVICE_NULL},     {"zero", DEVICE_ZERO},      {"full", DEVICE_FULL},
               {"random", DEVICE_RANDOM}, {"urandom", DEVICE_RANDOM}, {"environ", DEVICE_TEXT}};
enum { DEVICES = sizeof devices / sizeof *devices };

static struct device *device_of(struct vfs_obj *o)
{
	return (struct device *)o;
}

/* ---- reading and writing ---- */

static void fill(const struct device *d, void *p, size_t size)
{
	if (!size)
		return;
	if (d->kind == DEVICE_RANDOM)
		os_random(p, size);
	else
		memset(p, 0, size);
}

static size_t read_text(const struct device *d, uint64_t offset, const struct vfs_iov *iov)
{
	if (offset >= d->text_size || !iov->size)
		return 0;
	size_t n = d->text_size - (size_t)offset;
	n = n < iov->size ? n : iov->size;
	memcpy(iov->p, d->text + offset, n);
	return n;
}

static enum ferr read_event(struct device *d, const struct vfs_iov *iov, size_t *done)
{
	if (iov->size < 8)
		return FE_INVAL;
	if (!d->count)
		return FE_AGAIN;
	uint64_t v = d->semaphore ? 1 : d->count;
	wasi_put_u64(iov->p, v);
	d->count -= v;
	*done = 8;
	if (d->wake)
		d->wake(d->wake_ctx);
	return FE_OK;
}

static enum ferr device_read(struct vfs_obj *o, uint64_t offset, const struct vfs_iov *iov,
                             size_t n, size_t *done)
{
	struct device *d = device_of(o);
	if (d->kind == DEVICE_DIR)
		return FE_ISDIR;
	if (d->kind == DEVICE_NULL || !n)
		return FE_OK;
	if (d->kind == DEVICE_EVENT)
		return read_event(d, iov, done);
	if (d->kind == DEVICE_EPOLL)
		return FE_INVAL;
	if (d->kind == DEVICE_TEXT || d->kind == DEVICE_CTL) {
		*done = read_text(d, offset, iov);
		return FE_OK;
	}
	for (size_t i = 0; i < n && *done < ZERO_MAX; i++) {
		fill(d, iov[i].p, iov[i].size);
		*done += iov[i].size;
	}
	return FE_OK;
}

static enum ferr write_event(struct device *d, const struct vfs_iov *iov, size_t *done)
{
	if (iov->size < 8)
		return FE_INVAL;
	uint64_t v = wasi_get_u64(iov->p);
	if (v == UINT64_MAX)
		return FE_INVAL;
	if (v > UINT64_MAX - 1 - d->count)
		return FE_AGAIN;
	d->count += v;
	*done = 8;
	if (d->wake)
		d->wake(d->wake_ctx);
	return FE_OK;
}

static enum ferr device_write(struct vfs_obj *o, uint64_t offset, unsigned flags,
                              const struct vfs_iov *iov, size_t n, size_t *done, uint64_t *end)
{
	struct device *d = device_of(o);
	*end = offset;
	switch (d->kind) {
	case DEVICE_FULL: return FE_NOSPC;
	case DEVICE_EVENT: return n ? write_event(d, iov, done) : FE_INVAL;
	case DEVICE_DIR:
	case DEVICE_TEXT:
	case DEVICE_CTL: /* files.c asks wali_proc_control() */
	case DEVICE_EPOLL: return FE_BADF;
	default: break;
	}
	for (size_t i = 0; i < n; i++)
		*done += iov[i].size;
	return FE_OK;
}

static unsigned device_ready(struct vfs_obj *o, unsigned events)
{
	const struct device *d = device_of(o);
	unsigned now = VFS_READABLE | VFS_WRITABLE;
	if (d->kind == DEVICE_EVENT)
		now = (d->count ? VFS_READABLE : 0u) |
		      (d->count < UINT64_MAX - 1 ? VFS_WRITABLE : 0u);
	if (d->kind == DEVICE_EPOLL)
		now = d->any_ready && d->any_ready(d) ? VFS_READABLE : 0;
	return now & events;
}

/* Having it, a file has an offset. */
static enum ferr device_set_size(struct vfs_obj *o, uint64_t size_bytes)
{
	return FE_INVAL;
}

static enum ferr device_stat(struct vfs_obj *o, struct vfs_stat *out)
{
	const struct device *d = device_of(o);
	*out = (struct vfs_stat){
	    .dev = 5, .ino = d->ino ? d->ino : 2 + d->kind, .nlink = 1, .type = o->type};
	if (d->kind == DEVICE_TEXT || d->kind == DEVICE_LINK)
		out->size_bytes = d->text_size;
	if (d->kind == DEVICE_PTMX)
		out->ino = 2;
	if (d->kind == DEVICE_PTS)
		out->dev = 6, out->ino = PTY_INO | d->count;
	return FE_OK;
}

/* ---- folders ---- */

static enum ferr device_readdir(struct vfs_obj *o, uint64_t cookie, vfs_dirent_fn emit, void *ctx)
{
	const struct device *d = device_of(o);
	uint64_t i = 0;
	const char *p = d->text, *end = d->text + d->text_size;
	for (; p < end; p += strlen(p + 1) + 2, i++) {
		if (i < cookie)
			continue;
		struct vfs_dirent e = {.next = i + 1,
		                       .ino = i + 2,
		                       .type = (uint8_t)*p,
		                       .name = p + 1,
		                       .name_size = strlen(p + 1)};
		if (!emit(ctx, &e))
			return FE_OK;
	}
	return FE_OK;
}

static void device_close(struct vfs_obj *o)
{
	struct device *d = device_of(o);
	wali_disown_epoll(d);
	free(d->text);
	free(d->path);
	free(d->watches);
	free(d);
}

static const struct vfs_ops file_ops = {
    .name = "device",
    .close = device_close,
    .read = device_read,
    .write = device_write,
    .ready = device_ready,
    .stat = device_stat,
    .set_size = device_set_size,
};

static const struct vfs_ops dir_ops = {
    .name = "device",
    .close = device_close,
    .read = device_read,
    .stat = device_stat,
    .readdir = device_readdir,
};

struct device *wali_device(struct vfs_obj *o)
{
	return o->ops == &file_ops || o->ops == &dir_ops ? device_of(o) : NULL;
}

struct device *wali_device_alloc(enum device_kind kind)
{
	struct device *d = calloc(1, sizeof *d);
	if (!d)
		return NULL;
	bool dir = kind == DEVICE_DIR;
	enum vfs_type type = dir                                            ? VFS_TYPE_DIR
	                     : kind == DEVICE_TEXT || kind == DEVICE_CTL    ? VFS_TYPE_FILE
	                     : kind == DEVICE_LINK                          ? VFS_TYPE_SYMLINK
	                     : kind == DEVICE_EVENT || kind == DEVICE_EPOLL ? VFS_TYPE_STREAM
	                                                                    : VFS_TYPE_CHAR;
	vfs_obj_init(&d->base, dir ? &dir_ops : &file_ops, type);
	d->kind = kind;
	return d;
}

enum ferr wali_device_path(struct vfs_obj *o, char out[VFS_PATH_MAX])
{
	const struct device *d = wali_device(o);
	if (!d || d->kind != DEVICE_DIR)
		return FE_NOTDIR;
	snprintf(out, VFS_PATH_MAX, "%s", d->path);
	return FE_OK;
}

enum ferr wali_device_link(struct vfs_obj *o, uint8_t *out, size_t *size)
{
	const struct device *d = wali_device(o);
	if (!d || d->kind != DEVICE_LINK)
		return FE_INVAL;
	*size = d->text_size < *size ? d->text_size : *size;
	memcpy(out, d->text, *size);
	return FE_OK;
}

enum ferr wali_link_device(struct wali_at *at, const char *text)
{
	struct device *d = wali_device_alloc(DEVICE_LINK);
	char *copy = strdup(text);
	if (!d || !copy) {
		free(copy);
		vfs_unref(d ? &d->base : NULL);
		return FE_NOMEM;
	}
	d->text = copy;
	d->text_size = strlen(text);
	at->dev = &d->base;
	at->dev_name[0] = 0;
	return FE_OK;
}

/* ---- by name ---- */

static bool put_name(struct wr *w, enum vfs_type type, const char *name, size_t size)
{
	wr_u8(w, (uint8_t)type);
	wr_bytes(w, name, size);
	wr_u8(w, 0);
	return wr_ok(w);
}

static bool has_name(const struct wr *w, const char *name, size_t size)
{
	const char *p = (const char *)w->data, *end = p + w->size;
	for (; p < end; p += strlen(p + 1) + 2)
		if (strlen(p + 1) == size && !memcmp(p + 1, name, size))
			return true;
	return false;
}

/* The names below path that lead to mounts. */
static uint32_t list_mounts(const struct vfs_ns *ns, const char *path, struct wr *w)
{
	size_t n = strcmp(path, "/") ? strlen(path) : 0;
	uint32_t found = 0;
	for (uint32_t i = 0; ns && i < vfs_ns_count(ns); i++) {
		const char *g = vfs_ns_at(ns, i)->guest;
		if (strncmp(g, path, n) || g[n] != '/' || !g[n + 1])
			continue;
		size_t size = strcspn(g + n + 1, "/");
		if (!has_name(w, g + n + 1, size))
			put_name(w, VFS_TYPE_DIR, g + n + 1, size);
		found++;
	}
	return found;
}

static void list_ptys(struct family *f, struct wr *w)
{
	char number[12];
	put_name(w, VFS_TYPE_CHAR, "ptmx", 4);
	for (struct pty *p = f ? pty_next(f, NULL) : NULL; p; p = pty_next(f, p)) {
		snprintf(number, sizeof number, "%u", pty_number(p));
		put_name(w, VFS_TYPE_CHAR, number, strlen(number));
	}
}

static void list_devices(struct wr *w)
{
	static const char *const others[] = {"tty", "ptmx"};
	static const char *const links[] = {"fd", "stdin", "stdout", "stderr"};
	for (size_t i = 0; i < DEVICES; i++)
		put_name(w, VFS_TYPE_CHAR, devices[i].name, strlen(devices[i].name));
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		put_name(w, VFS_TYPE_CHAR, others[i], strlen(others[i]));
	for (size_t i = 0; i < sizeof links / sizeof *links; i++)
		put_name(w, VFS_TYPE_SYMLINK, links[i], strlen(links[i]));
	put_name(w, VFS_TYPE_DIR, "pts", 3);
}

static struct vfs_obj *folder(const struct vfs_ns *ns, struct family *f, const char *path)
{
	struct wr w = {0};
	bool root = !strcmp(path, "/"), dev = !strcmp(path, "/dev"),
	     pts = !strcmp(path, "/dev/pts");
	put_name(&w, VFS_TYPE_DIR, ".", 1);
	put_name(&w, VFS_TYPE_DIR, "..", 2);
	uint32_t found = list_mounts(ns, path, &w);
	if (root && !has_name(&w, "dev", 3))
		put_name(&w, VFS_TYPE_DIR, "dev", 3);
	if (root && !has_name(&w, "proc", 4))
		put_name(&w, VFS_TYPE_DIR, "proc", 4);
	if (dev)
		list_devices(&w);
	if (pts)
		list_ptys(f, &w);
	struct device *d =
	    wr_ok(&w) && (root || dev || pts || found) ? wali_device_alloc(DEVICE_DIR) : NULL;
	if (!d) {
		wr_free(&w);
		return NULL;
	}
	d->path = strdup(path);
	d->text = (char *)w.data;
	d->text_size = w.size;
	if (d->path)
		return &d->base;
	vfs_unref(&d->base);
	return NULL;
}

static struct vfs_obj *device_named(const char *name)
{
	for (size_t i = 0; i < DEVICES; i++)
		if (!strcmp(devices[i].name, name))
			return (struct vfs_obj *)wali_device_alloc(devices[i].kind);
	return NULL;
}

/* As an image names it: the number of the process. */
static struct vfs_obj *ctl_named(const char *pid)
{
	struct device *d = wali_device_alloc(DEVICE_CTL);
	char path[32];
	snprintf(path, sizeof path, "/proc/%.10s/ctl", pid);
	if (d && !(d->path = strdup(path))) {
		vfs_unref(&d->base);
		return NULL;
	}
	return d ? &d->base : NULL;
}

enum err wali_open_stream(const char *name, struct vfs_obj **out)
{
	if (!strncmp(name, "dir /", 5))
		*out = folder(NULL, NULL, name + 4);
	else if (!strncmp(name, "fifo ", 5))
		*out = fifo_hung_up();
	else if (!strncmp(name, "ctl ", 4))
		*out = ctl_named(name + 4);
	else if (!strncmp(name, "far ", 4))
		*out = far_stream_named(name);
	else if (!strncmp(name, "ptmx ", 5))
		*out = pty_end_new(true, (uint32_t)strtoul(name + 5, NULL, 10));
	else if (!strncmp(name, "pts ", 4))
		*out = pty_end_new(false, (uint32_t)strtoul(name + 4, NULL, 10));
	else if (!strncmp(name, "eventfd ", 8))
		*out = (struct vfs_obj *)wali_device_alloc(DEVICE_EVENT);
	else if (!strncmp(name, "epoll ", 6))
		*out = (struct vfs_obj *)wali_device_alloc(DEVICE_EPOLL);
	else
		*out = device_named(name);
	return *out ? ERR_OK : ERR_NOTFOUND;
}

/* The environment, a NUL behind each (a value may have lines). */
static bool set_environ(struct wali *k, struct vfs_obj *o)
{
	struct wr w = {0};
	for (uint32_t i = 0; i < k->w->env.count; i++) {
		wr_bytes(&w, k->w->env.list[i], strlen(k->w->env.list[i]));
		wr_u8(&w, 0);
	}
	struct device *d = device_of(o);
	d->text = (char *)w.data;
	d->text_size = w.size;
	return wr_ok(&w);
}

/* /dev/fd/N and /dev/stdin: the open file itself, its place in the file too. */
static enum ferr fd_device(struct wali *k, struct wali_at *at, const char *name)
{
	static const char *const streams[] = {"stdin", "stdout", "stderr"};
	uint32_t fd = UINT32_MAX;
	char *end = NULL;
	struct fd_entry *e;
	for (uint32_t i = 0; i < 3; i++)
		if (!strcmp(name, streams[i]))
			fd = i;
	if (!strncmp(name, "fd/", 3) && name[3] >= '0' && name[3] <= '9') {
		fd = (uint32_t)strtoul(name + 3, &end, 10);
		if (*end)
			return FE_NOENT;
	}
	if (fd == UINT32_MAX)
		return FE_NOENT;
	if (wali_fd(k, fd, &e) != FE_OK)
		return FE_NOENT;
	if (e->file->mount) {
		at->mount = e->file->mount;
		at->dir = at->mount->root;
		strcpy(at->path, e->file->path);
		return FE_OK;
	}
	at->dev = vfs_ref(e->file->obj);
	snprintf(at->dev_name, sizeof at->dev_name, "%s", e->file->stream);
	return FE_OK;
}

static struct vfs_obj *pty_device(enum device_kind kind, uint32_t number)
{
	struct device *d = wali_device_alloc(kind);
	if (!d)
		return NULL;
	d->count = number;
	return &d->base;
}

/* /dev/pts, and what is in it. */
static enum ferr pts_device(struct wali *k, struct wali_at *at, const char *name)
{
	char *end;
	if (!strcmp(name, "ptmx")) {
		at->dev = pty_device(DEVICE_PTMX, 0);
		return at->dev ? FE_OK : FE_NOMEM;
	}
	unsigned long number = strtoul(name, &end, 10);
	if (*name < '0' || *name > '9' || *end || number >= PTYS_MAX ||
	    !pty_find(k->family, (uint32_t)number))
		return FE_NOENT;
	at->dev = pty_device(DEVICE_PTS, (uint32_t)number);
	return at->dev ? FE_OK : FE_NOMEM;
}

static enum ferr tty_device(struct wali *k, struct wali_at *at)
{
	const char *name;
	struct family_terminal *t =
	    k->task ? family_terminal_of(k->family, k->task->session) : NULL;
	bool mine = t == &k->family->terminal;
	if (t && t->is_pty) {
		at->dev = pty_device(DEVICE_PTS, pty_number(pty_of_terminal(t)));
		return at->dev ? FE_OK : FE_NOMEM;
	}
	if (mine && k->family->terminal_at) {
		at->dev = far_stream_new(k->family, 0, true);
		far_stream_name(0, true, at->dev_name);
		return at->dev ? FE_OK : FE_NOMEM;
	}
	at->dev = mine && k->host.tty_open ? k->host.tty_open(k->host.ctx, &name) : NULL;
	if (!at->dev)
		return FE_NXIO;
	snprintf(at->dev_name, sizeof at->dev_name, "%s", name);
	return FE_OK;
}

enum ferr wali_device_open(struct wali *k, struct wali_at *at)
{
	struct device *d = wali_device(at->dev);
	struct vfs_obj *o;
	uint32_t number = d ? (uint32_t)d->count : 0;
	if (!d || (d->kind != DEVICE_PTMX && d->kind != DEVICE_PTS))
		return FE_OK;
	struct pty *p = d->kind == DEVICE_PTS ? pty_find(k->family, number) : NULL;
	if (d->kind == DEVICE_PTS && !p)
		return FE_IO;
	FTRY(p ? pty_open(p, &o) : pty_new(k->family, &number, &o));
	snprintf(at->dev_name, sizeof at->dev_name, "%s %u", p ? "pts" : "ptmx", number);
	vfs_unref(at->dev);
	at->dev = o;
	return FE_OK;
}

enum ferr wali_device_at(struct wali *k, struct wali_at *at)
{
	bool in_dev = !strncmp(at->whole, "/dev/", 5);
	at->mount = NULL;
	if (wali_in_proc(k, at->whole))
		return wali_proc_at(k, at);
	if (!in_dev || !strcmp(at->whole, "/dev/pts")) {
		at->dev = folder(k->w->ns, k->family, at->whole);
		snprintf(at->dev_name, sizeof at->dev_name, "dir %.11s", at->whole);
		return at->dev ? FE_OK : FE_NOENT;
	}
	const char *name = at->whole + 5;
	if (!strcmp(name, "tty"))
		return tty_device(k, at);
	if (!strcmp(name, "ptmx") || !strncmp(name, "pts/", 4))
		return pts_device(k, at, name[1] == 't' && name[2] == 's' ? name + 4 : name);
	at->dev = device_named(name);
	if (!at->dev)
		return fd_device(k, at, name);
	if (!strcmp(name, "environ") && !set_environ(k, at->dev))
		return FE_NOMEM;
	snprintf(at->dev_name, sizeof at->dev_name, "%s", name);
	return FE_OK;
}
