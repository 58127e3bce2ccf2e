/* file.c - a file of a cloud that is open here: its copy, what of it is there, and how it comes back to the server. */
#include "cloud/cloud_impl.h"

#include "base/crypto.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the copy ---- */

static enum ferr local_read(struct cloud_file *f, uint64_t offset, void *buf, size_t size)
{
	for (size_t done = 0; size; offset += done, size -= done, buf = (char *)buf + done) {
		struct vfs_iov iov = {.p = buf, .size = size};
		FTRY(vfs_read(f->local, offset, &iov, 1, &done));
		if (!done)
			return FE_IO;
	}
	return FE_OK;
}

static enum ferr local_write(struct cloud_file *f, uint64_t offset, const void *buf, size_t size)
{
	uint64_t end;
	for (size_t done = 0; size; offset += done, size -= done, buf = (const char *)buf + done) {
		struct vfs_iov iov = {.p = (void *)(uintptr_t)buf, .size = size};
		FTRY(vfs_write(f->local, offset, 0, &iov, 1, &done, &end));
		if (!done)
			return FE_IO;
	}
	return FE_OK;
}

static uint64_t blocks_of(uint64_t bytes)
{
	return bytes / FILE_BLOCK + (bytes % FILE_BLOCK != 0);
}

static bool is_present(const struct cloud_file *f, uint64_t block)
{
	return block >= blocks_of(f->server_size) || f->present[block / 8] >> block % 8 & 1;
}

static void set_present(struct cloud_file *f, uint64_t block)
{
	if (is_present(f, block))
		return;
	f->present[block / 8] |= (uint8_t)(1u << block % 8);
	f->held_bytes += FILE_BLOCK;
}

/* ---- life ---- */

static void free_file(struct cloud_file *f)
{
	vfs_unref(f->local);
	if (f->local_name[0])
		vfs_unlink(f->cloud->cache, f->local_name);
	pthread_mutex_destroy(&f->lock);
	free(f->present);
	free(f->path);
	free(f);
}

static enum ferr open_copy(struct cloud_file *f, uint64_t number)
{
	snprintf(f->local_name, sizeof f->local_name, "open-%llu", (unsigned long long)number);
	FTRY(vfs_open(f->cloud->cache, f->local_name,
	              VFS_READ | VFS_WRITE | VFS_CREATE | VFS_TRUNCATE | VFS_MODE(0600),
	              &f->local));
	return vfs_set_size(f->local, f->size_bytes);
}

static enum ferr new_file(struct cloud *c, const char *path, const struct cloud_item *item,
                          struct cloud_file **out)
{
	struct cloud_file *f = calloc(1, sizeof *f);
	if (!f)
		return FE_NOMEM;
	pthread_mutex_init(&f->lock, NULL);
	f->cloud = c;
	f->refs = 1;
	f->path = strdup(path);
	f->size_bytes = f->server_size = item->size_bytes;
	f->mtime_ns = item->mtime_ns;
	memcpy(f->etag, item->etag, sizeof f->etag);
	f->read_ahead = CLOUD_READ_MIN;
	f->present = item->size_bytes >> 50 ? NULL : calloc(1, blocks_of(item->size_bytes) / 8 + 1);
	pthread_mutex_lock(&c->lock);
	uint64_t number = c->next_local++;
	pthread_mutex_unlock(&c->lock);
	enum ferr e = f->path && f->present ? open_copy(f, number) : FE_NOMEM;
	if (e != FE_OK)
		free_file(f);
	else
		*out = f;
	return e;
}

/* With the cloud's lock held. */
static struct cloud_file *find(struct cloud *c, const char *path)
{
	for (struct cloud_file *f = c->files; f; f = f->next)
		if (!f->is_gone && !strcmp(f->path, path))
			return f;
	return NULL;
}

static void take_out(struct cloud *c, struct cloud_file *f)
{
	struct cloud_file **at = &c->files;
	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
}

/* Takes the copies that nobody uses out of the list, those used last longest ago, until the rest is few; a list of them. */
static struct cloud_file *take_idle(struct cloud *c)
{
	struct cloud_file *out = NULL;
	uint64_t bytes = 0;
	unsigned count = 0;
	for (struct cloud_file **at = &c->files; *at;) {
		struct cloud_file *f = *at;
		bytes += f->refs ? 0 : f->held_bytes;
		count += !f->refs;
		if (f->refs ||
		    (!f->is_gone && count <= FILES_IDLE_MAX && bytes <= FILES_IDLE_BYTES)) {
			at = &f->next;
			continue;
		}
		*at = f->next;
		f->next = out;
		out = f;
	}
	return out;
}

static void trim(struct cloud *c)
{
	pthread_mutex_lock(&c->lock);
	struct cloud_file *list = take_idle(c);
	pthread_mutex_unlock(&c->lock);
	for (struct cloud_file *f = list, *next; f; f = next) {
		next = f->next;
		free_file(f);
	}
}

void cloud_files_free(struct cloud *c)
{
	for (struct cloud_file *f = c->files, *next; f; f = next) {
		next = f->next;
		assert(!f->refs);
		free_file(f);
	}
}

/* ---- names ---- */

struct cloud_file *file_find(struct cloud *c, const char *path)
{
	pthread_mutex_lock(&c->lock);
	struct cloud_file *f = find(c, path);
	if (f && f->refs)
		f->refs++;
	else
		f = NULL;
	pthread_mutex_unlock(&c->lock);
	return f;
}

char *file_path(struct cloud_file *f)
{
	pthread_mutex_lock(&f->cloud->lock);
	char *path = strdup(f->path);
	pthread_mutex_unlock(&f->cloud->lock);
	return path;
}

bool file_is_unlinked(struct cloud_file *f)
{
	pthread_mutex_lock(&f->lock);
	bool is = f->is_unlinked;
	pthread_mutex_unlock(&f->lock);
	return is;
}

void file_unlinked(struct cloud_file *f)
{
	pthread_mutex_lock(&f->cloud->lock);
	f->is_gone = true;
	pthread_mutex_unlock(&f->cloud->lock);
	pthread_mutex_lock(&f->lock);
	f->is_unlinked = true;
	f->is_dirty = false;
	pthread_mutex_unlock(&f->lock);
}

/* With the cloud's lock held. Without memory the old name stays, and the server will not know it. */
static void change_path(struct cloud_file *f, size_t from_size, const char *to)
{
	size_t size = strlen(to) + strlen(f->path) - from_size + 1;
	char *path = malloc(size);
	if (!path)
		return;
	snprintf(path, size, "%s%s", to, f->path + from_size);
	free(f->path);
	f->path = path;
}

/* At that path, or below it. */
static bool is_at(const struct cloud_file *f, const char *path)
{
	size_t n = strlen(path);
	return !strncmp(f->path, path, n) && (!f->path[n] || f->path[n] == '/');
}

void file_renamed(struct cloud *c, const char *from, const char *to)
{
	size_t n = strlen(from);
	pthread_mutex_lock(&c->lock);
	for (struct cloud_file *f = c->files; f; f = f->next)
		f->is_gone |= is_at(f, to);
	for (struct cloud_file *f = c->files; f; f = f->next)
		if (!f->is_gone && is_at(f, from))
			change_path(f, n, to);
	pthread_mutex_unlock(&c->lock);
}

/* ---- opening ---- */

/* A copy that is the newest version, or has been written to and is to become that. */
static bool is_newest(struct cloud_file *f, const struct cloud_item *item)
{
	pthread_mutex_lock(&f->lock);
	bool is =
	    f->is_dirty || (!strcmp(f->etag, item->etag) && f->size_bytes == item->size_bytes);
	pthread_mutex_unlock(&f->lock);
	return is;
}

/* A reference to the one in the list, used last from now on. */
static struct cloud_file *find_any(struct cloud *c, const char *path)
{
	pthread_mutex_lock(&c->lock);
	struct cloud_file *f = find(c, path);
	if (f) {
		f->refs++;
		take_out(c, f);
		f->next = c->files;
		c->files = f;
	}
	pthread_mutex_unlock(&c->lock);
	return f;
}

/* In the list, unless somebody else was faster: then theirs. */
static struct cloud_file *enter(struct cloud *c, struct cloud_file *mine)
{
	pthread_mutex_lock(&c->lock);
	struct cloud_file *f = find(c, mine->path);
	if (f) {
		f->refs++;
	} else {
		mine->next = c->files;
		c->files = mine;
	}
	pthread_mutex_unlock(&c->lock);
	if (!f)
		return mine;
	free_file(mine);
	return f;
}

static void set_gone(struct cloud_file *f)
{
	pthread_mutex_lock(&f->cloud->lock);
	f->is_gone = true;
	pthread_mutex_unlock(&f->cloud->lock);
}

static bool has_changes(struct cloud_file *f)
{
	pthread_mutex_lock(&f->lock);
	bool has = f->is_dirty;
	pthread_mutex_unlock(&f->lock);
	return has;
}

enum ferr file_open_newest(struct cloud *c, const char *path, const struct cloud_item *asked,
                           struct cloud_file **out)
{
	struct cloud_item item;
	struct cloud_file *f = find_any(c, path);
	enum ferr e = FE_OK;
	if (asked)
		item = *asked;
	else if (!f || !has_changes(f))
		e = cloud_item_now(c, path, &item);
	else
		file_item(f, &item);
	if (e == FE_OK && item.is_folder)
		e = FE_ISDIR;
	if (f && (e == FE_NOENT || (e == FE_OK && !is_newest(f, &item)))) {
		set_gone(f);
		file_unref(f);
		f = NULL;
	}
	if (e == FE_OK && !f) {
		e = new_file(c, path, &item, &f);
		if (e == FE_OK)
			f = enter(c, f);
	}
	if (e != FE_OK && f)
		file_unref(f);
	else
		*out = f;
	return e;
}

/* ---- fetching; the file's lock is held in all of it ---- */

struct filling {
	struct cloud_file *file;
	uint64_t at;
	enum ferr err;
};

static bool fill(void *ctx, const void *bytes, size_t size)
{
	struct filling *in = ctx;
	in->err = local_write(in->file, in->at, bytes, size);
	in->at += size;
	return in->err == FE_OK;
}

/* Whole blocks, or to the end of the file. */
static enum ferr fetch_range(struct cloud_file *f, uint64_t first, uint64_t last)
{
	struct errmsg msg = {0};
	struct filling in = {.file = f, .at = first * FILE_BLOCK};
	uint64_t end =
	    (last + 1) * FILE_BLOCK < f->server_size ? (last + 1) * FILE_BLOCK : f->server_size;
	struct http_range range = {.first = in.at, .size_bytes = end - in.at};
	struct cloud_sink sink = {.take = fill, .ctx = &in};
	char *path = file_path(f);
	if (!path)
		return FE_NOMEM;
	enum ferr e =
	    f->cloud->driver->ops->get(f->cloud->driver, path, f->etag, &range, &sink, &msg);
	if (in.err != FE_OK)
		e = in.err;
	if (e != FE_OK)
		cloud_say(f->cloud, path, &msg);
	for (uint64_t b = first; e == FE_OK && b <= last; b++)
		set_present(f, b);
	free(path);
	return e == FE_NOENT ? FE_STALE : e;
}

/* Makes blocks first..last present, a run of missing ones a request. */
static enum ferr fetch(struct cloud_file *f, uint64_t first, uint64_t last)
{
	uint64_t count = blocks_of(f->server_size);
	if (last >= count)
		last = count - 1;
	for (uint64_t b = first; count && b <= last; b++) {
		uint64_t end = b;
		if (is_present(f, b))
			continue;
		while (end < last && !is_present(f, end + 1) &&
		       (end + 1 - b) * FILE_BLOCK < CLOUD_READ_MAX)
			end++;
		FTRY(fetch_range(f, b, end));
		b = end;
	}
	return FE_OK;
}

static enum ferr fetch_all(struct cloud_file *f)
{
	return f->server_size ? fetch(f, 0, blocks_of(f->server_size) - 1) : FE_OK;
}

/* Who reads on where the last one ended gets more with each request. */
static enum ferr fetch_ahead(struct cloud_file *f, uint64_t offset, uint64_t size)
{
	uint64_t last = (offset + size - 1) / FILE_BLOCK;
	bool missing = false;
	for (uint64_t b = offset / FILE_BLOCK; b <= last && !missing; b++)
		missing = !is_present(f, b);
	if (!missing)
		return FE_OK;
	f->read_ahead = offset == f->next_read && offset ? 2 * f->read_ahead : CLOUD_READ_MIN;
	if (f->read_ahead > CLOUD_READ_MAX)
		f->read_ahead = CLOUD_READ_MAX;
	uint64_t end = offset + (size < f->read_ahead ? f->read_ahead : size) - 1;
	return fetch(f, offset / FILE_BLOCK, end / FILE_BLOCK);
}

/* ---- reading and writing ---- */

enum ferr file_read_at(struct cloud_file *f, uint64_t offset, const struct vfs_iov *iov, size_t n,
                       size_t *done)
{
	uint64_t size = 0;
	enum ferr e = FE_OK;
	for (size_t i = 0; i < n; i++)
		size += iov[i].size;
	pthread_mutex_lock(&f->lock);
	if (offset >= f->size_bytes)
		size = 0;
	else if (size > f->size_bytes - offset)
		size = f->size_bytes - offset;
	if (size)
		e = fetch_ahead(f, offset, size);
	if (e == FE_OK && size)
		e = vfs_read(f->local, offset, iov, n, done);
	f->next_read = offset + *done;
	pthread_mutex_unlock(&f->lock);
	return e;
}

static void changed(struct cloud_file *f)
{
	f->is_dirty = !f->is_unlinked;
	f->was_tried = false;
	f->mtime_ns = os_wall_ns();
}

/* The blocks that are written only in part are needed as they are. */
static enum ferr prepare_write(struct cloud_file *f, uint64_t offset, uint64_t size)
{
	uint64_t end = offset + size;
	if (offset % FILE_BLOCK)
		FTRY(fetch(f, offset / FILE_BLOCK, offset / FILE_BLOCK));
	return end % FILE_BLOCK && end < f->server_size
	           ? fetch(f, end / FILE_BLOCK, end / FILE_BLOCK)
	           : FE_OK;
}

static void wrote(struct cloud_file *f, uint64_t offset, uint64_t size)
{
	for (uint64_t b = offset / FILE_BLOCK; b <= (offset + size - 1) / FILE_BLOCK; b++)
		set_present(f, b);
	if (offset + size > f->size_bytes) {
		f->held_bytes += offset + size - f->size_bytes;
		f->size_bytes = offset + size;
	}
	changed(f);
}

/* Of a short write (a full disk) only what makes up whole blocks counts, where the rest of the last one is not here. */
static void shorten(struct cloud_file *f, uint64_t offset, size_t *done)
{
	uint64_t end = offset + *done, cut = end / FILE_BLOCK * FILE_BLOCK;
	if (!is_present(f, end / FILE_BLOCK))
		*done = cut > offset ? (size_t)(cut - offset) : 0;
}

static enum ferr write_locked(struct cloud_file *f, uint64_t offset, const struct vfs_iov *iov,
                              size_t n, size_t *done, uint64_t *end)
{
	uint64_t size = 0;
	for (size_t i = 0; i < n; i++)
		size += iov[i].size;
	if (!size)
		return FE_OK;
	if (offset > INT64_MAX - size)
		return FE_FBIG;
	FTRY(prepare_write(f, offset, size));
	enum ferr e = vfs_write(f->local, offset, 0, iov, n, done, end);
	if (*done < size)
		shorten(f, offset, done);
	if (*done)
		wrote(f, offset, *done);
	*end = offset + *done;
	return e == FE_OK && !*done ? FE_NOSPC : e;
}

enum ferr file_write_at(struct cloud_file *f, uint64_t offset, bool append,
                        const struct vfs_iov *iov, size_t n, size_t *done, uint64_t *end)
{
	pthread_mutex_lock(&f->lock);
	enum ferr e = write_locked(f, append ? f->size_bytes : offset, iov, n, done, end);
	pthread_mutex_unlock(&f->lock);
	return e;
}

enum ferr file_set_size(struct cloud_file *f, uint64_t size_bytes)
{
	pthread_mutex_lock(&f->lock);
	enum ferr e = vfs_set_size(f->local, size_bytes);
	if (e == FE_OK && size_bytes < f->server_size)
		f->server_size = size_bytes;
	if (e == FE_OK && size_bytes != f->size_bytes) {
		f->size_bytes = size_bytes;
		changed(f);
	}
	pthread_mutex_unlock(&f->lock);
	return e;
}

void file_touch(struct cloud_file *f)
{
	pthread_mutex_lock(&f->lock);
	changed(f);
	pthread_mutex_unlock(&f->lock);
}

void file_item(struct cloud_file *f, struct cloud_item *out)
{
	*out = (struct cloud_item){0};
	pthread_mutex_lock(&f->lock);
	out->size_bytes = f->size_bytes;
	out->mtime_ns = f->mtime_ns;
	memcpy(out->etag, f->etag, sizeof out->etag);
	pthread_mutex_unlock(&f->lock);
}

/* ---- back to the server; the file's lock is held ---- */

static bool read_copy(void *ctx, uint64_t offset, void *buf, size_t size)
{
	return local_read(ctx, offset, buf, size) == FE_OK;
}

struct comparing {
	struct cloud_file *file;
	uint64_t at;
};

static bool is_same(void *ctx, const void *bytes, size_t size)
{
	struct comparing *c = ctx;
	char own[16384];
	for (size_t done = 0, n; done < size; done += n, c->at += n) {
		n = size - done < sizeof own ? size - done : sizeof own;
		if (local_read(c->file, c->at, own, n) != FE_OK ||
		    memcmp(own, (const char *)bytes + done, n) != 0)
			return false;
	}
	return true;
}

/* An upload whose answer was lost: when what is on the server is what was sent, it is ours. */
static enum ferr settle(struct cloud_file *f, const char *path, bool *arrived, struct errmsg *msg)
{
	struct cloud_item now;
	struct cloud_driver *d = f->cloud->driver;
	struct comparing c = {.file = f};
	struct cloud_sink sink = {.take = is_same, .ctx = &c};
	struct http_range all = {.size_bytes = f->size_bytes};
	enum ferr e = d->ops->stat(d, path, &now, msg);
	*arrived = false;
	if (e == FE_NOENT || (e == FE_OK && !strcmp(now.etag, f->etag)))
		return FE_OK;
	FTRY(e);
	if (now.size_bytes != f->size_bytes)
		return FE_OK;
	if (f->size_bytes && d->ops->get(d, path, now.etag, &all, &sink, msg) != FE_OK)
		return FE_OK;
	memcpy(f->etag, now.etag, sizeof f->etag);
	*arrived = true;
	return FE_OK;
}

static enum ferr upload(struct cloud_file *f, const char *path, struct errmsg *msg)
{
	struct http_source source = {.read = read_copy, .ctx = f, .size_bytes = f->size_bytes};
	struct cloud_item now;
	bool arrived = false;
	FTRY(fetch_all(f));
	if (f->is_unsure)
		FTRY(settle(f, path, &arrived, msg));
	if (!arrived) {
		enum ferr e =
		    f->cloud->driver->ops->put(f->cloud->driver, path, f->etag, &source, &now, msg);
		f->is_unsure = e == FE_TIMEDOUT || e == FE_HOSTUNREACH || e == FE_IO;
		if (e == FE_STALE)
			set_gone(f); /* who opens it now gets what the server has */
		FTRY(e);
		memcpy(f->etag, now.etag, sizeof f->etag);
		f->mtime_ns = now.mtime_ns;
	}
	f->is_unsure = false;
	f->server_size = 0; /* all of it is here */
	f->is_dirty = false;
	return FE_OK;
}

enum ferr file_flush(struct cloud_file *f)
{
	struct errmsg msg = {0};
	enum ferr e = FE_OK;
	pthread_mutex_lock(&f->lock);
	if (f->is_dirty) {
		char *path = file_path(f);
		e = path ? upload(f, path, &msg) : FE_NOMEM;
		f->was_tried = true;
		if (path)
			cloud_item_drop(f->cloud, path);
		if (e != FE_OK && path)
			cloud_say(f->cloud, path, &msg);
		free(path);
	}
	pthread_mutex_unlock(&f->lock);
	return e;
}

enum ferr file_prepare_unlink(struct cloud_file *f)
{
	pthread_mutex_lock(&f->lock);
	enum ferr e = f->server_size > CLOUD_UNLINKED_MAX ? FE_FBIG : fetch_all(f);
	pthread_mutex_unlock(&f->lock);
	return e;
}

/* ---- what the server did not take ---- */

/* "kept-20261123T081500Z-1-notes.txt" */
static void kept_name(struct cloud_file *f, char out[LOCAL_NAME_MAX])
{
	char when[HTTP_STAMP_SIZE];
	const char *slash = strrchr(f->path, '/');
	const char *name = slash ? slash + 1 : f->path;
	http_stamp((int64_t)(os_wall_ns() / UINT64_C(1000000000)), when);
	int n = snprintf(out, LOCAL_NAME_MAX, "kept-%s-%s-", when, f->local_name + strlen("open-"));
	for (; *name && n < LOCAL_NAME_MAX - 1; name++)
		out[n++] = (char)((uint8_t)*name < 0x80 && (uint8_t)*name > ' ' &&
		                          !strchr("\\:*?\"<>|", *name)
		                      ? *name
		                      : '_');
	out[n] = 0;
}

/* Only the file's last user has it: no lock is needed. */
static void keep(struct cloud_file *f)
{
	char name[LOCAL_NAME_MAX];
	struct errmsg msg;
	kept_name(f, name);
	fetch_all(f);
	vfs_sync(f->local, false);
	if (vfs_rename(f->cloud->cache, f->local_name, f->cloud->cache, name) == FE_OK)
		f->local_name[0] = 0;
	err_set(&msg, ERR_IO, "what was written here is not on the server; it is kept in %s/%s",
	        f->cloud->cache_path, name);
	cloud_say(f->cloud, f->path, &msg);
}

/* The last object goes while the list may still find it: another may come meanwhile. */
static void let_go(struct cloud_file *f)
{
	struct cloud *c = f->cloud;
	pthread_mutex_lock(&c->lock);
	bool lost = --f->refs == 0 && f->is_dirty;
	f->is_gone |= lost; /* nobody finds it any more */
	if (lost)
		take_out(c, f);
	pthread_mutex_unlock(&c->lock);
	if (lost) {
		keep(f);
		free_file(f);
	}
	trim(c);
}

/* A program that ended without closing it, or that goes on elsewhere: whoever frees its files must not wait for the server. */
static void *flush_later(void *ctx)
{
	struct cloud_file *f = ctx;
	struct cloud *c = f->cloud;
	file_flush(f);
	let_go(f);
	pthread_mutex_lock(&c->lock);
	c->closers--;
	pthread_cond_broadcast(&c->settled);
	pthread_mutex_unlock(&c->lock);
	cloud_unref(c);
	return NULL;
}

static bool start_closer(struct cloud_file *f)
{
	struct cloud *c = f->cloud;
	pthread_t thread;
	pthread_mutex_lock(&c->lock);
	c->closers++;
	pthread_mutex_unlock(&c->lock);
	cloud_ref(c);
	if (os_thread_start(&thread, CLOSER_STACK, flush_later, f)) {
		pthread_detach(thread);
		return true;
	}
	pthread_mutex_lock(&c->lock);
	c->closers--;
	pthread_mutex_unlock(&c->lock);
	cloud_unref(c);
	return false;
}

void file_unref(struct cloud_file *f)
{
	struct cloud *c = f->cloud;
	pthread_mutex_lock(&f->lock);
	bool try = f->is_dirty && !f->was_tried;
	f->was_tried |= try;
	pthread_mutex_unlock(&f->lock);
	pthread_mutex_lock(&c->lock);
	bool is_last = f->refs == 1;
	pthread_mutex_unlock(&c->lock);
	if (!is_last || !try || !start_closer(f))
		let_go(f);
}
