/* view.h - the tree that a replica's entries make, and the conflicts beside it. A pure function of the set of entries.
 *
 * So all devices that know the same show the same, and nothing has to be written to settle what devices did at the same time. The rules:
 *
 *	edit and edit	of the contents that do not know of each other the one with the later stamp is shown (then the greater dot);
 *			the others are conflicts, until somebody takes or drops them
 *	delete and edit	the edit wins: what was written by somebody who did not know of the deletion is there, and listed
 *	delete and move	the move wins
 *	move and move	the later one; the other is listed
 *	folder deleted, something made or kept in it	the folder is there as long as something in it is; for good once somebody puts more into it,
 *			or once others may have forgotten it (folder_keep_needed())
 *	two folders of one name	are one folder: the least id stands for it
 *	two files of one name	the later content is shown; the other is a conflict, unless it is the same
 *	file and folder of one name	the folder is shown, the file is a conflict
 *	moves that make a circle	of the folders in it the one that was moved last is back where it was, or in the root if that is gone
 *	a parent that nobody knows	what is in it is a conflict
 *	names that differ in case only	both are there, and reported: some systems can show only one (view_names())
 *
 * Conflicts stand outside of the folder, so that no program finds files that it did not write. Rows are borrowed until
 * the replica's next change. One thread at a time; what asks makes the view, when there is none, in O(n log n).
 *
 *	TRY(view_find(f, &root, "notes", 5, &row));
 *	TRY(view_conflicts(f, &list, &count));  ... conflicts_free(list);
 */
#pragma once

#include "folder/folder.h"

/* What stands in the tree. */
struct view_row {
	const struct entry *entry; /* of folders that are one the one that stands for it */
	struct entry_id parent;    /* likewise; zeros: the root */
	const char *name;
	size_t name_size;
	const struct content *content; /* NULL: none came (then size 0) */
	bool revived;                  /* deleted, and here all the same */
};

enum conflict_kind {
	CONFLICT_EDIT,    /* another content of an entry */
	CONFLICT_NAME,    /* an entry whose name another has */
	CONFLICT_ORPHAN,  /* its folder is unknown */
	CONFLICT_REVIVED, /* told only: deleted on one device, edited on another */
	CONFLICT_MOVED,   /* told only: moved to another place on another device */
	CONFLICT_CIRCLE,  /* told only: its move was undone */
	CONFLICT_KINDS
};

struct conflict {
	enum conflict_kind kind;
	struct entry_id id;      /* whose */
	struct entry_id against; /* NAME: who has the name; zeros: nobody by now */
	struct dot dot;          /* of the version: its writer is the device to name */
	uint64_t stamp_ms;       /* and its time */
	const char *name;
	size_t name_size;
	const struct content *content; /* EDIT, NAME, ORPHAN; borrowed */
};

struct view;

/* ERR_NOTFOUND; ERR_NOMEM. */
enum err view_get(struct folder *f, const struct entry_id *id, struct view_row *out);
enum err view_find(struct folder *f, const struct entry_id *parent, const char *name, size_t size,
                   struct view_row *out);
/* The i-th by name in a folder; ERR_NOTFOUND: none, or no such folder. */
enum err view_list(struct folder *f, const struct entry_id *parent, uint32_t i,
                   struct view_row *out);
/* The list is the caller's (conflicts_free()); what it points to is borrowed until the next change. */
enum err view_conflicts(struct folder *f, struct conflict **out, uint32_t *count);
void conflicts_free(struct conflict *list);

enum settle { SETTLE_TAKE, SETTLE_DROP };
/* TAKE: it becomes the content that is shown (EDIT, NAME), or gets its name back (NAME that nobody has: ERR_EXISTS when taken by now; ORPHAN: in
 * the root). DROP: into the history. What is told only is told no more, either way. ERR_NOTFOUND: it is settled already. */
enum err view_settle(struct folder *f, const struct conflict *c, enum settle how, uint64_t now_ms,
                     struct errmsg *msg);

/* Names that not every system can hold: why is as of name_is_portable(), or ERR_EXISTS for one that differs from another in case only. */
enum err view_names(struct folder *f,
                    void (*fn)(void *ctx, const struct view_row *row, enum err why), void *ctx);
/* A name with each letter as the simple case folding of Unicode has it; bytes that are no UTF-8 stay. Returns its size; out has
 * 2 * ENTRY_NAME_MAX bytes. */
size_t name_fold(const char *name, size_t size, char out[2 * ENTRY_NAME_MAX]);

/* The next that asks makes it anew: for tests. */
void folder_forget_view(struct folder *f);

/* For folder/ only. */
void view_free(struct view *v); /* NULL is fine */
void view_check(const struct folder *f);
