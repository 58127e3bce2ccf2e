/* edit.c - what a person does in a folder, as changes of entries.
 *
 * Whoever changes who has a name sets aside whom that name hid: a conflict does not turn up in the tree because the file that
 * was shown is gone. Twins that are the same as what is shown are deleted with it: they are no conflict, and shall not become one.
 */
#include "folder/view_impl.h"

#include <stdlib.h>
#include <string.h>

/* ---- finding ---- */

static enum err find_shown(struct folder *f, const struct entry_id *id, int32_t *out,
                           struct errmsg *msg)
{
	struct view *v;
	TRY(view_of(f, &v));
	*out = view_number(f, id);
	return *out >= 0 ? ERR_OK : err_set(msg, ERR_NOTFOUND, "no such file or folder");
}

static enum err find_folder(struct folder *f, const struct entry_id *id, int32_t *out,
                            struct errmsg *msg)
{
	struct view *v;
	TRY(view_of(f, &v));
	*out = view_folder(f, id);
	return *out != VIEW_NONE ? ERR_OK : err_set(msg, ERR_NOTFOUND, "no such folder");
}

static enum err check_name(const char *name, size_t size, struct errmsg *msg)
{
	if (name_is_possible(name, size))
		return ERR_OK;
	return err_set(msg, ERR_INVALID, "a name has 1 to %d bytes, no '/' and no zero byte",
	               ENTRY_NAME_MAX);
}

static unsigned depth_of(const struct folder *f, int32_t folder)
{
	unsigned depth = 0;
	while (folder >= 0) {
		int32_t up = f->view->nodes[folder].parent;
		folder = up >= 0 ? f->view->nodes[up].stands : up;
		depth++;
	}
	return depth;
}

static bool is_within(const struct folder *f, int32_t folder, int32_t above)
{
	while (folder >= 0 && folder != above) {
		int32_t up = f->view->nodes[folder].parent;
		folder = up >= 0 ? f->view->nodes[up].stands : up;
	}
	return folder == above;
}

static uint32_t kids_of(const struct folder *f, int32_t folder)
{
	uint32_t first, count;
	view_kids(f->view, folder, &first, &count);
	return count;
}

static bool fits(enum entry_kind kind, const struct content *c)
{
	if (kind != ENTRY_FILE && (c->size || c->piece_count || c->depth))
		return false;
	return c->mode <= 07777 && c->text_size <= ENTRY_TEXT_MAX &&
	       c->piece_count <= ENTRY_PIECES_MAX && !c->text_size == (kind != ENTRY_LINK);
}

/* ---- single changes ---- */

static enum err place_row(struct folder *f, struct row *row, enum place_kind kind,
                          const struct entry_id *parent, const char *name, size_t size,
                          uint64_t now_ms)
{
	struct change c;
	TRY(change_begin(f, row, now_ms, &c));
	return change_end(f, &c, now_ms, change_place(&c, kind, parent, name, size));
}

static bool is_same(const struct row *shown, const struct row *hidden)
{
	int a = entry_content(&shown->e), b = entry_content(&hidden->e);
	return a >= 0 && b >= 0 && shown->e.kind == hidden->e.kind &&
	       hidden->e.content_count == 1 &&
	       content_equal(&shown->e.contents[a], &hidden->e.contents[b]);
}

/* Whom the shown entry hides: deleted where there is no difference, else set aside. */
static enum err set_aside(struct folder *f, int32_t shown, uint64_t now_ms)
{
	struct row *winner = f->rows[shown];
	/* Each change drops the view. */
	for (;;) {
		struct view *v;
		TRY(view_of(f, &v));
		int32_t self = view_number(f, &winner->e.id), i = 0;
		while (i < (int32_t)v->count && v->nodes[i].hidden_by != self)
			i++;
		if (self < 0 || i == (int32_t)v->count)
			return ERR_OK;
		enum place_kind kind = is_same(winner, f->rows[i]) ? PLACE_GONE : PLACE_ASIDE;
		TRY(place_row(f, f->rows[i], kind, NULL, NULL, 0, now_ms));
	}
}

static enum err place_rows(struct folder *f, struct row **rows, uint32_t count,
                           enum place_kind kind, const struct entry_id *parent, const char *name,
                           size_t size, uint64_t now_ms)
{
	for (uint32_t i = 0; i < count; i++)
		TRY(place_row(f, rows[i], kind, parent, name, size, now_ms));
	return ERR_OK;
}

/* With all folders that are one with it. */
static enum err place_all(struct folder *f, int32_t shown, enum place_kind kind,
                          const struct entry_id *parent, const char *name, size_t size,
                          uint64_t now_ms)
{
	struct view *v;
	uint32_t count = 0;
	TRY(view_of(f, &v));
	for (int32_t k = shown; k >= 0; k = v->nodes[k].twin)
		count++;
	struct row **rows = calloc(count, sizeof(struct row *));
	if (!rows)
		return ERR_NOMEM;
	count = 0;
	for (int32_t k = shown; k >= 0; k = v->nodes[k].twin)
		rows[count++] = f->rows[k];
	enum err e = place_rows(f, rows, count, kind, parent, name, size, now_ms);
	free(rows);
	return e;
}

static int content_of(const struct entry *e, const struct dot *dot)
{
	int i = e->content_count - 1;
	while (i >= 0 && dot_compare(&e->contents[i].dot, dot) != 0)
		i--;
	return i;
}

/* In place of the version that it was made from, and of those that are the same. base NULL: of the one that is shown. */
static enum err write_content(struct change *c, const struct dot *base,
                              const struct content *content)
{
	struct content now = *content;
	now.dot = c->dot;
	now.stamp_ms = c->stamp_ms;
	int was = base ? content_of(&c->e, base) : entry_content(&c->e);
	for (int i = c->e.content_count; was >= 0 && i-- > 0;) {
		if (i == was || !content_equal(&c->e.contents[i], &c->e.contents[was]))
			continue;
		entry_drop_content(&c->e, (unsigned)i);
		was -= i < was;
	}
	if (was >= 0)
		entry_drop_content(&c->e, (unsigned)was);
	return entry_add_content(&c->e, &now);
}

/* Who puts something into a folder that is deleted, and there for the sake of what is in it, wants it. */
static enum err want_folder(struct folder *f, int32_t folder, uint64_t now_ms)
{
	if (folder < 0 || !entry_is_dead(&f->rows[folder]->e))
		return ERR_OK;
	return place_row(f, f->rows[folder], PLACE_IN, NULL, NULL, 0, now_ms);
}

/* ---- operations ---- */

static enum err make_row(struct folder *f, enum entry_kind kind, const struct entry_id *id,
                         struct row **out)
{
	struct entry e = {.id = *id, .kind = kind, .born = {f->writer, f->seq + 1}};
	return folder_insert(f, &e, out);
}

/* The row is in, but empty: what fails takes it out again. */
static enum err fill_row(struct folder *f, struct row *row, const struct entry_id *parent,
                         const char *name, size_t size, const struct content *content,
                         uint64_t now_ms)
{
	struct change c;
	enum err e = change_begin(f, row, now_ms, &c);
	if (e == ERR_OK)
		e = change_place(&c, PLACE_IN, parent, name, size);
	if (e == ERR_OK)
		e = write_content(&c, NULL, content);
	return change_end(f, &c, now_ms, e);
}

enum err folder_make(struct folder *f, const struct entry_id *parent, const char *name, size_t size,
                     enum entry_kind kind, const struct content *content, const struct entry_id *id,
                     uint64_t now_ms, struct errmsg *msg)
{
	int32_t folder;
	struct row *row;
	TRY(check_name(name, size, msg));
	TRY(find_folder(f, parent, &folder, msg));
	if (view_named(f, folder, name, size) >= 0)
		return err_set(msg, ERR_EXISTS, "there is %.*s already", (int)size, name);
	if (!fits(kind, content) || entry_id_is_root(id) || folder_row_of(f, id))
		return err_set(msg, ERR_INVALID, "%.*s: no such content", (int)size, name);
	if (kind == ENTRY_FOLDER && depth_of(f, folder) >= FOLDER_DEPTH_MAX)
		return err_set(msg, ERR_LIMIT, "more than %d folders within each other",
		               FOLDER_DEPTH_MAX);
	struct entry_id into = {{0}};
	if (folder >= 0)
		into = f->rows[folder]->e.id;
	TRY(want_folder(f, folder, now_ms));
	struct view *kept = f->view; /* NULL when that folder had to be put in place */
	f->view = NULL;
	enum err e = make_row(f, kind, id, &row);
	if (e == ERR_OK) {
		e = fill_row(f, row, &into, name, size, content, now_ms);
		if (e != ERR_OK)
			(void)folder_erase(f, row);
	}
	if (e == ERR_OK && kept)
		view_patch_made(f, kept, folder_place_of(f, id), folder);
	else
		view_free(kept);
	return e;
}

/* What was deleted and is shown: who writes it wants it. */
static enum err stay(struct change *c)
{
	if (!entry_is_revived(&c->e))
		return ERR_OK;
	return change_place(c, PLACE_IN, NULL, NULL, 0);
}

/* Hidden files that are the same as the one shown: they go with its old content. */
static enum err drop_same(struct folder *f, struct row *row, uint64_t now_ms)
{
	int has = entry_content(&row->e);
	for (uint32_t i = 0; has >= 0 && i < f->count; i++) {
		struct view *v;
		TRY(view_of(f, &v));
		struct row *twin = f->rows[i];
		if (v->nodes[i].hidden_by >= 0 && f->rows[v->nodes[i].hidden_by] == row &&
		    is_same(row, twin))
			TRY(place_row(f, twin, PLACE_GONE, NULL, NULL, 0, now_ms));
	}
	return ERR_OK;
}

enum err folder_write(struct folder *f, const struct entry_id *id, const struct dot *base,
                      const struct content *content, uint64_t now_ms, struct errmsg *msg)
{
	int32_t shown;
	struct change c;
	TRY(find_shown(f, id, &shown, msg));
	struct row *row = f->rows[shown];
	if (!fits(row->e.kind, content))
		return err_set(msg, ERR_INVALID, "the content is not of its kind");
	TRY(drop_same(f, row, now_ms));
	TRY(change_begin(f, row, now_ms, &c));
	bool moves = entry_is_revived(&c.e);
	enum err e = stay(&c);
	if (e == ERR_OK)
		e = write_content(&c, base, content);
	struct view *kept = moves ? NULL : f->view;
	if (kept)
		f->view = NULL;
	e = change_end(f, &c, now_ms, e);
	if (e == ERR_OK && kept)
		view_patch_written(f, kept, folder_place_of(f, &row->e.id));
	else
		view_free(kept);
	return e;
}

static enum err check_target(const struct folder *f, int32_t shown, int32_t folder, int32_t target,
                             struct errmsg *msg)
{
	bool is_folder = f->rows[shown]->e.kind == ENTRY_FOLDER;
	if (is_folder && is_within(f, folder, shown))
		return err_set(msg, ERR_STATE, "a folder cannot be moved into itself");
	if (is_folder && depth_of(f, folder) >= FOLDER_DEPTH_MAX)
		return err_set(msg, ERR_LIMIT, "more than %d folders within each other",
		               FOLDER_DEPTH_MAX);
	if (target < 0 || target == shown)
		return ERR_OK;
	if (is_folder != (f->rows[target]->e.kind == ENTRY_FOLDER))
		return err_set(msg, ERR_INVALID,
		               "a folder does not replace a file, nor a file a folder");
	if (is_folder && kids_of(f, target))
		return err_set(msg, ERR_STATE, "the folder there is not empty");
	return ERR_OK;
}

enum err folder_move(struct folder *f, const struct entry_id *id, const struct entry_id *parent,
                     const char *name, size_t size, uint64_t now_ms, struct errmsg *msg)
{
	int32_t shown, folder;
	TRY(check_name(name, size, msg));
	TRY(find_shown(f, id, &shown, msg));
	TRY(find_folder(f, parent, &folder, msg));
	int32_t target = view_named(f, folder, name, size);
	TRY(check_target(f, shown, folder, target, msg));
	if (target == shown)
		return ERR_OK;
	struct entry_id into = {{0}}, self = f->rows[shown]->e.id, other = {{0}};
	if (folder >= 0)
		into = f->rows[folder]->e.id;
	if (target >= 0) {
		other = f->rows[target]->e.id;
		TRY(set_aside(f, target, now_ms));
		TRY(place_all(f, (int32_t)folder_place_of(f, &other), PLACE_GONE, NULL, NULL, 0,
		              now_ms));
	}
	TRY(set_aside(f, (int32_t)folder_place_of(f, &self), now_ms));
	TRY(want_folder(f, folder, now_ms));
	return place_all(f, (int32_t)folder_place_of(f, &self), PLACE_IN, &into, name, size,
	                 now_ms);
}

enum err folder_remove(struct folder *f, const struct entry_id *id, uint64_t now_ms,
                       struct errmsg *msg)
{
	int32_t shown;
	TRY(find_shown(f, id, &shown, msg));
	if (f->rows[shown]->e.kind == ENTRY_FOLDER && kids_of(f, shown))
		return err_set(msg, ERR_STATE, "the folder is not empty");
	TRY(set_aside(f, shown, now_ms));
	return place_all(f, shown, PLACE_GONE, NULL, NULL, 0, now_ms);
}

/* Folders above it that are deleted, the lowest first; a parent that is unknown ends it. */
static enum err revive_above(struct folder *f, const struct entry_id *id, uint64_t now_ms)
{
	struct row *row = folder_row_of(f, id);
	for (uint32_t steps = 0; row && steps < f->count; steps++) {
		int place = entry_place(&row->e);
		if (place < 0)
			return ERR_OK;
		struct entry_id up = row->e.places[place].parent;
		row = folder_row_of(f, &up);
		if (row && entry_is_dead(&row->e) && entry_place(&row->e) >= 0)
			TRY(place_row(f, row, PLACE_IN, NULL, NULL, 0, now_ms));
	}
	return ERR_OK;
}

enum err folder_undelete(struct folder *f, const struct entry_id *id, uint64_t now_ms,
                         struct errmsg *msg)
{
	struct view *v;
	struct row *row = folder_row_of(f, id);
	int place = row ? entry_place(&row->e) : -1;
	if (place < 0 || !entry_is_dead(&row->e))
		return err_set(msg, ERR_NOTFOUND, "no deleted file or folder");
	const struct place *p = &row->e.places[place];
	TRY(view_of(f, &v));
	int32_t folder = view_folder(f, &p->parent);
	if (folder != VIEW_NONE && view_named(f, folder, p->name, p->name_size) >= 0)
		return err_set(msg, ERR_EXISTS, "there is %s already", p->name);
	TRY(revive_above(f, id, now_ms));
	return place_row(f, row, PLACE_IN, NULL, NULL, 0, now_ms);
}

/* ---- settling conflicts ---- */

static enum err settle_edit(struct folder *f, struct row *row, const struct dot *dot,
                            enum settle how, uint64_t now_ms)
{
	struct change c;
	TRY(change_begin(f, row, now_ms, &c));
	for (unsigned i = 0; i < c.e.content_count; i++) {
		if (dot_compare(&c.e.contents[i].dot, dot) != 0)
			continue;
		struct content taken;
		enum err e = content_copy(&taken, &c.e.contents[i]);
		if (e == ERR_OK) {
			entry_drop_content(&c.e, i);
			if (how == SETTLE_TAKE)
				e = write_content(&c, NULL, &taken);
			if (e == ERR_OK && how == SETTLE_TAKE && entry_is_dead(&row->e))
				e = change_place(&c, PLACE_IN, NULL, NULL, 0);
			content_free(&taken);
		}
		return change_end(f, &c, now_ms, e);
	}
	return change_end(f, &c, now_ms, ERR_NOTFOUND);
}

/* Back under a name that nobody has. */
static enum err take_name(struct folder *f, struct row *row, const struct entry_id *parent,
                          uint64_t now_ms, struct errmsg *msg)
{
	const struct place *p = &row->e.places[entry_place(&row->e)];
	int32_t folder = view_folder(f, parent);
	struct entry_id into = {{0}};
	if (folder >= 0)
		into = f->rows[folder]->e.id;
	if (view_named(f, folder == VIEW_NONE ? VIEW_ROOT : folder, p->name, p->name_size) >= 0)
		return err_set(msg, ERR_EXISTS, "there is %s already", p->name);
	return place_row(f, row, PLACE_IN, &into, NULL, 0, now_ms);
}

static enum err settle_name(struct folder *f, struct row *row, const struct conflict *c,
                            enum settle how, uint64_t now_ms, struct errmsg *msg)
{
	struct row *winner = folder_row_of(f, &c->against);
	int has = entry_content(&row->e), place = entry_place(&row->e);
	if (place < 0)
		return ERR_NOTFOUND;
	if (how == SETTLE_TAKE && !winner) {
		struct entry_id parent = row->e.places[place].parent;
		return take_name(f, row, &parent, now_ms, msg);
	}
	if (how == SETTLE_TAKE) {
		if (winner->e.kind != row->e.kind || has < 0)
			return err_set(msg, ERR_EXISTS, "there is something else of that name");
		struct content taken;
		TRY(content_copy(&taken, &row->e.contents[has]));
		enum err e = folder_write(f, &winner->e.id, NULL, &taken, now_ms, msg);
		content_free(&taken);
		TRY(e);
	}
	return place_row(f, row, PLACE_GONE, NULL, NULL, 0, now_ms);
}

static enum err settle_told(struct folder *f, struct row *row, const struct conflict *c,
                            uint64_t now_ms)
{
	uint32_t i = folder_place_of(f, &c->id);
	if (f->view->nodes[i].stands < 0)
		return ERR_NOTFOUND;
	int32_t up = f->view->nodes[i].parent;
	struct entry_id parent = {{0}};
	if (up >= 0)
		parent = f->rows[up]->e.id;
	return place_row(f, row, PLACE_IN, &parent, NULL, 0, now_ms);
}

enum err view_settle(struct folder *f, const struct conflict *c, enum settle how, uint64_t now_ms,
                     struct errmsg *msg)
{
	struct view *v;
	struct row *row = folder_row_of(f, &c->id);
	if (!row)
		return err_set(msg, ERR_NOTFOUND, "it is settled already");
	TRY(view_of(f, &v));
	struct entry_id root = {{0}};
	switch (c->kind) {
	case CONFLICT_EDIT: return settle_edit(f, row, &c->dot, how, now_ms);
	case CONFLICT_NAME: return settle_name(f, row, c, how, now_ms, msg);
	case CONFLICT_ORPHAN:
		if (how == SETTLE_TAKE)
			return take_name(f, row, &root, now_ms, msg);
		return place_row(f, row, PLACE_GONE, NULL, NULL, 0, now_ms);
	default: return settle_told(f, row, c, now_ms);
	}
}
