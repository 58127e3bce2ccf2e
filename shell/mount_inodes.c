/* mount_inodes.c - inodes by number and by path, lanes by device. */
#include "shell/mount_inodes.h"

#include "shell/tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- errors ---- */

#define EOK 0
#define ENOTCAPABLE EACCES

int mount_errno(enum ferr e)
{
	switch (e) {
#define FERR(number, name, text) \
	case FE_##name: return E##name;
#include "vfs/ferr.def"
#undef FERR
	default: return EIO;
	}
}

/* ---- lanes ---- */

struct mounted *mount_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

/* "net/laptop", "home", or "" for the root and /net. */
static void key_of(const char *path, char key[VFS_NAME_MAX + 8])
{
	size_t n = strcmp(path, ".") ? strcspn(path, "/") : 0;
	if (n == 3 && !memcmp(path, "net", 3))
		n = path[3] && path[4] ? 4 + strcspn(path + 4, "/") : 0;
	snprintf(key, VFS_NAME_MAX + 8, "%.*s", n < VFS_NAME_MAX + 7 ? (int)n : 0, path);
}

static uint64_t hash_of(const char *key)
{
	uint64_t h = 14695981039346656037u;
	while (*key)
		h = (h ^ (uint8_t)*key++) * 1099511628211u;
	return h;
}

static struct lane *new_lane(struct mounted *m, const char *key)
{
	struct lane *l = calloc(1, sizeof *l);
	if (!l || tree_open(m->shell, &l->tree) != 0) {
		free(l);
		return NULL;
	}
	pthread_mutex_init(&l->lock, NULL);
	snprintf(l->key, sizeof l->key, "%s", key);
	l->hash = hash_of(key);
	m->lanes[m->nlanes++] = l;
	return l;
}

/* NULL: the node is not there. Names beyond the limit, which may be mistyped ones, share the first lane. */
struct lane *mount_lane(struct mounted *m, const char *path)
{
	char key[VFS_NAME_MAX + 8];
	struct lane *l = NULL;
	key_of(path, key);
	pthread_mutex_lock(&m->lock);
	for (uint32_t i = 0; i < m->nlanes && !l; i++)
		if (!strcmp(m->lanes[i]->key, key))
			l = m->lanes[i];
	if (!l)
		l = m->nlanes < LANES_MAX ? new_lane(m, key) : m->lanes[0];
	pthread_mutex_unlock(&m->lock);
	return l;
}

/* ---- inodes ---- */

struct inode *mount_inode(struct mounted *m, fuse_ino_t ino)
{
	return ino == FUSE_ROOT_ID ? &m->root : (struct inode *)(uintptr_t)ino;
}

static struct inode **bucket_of(struct mounted *m, uint64_t key)
{
	return &m->buckets[(key ^ key >> 32) % BUCKETS];
}

static void name_it(struct inode *i, const char *path)
{
	char *copy = path ? strdup(path) : NULL;
	free(i->path);
	i->path = copy;
}

/* Under the lock: once more looked up at path. NULL: no memory. */
struct inode *mount_look_up(struct mounted *m, uint64_t key, const char *path)
{
	struct inode **at = bucket_of(m, key), *i = *at;
	while (i && i->key != key)
		i = i->next;
	if (!i) {
		i = calloc(1, sizeof *i);
		if (!i)
			return NULL;
		i->key = key;
		i->next = *at;
		*at = i;
	}
	i->lookups++;
	if (!i->path || strcmp(i->path, path) != 0)
		name_it(i, path);
	return i;
}

/* Under the lock. */
void mount_forget(struct mounted *m, struct inode *i, uint64_t lookups)
{
	i->lookups = lookups < i->lookups ? i->lookups - lookups : 0;
	if (i == &m->root || i->lookups || i->open)
		return;
	struct inode **at = bucket_of(m, i->key);
	while (*at != i)
		at = &(*at)->next;
	*at = i->next;
	free(i->path);
	free(i);
}

/* The name leads to nothing now, or to another file. Under the lock. */
void mount_name_gone(struct mounted *m, const char *path)
{
	for (uint32_t b = 0; b < BUCKETS; b++)
		for (struct inode *i = m->buckets[b]; i; i = i->next)
			if (i->path && !strcmp(i->path, path))
				name_it(i, NULL);
}

/* And what is below it. Under the lock. */
void mount_name_now(struct mounted *m, const char *was, const char *now)
{
	size_t n = strlen(was);
	char path[VFS_PATH_MAX];
	mount_name_gone(m, now);
	for (uint32_t b = 0; b < BUCKETS; b++)
		for (struct inode *i = m->buckets[b]; i; i = i->next) {
			if (!i->path || strncmp(i->path, was, n) != 0 ||
			    (i->path[n] && i->path[n] != '/'))
				continue;
			bool fits = snprintf(path, sizeof path, "%s%s", now, i->path + n) <
			            (int)sizeof path;
			name_it(i, fits ? path : NULL);
		}
}

/* ---- a file or name in its lane, which is locked ---- */

/* Under the lock: the path of the inode, or of a name in it. */
int mount_path(const struct inode *i, const char *name, char out[VFS_PATH_MAX])
{
	if (!i->path)
		return ESTALE;
	bool is_top = !strcmp(i->path, ".");
	int n = !name    ? snprintf(out, VFS_PATH_MAX, "%s", i->path)
	        : is_top ? snprintf(out, VFS_PATH_MAX, "%s", name)
	                 : snprintf(out, VFS_PATH_MAX, "%s/%s", i->path, name);
	return n < VFS_PATH_MAX ? 0 : ENAMETOOLONG;
}

/* What is open of an inode without a name. */
static int open_without_name(struct at *at, const struct inode *i)
{
	pthread_mutex_lock(&at->m->lock);
	const struct handle *h = i->open;
	if (h) {
		at->lane = h->lane;
		at->open = vfs_ref(h->obj);
	}
	pthread_mutex_unlock(&at->m->lock);
	if (h)
		pthread_mutex_lock(&at->lane->lock);
	return h ? 0 : ESTALE;
}

/* 0, or an error number with nothing locked. A rename may come in between: then again. */
int mount_begin(fuse_req_t req, fuse_ino_t ino, const char *name, struct at *at)
{
	char now[VFS_PATH_MAX];
	struct inode *i = mount_inode(mount_of(req), ino);
	at->m = mount_of(req);
	at->open = NULL;
	for (;;) {
		pthread_mutex_lock(&at->m->lock);
		int failed = mount_path(i, name, at->path);
		pthread_mutex_unlock(&at->m->lock);
		if (failed == ESTALE && !name)
			return open_without_name(at, i);
		if (failed)
			return failed;
		at->lane = mount_lane(at->m, at->path);
		if (!at->lane)
			return EIO;
		pthread_mutex_lock(&at->lane->lock);
		pthread_mutex_lock(&at->m->lock);
		failed = mount_path(i, name, now);
		pthread_mutex_unlock(&at->m->lock);
		if (!failed && !strcmp(now, at->path)) {
			at->root = tree_root(at->lane->tree);
			return 0;
		}
		pthread_mutex_unlock(&at->lane->lock);
	}
}

int mount_end(struct at *at, enum ferr e)
{
	vfs_unref(at->open);
	pthread_mutex_unlock(&at->lane->lock);
	return mount_errno(e);
}

int mount_end_change(struct at *at, enum ferr e)
{
	at->lane->changes++;
	return mount_end(at, e);
}

/* ---- life ---- */

static void drop_open(struct inode *i)
{
	for (struct handle *h = i->open, *next; h; h = next) {
		next = h->next;
		vfs_unref(h->obj);
		free(h);
	}
}

void mount_free(struct mounted *m)
{
	for (uint32_t b = 0; b < BUCKETS; b++)
		for (struct inode *i = m->buckets[b], *next; i; i = next) {
			next = i->next;
			drop_open(i);
			free(i->path);
			free(i);
		}
	drop_open(&m->root);
	free(m->root.path);
	for (uint32_t i = 0; i < m->nlanes; i++) {
		tree_close(m->lanes[i]->tree);
		pthread_mutex_destroy(&m->lanes[i]->lock);
		free(m->lanes[i]);
	}
	free(m);
}

struct mounted *mount_new(struct shell *sh)
{
	struct mounted *m = calloc(1, sizeof *m);
	if (!m)
		return NULL;
	m->shell = sh;
	m->uid = getuid();
	m->gid = getgid();
	pthread_mutex_init(&m->lock, NULL);
	m->root.path = strdup(".");
	if (m->root.path && mount_lane(m, "."))
		return m;
	mount_free(m);
	return NULL;
}
