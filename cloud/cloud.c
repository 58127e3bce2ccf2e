/* cloud.c - one storage: its life, and what was heard of names a moment ago. */
#include "cloud/cloud.h"

#include "base/crypto.h"
#include "base/file.h"
#include "cloud/cloud_impl.h"
#include "vfs/host.h"

#include <stdlib.h>
#include <string.h>

/* ---- items ---- */

static uint64_t hash_of(const char *text)
{
	uint8_t hash[CRYPTO_HASH_SIZE];
	uint64_t n;
	crypto_blake2b(hash, text, strlen(text));
	memcpy(&n, hash, sizeof n);
	return n;
}

uint64_t cloud_ino(const char *path)
{
	uint64_t n = hash_of(path);
	return n ? n : 1;
}

static struct item_slot *slot_of(struct cloud *c, const char *path)
{
	return &c->items[hash_of(path) % ITEM_SLOTS];
}

void cloud_item_put(struct cloud *c, const char *path, const struct cloud_item *item)
{
	char *copy = strdup(path);
	pthread_mutex_lock(&c->lock);
	struct item_slot *s = slot_of(c, path);
	free(s->path);
	s->path = copy;
	s->item = *item;
	s->until_ns = os_monotonic_ns() + CLOUD_ITEM_MS * UINT64_C(1000000);
	pthread_mutex_unlock(&c->lock);
}

void cloud_item_drop(struct cloud *c, const char *path)
{
	size_t n = strlen(path);
	pthread_mutex_lock(&c->lock);
	for (unsigned i = 0; i < ITEM_SLOTS; i++) {
		struct item_slot *s = &c->items[i];
		if (s->path && !strncmp(s->path, path, n) && (!s->path[n] || s->path[n] == '/')) {
			free(s->path);
			s->path = NULL;
		}
	}
	pthread_mutex_unlock(&c->lock);
}

enum ferr cloud_item_now(struct cloud *c, const char *path, struct cloud_item *out)
{
	struct errmsg msg = {0};
	*out = (struct cloud_item){.is_folder = true};
	if (!*path)
		return FE_OK;
	enum ferr e = c->driver->ops->stat(c->driver, path, out, &msg);
	if (e == FE_OK)
		cloud_item_put(c, path, out);
	else
		cloud_item_drop(c, path);
	if (e != FE_OK && e != FE_NOENT)
		cloud_say(c, path, &msg);
	return e;
}

enum ferr cloud_item(struct cloud *c, const char *path, struct cloud_item *out)
{
	pthread_mutex_lock(&c->lock);
	struct item_slot *s = slot_of(c, path);
	bool known = s->path && !strcmp(s->path, path) && os_monotonic_ns() < s->until_ns;
	if (known)
		*out = s->item;
	pthread_mutex_unlock(&c->lock);
	return known ? FE_OK : cloud_item_now(c, path, out);
}

/* ---- words ---- */

void cloud_say(struct cloud *c, const char *path, const struct errmsg *msg)
{
	struct errmsg text;
	if (!c->tell || !msg->text[0])
		return;
	err_set(&text, ERR_IO, "%s/%.100s: %.200s", c->name, path, msg->text);
	c->tell(c->tell_ctx, text.text);
}

/* ---- life ---- */

static void free_cloud(struct cloud *c)
{
	if (c->items)
		for (unsigned i = 0; i < ITEM_SLOTS; i++)
			free(c->items[i].path);
	cloud_files_free(c);
	vfs_unref(c->cache);
	if (c->driver)
		c->driver->ops->free(c->driver);
	http_free(c->http);
	free(c->cache_path);
	free(c->items);
	pthread_cond_destroy(&c->settled);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

struct cloud *cloud_ref(struct cloud *c)
{
	atomic_fetch_add(&c->refs, 1);
	return c;
}

void cloud_unref(struct cloud *c)
{
	if (c && atomic_fetch_sub(&c->refs, 1) == 1)
		free_cloud(c);
}

void cloud_stop(struct cloud *c)
{
	http_stop(c->http);
}

void cloud_settle(struct cloud *c, uint64_t limit_ms)
{
	uint64_t end = os_monotonic_ns() + limit_ms * UINT64_C(1000000);
	pthread_mutex_lock(&c->lock);
	while (c->closers && os_cond_wait(&c->settled, &c->lock, end))
		;
	pthread_mutex_unlock(&c->lock);
}

static bool is_kept(const char *name)
{
	return !strncmp(name, "kept-", 5);
}

struct names {
	struct vfs_obj *cache;
	char names[64][LOCAL_NAME_MAX];
	unsigned count;
};

static bool note_old(void *ctx, const struct vfs_dirent *e)
{
	struct names *n = ctx;
	if (e->name_size < LOCAL_NAME_MAX && e->name_size > 5 && !memcmp(e->name, "open-", 5)) {
		memcpy(n->names[n->count], e->name, e->name_size);
		n->names[n->count++][e->name_size] = 0;
	}
	return n->count < 64;
}

/* Copies that were open when a node was killed are gone with it, as what a killed machine had not written: some at a time, until there are
 * none. */
static void empty(struct vfs_obj *cache)
{
	struct names n = {.cache = cache};
	do {
		n.count = 0;
		vfs_readdir(cache, 0, note_old, &n);
		for (unsigned i = 0; i < n.count; i++)
			if (vfs_unlink(cache, n.names[i]) != FE_OK)
				return;
	} while (n.count == 64);
}

static enum err open_cache(struct cloud *c, const char *path, struct errmsg *msg)
{
	TRY(dir_make(path, msg));
	TRY(vfs_host_new(path, VFS_WALK_BEST, &c->cache, msg));
	empty(c->cache);
	c->cache_path = strdup(path);
	return c->cache_path ? ERR_OK : ERR_NOMEM;
}

static enum err open_all(struct cloud *c, const struct cloud_config *config, struct errmsg *msg)
{
	bool is_s3 = config->kind == CLOUD_S3;
	/* S3 has signatures of its own instead of a name and a secret that go along. */
	struct http_config http = {.user = is_s3 ? NULL : config->user,
	                           .secret = is_s3 ? NULL : config->secret,
	                           .ca_file = config->ca_file};
	c->items = calloc(ITEM_SLOTS, sizeof *c->items);
	if (!c->items)
		return err_set(msg, ERR_NOMEM, "out of memory");
	TRY(http_new(&http, &c->http, msg));
	TRY((is_s3 ? s3_new : webdav_new)(config, c->http, &c->driver, msg));
	return open_cache(c, config->cache_folder, msg);
}

enum err cloud_new(const struct cloud_config *config, struct cloud **out, struct errmsg *msg)
{
	struct cloud *c = calloc(1, sizeof *c);
	if (!c)
		return err_set(msg, ERR_NOMEM, "out of memory");
	atomic_init(&c->refs, 1);
	pthread_mutex_init(&c->lock, NULL);
	os_cond_init(&c->settled);
	snprintf(c->name, sizeof c->name, "%s", config->name);
	c->tell = config->tell;
	c->tell_ctx = config->tell_ctx;
	enum err e = open_all(c, config, msg);
	if (e != ERR_OK)
		free_cloud(c);
	else
		*out = c;
	return e;
}

struct vfs_obj *cloud_root(struct cloud *c)
{
	return cloud_tree_root(c);
}

/* ---- what a person asks ---- */

static enum err err_of(enum ferr e)
{
	switch (e) {
	case FE_OK: return ERR_OK;
	case FE_NOENT: return ERR_NOTFOUND;
	case FE_ACCES: return ERR_DENIED;
	case FE_HOSTUNREACH: return ERR_CLOSED;
	case FE_TIMEDOUT: return ERR_TIMEOUT;
	case FE_NOMEM: return ERR_NOMEM;
	case FE_NOTDIR: return ERR_INVALID;
	default: return ERR_IO;
	}
}

enum err cloud_check(struct cloud *c, struct errmsg *msg)
{
	struct cloud_item item = {0};
	enum ferr e = c->driver->ops->stat(c->driver, "", &item, msg);
	if (e == FE_NOENT)
		return err_set(msg, ERR_NOTFOUND, "the server has nothing at that address");
	if (e == FE_OK && !item.is_folder)
		return err_set(msg, ERR_INVALID, "what is at that address is no folder");
	return err_of(e);
}

struct kept {
	struct cloud *cloud;
	void (*fn)(void *ctx, const char *path);
	void *ctx;
	uint64_t count;
};

static bool give_kept(void *ctx, const struct vfs_dirent *e)
{
	struct kept *k = ctx;
	char path[VFS_PATH_MAX + LOCAL_NAME_MAX];
	if (e->name_size >= LOCAL_NAME_MAX || e->name_size < 5 || !is_kept(e->name))
		return true;
	snprintf(path, sizeof path, "%s/%.*s", k->cloud->cache_path, (int)e->name_size, e->name);
	if (k->fn)
		k->fn(k->ctx, path);
	return ++k->count < CLOUD_KEPT_MAX;
}

void cloud_each_kept(struct cloud *c, void (*fn)(void *ctx, const char *path), void *ctx)
{
	struct kept k = {.cloud = c, .fn = fn, .ctx = ctx};
	vfs_readdir(c->cache, 0, give_kept, &k);
}

void cloud_figures(struct cloud *c, struct cloud_figures *out)
{
	struct kept k = {.cloud = c};
	*out = (struct cloud_figures){0};
	vfs_readdir(c->cache, 0, give_kept, &k);
	out->kept_files = k.count;
	pthread_mutex_lock(&c->lock);
	for (struct cloud_file *f = c->files; f; f = f->next) {
		out->open_files += f->refs > 0;
		out->unsaved_files += f->is_dirty;
	}
	pthread_mutex_unlock(&c->lock);
}
