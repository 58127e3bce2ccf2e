/* net_files.c - the folders /net and /net/DEVICE, and the way below them and below /net/STORAGE. */
#include "node/links/net_files.h"

#include "base/crypto.h"
#include "node/clouds.h"
#include "node/links/net_cache.h"
#include "node/links/shares.h"
#include "node/node.h"
#include "vfs/mount.h"
#include "vfs/remote.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The name of a share that was opened, by its number. */
struct seen_share {
	struct seen_share *next;
	char name[SHARE_NAME_MAX + 1];
};

/* A device that was asked for something. anchor keeps r, and r keeps asking. */
struct distant {
	struct distant *next;
	uint8_t id[DEVICE_ID_SIZE];
	struct vfs_remote *r;
	struct vfs_obj *anchor;
	struct asking *asking;
};

/* What the requests of a remote need. */
struct asking {
	struct shares *shares;
	uint8_t device[DEVICE_ID_SIZE];
	uint64_t session;
	struct seen_share *seen;
};

enum { HEX_SIZE = 2 * DEVICE_ID_SIZE };

/* All of one mount; used by the thread that runs the process, as vfs/remote.h is. */
struct net {
	_Atomic uint32_t refs;
	struct shares *shares;
	struct clouds *clouds;
	bool empty;
	struct share_device *devices;
	uint32_t count;
	uint64_t listed_ns; /* when devices was */
	struct distant *distants;
};

/* /net, or a device's folder in it. */
struct folder {
	struct vfs_obj base;
	struct net *net;
	bool is_device;
	struct share_device device;
};

/* Where a path leads. */
struct where {
	bool has_device, has_share; /* or has_cloud: instead of both */
	bool has_cloud;
	struct share_device device;
	char share[SHARE_NAME_MAX + 1]; /* or the storage's name */
	const char *rest;
};

static const struct vfs_ops tree_ops;

static struct folder *folder_of(struct vfs_obj *o)
{
	return (struct folder *)o;
}

/* ---- life ---- */

static void net_unref(struct net *n)
{
	if (atomic_fetch_sub(&n->refs, 1) != 1)
		return;
	for (struct distant *f = n->distants, *next; f; f = next) {
		next = f->next;
		vfs_unref(f->anchor);
		free(f);
	}
	shares_unref(n->shares);
	clouds_unref(n->clouds);
	free(n->devices);
	free(n);
}

static void tree_close(struct vfs_obj *o)
{
	net_unref(folder_of(o)->net);
	free(o);
}

static enum ferr folder_new(struct net *n, const struct share_device *d, struct vfs_obj **out)
{
	struct folder *f = calloc(1, sizeof *f);
	if (!f)
		return FE_NOMEM;
	vfs_obj_init(&f->base, &tree_ops, VFS_TYPE_DIR);
	atomic_fetch_add(&n->refs, 1);
	f->net = n;
	f->is_device = d != NULL;
	if (d)
		f->device = *d;
	*out = &f->base;
	return FE_OK;
}

bool net_files_is(const struct vfs_mount_config *c)
{
	return !strcmp(c->host, NET_HOST_PATH) || !strcmp(c->host, NET_NOTHING_PATH);
}

enum err net_files_new(struct node *node, const struct vfs_mount_config *c, struct vfs_obj **root)
{
	struct net *n = calloc(1, sizeof *n);
	if (!n)
		return ERR_NOMEM;
	atomic_init(&n->refs, 1);
	n->shares = shares_ref(node->shares);
	n->clouds = clouds_ref(node->clouds);
	n->empty = strcmp(c->host, NET_HOST_PATH) != 0;
	enum ferr e = folder_new(n, NULL, root);
	net_unref(n);
	return e == FE_OK ? ERR_OK : ERR_NOMEM;
}

/* ---- devices ---- */

static enum ferr fe_of(enum err e)
{
	switch (e) {
	case ERR_OK: return FE_OK;
	case ERR_CLOSED:
	case ERR_TIMEOUT: return FE_HOSTDOWN; /* to be reached again, perhaps */
	case ERR_NOMEM: return FE_NOMEM;
	case ERR_DENIED: return FE_ACCES;
	case ERR_UNSUPPORTED: return FE_NOTSUP; /* an older node, which shares nothing */
	default: return FE_IO;
	}
}

static enum ferr refresh(struct net *n)
{
	struct share_device *list;
	uint32_t count;
	if (n->empty)
		return FE_OK;
	FTRY(fe_of(shares_devices(n->shares, &list, &count)));
	free(n->devices);
	n->devices = list;
	n->count = count;
	n->listed_ns = os_monotonic_ns();
	return FE_OK;
}

/* The whole id, which no name can be: it is longer. */
static void put_hex(const uint8_t *id, char out[HEX_SIZE + 1])
{
	for (size_t i = 0; i < DEVICE_ID_SIZE; i++)
		snprintf(out + 2 * i, 3, "%02x", id[i]);
}

static bool is_called(const struct share_device *d, const char *name, size_t size)
{
	char hex[HEX_SIZE + 1];
	if (size != HEX_SIZE)
		return strlen(d->name) == size && !memcmp(d->name, name, size);
	put_hex(d->id, hex);
	return !memcmp(hex, name, size);
}

/* By its name as it is now (a second ago at most), or by its id. */
static enum ferr find_device(struct net *n, const char *name, size_t size, struct share_device *out)
{
	enum { LISTED_NS = 1000000000 };
	bool is_old = size != HEX_SIZE && os_monotonic_ns() - n->listed_ns > LISTED_NS;
	for (int tries = is_old; tries < 2; tries++) {
		if (is_old || tries)
			FTRY(refresh(n));
		for (uint32_t i = 0; i < n->count; i++)
			if (is_called(&n->devices[i], name, size)) {
				*out = n->devices[i];
				return FE_OK;
			}
	}
	return FE_NOENT;
}

/* ---- a device's files ---- */

/* What has an answer of its own is told as the device would tell it. */
static enum err ask(void *ctx, const uint8_t *request, size_t size, bool may_repeat,
                    struct wr *answer)
{
	struct asking *a = ctx;
	enum err e = shares_request(a->shares, a->device, a->session, request, size, answer);
	if (e == ERR_OK)
		return e;
	wr_clear(answer);
	wr_u16(answer, (uint16_t)fe_of(e));
	return wr_ok(answer) ? ERR_OK : ERR_NOMEM;
}

/* Another device's answer, or that it is away. */
static enum err post(void *ctx, const uint8_t *request, size_t size, vfs_remote_done done,
                     void *arg)
{
	struct asking *a = ctx;
	return shares_post(a->shares, a->device, a->session, request, size, done, arg);
}

static void keep(void *ctx, uint32_t mount_id, const struct wr *name, const struct wr *bytes,
                 bool lasting)
{
	struct asking *a = ctx;
	uint8_t key[NET_CACHE_KEY];
	net_cache_key(key, a->device, mount_id, name->data, name->size);
	net_cache_put(shares_cache(a->shares), key, bytes->data, bytes->size, lasting);
}

static bool kept(void *ctx, uint32_t mount_id, const struct wr *name, struct wr *bytes,
                 uint64_t *seen_ms)
{
	struct asking *a = ctx;
	uint8_t key[NET_CACHE_KEY];
	net_cache_key(key, a->device, mount_id, name->data, name->size);
	return net_cache_get(shares_cache(a->shares), key, bytes, seen_ms);
}

static void end_asking(void *ctx, bool forget)
{
	struct asking *a = ctx;
	if (forget)
		shares_forget(a->shares, a->device, a->session);
	shares_unref(a->shares);
	for (struct seen_share *s = a->seen, *next; s; s = next) {
		next = s->next;
		free(s);
	}
	free(a);
}

static bool has_seen(const struct asking *a, const char *name)
{
	const struct seen_share *s = a->seen;
	while (s && strcmp(s->name, name) != 0)
		s = s->next;
	return s;
}

static enum ferr see(struct asking *a, const char *name)
{
	if (has_seen(a, name))
		return FE_OK;
	struct seen_share *s = calloc(1, sizeof *s);
	if (!s)
		return FE_NOMEM;
	snprintf(s->name, sizeof s->name, "%s", name);
	s->next = a->seen;
	a->seen = s;
	return FE_OK;
}

/* Of the larger mount that the remote's are part of. */
static enum ferr place(void *ctx, uint32_t mount_id, char *buf, size_t size)
{
	struct asking *a = ctx;
	char hex[HEX_SIZE + 1];
	const struct seen_share *s = a->seen;
	while (s && share_number(s->name) != mount_id)
		s = s->next;
	put_hex(a->device, hex);
	int n = s ? snprintf(buf, size, "%s/%s", hex, s->name) : 0;
	return !s ? FE_NOENT : n < (int)size ? FE_OK : FE_NAMETOOLONG;
}

static enum ferr new_remote(struct net *n, const uint8_t *device, struct vfs_remote **out,
                            struct asking **asking)
{
	struct asking *a = calloc(1, sizeof *a);
	struct vfs_remote_config rc = {.call = ask, .end = end_asking, .place = place, .ctx = a};
	if (!a)
		return FE_NOMEM;
	memcpy(a->device, device, sizeof a->device);
	if (!shares_is_own(n->shares, device)) {
		rc.post = post;
		rc.keep = keep;
		rc.kept = kept;
	}
	crypto_random(&a->session, sizeof a->session);
	a->shares = n->shares;
	enum ferr e = vfs_remote_new(&rc, out);
	if (e == FE_OK)
		shares_ref(n->shares);
	else
		free(a);
	*asking = a;
	return e;
}

static enum ferr new_distant(struct net *n, const uint8_t *device, struct distant **out)
{
	struct distant *f = calloc(1, sizeof *f);
	enum ferr e = f ? new_remote(n, device, &f->r, &f->asking) : FE_NOMEM;
	if (e == FE_OK) {
		f->anchor = vfs_remote_mount(f->r, 0);
		vfs_remote_unref(f->r);
		e = f->anchor ? FE_OK : FE_NOMEM;
	}
	if (e != FE_OK) {
		free(f);
		return e;
	}
	memcpy(f->id, device, sizeof f->id);
	f->next = n->distants;
	n->distants = f;
	*out = f;
	return FE_OK;
}

/* A reference to the root of a share. */
static enum ferr open_share(struct net *n, const struct where *w, struct vfs_obj **out)
{
	struct distant *f = n->distants;
	while (f && memcmp(f->id, w->device.id, sizeof f->id) != 0)
		f = f->next;
	if (!f)
		FTRY(new_distant(n, w->device.id, &f));
	FTRY(see(f->asking, w->share));
	*out = vfs_remote_mount(f->r, share_number(w->share));
	return *out ? FE_OK : FE_NOMEM;
}

/* ---- paths ---- */

/* The next name of *path, which is moved behind it; 0 at the end. ".." is for who walks by names. */
static enum ferr next_name(const char **path, const char **name, size_t *size)
{
	do {
		*path += strspn(*path, "/");
		*name = *path;
		*size = strcspn(*path, "/");
		*path += *size;
	} while (*size == 1 && **name == '.');
	return *size == 2 && !memcmp(*name, "..", 2) ? FE_NOTCAPABLE : FE_OK;
}

/* Whether name is a storage: a device that was called so later is not seen. */
static bool is_cloud(struct net *n, const char *name, size_t size, struct where *w)
{
	struct vfs_obj *root = NULL;
	if (!n->empty && size && size <= SHARE_NAME_MAX)
		root = clouds_root(n->clouds, name, size);
	if (!root)
		return false;
	vfs_unref(root);
	memcpy(w->share, name, size);
	w->has_cloud = true;
	return true;
}

static enum ferr find(struct folder *f, const char *path, struct where *w)
{
	const char *name;
	size_t size;
	*w = (struct where){.has_device = f->is_device, .device = f->device};
	FTRY(next_name(&path, &name, &size));
	if (!w->has_device && is_cloud(f->net, name, size, w)) {
		path += strspn(path, "/");
		w->rest = *path ? path : ".";
		return FE_OK;
	}
	if (!w->has_device && size) {
		FTRY(find_device(f->net, name, size, &w->device));
		w->has_device = true;
		FTRY(next_name(&path, &name, &size));
	}
	if (!size)
		return FE_OK;
	if (size > SHARE_NAME_MAX)
		return FE_NOENT;
	memcpy(w->share, name, size);
	w->has_share = true;
	path += strspn(path, "/");
	w->rest = *path ? path : ".";
	return share_name_is_fit(w->share) ? FE_OK : FE_NOENT;
}

/* In a share or a storage, or one of them itself. */
static bool is_below(const struct where *w)
{
	return w->has_share || w->has_cloud;
}

static enum ferr open_below(struct net *n, const struct where *w, struct vfs_obj **out)
{
	if (!w->has_cloud)
		return open_share(n, w, out);
	*out = clouds_root(n->clouds, w->share, strlen(w->share));
	return *out ? FE_OK : FE_NOENT;
}

/* The share that a name is to be changed or read in, and the path in it. */
static enum ferr go(struct vfs_obj *dir, const char *path, struct vfs_obj **root, const char **rest)
{
	struct where w;
	FTRY(find(folder_of(dir), path, &w));
	if (!is_below(&w))
		return FE_PERM;
	*rest = w.rest;
	return open_below(folder_of(dir)->net, &w, root);
}

/* A number that the device does not know for a share: there is none of that name. */
static enum ferr told(enum ferr e)
{
	return e == FE_STALE ? FE_NOENT : e;
}

/* Does `call` with `root` and `rest` in the share that path leads to. */
#define IN_SHARE(dir, path, call)                   \
	do {                                        \
		struct vfs_obj *root;               \
		const char *rest;                   \
		FTRY(go(dir, path, &root, &rest));  \
		enum ferr in_share_error_ = (call); \
		vfs_unref(root);                    \
		return told(in_share_error_);       \
	} while (0)

/* ---- the folders themselves ---- */

static void tree_identity(struct vfs_obj *o, uint64_t *dev, uint64_t *ino)
{
	const struct folder *f = folder_of(o);
	*dev = 0;
	*ino = 1;
	if (f->is_device)
		memcpy(ino, f->device.id, sizeof *ino);
}

static enum ferr tree_path_of(struct vfs_obj *o, struct vfs_obj *root, char *buf, size_t size)
{
	char hex[HEX_SIZE + 1] = ".";
	if (folder_of(o)->is_device)
		put_hex(folder_of(o)->device.id, hex);
	return snprintf(buf, size, "%s", hex) < (int)size ? FE_OK : FE_NAMETOOLONG;
}

/* The device's folder by its id, or as people call it. */
static enum ferr tree_path_form(struct vfs_obj *root, const char *path, bool stays, char *buf)
{
	struct net *n = folder_of(root)->net;
	const char *name;
	size_t size;
	struct share_device d;
	char hex[HEX_SIZE + 1];
	FTRY(next_name(&path, &name, &size));
	if (!size)
		return FE_NOENT;
	if (!stays)
		FTRY(refresh(n));
	FTRY(find_device(n, name, size, &d));
	put_hex(d.id, hex);
	return snprintf(buf, VFS_PATH_MAX, "%s%s", stays ? hex : d.name, path) < VFS_PATH_MAX
	           ? FE_OK
	           : FE_NAMETOOLONG;
}

static enum ferr tree_stat(struct vfs_obj *o, struct vfs_stat *out)
{
	*out = (struct vfs_stat){.nlink = 2, .type = VFS_TYPE_DIR, .has_mode = true, .mode = 0555};
	tree_identity(o, &out->dev, &out->ino);
	return FE_OK;
}

struct listing {
	uint64_t cookie, at;
	vfs_dirent_fn emit;
	void *ctx;
	bool full;
};

static void list_name(struct listing *l, const char *name, uint64_t ino)
{
	struct vfs_dirent e = {.next = ++l->at,
	                       .ino = ino,
	                       .type = VFS_TYPE_DIR,
	                       .name = name,
	                       .name_size = strlen(name)};
	if (l->at > l->cookie && !l->full)
		l->full = !l->emit(l->ctx, &e);
}

static enum ferr list_shares(struct folder *f, struct listing *l)
{
	struct share_name *list;
	uint32_t count;
	FTRY(fe_of(shares_of(f->net->shares, f->device.id, &list, &count)));
	for (uint32_t i = 0; i < count; i++)
		list_name(l, list[i].name, share_number(list[i].name));
	free(list);
	return FE_OK;
}

static bool is_listed(const struct net *n, const char *name)
{
	for (uint32_t i = 0; i < n->count; i++)
		if (!strcmp(n->devices[i].name, name))
			return true;
	return false;
}

static void list_clouds(struct net *n, struct listing *l)
{
	struct cloud_name names[CLOUDS_MAX];
	uint32_t count = n->empty ? 0 : clouds_names(n->clouds, names);
	for (uint32_t i = 0; i < count; i++)
		if (!is_listed(n, names[i].name))
			list_name(l, names[i].name, share_number(names[i].name));
}

static enum ferr list_devices(struct net *n, struct listing *l)
{
	uint64_t ino;
	FTRY(refresh(n));
	for (uint32_t i = 0; i < n->count; i++) {
		memcpy(&ino, n->devices[i].id, sizeof ino);
		list_name(l, n->devices[i].name, ino);
	}
	list_clouds(n, l);
	return FE_OK;
}

static enum ferr tree_readdir(struct vfs_obj *o, uint64_t cookie, vfs_dirent_fn emit, void *ctx)
{
	struct folder *f = folder_of(o);
	struct listing l = {.cookie = cookie, .emit = emit, .ctx = ctx};
	list_name(&l, ".", 1);
	list_name(&l, "..", 1);
	return f->is_device ? list_shares(f, &l) : list_devices(f->net, &l);
}

/* ---- by name ---- */

static enum ferr open_folder(struct net *n, const struct where *w, unsigned flags,
                             struct vfs_obj **out)
{
	if (flags & (VFS_WRITE | VFS_TRUNCATE))
		return FE_ISDIR;
	if (flags & VFS_CREATE && flags & VFS_EXCLUSIVE)
		return FE_EXIST;
	return folder_new(n, w->has_device ? &w->device : NULL, out);
}

static enum ferr tree_open(struct vfs_obj *dir, const char *path, unsigned flags,
                           struct vfs_obj **out)
{
	struct where w;
	FTRY(find(folder_of(dir), path, &w));
	if (!is_below(&w))
		return open_folder(folder_of(dir)->net, &w, flags, out);
	IN_SHARE(dir, path, vfs_open(root, rest, flags, out));
}

static enum ferr tree_stat_at(struct vfs_obj *dir, const char *path, bool follow,
                              struct vfs_stat *out)
{
	struct where w;
	struct vfs_obj *o;
	FTRY(find(folder_of(dir), path, &w));
	if (is_below(&w))
		IN_SHARE(dir, path, vfs_stat_at(root, rest, follow, out));
	FTRY(open_folder(folder_of(dir)->net, &w, VFS_READ, &o));
	enum ferr e = tree_stat(o, out);
	vfs_unref(o);
	return e;
}

static enum ferr tree_set_times_at(struct vfs_obj *dir, const char *path, bool follow,
                                   const struct vfs_times *t)
{
	IN_SHARE(dir, path, vfs_set_times_at(root, rest, follow, t));
}

static enum ferr tree_set_mode_at(struct vfs_obj *dir, const char *path, bool follow, unsigned mode)
{
	IN_SHARE(dir, path, vfs_set_mode_at(root, rest, follow, mode));
}

static enum ferr tree_mkdir(struct vfs_obj *dir, const char *path)
{
	IN_SHARE(dir, path, vfs_mkdir(root, rest));
}

static enum ferr tree_mkfifo(struct vfs_obj *dir, const char *path)
{
	IN_SHARE(dir, path, vfs_mkfifo(root, rest));
}

static enum ferr tree_rmdir(struct vfs_obj *dir, const char *path)
{
	IN_SHARE(dir, path, vfs_rmdir(root, rest));
}

static enum ferr tree_unlink(struct vfs_obj *dir, const char *path)
{
	IN_SHARE(dir, path, vfs_unlink(root, rest));
}

static enum ferr tree_symlink(struct vfs_obj *dir, const char *target, const char *path)
{
	IN_SHARE(dir, path, vfs_symlink(root, target, rest));
}

/* The folders here are no links: INVAL, as POSIX has it. */
static enum ferr tree_readlink(struct vfs_obj *dir, const char *path, char *buf, size_t *size)
{
	struct where w;
	FTRY(find(folder_of(dir), path, &w));
	if (!is_below(&w) || !strcmp(w.rest, "."))
		return FE_INVAL;
	IN_SHARE(dir, path, vfs_readlink(root, rest, buf, size));
}

/* XDEV between shares: vfs/remote.c says so. */
static enum ferr tree_link(struct vfs_obj *from, const char *from_path, bool follow,
                           struct vfs_obj *to, const char *to_path)
{
	struct vfs_obj *to_root;
	const char *to_rest;
	FTRY(go(to, to_path, &to_root, &to_rest));
	struct vfs_obj *from_root;
	const char *from_rest;
	enum ferr e = go(from, from_path, &from_root, &from_rest);
	if (e == FE_OK) {
		e = vfs_link(from_root, from_rest, follow, to_root, to_rest);
		vfs_unref(from_root);
	}
	vfs_unref(to_root);
	return told(e);
}

static enum ferr tree_rename(struct vfs_obj *from, const char *from_path, struct vfs_obj *to,
                             const char *to_path)
{
	struct vfs_obj *from_root, *to_root;
	const char *from_rest, *to_rest;
	FTRY(go(from, from_path, &from_root, &from_rest));
	enum ferr e = go(to, to_path, &to_root, &to_rest);
	if (e == FE_OK) {
		e = vfs_rename(from_root, from_rest, to_root, to_rest);
		vfs_unref(to_root);
	}
	vfs_unref(from_root);
	return told(e);
}

/* Another device may have given its handles to others since: a number that none has is asked for, so that the file is opened again by path
 * and file id. Makes no request but for the names of devices. */
static enum ferr tree_reopen(struct vfs_obj *dir, const struct vfs_saved *s, struct vfs_obj **out)
{
	struct where w;
	struct vfs_obj *root;
	struct vfs_saved below = *s;
	if (find(folder_of(dir), s->path, &w) != FE_OK)
		return FE_STALE;
	if (!is_below(&w))
		return open_folder(folder_of(dir)->net, &w, VFS_READ, out);
	FTRY(open_below(folder_of(dir)->net, &w, &root));
	below.handle = 1;
	below.path = w.rest;
	enum ferr e = vfs_reopen(root, &below, out);
	vfs_unref(root);
	return e;
}

static const struct vfs_ops tree_ops = {
    .name = "net",
    .close = tree_close,
    .stat = tree_stat,
    .readdir = tree_readdir,
    .open = tree_open,
    .stat_at = tree_stat_at,
    .set_times_at = tree_set_times_at,
    .set_mode_at = tree_set_mode_at,
    .mkdir = tree_mkdir,
    .mkfifo = tree_mkfifo,
    .rmdir = tree_rmdir,
    .unlink = tree_unlink,
    .symlink = tree_symlink,
    .readlink = tree_readlink,
    .link = tree_link,
    .rename = tree_rename,
    .reopen = tree_reopen,
    .identity = tree_identity,
    .path_of = tree_path_of,
    .path_form = tree_path_form,
};
