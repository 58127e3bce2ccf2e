/* modules.c - the node's modules: looked up by file identity, then by hash, then loaded.
 *
 * A list under one lock. Loading happens outside the lock; when two threads load the same bytes at once,
 * the second finds the first's in the list and drops its own. Beside the references it gave out the cache
 * holds one for the KEPT most recently used modules, of KEPT_BYTES together. */
#include "node/process/modules.h"

#include "base/crypto.h"
#include "base/file.h"
#include "engine/engine.h"
#include "node/node.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT = 16, KEPT_BYTES = 256 << 20, SOURCES_MAX = 4 };

struct entry {
	struct module *module; /* a reference of ours; NULL: free */
	struct file_info file; /* size 0: not from a file */
	uint64_t used;
};

struct modules {
	pthread_mutex_t lock;
	struct entry at[KEPT];
	uint64_t clock;
	struct modules_source sources[SOURCES_MAX];
	uint32_t nsources;
};

enum err modules_open(struct node *n, struct errmsg *msg)
{
	struct modules *c = calloc(1, sizeof *c);
	if (!c)
		return err_set(msg, ERR_NOMEM, "module cache: out of memory");
	pthread_mutex_init(&c->lock, NULL);
	n->modules = c;
	return ERR_OK;
}

void modules_close(struct node *n)
{
	struct modules *c = n->modules;
	for (uint32_t i = 0; i < KEPT; i++)
		if (c->at[i].module)
			module_unref(c->at[i].module);
	pthread_mutex_destroy(&c->lock);
	free(c);
	n->modules = NULL;
}

enum err modules_add_source(struct modules *c, const struct modules_source *s)
{
	if (c->nsources == SOURCES_MAX)
		return ERR_LIMIT;
	c->sources[c->nsources++] = *s;
	return ERR_OK;
}

static bool same_file(const struct file_info *a, const struct file_info *b)
{
	return a->size_bytes && a->size_bytes == b->size_bytes &&
	       !memcmp(a->identity, b->identity, sizeof a->identity);
}

/* With the lock held. Either key may be NULL. */
static struct entry *find(struct modules *c, const struct file_info *file, const uint8_t *hash)
{
	for (uint32_t i = 0; i < KEPT; i++) {
		struct entry *e = &c->at[i];
		if (e->module &&
		    ((file && same_file(&e->file, file)) ||
		     (hash && !memcmp(module_hash(e->module), hash, CRYPTO_HASH_SIZE))))
			return e;
	}
	return NULL;
}

static struct module *lookup(struct modules *c, const struct file_info *file, const uint8_t *hash)
{
	struct module *m = NULL;
	pthread_mutex_lock(&c->lock);
	struct entry *e = find(c, file, hash);
	if (e) {
		e->used = ++c->clock;
		m = module_ref(e->module);
	}
	pthread_mutex_unlock(&c->lock);
	return m;
}

/* With the lock held: the entry that was used longest ago, but keep. NULL: there is no other. */
static struct entry *oldest(struct modules *c, const struct entry *keep)
{
	struct entry *e = NULL;
	for (uint32_t i = 0; i < KEPT; i++)
		if (c->at[i].module && &c->at[i] != keep && (!e || c->at[i].used < e->used))
			e = &c->at[i];
	return e;
}

static size_t kept_bytes(const struct modules *c)
{
	size_t sum = 0, size;
	for (uint32_t i = 0; i < KEPT; i++)
		if (c->at[i].module) {
			module_bytes(c->at[i].module, &size);
			sum += size;
		}
	return sum;
}

/* With the lock held: what is above the limits goes; processes that run it hold it themselves. */
static void make_room(struct modules *c, const struct entry *keep)
{
	struct entry *e;
	while (kept_bytes(c) > KEPT_BYTES && (e = oldest(c, keep))) {
		module_unref(e->module);
		*e = (struct entry){0};
	}
}

static struct entry *free_entry(struct modules *c)
{
	for (uint32_t i = 0; i < KEPT; i++)
		if (!c->at[i].module)
			return &c->at[i];
	struct entry *e = oldest(c, NULL);
	module_unref(e->module);
	return e;
}

/* Takes the reference m; gives one to the module that is in the cache now, which may be another copy. */
static struct module *remember(struct modules *c, struct module *m, const struct file_info *file)
{
	pthread_mutex_lock(&c->lock);
	struct entry *e = find(c, NULL, module_hash(m));
	if (!e) {
		e = free_entry(c);
		*e = (struct entry){.module = module_ref(m)};
	}
	if (file)
		e->file = *file;
	e->used = ++c->clock;
	make_room(c, e);
	struct module *out = module_ref(e->module);
	pthread_mutex_unlock(&c->lock);
	module_unref(m);
	return out;
}

/* Compared, which takes a tenth of hashing: a shell's commands are the same few programs. */
static struct module *lookup_bytes(struct modules *c, const uint8_t *bytes, size_t size)
{
	struct module *m = NULL;
	size_t n;
	pthread_mutex_lock(&c->lock);
	for (uint32_t i = 0; !m && i < KEPT; i++) {
		struct entry *e = &c->at[i];
		const uint8_t *p = e->module ? module_bytes(e->module, &n) : NULL;
		if (!p || n != size || memcmp(p, bytes, n) != 0)
			continue;
		e->used = ++c->clock;
		m = module_ref(e->module);
	}
	pthread_mutex_unlock(&c->lock);
	return m;
}

enum err modules_load_bytes(struct modules *c, uint8_t *bytes, size_t size, struct module **out,
                            struct errmsg *msg)
{
	struct module *m;
	*out = lookup_bytes(c, bytes, size);
	if (*out) {
		free(bytes);
		return ERR_OK;
	}
	enum err e = module_load_lazy(bytes, size, true, &m, msg);
	if (e == ERR_OK)
		*out = remember(c, m, NULL);
	return e;
}

static enum err check_size(uint64_t size, struct errmsg *msg)
{
	if (size > MODULE_SIZE_MAX)
		return err_set(msg, ERR_LIMIT, "%llu bytes, at most %d are allowed",
		               (unsigned long long)size, MODULE_SIZE_MAX);
	return size ? ERR_OK : err_set(msg, ERR_MALFORMED, "the file is empty");
}

/* Copied, not mapped: bodies are translated from the bytes long after they were validated, and a file
 * may change under us. */
static enum err read_all(struct file *f, size_t size, uint8_t **out, struct errmsg *msg)
{
	uint8_t *bytes = malloc(size);
	if (!bytes)
		return err_set(msg, ERR_NOMEM, "no memory for its %zu bytes", size);
	enum err e = file_read(f, bytes, size, 0, msg);
	if (e == ERR_OK)
		*out = bytes;
	else
		free(bytes);
	return e;
}

static enum err load_file(struct modules *c, struct file *f, const struct file_info *info,
                          struct module **out, struct errmsg *msg)
{
	size_t size = (size_t)info->size_bytes;
	TRY(check_size(info->size_bytes, msg));
	*out = lookup(c, info, NULL);
	if (*out)
		return ERR_OK;
	uint8_t *bytes;
	TRY(read_all(f, size, &bytes, msg));
	struct module *m;
	TRY(module_load_lazy(bytes, size, true, &m, msg));
	*out = remember(c, m, info);
	return ERR_OK;
}

enum err modules_load_file(struct modules *c, const char *path, struct module **out,
                           struct errmsg *msg)
{
	struct file *f;
	struct file_info info;
	TRY(file_open(path, &f, &info, msg));
	enum err e = load_file(c, f, &info, out, msg);
	file_close(f);
	return e == ERR_OK ? e : err_prefix(msg, e, "%s", path);
}

enum err modules_load_hash(struct modules *c, const uint8_t hash[32], struct module **out,
                           struct errmsg *msg)
{
	*out = lookup(c, NULL, hash);
	if (*out)
		return ERR_OK;
	for (uint32_t i = 0; i < c->nsources; i++) {
		uint8_t *bytes, got[CRYPTO_HASH_SIZE];
		size_t size;
		enum err e = c->sources[i].find(c->sources[i].ctx, hash, &bytes, &size);
		if (e == ERR_NOTFOUND)
			continue;
		if (e != ERR_OK)
			return err_set(msg, e, "module: %s", err_text(e));
		crypto_blake2b(got, bytes, size);
		if (memcmp(got, hash, sizeof got)) {
			free(bytes);
			return err_set(msg, ERR_MALFORMED,
			               "module: the stored bytes do not have their hash");
		}
		return modules_load_bytes(c, bytes, size, out, msg);
	}
	return err_set(msg, ERR_NOTFOUND, "module %02x%02x%02x%02x...: not on this device", hash[0],
	               hash[1], hash[2], hash[3]);
}

/* ---- lists ---- */

struct module *module_list_find(const struct module_list *l, const uint8_t hash[32])
{
	for (uint32_t i = 0; i < l->count; i++)
		if (!memcmp(module_hash(l->at[i]), hash, CRYPTO_HASH_SIZE))
			return l->at[i];
	return NULL;
}

enum err module_list_add(struct module_list *l, struct module *m)
{
	if (module_list_find(l, module_hash(m)))
		return ERR_OK;
	if (l->count == IMAGE_MODULES_MAX)
		return ERR_LIMIT;
	l->at[l->count++] = module_ref(m);
	return ERR_OK;
}

void module_list_free(struct module_list *l)
{
	for (uint32_t i = 0; i < l->count; i++)
		module_unref(l->at[i]);
	l->count = 0;
}

/* What the image says of it already, else cut anew. */
static enum err ref_of(const struct image *im, struct module *m, struct code_ref *out)
{
	size_t size;
	for (uint32_t i = 0; i < image_module_count(im); i++)
		if (!memcmp(image_module(im, i)->hash, module_hash(m), CRYPTO_HASH_SIZE)) {
			*out = *image_module(im, i);
			return ERR_OK;
		}
	const uint8_t *bytes = module_bytes(m, &size);
	return module_cut(module_hash(m), bytes, size, NULL, NULL, out);
}

enum err module_list_name(const struct module_list *l, struct image *im)
{
	struct code_ref refs[IMAGE_MODULES_MAX];
	bool same = l->count == image_module_count(im);
	for (uint32_t i = 0; i < image_module_count(im); i++)
		same = same && module_list_find(l, image_module(im, i)->hash);
	if (same)
		return ERR_OK;
	for (uint32_t i = 0; i < l->count; i++)
		TRY(ref_of(im, l->at[i], &refs[i]));
	image_drop_modules(im);
	for (uint32_t i = 0; i < l->count; i++)
		TRY(image_put_module(im, &refs[i]));
	return ERR_OK;
}
