/* folders.c - which replicated folders this device has, as a part of the node, as mounts, and as its person asks for them. */
#include "node/folders/folders.h"

#include "base/crypto.h"
#include "base/os.h"
#include "folder/view.h"
#include "node/control/control.h"
#include "node/disk.h"
#include "node/folders/talk.h"
#include "node/home.h"
#include "node/links/shares.h"
#include "node/node.h"
#include "vfs/host.h"
#include "vfs/mount.h"

#include <stdlib.h>
#include <string.h>

static const char key_prefix[] = "folder/";
enum {
	KEY_PREFIX = sizeof key_prefix - 1,
	KEEP_MS = 30 * 24 * 3600 * 1000ll, /* what was replaced is kept so long */
	KEEP_VERSIONS = 8,                 /* and so many of each file for longer */
	MARK_SIZE = 48,
};

/* ---- the list ---- */

static struct replica *find(struct folders *s, const char *name)
{
	struct replica *r = s->list;
	while (r && strcmp(r->name, name) != 0)
		r = r->next;
	return r;
}

static void on_changed(void *ctx)
{
	struct folders *s = ctx;
	uv_async_send(&s->async);
}

static void add(struct folders *s, struct replica *r)
{
	r->changed = on_changed;
	r->ctx = s;
	uv_mutex_lock(&s->lock);
	r->next = s->list;
	s->list = r;
	s->count++;
	uv_mutex_unlock(&s->lock);
}

static void take_out(struct folders *s, struct replica *r)
{
	uv_mutex_lock(&s->lock);
	struct replica **at = &s->list;
	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	s->count--;
	uv_mutex_unlock(&s->lock);
}

static enum err keep(struct node *n, const struct replica *r, bool remove, struct errmsg *msg)
{
	char key[KEY_PREFIX + REPLICA_NAME_MAX + 1];
	snprintf(key, sizeof key, "%s%s", key_prefix, r->name);
	return depot_keep_setting(node_depot(n), key, r->id.bytes, remove ? 0 : ENTRY_ID_SIZE, msg);
}

/* ---- chunks that stay ---- */

struct marking {
	depot_mark_fn mark;
	void *gc;
};

static void mark_chunk(void *ctx, const struct chunk_addr *addr)
{
	struct marking *m = ctx;
	m->mark(m->gc, addr);
}

static enum err mark_chunks(void *ctx, depot_mark_fn mark, void *gc, struct errmsg *msg)
{
	struct folders *s = ctx;
	struct marking m = {mark, gc};
	enum err e = ERR_OK;
	uv_mutex_lock(&s->lock);
	for (struct replica *r = s->list; e == ERR_OK && r; r = r->next) {
		replica_lock(r);
		e = replica_each_chunk(r, mark_chunk, &m);
		replica_unlock(r);
	}
	uv_mutex_unlock(&s->lock);
	return e == ERR_OK ? e : err_set(msg, e, "the chunks of folders: %s", err_text(e));
}

/* ---- the part ---- */

struct reading {
	struct folders *s;
	struct errmsg *msg;
};

static void forget_old(struct replica *r)
{
	struct depot_batch *b;
	uint64_t now = replica_now_ms();
	if (replica_begin(r, &b) == ERR_OK)
		replica_end(r, b,
		            folder_forget(r->f, now > KEEP_MS ? now - KEEP_MS : 0, KEEP_VERSIONS),
		            NULL);
}

/* A folder that cannot be read is left alone: the others, and the node, go on. */
static bool read_folder(void *ctx, const uint8_t *key, size_t key_size, const uint8_t *value,
                        size_t size)
{
	struct reading *g = ctx;
	struct folders *s = g->s;
	struct replica *r;
	struct entry_id id;
	struct errmsg msg = {0};
	if (key_size <= KEY_PREFIX || memcmp(key, key_prefix, KEY_PREFIX) != 0 ||
	    size != sizeof id.bytes || key[key_size - 1])
		return true;
	memcpy(id.bytes, value, sizeof id.bytes);
	const char *name = (const char *)key + KEY_PREFIX;
	if (replica_open(node_depot(s->node), name, &id, s->desk, &r, &msg) != ERR_OK) {
		node_log(s->node, LOG_ERROR, "folders", "%s", msg.text);
		return true;
	}
	forget_old(r);
	add(s, r);
	return true;
}

struct sweeping {
	struct vfs_obj *desk;
};

static bool sweep(void *ctx, const struct vfs_dirent *e)
{
	struct sweeping *w = ctx;
	char name[VFS_NAME_MAX + 1];
	snprintf(name, sizeof name, "%.*s", (int)e->name_size, e->name);
	if (name[0] == 'w')
		vfs_unlink(w->desk, name);
	return true;
}

static enum err open_desk(struct folders *s, struct errmsg *msg)
{
	char path[VFS_PATH_MAX];
	struct dir *made;
	snprintf(path, sizeof path, "%s/user/desk", s->node->cfg.home);
	TRY(dir_open(path, 0, &made, msg));
	dir_close(made);
	TRY(vfs_host_new(path, VFS_WALK_BEST, &s->desk, msg));
	struct sweeping w = {s->desk};
	vfs_readdir(s->desk, 0, sweep, &w);
	return ERR_OK;
}

enum err folders_open(struct node *n, struct errmsg *msg)
{
	struct folders *s = calloc(1, sizeof *s);
	if (!s || uv_mutex_init(&s->lock) != 0) {
		free(s);
		return err_set(msg, ERR_NOMEM, "folders: out of memory");
	}
	s->node = n;
	enum err e = open_desk(s, msg);
	if (e != ERR_OK) {
		uv_mutex_destroy(&s->lock);
		free(s);
		return e;
	}
	struct reading g = {s, msg};
	e = talk_open(s);
	if (e == ERR_OK)
		e = depot_each(node_depot(n), DEPOT_SETTINGS, read_folder, &g);
	n->folders = s;
	if (e == ERR_OK)
		depot_keeper(node_depot(n), "folders", mark_chunks, s);
	else
		folders_close(n);
	return e;
}

void folders_close(struct node *n)
{
	struct folders *s = n->folders;
	n->folders = NULL;
	s->closed = true;
	while (s->list) {
		struct replica *r = s->list;
		talk_end(s, r);
		replica_lock(r);
		replica_close(r, false, NULL);
		r->changed = NULL;
		replica_unlock(r);
		take_out(s, r);
		replica_unref(r);
	}
	talk_close(s);
}

/* ---- mounts ---- */

bool folders_is_mount(const struct vfs_mount_config *c)
{
	return c->host && !strncmp(c->host, FOLDERS_HOST_PREFIX, strlen(FOLDERS_HOST_PREFIX));
}

enum err folders_mount(struct node *n, const struct vfs_mount_config *c, struct vfs_obj **root,
                       struct errmsg *msg)
{
	struct folders *s = n->folders;
	const char *name = c->host + strlen(FOLDERS_HOST_PREFIX);
	uv_mutex_lock(&s->lock);
	struct replica *r = find(s, name);
	enum ferr e = r ? replica_root(r, root) : FE_NOENT;
	uv_mutex_unlock(&s->lock);
	if (e == FE_OK)
		return ERR_OK;
	return err_set(
	    msg, ERR_NOTFOUND,
	    "this device has no folder \"%s\": `wasmos folder list` shows those there are", name);
}

enum err folders_open_mount(struct node *n, const struct vfs_mount_config *c, bool is_copy,
                            struct vfs_obj **root, struct errmsg *msg)
{
	if (is_copy)
		return err_set(msg, ERR_UNSUPPORTED,
		               "folder %s: a copy made from a snapshot is given no folders",
		               c->guest);
	return folders_mount(n, c, root, msg);
}

void folders_each_root(struct node *n,
                       enum err (*fn)(void *ctx, const char *name, const char *host,
                                      struct vfs_obj *root),
                       void *ctx)
{
	struct folders *s = n->folders;
	uv_mutex_lock(&s->lock);
	for (struct replica *r = s->list; r; r = r->next) {
		char name[REPLICA_NAME_MAX + 2], host[REPLICA_NAME_MAX + 16];
		struct vfs_obj *root;
		snprintf(name, sizeof name, "/%s", r->name);
		snprintf(host, sizeof host, FOLDERS_HOST_PREFIX "%s", r->name);
		if (replica_root(r, &root) == FE_OK)
			fn(ctx, name, host, root);
	}
	uv_mutex_unlock(&s->lock);
}

/* ---- requests ---- */

static uint32_t shown_entries(struct replica *r)
{
	struct view_row row;
	uint32_t count = 0;
	for (uint32_t i = 0; i < folder_count(r->f); i++)
		count += view_get(r->f, &folder_at(r->f, i)->id, &row) == ERR_OK;
	return count;
}

static void put_numbers(struct control_call *c, struct folders *s, struct replica *r)
{
	struct conflict *list = NULL;
	uint32_t conflicts = 0;
	char devices[24];
	replica_lock(r);
	if (view_conflicts(r->f, &list, &conflicts) == ERR_OK)
		conflicts_free(list);
	snprintf(devices, sizeof devices, "%u", (unsigned)talk_count(s, r));
	control_put_u64(c, "entries", shown_entries(r));
	control_put_u64(c, "missing", r->missing);
	control_put_u64(c, "conflicts", conflicts);
	control_put_str(c, "devices", devices);
	replica_unlock(r);
}

static void put_row(struct control_call *c, struct folders *s, struct replica *r)
{
	control_row(c);
	control_put_str(c, "name", r->name);
	control_put_str(c, "state", "here");
	put_numbers(c, s, r);
	control_row_end(c);
}

static void put_offer(struct control_call *c, struct folders *s, const struct offer *o)
{
	const char *device = peer_called(s->node, o->device);
	for (struct replica *r = s->list; r; r = r->next)
		if (entry_id_equal(&r->id, &o->id))
			return;
	control_row(c);
	control_put_str(c, "name", o->name);
	control_put_str(c, "state", "offered");
	control_put_u64(c, "entries", 0);
	control_put_u64(c, "missing", 0);
	control_put_u64(c, "conflicts", 0);
	control_put_str(c, "devices", device ? device : "");
	control_row_end(c);
}

void control_folder_list(struct node *n, struct control_call *c)
{
	struct folders *s = n->folders;
	for (struct replica *r = s->list; r; r = r->next)
		put_row(c, s, r);
	for (struct offer *o = s->offers; o; o = o->next)
		put_offer(c, s, o);
	control_end(c, ERR_OK, NULL);
}

static enum err check_name(struct folders *s, const char *name, struct errmsg *msg)
{
	if (!share_name_is_fit(name))
		return err_set(msg, ERR_USAGE,
		               "\"%s\" cannot be the name of a folder: up to %d letters, digits, "
		               "\".\", \"-\" and \"_\"",
		               name, REPLICA_NAME_MAX);
	if (find(s, name))
		return err_set(msg, ERR_EXISTS, "this device has a folder \"%s\" already", name);
	if (s->count == FOLDERS_MAX)
		return err_set(msg, ERR_LIMIT, "at most %d folders can be on a device",
		               FOLDERS_MAX);
	return ERR_OK;
}

static struct offer *find_offer(struct folders *s, const char *name)
{
	struct offer *o = s->offers;
	while (o && strcmp(o->name, name) != 0)
		o = o->next;
	return o;
}

static enum err make(struct folders *s, const char *name, const struct entry_id *id,
                     struct replica **out, struct errmsg *msg)
{
	struct node *n = s->node;
	TRY(replica_make(node_depot(n), name, id, n->device_id, s->desk, out, msg));
	enum err e = keep(n, *out, false, msg);
	if (e == ERR_OK) {
		add(s, *out);
		talk_begin(s, *out);
	} else {
		replica_unref(*out);
	}
	return e;
}

static void begin(struct node *n, struct control_call *c, bool join)
{
	struct folders *s = n->folders;
	struct errmsg msg = {0};
	struct replica *r = NULL;
	struct entry_id id;
	const char *name = control_str_or(c, "name", "");
	const struct offer *o = find_offer(s, name);
	enum err e = check_name(s, name, &msg);
	crypto_random(id.bytes, sizeof id.bytes);
	if (e == ERR_OK && join && !o)
		e = err_set(&msg, ERR_NOTFOUND,
		            "no linked device has a folder \"%s\": `wasmos folder list`", name);
	if (e == ERR_OK && !join && o)
		e = err_set(&msg, ERR_EXISTS,
		            "%s has a folder \"%s\": `wasmos folder join %s` takes part in it",
		            peer_called(n, o->device) ? peer_called(n, o->device)
		                                      : "another device",
		            name, name);
	if (e == ERR_OK)
		e = make(s, name, join ? &o->id : &id, &r, &msg);
	if (e == ERR_OK)
		put_row(c, s, r);
	control_end(c, e, &msg);
}

void control_folder_add(struct node *n, struct control_call *c)
{
	begin(n, c, false);
}

void control_folder_join(struct node *n, struct control_call *c)
{
	begin(n, c, true);
}

void control_folder_leave(struct node *n, struct control_call *c)
{
	struct folders *s = n->folders;
	struct errmsg msg = {0};
	struct replica *r = find(s, control_str_or(c, "name", ""));
	if (!r) {
		control_fail(c, ERR_NOTFOUND, "this device has no folder \"%s\"",
		             control_str_or(c, "name", ""));
		return;
	}
	enum err e = keep(n, r, true, &msg);
	if (e == ERR_OK) {
		put_row(c, s, r);
		talk_end(s, r);
		take_out(s, r);
		replica_lock(r);
		e = replica_close(r, true, &msg);
		r->closed = true;
		replica_unlock(r);
		replica_unref(r);
	}
	control_end(c, e, &msg);
}

/* ---- conflicts ---- */

static const char *kind_text(enum conflict_kind kind)
{
	static const char *const texts[CONFLICT_KINDS] = {
	    [CONFLICT_EDIT] = "edit",     [CONFLICT_NAME] = "name",
	    [CONFLICT_ORPHAN] = "orphan", [CONFLICT_REVIVED] = "deleted",
	    [CONFLICT_MOVED] = "moved",   [CONFLICT_CIRCLE] = "circle",
	};
	return texts[kind];
}

static void mark_of(const struct conflict *k, char out[MARK_SIZE])
{
	snprintf(out, MARK_SIZE, "%s-%06llx-%llx", kind_text(k->kind),
	         (unsigned long long)(k->dot.writer >> 40), (unsigned long long)k->dot.seq);
}

static const char *device_of(struct node *n, struct replica *r, uint64_t writer)
{
	for (unsigned i = 0; i < folder_members(r->f); i++) {
		const struct folder_member *m = folder_member(r->f, i);
		if (m->writer != writer)
			continue;
		if (!memcmp(m->device, n->device_id, sizeof m->device))
			return n->name;
		const char *name = peer_called(n, m->device);
		return name ? name : "?";
	}
	return "?";
}

static void put_conflict(struct node *n, struct control_call *c, struct replica *r,
                         const struct conflict *k)
{
	char mark[MARK_SIZE], name[ENTRY_NAME_MAX + 1], when[32];
	mark_of(k, mark);
	snprintf(name, sizeof name, "%.*s", (int)k->name_size, k->name);
	snprintf(when, sizeof when, "%llu s",
	         (unsigned long long)(replica_now_ms() > k->stamp_ms
	                                  ? (replica_now_ms() - k->stamp_ms) / 1000
	                                  : 0));
	control_row(c);
	control_put_str(c, "folder", r->name);
	control_put_str(c, "mark", mark);
	control_put_str(c, "kind", kind_text(k->kind));
	control_put_str(c, "name", name);
	control_put_str(c, "device", device_of(n, r, k->dot.writer));
	control_put_u64(c, "since_unix_ms", k->stamp_ms);
	control_put_u64(c, "size", k->content ? k->content->size : 0);
	control_put_str(c, "age", when);
	control_row_end(c);
}

void control_conflicts(struct node *n, struct control_call *c)
{
	const char *name = control_str_or(c, "name", NULL);
	for (struct replica *r = n->folders->list; r; r = r->next) {
		struct conflict *list = NULL;
		uint32_t count = 0;
		if (name && strcmp(name, r->name) != 0)
			continue;
		replica_lock(r);
		if (view_conflicts(r->f, &list, &count) == ERR_OK)
			for (uint32_t i = 0; i < count; i++)
				put_conflict(n, c, r, &list[i]);
		conflicts_free(list);
		replica_unlock(r);
	}
	control_end(c, ERR_OK, NULL);
}

static enum err settle(struct node *n, struct control_call *c, struct replica *r,
                       const char *wanted, struct errmsg *msg)
{
	struct conflict *list;
	struct depot_batch *b;
	uint32_t count;
	char mark[MARK_SIZE];
	enum err e = ERR_NOTFOUND;
	TRY(view_conflicts(r->f, &list, &count));
	for (uint32_t i = 0; i < count && e == ERR_NOTFOUND; i++) {
		mark_of(&list[i], mark);
		if (strcmp(mark, wanted) != 0)
			continue;
		put_conflict(n, c, r, &list[i]);
		e = replica_begin(r, &b);
		if (e != ERR_OK)
			break;
		e = view_settle(r->f, &list[i], control_flag(c, "drop") ? SETTLE_DROP : SETTLE_TAKE,
		                replica_now_ms(), msg);
		e = replica_end(r, b, e, msg);
		break;
	}
	conflicts_free(list);
	return e;
}

void control_conflict_settle(struct node *n, struct control_call *c)
{
	struct errmsg msg = {0};
	struct replica *r = find(n->folders, control_str_or(c, "folder", ""));
	const char *mark = control_str_or(c, "mark", "");
	if (!r) {
		control_fail(c, ERR_NOTFOUND, "this device has no folder \"%s\"",
		             control_str_or(c, "folder", ""));
		return;
	}
	replica_lock(r);
	enum err e = settle(n, c, r, mark, &msg);
	replica_unlock(r);
	if (e == ERR_NOTFOUND)
		e = err_set(&msg, e, "there is no conflict %s in %s (any more)", mark, r->name);
	control_end(c, e, &msg);
}
