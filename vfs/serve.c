/* serve.c - answers questions about files of a process that runs elsewhere. */
#include "vfs/serve.h"

#include "vfs/fsmsg.h"
#include "vfs/host.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct held {
	uint32_t handle; /* 0: free */
	unsigned flags;  /* VFS_READ, VFS_WRITE: what it was opened for */
	struct vfs_obj *obj;
	struct vfs_mount *mount;
};

/* The lock guards everything. */
struct vfs_export {
	pthread_mutex_t lock;
	struct vfs_ns *ns; /* own: the granted mounts */
	struct held *held;
	uint32_t count, cap;
	uint32_t next_handle;
};

/* ---- life ---- */

static enum ferr hold(struct vfs_export *x, uint32_t handle, struct vfs_obj *obj,
                      struct vfs_mount *m, unsigned flags)
{
	uint32_t i = 0;
	while (i < x->count && x->held[i].handle)
		i++;
	if (i == FS_HANDLES_MAX)
		return FE_MFILE;
	if (i == x->cap) {
		uint32_t cap = x->cap ? 2 * x->cap : 16;
		struct held *p = realloc(x->held, cap * sizeof *p);
		if (!p)
			return FE_NOMEM;
		x->held = p;
		x->cap = cap;
	}
	x->held[i] =
	    (struct held){.handle = handle, .flags = flags, .obj = vfs_ref(obj), .mount = m};
	if (i == x->count)
		x->count++;
	return FE_OK;
}

static void drop(struct held *h)
{
	vfs_unref(h->obj);
	*h = (struct held){0};
}

static enum err copy_mounts(struct vfs_export *x, struct vfs_ns *ns, const uint8_t *home)
{
	static const uint8_t zero[VFS_DEVICE_ID_BYTES];
	for (uint32_t i = 0; i < vfs_ns_count(ns); i++) {
		const struct vfs_mount *m = vfs_ns_at(ns, i);
		struct vfs_mount_config c = {.guest = m->guest,
		                             .host = m->host,
		                             .kind = VFS_MOUNT_HOST,
		                             .read_only = m->read_only,
		                             .id = m->id};
		if (m->kind != VFS_MOUNT_HOST ||
		    (memcmp(m->home, home, sizeof zero) && memcmp(m->home, zero, sizeof zero)))
			continue;
		memcpy(c.home, home, sizeof c.home);
		TRY(vfs_ns_add(x->ns, &c, vfs_ref(m->root), NULL));
	}
	return ERR_OK;
}

static enum err copy_files(struct vfs_export *x, const struct fdset *set)
{
	struct vfs_file *f;
	for (uint32_t i = 0; (f = fdset_file(set, i)); i++) {
		struct vfs_mount *m = f->mount ? vfs_ns_by_id(x->ns, f->mount->id) : NULL;
		if (m && hold(x, i + 1, f->obj, m, f->flags & (VFS_READ | VFS_WRITE)) != FE_OK)
			return ERR_NOMEM;
	}
	return ERR_OK;
}

static struct vfs_export *export_new(void)
{
	struct vfs_export *x = calloc(1, sizeof *x);
	if (!x)
		return NULL;
	x->next_handle = FS_FIRST_NEW;
	x->ns = vfs_ns_new();
	if (x->ns && pthread_mutex_init(&x->lock, NULL) == 0)
		return x;
	vfs_ns_free(x->ns);
	free(x);
	return NULL;
}

enum err vfs_export_new_set(struct vfs_ns *ns, const struct fdset *set,
                            const uint8_t home[VFS_DEVICE_ID_BYTES], struct vfs_export **out)
{
	struct vfs_export *x = export_new();
	if (!x)
		return ERR_NOMEM;
	enum err e = copy_mounts(x, ns, home);
	if (e == ERR_OK && set)
		e = copy_files(x, set);
	if (e != ERR_OK) {
		vfs_export_free(x);
		return e;
	}
	*out = x;
	return ERR_OK;
}

enum err vfs_export_new(struct vfs_ns *ns, struct fdtable *fds,
                        const uint8_t home[VFS_DEVICE_ID_BYTES], struct vfs_export **out)
{
	struct fdset *set;
	TRY(fdset_new(&set));
	enum err e = fds ? fdset_add(set, fds) : ERR_OK;
	if (e == ERR_OK)
		e = vfs_export_new_set(ns, set, home, out);
	fdset_free(set);
	return e;
}

void vfs_export_free(struct vfs_export *x)
{
	if (!x)
		return;
	for (uint32_t i = 0; i < x->count; i++)
		drop(&x->held[i]);
	free(x->held);
	vfs_ns_free(x->ns);
	pthread_mutex_destroy(&x->lock);
	free(x);
}

void vfs_export_number_from(struct vfs_export *x, uint32_t random)
{
	x->next_handle = FS_FIRST_NEW + random % ((uint32_t)FS_ROOT - FS_FIRST_NEW);
}

uint32_t vfs_export_mounts(const struct vfs_export *x)
{
	return vfs_ns_count(x->ns);
}

uint32_t vfs_export_open_files(struct vfs_export *x)
{
	uint32_t n = 0;
	pthread_mutex_lock(&x->lock);
	for (uint32_t i = 0; i < x->count; i++)
		n += x->held[i].handle != 0;
	pthread_mutex_unlock(&x->lock);
	return n;
}

/* ---- handles ---- */

static struct held *find(struct vfs_export *x, uint32_t handle)
{
	for (uint32_t i = 0; i < x->count; i++)
		if (x->held[i].handle == handle && handle)
			return &x->held[i];
	return NULL;
}

/* BADF: the asker then opens it again by its path. */
static enum ferr use(struct vfs_export *x, uint32_t handle, struct held *out)
{
	if (handle & (uint32_t)FS_ROOT) {
		struct vfs_mount *m = vfs_ns_by_id(x->ns, handle & ~(uint32_t)FS_ROOT);
		if (!m)
			return FE_STALE;
		*out =
		    (struct held){.handle = handle, .flags = VFS_READ, .obj = m->root, .mount = m};
		return FE_OK;
	}
	struct held *h = find(x, handle);
	if (!h)
		return FE_BADF;
	*out = *h;
	return FE_OK;
}

static enum ferr use_for_change(struct vfs_export *x, uint32_t handle, struct held *out)
{
	FTRY(use(x, handle, out));
	if (out->mount->read_only)
		return FE_ROFS;
	return out->flags & VFS_WRITE ? FE_OK : FE_INVAL;
}

static enum ferr use_folder(struct vfs_export *x, uint32_t handle, bool change, struct held *out)
{
	FTRY(use(x, handle, out));
	return change && out->mount->read_only ? FE_ROFS : FE_OK;
}

static uint32_t new_handle(struct vfs_export *x)
{
	do {
		if (++x->next_handle >= (uint32_t)FS_ROOT)
			x->next_handle = FS_FIRST_NEW;
	} while (find(x, x->next_handle));
	return x->next_handle;
}

struct vfs_obj *vfs_export_held(struct vfs_export *x, uint32_t mount_id, uint32_t handle,
                                unsigned flags)
{
	pthread_mutex_lock(&x->lock);
	struct held *h = find(x, handle);
	bool same = h && h->mount->id == mount_id && h->flags == (flags & (VFS_READ | VFS_WRITE));
	struct vfs_obj *o = same ? vfs_ref(h->obj) : NULL;
	pthread_mutex_unlock(&x->lock);
	return o;
}

struct vfs_obj *vfs_export_root(struct vfs_export *x, const struct vfs_mount_config *c)
{
	struct vfs_obj *o = NULL;
	pthread_mutex_lock(&x->lock);
	const struct vfs_mount *m = vfs_ns_by_id(x->ns, c->id);
	if (m && !strcmp(m->host, c->host) && (c->read_only || !m->read_only))
		o = vfs_ref(m->root);
	pthread_mutex_unlock(&x->lock);
	return o;
}

/* What a request is made of while it is answered. bad: its bytes are not a request. */
struct call {
	struct vfs_export *x;
	struct rd in;
	struct wr *out; /* results, after the error code */
	bool bad;
};

/* ---- arguments: what does not parse reads as 0 and makes the call bad, which args_end() tells ---- */

static void arg(struct call *c, enum err e)
{
	if (e != ERR_OK)
		c->bad = true;
}

static uint32_t arg_u32(struct call *c)
{
	uint32_t v = 0;
	arg(c, rd_u32(&c->in, &v));
	return v;
}

/* Bits of `known` only. */
static uint32_t arg_flags(struct call *c, uint32_t known)
{
	uint32_t flags = arg_u32(c);
	arg(c, flags & ~known ? ERR_MALFORMED : ERR_OK);
	return flags;
}

static uint64_t arg_u64(struct call *c)
{
	uint64_t v = 0;
	arg(c, rd_u64(&c->in, &v));
	return v;
}

static bool arg_flag(struct call *c)
{
	bool v = false;
	arg(c, fs_get_flag(&c->in, &v));
	return v;
}

static void arg_text(struct call *c, char text[VFS_PATH_MAX])
{
	text[0] = 0;
	arg(c, fs_get_text(&c->in, text));
}

static struct vfs_times arg_times(struct call *c)
{
	struct vfs_times times = {0};
	arg(c, fs_get_times(&c->in, &times));
	return times;
}

/* Nothing may follow the last argument. */
static enum ferr args_end(struct call *c)
{
	if (rd_left(&c->in))
		c->bad = true;
	return c->bad ? FE_INVAL : FE_OK;
}

/* ---- the operations: each reads its arguments, then answers ---- */

static enum ferr put_version(struct call *c, struct vfs_obj *o)
{
	struct vfs_stat st;
	FTRY(vfs_stat(o, &st));
	struct fs_version v = fs_version_of(&st);
	fs_put_version(c->out, &v);
	return FE_OK;
}

static enum ferr serve_read(struct call *c)
{
	struct held h;
	size_t done;
	uint32_t handle = arg_u32(c);
	uint64_t offset = arg_u64(c);
	uint32_t size = arg_u32(c);
	FTRY(args_end(c));
	FTRY(use(c->x, handle, &h));
	if (!(h.flags & VFS_READ))
		return FE_BADF;
	if (size > FS_READ_MAX)
		size = FS_READ_MAX;
	FTRY(put_version(c, h.obj));
	size_t before = c->out->size;
	struct vfs_iov iov = {.p = wr_space(c->out, size), .size = size};
	if (!iov.p)
		return FE_NOMEM;
	FTRY(vfs_read(h.obj, offset, &iov, 1, &done));
	c->out->size = before + done;
	return FE_OK;
}

static enum ferr serve_write(struct call *c)
{
	uint64_t end;
	struct held h;
	size_t done;
	uint32_t handle = arg_u32(c);
	uint64_t offset = arg_u64(c);
	uint32_t flags = arg_flags(c, VFS_APPEND | VFS_SYNC | VFS_DSYNC);
	const uint8_t *bytes;
	size_t size = rd_left(&c->in);
	arg(c, size > FS_READ_MAX ? ERR_MALFORMED : rd_bytes(&c->in, size, &bytes));
	FTRY(args_end(c));
	struct vfs_iov iov = {.p = (void *)(uintptr_t)bytes, .size = size};
	FTRY(use_for_change(c->x, handle, &h));
	struct vfs_stat st;
	FTRY(vfs_stat(h.obj, &st));
	FTRY(vfs_write(h.obj, offset, flags, &iov, 1, &done, &end));
	wr_u32(c->out, (uint32_t)done);
	wr_u64(c->out, end);
	struct fs_version before = fs_version_of(&st);
	fs_put_version(c->out, &before);
	return put_version(c, h.obj);
}

static enum ferr serve_stat(struct call *c)
{
	struct held h;
	struct vfs_stat st;
	uint32_t handle = arg_u32(c);
	FTRY(args_end(c));
	FTRY(use(c->x, handle, &h));
	FTRY(vfs_stat(h.obj, &st));
	fs_put_stat(c->out, &st);
	return FE_OK;
}

static enum ferr serve_set_size(struct call *c)
{
	struct held h;
	uint32_t handle = arg_u32(c);
	uint64_t size = arg_u64(c);
	FTRY(args_end(c));
	FTRY(use_for_change(c->x, handle, &h));
	FTRY(vfs_set_size(h.obj, size));
	return put_version(c, h.obj);
}

static enum ferr serve_allocate(struct call *c)
{
	struct held h;
	uint32_t handle = arg_u32(c);
	uint64_t offset = arg_u64(c);
	uint64_t size = arg_u64(c);
	FTRY(args_end(c));
	FTRY(use_for_change(c->x, handle, &h));
	FTRY(vfs_allocate(h.obj, offset, size));
	return put_version(c, h.obj);
}

static enum ferr serve_set_times(struct call *c)
{
	struct held h;
	uint32_t handle = arg_u32(c);
	struct vfs_times times = arg_times(c);
	FTRY(args_end(c));
	FTRY(use_folder(c->x, handle, true, &h));
	FTRY(vfs_set_times(h.obj, &times));
	return put_version(c, h.obj);
}

static enum ferr serve_sync(struct call *c)
{
	struct held h;
	uint32_t handle = arg_u32(c);
	bool data_only = arg_flag(c);
	FTRY(args_end(c));
	FTRY(use(c->x, handle, &h));
	return vfs_sync(h.obj, data_only);
}

struct listing {
	struct wr *out;
	size_t start;
	bool full;
};

static bool list_entry(void *ctx, const struct vfs_dirent *e)
{
	struct listing *l = ctx;
	l->full = l->out->size - l->start > FS_LISTING_MAX;
	if (l->full)
		return false;
	wr_u64(l->out, e->next);
	wr_u64(l->out, e->ino);
	wr_u8(l->out, e->type);
	wr_u16(l->out, (uint16_t)e->name_size);
	wr_bytes(l->out, e->name, e->name_size);
	return true;
}

static enum ferr serve_readdir(struct call *c)
{
	struct held h;
	uint32_t handle = arg_u32(c);
	uint64_t cookie = arg_u64(c);
	FTRY(args_end(c));
	FTRY(use(c->x, handle, &h));
	struct listing l = {.out = c->out, .start = c->out->size};
	wr_u8(c->out, 0);
	FTRY(vfs_readdir(h.obj, cookie, list_entry, &l));
	if (wr_ok(c->out))
		c->out->data[l.start] = !l.full;
	return FE_OK;
}

/* What a read-only mount leaves of an open: ROFS when nothing. */
static enum ferr open_flags(const struct held *dir, unsigned *flags)
{
	if (!dir->mount->read_only)
		return FE_OK;
	return *flags & (VFS_WRITE | VFS_CREATE | VFS_TRUNCATE) ? FE_ROFS : FE_OK;
}

static enum ferr give_handle(struct call *c, struct vfs_obj *o, struct vfs_mount *m, unsigned flags)
{
	uint32_t handle = new_handle(c->x);
	if (o->type != VFS_TYPE_FILE && o->type != VFS_TYPE_DIR)
		return FE_NOTSUP; /* a device of this machine stays here */
	FTRY(hold(c->x, handle, o, m, flags & (VFS_READ | VFS_WRITE)));
	wr_u32(c->out, handle);
	return FE_OK;
}

static enum ferr serve_open(struct call *c)
{
	char path[VFS_PATH_MAX];
	struct held dir;
	struct vfs_obj *o;
	struct vfs_stat st;
	uint32_t handle = arg_u32(c);
	uint32_t flags = arg_flags(c, 2 * VFS_RSYNC - 1 + VFS_MODE_MASK);
	arg_text(c, path);
	FTRY(args_end(c));
	FTRY(use_folder(c->x, handle, false, &dir));
	FTRY(open_flags(&dir, &flags));
	FTRY(vfs_open(dir.obj, path, flags, &o));
	enum ferr e = give_handle(c, o, dir.mount, flags);
	if (e == FE_OK)
		e = vfs_stat(o, &st);
	if (e == FE_OK)
		fs_put_stat(c->out, &st);
	vfs_unref(o);
	return e;
}

static enum ferr serve_stat_at(struct call *c)
{
	char path[VFS_PATH_MAX];
	struct held dir;
	struct vfs_stat st;
	uint32_t handle = arg_u32(c);
	bool follow = arg_flag(c);
	arg_text(c, path);
	FTRY(args_end(c));
	FTRY(use_folder(c->x, handle, false, &dir));
	FTRY(vfs_stat_at(dir.obj, path, follow, &st));
	fs_put_stat(c->out, &st);
	return FE_OK;
}

static enum ferr serve_set_times_at(struct call *c)
{
	char path[VFS_PATH_MAX];
	struct held dir;
	uint32_t handle = arg_u32(c);
	bool follow = arg_flag(c);
	struct vfs_times times = arg_times(c);
	arg_text(c, path);
	FTRY(args_end(c));
	FTRY(use_folder(c->x, handle, true, &dir));
	return vfs_set_times_at(dir.obj, path, follow, &times);
}

static unsigned arg_mode(struct call *c)
{
	uint16_t mode = 0;
	arg(c, rd_u16(&c->in, &mode));
	arg(c, mode > 07777 ? ERR_MALFORMED : ERR_OK);
	return mode;
}

static enum ferr serve_set_mode(struct call *c)
{
	struct held h;
	uint32_t handle = arg_u32(c);
	unsigned mode = arg_mode(c);
	FTRY(args_end(c));
	FTRY(use_folder(c->x, handle, true, &h));
	return vfs_set_mode(h.obj, mode);
}

static enum ferr serve_set_mode_at(struct call *c)
{
	char path[VFS_PATH_MAX];
	struct held dir;
	uint32_t handle = arg_u32(c);
	bool follow = arg_flag(c);
	unsigned mode = arg_mode(c);
	arg_text(c, path);
	FTRY(args_end(c));
	FTRY(use_folder(c->x, handle, true, &dir));
	return vfs_set_mode_at(dir.obj, path, follow, mode);
}

/* MKDIR, RMDIR, UNLINK. */
static enum ferr serve_name(struct call *c, enum ferr (*op)(struct vfs_obj *, const char *))
{
	char path[VFS_PATH_MAX];
	struct held dir;
	uint32_t handle = arg_u32(c);
	arg_text(c, path);
	FTRY(args_end(c));
	FTRY(use_folder(c->x, handle, true, &dir));
	return op(dir.obj, path);
}

static enum ferr serve_mkdir(struct call *c)
{
	return serve_name(c, vfs_mkdir);
}

static enum ferr serve_mkfifo(struct call *c)
{
	return serve_name(c, vfs_mkfifo);
}

static enum ferr serve_rmdir(struct call *c)
{
	return serve_name(c, vfs_rmdir);
}

static enum ferr serve_unlink(struct call *c)
{
	return serve_name(c, vfs_unlink);
}

static enum ferr serve_symlink(struct call *c)
{
	char target[VFS_PATH_MAX], path[VFS_PATH_MAX];
	struct held dir;
	uint32_t handle = arg_u32(c);
	arg_text(c, target);
	arg_text(c, path);
	FTRY(args_end(c));
	FTRY(use_folder(c->x, handle, true, &dir));
	return vfs_symlink(dir.obj, target, path);
}

static enum ferr serve_readlink(struct call *c)
{
	uint16_t room = 0;
	char path[VFS_PATH_MAX], text[VFS_PATH_MAX];
	struct held dir;
	uint32_t handle = arg_u32(c);
	arg(c, rd_u16(&c->in, &room));
	arg_text(c, path);
	FTRY(args_end(c));
	size_t size = room < sizeof text ? room : sizeof text;
	FTRY(use_folder(c->x, handle, false, &dir));
	FTRY(vfs_readlink(dir.obj, path, text, &size));
	wr_bytes(c->out, text, size);
	return FE_OK;
}

static enum ferr same_mount(const struct held *from, const struct held *to)
{
	return from->mount == to->mount ? FE_OK : FE_XDEV;
}

static enum ferr serve_link(struct call *c)
{
	char from_path[VFS_PATH_MAX], to_path[VFS_PATH_MAX];
	struct held from, to;
	uint32_t from_handle = arg_u32(c);
	bool follow = arg_flag(c);
	uint32_t to_handle = arg_u32(c);
	arg_text(c, from_path);
	arg_text(c, to_path);
	FTRY(args_end(c));
	FTRY(use_folder(c->x, from_handle, true, &from));
	FTRY(use_folder(c->x, to_handle, true, &to));
	FTRY(same_mount(&from, &to));
	return vfs_link(from.obj, from_path, follow, to.obj, to_path);
}

static enum ferr serve_rename(struct call *c)
{
	char from_path[VFS_PATH_MAX], to_path[VFS_PATH_MAX];
	struct held from, to;
	uint32_t from_handle = arg_u32(c);
	uint32_t to_handle = arg_u32(c);
	arg_text(c, from_path);
	arg_text(c, to_path);
	FTRY(args_end(c));
	FTRY(use_folder(c->x, from_handle, true, &from));
	FTRY(use_folder(c->x, to_handle, true, &to));
	FTRY(same_mount(&from, &to));
	return vfs_rename(from.obj, from_path, to.obj, to_path);
}

static enum ferr serve_reopen(struct call *c)
{
	char path[VFS_PATH_MAX];
	struct vfs_saved s = {.path = path};
	struct vfs_obj *o;
	uint32_t id = arg_u32(c);
	uint32_t flags = arg_u32(c);
	s.dev = arg_u64(c);
	s.ino = arg_u64(c);
	arg(c, rd_u8(&c->in, &s.type));
	arg_text(c, path);
	FTRY(args_end(c));
	s.flags = flags & (VFS_READ | VFS_WRITE);
	struct vfs_mount *m = vfs_ns_by_id(c->x->ns, id);
	if (!m)
		return FE_STALE;
	if (m->read_only && s.flags & VFS_WRITE)
		return FE_ROFS;
	FTRY(vfs_reopen(m->root, &s, &o));
	enum ferr e = give_handle(c, o, m, s.flags);
	vfs_unref(o);
	return e;
}

static enum ferr serve_nothing(struct call *c)
{
	return args_end(c);
}

static enum ferr serve(struct call *c, uint8_t op)
{
	switch (op) {
#define FSOP(number, NAME, name) \
	case FSOP_##NAME: return serve_##name(c);
#include "vfs/fsops.def"
#undef FSOP
	default: c->bad = true; return FE_NOSYS;
	}
}

static enum err close_handles(struct call *c)
{
	uint16_t count;
	uint32_t handle;
	TRY(rd_u16(&c->in, &count));
	if (count > FS_CLOSED_MAX)
		return ERR_MALFORMED;
	struct rd list;
	TRY(rd_sub(&c->in, 4u * count, &list));
	if (rd_left(&c->in) == 0)
		return ERR_MALFORMED;
	while (rd_u32(&list, &handle) == ERR_OK) {
		struct held *h = find(c->x, handle);
		if (h)
			drop(h);
	}
	return ERR_OK;
}

enum err vfs_export_request(struct vfs_export *x, const uint8_t *request, size_t size,
                            struct wr *answer)
{
	struct call c = {.x = x, .in = rd_of(request, size), .out = answer};
	size_t start = answer->size;
	uint8_t op = 0;
	wr_u16(answer, 0);
	pthread_mutex_lock(&x->lock);
	enum err e = close_handles(&c);
	enum ferr fe = FE_OK;
	if (e == ERR_OK)
		e = rd_u8(&c.in, &op);
	if (e == ERR_OK)
		fe = serve(&c, op);
	pthread_mutex_unlock(&x->lock);
	if (e != ERR_OK || c.bad) {
		answer->size = start;
		return ERR_MALFORMED;
	}
	if (fe == FE_INPROGRESS) /* a folder of a third device; who asks cannot try again */
		fe = FE_HOSTDOWN;
	if (fe != FE_OK)
		answer->size = start + 2;
	if (!wr_ok(answer))
		return ERR_NOMEM;
	answer->data[start] = (uint8_t)fe;
	return ERR_OK;
}

/* ---- what was granted, as bytes: u32 version, u8 count, each: u32 id, u8 read-only, text guest, text host ---- */

enum { GRANTS_VERSION = 1 };

enum err vfs_export_save(struct vfs_export *x, struct wr *out)
{
	wr_u32(out, GRANTS_VERSION);
	wr_u8(out, (uint8_t)vfs_ns_count(x->ns));
	for (uint32_t i = 0; i < vfs_ns_count(x->ns); i++) {
		const struct vfs_mount *m = vfs_ns_at(x->ns, i);
		wr_u32(out, m->id);
		wr_u8(out, m->read_only);
		fs_put_text(out, m->guest);
		fs_put_text(out, m->host);
	}
	return wr_ok(out) ? ERR_OK : ERR_NOMEM;
}

static enum err load_grant(struct rd *in, struct vfs_ns *ns)
{
	char guest[VFS_PATH_MAX], host[VFS_PATH_MAX];
	struct vfs_mount_config c = {.guest = guest, .host = host, .kind = VFS_MOUNT_HOST};
	struct vfs_obj *root;
	TRY(rd_u32(in, &c.id));
	TRY(fs_get_flag(in, &c.read_only));
	TRY(fs_get_text(in, guest));
	TRY(fs_get_text(in, host));
	if (vfs_host_new(host, VFS_WALK_BEST, &root, NULL) != ERR_OK)
		return ERR_OK;
	return vfs_ns_add(ns, &c, root, NULL);
}

enum err vfs_export_load(struct rd *in, struct vfs_export **out, struct errmsg *msg)
{
	uint32_t version;
	uint8_t count = 0;
	struct vfs_export *x = export_new();
	if (!x)
		return err_set(msg, ERR_NOMEM, "granted folders: out of memory");
	enum err e = rd_u32(in, &version);
	if (e == ERR_OK && version != GRANTS_VERSION)
		e = ERR_UNSUPPORTED;
	if (e == ERR_OK)
		e = rd_u8(in, &count);
	for (uint32_t i = 0; e == ERR_OK && i < count; i++)
		e = load_grant(in, x->ns);
	if (e != ERR_OK) {
		vfs_export_free(x);
		return err_set(msg, e, "granted folders: %s", err_text(e));
	}
	*out = x;
	return ERR_OK;
}
