/* talk.c - exchanges of replicas with linked devices.
 *
 *	link up: HERE of each folder, both ways     ->  a talk for each folder that both have
 *	SAYS, and our own changes                   ->  inbox, a job on the pool: exchange_take(), exchange_next(), the disk
 *	job done: what it wants to say              ->  SAYS, in the bulk lane
 *
 * One job a replica at a time (busy). A talk that broke a rule, or whose replica was taken back to what is on disk, is over: the replica's session is
 * another one from then on, all are told, and both sides begin anew. What is still on its way bears the older number and is dropped.
 */
#include "node/folders/talk.h"

#include "base/crypto.h"
#include "folder/exchange.h"
#include "node/node.h"
#include "node/work.h"

#include <stdlib.h>
#include <string.h>

enum {
	TICK_MS = 100,
	SAY_BYTES = 2 << 20,    /* of one job for one device */
	INBOX_BYTES = 64 << 20, /* more than a device may have under way */
};

struct say {
	struct say *next;
	size_t size;
	uint8_t bytes[];
};

struct says {
	struct say *first, **end;
	size_t bytes;
};

struct talk {
	struct talk *next;
	uint8_t device[DEVICE_ID_SIZE];
	uint32_t theirs; /* their session */
	struct exchange *x;
	struct exchange_partial partial;
	struct says in, out;
	uint32_t wants; /* chunks asked for and not answered */
	bool more, bad, gone;
};

struct job {
	struct folders *s;
	struct replica *r;
};

static void pump(struct folders *s, struct replica *r);

/* ---- queues ---- */

static bool push(struct says *q, const void *bytes, size_t size)
{
	struct say *say = malloc(sizeof *say + size);
	if (!say)
		return false;
	say->next = NULL;
	say->size = size;
	memcpy(say->bytes, bytes, size);
	if (!q->first)
		q->end = &q->first;
	*q->end = say;
	q->end = &say->next;
	q->bytes += size;
	return true;
}

static struct say *pop(struct says *q)
{
	struct say *say = q->first;
	if (say) {
		q->first = say->next;
		q->bytes -= say->size;
	}
	return say;
}

static void drop_says(struct says *q)
{
	for (struct say *say; (say = pop(q));)
		free(say);
}

/* ---- talks, with the replica's lock held ---- */

static void talk_free(struct talk *t)
{
	exchange_free(t->x);
	exchange_partial_free(&t->partial);
	drop_says(&t->in);
	drop_says(&t->out);
	free(t);
}

static void drop_talks(struct replica *r)
{
	while (r->talks) {
		struct talk *t = r->talks;
		r->talks = t->next;
		talk_free(t);
	}
	folder_free(r->former);
	r->former = NULL;
}

static void drop_talk(struct replica *r, const uint8_t *device)
{
	for (struct talk **at = &r->talks; *at; at = &(*at)->next)
		if (!memcmp((*at)->device, device, DEVICE_ID_SIZE)) {
			struct talk *t = *at;
			*at = t->next;
			talk_free(t);
			return;
		}
}

static struct talk *find_talk(struct replica *r, const uint8_t *device)
{
	struct talk *t = r->talks;
	while (t && memcmp(t->device, device, DEVICE_ID_SIZE) != 0)
		t = t->next;
	return t;
}

static void new_talk(struct replica *r, const struct offer *o)
{
	struct talk *t = calloc(1, sizeof *t);
	if (!t)
		return;
	memcpy(t->device, o->device, sizeof t->device);
	t->theirs = o->session;
	t->x = exchange_new(r->f, r->next_origin++, &t->partial);
	if (!t->x) {
		talk_free(t);
		return;
	}
	t->next = r->talks;
	r->talks = t;
}

/* ---- the job ---- */

struct looking {
	struct replica *r;
	struct talk *t;
	uint32_t missing;
};

static void look(void *ctx, const struct chunk_addr *addr)
{
	struct looking *l = ctx;
	if (depot_has_chunk(l->r->depot, addr))
		return;
	l->missing++;
	if (l->t && exchange_want(l->t->x, addr) == ERR_OK)
		l->t->wants++;
}

/* Asks the next device for what is missing, when nobody is being asked. */
static void look_for_chunks(struct replica *r)
{
	uint32_t n = 0;
	for (struct talk *t = r->talks; t; t = t->next, n++)
		if (t->wants)
			return;
	if (r->scanned == folder_changes(r->f) + 1 && !r->missing)
		return;
	struct looking l = {.r = r};
	uint32_t turn = n ? r->scans++ % n : 0;
	for (l.t = r->talks; l.t && turn; turn--)
		l.t = l.t->next;
	replica_each_chunk(r, look, &l);
	r->missing = l.missing;
	r->scanned = folder_changes(r->f) + 1;
}

static enum err save(struct replica *r)
{
	struct depot_batch *b;
	void (*changed)(void *) = r->changed;
	TRY(replica_begin(r, &b));
	r->changed = NULL; /* it is we who take care of the news */
	enum err e = replica_end(r, b, ERR_OK, NULL);
	r->changed = changed;
	return e;
}

static enum err give_chunk(struct replica *r, struct talk *t, const struct chunk_addr *addr)
{
	struct wr bytes = {0};
	enum err e = depot_get_chunk(r->depot, addr, &bytes, NULL);
	e = exchange_loaded(t->x, e == ERR_OK ? bytes.data : NULL, e == ERR_OK ? bytes.size : 0);
	wr_free(&bytes);
	return e;
}

static enum err act(struct replica *r, struct talk *t, struct depot_batch *chunks,
                    const struct exchange_action *a)
{
	switch (a->kind) {
	case EXCHANGE_SEND: return push(&t->out, a->bytes, a->size) ? ERR_OK : ERR_NOMEM;
	case EXCHANGE_SAVE: return save(r);
	case EXCHANGE_LOAD: return give_chunk(r, t, &a->addr);
	case EXCHANGE_STORE:
		depot_put_chunk(chunks, &a->addr, a->bytes, a->size);
		t->wants -= t->wants > 0;
		return ERR_OK;
	case EXCHANGE_LACK: t->wants -= t->wants > 0; return ERR_OK;
	case EXCHANGE_IDLE: break;
	}
	return ERR_OK;
}

static enum err step(struct replica *r, struct talk *t, struct depot_batch *chunks)
{
	struct exchange_action a;
	do {
		TRY(exchange_next(t->x, &a));
		TRY(act(r, t, chunks, &a));
	} while (a.kind != EXCHANGE_IDLE && !r->reloaded && t->out.bytes < SAY_BYTES);
	t->more = a.kind != EXCHANGE_IDLE;
	return ERR_OK;
}

static enum err hear(struct replica *r, struct talk *t, struct depot_batch *chunks)
{
	enum err e = step(r, t, chunks);
	for (struct say *say;
	     e == ERR_OK && !r->reloaded && t->out.bytes < SAY_BYTES && (say = pop(&t->in));) {
		e = exchange_take(t->x, say->bytes, say->size, replica_now_ms(), NULL);
		free(say);
		if (e == ERR_OK)
			e = step(r, t, chunks);
	}
	t->more |= t->in.first != NULL;
	return e;
}

static void renew(struct replica *r)
{
	uint64_t writer = 0;
	while (!writer)
		crypto_random(&writer, sizeof writer);
	if (folder_needs_new_life(r->f) && folder_new_life(r->f, writer) == ERR_OK)
		save(r);
}

/* A second step for each: what one said is news for the others. */
static void run_talks(struct replica *r, struct depot_batch *chunks)
{
	for (int round = 0; round < 2; round++)
		for (struct talk *t = r->talks; t && !r->reloaded; t = t->next)
			if (!t->bad && hear(r, t, chunks) != ERR_OK)
				t->bad = true;
}

static void talk_job(void *ctx)
{
	struct job *j = ctx;
	struct replica *r = j->r;
	replica_lock(r);
	struct depot_batch *chunks = r->closed ? NULL : depot_batch_new(r->depot);
	if (chunks) {
		run_talks(r, chunks);
		if (depot_write(chunks, NULL) != ERR_OK)
			r->missing++; /* they are asked for again */
		if (!r->reloaded)
			look_for_chunks(r);
		run_talks(r, chunks);
		if (depot_write(chunks, NULL) != ERR_OK)
			r->missing++;
		renew(r);
	}
	depot_batch_free(chunks);
	replica_unlock(r);
}

/* ---- on the loop ---- */

static void say_here(struct folders *s, struct peer *p, struct replica *r)
{
	struct msg_folder_here m = {.session = r->session};
	memcpy(m.folder, r->id.bytes, sizeof m.folder);
	m.name.p = r->name;
	m.name.size = (uint32_t)strlen(r->name);
	if (peer_is_up(p))
		link_send(p, MSG_FOLDER_HERE, &m, LINK_BULK, NULL);
}

static void meet(struct folders *s, struct replica *r, const struct offer *o)
{
	if (!entry_id_equal(&o->id, &r->id))
		return;
	replica_lock(r);
	struct talk *t = find_talk(r, o->device);
	if (!t || t->theirs != o->session) {
		drop_talk(r, o->device);
		new_talk(r, o);
	}
	replica_unlock(r);
	pump(s, r);
}

void talk_begin(struct folders *s, struct replica *r)
{
	for (struct peer *p = peer_first(s->node); p; p = peer_next(p))
		say_here(s, p, r);
	for (struct offer *o = s->offers; o; o = o->next)
		meet(s, r, o);
}

/* With another session. */
static void begin_again(struct folders *s, struct replica *r)
{
	replica_lock(r);
	drop_talks(r);
	r->session++;
	r->reloaded = false;
	r->scanned = 0;
	replica_unlock(r);
	talk_begin(s, r);
}

void talk_end(struct folders *s, struct replica *r)
{
	struct msg_folder_left m;
	memcpy(m.folder, r->id.bytes, sizeof m.folder);
	for (struct peer *p = peer_first(s->node); p; p = peer_next(p))
		if (peer_is_up(p))
			link_send(p, MSG_FOLDER_LEFT, &m, LINK_BULK, NULL);
	replica_lock(r);
	drop_talks(r);
	replica_unlock(r);
}

static bool send_says(struct folders *s, struct replica *r, struct talk *t)
{
	struct peer *p = peer_by_id(s->node, t->device);
	struct msg_folder_says m = {.to = t->theirs};
	memcpy(m.folder, r->id.bytes, sizeof m.folder);
	for (struct say *say;
	     p && peer_is_up(p) && link_queued(p) < LINK_QUEUE_GOAL && (say = pop(&t->out));) {
		m.bytes.p = say->bytes;
		m.bytes.size = (uint32_t)say->size;
		enum err e = link_send(p, MSG_FOLDER_SAYS, &m, LINK_BULK, NULL);
		free(say);
		if (e != ERR_OK)
			return false;
	}
	return true;
}

static void job_done(void *ctx)
{
	struct job *j = ctx;
	struct folders *s = j->s;
	struct replica *r = j->r;
	bool more = r->again, bad;
	r->busy = r->again = false;
	replica_lock(r);
	bad = r->reloaded;
	for (struct talk *t = r->talks; t && !s->closed; t = t->next) {
		bad |= t->bad || !send_says(s, r, t);
		more |= t->more && !t->out.first;
	}
	bool closed = r->closed || s->closed;
	replica_unlock(r);
	if (bad && !closed)
		begin_again(s, r);
	else if (more && !closed)
		pump(s, r);
	replica_unref(r);
	free(j);
}

static void pump(struct folders *s, struct replica *r)
{
	r->again = r->busy;
	if (r->busy || s->closed || !r->talks)
		return;
	struct job *j = malloc(sizeof *j);
	if (!j)
		return; /* the timer comes again */
	*j = (struct job){s, replica_ref(r)};
	r->busy = true;
	work_start(s->node, &s->jobs, talk_job, job_done, j);
}

/* The lock is for r->talks, which only the loop changes: without it while no job runs. */
static void on_tick(uv_timer_t *timer)
{
	struct folders *s = timer->data;
	for (struct replica *r = s->list; r; r = r->next) {
		bool waits = r->missing > 0;
		for (struct talk *t = r->busy ? NULL : r->talks; t; t = t->next)
			waits |= t->more || t->out.first;
		if (waits && !r->busy)
			pump(s, r);
	}
}

static void on_async(uv_async_t *async)
{
	struct folders *s = async->data;
	for (struct replica *r = s->list; r; r = r->next)
		pump(s, r);
}

/* ---- what devices say ---- */

static struct offer **find_offer(struct folders *s, const uint8_t *device, const uint8_t *id)
{
	struct offer **at = &s->offers;
	while (*at && (memcmp((*at)->device, device, DEVICE_ID_SIZE) != 0 ||
	               (id && memcmp((*at)->id.bytes, id, ENTRY_ID_SIZE) != 0)))
		at = &(*at)->next;
	return at;
}

static void drop_offer(struct folders *s, struct offer **at)
{
	struct offer *o = *at;
	*at = o->next;
	for (struct replica *r = s->list; r; r = r->next)
		if (entry_id_equal(&r->id, &o->id)) {
			replica_lock(r);
			drop_talk(r, o->device);
			replica_unlock(r);
		}
	s->offer_count--;
	free(o);
}

static enum err got_here(struct folders *s, struct peer *p, const struct msg_folder_here *m)
{
	struct offer **at = find_offer(s, peer_id(p), m->folder), *o = *at;
	if (!o) {
		if (s->offer_count == 1024 || !(o = calloc(1, sizeof *o)))
			return ERR_LIMIT;
		memcpy(o->device, peer_id(p), sizeof o->device);
		memcpy(o->id.bytes, m->folder, sizeof o->id.bytes);
		o->next = s->offers;
		s->offers = o;
		s->offer_count++;
	}
	o->session = m->session;
	snprintf(o->name, sizeof o->name, "%.*s", (int)m->name.size, (const char *)m->name.p);
	for (struct replica *r = s->list; r; r = r->next)
		meet(s, r, o);
	return ERR_OK;
}

static enum err got_says(struct folders *s, struct peer *p, const struct msg_folder_says *m)
{
	enum err e = ERR_OK;
	for (struct replica *r = s->list; r; r = r->next) {
		if (memcmp(r->id.bytes, m->folder, sizeof m->folder) != 0 || m->to != r->session)
			continue;
		replica_lock(r);
		struct talk *t = find_talk(r, peer_id(p));
		if (t && t->in.bytes > INBOX_BYTES)
			e = ERR_LIMIT;
		else if (t && !push(&t->in, m->bytes.p, m->bytes.size))
			e = ERR_NOMEM;
		replica_unlock(r);
		if (t)
			pump(s, r);
	}
	return e;
}

static enum err on_message(void *ctx, struct peer *p, enum msg type, const union msg_any *any,
                           struct errmsg *msg)
{
	struct folders *s = ctx;
	struct offer **at;
	switch (type) {
	case MSG_FOLDER_HERE: return got_here(s, p, &any->folder_here);
	case MSG_FOLDER_SAYS: return got_says(s, p, &any->folder_says);
	case MSG_FOLDER_LEFT:
		if (*(at = find_offer(s, peer_id(p), any->folder_left.folder)))
			drop_offer(s, at);
		return ERR_OK;
	default: return err_set(msg, ERR_UNSUPPORTED, "message %u of folders", (unsigned)type);
	}
}

static void on_link(void *ctx, struct peer *p, bool up)
{
	struct folders *s = ctx;
	struct offer **at;
	while (*(at = find_offer(s, peer_id(p), NULL)))
		drop_offer(s, at);
	for (struct replica *r = s->list; up && r; r = r->next)
		say_here(s, p, r);
}

uint32_t talk_count(struct folders *s, const struct replica *r)
{
	uint32_t n = 0;
	for (const struct talk *t = r->talks; t; t = t->next)
		n++;
	return n;
}

/* ---- life ---- */

enum err talk_open(struct folders *s)
{
	struct node *n = s->node;
	uv_async_init(&n->loop, &s->async, on_async);
	uv_timer_init(&n->loop, &s->timer);
	s->async.data = s->timer.data = s;
	uv_timer_start(&s->timer, on_tick, TICK_MS, TICK_MS);
	TRY(link_subscribe(n, MSG_GROUP_FOLDER, on_message, s));
	return link_watch(n, on_link, s);
}

/* The part's memory goes with the last of its handles. */
static void on_closed(uv_handle_t *h)
{
	struct folders *s = h->data;
	while (s->offers)
		drop_offer(s, &s->offers);
	uv_mutex_destroy(&s->lock);
	vfs_unref(s->desk);
	free(s);
}

static void on_timer_closed(uv_handle_t *h)
{
	struct folders *s = h->data;
	uv_close((uv_handle_t *)&s->async, on_closed);
}

void talk_close(struct folders *s)
{
	s->closed = true;
	work_wait(s->node, &s->jobs);
	uv_timer_stop(&s->timer);
	uv_close((uv_handle_t *)&s->timer, on_timer_closed);
}
