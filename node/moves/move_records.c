/* move_records.c - what the moves part keeps: images that peers have, records on their way to disk, and what a node that
 * starts finds there.
 */
#include "base/os.h"
#include "node/control/awake.h"
#include "node/disk.h"
#include "node/moves/move_impl.h"
#include "node/work.h"

#include <stdlib.h>
#include <string.h>

/* Records of processes that went away long ago are of hardly any use; but a clock that jumps must not drop one that is, so of
 * each node the newest stay however old they seem (OWNERS_KEPT, which says what depends on them). */
#define KEEP_GONE_MS (UINT64_C(30) * 24 * 3600 * 1000)
/* But one that has left may still use folders of this device: without the record they are not served. */
#define KEEP_SERVED_MS (UINT64_C(365) * 24 * 3600 * 1000)

/* ---- shadows: what a peer has ---- */

static void shadow_drop(struct shadow *s)
{
	image_free(s->image);
	*s = (struct shadow){0};
}

static struct shadow *shadow_of(struct moves *m, const uint8_t uid[UID_SIZE])
{
	for (int i = 0; i < SHADOWS_MAX; i++)
		if (m->shadows[i].image && memcmp(m->shadows[i].uid, uid, UID_SIZE) == 0)
			return &m->shadows[i];
	return NULL;
}

/* Drops the least recently used until bytes more fit; returns a free place. */
static struct shadow *shadow_room(struct moves *m, uint64_t bytes)
{
	for (;;) {
		struct shadow *room = NULL, *oldest = NULL;
		uint64_t sum = bytes;
		for (int i = 0; i < SHADOWS_MAX; i++) {
			struct shadow *s = &m->shadows[i];
			if (!s->image) {
				room = s;
				continue;
			}
			sum += image_bytes_total(s->image);
			if (!oldest || s->used < oldest->used)
				oldest = s;
		}
		if (room && sum <= SHADOW_BYTES_MAX)
			return room;
		if (!oldest)
			return NULL;
		shadow_drop(oldest);
	}
}

void shadow_keep(struct moves *m, const uint8_t uid[UID_SIZE], const uint8_t peer[PEER_ID_SIZE],
                 const struct chunk_addr *id, struct image *im)
{
	struct shadow *old = shadow_of(m, uid);
	if (old)
		shadow_drop(old);
	struct shadow *s = shadow_room(m, image_bytes_total(im));
	if (!s) {
		image_free(im);
		return;
	}
	memcpy(s->uid, uid, UID_SIZE);
	memcpy(s->peer, peer, PEER_ID_SIZE);
	s->id = *id;
	s->image = im;
	s->used = ++m->shadow_clock;
}

struct chunk_addr shadow_id(struct moves *m, const uint8_t uid[UID_SIZE],
                            const uint8_t peer[PEER_ID_SIZE])
{
	struct shadow *s = shadow_of(m, uid);
	if (!s || memcmp(s->peer, peer, PEER_ID_SIZE) != 0)
		return (struct chunk_addr){0};
	return s->id;
}

struct image *shadow_take(struct moves *m, const uint8_t uid[UID_SIZE],
                          const uint8_t peer[PEER_ID_SIZE], const struct chunk_addr *id)
{
	struct shadow *s = shadow_of(m, uid);
	if (!s || memcmp(s->peer, peer, PEER_ID_SIZE) != 0 || !chunk_addr_equal(&s->id, id))
		return NULL;
	struct image *im = s->image;
	*s = (struct shadow){0};
	/* The record that named it may be gone for long, and then so are its chunks. */
	image_forget_stored(im);
	return im;
}

void shadow_forget(struct moves *m, const uint8_t *uid)
{
	for (int i = 0; i < SHADOWS_MAX; i++) {
		struct shadow *s = &m->shadows[i];
		if (s->image && (!uid || memcmp(s->uid, uid, UID_SIZE) == 0))
			shadow_drop(s);
	}
}

/* ---- records: one write at a time, all that wait in one transaction ---- */

static void write_some(void *ctx)
{
	struct moves *m = ctx;
	struct depot_batch *b = depot_batch_new(node_depot(m->node));
	if (!b) {
		m->rec_err = ERR_NOMEM;
		return;
	}
	for (struct rec_write *r = m->rec_running; r; r = r->next) {
		struct wr w = {0};
		owner_write(&w, &r->record);
		if (r->erase)
			depot_del(b, DEPOT_OWNERS, r->record.uid, UID_SIZE);
		else
			depot_put(b, DEPOT_OWNERS, r->record.uid, UID_SIZE, w.data, w.size);
		wr_free(&w);
	}
	m->rec_err = depot_write(b, &m->rec_msg);
	depot_batch_free(b);
}

static void start_writing(struct moves *m);

static void wrote_one(struct moves *m, struct rec_write *r)
{
	struct move_event ev = {.kind = MOVE_EV_WRITTEN, .err = m->rec_err, .text = m->rec_msg};
	memcpy(ev.move, r->move, MOVE_ID_SIZE);
	memcpy(ev.uid, r->record.uid, UID_SIZE);
	if (r->fn && m->rec_err == ERR_OK && !r->erase)
		mover_note(m->mover, &r->record);
	if (r->fn)
		r->fn(r->ctx, m->rec_err, &m->rec_msg);
	else
		mover_event(m->mover, &ev, os_monotonic_ns());
}

static void wrote_some(void *ctx)
{
	struct moves *m = ctx;
	struct rec_write *r = m->rec_running, *next;
	m->rec_running = NULL;
	move_step(m, "both", "WRITTEN");
	if (m->rec_err != ERR_OK)
		node_log(m->node, LOG_ERROR, "moves", "%s", m->rec_msg.text);
	for (; r; r = next) {
		next = r->next;
		wrote_one(m, r);
		free(r);
	}
	moves_drain(m);
	start_writing(m);
}

static void start_writing(struct moves *m)
{
	if (m->rec_running || !m->rec_first)
		return;
	m->rec_running = m->rec_first;
	m->rec_first = NULL;
	m->rec_last = &m->rec_first;
	m->rec_err = ERR_OK;
	m->rec_msg.text[0] = 0;
	work_start(m->node, &m->work, write_some, wrote_some, m);
}

static bool has_write_of(const struct rec_write *list, const uint8_t uid[UID_SIZE])
{
	for (; list; list = list->next)
		if (!memcmp(list->record.uid, uid, UID_SIZE))
			return true;
	return false;
}

bool record_is_coming(const struct moves *m, const uint8_t uid[UID_SIZE])
{
	return has_write_of(m->rec_running, uid) || has_write_of(m->rec_first, uid);
}

void record_write(struct moves *m, const struct owner *record, bool erase,
                  const uint8_t move[MOVE_ID_SIZE], written_fn fn, void *ctx)
{
	struct rec_write *r = calloc(1, sizeof *r);
	if (!r)
		abort();
	r->record = *record;
	if (!r->record.created_ms || record->state != OWNER_OWNED)
		r->record.created_ms = os_wall_ns() / 1000000;
	r->erase = erase;
	r->fn = fn;
	r->ctx = ctx;
	if (move)
		memcpy(r->move, move, MOVE_ID_SIZE);
	*m->rec_last = r;
	m->rec_last = &r->next;
	start_writing(m);
}

void moves_write(struct node *n, const struct owner *record, written_fn fn, void *ctx)
{
	record_write(n->moves, record, false, NULL, fn, ctx);
}

/* ---- the module's bytes from the depot ---- */

static enum err get_chunk(void *ctx, const struct chunk_addr *addr, struct wr *out,
                          struct errmsg *msg)
{
	return depot_get_chunk(ctx, addr, out, msg);
}

enum err moves_find_module(void *ctx, const uint8_t hash[32], uint8_t **bytes, size_t *size)
{
	struct moves *m = ctx;
	struct depot *d = node_depot(m->node);
	struct wr row = {0}, code = {0};
	struct code_ref ref;
	uint8_t key[7 + 32];
	struct chunk_source from = {get_chunk, d};
	memcpy(key, "module:", sizeof "module:" - 1);
	memcpy(key + 7, hash, 32);
	memcpy(ref.hash, hash, 32);
	enum err e = depot_get(d, DEPOT_SETTINGS, key, sizeof key, &row);
	struct rd r = rd_of(row.data, row.size);
	if (e == ERR_OK)
		e = rd_u64(&r, &ref.size);
	if (e == ERR_OK)
		e = chunk_addr_read(&r, &ref.list);
	if (e == ERR_OK)
		e = module_join(&ref, &from, &code, NULL);
	if (e == ERR_OK)
		*bytes = wr_take(&code, size);
	wr_free(&row);
	wr_free(&code);
	return e == ERR_OK ? e : ERR_NOTFOUND;
}

/* ---- a node that starts finds its records ---- */

struct found {
	struct moves *moves;
	struct owner *list;
	size_t count;
};

static bool collect(void *ctx, const uint8_t *key, size_t key_size, const uint8_t *value,
                    size_t size)
{
	struct found *f = ctx;
	struct rd r = rd_of(value, size);
	struct owner o;
	if (owner_read(&r, &o) != ERR_OK) {
		node_log(f->moves->node, LOG_ERROR, "moves", "an ownership record is not readable");
		return true;
	}
	struct owner *list = realloc(f->list, (f->count + 1) * sizeof *list);
	if (!list)
		abort();
	f->list = list;
	f->list[f->count++] = o;
	return true;
}

struct comeback {
	struct moves *moves;
	struct owner record;
	struct image *image;
	enum err err;
	struct errmsg msg;
};

static void comeback_revived(void *ctx, struct process *p, enum err e, const struct errmsg *msg)
{
	struct comeback *c = ctx;
	struct node *n = c->moves->node;
	if (p) {
		kin_set_epoch(p, c->record.epoch);
		node_log_about(n, LOG_INFO, "moves",
		               &(struct log_about){.event = LOG_EVENT_program_back,
		                                   .pid = p->pid,
		                                   .program = p->name},
		               "%u (%s) runs again, from its image of epoch %llu", p->pid, p->name,
		               (unsigned long long)p->epoch);
		kin_thaw_all(p);
	} else {
		node_log_about(n, LOG_ERROR, "moves",
		               &(struct log_about){.event = LOG_EVENT_program_back,
		                                   .program = c->record.name,
		                                   .error = e},
		               "%s cannot be brought back: %s", c->record.name, msg->text);
	}
	awake_end(n, c->record.uid);
	image_free(c->image);
	free(c);
}

static void comeback_load(void *ctx)
{
	struct comeback *c = ctx;
	c->err = depot_load_image(node_depot(c->moves->node), &c->record.image, &c->image, &c->msg);
}

static void comeback_loaded(void *ctx)
{
	struct comeback *c = ctx;
	if (c->err == ERR_OK)
		revive(c->moves->node, c->image, false, comeback_revived, c);
	else
		comeback_revived(c, NULL, c->err, &c->msg);
}

static void add_lost(struct moves *m, const struct owner *o)
{
	struct owner *list = realloc(m->lost, (m->nlost + 1) * sizeof *list);
	if (!list)
		return;
	m->lost = list;
	m->lost[m->nlost++] = *o;
}

/* It ran here when the node was killed: from its image, if it has one, else it is lost. */
static void come_back(struct moves *m, const struct owner *o)
{
	struct comeback *c;
	if (chunk_addr_is_null(&o->image)) {
		node_log_about(m->node, LOG_WARN, "moves",
		               &(struct log_about){.event = LOG_EVENT_program_lost,
		                                   .pid = o->pid,
		                                   .program = o->name},
		               "%u (%s) ran when this node ended without keeping it, and is lost",
		               o->pid, o->name);
		add_lost(m, o);
		mover_ended(m->mover, o->uid);
		return;
	}
	c = calloc(1, sizeof *c);
	if (!c)
		abort();
	*c = (struct comeback){.moves = m, .record = *o};
	awake_begin(m->node, o->uid, o->pid);
	work_start(m->node, &m->work, comeback_load, comeback_loaded, c);
}

static bool outdated(struct node *n, const struct owner *o, uint64_t before_ms)
{
	if (!owner_is_away(o) || o->created_ms >= before_ms)
		return false;
	bool served = o->state == OWNER_GONE && grants_has(n, o->uid);
	return os_wall_ns() / 1000000 > o->created_ms + (served ? KEEP_SERVED_MS : KEEP_GONE_MS);
}

enum err moves_restore_records(struct moves *m)
{
	struct found f = {.moves = m};
	enum err e = depot_each(node_depot(m->node), DEPOT_OWNERS, collect, &f);
	uint64_t before_ms = owners_droppable_before(f.list, f.count);
	for (size_t i = 0; e == ERR_OK && i < f.count; i++) {
		struct move_action a = {0};
		if (outdated(m->node, &f.list[i], before_ms)) {
			record_write(m, &f.list[i], true, NULL, NULL, NULL);
			continue;
		}
		os_random(a.move, sizeof a.move);
		memcpy(a.uid, f.list[i].uid, UID_SIZE);
		memcpy(a.peer, f.list[i].peer, PEER_ID_SIZE);
		mover_restore(m->mover, &f.list[i], a.move, os_monotonic_ns());
		if (f.list[i].state == OWNER_RELEASED)
			move_new(m, &a, true)->record = f.list[i];
		else if (f.list[i].state == OWNER_OWNED && f.list[i].pending)
			node_log(m->node, LOG_WARN, "moves",
			         "%s had just arrived when this node was killed: it is sent again",
			         f.list[i].name);
		else if (f.list[i].state == OWNER_OWNED)
			come_back(m, &f.list[i]);
	}
	free(f.list);
	return e;
}
