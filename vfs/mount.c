/* mount.c - the mounts of a process. */
#include "vfs/mount.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct vfs_ns {
	uint32_t count;
	struct vfs_mount *mounts[VFS_MOUNTS_MAX];
};

struct vfs_ns *vfs_ns_new(void)
{
	return calloc(1, sizeof(struct vfs_ns));
}

struct vfs_ns *vfs_ns_copy(const struct vfs_ns *ns)
{
	struct vfs_ns *copy = vfs_ns_new();
	if (!copy)
		return NULL;
	*copy = *ns;
	for (uint32_t i = 0; i < ns->count; i++)
		vfs_mount_ref(copy->mounts[i]);
	return copy;
}

void vfs_ns_free(struct vfs_ns *ns)
{
	if (!ns)
		return;
	for (uint32_t i = 0; i < ns->count; i++)
		vfs_mount_unref(ns->mounts[i]);
	free(ns);
}

struct vfs_mount *vfs_mount_ref(struct vfs_mount *m)
{
	atomic_fetch_add(&m->refs, 1);
	return m;
}

void vfs_mount_unref(struct vfs_mount *m)
{
	if (!m || atomic_fetch_sub(&m->refs, 1) != 1)
		return;
	vfs_unref(m->root);
	free(m->guest);
	free(m->host);
	free(m);
}

uint32_t vfs_ns_count(const struct vfs_ns *ns)
{
	return ns->count;
}

struct vfs_mount *vfs_ns_at(const struct vfs_ns *ns, uint32_t i)
{
	assert(i < ns->count);
	return ns->mounts[i];
}

struct vfs_mount *vfs_ns_by_id(const struct vfs_ns *ns, uint32_t id)
{
	for (uint32_t i = 0; i < ns->count; i++)
		if (ns->mounts[i]->id == id)
			return ns->mounts[i];
	return NULL;
}

static uint32_t free_id(const struct vfs_ns *ns)
{
	uint32_t id = 1;
	while (vfs_ns_by_id(ns, id))
		id++;
	return id;
}

static enum err check_new(const struct vfs_ns *ns, const struct vfs_mount_config *c)
{
	if (ns->count == VFS_MOUNTS_MAX)
		return ERR_LIMIT;
	if (!c->guest || !*c->guest || strlen(c->guest) >= VFS_PATH_MAX)
		return ERR_INVALID;
	if (c->id && vfs_ns_by_id(ns, c->id))
		return ERR_EXISTS;
	for (uint32_t i = 0; i < ns->count; i++)
		if (!strcmp(ns->mounts[i]->guest, c->guest))
			return ERR_EXISTS;
	return ERR_OK;
}

static struct vfs_mount *mount_new(const struct vfs_ns *ns, const struct vfs_mount_config *c)
{
	struct vfs_mount *m = calloc(1, sizeof *m);
	if (!m)
		return NULL;
	atomic_init(&m->refs, 1);
	m->id = c->id ? c->id : free_id(ns);
	m->kind = (uint8_t)c->kind;
	m->read_only = c->read_only;
	memcpy(m->home, c->home, sizeof m->home);
	m->guest = strdup(c->guest);
	m->host = strdup(c->host ? c->host : "");
	if (m->guest && m->host)
		return m;
	vfs_mount_unref(m);
	return NULL;
}

enum err vfs_ns_add(struct vfs_ns *ns, const struct vfs_mount_config *c, struct vfs_obj *root,
                    struct vfs_mount **out)
{
	struct vfs_mount *m = NULL;
	enum err e = check_new(ns, c);
	if (e == ERR_OK && !(m = mount_new(ns, c)))
		e = ERR_NOMEM;
	if (e != ERR_OK) {
		vfs_unref(root);
		return e;
	}
	m->root = root;
	ns->mounts[ns->count++] = m;
	if (out)
		*out = m;
	return ERR_OK;
}

/* How many bytes of path the mount's path covers; 0 when it does not lie in it. */
static size_t covers(const struct vfs_mount *m, const char *path)
{
	size_t n = strlen(m->guest);
	while (n > 1 && m->guest[n - 1] == '/')
		n--;
	if (n == 1 && m->guest[0] == '/')
		return path[0] == '/';
	if (strncmp(path, m->guest, n) || (path[n] && path[n] != '/'))
		return 0;
	return n;
}

struct vfs_mount *vfs_ns_find(const struct vfs_ns *ns, const char *path, const char **rest)
{
	struct vfs_mount *best = NULL;
	size_t best_size = 0;
	for (uint32_t i = 0; i < ns->count; i++) {
		size_t n = covers(ns->mounts[i], path);
		if (n > best_size || (n && !best)) {
			best = ns->mounts[i];
			best_size = n;
		}
	}
	if (!best)
		return NULL;
	*rest = path + best_size + strspn(path + best_size, "/");
	if (!**rest)
		*rest = ".";
	return best;
}

void vfs_ns_path_form(const struct vfs_ns *ns, const char *path, bool stays, char out[VFS_PATH_MAX])
{
	char below[VFS_PATH_MAX];
	const char *rest;
	struct vfs_mount *m = vfs_ns_find(ns, path, &rest);
	snprintf(out, VFS_PATH_MAX, "%s", path);
	if (!m || !strcmp(rest, "."))
		return;
	vfs_path_form(m->root, rest, stays, below);
	if (strcmp(below, rest) != 0)
		snprintf(out, VFS_PATH_MAX, "%s/%s", m->guest, below);
}
