/* view.c - from entries to a tree: parents, circles, what is alive, and one entry a name.
 *
 *	1. of each entry the winning place and content; its parent's number
 *	2. circles of folders: the one that was moved last goes back, until there is no circle
 *	3. alive entries, and all folders above them
 *	4. from the root down: children by name; folders of one name become one, of others one is shown
 */
#include "folder/view_impl.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void view_free(struct view *v)
{
	if (!v)
		return;
	free(v->nodes);
	free(v->order);
	free(v);
}

/* ---- 1. parents ---- */

static int32_t folder_number(const struct folder *f, const struct entry_id *id)
{
	if (entry_id_is_root(id))
		return VIEW_ROOT;
	uint32_t i = folder_place_of(f, id);
	if (i == f->count || !entry_id_equal(&f->rows[i]->e.id, id) ||
	    f->rows[i]->e.kind != ENTRY_FOLDER)
		return VIEW_LOST;
	return (int32_t)i;
}

static void find_winners(const struct folder *f, struct view *v)
{
	for (uint32_t i = 0; i < v->count; i++) {
		const struct entry *e = &f->rows[i]->e;
		struct node *n = &v->nodes[i];
		int place = entry_place(e), content = entry_content(e);
		n->place = place < 0 ? NULL : &e->places[place];
		n->content = content < 0 ? NULL : &e->contents[content];
		n->parent = n->place ? folder_number(f, &n->place->parent) : VIEW_LOST;
		n->stands = n->twin = n->hidden_by = n->child = n->next = VIEW_NONE;
	}
}

/* ---- 2. circles ---- */

/* So often going back may close another circle; then what closes one goes into the root, which never does. */
enum { PASSES = 8 };

static bool moved_later(const struct view *v, int32_t a, int32_t b)
{
	return place_compare(v->nodes[a].place, v->nodes[b].place) > 0;
}

static void fall_back(const struct folder *f, struct node *n)
{
	int32_t back = n->fallback ? VIEW_ROOT : folder_number(f, &n->place->from);
	/* A deleted folder may be forgotten on another device. */
	if (back == VIEW_LOST || (back >= 0 && entry_is_dead(&f->rows[back]->e)))
		back = VIEW_ROOT;
	n->parent = back;
	n->fallback++;
}

/* A circle that begins and ends at i: its latest move is undone. */
static void break_circle(const struct folder *f, struct view *v, int32_t i, bool to_root)
{
	int32_t last = i;
	for (int32_t k = v->nodes[i].parent; k != i; k = v->nodes[k].parent)
		if (moved_later(v, k, last))
			last = k;
	if (to_root)
		v->nodes[last].fallback = 1;
	fall_back(f, &v->nodes[last]);
}

/* One pass: each entry's way up is walked once; mark[k] says in which walk k was met. */
static bool break_circles(const struct folder *f, struct view *v, uint32_t *mark, bool to_root)
{
	bool found = false;
	memset(mark, 0, v->count * sizeof *mark);
	for (uint32_t i = 0; i < v->count; i++) {
		int32_t k = (int32_t)i;
		while (k >= 0 && !mark[k]) {
			mark[k] = i + 1;
			k = v->nodes[k].parent;
		}
		if (k >= 0 && mark[k] == i + 1) {
			break_circle(f, v, k, to_root);
			found = true;
		}
	}
	return found;
}

/* ---- 3. what is alive ---- */

static bool stands_in_tree(const struct folder *f, const struct view *v, uint32_t i)
{
	const struct entry *e = &f->rows[i]->e;
	return v->nodes[i].place && v->nodes[i].place->kind != PLACE_ASIDE && !entry_is_dead(e);
}

/* Each node is walked over once: what its way up ends in is kept. */
static bool way_is_lost(struct view *v, int32_t i)
{
	int32_t k = i;
	while (k >= 0 && !v->nodes[k].way)
		k = v->nodes[k].parent;
	uint8_t way = k >= 0 ? v->nodes[k].way : k == VIEW_LOST ? WAY_LOST : WAY_TO_ROOT;
	for (k = i; k >= 0 && !v->nodes[k].way; k = v->nodes[k].parent)
		v->nodes[k].way = way;
	return way == WAY_LOST;
}

static void find_alive(const struct folder *f, struct view *v)
{

	for (uint32_t i = 0; i < v->count; i++) {
		if (!stands_in_tree(f, v, i))
			continue;
		if (way_is_lost(v, (int32_t)i)) {
			v->nodes[i].orphan = true;
			continue;
		}
		for (int32_t k = (int32_t)i; k >= 0 && !v->nodes[k].wanted; k = v->nodes[k].parent)
			v->nodes[k].wanted = true;
	}
}

/* ---- 4. names ---- */

struct named {
	const struct node *node;
	const struct entry *entry;
	int32_t i;
};

static int name_compare(const struct place *a, const struct place *b)
{
	size_t least = a->name_size < b->name_size ? a->name_size : b->name_size;
	int c = memcmp(a->name, b->name, least);
	return c ? c : (a->name_size > b->name_size) - (a->name_size < b->name_size);
}

/* Who of two has the name: a folder, the later content, the later place, the greater id. Below 0: a. */
static int better_of(const struct named *a, const struct named *b)
{
	bool folder_a = a->entry->kind == ENTRY_FOLDER, folder_b = b->entry->kind == ENTRY_FOLDER;
	if (folder_a != folder_b)
		return folder_a ? -1 : 1;
	if (folder_a)
		return a->i < b->i ? -1 : 1;
	const struct content *x = a->node->content, *y = b->node->content;
	int c = x && y ? content_compare(y, x) : (y != NULL) - (x != NULL);
	if (!c)
		c = place_compare(b->node->place, a->node->place);
	return c ? c : a->i > b->i ? -1 : 1;
}

static int by_name(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int c = name_compare(x->node->place, y->node->place);
	if (c || x->i == y->i)
		return c;
	return better_of(x, y);
}

/* All of one name: the first has it. */
static void give_name(struct view *v, const struct named *all, uint32_t count)
{
	int32_t first = all[0].i, last = first;
	v->nodes[first].stands = first;
	v->order[v->used++] = first;
	for (uint32_t k = 1; k < count; k++) {
		struct node *n = &v->nodes[all[k].i];
		if (all[k].entry->kind == ENTRY_FOLDER) {
			n->stands = first;
			v->nodes[last].twin = all[k].i;
			last = all[k].i;
		} else {
			n->hidden_by = first;
		}
	}
}

static uint32_t gather(const struct folder *f, const struct view *v, int32_t child,
                       struct named *all, uint32_t count)
{
	for (; child >= 0; child = v->nodes[child].next)
		all[count++] = (struct named){&v->nodes[child], &f->rows[child]->e, child};
	return count;
}

static void name_kids(const struct folder *f, struct view *v, int32_t folder, struct named *all)
{
	uint32_t count = 0, first = v->used;
	if (folder == VIEW_ROOT)
		count = gather(f, v, v->root_child, all, 0);
	for (int32_t k = folder; k >= 0; k = v->nodes[k].twin)
		count = gather(f, v, v->nodes[k].child, all, count);
	if (count)
		qsort(all, count, sizeof *all, by_name);
	for (uint32_t i = 0; i < count;) {
		uint32_t k = i + 1;
		while (k < count && name_compare(all[i].node->place, all[k].node->place) == 0)
			k++;
		give_name(v, all + i, k - i);
		i = k;
	}
	uint32_t *at = folder == VIEW_ROOT ? &v->root_first : &v->nodes[folder].first;
	uint32_t *kids = folder == VIEW_ROOT ? &v->root_kids : &v->nodes[folder].kids;
	*at = first;
	*kids = v->used - first;
}

static void hang_up(struct view *v)
{
	v->root_child = VIEW_NONE;
	for (uint32_t i = v->count; i-- > 0;) {
		struct node *n = &v->nodes[i];
		if (!n->wanted)
			continue;
		int32_t *list =
		    n->parent == VIEW_ROOT ? &v->root_child : &v->nodes[n->parent].child;
		n->next = *list;
		*list = (int32_t)i;
	}
}

static void name_all(const struct folder *f, struct view *v, struct named *all)
{
	hang_up(v);
	name_kids(f, v, VIEW_ROOT, all);
	/* What was shown is in order[], the folders before what is in them. */
	for (uint32_t i = 0; i < v->used; i++)
		if (f->rows[v->order[i]]->e.kind == ENTRY_FOLDER)
			name_kids(f, v, v->order[i], all);
}

/* ---- making it ---- */

static enum err view_make(struct folder *f, struct view *v)
{
	enum err e = ERR_NOMEM;
	size_t room = f->count + 1u;
	v->count = f->count;
	v->nodes = calloc(room, sizeof *v->nodes);
	v->order = calloc(room, sizeof *v->order);
	uint32_t *mark = calloc(room, sizeof *mark);
	struct named *all = calloc(room, sizeof *all);
	if (v->nodes && v->order && mark && all) {
		find_winners(f, v);
		for (unsigned pass = 0; break_circles(f, v, mark, pass >= PASSES); pass++)
			;
		find_alive(f, v);
		name_all(f, v, all);
		e = ERR_OK;
	}
	free(mark);
	free(all);
	return e;
}

enum err view_of(struct folder *f, struct view **out)
{
	if (!f->view) {
		struct view *v = calloc(1, sizeof *v);
		enum err e = v ? view_make(f, v) : ERR_NOMEM;
		if (e != ERR_OK) {
			view_free(v);
			return e;
		}
		f->view = v;
	}
	*out = f->view;
	return ERR_OK;
}

void folder_forget_view(struct folder *f)
{
	folder_view_drop(f);
}

/* ---- keeping it ---- */

static void shift(int32_t *number, int32_t from)
{
	if (*number >= from)
		++*number;
}

static bool grow_view(struct view *v)
{
	struct node *nodes = realloc(v->nodes, (v->count + 2u) * sizeof *nodes);
	if (nodes)
		v->nodes = nodes;
	int32_t *order = realloc(v->order, (v->count + 2u) * sizeof *order);
	if (order)
		v->order = order;
	return nodes && order;
}

static void make_room(struct view *v, uint32_t i)
{
	memmove(&v->nodes[i + 1], &v->nodes[i], (v->count - i) * sizeof *v->nodes);
	v->nodes[i] = (struct node){.stands = VIEW_NONE, .twin = VIEW_NONE, .hidden_by = VIEW_NONE};
	v->count++;
	for (uint32_t k = 0; k < v->count; k++) {
		struct node *n = &v->nodes[k];
		if (k == i)
			continue;
		shift(&n->parent, (int32_t)i);
		shift(&n->stands, (int32_t)i);
		shift(&n->twin, (int32_t)i);
		shift(&n->hidden_by, (int32_t)i);
	}
	for (uint32_t k = 0; k < v->used; k++)
		shift(&v->order[k], (int32_t)i);
}

/* Into its folder's part of order[]; an empty folder's part begins at the end. */
static void put_in_order(struct view *v, uint32_t i, int32_t folder)
{
	uint32_t *first = folder == VIEW_ROOT ? &v->root_first : &v->nodes[folder].first;
	uint32_t *kids = folder == VIEW_ROOT ? &v->root_kids : &v->nodes[folder].kids;
	if (!*kids)
		*first = v->used;
	uint32_t low = *first, high = *first + *kids;
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		if (name_compare(v->nodes[v->order[mid]].place, v->nodes[i].place) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	for (uint32_t k = 0; k < v->count; k++)
		if (v->nodes[k].first >= low && &v->nodes[k].first != first)
			v->nodes[k].first++;
	if (folder != VIEW_ROOT && v->root_first >= low)
		v->root_first++;
	memmove(&v->order[low + 1], &v->order[low], (v->used - low) * sizeof *v->order);
	v->order[low] = (int32_t)i;
	v->used++;
	++*kids;
}

static void set_winners(struct node *n, const struct entry *e)
{
	int place = entry_place(e), content = entry_content(e);
	n->place = place < 0 ? NULL : &e->places[place];
	n->content = content < 0 ? NULL : &e->contents[content];
}

void view_patch_made(struct folder *f, struct view *v, uint32_t i, int32_t folder)
{
	assert(v->count + 1 == f->count && !f->view);
	if (!grow_view(v)) {
		view_free(v);
		return;
	}
	make_room(v, i);
	shift(&folder, (int32_t)i);
	struct node *n = &v->nodes[i];
	set_winners(n, &f->rows[i]->e);
	n->parent = folder;
	n->stands = (int32_t)i;
	n->wanted = true;
	n->way = WAY_TO_ROOT;
	put_in_order(v, i, folder);
	f->view = v;
}

void view_patch_written(struct folder *f, struct view *v, uint32_t i)
{
	assert(v->count == f->count && !f->view);
	set_winners(&v->nodes[i], &f->rows[i]->e);
	f->view = v;
}

void view_check(const struct folder *f)
{
	const struct view *v = f->view;
	assert(v->count == f->count && v->used <= v->count);
	for (uint32_t i = 0; i < v->used; i++) {
		const struct node *n = &v->nodes[v->order[i]];
		assert(n->stands == v->order[i] && n->wanted && n->hidden_by == VIEW_NONE);
		uint32_t steps = 0;
		for (int32_t k = n->parent; k >= 0; k = v->nodes[k].parent)
			assert(v->nodes[k].stands >= 0 && steps++ < v->count);
	}
}

/* ---- asking ---- */

int32_t view_number(const struct folder *f, const struct entry_id *id)
{
	uint32_t i = folder_place_of(f, id);
	if (i == f->count || !entry_id_equal(&f->rows[i]->e.id, id))
		return VIEW_NONE;
	return f->view->nodes[i].stands;
}

int32_t view_folder(const struct folder *f, const struct entry_id *id)
{
	if (entry_id_is_root(id))
		return VIEW_ROOT;
	int32_t i = view_number(f, id);
	return i >= 0 && f->rows[i]->e.kind == ENTRY_FOLDER ? i : VIEW_NONE;
}

void view_kids(const struct view *v, int32_t folder, uint32_t *first, uint32_t *count)
{
	*first = folder == VIEW_ROOT ? v->root_first : v->nodes[folder].first;
	*count = folder == VIEW_ROOT ? v->root_kids : v->nodes[folder].kids;
}

int32_t view_named(const struct folder *f, int32_t folder, const char *name, size_t size)
{
	const struct view *v = f->view;
	uint32_t low, count;
	if (size > ENTRY_NAME_MAX || folder == VIEW_NONE)
		return VIEW_NONE;
	struct place wanted = {.name_size = (uint16_t)size};
	memcpy(wanted.name, name, size);
	view_kids(v, folder, &low, &count);
	uint32_t high = low + count;
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		int c = name_compare(v->nodes[v->order[mid]].place, &wanted);
		if (c == 0)
			return v->order[mid];
		if (c < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return VIEW_NONE;
}

static enum err give_row(const struct folder *f, int32_t i, struct view_row *out)
{
	if (i < 0)
		return ERR_NOTFOUND;
	const struct node *n = &f->view->nodes[i];
	*out = (struct view_row){.entry = &f->rows[i]->e,
	                         .name = n->place->name,
	                         .name_size = n->place->name_size,
	                         .content = n->content,
	                         .revived = n->place->kind == PLACE_GONE};
	if (n->parent >= 0)
		out->parent = f->rows[f->view->nodes[n->parent].stands]->e.id;
	return ERR_OK;
}

enum err view_get(struct folder *f, const struct entry_id *id, struct view_row *out)
{
	struct view *v;
	TRY(view_of(f, &v));
	return give_row(f, view_number(f, id), out);
}

enum err view_find(struct folder *f, const struct entry_id *parent, const char *name, size_t size,
                   struct view_row *out)
{
	struct view *v;
	TRY(view_of(f, &v));
	return give_row(f, view_named(f, view_folder(f, parent), name, size), out);
}

enum err view_list(struct folder *f, const struct entry_id *parent, uint32_t i,
                   struct view_row *out)
{
	struct view *v;
	uint32_t first, count;
	TRY(view_of(f, &v));
	int32_t folder = view_folder(f, parent);
	if (folder == VIEW_NONE)
		return ERR_NOTFOUND;
	view_kids(v, folder, &first, &count);
	return i < count ? give_row(f, v->order[first + i], out) : ERR_NOTFOUND;
}
