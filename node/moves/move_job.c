/* move_job.c - the jobs of a move: one at a time on the pool, their messages sent from the loop.
 *
 *	job_add --> queue --> run (pool) --> send what it made --> again? wait for room in the link, run --> done --> next
 */
#include "engine/engine.h"
#include "node/disk.h"
#include "node/process/modules.h"
#include "node/moves/move_impl.h"
#include "node/work.h"

#include <stdlib.h>
#include <string.h>

static void run_next(struct move *mv);

struct job *job_new(struct move *mv, const char *name, void (*run)(struct job *),
                    void (*done)(struct job *))
{
	struct job *j = calloc(1, sizeof *j);
	if (!j)
		abort();
	j->mv = mv;
	j->name = name;
	j->run = run;
	j->done = done;
	return j;
}

void job_free(struct job *j)
{
	while (j->in) {
		struct incoming *in = j->in;
		j->in = in->next;
		free(in->bytes);
		free(in);
	}
	wr_free(&j->data);
	free(j);
}

void job_out(struct job *j, enum msg type, struct wr *bytes, uint32_t a, uint32_t b)
{
	struct outgoing *o = calloc(1, sizeof *o);
	if (!o || !wr_ok(bytes)) {
		j->err = ERR_NOMEM;
		free(o);
		return;
	}
	o->type = type;
	o->a = a;
	o->b = b;
	o->bytes = wr_take(bytes, &o->size);
	j->bytes += o->size;
	*j->mv->out_last = o;
	j->mv->out_last = &o->next;
}

void outgoing_free(struct move *mv)
{
	while (mv->out) {
		struct outgoing *o = mv->out;
		mv->out = o->next;
		free(o->bytes);
		free(o);
	}
	mv->out_last = &mv->out;
}

static enum err send_one(struct move *mv, struct peer *p, const struct outgoing *o)
{
	union msg_any any;
	memset(&any, 0, sizeof any);
	memcpy(any.move_pages.move, mv->id, MOVE_ID_SIZE); /* the first field of each */
	struct bin_ref bytes = bin_ref(o->bytes, o->size);
	switch (o->type) {
	case MSG_MOVE_PAGES: any.move_pages.batch = bytes; break;
	case MSG_MOVE_LIST:
		any.move_list.seq = o->a;
		any.move_list.entries = bytes;
		break;
	case MSG_MOVE_WANT:
		any.move_want.seq = o->a;
		any.move_want.bits = bytes;
		break;
	case MSG_MOVE_MODULE:
		any.move_module_piece.module = o->a;
		any.move_module_piece.piece = o->b;
		any.move_module_piece.packed = bytes;
		break;
	case MSG_MOVE_SPACES:
		any.move_spaces.spaces =
		    (struct list_ref){.p = o->bytes, .size = (uint32_t)o->size, .count = o->a};
		break;
	default: return ERR_STATE;
	}
	return link_send(p, o->type, &any, LINK_BULK, NULL);
}

/* An error means that the link is down: the mover hears that by itself. */
static void send_all(struct move *mv)
{
	struct peer *p = peer_by_id(mv->moves->node, mv->peer);
	for (struct outgoing *o = mv->out; o && p && !mv->over; o = o->next)
		if (send_one(mv, p, o) != ERR_OK)
			break;
	outgoing_free(mv);
}

static void finish(struct job *j)
{
	struct move *mv = j->mv;
	move_step(mv->moves, "job", j->name);
	if (!mv->over && j->done)
		j->done(j); /* running is still set, so nobody frees mv or starts the next */
	mv->running = NULL;
	job_free(j);
	if (mv->over) {
		move_end(mv);
		return;
	}
	if (!mv->first)
		target_flush(mv);
	run_next(mv);
}

static void run(void *ctx)
{
	struct job *j = ctx;
	j->again = false;
	if (j->err == ERR_OK)
		j->run(j);
}

static void ran(void *ctx);

static void drained(void *ctx, struct peer *p)
{
	struct job *j = ctx;
	j->mv->waits_for_link = false;
	if (j->mv->over)
		finish(j);
	else
		work_start(j->mv->moves->node, &j->mv->moves->work, run, ran, j);
}

static void ran(void *ctx)
{
	struct job *j = ctx;
	struct move *mv = j->mv;
	struct peer *p = peer_by_id(mv->moves->node, mv->peer);
	send_all(mv);
	if (!j->again || j->err != ERR_OK || mv->over || !p || !peer_is_up(p)) {
		finish(j);
		return;
	}
	if (link_queued(p) > LINK_QUEUE_GOAL && link_on_drained(p, drained, j) == ERR_OK)
		mv->waits_for_link = true;
	else
		work_start(mv->moves->node, &mv->moves->work, run, ran, j);
}

static void run_next(struct move *mv)
{
	struct job *j = mv->first;
	if (!j || mv->running)
		return;
	mv->first = j->next;
	if (!mv->first)
		mv->last = &mv->first;
	mv->running = j;
	work_start(mv->moves->node, &mv->moves->work, run, ran, j);
}

void job_add(struct job *j)
{
	struct move *mv = j->mv;
	*mv->last = j;
	mv->last = &j->next;
	run_next(mv);
}

/* ---- storing ---- */

enum { BATCH_BYTES = 32 << 20 };

/* Chunks on their way to the depot, a piece at a time: the caller's hold keeps those that nothing names yet. */
struct filling {
	struct depot_batch *batch;
	enum err err;
	struct errmsg *msg;
};

static void put_chunk(void *ctx, const struct chunk_addr *addr, const void *bytes, size_t size)
{
	struct filling *f = ctx;
	if (f->err != ERR_OK)
		return;
	depot_put_chunk(f->batch, addr, bytes, size);
	if (depot_batch_size(f->batch) > BATCH_BYTES)
		f->err = depot_write(f->batch, f->msg);
}

/* The module's row: hash -> size and list, so that it is found again by hash. */
static void put_module_row(struct depot_batch *b, const struct code_ref *ref)
{
	struct wr w = {0};
	uint8_t key[7 + 32];
	memcpy(key, "module:", sizeof "module:" - 1);
	memcpy(key + 7, ref->hash, 32);
	wr_u64(&w, ref->size);
	chunk_addr_write(&w, &ref->list);
	if (wr_ok(&w))
		depot_put(b, DEPOT_SETTINGS, key, sizeof key, w.data, w.size);
	wr_free(&w);
}

static enum err put_module(struct depot *d, struct filling *f, const struct code_ref *want,
                           const struct module_list *modules, struct errmsg *msg)
{
	size_t size;
	struct code_ref ref;
	struct module *module = module_list_find(modules, want->hash);
	if (depot_has_chunk(d, &want->list))
		return ERR_OK;
	if (!module)
		return err_set(msg, ERR_NOTFOUND, "the module's bytes are not here");
	const uint8_t *bytes = module_bytes(module, &size);
	TRY(module_cut(want->hash, bytes, size, put_chunk, f, &ref));
	put_module_row(f->batch, &ref);
	return ERR_OK;
}

enum err depot_store_image(struct node *n, struct depot *d, struct image *im,
                           const struct module_list *modules, struct errmsg *msg)
{
	struct filling f = {.batch = depot_batch_new(d), .msg = msg};
	enum err e = f.batch ? ERR_OK : ERR_NOMEM;
	for (uint32_t i = 0; e == ERR_OK && i < image_module_count(im); i++)
		e = put_module(d, &f, image_module(im, i), modules, msg);
	if (e == ERR_OK)
		e = image_store(im, put_chunk, &f);
	if (e == ERR_OK)
		e = f.err;
	if (e == ERR_OK)
		e = depot_write(f.batch, msg);
	if (e != ERR_OK)
		image_forget_stored(im);
	depot_batch_free(f.batch);
	return e;
}

static enum err get_chunk(void *ctx, const struct chunk_addr *addr, struct wr *out,
                          struct errmsg *msg)
{
	return depot_get_chunk(ctx, addr, out, msg);
}

enum err depot_load_image(struct depot *d, const struct chunk_addr *id, struct image **out,
                          struct errmsg *msg)
{
	struct wr w = {0};
	struct chunk_source from = {get_chunk, d};
	enum err e = depot_get_chunk(d, id, &w, msg);
	if (e == ERR_OK)
		e = image_load(w.data, w.size, &from, out, msg);
	wr_free(&w);
	return e;
}

static void store_run(struct job *j)
{
	struct node *n = j->mv->moves->node;
	j->err = depot_store_image(n, node_depot(n), j->mv->image, &j->mv->modules, &j->msg);
}

void job_store(struct move *mv, void (*done)(struct job *), const struct move_action *a)
{
	struct job *j = job_new(mv, "store", store_run, done);
	if (a) {
		j->record = a->record;
		j->attempt = a->attempt;
	}
	job_add(j);
}
