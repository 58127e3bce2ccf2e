/* fdtable_save.c - mounts and open files as bytes, and back.
 *
 * Layout (little-endian; text is u16 size, bytes):
 *	u32 version 1
 *	u8 mounts, each: u32 id, u8 kind, u8 read-only, 32 home, text guest, text host,
 *		in memory: u32 size, its tree (memory_save.c)
 *	u16 descriptions, each: u8 what, u32 flags, u64 offset, then by what:
 *		MOUNT:  u32 mount, u8 type, u64 dev, u64 ino, u32 handle, text path
 *		STREAM: text name
 *		NULL, GONE: nothing
 *		PIPE:   u16 pipe, u8 writes; the first end of a pipe that is met: u8 other end open, u32 size, bytes
 *		CARRY:  u32 size, bytes: a file of a host that had no name any more
 *		OBJECT: u8 kind, u32 size, bytes: as its backend says (vfs_ops.save)
 *		SAME:   u16 description before it: the same pipe's end or object, opened once more
 *	u16 descriptors, each: u32 number, u16 description, u64 rights, u64 inheriting, u8 preopen
 *
 * Relatives share descriptions: a set of tables (struct fdset) is version, mounts and descriptions of all of them, and each table is
 * u32 version 2 and its descriptors.
 */
#include "vfs/fdtable.h"
#include "vfs/memory.h"
#include "vfs/pipe.h"
#include "vfs/remote.h"
#include "vfs/stream.h"

#include <stdlib.h>
#include <string.h>

enum { FORMAT_VERSION = 1, FORMAT_IN_SET = 2, DESCRIPTIONS_MAX = UINT16_MAX };
enum what {
	WHAT_MOUNT = 1,
	WHAT_STREAM,
	WHAT_NULL,
	WHAT_PIPE,
	WHAT_CARRY,
	WHAT_GONE,
	WHAT_OBJECT,
	WHAT_SAME
};
enum {
	SAVED_FLAGS =
	    VFS_READ | VFS_WRITE | VFS_APPEND | VFS_NONBLOCK | VFS_DSYNC | VFS_SYNC | VFS_RSYNC
};

/* ---- the order of descriptions: by their first descriptor ---- */

static struct vfs_file *file_at(struct fdtable *t, uint32_t fd)
{
	struct fd_entry *e;
	return fdtable_use(t, fd, 0, &e) == FE_BADF ? NULL : e->file;
}

/* Descriptions in the order in which they are met, and a table of their places by pointer. */
struct fdset {
	struct vfs_file **files;
	uint32_t count, cap;
	uint32_t *slots; /* place + 1; 0: free */
	uint32_t nslots; /* a power of two, more than twice count */
	bool owns;       /* a reference each, and ns: it was loaded */
	struct vfs_ns *ns;
};

static uint32_t *slot_of(const struct fdset *s, const struct vfs_file *f)
{
	uint64_t h = (uint64_t)(uintptr_t)f * UINT64_C(0x9e3779b97f4a7c15);
	uint32_t at = (uint32_t)(h >> 32) & (s->nslots - 1);
	while (s->slots[at] && s->files[s->slots[at] - 1] != f)
		at = (at + 1) & (s->nslots - 1);
	return &s->slots[at];
}

static enum err grow(struct fdset *s)
{
	uint32_t cap = s->cap ? 2 * s->cap : 16;
	struct vfs_file **files = realloc(s->files, cap * sizeof *files);
	uint32_t *slots = calloc(4 * (size_t)cap, sizeof *slots);
	if (files)
		s->files = files;
	if (!files || !slots) {
		free(slots);
		return ERR_NOMEM;
	}
	free(s->slots);
	s->slots = slots;
	s->nslots = 4 * cap;
	s->cap = cap;
	for (uint32_t i = 0; i < s->count; i++)
		*slot_of(s, s->files[i]) = i + 1;
	return ERR_OK;
}

enum err fdset_new(struct fdset **out)
{
	*out = calloc(1, sizeof **out);
	return *out ? ERR_OK : ERR_NOMEM;
}

void fdset_free(struct fdset *s)
{
	if (!s)
		return;
	for (uint32_t i = 0; s->owns && i < s->count; i++)
		vfs_file_unref(s->files[i]);
	if (s->owns)
		vfs_ns_free(s->ns);
	free(s->files);
	free(s->slots);
	free(s);
}

static enum err set_add(struct fdset *s, struct vfs_file *f)
{
	if (s->count == s->cap)
		TRY(grow(s));
	uint32_t *slot = slot_of(s, f);
	if (*slot)
		return ERR_OK;
	if (s->count == DESCRIPTIONS_MAX)
		return ERR_LIMIT;
	s->files[s->count++] = f;
	*slot = s->count;
	return ERR_OK;
}

enum err fdset_add(struct fdset *s, struct fdtable *t)
{
	for (uint32_t fd = 0; fd < fdtable_size(t); fd++)
		if (file_at(t, fd))
			TRY(set_add(s, file_at(t, fd)));
	return ERR_OK;
}

struct vfs_file *fdset_file(const struct fdset *s, uint32_t i)
{
	return i < s->count ? s->files[i] : NULL;
}

struct vfs_ns *fdset_ns(const struct fdset *s)
{
	return s->ns;
}

uint32_t fdset_index(const struct fdset *s, const struct vfs_file *f)
{
	return s->nslots ? *slot_of(s, f) - 1 : UINT32_MAX;
}

/* ---- writing ---- */

struct save {
	const struct fdset *set;
	struct wr *out;
	struct errmsg *msg;
	const void **pipes; /* identities met */
	uint32_t npipes;
};

static void wr_text(struct wr *out, const char *text)
{
	size_t size = strlen(text);
	wr_u16(out, (uint16_t)size);
	wr_bytes(out, text, size);
}

static enum err save_mount(struct save *s, const struct vfs_mount *m)
{
	wr_u32(s->out, m->id);
	wr_u8(s->out, m->kind);
	wr_u8(s->out, m->read_only);
	wr_bytes(s->out, m->home, sizeof m->home);
	wr_text(s->out, m->guest);
	wr_text(s->out, m->host);
	if (m->kind != VFS_MOUNT_MEMORY)
		return ERR_OK;
	size_t at = s->out->size;
	wr_u32(s->out, 0);
	TRY(vfs_memory_save(m->root, s->out));
	if (s->out->size - at - 4 > UINT32_MAX)
		return err_set(s->msg, ERR_LIMIT, "%s: memory files are over 4 GiB", m->guest);
	wr_patch_u32(s->out, at, (uint32_t)(s->out->size - at - 4));
	return ERR_OK;
}

static uint8_t *carry_bytes(struct vfs_obj *o, uint64_t size)
{
	uint8_t *bytes = malloc((size_t)size + 1);
	for (uint64_t at = 0; bytes && at < size;) {
		struct vfs_iov iov = {.p = bytes + at, .size = (size_t)(size - at)};
		size_t done;
		if (vfs_read(o, at, &iov, 1, &done) != FE_OK || done == 0) {
			free(bytes);
			return NULL;
		}
		at += done;
	}
	return bytes;
}

/* An unlinked file of this host: nobody could find it again. */
static enum err save_carried(struct save *s, const struct vfs_file *f)
{
	const char *path = f->path ? f->path : "a file";
	struct vfs_stat st;
	if (f->obj->type != VFS_TYPE_FILE || vfs_stat(f->obj, &st) != FE_OK ||
	    st.size_bytes > FDTABLE_CARRY_MAX)
		return err_set(
		    s->msg, ERR_UNSUPPORTED,
		    "%s was removed while it is open, and is too large to be carried along", path);
	uint8_t *bytes = carry_bytes(f->obj, st.size_bytes);
	if (!bytes)
		return err_set(s->msg, ERR_IO,
		               "%s was removed while it is open, and cannot be read", path);
	wr_u32(s->out, (uint32_t)st.size_bytes);
	wr_bytes(s->out, bytes, (size_t)st.size_bytes);
	free(bytes);
	return ERR_OK;
}

static void save_on_mount(struct save *s, const struct vfs_file *f, uint32_t index,
                          const char *path)
{
	uint64_t dev, ino;
	(void)vfs_identity(f->obj, &dev, &ino); /* zeros name no file */
	uint32_t handle = vfs_handle_of(f->obj);
	wr_u32(s->out, f->mount->id);
	wr_u8(s->out, f->obj->type);
	wr_u64(s->out, dev);
	wr_u64(s->out, ino);
	wr_u32(s->out, handle ? handle : index + 1);
	wr_text(s->out, path);
}

/* The other end must be in these tables too: a pipe to a process that stays does not move. */
static bool has_other_end(const struct save *s, const struct vfs_file *f)
{
	for (uint32_t i = 0; i < s->set->count; i++) {
		struct vfs_obj *o = s->set->files[i]->obj;
		if (o != f->obj && vfs_is_pipe(o) &&
		    vfs_pipe_identity(o) == vfs_pipe_identity(f->obj))
			return true;
	}
	return false;
}

static enum err save_pipe(struct save *s, const struct vfs_file *f)
{
	bool open;
	uint32_t i = 0;
	uint8_t *bytes = malloc(VFS_PIPE_BYTES);
	if (!bytes)
		return ERR_NOMEM;
	size_t size = vfs_pipe_peek(f->obj, bytes, &open);
	enum err e = ERR_OK;
	while (i < s->npipes && s->pipes[i] != vfs_pipe_identity(f->obj))
		i++;
	wr_u16(s->out, (uint16_t)i);
	wr_u8(s->out, vfs_pipe_writes(f->obj));
	if (open && !has_other_end(s, f)) {
		e = err_set(s->msg, ERR_UNSUPPORTED, "a pipe to another process is open");
	} else if (i == s->npipes) {
		s->pipes[s->npipes++] = vfs_pipe_identity(f->obj);
		wr_u8(s->out, open);
		wr_u32(s->out, (uint32_t)size);
		wr_bytes(s->out, bytes, size);
	}
	free(bytes);
	return e;
}

static void save_head(struct save *s, enum what what, const struct vfs_file *f)
{
	wr_u8(s->out, (uint8_t)what);
	wr_u32(s->out, f->flags & SAVED_FLAGS);
	wr_u64(s->out, f->offset);
}

/* A description before it that stands for the same object; index: none. */
static uint32_t same_before(const struct save *s, uint32_t index)
{
	uint32_t i = 0;
	while (i < index && s->set->files[i]->obj != s->set->files[index]->obj)
		i++;
	return i;
}

static enum err save_object(struct save *s, const struct vfs_file *f)
{
	wr_u8(s->out, f->obj->ops->saved_as);
	size_t at = s->out->size;
	wr_u32(s->out, 0);
	enum err e = f->obj->ops->save(f->obj, s->out);
	if (e == ERR_OK && s->out->size - at - 4 > FDTABLE_OBJECT_MAX)
		e = ERR_LIMIT;
	if (e != ERR_OK)
		return err_set(s->msg, e, "an open %s: %s", f->obj->ops->name, err_text(e));
	wr_patch_u32(s->out, at, (uint32_t)(s->out->size - at - 4));
	return ERR_OK;
}

static enum err save_file(struct save *s, uint32_t index)
{
	const struct vfs_file *f = s->set->files[index];
	char path[VFS_PATH_MAX];
	if ((vfs_is_pipe(f->obj) || f->obj->ops->save) && same_before(s, index) < index) {
		save_head(s, WHAT_SAME, f);
		wr_u16(s->out, (uint16_t)same_before(s, index));
		return ERR_OK;
	}
	if (f->obj->ops->save) {
		save_head(s, WHAT_OBJECT, f);
		return save_object(s, f);
	}
	if (f->mount) {
		enum ferr e = vfs_path_of(f->obj, f->mount->root, path, sizeof path);
		if (e == FE_HOSTDOWN)
			return err_set(s->msg, ERR_CLOSED,
			               "%s was written, and is not at its device, which is away",
			               f->path);
		bool nameless = e == FE_NOENT && !vfs_is_memory(f->obj);
		save_head(s, nameless ? WHAT_CARRY : WHAT_MOUNT, f);
		if (nameless)
			return save_carried(s, f);
		save_on_mount(s, f, index, e == FE_OK ? path : f->path);
		return ERR_OK;
	}
	if (f->stream[0]) {
		save_head(s, WHAT_STREAM, f);
		wr_text(s->out, f->stream);
		return ERR_OK;
	}
	if (vfs_is_memory(f->obj)) { /* it was carried before */
		save_head(s, WHAT_CARRY, f);
		return save_carried(s, f);
	}
	if (vfs_is_pipe(f->obj)) {
		save_head(s, WHAT_PIPE, f);
		return save_pipe(s, f);
	}
	save_head(s, vfs_is_null(f->obj) ? WHAT_NULL : WHAT_GONE, f);
	return ERR_OK;
}

static void save_descriptors(const struct fdset *set, struct fdtable *t, struct wr *out)
{
	size_t at = out->size;
	uint16_t count = 0;
	wr_u16(out, 0);
	for (uint32_t fd = 0; fd < fdtable_size(t); fd++) {
		struct fd_entry *e;
		if (fdtable_use(t, fd, 0, &e) != FE_OK)
			continue;
		wr_u32(out, fd);
		wr_u16(out, (uint16_t)fdset_index(set, e->file));
		wr_u64(out, e->rights);
		wr_u64(out, e->inheriting);
		wr_u8(out, e->preopen);
		count++;
	}
	if (wr_ok(out)) {
		out->data[at] = (uint8_t)count;
		out->data[at + 1] = (uint8_t)(count >> 8);
	}
}

static enum err save_all(struct save *s, struct vfs_ns *ns)
{
	wr_u32(s->out, FORMAT_VERSION);
	wr_u8(s->out, (uint8_t)vfs_ns_count(ns));
	for (uint32_t i = 0; i < vfs_ns_count(ns); i++)
		TRY(save_mount(s, vfs_ns_at(ns, i)));
	wr_u16(s->out, (uint16_t)s->set->count);
	for (uint32_t i = 0; i < s->set->count; i++)
		TRY(save_file(s, i));
	return wr_ok(s->out) ? ERR_OK : ERR_NOMEM;
}

enum err fdset_save(const struct fdset *set, struct vfs_ns *ns, struct wr *out, struct errmsg *msg)
{
	struct save s = {.set = set, .out = out, .msg = msg};
	s.pipes = calloc(set->count + 1u, sizeof *s.pipes);
	enum err e = s.pipes ? save_all(&s, ns) : ERR_NOMEM;
	free(s.pipes);
	return e;
}

enum err fdtable_save_in(struct fdtable *t, const struct fdset *set, struct wr *out)
{
	wr_u32(out, FORMAT_IN_SET);
	save_descriptors(set, t, out);
	return wr_ok(out) ? ERR_OK : ERR_NOMEM;
}

enum err fdtable_save(struct fdtable *t, struct vfs_ns *ns, struct wr *out, struct errmsg *msg)
{
	struct fdset *set;
	TRY(fdset_new(&set));
	enum err e = fdset_add(set, t);
	if (e == ERR_OK)
		e = fdset_save(set, ns, out, msg);
	if (e == ERR_OK)
		save_descriptors(set, t, out);
	fdset_free(set);
	return e == ERR_OK && !wr_ok(out) ? ERR_NOMEM : e;
}

/* ---- reading ---- */

struct load {
	struct rd *in;
	const struct fdtable_loader *l;
	struct fdtable *t;
	struct vfs_ns *ns;
	struct fdset *set;     /* one reference each, until descriptors hold them */
	struct vfs_obj **ends; /* by pipe: the end that was not met yet */
	uint32_t npipes;
	struct errmsg *msg;
};

static enum err bad(struct load *l, const char *why)
{
	return err_set(l->msg, ERR_MALFORMED, "open files: %s", why);
}

static enum err rd_text(struct rd *in, char *buf, size_t size)
{
	uint16_t n;
	const uint8_t *p;
	TRY(rd_u16(in, &n));
	TRY(rd_bytes(in, n, &p));
	if (n >= size || memchr(p, 0, n))
		return ERR_MALFORMED;
	memcpy(buf, p, n);
	buf[n] = 0;
	return ERR_OK;
}

static enum err rd_flag(struct rd *in, bool *out)
{
	uint8_t v;
	TRY(rd_u8(in, &v));
	*out = v == 1;
	return v <= 1 ? ERR_OK : ERR_MALFORMED;
}

static enum err load_memory(struct load *l, struct vfs_obj **root)
{
	uint32_t size;
	struct rd sub;
	TRY(rd_u32(l->in, &size));
	TRY(rd_sub(l->in, size, &sub));
	TRY(vfs_memory_load(&sub, root, l->msg));
	if (rd_left(&sub) == 0)
		return ERR_OK;
	vfs_unref(*root);
	return bad(l, "bytes after memory files");
}

static enum err load_mount(struct load *l)
{
	char guest[VFS_PATH_MAX], host[VFS_PATH_MAX];
	struct vfs_mount_config c = {.guest = guest, .host = host};
	struct vfs_obj *root;
	uint8_t kind;
	const uint8_t *home;
	TRY(rd_u32(l->in, &c.id));
	TRY(rd_u8(l->in, &kind));
	TRY(rd_flag(l->in, &c.read_only));
	TRY(rd_bytes(l->in, sizeof c.home, &home));
	TRY(rd_text(l->in, guest, sizeof guest));
	TRY(rd_text(l->in, host, sizeof host));
	if (c.id == 0 || kind > VFS_MOUNT_MEMORY)
		return bad(l, "unknown kind of mount");
	memcpy(c.home, home, sizeof c.home);
	c.kind = (enum vfs_mount_kind)kind;
	if (kind == VFS_MOUNT_MEMORY)
		TRY(load_memory(l, &root));
	else
		TRY(l->l->open_mount(l->l->ctx, &c, &root, l->msg));
	enum err e = vfs_ns_add(l->ns, &c, root, NULL);
	return e == ERR_OK || e == ERR_NOMEM ? e : bad(l, "two mounts at one place");
}

static enum err found(struct load *l, enum ferr e, struct vfs_obj **obj)
{
	if (e == FE_OK)
		return ERR_OK;
	if (e != FE_STALE && e != FE_NOENT && e != FE_NOTDIR && e != FE_LOOP && e != FE_ACCES)
		return err_set(l->msg, e == FE_NOMEM ? ERR_NOMEM : ERR_IO,
		               "a file that was open: %s", ferr_text(e));
	*obj = vfs_gone_new();
	return *obj ? ERR_OK : ERR_NOMEM;
}

/* What the home held must be what the image speaks of. */
static struct vfs_obj *held_file(struct load *l, const struct vfs_mount *m,
                                 const struct vfs_saved *s)
{
	struct vfs_stat st;
	if (!l->l->held || m->kind != VFS_MOUNT_HOST || vfs_is_remote(m->root))
		return NULL;
	struct vfs_obj *o = l->l->held(l->l->ctx, m->id, s->handle, s->flags);
	if (o && vfs_stat(o, &st) == FE_OK && st.dev == s->dev && st.ino == s->ino &&
	    o->type == s->type)
		return o;
	vfs_unref(o);
	return NULL;
}

static enum err load_on_mount(struct load *l, unsigned flags, struct vfs_file **out)
{
	char path[VFS_PATH_MAX];
	struct vfs_saved s = {.path = path, .flags = flags};
	uint32_t id;
	TRY(rd_u32(l->in, &id));
	TRY(rd_u8(l->in, &s.type));
	TRY(rd_u64(l->in, &s.dev));
	TRY(rd_u64(l->in, &s.ino));
	TRY(rd_u32(l->in, &s.handle));
	TRY(rd_text(l->in, path, sizeof path));
	struct vfs_mount *m = vfs_ns_by_id(l->ns, id);
	if (!m || s.type > VFS_TYPE_SYMLINK || vfs_path_check(path) != FE_OK)
		return bad(l, "a file lies in no mount");
	if (m->read_only && flags & VFS_WRITE)
		return bad(l, "a file of a read-only mount is open for writing");
	struct vfs_obj *obj = held_file(l, m, &s);
	if (!obj && !strcmp(path, "."))
		obj = vfs_ref(m->root);
	if (!obj)
		TRY(found(l, vfs_reopen(m->root, &s, &obj), &obj));
	*out = vfs_file_new(obj, m, path, flags);
	return *out ? ERR_OK : ERR_NOMEM;
}

static enum err load_stream(struct load *l, unsigned flags, struct vfs_file **out)
{
	char name[sizeof(*out)->stream];
	struct vfs_obj *obj;
	TRY(rd_text(l->in, name, sizeof name));
	if (!name[0])
		return bad(l, "a stream without a name");
	TRY(l->l->open_stream(l->l->ctx, name, &obj, l->msg));
	*out = vfs_file_new(obj, NULL, NULL, flags);
	if (*out)
		strcpy((*out)->stream, name);
	return *out ? ERR_OK : ERR_NOMEM;
}

static enum err fill(struct vfs_obj *end, const uint8_t *bytes, size_t size)
{
	struct vfs_iov iov = {.p = (void *)(uintptr_t)bytes, .size = size};
	size_t done = 0;
	uint64_t at;
	if (size && (vfs_write(end, 0, 0, &iov, 1, &done, &at) != FE_OK || done != size))
		return ERR_NOMEM;
	return ERR_OK;
}

/* The first end of a pipe: makes both, keeps the other for later when it is open. */
static enum err new_pipe(struct load *l, bool writes, struct vfs_obj **out)
{
	bool other_open;
	uint32_t size;
	const uint8_t *bytes;
	struct vfs_obj *end[2]; /* reads, writes */
	TRY(rd_flag(l->in, &other_open));
	TRY(rd_u32(l->in, &size));
	TRY(rd_bytes(l->in, size, &bytes));
	if (size > VFS_PIPE_BYTES)
		return bad(l, "a pipe holds too much");
	if (vfs_pipe_new(&end[0], &end[1]) != FE_OK)
		return ERR_NOMEM;
	enum err e = fill(end[1], bytes, size);
	*out = end[writes];
	l->ends[l->npipes] = other_open ? end[!writes] : NULL;
	if (!other_open)
		vfs_unref(end[!writes]);
	l->npipes++;
	if (e != ERR_OK)
		vfs_unref(*out);
	return e;
}

static enum err load_pipe(struct load *l, unsigned flags, struct vfs_file **out)
{
	uint16_t index;
	bool writes;
	struct vfs_obj *obj;
	TRY(rd_u16(l->in, &index));
	TRY(rd_flag(l->in, &writes));
	if (index == l->npipes) {
		TRY(new_pipe(l, writes, &obj));
	} else {
		obj = index < l->npipes ? l->ends[index] : NULL;
		if (!obj || vfs_pipe_writes(obj) != writes)
			return bad(l, "an end of a pipe that is not open");
		l->ends[index] = NULL;
	}
	*out = vfs_file_new(obj, NULL, NULL, flags);
	return *out ? ERR_OK : ERR_NOMEM;
}

/* The contents live on in a memory file that has no name. */
static enum err load_carried(struct load *l, unsigned flags, struct vfs_file **out)
{
	uint32_t size;
	const uint8_t *bytes;
	struct vfs_obj *root, *obj = NULL;
	TRY(rd_u32(l->in, &size));
	TRY(rd_bytes(l->in, size, &bytes));
	if (size > FDTABLE_CARRY_MAX)
		return bad(l, "a carried file is too large");
	if (vfs_memory_new(UINT32_MAX, &root) != FE_OK)
		return ERR_NOMEM;
	enum err e = ERR_NOMEM;
	if (vfs_open(root, "f", VFS_READ | VFS_WRITE | VFS_CREATE, &obj) == FE_OK &&
	    vfs_unlink(root, "f") == FE_OK)
		e = fill(obj, bytes, size);
	vfs_unref(root);
	if (e != ERR_OK) {
		vfs_unref(obj);
		return e;
	}
	*out = vfs_file_new(obj, NULL, NULL, flags);
	return *out ? ERR_OK : ERR_NOMEM;
}

static enum err load_same(struct load *l, unsigned flags, struct vfs_file **out)
{
	uint16_t index;
	TRY(rd_u16(l->in, &index));
	struct vfs_file *f = fdset_file(l->set, index);
	if (!f || (!vfs_is_pipe(f->obj) && !f->obj->ops->save))
		return bad(l, "a file is the same as one that is not there");
	*out = vfs_file_new(vfs_ref(f->obj), NULL, NULL, flags);
	if (*out)
		strcpy((*out)->stream, f->stream);
	return *out ? ERR_OK : ERR_NOMEM;
}

static enum err load_object(struct load *l, unsigned flags, struct vfs_file **out)
{
	uint8_t kind;
	uint32_t size;
	struct rd sub;
	struct vfs_obj *obj = NULL;
	TRY(rd_u8(l->in, &kind));
	TRY(rd_u32(l->in, &size));
	TRY(rd_sub(l->in, size, &sub));
	if (size > FDTABLE_OBJECT_MAX || !l->l->load_object)
		return bad(l, "an open thing of an unknown kind");
	TRY(l->l->load_object(l->l->ctx, kind, &sub, &obj, l->msg));
	*out = vfs_file_new(obj, NULL, NULL, flags);
	if (*out && rd_left(&sub))
		return bad(l, "bytes after an open thing");
	return *out ? ERR_OK : ERR_NOMEM;
}

static enum err load_empty(struct load *l, struct vfs_obj *obj, unsigned flags,
                           struct vfs_file **out)
{
	*out = obj ? vfs_file_new(obj, NULL, NULL, flags) : NULL;
	return *out ? ERR_OK : ERR_NOMEM;
}

static enum err load_file(struct load *l, struct vfs_file **out)
{
	uint8_t what;
	uint32_t flags;
	uint64_t offset;
	TRY(rd_u8(l->in, &what));
	TRY(rd_u32(l->in, &flags));
	TRY(rd_u64(l->in, &offset));
	if (flags & ~(uint32_t)SAVED_FLAGS || offset > INT64_MAX)
		return bad(l, "unknown flags");
	switch ((enum what)what) {
	case WHAT_MOUNT: TRY(load_on_mount(l, flags, out)); break;
	case WHAT_STREAM: TRY(load_stream(l, flags, out)); break;
	case WHAT_NULL: TRY(load_empty(l, vfs_null_new(), flags, out)); break;
	case WHAT_PIPE: TRY(load_pipe(l, flags, out)); break;
	case WHAT_CARRY: TRY(load_carried(l, flags, out)); break;
	case WHAT_GONE: TRY(load_empty(l, vfs_gone_new(), flags, out)); break;
	case WHAT_OBJECT: TRY(load_object(l, flags, out)); break;
	case WHAT_SAME: TRY(load_same(l, flags, out)); break;
	default: return bad(l, "unknown kind of file");
	}
	(*out)->offset = offset;
	return ERR_OK;
}

static enum err load_descriptor(struct load *l)
{
	uint32_t fd;
	uint16_t index;
	uint64_t rights, inheriting;
	bool preopen;
	struct fd_entry *e;
	TRY(rd_u32(l->in, &fd));
	TRY(rd_u16(l->in, &index));
	TRY(rd_u64(l->in, &rights));
	TRY(rd_u64(l->in, &inheriting));
	TRY(rd_flag(l->in, &preopen));
	struct vfs_file *f = fdset_file(l->set, index);
	if (fd >= FDTABLE_MAX || !f || fdtable_use(l->t, fd, 0, &e) != FE_BADF)
		return bad(l, "descriptors are wrong");
	if (preopen && (!f->mount || f->obj->type != VFS_TYPE_DIR))
		return bad(l, "a preopened descriptor is no folder");
	f->refs++;
	if (fdtable_add_at(l->t, fd, f, rights & RIGHTS_ALL, inheriting & RIGHTS_ALL) != FE_OK)
		return ERR_NOMEM;
	fdtable_use(l->t, fd, 0, &e);
	e->preopen = preopen;
	return ERR_OK;
}

/* The reference to f is the set's from now on. */
static enum err take_file(struct load *l, struct vfs_file *f)
{
	enum err e = set_add(l->set, f);
	if (e != ERR_OK)
		vfs_file_unref(f);
	return e;
}

static enum err load_files(struct load *l, uint16_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct vfs_file *f = NULL;
		enum err e = load_file(l, &f);
		if (e != ERR_OK) {
			vfs_file_unref(f);
			return e;
		}
		TRY(take_file(l, f));
	}
	for (uint32_t i = 0; i < l->npipes; i++)
		if (l->ends[i])
			return bad(l, "an end of a pipe is missing");
	return ERR_OK;
}

static enum err load_set(struct load *l, uint32_t max)
{
	uint8_t mounts;
	uint16_t count;
	TRY(rd_u8(l->in, &mounts));
	for (uint32_t i = 0; i < mounts; i++)
		TRY(load_mount(l));
	TRY(rd_u16(l->in, &count));
	if (count > max)
		return bad(l, "too many");
	l->ends = calloc(count + 1u, sizeof *l->ends);
	return l->ends ? load_files(l, count) : ERR_NOMEM;
}

static enum err load_descriptors(struct load *l)
{
	uint16_t count;
	TRY(rd_u16(l->in, &count));
	for (uint32_t i = 0; i < count; i++)
		TRY(load_descriptor(l));
	return ERR_OK;
}

static enum err load_version(struct load *l, uint32_t want)
{
	uint32_t version;
	TRY(rd_u32(l->in, &version));
	if (version != want)
		return err_set(l->msg, ERR_UNSUPPORTED, "open files: version %u", version);
	return ERR_OK;
}

static enum err load_new(struct load *l, uint32_t max)
{
	TRY(fdset_new(&l->set));
	l->set->owns = true;
	l->ns = l->set->ns = vfs_ns_new();
	if (!l->ns)
		return ERR_NOMEM;
	TRY(load_version(l, FORMAT_VERSION));
	return load_set(l, max);
}

static void load_end(struct load *l)
{
	for (uint32_t i = 0; l->ends && i < l->npipes; i++)
		vfs_unref(l->ends[i]);
	free(l->ends);
}

static void drop_orphans(struct vfs_ns *ns)
{
	for (uint32_t i = 0; i < vfs_ns_count(ns); i++)
		if (vfs_is_memory(vfs_ns_at(ns, i)->root))
			vfs_memory_drop_orphans(vfs_ns_at(ns, i)->root);
}

static enum err tell(const struct load *l, enum err e)
{
	if (e != ERR_OK && !l->msg->text[0])
		err_set(l->msg, e, "open files: %s", e == ERR_MALFORMED ? "cut off" : err_text(e));
	return e;
}

static struct load load_of(struct rd *in, const struct fdtable_loader *loader, struct errmsg *msg)
{
	msg->text[0] = 0;
	return (struct load){.in = in, .l = loader, .msg = msg};
}

enum err fdset_load(struct rd *in, const struct fdtable_loader *loader, struct fdset **out,
                    struct errmsg *msg)
{
	struct errmsg own = {0};
	struct load l = load_of(in, loader, msg ? msg : &own);
	enum err e = load_new(&l, DESCRIPTIONS_MAX);
	load_end(&l);
	if (e == ERR_OK)
		drop_orphans(l.ns);
	else
		fdset_free(l.set);
	*out = e == ERR_OK ? l.set : NULL;
	return tell(&l, e);
}

enum err fdset_check(const struct fdset *s, struct errmsg *msg)
{
	for (uint32_t i = 0; i < s->count; i++)
		if (s->files[i]->refs < 2)
			return err_set(msg, ERR_MALFORMED, "open files: a file has no descriptor");
	return ERR_OK;
}

enum err fdtable_load_in(struct rd *in, struct fdset *set, struct fdtable **t, struct errmsg *msg)
{
	struct errmsg own = {0};
	struct load l = load_of(in, NULL, msg ? msg : &own);
	l.set = set;
	enum err e = fdtable_new(&l.t);
	if (e == ERR_OK)
		e = load_version(&l, FORMAT_IN_SET);
	if (e == ERR_OK)
		e = load_descriptors(&l);
	if (e != ERR_OK)
		fdtable_free(l.t);
	*t = e == ERR_OK ? l.t : NULL;
	return tell(&l, e);
}

enum err fdtable_load(struct rd *in, const struct fdtable_loader *loader, struct fdtable **t,
                      struct vfs_ns **ns, struct errmsg *msg)
{
	struct errmsg own = {0};
	struct load l = load_of(in, loader, msg ? msg : &own);
	enum err e = fdtable_new(&l.t);
	if (e == ERR_OK)
		e = load_new(&l, FDTABLE_MAX);
	if (e == ERR_OK)
		e = load_descriptors(&l);
	if (e == ERR_OK)
		e = fdset_check(l.set, l.msg);
	load_end(&l);
	if (e == ERR_OK) {
		drop_orphans(l.ns);
		*t = l.t;
		*ns = l.ns;
		l.set->ns = NULL;
	} else {
		fdtable_free(l.t);
	}
	fdset_free(l.set);
	return tell(&l, e);
}
