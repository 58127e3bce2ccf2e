/* mover.c - the table of moves and records: who is meant by a message, claims, the queue of actions. */
#include "migrate/mover.h"

#include "base/crypto.h"
#include "migrate/mover_impl.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const action_names[] = {
#define ACTION(name, whose, what) [MOVE_ACT_##name] = #name,
    MOVE_ACTIONS(ACTION)
#undef ACTION
};

const char *move_action_name(enum move_action_kind k)
{
	return action_names[k];
}

enum err mover_new(const uint8_t self[PEER_ID_SIZE], const uint8_t clock[16], struct mover **out)
{
	struct mover *m = calloc(1, sizeof *m);
	if (!m)
		return ERR_NOMEM;
	memcpy(m->self, self, PEER_ID_SIZE);
	memcpy(m->clock, clock, sizeof m->clock);
	m->last = &m->first;
	*out = m;
	return ERR_OK;
}

static void free_known(struct mover *m)
{
	for (unsigned i = 0; i < KNOWN_BUCKETS; i++) {
		while (m->known[i]) {
			struct known *k = m->known[i];
			m->known[i] = k->next;
			free(k);
		}
	}
}

void mover_free(struct mover *m)
{
	struct move_action a;
	if (!m)
		return;
	while (mover_next(m, &a))
		move_action_free(&a);
	while (m->sources) {
		struct source *s = m->sources;
		m->sources = s->next;
		source_free(s);
	}
	while (m->targets) {
		struct target *t = m->targets;
		m->targets = t->next;
		free(t);
	}
	while (m->links) {
		struct peer_link *l = m->links;
		m->links = l->next;
		free(l);
	}
	free_known(m);
	free(m);
}

/* ---- the queue ---- */

static void *must(void *p)
{
	if (!p)
		abort();
	return p;
}

struct move_action *push(struct mover *m, enum move_action_kind kind, const uint8_t *move,
                         const uint8_t *uid, const uint8_t *peer)
{
	struct queued *q = must(calloc(1, sizeof *q));
	q->action.kind = kind;
	if (move)
		memcpy(q->action.move, move, MOVE_ID_SIZE);
	if (uid)
		memcpy(q->action.uid, uid, UID_SIZE);
	if (peer)
		memcpy(q->action.peer, peer, PEER_ID_SIZE);
	*m->last = q;
	m->last = &q->next;
	return &q->action;
}

void push_bytes(struct move_action *a, const void *bytes, size_t size)
{
	a->bytes = must(malloc(size ? size : 1));
	a->size = size;
	if (size)
		memcpy(a->bytes, bytes, size);
}

void push_message(struct mover *m, const uint8_t *peer, enum msg type, const void *fields)
{
	struct wr w = {0};
	if (!link_is_up(m, peer))
		return;
	if (msg_encode(&w, type, fields, NULL) == ERR_OK)
		push_bytes(push(m, MOVE_ACT_SEND, NULL, NULL, peer), w.data, w.size);
	wr_free(&w);
}

bool mover_next(struct mover *m, struct move_action *out)
{
	struct queued *q = m->first;
	if (!q)
		return false;
	m->first = q->next;
	if (!m->first)
		m->last = &m->first;
	*out = q->action;
	free(q);
	return true;
}

void move_action_free(struct move_action *a)
{
	free(a->bytes);
	a->bytes = NULL;
}

struct str_ref text_ref(const char *text)
{
	struct str_ref s = str_ref(text);
	return s.size > 400 ? (struct str_ref){.p = s.p, .size = 400} : s;
}

/* ---- records ---- */

static unsigned bucket_of(const uint8_t uid[UID_SIZE])
{
	return uid[0] % KNOWN_BUCKETS;
}

static struct known *find(const struct mover *m, const uint8_t uid[UID_SIZE])
{
	struct known *k = m->known[bucket_of(uid)];
	while (k && !same_id(k->record.uid, uid, UID_SIZE))
		k = k->next;
	return k;
}

static void mark_of(const uint8_t uid[UID_SIZE], uint8_t mark[UID_SIZE])
{
	crypto_blake2b_keyed(mark, UID_SIZE, uid, UID_SIZE, "mark", 4);
}

static struct owner *marked_find(const struct mover *m, const uint8_t mark[UID_SIZE])
{
	struct known *k = m->marked[bucket_of(mark)];
	while (k && !same_id(k->mark, mark, UID_SIZE))
		k = k->next_marked;
	return k ? &k->record : NULL;
}

struct owner *known_find(const struct mover *m, const uint8_t uid[UID_SIZE])
{
	struct known *k = find(m, uid);
	return k ? &k->record : NULL;
}

bool known_put(struct mover *m, const struct owner *o)
{
	struct known *k = find(m, o->uid);
	owner_check(o);
	if (k) {
		assert(o->epoch >= k->record.epoch); /* O3 */
		k->record = *o;
		return true;
	}
	if (m->nknown >= MOVE_RECORDS_MAX)
		return false;
	k = must(calloc(1, sizeof *k));
	k->record = *o;
	mark_of(o->uid, k->mark);
	k->next = m->known[bucket_of(o->uid)];
	m->known[bucket_of(o->uid)] = k;
	k->next_marked = m->marked[bucket_of(k->mark)];
	m->marked[bucket_of(k->mark)] = k;
	m->nknown++;
	return true;
}

static void unlink_marked(struct mover *m, const struct known *k)
{
	struct known **at = &m->marked[bucket_of(k->mark)];
	while (*at != k)
		at = &(*at)->next_marked;
	*at = k->next_marked;
}

static void known_remove(struct mover *m, const uint8_t uid[UID_SIZE])
{
	for (struct known **at = &m->known[bucket_of(uid)]; *at; at = &(*at)->next) {
		if (!same_id((*at)->record.uid, uid, UID_SIZE))
			continue;
		struct known *k = *at;
		*at = k->next;
		unlink_marked(m, k);
		free(k);
		m->nknown--;
		return;
	}
}

const struct owner *mover_record(const struct mover *m, const uint8_t uid[UID_SIZE])
{
	return known_find(m, uid);
}

void mover_each(const struct mover *m, void (*fn)(void *ctx, const struct owner *o), void *ctx)
{
	for (unsigned i = 0; i < KNOWN_BUCKETS; i++)
		for (const struct known *k = m->known[i]; k; k = k->next)
			fn(ctx, &k->record);
}

enum err mover_note(struct mover *m, const struct owner *record)
{
	const struct owner *known = known_find(m, record->uid);
	if (known && known->epoch > record->epoch)
		return ERR_STATE;
	return known_put(m, record) ? ERR_OK : ERR_LIMIT;
}

static void write_record(struct mover *m, const struct owner *o)
{
	push(m, MOVE_ACT_WRITE, NULL, o->uid, NULL)->record = *o;
}

void mover_ended(struct mover *m, const uint8_t uid[UID_SIZE])
{
	struct owner *o = known_find(m, uid);
	if (!o || o->state != OWNER_OWNED)
		return;
	if (o->epoch == 1) { /* never left: nobody could ask */
		push(m, MOVE_ACT_ERASE, NULL, uid, NULL);
		known_remove(m, uid);
		return;
	}
	o->state = OWNER_ENDED;
	o->pending = false;
	memset(&o->image, 0, sizeof o->image);
	write_record(m, o);
}

/* ---- moves ---- */

struct source *source_of(const struct mover *m, const uint8_t uid[UID_SIZE])
{
	struct source *s = m->sources;
	while (s && !same_id(s->record.uid, uid, UID_SIZE))
		s = s->next;
	return s;
}

struct target *target_of(const struct mover *m, const uint8_t uid[UID_SIZE])
{
	struct target *t = m->targets;
	while (t && !same_id(t->uid, uid, UID_SIZE))
		t = t->next;
	return t;
}

static struct source *source_by_move(const struct mover *m, const uint8_t move[MOVE_ID_SIZE],
                                     const uint8_t *peer)
{
	struct source *s = m->sources;
	while (s && !(same_id(s->move, move, MOVE_ID_SIZE) &&
	              (!peer || same_id(s->peer, peer, PEER_ID_SIZE))))
		s = s->next;
	return s;
}

static struct target *target_by_move(const struct mover *m, const uint8_t move[MOVE_ID_SIZE],
                                     const uint8_t *peer)
{
	struct target *t = m->targets;
	while (t && !(same_id(t->move, move, MOVE_ID_SIZE) &&
	              (!peer || same_id(t->peer, peer, PEER_ID_SIZE))))
		t = t->next;
	return t;
}

static struct source *add_source(struct mover *m, const uint8_t move[MOVE_ID_SIZE],
                                 const struct owner *record, const uint8_t peer[PEER_ID_SIZE],
                                 uint64_t now_ns)
{
	struct source *s = must(calloc(1, sizeof *s));
	memcpy(s->move, move, MOVE_ID_SIZE);
	memcpy(s->peer, peer, PEER_ID_SIZE);
	s->record = *record;
	s->started_ns = now_ns;
	s->report.frozen_ns = now_ns;
	s->next = m->sources;
	m->sources = s;
	m->nsources++;
	return s;
}

void mover_restore(struct mover *m, const struct owner *record, const uint8_t move_id[MOVE_ID_SIZE],
                   uint64_t now_ns)
{
	known_put(m, record);
	if (record->state != OWNER_RELEASED)
		return;
	struct source *s = add_source(m, move_id, record, record->peer, now_ns);
	s->state = SOURCE_RELEASED;
	s->image = record->image;
	s->try_ns = now_ns;
	snprintf(s->note, sizeof s->note, "this device was restarted while it was in flight");
}

static enum err copy_options(struct source *s, const struct move_options *o, struct errmsg *msg)
{
	s->max_pause_ns = o->max_pause_ns;
	s->base_image = o->base;
	s->nspaces = o->nspaces;
	s->nmodules = o->nmodules;
	for (uint32_t i = 0; i < o->nspaces; i++)
		TRY(msg_item_move_space(&s->spaces, &o->spaces[i], msg));
	for (uint32_t i = 0; i < o->nmodules; i++)
		TRY(msg_item_move_module(&s->module_list, &o->modules[i], msg));
	return ERR_OK;
}

enum err mover_may_start(const struct mover *m, const struct owner *record,
                         const uint8_t peer[PEER_ID_SIZE], struct errmsg *msg)
{
	const struct owner *rec = known_find(m, record->uid);
	if (record->state != OWNER_OWNED || (rec && (rec->state != OWNER_OWNED || rec->pending)))
		return err_set(msg, ERR_STATE, "the process is not this device's to move: %s",
		               owner_state_text(rec ? rec->state : record->state));
	if (source_of(m, record->uid))
		return err_set(msg, ERR_BUSY, "the process is moving already");
	if (same_id(peer, m->self, PEER_ID_SIZE))
		return err_set(msg, ERR_USAGE, "the process is on this device already");
	if (target_of(m, record->uid))
		return err_set(msg, ERR_BUSY, "the process is just arriving");
	if (!link_is_up(m, peer))
		return err_set(msg, ERR_CLOSED, "there is no link to the device now");
	if (m->nsources >= MOVES_MAX)
		return err_set(msg, ERR_LIMIT, "%d processes are moving already", MOVES_MAX);
	if ((uint32_t)record->epoch >= UINT32_MAX - 1)
		return err_set(msg, ERR_LIMIT, "the process moved too often");
	return ERR_OK;
}

enum err mover_start(struct mover *m, const uint8_t move_id[MOVE_ID_SIZE],
                     const struct owner *record, const uint8_t peer[PEER_ID_SIZE],
                     const struct move_options *options, uint64_t now_ns, struct errmsg *msg)
{
	TRY(mover_may_start(m, record, peer, msg));
	struct source *s = add_source(m, move_id, record, peer, now_ns);
	enum err e = copy_options(s, options, msg);
	if (e != ERR_OK) {
		m->sources = s->next;
		m->nsources--;
		source_free(s);
		return e;
	}
	source_offer(m, s, now_ns);
	return ERR_OK;
}

enum err mover_cancel(struct mover *m, const uint8_t uid[UID_SIZE], uint64_t now_ns,
                      struct errmsg *msg)
{
	struct source *s = source_of(m, uid);
	if (!s || source_cancel(m, s, ERR_CLOSED, "called off") != ERR_OK)
		return err_set(msg, ERR_STATE, "there is no move that can still be called off");
	return ERR_OK;
}

enum err mover_force(struct mover *m, const uint8_t uid[UID_SIZE], uint64_t now_ns,
                     struct errmsg *msg)
{
	struct source *s = source_of(m, uid);
	if (!s || source_force(m, s) != ERR_OK)
		return err_set(msg, ERR_STATE, "the process is not in flight from here");
	return ERR_OK;
}

bool mover_status(const struct mover *m, const uint8_t uid[UID_SIZE], struct move_status *out)
{
	const struct source *s = source_of(m, uid);
	const struct target *t = target_of(m, uid);
	memset(out, 0, sizeof *out);
	if (s) {
		out->leaving = true;
		out->released = source_released(s);
		out->state = source_state_text(s);
		out->round = s->round;
		out->pages = s->report.pages;
		out->bytes = s->report.bytes;
		memcpy(out->peer, s->peer, PEER_ID_SIZE);
		memcpy(out->move, s->move, MOVE_ID_SIZE);
		memcpy(out->note, s->note, sizeof out->note);
	} else if (t) {
		out->state = target_state_text(t);
		memcpy(out->peer, t->peer, PEER_ID_SIZE);
		memcpy(out->move, t->move, MOVE_ID_SIZE);
	}
	return s || t;
}

/* ---- links and claims ---- */

bool link_is_up(const struct mover *m, const uint8_t peer[PEER_ID_SIZE])
{
	const struct peer_link *l = m->links;
	while (l && !same_id(l->id, peer, PEER_ID_SIZE))
		l = l->next;
	return l != NULL;
}

/* A claim goes to every device, since nobody knows where an old copy may turn up. Knowing a uid is what lets a device
 * claim, attach to and serve itself from a process, so a claim must not tell it: mark and proof are made from it. */
static void prove(const uint8_t uid[UID_SIZE], const struct msg_move_claim *c,
                  uint8_t proof[UID_SIZE])
{
	uint8_t text[5 + 8 + PEER_ID_SIZE] = "claim";
	for (unsigned i = 0; i < 8; i++)
		text[5 + i] = (uint8_t)(c->epoch >> (8 * i));
	memcpy(text + 13, c->owner, PEER_ID_SIZE);
	crypto_blake2b_keyed(proof, UID_SIZE, uid, UID_SIZE, text, sizeof text);
}

static bool is_proved(const uint8_t uid[UID_SIZE], const struct msg_move_claim *c)
{
	uint8_t proof[UID_SIZE];
	prove(uid, c, proof);
	return crypto_equal(proof, c->proof, sizeof proof);
}

/* The newest claim this node knows to be true, but for mark and proof. Of a released process that is its own last one:
 * whether the target has taken the next epoch is not known here. */
static struct msg_move_claim claim_of(const struct mover *m, const struct owner *o)
{
	struct msg_move_claim c = {.epoch = o->epoch - (o->state == OWNER_RELEASED)};
	memcpy(c.owner, o->state == OWNER_GONE ? o->peer : m->self, PEER_ID_SIZE);
	return c;
}

void send_claim(struct mover *m, const uint8_t *peer, const struct owner *o)
{
	struct msg_move_claim c = claim_of(m, o);
	if (o->pending)
		return; /* who released it has the better word: it may have been lost here */
	mark_of(o->uid, c.mark);
	prove(o->uid, &c, c.proof);
	push_message(m, peer, MSG_MOVE_CLAIM, &c);
}

static void claim_all(struct mover *m, const uint8_t *peer)
{
	for (unsigned i = 0; i < KNOWN_BUCKETS; i++) {
		for (const struct known *k = m->known[i]; k; k = k->next) {
			enum owner_state s = k->record.state;
			if (k->record.epoch > 1 && s != OWNER_RELEASED && s != OWNER_GONE)
				send_claim(m, peer, &k->record);
		}
	}
}

static void set_link(struct mover *m, const uint8_t *peer, bool up)
{
	struct peer_link **at = &m->links;
	while (*at && !same_id((*at)->id, peer, PEER_ID_SIZE))
		at = &(*at)->next;
	if (up && !*at) {
		*at = must(calloc(1, sizeof **at));
		memcpy((*at)->id, peer, PEER_ID_SIZE);
	} else if (!up && *at) {
		struct peer_link *l = *at;
		*at = l->next;
		free(l);
	}
}

void mover_link(struct mover *m, const uint8_t peer[PEER_ID_SIZE], bool up, uint64_t now_ns)
{
	struct source *s, *snext;
	struct target *t, *tnext;
	set_link(m, peer, up);
	for (s = m->sources; s; s = snext) {
		snext = s->next;
		if (same_id(s->peer, peer, PEER_ID_SIZE))
			source_link(m, s, up, now_ns);
	}
	for (t = m->targets; t; t = tnext) {
		tnext = t->next;
		if (same_id(t->peer, peer, PEER_ID_SIZE))
			target_link(m, t, up, now_ns);
	}
	if (up)
		claim_all(m, peer);
}

/* Our copy loses to a claim: end it, remember who has it. */
static void yield_to(struct mover *m, struct owner *o, const struct msg_move_claim *c,
                     uint64_t now_ns)
{
	struct source *s = source_of(m, o->uid);
	if (s)
		source_outdone(m, s, now_ns);
	if (source_of(m, o->uid) || target_of(m, o->uid))
		return; /* its record is being written: claims come again */
	struct move_action *a = push(m, MOVE_ACT_KILL, NULL, o->uid, c->owner);
	snprintf(a->text.text, sizeof a->text.text, "taken back by another device");
	o->state = OWNER_GONE;
	o->epoch = c->epoch;
	o->unacked = o->pending = false;
	memcpy(o->peer, c->owner, PEER_ID_SIZE);
	memset(&o->image, 0, sizeof o->image);
	write_record(m, o);
}

static void outdate_target(struct mover *m, const struct msg_move_claim *c)
{
	uint8_t mark[UID_SIZE];
	for (struct target *t = m->targets; t; t = t->next) {
		mark_of(t->uid, mark);
		if (!same_id(mark, c->mark, UID_SIZE) || !is_proved(t->uid, c))
			continue;
		if (c->epoch >= t->epoch)
			target_outdone(m, t, c->epoch, c->owner);
		return;
	}
}

/* A released process turns out to live with an epoch of at least the one that was released. */
static void claim_on_released(struct mover *m, struct owner *o, const struct msg_move_claim *c,
                              uint64_t now_ns)
{
	struct source *s = source_of(m, o->uid);
	if (s)
		source_claimed(m, s, c->epoch, c->owner, now_ns);
}

static void on_claim(struct mover *m, const uint8_t *peer, const struct msg_move_claim *c,
                     uint64_t now_ns)
{
	if (c->epoch == 0 || bytes_are_zero(c->owner, PEER_ID_SIZE) ||
	    same_id(c->owner, m->self, PEER_ID_SIZE))
		return;
	outdate_target(m, c);
	struct owner *o = marked_find(m, c->mark);
	if (!o || !is_proved(o->uid, c))
		return;
	struct msg_move_claim mine = claim_of(m, o);
	if (o->state == OWNER_RELEASED && c->epoch >= o->epoch) {
		claim_on_released(m, o, c, now_ns);
	} else if (claim_beats(c->epoch, c->owner, mine.epoch, mine.owner)) {
		if (o->state == OWNER_OWNED || o->state == OWNER_SUSPENDED)
			yield_to(m, o, c, now_ns);
	} else if (claim_beats(mine.epoch, mine.owner, c->epoch, c->owner)) {
		send_claim(m, peer, o);
	}
}

/* ---- messages ---- */

static void on_forgotten(struct mover *m, const uint8_t *peer, const struct msg_move_forgotten *f)
{
	struct owner *o = known_find(m, f->uid);
	if (!o || !o->unacked || o->epoch != f->epoch || !same_id(o->peer, peer, PEER_ID_SIZE))
		return;
	struct source *s = source_of(m, f->uid);
	if (s && s->state >= SOURCE_RELEASING)
		return; /* a newer record is being written, and must not be written over */
	o->unacked = false;
	if (s)
		s->record.unacked = false;
	write_record(m, o);
}

/* The other device took over what was taken back meanwhile. */
static void on_stray_owned(struct mover *m, const uint8_t *peer, const struct msg_move_owned *c)
{
	const struct owner *o = known_find(m, c->uid);
	if (!o)
		return;
	struct msg_move_claim mine = claim_of(m, o);
	if (claim_beats(mine.epoch, mine.owner, c->epoch, peer))
		send_claim(m, peer, o);
}

/* Messages that name a process, not a try. */
static bool by_uid(struct mover *m, const uint8_t *peer, enum msg type, const union msg_any *any,
                   uint64_t now_ns)
{
	const uint8_t *uid;
	switch (type) {
	case MSG_MOVE_OFFER: target_offer(m, peer, &any->move_offer, now_ns); return true;
	case MSG_MOVE_COMMIT: target_commit(m, peer, &any->move_commit, now_ns); return true;
	case MSG_MOVE_CLAIM: on_claim(m, peer, &any->move_claim, now_ns); return true;
	case MSG_MOVE_FORGOTTEN: on_forgotten(m, peer, &any->move_forgotten); return true;
	case MSG_MOVE_RUNS: uid = any->move_runs.uid; break;
	case MSG_MOVE_OWNED: uid = any->move_owned.uid; break;
	case MSG_MOVE_LOST: uid = any->move_lost.uid; break;
	case MSG_MOVE_HELD: uid = any->move_held.uid; break;
	default: return false;
	}
	struct source *s = source_of(m, uid);
	if (s && same_id(s->peer, peer, PEER_ID_SIZE))
		source_message(m, s, type, any, now_ns);
	else if (type == MSG_MOVE_OWNED)
		on_stray_owned(m, peer, &any->move_owned);
	return true;
}

static const uint8_t *move_of(enum msg type, const union msg_any *any)
{
	switch (type) {
	case MSG_MOVE_ACCEPT: return any->move_accept.move;
	case MSG_MOVE_REFUSE: return any->move_refuse.move;
	case MSG_MOVE_SPACES: return any->move_spaces.move;
	case MSG_MOVE_LIST: return any->move_list.move;
	case MSG_MOVE_WANT: return any->move_want.move;
	case MSG_MOVE_MODULE: return any->move_module_piece.move;
	case MSG_MOVE_PAGES: return any->move_pages.move;
	case MSG_MOVE_ROUND: return any->move_round.move;
	case MSG_MOVE_ROUND_OK: return any->move_round_ok.move;
	case MSG_MOVE_PREPARE: return any->move_prepare.move;
	case MSG_MOVE_PREPARED: return any->move_prepared.move;
	case MSG_MOVE_ABORT: return any->move_abort.move;
	default: return NULL;
	}
}

static void push_want(struct mover *m, struct source *s, const struct msg_move_want *want)
{
	struct wr w = {0};
	struct move_action *a = push(m, MOVE_ACT_WANT, s->move, s->record.uid, s->peer);
	a->attempt = s->attempt;
	if (msg_encode(&w, MSG_MOVE_WANT, want, NULL) == ERR_OK)
		push_bytes(a, w.data, w.size);
	wr_free(&w);
}

/* A try that was given up here; the other side should know. */
static void on_unknown(struct mover *m, const uint8_t *peer, enum msg type, const uint8_t *move)
{
	struct msg_move_abort abort = {.why = text_ref("this move is not under way")};
	struct msg_move_refuse refuse = {.error = ERR_STATE, .why = abort.why};
	memcpy(abort.move, move, MOVE_ID_SIZE);
	memcpy(refuse.move, move, MOVE_ID_SIZE);
	if (type == MSG_MOVE_PREPARED || type == MSG_MOVE_ACCEPT)
		push_message(m, peer, MSG_MOVE_ABORT, &abort);
	else if (type == MSG_MOVE_ROUND || type == MSG_MOVE_PREPARE)
		push_message(m, peer, MSG_MOVE_REFUSE, &refuse);
}

void mover_message(struct mover *m, const uint8_t peer[PEER_ID_SIZE], enum msg type,
                   const union msg_any *any, uint64_t now_ns)
{
	if (by_uid(m, peer, type, any, now_ns))
		return;
	const uint8_t *move = move_of(type, any);
	if (!move)
		return;
	struct source *s = source_by_move(m, move, peer);
	struct target *t = target_by_move(m, move, peer);
	if (s && type == MSG_MOVE_WANT)
		push_want(m, s, &any->move_want);
	else if (s)
		source_message(m, s, type, any, now_ns);
	else if (t)
		target_message(m, t, type, any, now_ns);
	else
		on_unknown(m, peer, type, move);
}

void mover_event(struct mover *m, const struct move_event *ev, uint64_t now_ns)
{
	struct source *s = source_by_move(m, ev->move, NULL);
	struct target *t = target_by_move(m, ev->move, NULL);
	if (s)
		source_event(m, s, ev, now_ns);
	else if (t)
		target_event(m, t, ev, now_ns);
}

void mover_tick(struct mover *m, uint64_t now_ns)
{
	struct source *s, *snext;
	struct target *t, *tnext;
	for (s = m->sources; s; s = snext) {
		snext = s->next;
		source_tick(m, s, now_ns);
	}
	for (t = m->targets; t; t = tnext) {
		tnext = t->next;
		target_tick(m, t, now_ns);
	}
}

uint64_t mover_deadline(const struct mover *m)
{
	uint64_t at = UINT64_MAX;
	for (const struct source *s = m->sources; s; s = s->next)
		at = source_deadline(s) < at ? source_deadline(s) : at;
	for (const struct target *t = m->targets; t; t = t->next)
		at = target_deadline(t) < at ? target_deadline(t) : at;
	return at;
}

void mover_check(const struct mover *m)
{
	for (const struct source *s = m->sources; s; s = s->next) {
		const struct owner *rec = known_find(m, s->record.uid);
		assert(source_of(m, s->record.uid) == s); /* M2 */
		assert(!target_of(m, s->record.uid));     /* M2 */
		assert(rec ? rec->state == s->record.state && rec->epoch == s->record.epoch
		           : s->record.state == OWNER_OWNED); /* M3 */
		if (s->state == SOURCE_RELEASED || s->state == SOURCE_FORGETTING ||
		    s->state == SOURCE_TAKING)
			assert(source_released(s));
		if (s->state == SOURCE_COPYING || s->state == SOURCE_FREEZING ||
		    s->state == SOURCE_RELEASING)
			assert(!source_released(s));
	}
	for (const struct target *t = m->targets; t; t = t->next) {
		const struct owner *rec = known_find(m, t->uid);
		assert(target_of(m, t->uid) == t);
		if (t->state == TARGET_STARTING)
			assert(rec && rec->epoch == t->epoch &&
			       (rec->pending || rec->state == OWNER_ENDED)); /* M4 */
	}
}
