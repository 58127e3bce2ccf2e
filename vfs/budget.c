/* budget.c - budget.h. */
#include "vfs/budget.h"

#include <pthread.h>
#include <stdlib.h>

struct vfs_budget {
	pthread_mutex_t lock; /* guards the rest */
	uint32_t refs;
	uint64_t bytes_left;
	uint32_t host_files_left;
};

struct vfs_budget *vfs_budget_new(uint64_t bytes, uint32_t host_files)
{
	struct vfs_budget *b = calloc(1, sizeof *b);
	if (!b || pthread_mutex_init(&b->lock, NULL)) {
		free(b);
		return NULL;
	}
	b->refs = 1;
	b->bytes_left = bytes;
	b->host_files_left = host_files;
	return b;
}

struct vfs_budget *vfs_budget_ref(struct vfs_budget *b)
{
	pthread_mutex_lock(&b->lock);
	b->refs++;
	pthread_mutex_unlock(&b->lock);
	return b;
}

void vfs_budget_unref(struct vfs_budget *b)
{
	if (!b)
		return;
	pthread_mutex_lock(&b->lock);
	bool last = --b->refs == 0;
	pthread_mutex_unlock(&b->lock);
	if (!last)
		return;
	pthread_mutex_destroy(&b->lock);
	free(b);
}

bool vfs_budget_take(struct vfs_budget *b, uint64_t bytes, uint32_t host_files)
{
	pthread_mutex_lock(&b->lock);
	bool fits = bytes <= b->bytes_left && host_files <= b->host_files_left;
	if (fits) {
		b->bytes_left -= bytes;
		b->host_files_left -= host_files;
	}
	pthread_mutex_unlock(&b->lock);
	return fits;
}

void vfs_budget_give(struct vfs_budget *b, uint64_t bytes, uint32_t host_files)
{
	pthread_mutex_lock(&b->lock);
	b->bytes_left += bytes;
	b->host_files_left += host_files;
	pthread_mutex_unlock(&b->lock);
}
