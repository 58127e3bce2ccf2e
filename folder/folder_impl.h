/* folder_impl.h - inside of a replica. For folder/ only.
 *
 * Truths, which folder_check() asserts:
 *	rows are sorted by id, none twice, none the root
 *	seen has (writer, seq), and no entry knows a greater number of our writer
 *	an entry's versions are dots that it knows
 *	the view, when it is there, was made of these rows as they are
 */
#pragma once

#include "folder/folder.h"

struct row {
	struct entry e;
	uint64_t changed; /* the folder's count then */
	uint32_t origin;  /* whose value it is exactly; 0: nobody's */
	uint32_t listed;  /* bit n: in the whole list n */
	bool dirty, needed;
};

struct erased {
	enum folder_record kind;
	uint8_t key[FOLDER_KEY_SIZE];
};

struct past_row {
	struct folder_past p;
	bool dirty;
};

struct view;

struct folder {
	struct entry_id id;
	uint64_t writer, seq;
	struct vector seen, dropped;
	struct row **rows;
	uint32_t count, cap;
	struct folder_member members[VECTOR_MAX];
	unsigned member_count; /* the first is us */
	struct past_row *past;
	uint32_t past_count, past_cap;
	struct erased *erased; /* not yet on disk that it is no more */
	uint32_t erased_count, erased_cap;
	uint64_t changes, news;
	bool head_dirty, rows_dirty, stale;
	uint32_t lists;    /* bit n: whole list n is under way */
	struct view *view; /* NULL: to be made */
};

struct row *folder_row_of(const struct folder *f, const struct entry_id *id);
/* Where the id is, or belongs. */
uint32_t folder_place_of(const struct folder *f, const struct entry_id *id);
/* e is taken, in every case. */
enum err folder_insert(struct folder *f, struct entry *e, struct row **out);
/* What its head says changed: others may want to know. */
void folder_head_touched(struct folder *f);
void folder_touched(struct folder *f, struct row *row, uint32_t origin);
/* The entry is no more, and its record. It has to be in. */
enum err folder_erase(struct folder *f, struct row *row);
/* Contents of old that are not in now go into the history. */
enum err folder_keep_past(struct folder *f, const struct entry *old, const struct entry *now,
                          uint64_t now_ms);
enum err folder_add_past(struct folder *f, const struct folder_past *p);
void folder_view_drop(struct folder *f);
void folder_past_key(const struct folder_past *p, uint8_t key[FOLDER_KEY_SIZE]);

/* A local change of one entry: begun as a copy, with a dot of its own, and put in place whole. */
struct change {
	struct row *row;
	struct entry e;
	struct dot dot;
	uint64_t stamp_ms;
};
enum err change_begin(struct folder *f, struct row *row, uint64_t now_ms, struct change *c);
/* Frees the change, also when it fails; e is the error so far, which is returned. */
enum err change_end(struct folder *f, struct change *c, uint64_t now_ms, enum err e);
/* The only place from here on. parent NULL: where it was, by that name. */
enum err change_place(struct change *c, enum place_kind kind, const struct entry_id *parent,
                      const char *name, size_t size);
