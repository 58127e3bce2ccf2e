/* modules.c - the node's modules: looked up by file identity, then by hash, then loaded.
 *
 * A list under one lock. Loading happens outside the lock; when two threads load the same bytes at once,
 * the second finds the first's in the list and drops its own. Beside the references it gave out the cache
 * holds one for the KEPT most recently used modules, of KEPT_BYTES together. */
#include "node/modules.h"

#include "base/crypto.h"
#include "engine/engine.h"
#include "node/node.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEPT = 16, KEPT_BYTES = 256 << 20, SOURCES_MAX = 4 };

/* Which file a module came from, and that it is still the same. */
struct file_key {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime, ctime;
};

struct entry {
	struct module *module; /* a reference of ours; NULL: free */
	struct file_key file;  /* size 0: not from a file */
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

static bool same_file(const struct file_key *a, const struct file_key *b)
{
	return a->size && a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       !memcmp(&a->mtime, &b->mtime, sizeof a->mtime) &&
	       !memcmp(&a->ctime, &b->ctime, sizeof a->ctime);
}

/* With the lock held. Either key may be NULL. */
static struct entry *find(struct modules *c, const struct file_key *file, const uint8_t *hash)
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

static struct module *lookup(struct modules *c, const struct file_key *file, const uint8_t *hash)
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
static struct module *remember(struct modules *c, struct module *m, const struct file_key *file)
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

enum err modules_load_bytes(struct modules *c, uint8_t *bytes, size_t size, struct module **out,
                            struct errmsg *msg)
{
	struct module *m;
	enum err e = module_load_lazy(bytes, size, true, &m, msg);
	if (e == ERR_OK)
		*out = remember(c, m, NULL);
	return e;
}

static enum err check_file(int fd, const char *path, struct file_key *key, struct errmsg *msg)
{
	struct stat st;
	if (fstat(fd, &st) != 0)
		return err_set(msg, ERR_IO, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_set(msg, ERR_INVALID, "%s: not a regular file", path);
	if (st.st_size > MODULE_SIZE_MAX)
		return err_set(msg, ERR_LIMIT, "%s: %lld bytes, at most %d are allowed", path,
		               (long long)st.st_size, MODULE_SIZE_MAX);
	if (st.st_size == 0)
		return err_set(msg, ERR_MALFORMED, "%s: the file is empty", path);
	*key = (struct file_key){.dev = st.st_dev,
	                         .ino = st.st_ino,
	                         .size = st.st_size,
	                         .mtime = st.st_mtim,
	                         .ctime = st.st_ctim};
	return ERR_OK;
}

/* Copied, not mapped: bodies are translated from the bytes long after they were validated, and a file
 * may change under us. */
static enum err read_all(int fd, const char *path, size_t size, uint8_t **out, struct errmsg *msg)
{
	uint8_t *bytes = malloc(size);
	if (!bytes)
		return err_set(msg, ERR_NOMEM, "%s: no memory for its %zu bytes", path, size);
	for (size_t done = 0; done < size;) {
		ssize_t got = pread(fd, bytes + done, size - done, (off_t)done);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			free(bytes);
			return err_set(msg, ERR_IO, "%s: %s", path,
			               got < 0 ? strerror(errno)
			                       : "the file became shorter while it was read");
		}
		done += (size_t)got;
	}
	*out = bytes;
	return ERR_OK;
}

static enum err load_fd(struct modules *c, int fd, const char *path, struct module **out,
                        struct errmsg *msg)
{
	struct file_key key;
	TRY(check_file(fd, path, &key, msg));
	*out = lookup(c, &key, NULL);
	if (*out)
		return ERR_OK;
	uint8_t *bytes;
	TRY(read_all(fd, path, (size_t)key.size, &bytes, msg));
	struct module *m;
	enum err e = module_load_lazy(bytes, (size_t)key.size, true, &m, msg);
	if (e != ERR_OK)
		return err_prefix(msg, e, "%s", path);
	*out = remember(c, m, &key);
	return ERR_OK;
}

enum err modules_load_file(struct modules *c, const char *path, struct module **out,
                           struct errmsg *msg)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return err_set(msg,
		               errno == ENOENT   ? ERR_NOTFOUND
		               : errno == EACCES ? ERR_DENIED
		                                 : ERR_IO,
		               "%s: %s", path, strerror(errno));
	enum err e = load_fd(c, fd, path, out, msg);
	close(fd);
	return e;
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
