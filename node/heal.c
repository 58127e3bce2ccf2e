/* heal.c - asking for a chunk in parts, and answering who asks. */
#include "node/heal.h"

#include "node/disk.h"
#include "node/links/link.h"
#include "node/node.h"
#include "node/store.h"
#include "node/work.h"

#include <stdlib.h>
#include <string.h>

enum { VERSION = 1, CALL_SIZE = 1 + CHUNK_ADDR_SIZE + 4 };

/* ---- asking ---- */

/* The next part of the chunk, appended to w. *end: it is whole. */
static enum err ask_part(struct node *n, const uint8_t *device, const struct chunk_addr *addr,
                         struct wr *w, bool *end)
{
	struct wr call = {0}, reply = {0};
	uint32_t total = 0;
	wr_u8(&call, VERSION);
	chunk_addr_write(&call, addr);
	wr_u32(&call, (uint32_t)w->size);
	enum err e = wr_ok(&call) ? link_rpc(n, device, LINK_SERVICE_CHUNK, call.data, call.size,
	                                     HEAL_TIMEOUT_MS, &reply)
	                          : ERR_NOMEM;
	struct rd r = rd_of(reply.data, reply.size);
	if (e == ERR_OK)
		e = rd_u32(&r, &total);
	if (e == ERR_OK && (total > CHUNK_MAX || !rd_left(&r) || rd_left(&r) > total - w->size))
		e = ERR_MALFORMED;
	if (e == ERR_OK)
		wr_bytes(w, r.p, rd_left(&r));
	*end = w->size == total;
	wr_free(&call);
	wr_free(&reply);
	return e == ERR_OK && !wr_ok(w) ? ERR_NOMEM : e;
}

static enum err ask(struct node *n, const uint8_t *device, const struct chunk_addr *addr,
                    struct wr *w)
{
	wr_clear(w);
	for (bool end = false; !end;)
		TRY(ask_part(n, device, addr, w, &end));
	return chunk_check(addr, w->data, w->size, NULL);
}

/* From whoever has it. */
static bool ask_all(struct node *n, const struct heal_from *from, const atomic_bool *stop,
                    const struct chunk_addr *addr, struct wr *w)
{
	for (unsigned i = 0; i < from->count && !*stop; i++)
		if (ask(n, from->ids[i], addr, w) == ERR_OK)
			return true;
	return false;
}

static bool heal_one(struct node *n, const struct heal_from *from, const atomic_bool *stop,
                     const struct chunk_addr *addr)
{
	struct wr w = {0};
	bool healed = ask_all(n, from, stop, addr, &w);
	struct depot_batch *b = healed ? depot_batch_new(node_depot(n)) : NULL;
	if (b) {
		struct errmsg msg = {0};
		depot_put_chunk(b, addr, w.data, w.size);
		healed = depot_write(b, &msg) == ERR_OK;
		if (!healed)
			node_log(n, LOG_ERROR, "store", "a chunk is not healed: %s", msg.text);
	}
	depot_batch_free(b);
	wr_free(&w);
	return healed && b;
}

void heal_chunks(struct node *n, const struct heal_from *from, const atomic_bool *stop,
                 uint32_t *healed, uint32_t *left)
{
	struct chunk_addr *addrs = calloc(HEAL_CHUNKS_MAX, sizeof *addrs);
	uint32_t count = addrs ? depot_damaged(node_depot(n), addrs, HEAL_CHUNKS_MAX) : 0;
	*healed = 0;
	for (uint32_t i = 0; i < count && from->count && !*stop; i++)
		*healed += heal_one(n, from, stop, &addrs[i]);
	*left = count - *healed;
	free(addrs);
}

struct heal_from heal_from(struct node *n)
{
	struct heal_from from = {0};
	for (struct peer *p = peer_first(n); p && from.count < HEAL_PEERS_MAX; p = peer_next(p))
		if (peer_is_up(p))
			memcpy(from.ids[from.count++], peer_id(p), DEVICE_ID_SIZE);
	return from;
}

/* ---- answering ---- */

struct heal {
	struct node *node;
	unsigned work;
};

struct answer {
	struct heal *heal;
	struct link_caller call;
	struct chunk_addr addr;
	uint32_t offset;
	struct wr chunk, body;
	enum err err;
};

static void answer_run(void *ctx)
{
	struct answer *a = ctx;
	a->err = depot_get_chunk(node_depot(a->heal->node), &a->addr, &a->chunk, NULL);
	if (a->err == ERR_OK && a->offset >= a->chunk.size)
		a->err = ERR_LIMIT;
	if (a->err != ERR_OK)
		return;
	size_t left = a->chunk.size - a->offset;
	wr_u32(&a->body, (uint32_t)a->chunk.size);
	wr_bytes(&a->body, a->chunk.data + a->offset, left < HEAL_PART ? left : HEAL_PART);
	a->err = wr_ok(&a->body) ? ERR_OK : ERR_NOMEM;
}

static void answer_done(void *ctx)
{
	struct answer *a = ctx;
	link_answer(&a->call, a->err, a->err == ERR_OK ? a->body.data : NULL,
	            a->err == ERR_OK ? a->body.size : 0);
	wr_free(&a->chunk);
	wr_free(&a->body);
	free(a);
}

static enum err read_call(struct answer *a, const uint8_t *body, size_t size)
{
	struct rd r = rd_of(body, size);
	uint8_t version;
	if (size != CALL_SIZE)
		return ERR_MALFORMED;
	TRY(rd_u8(&r, &version));
	TRY(version == VERSION ? ERR_OK : ERR_UNSUPPORTED);
	TRY(chunk_addr_read(&r, &a->addr));
	TRY(chunk_addr_is_null(&a->addr) ? ERR_MALFORMED : ERR_OK);
	return rd_u32(&r, &a->offset);
}

static void on_call(void *ctx, const struct link_caller *call, const uint8_t *body, size_t size)
{
	struct heal *h = ctx;
	struct answer *a = h->work < HEAL_SERVED_MAX ? calloc(1, sizeof *a) : NULL;
	enum err e = a ? read_call(a, body, size) : ERR_BUSY;
	if (e != ERR_OK) {
		link_answer(call, e, NULL, 0);
		free(a);
		return;
	}
	a->heal = h;
	a->call = *call;
	work_start(h->node, &h->work, answer_run, answer_done, a);
}

enum err heal_serve(struct node *n, struct heal **out)
{
	struct heal *h = calloc(1, sizeof *h);
	enum err e = h ? link_serve(n, LINK_SERVICE_CHUNK, on_call, h) : ERR_NOMEM;
	if (e != ERR_OK) {
		free(h);
		return e;
	}
	h->node = n;
	*out = h;
	return ERR_OK;
}

void heal_free(struct node *n, struct heal *h)
{
	work_wait(n, &h->work);
	link_serve(n, LINK_SERVICE_CHUNK, NULL, NULL);
	free(h);
}
