/* backup.c - a walk over a folder that makes a replica the same, and one over a replica that makes a folder. */
#include "cloud/backup.h"

#include "base/crypto.h"
#include "base/os.h"
#include "folder/cut.h"
#include "folder/pieces.h"
#include "folder/view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { READ_BYTES = 256 << 10, NAMES_MAX = 1 << 20 };

struct job {
	struct vault *vault;
	struct folder *f;
	const _Atomic bool *stop;
	struct backup_figures *figures;
	struct errmsg *msg;
	uint64_t now_ms;
	unsigned depth;
	uint8_t *buf; /* READ_BYTES */
};

static enum err go_on(const struct job *j)
{
	return j->stop && atomic_load(j->stop) ? err_set(j->msg, ERR_CLOSED, "it was broken off")
	                                       : ERR_OK;
}

/* ---- names of a folder of the host, sorted ---- */

struct names {
	char **at;
	uint32_t count, cap;
	bool failed;
};

static bool add(void *ctx, const struct vfs_dirent *e)
{
	struct names *n = ctx;
	if (e->name[0] == '.' && (e->name_size == 1 || (e->name_size == 2 && e->name[1] == '.')))
		return true;
	if (n->count == n->cap) {
		uint32_t cap = n->cap ? 2 * n->cap : 64;
		char **at = cap <= NAMES_MAX ? realloc(n->at, cap * sizeof *at) : NULL;
		n->failed |= !at;
		if (!at)
			return false;
		n->at = at;
		n->cap = cap;
	}
	char *name = calloc(1, e->name_size + 1);
	n->failed |= !name;
	if (!name)
		return false;
	memcpy(name, e->name, e->name_size);
	n->at[n->count++] = name;
	return true;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void free_names(struct names *n)
{
	for (uint32_t i = 0; i < n->count; i++)
		free(n->at[i]);
	free(n->at);
}

static bool list(struct vfs_obj *dir, struct names *n)
{
	*n = (struct names){0};
	enum ferr e = vfs_readdir(dir, 0, add, n);
	if (e != FE_OK || n->failed) {
		free_names(n);
		return false;
	}
	if (n->count)
		qsort(n->at, n->count, sizeof *n->at, by_name);
	return true;
}

static bool is_in(const struct names *n, const char *name)
{
	return n->count && bsearch(&name, n->at, n->count, sizeof *n->at, by_name);
}

/* ---- a file's content ---- */

struct cutting {
	struct job *job;
	struct cutter cutter;
	struct pieces pieces;
	struct wr chunk;
};

static enum err put(void *ctx, const struct chunk_addr *addr, const void *bytes, size_t size)
{
	struct job *j = ctx;
	return vault_store(j->vault, addr, bytes, size, j->msg);
}

static enum err end_chunk(struct cutting *c)
{
	if (!c->chunk.size)
		return ERR_OK;
	struct chunk_addr addr = chunk_addr_of(c->chunk.data, c->chunk.size);
	TRY(put(c->job, &addr, c->chunk.data, c->chunk.size));
	TRY(pieces_add(&c->pieces, &addr, c->chunk.size));
	wr_clear(&c->chunk);
	cutter_reset(&c->cutter);
	return ERR_OK;
}

static enum err cut(struct cutting *c, const uint8_t *bytes, size_t size)
{
	while (size) {
		bool ended;
		size_t n = cutter_feed(&c->cutter, bytes, size, &ended);
		wr_bytes(&c->chunk, bytes, n);
		if (!wr_ok(&c->chunk))
			return ERR_NOMEM;
		if (ended)
			TRY(end_chunk(c));
		bytes += n;
		size -= n;
	}
	return ERR_OK;
}

static enum err cut_all(struct cutting *c, struct vfs_obj *file)
{
	size_t got = 1;
	for (uint64_t at = 0; got; at += got) {
		struct vfs_iov iov = {.p = c->job->buf, .size = READ_BYTES};
		TRY(go_on(c->job));
		if (vfs_read(file, at, &iov, 1, &got) != FE_OK)
			return ERR_IO;
		TRY(cut(c, c->job->buf, got));
	}
	return end_chunk(c);
}

static enum err read_file(struct job *j, struct vfs_obj *file, struct content *out)
{
	struct cutting c = {.job = j, .pieces = {.put = put, .ctx = j}};
	cutter_init(&c.cutter, vault_cut_key(j->vault));
	enum err e = cut_all(&c, file);
	if (e == ERR_OK)
		e = pieces_end(&c.pieces, out);
	else
		pieces_drop(&c.pieces);
	wr_free(&c.chunk);
	return e;
}

/* ---- saving ---- */

static struct content content_of(const struct vfs_stat *st)
{
	struct content c = {.mode = st->has_mode               ? st->mode & 07777u
	                            : st->type == VFS_TYPE_DIR ? 0755u
	                                                       : 0644u,
	                    .mtime_ns = (int64_t)st->mtime_ns};
	return c;
}

static bool is_same(const struct view_row *row, const struct content *c, uint64_t size)
{
	return row->content && row->content->size == size && row->content->mode == c->mode &&
	       row->content->mtime_ns == c->mtime_ns;
}

static enum err remove_tree(struct job *j, const struct entry_id *id)
{
	struct view_row row;
	while (view_list(j->f, id, 0, &row) == ERR_OK) {
		struct entry_id inner = row.entry->id;
		TRY(remove_tree(j, &inner));
	}
	j->figures->removed++;
	return folder_remove(j->f, id, j->now_ms, j->msg);
}

/* The entry of that name and kind in the replica: made, or its content replaced. *id is what it is. */
static enum err set(struct job *j, const struct entry_id *parent, const char *name,
                    enum entry_kind kind, const struct content *c, struct entry_id *id)
{
	struct view_row row;
	enum err e = view_find(j->f, parent, name, strlen(name), &row);
	if (e == ERR_OK && row.entry->kind != kind) {
		struct entry_id old = row.entry->id;
		TRY(remove_tree(j, &old));
		e = ERR_NOTFOUND;
	}
	if (e == ERR_NOTFOUND) {
		crypto_random(id, sizeof *id);
		return folder_make(j->f, parent, name, strlen(name), kind, c, id, j->now_ms,
		                   j->msg);
	}
	TRY(e);
	*id = row.entry->id;
	return row.content && content_equal(row.content, c) && row.content->mtime_ns == c->mtime_ns
	           ? ERR_OK
	           : folder_write(j->f, id, NULL, c, j->now_ms, j->msg);
}

static enum err save_file(struct job *j, struct vfs_obj *dir, const char *name,
                          const struct vfs_stat *st, const struct entry_id *parent)
{
	struct content c = content_of(st);
	struct view_row row;
	struct entry_id id;
	struct vfs_obj *file;
	j->figures->files++;
	j->figures->bytes += st->size_bytes;
	if (view_find(j->f, parent, name, strlen(name), &row) == ERR_OK &&
	    row.entry->kind == ENTRY_FILE && is_same(&row, &c, st->size_bytes))
		return ERR_OK;
	if (vfs_open(dir, name, VFS_READ | VFS_NOFOLLOW, &file) != FE_OK) {
		j->figures->skipped++;
		return ERR_OK;
	}
	j->figures->read_files++;
	enum err e = read_file(j, file, &c);
	vfs_unref(file);
	if (e == ERR_OK)
		e = set(j, parent, name, ENTRY_FILE, &c, &id);
	content_free(&c);
	return e;
}

static enum err save_link(struct job *j, struct vfs_obj *dir, const char *name,
                          const struct vfs_stat *st, const struct entry_id *parent)
{
	char text[ENTRY_TEXT_MAX];
	size_t size = sizeof text;
	struct entry_id id;
	struct content c = content_of(st);
	if (vfs_readlink(dir, name, text, &size) != FE_OK || !size) {
		j->figures->skipped++;
		return ERR_OK;
	}
	c.mode = 0777;
	c.text = text;
	c.text_size = (uint16_t)size;
	j->figures->links++;
	return set(j, parent, name, ENTRY_LINK, &c, &id);
}

static enum err save_folder(struct job *j, struct vfs_obj *dir, const struct entry_id *id);

static enum err save_below(struct job *j, struct vfs_obj *dir, const char *name,
                           const struct vfs_stat *st, const struct entry_id *parent)
{
	struct content c = content_of(st);
	struct entry_id id;
	struct vfs_obj *below;
	if (j->depth == FOLDER_DEPTH_MAX ||
	    vfs_open(dir, name, VFS_READ | VFS_DIRECTORY | VFS_NOFOLLOW, &below) != FE_OK) {
		j->figures->skipped++;
		return ERR_OK;
	}
	c.mtime_ns = 0; /* it changes with what is in it */
	j->figures->folders++;
	enum err e = set(j, parent, name, ENTRY_FOLDER, &c, &id);
	j->depth++;
	if (e == ERR_OK)
		e = save_folder(j, below, &id);
	j->depth--;
	vfs_unref(below);
	return e;
}

static enum err save_name(struct job *j, struct vfs_obj *dir, const char *name,
                          const struct entry_id *parent)
{
	struct vfs_stat st;
	TRY(go_on(j));
	if (!name_is_possible(name, strlen(name)) || vfs_stat_at(dir, name, false, &st) != FE_OK)
		st.type = VFS_TYPE_UNKNOWN;
	switch (st.type) {
	case VFS_TYPE_FILE: return save_file(j, dir, name, &st, parent);
	case VFS_TYPE_DIR: return save_below(j, dir, name, &st, parent);
	case VFS_TYPE_SYMLINK: return save_link(j, dir, name, &st, parent);
	default: j->figures->skipped++; return ERR_OK;
	}
}

/* What is in the replica's folder and not in the host's goes. */
static enum err drop_missing(struct job *j, const struct names *names, const struct entry_id *id)
{
	struct view_row row;
	for (uint32_t i = 0; view_list(j->f, id, i, &row) == ERR_OK;) {
		char name[ENTRY_NAME_MAX + 1];
		snprintf(name, sizeof name, "%.*s", (int)row.name_size, row.name);
		if (is_in(names, name)) {
			i++;
			continue;
		}
		struct entry_id gone = row.entry->id;
		TRY(remove_tree(j, &gone));
	}
	return ERR_OK;
}

static enum err save_folder(struct job *j, struct vfs_obj *dir, const struct entry_id *id)
{
	struct names names;
	enum err e = ERR_OK;
	if (!list(dir, &names)) {
		j->figures->skipped++; /* what was saved of it before stays */
		return ERR_OK;
	}
	for (uint32_t i = 0; e == ERR_OK && i < names.count; i++)
		e = save_name(j, dir, names.at[i], id);
	if (e == ERR_OK)
		e = drop_missing(j, &names, id);
	free_names(&names);
	return e;
}

static enum err put_nowhere(void *ctx, enum folder_record kind, const uint8_t *key,
                            const void *bytes, size_t size)
{
	return ERR_OK; /* the head on the storage is where the replica is kept */
}

static enum err load_nothing(void *ctx, const struct chunk_addr *addr, struct wr *out,
                             struct errmsg *msg)
{
	return err_set(msg, ERR_NOTFOUND, "a chunk of an earlier backup is gone from the storage");
}

static enum err open_replica(struct job *j, const uint8_t *device)
{
	struct entry_id id;
	uint64_t writer = 0;
	enum err e = vault_replica(j->vault, device, &j->f, j->msg);
	if (e != ERR_NOTFOUND)
		return e;
	j->msg->text[0] = 0;
	memcpy(&id, device, sizeof id);
	while (!writer)
		crypto_random(&writer, sizeof writer);
	j->f = folder_new(&id, writer, device);
	return j->f ? ERR_OK : ERR_NOMEM;
}

static enum err begin(struct job *j, const _Atomic bool *stop, struct backup_figures *out)
{
	*out = (struct backup_figures){0};
	j->stop = stop;
	j->figures = out;
	j->now_ms = os_wall_ns() / 1000000;
	j->buf = malloc(READ_BYTES);
	return j->buf ? ERR_OK : ERR_NOMEM;
}

enum err backup_save(struct vault *v, struct vfs_obj *root,
                     const uint8_t device[FOLDER_DEVICE_SIZE], const _Atomic bool *stop,
                     struct backup_figures *out, struct errmsg *msg)
{
	struct errmsg unused = {{0}};
	struct job j = {.vault = v, .msg = msg ? msg : &unused};
	struct vault_chunks chunks = {.load = load_nothing};
	struct entry_id top = {{0}};
	TRY(begin(&j, stop, out));
	enum err e = open_replica(&j, device);
	if (e == ERR_OK)
		e = save_folder(&j, root, &top);
	if (e == ERR_OK)
		e = folder_save(j.f, put_nowhere, NULL);
	if (e == ERR_OK)
		e = vault_push(v, j.f, device, &chunks, j.now_ms, j.msg);
	folder_free(j.f);
	free(j.buf);
	return e;
}

/* ---- restoring ---- */

static enum err told(struct job *j, const char *name, enum ferr e)
{
	return e == FE_OK ? ERR_OK
	                  : err_set(j->msg, e == FE_NOSPC ? ERR_FULL : ERR_IO, "%.200s: %s", name,
	                            ferr_text(e));
}

static enum err write_all(struct vfs_obj *file, const char *name, const struct wr *bytes,
                          uint64_t *at, struct job *j)
{
	for (size_t from = 0, put_bytes = 0; from < bytes->size; from += put_bytes) {
		uint64_t end;
		struct vfs_iov iov = {.p = bytes->data + from, .size = bytes->size - from};
		TRY(told(j, name, vfs_write(file, *at, 0, &iov, 1, &put_bytes, &end)));
		if (!put_bytes)
			return told(j, name, FE_IO);
		*at += put_bytes;
	}
	return ERR_OK;
}

static enum err write_pieces(struct job *j, struct vfs_obj *file, const char *name,
                             const struct piece *list_of, uint32_t count, unsigned depth,
                             uint64_t *at)
{
	for (uint32_t i = 0; i < count; i++) {
		struct wr bytes = {0};
		struct piece *inner = NULL;
		uint32_t inner_count = 0;
		enum err e = go_on(j);
		if (e == ERR_OK)
			e = vault_chunk(j->vault, &list_of[i].addr, &bytes, j->msg);
		if (e == ERR_OK && depth)
			e = pieces_read(bytes.data, bytes.size, depth - 1, list_of[i].size, &inner,
			                &inner_count);
		if (e == ERR_OK)
			e = depth ? write_pieces(j, file, name, inner, inner_count, depth - 1, at)
			          : write_all(file, name, &bytes, at, j);
		free(inner);
		wr_free(&bytes);
		TRY(e);
	}
	return ERR_OK;
}

static enum err restore_file(struct job *j, const struct view_row *row, const char *name,
                             struct vfs_obj *dir)
{
	const struct content *c = row->content;
	struct vfs_times times = {.mtime_how = VFS_TIME_SET};
	struct vfs_obj *file;
	uint64_t at = 0;
	TRY(told(j, name,
	         vfs_open(dir, name, VFS_READ | VFS_WRITE | VFS_CREATE | VFS_EXCLUSIVE, &file)));
	enum err e =
	    c ? write_pieces(j, file, name, c->pieces, c->piece_count, c->depth, &at) : ERR_OK;
	if (e == ERR_OK && c) {
		times.mtime_ns = (uint64_t)c->mtime_ns;
		vfs_set_mode(file, c->mode); /* not every system has modes */
		vfs_set_times(file, &times);
	}
	vfs_unref(file);
	j->figures->files++;
	j->figures->bytes += at;
	return e;
}

static enum err restore_link(struct job *j, const struct view_row *row, const char *name,
                             struct vfs_obj *dir)
{
	char text[ENTRY_TEXT_MAX + 1];
	if (!row->content)
		return ERR_OK;
	memcpy(text, row->content->text, row->content->text_size);
	text[row->content->text_size] = 0;
	enum ferr e = vfs_symlink(dir, text, name);
	j->figures->links += e == FE_OK;
	j->figures->skipped += e != FE_OK; /* an absolute one, or a system without links */
	return ERR_OK;
}

static enum err restore_folder(struct job *j, const struct entry_id *id, struct vfs_obj *dir);

static enum err restore_below(struct job *j, const struct view_row *row, const char *name,
                              struct vfs_obj *dir)
{
	struct vfs_obj *below;
	struct entry_id id = row->entry->id;
	TRY(told(j, name, vfs_mkdir(dir, name)));
	TRY(told(j, name, vfs_open(dir, name, VFS_READ | VFS_DIRECTORY | VFS_NOFOLLOW, &below)));
	j->figures->folders++;
	enum err e = restore_folder(j, &id, below);
	if (e == ERR_OK && row->content)
		vfs_set_mode(below, row->content->mode);
	vfs_unref(below);
	return e;
}

static enum err restore_folder(struct job *j, const struct entry_id *id, struct vfs_obj *dir)
{
	struct view_row row;
	enum err e = ERR_OK;
	for (uint32_t i = 0; e == ERR_OK && view_list(j->f, id, i, &row) == ERR_OK; i++) {
		char name[ENTRY_NAME_MAX + 1];
		snprintf(name, sizeof name, "%.*s", (int)row.name_size, row.name);
		e = row.entry->kind == ENTRY_FILE     ? restore_file(j, &row, name, dir)
		    : row.entry->kind == ENTRY_FOLDER ? restore_below(j, &row, name, dir)
		                                      : restore_link(j, &row, name, dir);
	}
	return e;
}

enum err backup_restore(struct vault *v, const uint8_t device[FOLDER_DEVICE_SIZE],
                        struct vfs_obj *root, const _Atomic bool *stop, struct backup_figures *out,
                        struct errmsg *msg)
{
	struct errmsg unused = {{0}};
	struct job j = {.vault = v, .msg = msg ? msg : &unused};
	struct names names;
	struct entry_id top = {{0}};
	if (!list(root, &names))
		return err_set(j.msg, ERR_IO, "the folder cannot be read");
	bool is_empty = !names.count;
	free_names(&names);
	if (!is_empty)
		return err_set(j.msg, ERR_EXISTS,
		               "the folder is not empty: nothing is written over");
	TRY(begin(&j, stop, out));
	enum err e = vault_replica(v, device, &j.f, j.msg);
	if (e == ERR_NOTFOUND)
		err_set(j.msg, e, "that device has saved nothing there");
	if (e == ERR_OK)
		e = restore_folder(&j, &top, root);
	folder_free(j.f);
	free(j.buf);
	return e;
}
