/* conflict.c - what a view did not show, as a list; and names that not every system can hold. */
#include "folder/view_impl.h"

#include <stdlib.h>
#include <string.h>

/* ---- the list ---- */

struct list {
	struct conflict *at;
	uint32_t count, cap;
	bool failed;
};

static void add(struct list *l, const struct conflict *c)
{
	if (l->count == l->cap) {
		uint32_t more = l->cap ? 2 * l->cap : 16;
		struct conflict *at = realloc(l->at, more * sizeof *at);
		l->failed |= !at;
		if (!at)
			return;
		l->at = at;
		l->cap = more;
	}
	l->at[l->count++] = *c;
}

static struct conflict of_node(enum conflict_kind kind, const struct entry *e, const struct node *n)
{
	return (struct conflict){.kind = kind,
	                         .id = e->id,
	                         .dot = n->place->dot,
	                         .stamp_ms = n->place->stamp_ms,
	                         .name = n->place->name,
	                         .name_size = n->place->name_size};
}

/* As the person made it: named by who wrote the content, and when. */
static void add_content(struct list *l, enum conflict_kind kind, const struct entry *e,
                        const struct node *n, const struct content *content,
                        const struct entry *against)
{
	struct conflict c = of_node(kind, e, n);
	if (content) {
		c.dot = content->dot;
		c.stamp_ms = content->stamp_ms;
		c.content = content;
	}
	if (against)
		c.against = against->id;
	add(l, &c);
}

static void add_edits(struct list *l, const struct entry *e, const struct node *n)
{
	if (e->kind == ENTRY_FOLDER)
		return;
	for (unsigned i = 0; i < e->content_count; i++)
		if (&e->contents[i] != n->content && !content_equal(&e->contents[i], n->content))
			add_content(l, CONFLICT_EDIT, e, n, &e->contents[i], NULL);
}

static bool is_no_conflict(const struct folder *f, const struct entry *e, const struct node *n)
{
	const struct entry *w = &f->rows[n->hidden_by]->e;
	const struct content *shown = f->view->nodes[n->hidden_by].content;
	return w->kind == e->kind && shown && n->content && content_equal(shown, n->content);
}

static void add_hidden(const struct folder *f, struct list *l, const struct entry *e,
                       const struct node *n)
{
	if (n->place->kind == PLACE_ASIDE)
		add_content(l, CONFLICT_NAME, e, n, n->content, NULL);
	else if (n->hidden_by >= 0 && !is_no_conflict(f, e, n))
		add_content(l, CONFLICT_NAME, e, n, n->content, &f->rows[n->hidden_by]->e);
	else if (n->orphan && e->kind != ENTRY_FOLDER)
		add_content(l, CONFLICT_ORPHAN, e, n, n->content, NULL);
}

static bool is_same_place(const struct place *a, const struct place *b)
{
	return entry_id_equal(&a->parent, &b->parent) &&
	       memcmp(a->name, b->name, sizeof a->name) == 0;
}

static void add_told(struct list *l, const struct entry *e, const struct node *n)
{
	struct conflict c;
	if (n->stands < 0)
		return;
	if (entry_is_revived(e)) {
		c = of_node(CONFLICT_REVIVED, e, n);
		add(l, &c);
	}
	if (n->fallback) {
		c = of_node(CONFLICT_CIRCLE, e, n);
		add(l, &c);
	}
	for (unsigned i = 0; i < e->place_count; i++) {
		const struct place *p = &e->places[i];
		if (p == n->place || p->kind != PLACE_IN || is_same_place(p, n->place))
			continue;
		c = of_node(CONFLICT_MOVED, e, n);
		c.dot = p->dot;
		c.stamp_ms = p->stamp_ms;
		c.name = p->name;
		c.name_size = p->name_size;
		add(l, &c);
	}
}

enum err view_conflicts(struct folder *f, struct conflict **out, uint32_t *count)
{
	struct view *v;
	struct list l = {0};
	TRY(view_of(f, &v));
	for (uint32_t i = 0; i < v->count; i++) {
		const struct entry *e = &f->rows[i]->e;
		if (!v->nodes[i].place)
			continue;
		add_edits(&l, e, &v->nodes[i]);
		add_hidden(f, &l, e, &v->nodes[i]);
		add_told(&l, e, &v->nodes[i]);
	}
	if (l.failed) {
		free(l.at);
		return ERR_NOMEM;
	}
	*out = l.at;
	*count = l.count;
	return ERR_OK;
}

void conflicts_free(struct conflict *list)
{
	free(list);
}

/* ---- names ---- */

struct fold {
	uint32_t first, last, step;
	int32_t more;
};

static uint32_t fold_letter(uint32_t c)
{
	static const struct fold folds[] = {
#define FOLD(first, last, step, more) {first, last, step, more},
#include "folder/fold.def"
#undef FOLD
	};
	if (c < 128)
		return c >= 'A' && c <= 'Z' ? c + 32 : c;
	for (unsigned i = 0; i < sizeof folds / sizeof *folds && folds[i].first <= c; i++)
		if (c <= folds[i].last && (c - folds[i].first) % folds[i].step == 0)
			return (uint32_t)((int32_t)c + folds[i].more);
	return c;
}

/* One letter; its size, or 0: no UTF-8. */
static size_t read_letter(const uint8_t *p, size_t size, uint32_t *out)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (!n || n > size || p[0] > 0xf4)
		return 0;
	*out = n == 1 ? p[0] : p[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		*out = *out << 6 | (p[i] & 0x3f);
	}
	return *out >= least[n] ? n : 0;
}

static size_t write_letter(uint32_t c, char *out)
{
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	if (n == 1) {
		out[0] = (char)c;
		return 1;
	}
	for (size_t i = n; i-- > 1; c >>= 6)
		out[i] = (char)(0x80 | (c & 0x3f));
	out[0] = (char)((0xf00u >> n & 0xff) | c);
	return n;
}

size_t name_fold(const char *name, size_t size, char out[2 * ENTRY_NAME_MAX])
{
	size_t used = 0;
	if (size > ENTRY_NAME_MAX)
		size = ENTRY_NAME_MAX;
	for (size_t i = 0; i < size;) {
		uint32_t c;
		size_t n = read_letter((const uint8_t *)name + i, size - i, &c);
		if (n) {
			used += write_letter(fold_letter(c), out + used);
			i += n;
		} else {
			out[used++] = name[i++];
		}
	}
	return used;
}

struct folded {
	char text[2 * ENTRY_NAME_MAX];
	size_t size;
	int32_t i;
};

static int by_text(const void *a, const void *b)
{
	const struct folded *x = a, *y = b;
	int c = memcmp(x->text, y->text, x->size < y->size ? x->size : y->size);
	return c ? c : (x->size > y->size) - (x->size < y->size);
}

static void tell(struct folder *f, int32_t i, enum err why,
                 void (*fn)(void *ctx, const struct view_row *row, enum err why), void *ctx)
{
	struct view_row row;
	if (view_get(f, &f->rows[i]->e.id, &row) == ERR_OK)
		fn(ctx, &row, why);
}

static enum err names_of(struct folder *f, int32_t folder,
                         void (*fn)(void *ctx, const struct view_row *row, enum err why), void *ctx)
{
	uint32_t first, count;
	view_kids(f->view, folder, &first, &count);
	struct folded *all = calloc(count + 1u, sizeof *all);
	if (!all)
		return ERR_NOMEM;
	for (uint32_t k = 0; k < count; k++) {
		const struct place *p = f->view->nodes[f->view->order[first + k]].place;
		enum err why = name_is_portable(p->name, p->name_size);
		all[k].i = f->view->order[first + k];
		all[k].size = name_fold(p->name, p->name_size, all[k].text);
		if (why != ERR_OK)
			tell(f, all[k].i, why, fn, ctx);
	}
	qsort(all, count, sizeof *all, by_text);
	for (uint32_t k = 0; k < count; k++)
		if ((k && by_text(&all[k - 1], &all[k]) == 0) ||
		    (k + 1 < count && by_text(&all[k], &all[k + 1]) == 0))
			tell(f, all[k].i, ERR_EXISTS, fn, ctx);
	free(all);
	return ERR_OK;
}

enum err view_names(struct folder *f,
                    void (*fn)(void *ctx, const struct view_row *row, enum err why), void *ctx)
{
	struct view *v;
	TRY(view_of(f, &v));
	TRY(names_of(f, VIEW_ROOT, fn, ctx));
	for (uint32_t i = 0; i < v->used; i++)
		if (f->rows[v->order[i]]->e.kind == ENTRY_FOLDER)
			TRY(names_of(f, v->order[i], fn, ctx));
	return ERR_OK;
}
