/* commons.c - locks of files, and who waits for them (commons.h).
 *
 * Truths: of one owner and kind no two locks of a file meet or touch, unless one is shared and the other is not; of different owners those
 * that meet are both shared (process and description locks count as one kind here). A file without locks is not in the table.
 */
#include "node/wali/commons.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 256 };

struct lock {
	struct lock *next;
	struct lock_wish w;
};

struct locked_file {
	struct locked_file *next;
	struct file_id id;
	struct lock *locks;
};

struct commons {
	_Atomic uint32_t refs;
	pthread_mutex_t lock;
	struct commons_waiter *waiters;
	struct locked_file *files[BUCKETS];
	struct fifo *fifos;
};

struct commons *commons_new(void)
{
	struct commons *c = calloc(1, sizeof *c);
	if (!c)
		return NULL;
	atomic_init(&c->refs, 1);
	pthread_mutex_init(&c->lock, NULL);
	return c;
}

struct commons *commons_ref(struct commons *c)
{
	atomic_fetch_add(&c->refs, 1);
	return c;
}

static void free_file(struct locked_file *f)
{
	while (f->locks) {
		struct lock *l = f->locks;
		f->locks = l->next;
		free(l);
	}
	free(f);
}

void commons_unref(struct commons *c)
{
	if (!c || atomic_fetch_sub(&c->refs, 1) != 1)
		return;
	for (int i = 0; i < BUCKETS; i++)
		while (c->files[i]) {
			struct locked_file *f = c->files[i];
			c->files[i] = f->next;
			free_file(f);
		}
	pthread_mutex_destroy(&c->lock);
	free(c);
}

/* ---- waiting; all with the lock held ---- */

void commons_list(struct commons *c, struct commons_waiter *w)
{
	if (w->listed)
		return;
	w->listed = true;
	w->next = c->waiters;
	c->waiters = w;
}

void commons_wake(struct commons *c)
{
	for (struct commons_waiter *w = c->waiters; w; w = w->next)
		if (w->waker)
			os_wake_post(w->waker);
}

void commons_wait_end(struct commons *c, struct commons_waiter *w)
{
	if (!w->listed)
		return;
	pthread_mutex_lock(&c->lock);
	for (struct commons_waiter **at = &c->waiters; *at; at = &(*at)->next)
		if (*at == w) {
			*at = w->next;
			break;
		}
	w->listed = false;
	pthread_mutex_unlock(&c->lock);
}

void commons_lock(struct commons *c)
{
	pthread_mutex_lock(&c->lock);
}

void commons_unlock(struct commons *c)
{
	pthread_mutex_unlock(&c->lock);
}

struct fifo **commons_fifos(struct commons *c)
{
	return &c->fifos;
}

struct commons_waiter *commons_waiters(struct commons *c)
{
	return c->waiters;
}

/* Whether who has the lock waits, over any number of others, for its owner. */
static bool would_wait_for_itself(const struct commons *c, const void *owner, const void *other)
{
	for (int steps = 0; steps < 1000; steps++) {
		const struct commons_waiter *w = c->waiters;
		while (w && !(w->owner && w->owner == other))
			w = w->next;
		if (!w)
			return false;
		other = w->other;
		if (other == owner)
			return true;
	}
	return false;
}

/* ---- files ---- */

static bool same_file(const struct file_id *a, const struct file_id *b)
{
	return a->where == b->where && a->dev == b->dev && a->ino == b->ino;
}

static struct locked_file **bucket_of(struct commons *c, const struct file_id *id)
{
	uint64_t h = (id->where ^ id->dev * 31 ^ id->ino) * UINT64_C(0x9e3779b97f4a7c15);
	return &c->files[h >> 56];
}

static struct locked_file *find_file(struct commons *c, const struct file_id *id)
{
	struct locked_file *f = *bucket_of(c, id);
	while (f && !same_file(&f->id, id))
		f = f->next;
	return f;
}

static struct locked_file *make_file(struct commons *c, const struct file_id *id)
{
	struct locked_file *f = find_file(c, id), **at = bucket_of(c, id);
	if (f || !(f = calloc(1, sizeof *f)))
		return f;
	f->id = *id;
	f->next = *at;
	*at = f;
	return f;
}

static void drop_empty(struct commons *c, const struct file_id *id)
{
	for (struct locked_file **at = bucket_of(c, id); *at; at = &(*at)->next)
		if (same_file(&(*at)->id, id) && !(*at)->locks) {
			struct locked_file *f = *at;
			*at = f->next;
			free(f);
			return;
		}
}

/* ---- ranges ---- */

static bool same_owner(const struct lock_wish *a, const struct lock_wish *b)
{
	return a->kind == b->kind && a->owner == b->owner;
}

static bool meet(const struct lock_wish *a, const struct lock_wish *b)
{
	return a->start <= b->end && b->start <= a->end;
}

static const struct lock *conflict(const struct locked_file *f, const struct lock_wish *w)
{
	for (const struct lock *l = f ? f->locks : NULL; l; l = l->next)
		if (!same_owner(&l->w, w) && meet(&l->w, w) && (l->w.exclusive || w->exclusive) &&
		    (l->w.kind == LOCK_WHOLE) == (w->kind == LOCK_WHOLE))
			return l;
	return NULL;
}

/* Takes the range out of what its owner has. *spare is used up when a lock falls into two. */
static void cut(struct locked_file *f, const struct lock_wish *w, struct lock **spare)
{
	for (struct lock **at = &f->locks; *at;) {
		struct lock *l = *at;
		bool touches = same_owner(&l->w, w) && meet(&l->w, w);
		bool left = touches && l->w.start < w->start, right = touches && l->w.end > w->end;
		if (left && right) {
			struct lock *rest = *spare;
			*spare = NULL;
			*rest = *l;
			rest->w.start = w->end + 1;
			l->w.end = w->start - 1;
			l->next = rest;
			return;
		}
		if (left)
			l->w.end = w->start - 1;
		else if (right)
			l->w.start = w->end + 1;
		else if (touches) {
			*at = l->next;
			free(l);
			continue;
		}
		at = &l->next;
	}
}

/* The range grows by those of its owner that it touches and are as it is, so that their number does not. */
static void swallow(struct locked_file *f, struct lock_wish *w)
{
	for (struct lock **at = &f->locks; *at;) {
		struct lock *l = *at;
		bool before = l->w.end != UINT64_MAX && l->w.end + 1 == w->start,
		     behind = w->end != UINT64_MAX && w->end + 1 == l->w.start;
		if (!same_owner(&l->w, w) || l->w.exclusive != w->exclusive ||
		    (!before && !behind)) {
			at = &l->next;
			continue;
		}
		w->start = before ? l->w.start : w->start;
		w->end = behind ? l->w.end : w->end;
		*at = l->next;
		free(l);
	}
}

static uint32_t count_of(const struct locked_file *f, const struct lock_wish *w)
{
	uint32_t n = 0;
	for (const struct lock *l = f->locks; l; l = l->next)
		n += same_owner(&l->w, w);
	return n;
}

/* ---- setting and clearing ---- */

static enum ferr put(struct locked_file *f, struct lock_wish w)
{
	struct lock *spare = malloc(sizeof *spare), *own = malloc(sizeof *own);
	if (!spare || !own || count_of(f, &w) >= LOCKS_OWNER_MAX) {
		enum ferr e = spare && own ? FE_NOLCK : FE_NOMEM;
		free(spare);
		free(own);
		return e;
	}
	cut(f, &w, &spare);
	swallow(f, &w);
	own->w = w;
	own->next = f->locks;
	f->locks = own;
	free(spare);
	return FE_OK;
}

static enum ferr set(struct commons *c, const struct lock_wish *w, struct commons_waiter *waiter)
{
	const struct lock *other = conflict(find_file(c, &w->file), w);
	if (other && waiter) {
		if (w->kind == LOCK_PROCESS && would_wait_for_itself(c, w->owner, other->w.owner))
			return FE_DEADLK;
		waiter->owner = w->owner;
		waiter->other = other->w.owner;
		commons_list(c, waiter);
	}
	if (other)
		return FE_AGAIN;
	struct locked_file *f = make_file(c, &w->file);
	return f ? put(f, *w) : FE_NOMEM;
}

enum ferr locks_set(struct commons *c, const struct lock_wish *w, struct commons_waiter *waiter)
{
	pthread_mutex_lock(&c->lock);
	enum ferr e = set(c, w, waiter);
	drop_empty(c, &w->file);
	if (e == FE_OK)
		commons_wake(c); /* an exclusive one may have become shared */
	pthread_mutex_unlock(&c->lock);
	return e;
}

void locks_clear(struct commons *c, const struct lock_wish *w)
{
	struct lock *spare = malloc(sizeof *spare);
	pthread_mutex_lock(&c->lock);
	struct locked_file *f = find_file(c, &w->file);
	if (f && spare)
		cut(f, w, &spare);
	drop_empty(c, &w->file);
	commons_wake(c);
	pthread_mutex_unlock(&c->lock);
	free(spare);
}

bool locks_find(struct commons *c, const struct lock_wish *w, struct lock_wish *other)
{
	pthread_mutex_lock(&c->lock);
	const struct lock *l = conflict(find_file(c, &w->file), w);
	if (l)
		*other = l->w;
	pthread_mutex_unlock(&c->lock);
	return l;
}

static void drop_from(struct locked_file *f, enum lock_kind kind, const void *owner)
{
	for (struct lock **at = &f->locks; *at;) {
		struct lock *l = *at;
		if (l->w.kind != kind || l->w.owner != owner) {
			at = &l->next;
			continue;
		}
		*at = l->next;
		free(l);
	}
}

void locks_drop(struct commons *c, enum lock_kind kind, const void *owner,
                const struct file_id *file)
{
	pthread_mutex_lock(&c->lock);
	for (int i = 0; i < BUCKETS; i++)
		for (struct locked_file *f = c->files[i], *next; f; f = next) {
			next = f->next;
			if (file && !same_file(&f->id, file))
				continue;
			drop_from(f, kind, owner);
			struct file_id id = f->id;
			drop_empty(c, &id);
		}
	commons_wake(c);
	pthread_mutex_unlock(&c->lock);
}

bool locks_at(struct commons *c, const void *owner, uint32_t i, struct lock_wish *out)
{
	bool found = false;
	pthread_mutex_lock(&c->lock);
	for (int b = 0; b < BUCKETS; b++)
		for (const struct locked_file *f = c->files[b]; f && !found; f = f->next)
			for (const struct lock *l = f->locks; l && !found; l = l->next)
				if (l->w.owner == owner && i-- == 0) {
					*out = l->w;
					found = true;
				}
	pthread_mutex_unlock(&c->lock);
	return found;
}
