/* exchange.c - one end of an exchange: what to send next, and what a message means.
 *
 * A run, as its sender sees it:
 *
 *	RUN_REST  --news, and the peer is in no run-->  RUN_BEGINS  --BEGIN-->  RUN_GOES  --ENTRIES ...-->  --DONE-->  RUN_WAITS  --HAVE-->  RUN_REST
 *
 * `told` is what the peer has for sure: what its HELLO and its runs said it saw, and what it said HAVE of.
 * `snapshot` is what we had seen when the run began: with the run's last entry the peer has all of that, whatever changed meanwhile.
 */
#include "folder/exchange.h"

#include "base/pack.h"
#include "folder/folder_impl.h"
#include "folder/member_pack.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION = 1 };
enum message { HELLO = 1, BEGIN, ENTRIES, DONE, HAVE, WANT, CHUNK, LACK };
enum run { RUN_REST, RUN_BEGINS, RUN_GOES, RUN_WAITS };

struct got {
	struct chunk_addr addr;
	uint8_t *bytes; /* NULL: the peer lacks it */
	size_t size;
};

struct addrs {
	struct chunk_addr *at;
	uint32_t first, count, cap;
};

struct exchange {
	struct folder *f;
	uint32_t origin;
	struct exchange_partial *partial;
	bool said_hello, over, turn;
	uint64_t peer; /* its writer; 0: no HELLO yet */
	/* what we send */
	enum run run;
	bool whole, first;
	uint64_t news; /* of the folder, when the last run began */
	struct vector told, snapshot;
	struct exchange_partial skip; /* of the peer's HELLO: for the first run */
	struct entry_id at;           /* the last entry that was looked at */
	/* what we get */
	bool in_run, in_whole, have_due;
	unsigned list; /* while in_whole: folder_begin_list()'s */
	struct vector in_seen;
	/* chunks */
	struct addrs wanted;                         /* not yet asked for */
	struct chunk_addr asked[EXCHANGE_WANTS_MAX]; /* of the peer */
	struct chunk_addr asks[EXCHANGE_WANTS_MAX];  /* of us */
	unsigned asked_count, ask_count;
	bool loading;
	struct got loaded; /* to be sent; bytes NULL with `ready`: we lack it */
	bool ready;
	struct got got[EXCHANGE_WANTS_MAX];
	unsigned got_count;
	struct got given; /* what the last action pointed to */
	struct wr out;
};

/* ---- life ---- */

struct exchange *exchange_new(struct folder *f, uint32_t origin, struct exchange_partial *partial)
{
	struct exchange *x = calloc(1, sizeof *x);
	assert(origin);
	if (!x)
		return NULL;
	x->f = f;
	x->origin = origin;
	x->partial = partial;
	x->first = true;
	return x;
}

void exchange_partial_free(struct exchange_partial *p)
{
	vector_free(&p->seen);
	*p = (struct exchange_partial){0};
}

void exchange_free(struct exchange *x)
{
	if (!x)
		return;
	if (x->in_whole)
		(void)folder_end_list(x->f, x->list, NULL, 0);
	vector_free(&x->told);
	vector_free(&x->snapshot);
	vector_free(&x->in_seen);
	exchange_partial_free(&x->skip);
	free(x->wanted.at);
	free(x->loaded.bytes);
	free(x->given.bytes);
	for (unsigned i = 0; i < x->got_count; i++)
		free(x->got[i].bytes);
	wr_free(&x->out);
	free(x);
}

uint64_t exchange_peer(const struct exchange *x)
{
	return x->peer;
}

static bool has_news(const struct exchange *x)
{
	return x->first || x->news != folder_news(x->f);
}

bool exchange_is_settled(const struct exchange *x)
{
	return x->peer && x->run == RUN_REST && !has_news(x) && !x->in_run && !x->have_due &&
	       !x->wanted.count && !x->asked_count && !x->ask_count && !x->got_count;
}

/* ---- sending ---- */

static enum err send_out(struct exchange *x, struct exchange_action *out)
{
	if (!wr_ok(&x->out))
		return ERR_NOMEM;
	*out = (struct exchange_action){
	    .kind = EXCHANGE_SEND, .bytes = x->out.data, .size = x->out.size};
	return ERR_OK;
}

static void begin_message(struct exchange *x, enum message type, uint32_t fields)
{
	pack_array(&x->out, 1 + fields);
	pack_u64(&x->out, type);
}

static enum err send_hello(struct exchange *x, struct exchange_action *out)
{
	begin_message(x, HELLO, 6);
	pack_u64(&x->out, VERSION);
	pack_bin(&x->out, x->f->id.bytes, ENTRY_ID_SIZE);
	pack_u64(&x->out, x->f->writer);
	vector_pack(&x->out, &x->f->seen);
	vector_pack(&x->out, &x->partial->seen);
	pack_bin(&x->out, x->partial->last.bytes, ENTRY_ID_SIZE);
	x->said_hello = true;
	return send_out(x, out);
}

static enum err send_begin(struct exchange *x, struct exchange_action *out)
{
	vector_free(&x->snapshot);
	TRY(vector_copy(&x->snapshot, &x->f->seen));
	x->whole = !vector_within(&x->f->dropped, &x->told);
	x->news = folder_news(x->f);
	x->at = (struct entry_id){{0}};
	x->run = RUN_GOES;
	begin_message(x, BEGIN, 2);
	pack_bool(&x->out, x->whole);
	vector_pack(&x->out, &x->snapshot);
	return send_out(x, out);
}

static bool is_to_be_sent(const struct exchange *x, const struct row *row)
{
	const struct vector *known = &row->e.known;
	if (x->whole)
		return true;
	if (row->origin == x->origin || vector_within(known, &x->told))
		return false;
	bool before = memcmp(&row->e.id, &x->skip.last, ENTRY_ID_SIZE) <= 0;
	return !before || !vector_within(known, &x->skip.seen);
}

/* The next entry for the peer behind x->at. */
static struct row *next_row(struct exchange *x)
{
	uint32_t i = folder_place_of(x->f, &x->at);
	if (i < x->f->count && entry_id_equal(&x->f->rows[i]->e.id, &x->at))
		i++;
	while (i < x->f->count && !is_to_be_sent(x, x->f->rows[i]))
		i++;
	return i < x->f->count ? x->f->rows[i] : NULL;
}

static enum err send_done(struct exchange *x, struct exchange_action *out)
{
	/* Tombstones went away while the run went, and the peer may not have had them: then it says nothing, and the next is whole. */
	bool good = x->whole || vector_within(&x->f->dropped, &x->told);
	begin_message(x, DONE, 3);
	pack_bool(&x->out, good);
	vector_pack(&x->out, &x->f->dropped);
	pack_array(&x->out, x->f->member_count);
	for (unsigned i = 0; i < x->f->member_count; i++) {
		struct folder_member m = x->f->members[i];
		if (!i) /* all of it is on disk: nothing is sent before that */
			m.ack = x->f->seen;
		member_pack(&x->out, &m);
	}
	x->run = RUN_WAITS;
	x->first = !good;
	if (!good)
		vector_free(&x->snapshot);
	exchange_partial_free(&x->skip);
	return send_out(x, out);
}

static enum err send_entries(struct exchange *x, struct exchange_action *out)
{
	struct wr list = {0};
	struct row *row = next_row(x);
	uint32_t count = 0;
	if (!row)
		return send_done(x, out);
	while (row && list.size < EXCHANGE_BATCH) {
		entry_pack(&list, &row->e);
		x->at = row->e.id;
		count++;
		row = next_row(x);
	}
	begin_message(x, ENTRIES, 1);
	pack_array(&x->out, count);
	wr_bytes(&x->out, list.data, list.size);
	x->out.failed |= !wr_ok(&list);
	wr_free(&list);
	return send_out(x, out);
}

static enum err send_have(struct exchange *x, struct exchange_action *out)
{
	begin_message(x, HAVE, 0);
	x->have_due = false;
	return send_out(x, out);
}

static enum err send_wants(struct exchange *x, struct exchange_action *out)
{
	uint8_t list[EXCHANGE_WANTS_MAX * CHUNK_ADDR_SIZE];
	unsigned n = 0;
	while (x->wanted.count && x->asked_count < EXCHANGE_WANTS_MAX) {
		struct chunk_addr *a = &x->wanted.at[x->wanted.first++];
		x->wanted.count--;
		memcpy(list + (size_t)n++ * CHUNK_ADDR_SIZE, a->bytes, CHUNK_ADDR_SIZE);
		x->asked[x->asked_count++] = *a;
	}
	begin_message(x, WANT, 1);
	pack_bin(&x->out, list, (size_t)n * CHUNK_ADDR_SIZE);
	return send_out(x, out);
}

static enum err send_loaded(struct exchange *x, struct exchange_action *out)
{
	bool here = x->loaded.bytes != NULL;
	begin_message(x, here ? CHUNK : LACK, here ? 2 : 1);
	pack_bin(&x->out, x->loaded.addr.bytes, CHUNK_ADDR_SIZE);
	if (here)
		pack_bin(&x->out, x->loaded.bytes, x->loaded.size);
	free(x->loaded.bytes);
	x->loaded = (struct got){0};
	x->ready = false;
	return send_out(x, out);
}

static enum err load_next(struct exchange *x, struct exchange_action *out)
{
	x->loading = true;
	x->loaded.addr = x->asks[0];
	x->ask_count--;
	memmove(x->asks, x->asks + 1, x->ask_count * sizeof *x->asks);
	*out = (struct exchange_action){.kind = EXCHANGE_LOAD, .addr = x->loaded.addr};
	return ERR_OK;
}

enum err exchange_loaded(struct exchange *x, const void *bytes, size_t size)
{
	struct wr w = {0};
	assert(x->loading);
	x->loading = false;
	x->ready = true;
	if (!bytes)
		return ERR_OK;
	if (size > CHUNK_MAX)
		return ERR_LIMIT;
	chunk_pack(NULL, &w, bytes, size);
	bool ok = wr_ok(&w);
	if (ok)
		x->loaded.bytes = wr_take(&w, &x->loaded.size);
	wr_free(&w);
	return ok ? ERR_OK : ERR_NOMEM;
}

static enum err give_got(struct exchange *x, struct exchange_action *out)
{
	x->given = x->got[0];
	x->got_count--;
	memmove(x->got, x->got + 1, x->got_count * sizeof *x->got);
	*out = (struct exchange_action){.kind = x->given.bytes ? EXCHANGE_STORE : EXCHANGE_LACK,
	                                .bytes = x->given.bytes,
	                                .size = x->given.size,
	                                .addr = x->given.addr};
	return ERR_OK;
}

static bool may_begin(const struct exchange *x)
{
	return x->run == RUN_REST && !x->in_run && has_news(x);
}

/* Entries and chunks by turns, so that neither waits for the other's end. */
static enum err next_of_many(struct exchange *x, struct exchange_action *out)
{
	x->turn = !x->turn;
	bool chunks = x->ready || (x->ask_count && !x->loading) ||
	              (x->wanted.count && x->asked_count <= EXCHANGE_WANTS_MAX / 2);
	bool entries = x->run == RUN_GOES || may_begin(x);
	if (!chunks && !entries)
		return ERR_OK;
	if (entries && (x->turn || !chunks))
		return x->run == RUN_GOES ? send_entries(x, out) : send_begin(x, out);
	if (x->ready)
		return send_loaded(x, out);
	if (x->ask_count && !x->loading)
		return load_next(x, out);
	return send_wants(x, out);
}

enum err exchange_next(struct exchange *x, struct exchange_action *out)
{
	*out = (struct exchange_action){.kind = EXCHANGE_IDLE};
	wr_clear(&x->out);
	free(x->given.bytes);
	x->given.bytes = NULL;
	if (x->over)
		return ERR_OK;
	if (x->got_count)
		return give_got(x, out);
	if (folder_unsaved(x->f)) {
		out->kind = EXCHANGE_SAVE;
		return ERR_OK;
	}
	if (!x->said_hello)
		return send_hello(x, out);
	if (!x->peer)
		return ERR_OK;
	return x->have_due ? send_have(x, out) : next_of_many(x, out);
}

/* ---- wanting ---- */

static bool is_asked(const struct exchange *x, const struct chunk_addr *addr)
{
	for (unsigned i = 0; i < x->asked_count; i++)
		if (chunk_addr_equal(&x->asked[i], addr))
			return true;
	return false;
}

enum err exchange_want(struct exchange *x, const struct chunk_addr *addr)
{
	struct addrs *w = &x->wanted;
	if (is_asked(x, addr))
		return ERR_EXISTS;
	if (w->count == EXCHANGE_QUEUE_MAX)
		return ERR_LIMIT;
	if (w->first && w->first + w->count == w->cap) {
		memmove(w->at, w->at + w->first, w->count * sizeof *w->at);
		w->first = 0;
	}
	if (w->count == w->cap) {
		uint32_t cap = w->cap ? 2 * w->cap : 64;
		struct chunk_addr *at = realloc(w->at, cap * sizeof *at);
		if (!at)
			return ERR_NOMEM;
		w->at = at;
		w->cap = cap;
	}
	w->at[w->first + w->count++] = *addr;
	return ERR_OK;
}

/* ---- taking ---- */

static enum err take_hello(struct exchange *x, struct rd *r, struct errmsg *msg)
{
	uint64_t version, writer;
	struct entry_id id;
	TRY(unpack_u64(r, &version));
	TRY(unpack_fixed(r, id.bytes, ENTRY_ID_SIZE));
	TRY(unpack_u64(r, &writer));
	if (version != VERSION)
		return err_set(msg, ERR_UNSUPPORTED, "the peer speaks version %u of folders",
		               (unsigned)version);
	if (x->peer || !entry_id_equal(&id, &x->f->id) || !writer || writer == x->f->writer)
		return err_set(msg, ERR_INVALID,
		               "a greeting for another folder, or from ourselves");
	TRY(vector_unpack(r, &x->told));
	TRY(vector_unpack(r, &x->skip.seen));
	TRY(unpack_fixed(r, x->skip.last.bytes, ENTRY_ID_SIZE));
	if (vector_get(&x->told, x->f->writer) > x->f->seq) {
		x->f->stale = true;
		return err_set(msg, ERR_STALE, "the peer has changes of ours that are not here");
	}
	x->peer = writer;
	return ERR_OK;
}

static enum err take_begin(struct exchange *x, struct rd *r)
{
	if (x->in_run || x->have_due)
		return ERR_STATE;
	bool whole;
	TRY(unpack_bool(r, &whole));
	vector_free(&x->in_seen);
	TRY(vector_unpack(r, &x->in_seen));
	x->in_run = true;
	if (!whole)
		return ERR_OK;
	exchange_partial_free(x->partial);
	TRY(folder_begin_list(x->f, &x->list));
	x->in_whole = true;
	return ERR_OK;
}

/* How far the run came, once it is behind where an earlier one was cut. */
static enum err remember(struct exchange *x, const struct entry_id *id)
{
	struct exchange_partial *p = x->partial;
	if (x->in_whole || (p->seen.count && memcmp(id, &p->last, sizeof *id) < 0))
		return ERR_OK;
	vector_free(&p->seen);
	TRY(vector_copy(&p->seen, &x->in_seen));
	p->last = *id;
	return ERR_OK;
}

static enum err take_entries(struct exchange *x, struct rd *r, uint64_t now_ms)
{
	uint32_t count;
	struct entry_id last = {{0}};
	if (!x->in_run)
		return ERR_STATE;
	TRY(unpack_array(r, UINT32_MAX, &count));
	for (uint32_t i = 0; i < count; i++) {
		struct entry e;
		TRY(entry_unpack(r, &e));
		last = e.id;
		TRY(folder_join(x->f, &e, x->origin, now_ms));
		if (x->in_whole)
			folder_list_has(x->f, x->list, &last);
	}
	return count ? remember(x, &last) : ERR_OK;
}

static enum err take_members(struct exchange *x, struct rd *r)
{
	uint32_t count;
	TRY(unpack_array(r, VECTOR_MAX, &count));
	for (uint32_t i = 0; i < count; i++) {
		struct folder_member m;
		TRY(member_unpack(r, &m));
		enum err e = folder_hear_member(x->f, &m);
		vector_free(&m.ack);
		TRY(e);
	}
	return ERR_OK;
}

static enum err run_came(struct exchange *x, const struct vector *dropped, uint64_t now_ms)
{
	TRY(folder_learn(x->f, &x->in_seen, dropped));
	if (x->in_whole) {
		x->in_whole = false;
		TRY(folder_end_list(x->f, x->list, &x->in_seen, now_ms));
	}
	exchange_partial_free(x->partial);
	TRY(folder_keep_needed(x->f, now_ms));
	return vector_join(&x->told, &x->in_seen);
}

static enum err take_done(struct exchange *x, struct rd *r, uint64_t now_ms)
{
	bool good;
	struct vector dropped = {0};
	if (!x->in_run)
		return ERR_STATE;
	TRY(unpack_bool(r, &good));
	TRY(vector_unpack(r, &dropped));
	enum err e = good ? run_came(x, &dropped, now_ms) : ERR_OK;
	vector_free(&dropped);
	TRY(e);
	TRY(take_members(x, r));
	if (x->in_whole) /* it was broken off */
		TRY(folder_end_list(x->f, x->list, NULL, now_ms));
	x->in_run = x->in_whole = false;
	x->have_due = true;
	return ERR_OK;
}

static enum err take_have(struct exchange *x)
{
	if (x->run != RUN_WAITS)
		return ERR_STATE;
	x->run = RUN_REST;
	return vector_join(&x->told, &x->snapshot);
}

static enum err read_addr(struct rd *r, struct chunk_addr *out)
{
	TRY(chunk_addr_read(r, out));
	return chunk_addr_is_null(out) ? ERR_MALFORMED : ERR_OK;
}

static enum err take_wants(struct exchange *x, struct rd *r)
{
	const uint8_t *bytes;
	size_t size;
	TRY(unpack_bin(r, (size_t)EXCHANGE_WANTS_MAX * CHUNK_ADDR_SIZE, &bytes, &size));
	struct rd list = rd_of(bytes, size);
	if (size % CHUNK_ADDR_SIZE)
		return ERR_MALFORMED;
	while (rd_left(&list)) {
		if (x->ask_count == EXCHANGE_WANTS_MAX)
			return ERR_LIMIT;
		TRY(read_addr(&list, &x->asks[x->ask_count]));
		x->ask_count++;
	}
	return ERR_OK;
}

/* The answer to something that we asked for. */
static enum err take_answer(struct exchange *x, struct rd *r, struct chunk_addr *addr)
{
	const uint8_t *bytes;
	size_t size;
	unsigned i = 0;
	TRY(unpack_bin(r, CHUNK_ADDR_SIZE, &bytes, &size));
	struct rd one = rd_of(bytes, size);
	TRY(read_addr(&one, addr));
	while (i < x->asked_count && !chunk_addr_equal(&x->asked[i], addr))
		i++;
	if (i == x->asked_count || x->got_count == EXCHANGE_WANTS_MAX)
		return ERR_STATE;
	x->asked[i] = x->asked[--x->asked_count];
	return ERR_OK;
}

static enum err take_chunk(struct exchange *x, struct rd *r, struct errmsg *msg)
{
	struct wr w = {0};
	struct got got = {0};
	const uint8_t *packed;
	size_t size;
	TRY(take_answer(x, r, &got.addr));
	TRY(unpack_bin(r, EXCHANGE_MESSAGE_MAX, &packed, &size));
	enum err e = chunk_unpack(packed, size, &w, msg);
	if (e == ERR_OK)
		e = wr_ok(&w) && w.size ? chunk_check(&got.addr, w.data, w.size, msg) : ERR_INVALID;
	if (e == ERR_OK) {
		got.bytes = wr_take(&w, &got.size);
		x->got[x->got_count++] = got;
	}
	wr_free(&w);
	return e;
}

static enum err take_lack(struct exchange *x, struct rd *r)
{
	struct got got = {0};
	TRY(take_answer(x, r, &got.addr));
	x->got[x->got_count++] = got;
	return ERR_OK;
}

static const uint8_t field_counts[] = {0, 6, 2, 1, 3, 0, 1, 2, 1};

static enum err take(struct exchange *x, struct rd *r, uint64_t now_ms, struct errmsg *msg)
{
	uint32_t fields;
	uint8_t type;
	TRY(unpack_array(r, 8, &fields));
	TRY(unpack_u8(r, &type));
	if (type < HELLO || type > LACK || fields != 1u + field_counts[type])
		return ERR_MALFORMED;
	if ((type == HELLO) != !x->peer)
		return ERR_STATE;
	switch ((enum message)type) {
	case HELLO: TRY(take_hello(x, r, msg)); break;
	case BEGIN: TRY(take_begin(x, r)); break;
	case ENTRIES: TRY(take_entries(x, r, now_ms)); break;
	case DONE: TRY(take_done(x, r, now_ms)); break;
	case HAVE: TRY(take_have(x)); break;
	case WANT: TRY(take_wants(x, r)); break;
	case CHUNK: TRY(take_chunk(x, r, msg)); break;
	case LACK: TRY(take_lack(x, r)); break;
	}
	return unpack_end(r);
}

enum err exchange_take(struct exchange *x, const void *bytes, size_t size, uint64_t now_ms,
                       struct errmsg *msg)
{
	struct rd r = rd_of(bytes, size);
	struct errmsg unused = {{0}};
	msg = msg ? msg : &unused;
	msg->text[0] = 0;
	if (x->over)
		return err_set(msg, ERR_STATE, "this exchange is over");
	enum err e = size > EXCHANGE_MESSAGE_MAX ? ERR_LIMIT : take(x, &r, now_ms, msg);
	if (e == ERR_OK)
		return ERR_OK;
	x->over = true;
	return msg->text[0]
	           ? e
	           : err_set(msg, e, "folder: a message that breaks the protocol: %s", err_text(e));
}
