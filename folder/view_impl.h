/* view_impl.h - inside of the view. For folder/ only.
 *
 * Entries are numbered as folder_at() has them; VIEW_ROOT is the root. Truths, which view_check() asserts: the folder a shown entry stands in
 * is shown, and stands for itself; from each the way up ends at the root; names in a folder are rising, none twice.
 */
#pragma once

#include "folder/folder_impl.h"
#include "folder/view.h"

enum { VIEW_NONE = -1, VIEW_ROOT = -2, VIEW_LOST = -3 };
enum { WAY_TO_ROOT = 1, WAY_LOST };

struct node {
	const struct place *place;     /* the winner; NULL: none */
	const struct content *content; /* likewise */
	int32_t
	    parent; /* a folder's number as the winner says, after circles are broken; VIEW_ROOT; VIEW_LOST: unknown */
	int32_t
	    stands; /* who stands for it: itself, or another folder of the same name; VIEW_NONE: not shown */
	int32_t twin;         /* the next folder of that name; VIEW_NONE: none */
	int32_t hidden_by;    /* who has its name; VIEW_NONE: nobody */
	int32_t child, next;  /* lists by parent, while the view is made */
	uint32_t first, kids; /* of a folder that stands for itself: its part of order[] */
	uint8_t fallback; /* 0; 1: back where it was; 2: in the root, as its moves made a circle */
	bool wanted;      /* alive, or above what is alive */
	uint8_t way;      /* WAY_TO_ROOT, WAY_LOST; 0: not yet known */
	bool orphan;
};

struct view {
	struct node *nodes;
	uint32_t count;
	int32_t *order; /* shown entries, folder by folder, by name */
	uint32_t used;
	int32_t root_child;
	uint32_t root_first, root_kids;
};

/* Made when there is none. */
enum err view_of(struct folder *f, struct view **out);
/* The view that was there before the entry was made as number i, under a name that was free in the shown folder (its number before): with
 * it, in O(n) and without sorting. v is taken. */
void view_patch_made(struct folder *f, struct view *v, uint32_t i, int32_t folder);
/* The view that was there before a new content of the shown entry i won. v is taken. */
void view_patch_written(struct folder *f, struct view *v, uint32_t i);
/* The number of a shown folder that stands for itself, from the id of any of its twins; VIEW_ROOT; VIEW_NONE. */
int32_t view_folder(const struct folder *f, const struct entry_id *id);
/* The number of a shown entry. */
int32_t view_number(const struct folder *f, const struct entry_id *id);
void view_kids(const struct view *v, int32_t folder, uint32_t *first, uint32_t *count);
/* Who has the name in the folder; VIEW_NONE. */
int32_t view_named(const struct folder *f, int32_t folder, const char *name, size_t size);
