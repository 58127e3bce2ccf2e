/* folders.c - two to five replicas of a folder, with the real code of folder/, in a made-up world that fails all the time.
 *
 * A seed makes a history: people write, make, move, delete and settle on their devices; links come and go and lose what is under way;
 * messages arrive late, and of each link at another time; devices crash and lose what was not on disk, or have a torn half of their last write there;
 * tombstones are forgotten; a device joins late, or is said to have left and comes back. Then all is repaired, and must settle:
 *
 *	all devices show the same tree and the same conflicts
 *	no edit is lost: each content that somebody wrote, and that was on disk, is in the tree or in the conflicts of every device, unless somebody
 *	who saw it wrote over it, deleted it or dropped it; each writer has those in the history
 *	all chunks of that are on every device, and all tombstones can be forgotten
 *
 *	sim-folders [FIRST-SEED [COUNT [STEPS]]]      a failure prints its seed: `sim-folders SEED 1` shows it event by event
 */
#include "base/crypto.h"
#include "folder/exchange.h"
#include "tests/folder/replicas.h"

#include <inttypes.h>
#include <stdarg.h>

enum { DEVICES = 5, CONTENTS = 1024, QUEUE = 256, EFFECTS = 2048, SHOWN = 512, SETTLE = 20000 };

enum record { RECORD_CHUNK = 3 }; /* beside folder_record's */

struct message {
	uint8_t *bytes;
	size_t size;
};

struct link {
	struct exchange *x; /* NULL: down */
	struct message queue[QUEUE];
	unsigned first, count; /* to this end */
	struct exchange_partial partial;
};

struct effect {
	bool consumed; /* else written */
	unsigned content;
};

struct device {
	struct folder *f; /* NULL: down, or not yet there */
	bool member;      /* it has been started at least once */
	struct wr log;    /* the disk: batches of records */
	size_t synced;    /* so much of it survives a crash for certain */
	bool saving;      /* the last batch is not yet certain */
	struct effect effects[EFFECTS];
	unsigned effect_count, effect_saved; /* in the last batch */
	bool chunk[CONTENTS];
	struct link link[DEVICES];
	uint64_t clock; /* ms ahead of the others */
};

struct world {
	uint64_t seed, random, now;
	unsigned devices, contents, ids, writers, origins;
	bool apart, loud;
	struct device d[DEVICES];
	bool written[CONTENTS], consumed[CONTENTS];
	unsigned author[CONTENTS];
	uint64_t edits, crashes, torn, cuts, dropped, whole, lives, conflicts;
};

static void fail(struct world *w, const char *what, unsigned a, unsigned b)
{
	fprintf(stderr, "seed %" PRIu64 ": %s (%u, %u)\n", w->seed, what, a, b);
	exit(1);
}

__attribute__((format(printf, 2, 3))) static void say(struct world *w, const char *fmt, ...)
{
	va_list args;
	if (!w->loud)
		return;
	va_start(args, fmt);
	printf("%6" PRIu64 " ", w->now);
	vprintf(fmt, args);
	printf("\n");
	va_end(args);
}

static uint64_t rnd(struct world *w, uint64_t below)
{
	uint64_t z = w->random += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (z ^ z >> 31) % below;
}

static void ok(struct world *w, enum err e, const char *what)
{
	if (e != ERR_OK)
		fail(w, what, (unsigned)e, 0);
}

/* ---- contents ---- */

static struct content content_number(unsigned n)
{
	char text[16];
	snprintf(text, sizeof text, "c%u", n);
	return content_with_text(text);
}

/* Which one has this chunk. */
static unsigned number_of_bytes(const void *bytes, size_t size)
{
	char text[16] = {0};
	memcpy(text, bytes, size < 15 ? size : 15);
	return (unsigned)atoi(text + 1);
}

struct lookup {
	struct chunk_addr addr[CONTENTS];
};

static unsigned number_of(const struct world *w, const struct lookup *l, const struct content *c)
{
	if (!c || !c->piece_count)
		return CONTENTS;
	for (unsigned i = 0; i < w->contents; i++)
		if (chunk_addr_equal(&l->addr[i], &c->pieces->addr))
			return i;
	return CONTENTS;
}

static void make_lookup(struct lookup *l)
{
	for (unsigned i = 0; i < CONTENTS; i++) {
		struct content c = content_number(i);
		l->addr[i] = c.pieces->addr;
		content_free(&c);
	}
}

/* ---- the disk: u32 size, 16 bytes of hash, records: u8 kind, key, u32 size (all ones: no more), bytes ---- */

static enum err put_record_to(void *ctx, enum folder_record kind, const uint8_t *key,
                              const void *bytes, size_t size)
{
	struct wr *w = ctx;
	wr_u8(w, (uint8_t)kind);
	wr_bytes(w, key, FOLDER_KEY_SIZE);
	wr_u32(w, bytes ? (uint32_t)size : UINT32_MAX);
	if (bytes)
		wr_bytes(w, bytes, size);
	return ERR_OK;
}

static void save(struct world *w, unsigned i)
{
	struct device *d = &w->d[i];
	struct wr batch = {0};
	uint8_t hash[16];
	ok(w, folder_save(d->f, put_record_to, &batch), "save");
	for (unsigned n = 0; n < w->contents; n++) {
		uint8_t key[FOLDER_KEY_SIZE] = {(uint8_t)n, (uint8_t)(n >> 8)};
		if (d->chunk[n])
			put_record_to(&batch, (enum folder_record)RECORD_CHUNK, key, "", 1);
	}
	crypto_blake2b_keyed(hash, sizeof hash, NULL, 0, batch.data, batch.size);
	wr_u32(&d->log, (uint32_t)batch.size);
	wr_bytes(&d->log, hash, sizeof hash);
	wr_bytes(&d->log, batch.data, batch.size);
	wr_free(&batch);
	d->saving = true;
	d->effect_saved = d->effect_count;
}

static void keep_effects(struct world *w, struct device *d)
{
	for (unsigned i = 0; i < d->effect_saved; i++) {
		const struct effect *e = &d->effects[i];
		if (e->consumed)
			w->consumed[e->content] = true;
		else
			w->written[e->content] = true;
	}
	d->effect_count -= d->effect_saved;
	memmove(d->effects, d->effects + d->effect_saved, d->effect_count * sizeof *d->effects);
	d->effect_saved = 0;
}

static void synced(struct world *w, unsigned i)
{
	struct device *d = &w->d[i];
	if (!d->saving)
		return;
	d->saving = false;
	d->synced = d->log.size;
	keep_effects(w, d);
}

struct stored {
	uint8_t kind;
	uint8_t key[FOLDER_KEY_SIZE];
	const uint8_t *bytes;
	uint32_t size;
};

struct stored_list {
	struct stored *at;
	unsigned count;
};

static void store_one(struct stored_list *l, const struct stored *s)
{
	unsigned i = 0;
	while (i < l->count &&
	       (l->at[i].kind != s->kind || memcmp(l->at[i].key, s->key, FOLDER_KEY_SIZE) != 0))
		i++;
	if (i == l->count) {
		l->at = realloc(l->at, ++l->count * sizeof *l->at);
		if (!l->at)
			abort();
	}
	l->at[i] = *s;
}

/* A batch that is not whole ends the log. */
static bool read_batch(struct world *w, struct rd *r, struct stored_list *l)
{
	uint32_t size;
	const uint8_t *hash, *bytes, *p;
	uint8_t is[16];
	struct rd at = *r;
	if (rd_u32(&at, &size) != ERR_OK || rd_bytes(&at, 16, &hash) != ERR_OK ||
	    rd_bytes(&at, size, &bytes) != ERR_OK)
		return false;
	crypto_blake2b_keyed(is, sizeof is, NULL, 0, bytes, size);
	if (memcmp(is, hash, sizeof is) != 0)
		return false;
	struct rd in = rd_of(bytes, size);
	while (rd_left(&in)) {
		struct stored s = {0};
		ok(w, rd_u8(&in, &s.kind), "record");
		ok(w, rd_bytes(&in, FOLDER_KEY_SIZE, &p), "record");
		memcpy(s.key, p, FOLDER_KEY_SIZE);
		ok(w, rd_u32(&in, &s.size), "record");
		if (s.size != UINT32_MAX)
			ok(w, rd_bytes(&in, s.size, &s.bytes), "record");
		store_one(l, &s);
	}
	*r = at;
	return true;
}

static void load(struct world *w, unsigned i)
{
	struct device *d = &w->d[i];
	struct stored_list l = {0};
	struct rd r = rd_of(d->log.data, d->log.size);
	while (read_batch(w, &r, &l))
		;
	d->log.size = d->synced = (size_t)rd_offset(&r);
	memset(d->chunk, 0, sizeof d->chunk);
	for (unsigned k = 0; k < l.count; k++)
		if (l.at[k].kind == FOLDER_HEAD)
			ok(w, folder_load(l.at[k].bytes, l.at[k].size, &d->f), "head");
	for (unsigned k = 0; k < l.count; k++) {
		const struct stored *s = &l.at[k];
		if (s->kind == RECORD_CHUNK)
			d->chunk[s->key[0] | s->key[1] << 8] = true;
		else if (s->kind != FOLDER_HEAD && s->bytes)
			ok(w, folder_load_record(d->f, s->kind, s->bytes, s->size), "record");
	}
	free(l.at);
	folder_check(d->f);
}

/* ---- links ---- */

static void drop_queue(struct link *l)
{
	for (; l->count; l->count--, l->first = (l->first + 1) % QUEUE)
		free(l->queue[l->first].bytes);
}

static void cut(struct world *w, unsigned a, unsigned b)
{
	for (unsigned k = 0; k < 2; k++) {
		struct link *l = k ? &w->d[a].link[b] : &w->d[b].link[a];
		exchange_free(l->x);
		l->x = NULL;
		drop_queue(l);
	}
}

static void join(struct world *w, unsigned a, unsigned b)
{
	if (a == b || !w->d[a].f || !w->d[b].f || w->d[a].link[b].x)
		return;
	for (unsigned k = 0; k < 2; k++) {
		struct device *d = &w->d[k ? a : b];
		struct link *l = &d->link[k ? b : a];
		l->x = exchange_new(d->f, ++w->origins, &l->partial);
	}
	say(w, "%u and %u are joined", a, b);
}

static void new_life(struct world *w, unsigned i)
{
	for (unsigned k = 0; k < w->devices; k++)
		if (k != i)
			cut(w, i, k);
	ok(w, folder_new_life(w->d[i].f, ++w->writers), "a new life");
	say(w, "%u goes on as writer %u", i, w->writers);
	w->lives++;
}

/* An error on a link cuts it, as a node would. */
static void broken(struct world *w, unsigned a, unsigned b, enum err e)
{
	say(w, "%u hears from %u: %s", a, b, err_text(e));
	if (e != ERR_STALE)
		fail(w, "a message is refused", a, (unsigned)e);
	cut(w, a, b);
}

static void want_chunks(struct world *w, unsigned i, unsigned from, const struct lookup *l)
{
	struct device *d = &w->d[i];
	for (uint32_t k = 0; k < folder_count(d->f); k++) {
		const struct entry *e = folder_at(d->f, k);
		for (unsigned c = 0; c < e->content_count; c++) {
			unsigned n = number_of(w, l, &e->contents[c]);
			if (n < CONTENTS && !d->chunk[n])
				(void)exchange_want(d->link[from].x, &e->contents[c].pieces->addr);
		}
	}
}

static void load_chunk(struct world *w, struct device *d, struct exchange *x,
                       const struct lookup *l, const struct chunk_addr *addr)
{
	char text[16];
	for (unsigned n = 0; n < w->contents; n++) {
		if (!d->chunk[n] || !chunk_addr_equal(&l->addr[n], addr))
			continue;
		snprintf(text, sizeof text, "c%u", n);
		ok(w, exchange_loaded(x, text, strlen(text)), "chunk");
		return;
	}
	ok(w, exchange_loaded(x, NULL, 0), "chunk");
}

static void post(struct world *w, unsigned to, unsigned from, const struct exchange_action *a)
{
	struct link *l = &w->d[to].link[from];
	if (l->count == QUEUE)
		fail(w, "too many messages", to, from);
	struct message *m = &l->queue[(l->first + l->count++) % QUEUE];
	m->bytes = malloc(a->size);
	if (!m->bytes)
		abort();
	memcpy(m->bytes, a->bytes, a->size);
	m->size = a->size;
}

/* One action of i's end of the link with k. False: there was nothing to do. */
static bool act(struct world *w, unsigned i, unsigned k, const struct lookup *l)
{
	struct device *d = &w->d[i];
	struct link *link = &d->link[k];
	struct exchange_action a;
	if (!d->f || !link->x || d->saving || w->d[k].link[i].count == QUEUE)
		return false;
	ok(w, exchange_next(link->x, &a), "next");
	switch (a.kind) {
	case EXCHANGE_IDLE: return false;
	case EXCHANGE_SEND: post(w, k, i, &a); break;
	case EXCHANGE_SAVE: save(w, i); break;
	case EXCHANGE_LOAD: load_chunk(w, d, link->x, l, &a.addr); break;
	case EXCHANGE_STORE: d->chunk[number_of_bytes(a.bytes, a.size)] = true; break;
	case EXCHANGE_LACK: break;
	}
	return true;
}

static bool deliver(struct world *w, unsigned i, unsigned k, const struct lookup *l)
{
	struct device *d = &w->d[i];
	struct link *link = &d->link[k];
	if (!d->f || !link->x || !link->count)
		return false;
	struct message m = link->queue[link->first];
	link->first = (link->first + 1) % QUEUE;
	link->count--;
	enum err e = exchange_take(link->x, m.bytes, m.size, w->now + d->clock, NULL);
	say(w, "%u takes message %u of %zu bytes from %u", i, m.bytes[1], m.size, k);
	w->whole += m.bytes[1] == 2 && m.bytes[2] == 0xc3; /* BEGIN, true */
	free(m.bytes);
	if (e != ERR_OK)
		broken(w, i, k, e);
	else if (rnd(w, 4) == 0)
		want_chunks(w, i, k, l);
	if (folder_needs_new_life(d->f))
		new_life(w, i);
	return true;
}

/* ---- what people do ---- */

struct shown {
	struct view_row row[SHOWN];
	unsigned count;
};

static void gather(struct folder *f, const struct entry_id *at, struct shown *s)
{
	struct view_row row;
	for (uint32_t i = 0; s->count < SHOWN && view_list(f, at, i, &row) == ERR_OK; i++) {
		s->row[s->count++] = row;
		if (row.entry->kind == ENTRY_FOLDER)
			gather(f, &row.entry->id, s);
	}
}

static void effect(struct world *w, struct device *d, bool consumed, unsigned content)
{
	if (content >= CONTENTS)
		return;
	if (d->effect_count == EFFECTS)
		fail(w, "too many effects", 0, 0);
	d->effects[d->effect_count++] = (struct effect){consumed, content};
}

static unsigned new_content(struct world *w, unsigned i)
{
	unsigned n = w->contents++;
	w->author[n] = i;
	w->d[i].chunk[n] = true;
	effect(w, &w->d[i], false, n);
	w->edits++;
	return n;
}

static const char *random_name(struct world *w, char out[4])
{
	snprintf(out, 4, "%c", (char)((rnd(w, 8) ? 'a' : 'A') + (char)rnd(w, 4)));
	return out;
}

static struct entry_id random_folder(struct world *w, const struct shown *s)
{
	struct entry_id id = {{0}};
	for (unsigned i = 0; i < 3 && s->count; i++) {
		const struct view_row *row = &s->row[rnd(w, s->count)];
		if (row->entry->kind == ENTRY_FOLDER && rnd(w, 2))
			return row->entry->id;
	}
	return id;
}

static void make(struct world *w, unsigned i, struct shown *s, const struct lookup *l)
{
	char name[4];
	struct device *d = &w->d[i];
	struct entry_id parent = random_folder(w, s), id = id_of(++w->ids);
	bool folder = rnd(w, 3) == 0;
	struct view_row row;
	random_name(w, name);
	if (view_find(d->f, &parent, name, 1, &row) == ERR_OK || w->contents == CONTENTS)
		return;
	struct content c = folder ? content_with_text("") : content_number(new_content(w, i));
	enum err e = folder_make(d->f, &parent, name, 1, folder ? ENTRY_FOLDER : ENTRY_FILE, &c,
	                         &id, w->now + d->clock, NULL);
	say(w, "%u makes %s%s (content %u): %s", i, name, folder ? "/" : "", w->contents - 1,
	    err_text(e));
	ok(w, e, "make");
	content_free(&c);
}

static void edit(struct world *w, unsigned i, const struct view_row *row, const struct lookup *l)
{
	struct device *d = &w->d[i];
	if (w->contents == CONTENTS || row->entry->kind != ENTRY_FILE)
		return;
	const struct entry *e = row->entry;
	struct entry_id id = e->id;
	struct dot base = {0};
	/* Sometimes from another version than the one that is shown. */
	if (e->content_count > 1 && rnd(w, 3) == 0) {
		const struct content *from = &e->contents[rnd(w, e->content_count)];
		base = from->dot;
		effect(w, d, true, number_of(w, l, from));
	} else {
		effect(w, d, true, number_of(w, l, row->content));
	}
	struct content c = content_number(new_content(w, i));
	say(w, "%u writes %.*s (content %u)", i, (int)row->name_size, row->name, w->contents - 1);
	ok(w, folder_write(d->f, &id, base.writer ? &base : NULL, &c, w->now + d->clock, NULL),
	   "write");
	content_free(&c);
}

static void move(struct world *w, unsigned i, const struct view_row *row, const struct shown *s,
                 const struct lookup *l)
{
	char name[4];
	struct device *d = &w->d[i];
	struct entry_id parent = random_folder(w, s), id = row->entry->id;
	struct view_row target;
	unsigned over = CONTENTS;
	random_name(w, name);
	if (view_find(d->f, &parent, name, 1, &target) == ERR_OK &&
	    !entry_id_equal(&target.entry->id, &id))
		over = number_of(w, l, target.content);
	enum err e = folder_move(d->f, &id, &parent, name, 1, w->now + d->clock, NULL);
	say(w, "%u moves to %s: %s", i, name, err_text(e));
	if (e == ERR_OK)
		effect(w, d, true, over);
	else if (e != ERR_STATE && e != ERR_INVALID)
		fail(w, "move", i, (unsigned)e);
}

static void erase(struct world *w, unsigned i, const struct view_row *row, const struct lookup *l)
{
	struct device *d = &w->d[i];
	struct entry_id id = row->entry->id;
	unsigned content = number_of(w, l, row->content);
	say(w, "%u deletes %.*s (content %u)", i, (int)row->name_size, row->name, content);
	enum err e = folder_remove(d->f, &id, w->now + d->clock, NULL);
	if (e == ERR_OK)
		effect(w, d, true, content);
	else if (e != ERR_STATE)
		fail(w, "delete", i, (unsigned)e);
}

static void settle(struct world *w, unsigned i, const struct lookup *l)
{
	struct device *d = &w->d[i];
	struct conflict *list;
	struct view_row shown;
	uint32_t count;
	ok(w, view_conflicts(d->f, &list, &count), "conflicts");
	if (count) {
		struct conflict c = list[rnd(w, count)];
		enum settle how = rnd(w, 2) ? SETTLE_TAKE : SETTLE_DROP;
		unsigned mine = number_of(w, l, c.content), theirs = CONTENTS;
		const struct entry_id *on = c.kind == CONFLICT_NAME ? &c.against : &c.id;
		const struct entry *e = folder_entry(d->f, on);
		if (view_get(d->f, on, &shown) == ERR_OK)
			theirs = number_of(w, l, shown.content);
		else if (e && entry_content(e) >= 0)
			theirs = number_of(w, l, &e->contents[entry_content(e)]);
		enum err err = view_settle(d->f, &c, how, w->now + d->clock, NULL);
		say(w, "%u settles a conflict of kind %d (content %u over %u), %s: %s", i, c.kind,
		    mine, theirs, how == SETTLE_TAKE ? "take" : "drop", err_text(err));
		if (err == ERR_OK && c.kind <= CONFLICT_ORPHAN)
			effect(w, d, true,
			       how == SETTLE_DROP          ? mine
			       : c.kind == CONFLICT_ORPHAN ? CONTENTS
			                                   : theirs);
		else if (err != ERR_OK && err != ERR_EXISTS)
			fail(w, "settle", i, (unsigned)err);
		w->conflicts++;
	}
	conflicts_free(list);
}

static void undelete(struct world *w, unsigned i)
{
	struct device *d = &w->d[i];
	uint32_t count = folder_count(d->f);
	for (uint32_t k = count ? (uint32_t)rnd(w, count) : 0; k < count; k++) {
		struct entry_id id = folder_at(d->f, k)->id;
		if (!entry_is_dead(folder_at(d->f, k)))
			continue;
		enum err e = folder_undelete(d->f, &id, w->now + d->clock, NULL);
		say(w, "%u undeletes: %s", i, err_text(e));
		return;
	}
}

/* A view that was kept says what one made anew says. */
static void check_view(struct world *w, struct folder *f)
{
	char *kept = picture(f);
	folder_forget_view(f);
	char *anew = picture(f);
	if (strcmp(kept, anew) != 0)
		fail(w, "a view that was kept is wrong", 0, 0);
	free(kept);
	free(anew);
}

static void person(struct world *w, unsigned i, const struct lookup *l)
{
	struct device *d = &w->d[i];
	struct shown s = {.count = 0};
	struct entry_id root = {{0}};
	if (!d->f || d->effect_count > EFFECTS - 8)
		return;
	/* The view is made here; rows are borrowed until the first change. */
	gather(d->f, &root, &s);
	uint64_t what = rnd(w, 20);
	const struct view_row *row = s.count ? &s.row[rnd(w, s.count)] : NULL;
	if (!row || what < 6)
		make(w, i, &s, l);
	else if (what < 11)
		edit(w, i, row, l);
	else if (what < 14)
		move(w, i, row, &s, l);
	else if (what < 17)
		erase(w, i, row, l);
	else if (what < 19)
		settle(w, i, l);
	else
		undelete(w, i);
	folder_check(d->f);
	if (rnd(w, 16) == 0)
		check_view(w, d->f);
}

/* ---- faults ---- */

static void crash(struct world *w, unsigned i)
{
	struct device *d = &w->d[i];
	if (!d->f)
		return;
	for (unsigned k = 0; k < w->devices; k++) {
		if (k != i)
			cut(w, i, k);
		exchange_partial_free(&d->link[k].partial);
	}
	size_t whole = d->log.size, left = d->synced + (size_t)rnd(w, whole - d->synced + 1);
	if (rnd(w, 3) == 0)
		left = whole;
	say(w, "%u crashes: %zu of %zu unsynced bytes are on disk", i, left - d->synced,
	    whole - d->synced);
	d->log.size = left;
	if (d->saving && left == whole)
		keep_effects(w, d);
	else
		w->torn += left > d->synced;
	d->saving = false;
	d->effect_count = d->effect_saved = 0;
	folder_free(d->f);
	d->f = NULL;
	w->crashes++;
}

static void start(struct world *w, unsigned i)
{
	struct device *d = &w->d[i];
	if (d->f)
		return;
	if (d->member) {
		load(w, i);
	} else {
		d->f = replica(++w->writers);
		d->member = true;
		save(w, i);
		synced(w, i);
	}
	say(w, "%u starts with %u entries", i, folder_count(d->f));
}

static void leave(struct world *w, unsigned i)
{
	struct device *d = &w->d[i];
	unsigned n = d->f ? folder_members(d->f) : 0;
	if (n < 2 || w->writers > 40)
		return;
	uint64_t writer = folder_member(d->f, 1 + (unsigned)rnd(w, n - 1))->writer;
	ok(w, folder_leave(d->f, writer), "leave");
	say(w, "%u holds writer %" PRIu64 " for gone", i, writer);
}

static void forget(struct world *w, unsigned i)
{
	uint32_t count;
	if (!w->d[i].f)
		return;
	ok(w, folder_drop_stable(w->d[i].f, w->now, &count), "forget");
	w->dropped += count;
}

/* A time without any link begins or ends. */
static void part(struct world *w)
{
	w->apart = !w->apart;
	say(w, w->apart ? "all are apart" : "links may come again");
	for (unsigned a = 0; a < w->devices; a++)
		for (unsigned b = 0; b < a; b++)
			if (w->apart)
				cut(w, a, b);
			else if (rnd(w, 2))
				join(w, a, b);
}

static void step(struct world *w, const struct lookup *l)
{
	unsigned a = (unsigned)rnd(w, w->devices), b = (unsigned)rnd(w, w->devices);
	uint64_t what = rnd(w, 1000);
	w->now += rnd(w, 3);
	if (rnd(w, w->apart ? 100 : 600) == 0)
		part(w);
	if (what < (w->apart ? 400 : 120))
		person(w, a, l);
	else if (what < 460 && a != b)
		(void)deliver(w, a, b, l);
	else if (what < 900 && a != b)
		(void)act(w, a, b, l);
	else if (what < 930)
		synced(w, a);
	else if (what < 950)
		forget(w, a);
	else if (what < 970 && !w->apart)
		join(w, a, b);
	else if (what < 980)
		start(w, a);
	else if (what < 988 && a != b) {
		cut(w, a, b);
		w->cuts++;
	} else if (what < 993)
		crash(w, a);
	else if (what == 999 && rnd(w, 4) == 0)
		leave(w, a);
}

/* ---- the end ---- */

static bool all_settled(struct world *w, bool *moved, const struct lookup *l)
{
	bool settled = true;
	*moved = false;
	for (unsigned i = 0; i < w->devices; i++) {
		synced(w, i);
		start(w, i);
		for (unsigned k = 0; k < w->devices; k++) {
			if (i == k)
				continue;
			start(w, k);
			join(w, i, k);
			*moved |= deliver(w, i, k, l);
			*moved |= act(w, i, k, l);
			settled &= w->d[i].link[k].x && exchange_is_settled(w->d[i].link[k].x) &&
			           !w->d[i].link[k].count;
		}
		settled &= !folder_unsaved(w->d[i].f) && !w->d[i].saving;
	}
	return settled;
}

static void repair(struct world *w, const struct lookup *l)
{
	bool moved;
	for (unsigned round = 0; round < SETTLE; round++) {
		w->now++;
		if (all_settled(w, &moved, l))
			return;
	}
	fail(w, "it does not settle", 0, 0);
}

/* Which contents are in the tree or among the conflicts. */
static void find_kept(struct world *w, unsigned i, const struct lookup *l, bool kept[CONTENTS + 1])
{
	struct folder *f = w->d[i].f;
	struct entry_id root = {{0}};
	struct shown s = {.count = 0};
	struct conflict *list;
	uint32_t count;
	gather(f, &root, &s);
	for (unsigned k = 0; k < s.count; k++)
		kept[number_of(w, l, s.row[k].content)] = true;
	ok(w, view_conflicts(f, &list, &count), "conflicts");
	for (uint32_t k = 0; k < count; k++)
		kept[number_of(w, l, list[k].content)] = true;
	conflicts_free(list);
}

static bool in_history(struct world *w, unsigned i, unsigned content, const struct lookup *l)
{
	for (uint32_t k = 0; k < folder_past_count(w->d[i].f); k++)
		if (number_of(w, l, &folder_past(w->d[i].f, k)->content) == content)
			return true;
	return false;
}

static bool in_tombstones(struct world *w, unsigned i, unsigned content, const struct lookup *l)
{
	for (uint32_t k = 0; k < folder_count(w->d[i].f); k++) {
		const struct entry *e = folder_at(w->d[i].f, k);
		for (unsigned c = 0; c < e->content_count; c++)
			if (number_of(w, l, &e->contents[c]) == content)
				return true;
	}
	return false;
}

static void check_device(struct world *w, unsigned i, const struct lookup *l)
{
	bool kept[CONTENTS + 1] = {0};
	find_kept(w, i, l, kept);
	for (unsigned n = 0; n < w->contents; n++) {
		if (!w->written[n])
			continue;
		if (!w->consumed[n] && !kept[n])
			fail(w, "an edit is lost: device, content", i, n);
		if (kept[n] && !w->d[i].chunk[n])
			fail(w, "a chunk is missing: device, content", i, n);
		if (w->author[n] == i && !kept[n] && !in_history(w, i, n, l) &&
		    !in_tombstones(w, i, n, l))
			fail(w, "not in its writer's history: device, content", i, n);
	}
	if (i && !look_the_same(w->d[0].f, w->d[i].f))
		fail(w, "devices differ", 0, i);
}

static void check_all(struct world *w, const struct lookup *l)
{
	for (unsigned i = 0; i < w->devices; i++)
		for (unsigned k = 0; k < w->devices; k++)
			if (i != k)
				want_chunks(w, i, k, l);
	repair(w, l);
	for (unsigned i = 0; i < w->devices; i++)
		check_device(w, i, l);
}

static void check_forgetting(struct world *w, const struct lookup *l)
{
	for (unsigned round = 0; round < 40; round++) {
		uint64_t before = w->dropped;
		for (unsigned i = 0; i < w->devices; i++)
			forget(w, i);
		repair(w, l);
		if (before == w->dropped)
			break;
	}
	for (unsigned i = 0; i < w->devices; i++) {
		check_device(w, i, l);
		if (folder_count(w->d[i].f) != folder_count(w->d[0].f))
			fail(w, "tombstones stay", i, folder_count(w->d[i].f));
	}
}

static void end(struct world *w)
{
	for (unsigned i = 0; i < w->devices; i++) {
		for (unsigned k = 0; k < w->devices; k++) {
			cut(w, i, k);
			exchange_partial_free(&w->d[i].link[k].partial);
		}
		folder_free(w->d[i].f);
		wr_free(&w->d[i].log);
	}
}

int main(int argc, char **argv)
{
	uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
	uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 200;
	unsigned steps = argc > 3 ? (unsigned)atoi(argv[3]) : 3000;
	struct world *w = calloc(1, sizeof *w), total = {0};
	struct lookup *l = calloc(1, sizeof *l);
	if (!w || !l)
		return 1;
	make_lookup(l);
	for (uint64_t seed = first; seed < first + count; seed++) {
		memset(w, 0, sizeof *w);
		w->seed = w->random = seed;
		w->loud = count == 1;
		w->devices = 2 + (unsigned)rnd(w, DEVICES - 1);
		for (unsigned i = 0; i < w->devices; i++)
			w->d[i].clock = rnd(w, 3) * 500;
		for (unsigned i = 0; i < steps; i++)
			step(w, l);
		repair(w, l);
		check_all(w, l);
		check_forgetting(w, l);
		end(w);
		total.edits += w->edits;
		total.crashes += w->crashes;
		total.torn += w->torn;
		total.cuts += w->cuts;
		total.dropped += w->dropped;
		total.whole += w->whole;
		total.lives += w->lives;
		total.conflicts += w->conflicts;
	}
	printf("seeds %" PRIu64 " to %" PRIu64 ": %" PRIu64 " edits, %" PRIu64
	       " conflicts settled, %" PRIu64 " crashes (%" PRIu64 " torn writes), %" PRIu64
	       " cuts, %" PRIu64 " tombstones forgotten, %" PRIu64 " whole lists, %" PRIu64
	       " new lives: all converge, no edit is lost\n",
	       first, first + count - 1, total.edits, total.conflicts, total.crashes, total.torn,
	       total.cuts, total.dropped, total.whole, total.lives);
	free(l);
	free(w);
	return 0;
}
