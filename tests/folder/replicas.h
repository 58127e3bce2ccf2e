/* replicas.h - a few replicas of a folder for tests: made, written by path, joined by their bytes, and looked at as text. */
#pragma once

#include "folder/view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline void must(enum err e)
{
	if (e != ERR_OK) {
		fprintf(stderr, "unexpected: %s\n", err_text(e));
		abort();
	}
}

static inline struct entry_id id_of(unsigned n)
{
	struct entry_id id = {{0}};
	for (unsigned i = 0; i < 4; i++)
		id.bytes[i] = (uint8_t)(n >> 8 * i);
	id.bytes[15] = 1;
	return id;
}

static inline struct folder *replica(unsigned writer)
{
	struct entry_id id = id_of(1000);
	uint8_t device[FOLDER_DEVICE_SIZE] = {(uint8_t)writer};
	struct folder *f = folder_new(&id, writer, device);
	if (!f)
		abort();
	return f;
}

/* A content that is its text: one chunk. The caller frees it with content_free(). */
static inline struct content content_with_text(const char *text)
{
	struct content c = {.mode = 0644, .size = strlen(text)};
	if (!c.size)
		return c;
	c.pieces = calloc(1, sizeof *c.pieces);
	if (!c.pieces)
		abort();
	c.piece_count = 1;
	c.pieces->addr = chunk_addr_of(text, strlen(text));
	c.pieces->size = c.size;
	return c;
}

/* Of a path like "a/b"; the empty one is the root. */
static inline enum err find(struct folder *f, const char *path, struct view_row *row)
{
	struct entry_id at = {{0}};
	for (;;) {
		size_t n = strcspn(path, "/");
		enum err e = view_find(f, &at, path, n, row);
		if (e != ERR_OK || !path[n])
			return e;
		at = row->entry->id;
		path += n + 1;
	}
}

static inline bool is_there(struct folder *f, const char *path)
{
	struct view_row row;
	return find(f, path, &row) == ERR_OK;
}

static inline bool says(struct folder *f, const char *path, const char *text)
{
	struct view_row row;
	if (find(f, path, &row) != ERR_OK || !row.content)
		return false;
	struct content c = content_with_text(text);
	bool same = c.size == row.content->size &&
	            (!c.size || chunk_addr_equal(&c.pieces->addr, &row.content->pieces->addr));
	content_free(&c);
	return same;
}

/* Splits off the last name. */
static inline const char *parent_of(struct folder *f, const char *path, struct entry_id *parent)
{
	char up[256];
	struct view_row row;
	const char *slash = strrchr(path, '/');
	*parent = (struct entry_id){{0}};
	if (!slash)
		return path;
	snprintf(up, sizeof up, "%.*s", (int)(slash - path), path);
	must(find(f, up, &row));
	*parent = row.entry->id;
	return slash + 1;
}

/* Makes the file with that id, or writes it when it is there. text NULL: a folder. */
static inline void put(struct folder *f, const char *path, const char *text, unsigned id,
                       uint64_t now)
{
	struct view_row row;
	struct entry_id parent, made = id_of(id);
	struct content c = content_with_text(text ? text : "");
	if (text && find(f, path, &row) == ERR_OK) {
		struct entry_id at = row.entry->id;
		must(folder_write(f, &at, NULL, &c, now, NULL));
	} else {
		const char *name = parent_of(f, path, &parent);
		must(folder_make(f, &parent, name, strlen(name), text ? ENTRY_FILE : ENTRY_FOLDER,
		                 &c, &made, now, NULL));
	}
	content_free(&c);
}

static inline enum err rm(struct folder *f, const char *path, uint64_t now)
{
	struct view_row row;
	must(find(f, path, &row));
	struct entry_id id = row.entry->id;
	return folder_remove(f, &id, now, NULL);
}

static inline enum err mv(struct folder *f, const char *from, const char *to, uint64_t now)
{
	struct view_row row;
	struct entry_id parent;
	must(find(f, from, &row));
	struct entry_id id = row.entry->id;
	const char *name = parent_of(f, to, &parent);
	return folder_move(f, &id, &parent, name, strlen(name), now, NULL);
}

/* What from knows comes to to, through bytes. */
static inline void tell(struct folder *from, struct folder *to)
{
	for (uint32_t i = 0; i < folder_count(from); i++) {
		struct wr w = {0};
		struct entry e;
		entry_pack(&w, folder_at(from, i));
		struct rd r = rd_of(w.data, w.size);
		must(entry_unpack(&r, &e));
		must(folder_join(to, &e, 0, 1));
		wr_free(&w);
	}
	must(folder_learn(to, folder_seen(from), folder_dropped(from)));
	must(folder_keep_needed(to, 1));
	for (unsigned i = 0; i < folder_members(from); i++) {
		struct folder_member m = *folder_member(from, i);
		if (!i)
			m.ack = *folder_seen(from);
		must(folder_hear_member(to, &m));
	}
	folder_check(to);
}

static inline void meet(struct folder *a, struct folder *b)
{
	tell(a, b);
	tell(b, a);
}

static inline void show(struct folder *f, const struct entry_id *at, unsigned depth, struct wr *w)
{
	struct view_row row;
	for (uint32_t i = 0; view_list(f, at, i, &row) == ERR_OK; i++) {
		char line[512];
		char addr[17] = "-";
		if (row.content && row.content->piece_count)
			chunk_addr_text(&row.content->pieces->addr, addr);
		int n = snprintf(line, sizeof line, "%*s%s %d %s\n", (int)depth, "", row.name,
		                 row.entry->kind, addr);
		wr_bytes(w, line, (size_t)n);
		struct entry_id id = row.entry->id;
		if (row.entry->kind == ENTRY_FOLDER)
			show(f, &id, depth + 1, w);
	}
}

/* The tree and the conflicts as text; free(). */
static inline char *picture(struct folder *f)
{
	struct wr w = {0};
	struct entry_id root = {{0}};
	struct conflict *list;
	uint32_t count;
	size_t size;
	show(f, &root, 0, &w);
	must(view_conflicts(f, &list, &count));
	for (uint32_t i = 0; i < count; i++) {
		char line[512];
		int n = snprintf(line, sizeof line, "conflict %d %s %llu.%llu\n", list[i].kind,
		                 list[i].name, (unsigned long long)list[i].dot.writer,
		                 (unsigned long long)list[i].dot.seq);
		wr_bytes(&w, line, (size_t)n);
	}
	conflicts_free(list);
	wr_u8(&w, 0);
	folder_check(f);
	return (char *)wr_take(&w, &size);
}

static inline bool look_the_same(struct folder *a, struct folder *b)
{
	char *x = picture(a), *y = picture(b);
	bool same = strcmp(x, y) == 0;
	if (!same)
		fprintf(stderr, "one:\n%sother:\n%s", x, y);
	free(x);
	free(y);
	return same;
}

/* The n-th conflict of that kind; false: there is none. */
static inline bool conflict_of(struct folder *f, enum conflict_kind kind, unsigned n,
                               struct conflict *out)
{
	struct conflict *list;
	uint32_t count, i = 0;
	must(view_conflicts(f, &list, &count));
	while (i < count && (list[i].kind != kind || n-- > 0))
		i++;
	bool found = i < count;
	if (found)
		*out = list[i];
	conflicts_free(list);
	return found;
}
