/* move_target.c - performing a move that arrives: pages into an image, the image against its manifest, a frozen process.
 *
 *	ADMIT --> BULK ... (one job applies all that waits) --> BARRIER --> PREPARE: hash, compare, revive --> RUN | DROP
 */
#include "base/crypto.h"
#include "base/os.h"
#include "engine/engine.h"
#include "node/drivers/host.h"
#include "node/disk.h"
#include "node/process/modules.h"
#include "node/moves/move_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- ADMIT ---- */

struct offer {
	uint64_t pages, code_bytes;
	uint32_t nmodules;
	struct code_ref modules[IMAGE_MODULES_MAX];
	struct chunk_addr base;
};

static enum err read_offer(const struct move_action *a, struct offer *o, struct errmsg *msg)
{
	enum msg type;
	union msg_any any;
	struct msg_move_space s;
	struct msg_move_module mod;
	memset(o, 0, sizeof *o);
	TRY(msg_decode(a->bytes, a->size, &type, &any, msg));
	while (msg_next_move_space(&any.move_offer.spaces, &s))
		o->pages += s.size / CHUNK_PAGE;
	while (o->nmodules < IMAGE_MODULES_MAX &&
	       msg_next_move_module(&any.move_offer.modules, &mod)) {
		struct code_ref *ref = &o->modules[o->nmodules++];
		memcpy(ref->hash, mod.hash, 32);
		ref->size = mod.size;
		o->code_bytes += mod.size < IMAGE_MODULE_MAX ? mod.size : IMAGE_MODULE_MAX + 1;
	}
	struct rd r = rd_of(any.move_offer.base, CHUNK_ADDR_SIZE);
	TRY(chunk_addr_read(&r, &o->base));
	if (o->pages > IMAGE_PAGES_MAX || o->code_bytes > IMAGE_MODULE_MAX)
		return err_set(msg, ERR_LIMIT,
		               "%llu pages of memory and modules of %llu bytes are "
		               "more than this device takes",
		               (unsigned long long)o->pages, (unsigned long long)o->code_bytes);
	return ERR_OK;
}

/* Takes the reference. */
static enum err keep_module(struct move *mv, struct module *m)
{
	enum err e = module_list_add(&mv->modules, m);
	module_unref(m);
	return e;
}

static void admit_run(struct job *j)
{
	struct move *mv = j->mv;
	struct node *n = mv->moves->node;
	struct errmsg ignored;
	struct module *m;
	for (uint32_t i = 0; i < mv->noffered; i++)
		if (modules_load_hash(n->modules, mv->offered[i].hash, &m, &ignored) == ERR_OK)
			keep_module(mv, m);
	j->pages = depot_chunk_count(node_depot(n));
}

static uint32_t lacking(const struct move *mv)
{
	uint32_t bits = 0;
	for (uint32_t i = 0; i < mv->noffered; i++)
		if (!module_list_find(&mv->modules, mv->offered[i].hash))
			bits |= UINT32_C(1) << i;
	return bits;
}

static void admitted(struct job *j)
{
	struct move *mv = j->mv;
	struct move_event ev = {.kind = MOVE_EV_ADMITTED,
	                        .base = mv->base,
	                        .ask = j->pages > 0,
	                        .modules = lacking(mv)};
	move_event(mv, &ev);
}

/* It may have a window: what takes longest about the first one is begun while the process still runs there. */
static void warm_screen(struct node *n)
{
	enum screen_kind kind;
	if (screen_kind_parse(n->cfg.display, &kind))
		hosts_warm(n->hosts, kind);
}

static void perform_admit(struct moves *m, const struct move_action *a)
{
	struct move *mv = move_new(m, a, false);
	struct errmsg msg = {0};
	struct offer o;
	enum err e = read_offer(a, &o, &msg);
	if (e == ERR_OK && process_find_uid(m->node, a->uid))
		e = err_set(&msg, ERR_EXISTS, "the process runs on this device");
	if (e != ERR_OK) {
		move_failed(mv, 0, e, &msg);
		return;
	}
	memcpy(mv->offered, o.modules, sizeof mv->offered);
	mv->noffered = o.nmodules;
	if (!chunk_addr_is_null(&o.base))
		mv->image = shadow_take(m, mv->uid, mv->peer, &o.base);
	mv->base = mv->image != NULL;
	if (!mv->image)
		mv->image = image_new();
	if (!mv->image)
		abort();
	warm_screen(m->node);
	job_add(job_new(mv, "admit", admit_run, admitted));
}

/* ---- BULK ---- */

static bool is_listed(struct list_ref list, const struct space_info *info)
{
	struct msg_move_space s;
	while (msg_next_move_space(&list, &s))
		if (s.kind == info->kind && s.name.size == strlen(info->name) &&
		    !memcmp(s.name.p, info->name, s.name.size))
			return true;
	return false;
}

/* The list is all there is: others have gone. */
static enum err apply_spaces(struct image *im, struct list_ref *list, struct errmsg *msg)
{
	struct msg_move_space s;
	for (uint32_t i = image_space_count(im); i > 0; i--)
		if (!is_listed(*list, image_space(im, i - 1)))
			image_drop_space(im, i - 1);
	while (msg_next_move_space(list, &s)) {
		char name[IMAGE_NAME_MAX];
		if (s.kind < SPACE_SECTION || s.kind > SPACE_MEMORY ||
		    str_copy(s.name, name, sizeof name) != ERR_OK)
			return err_set(msg, ERR_MALFORMED, "a space of kind %u", s.kind);
		enum err e =
		    image_put_space(im, (enum space_kind)s.kind, name, s.version, s.size, NULL);
		if (e != ERR_OK)
			return err_set(msg, e, "no room for %llu bytes of space %s",
			               (unsigned long long)s.size, name);
	}
	return ERR_OK;
}

/* One entry: already here? Otherwise it is wanted. */
static enum err apply_entry(struct move *mv, struct rd *r, bool *want, struct errmsg *msg)
{
	uint8_t space;
	uint32_t page;
	struct chunk_addr addr;
	struct wr w = {0};
	struct image *im = mv->image;
	TRY(rd_u8(r, &space));
	TRY(rd_u32(r, &page));
	TRY(chunk_addr_read(r, &addr));
	if (space >= image_space_count(im) || page >= image_pages(im, space))
		return err_set(msg, ERR_INVALID, "page %u of space %u, which is not there", page,
		               space);
	struct depot *d = node_depot(mv->moves->node);
	*want = chunk_addr_is_null(&addr) || depot_get_chunk(d, &addr, &w, NULL) != ERR_OK ||
	        w.size != CHUNK_PAGE;
	if (!*want)
		image_write_known(im, space, page, w.data, &addr);
	wr_free(&w);
	return ERR_OK;
}

static enum err apply_list(struct job *j, const struct msg_move_list *l)
{
	enum { ENTRY = 5 + CHUNK_ADDR_SIZE };
	struct rd r = rd_of(l->entries.p, l->entries.size);
	struct wr bits = {0};
	uint32_t n = l->entries.size / ENTRY;
	if (l->entries.size % ENTRY || n == 0 || n > LIST_PAGES)
		return err_set(&j->msg, ERR_MALFORMED, "a list of %u bytes", l->entries.size);
	uint8_t *p = wr_space(&bits, (n + 7) / 8);
	enum err e = p ? ERR_OK : ERR_NOMEM;
	for (uint32_t i = 0; e == ERR_OK && i < n; i++) {
		bool want = false;
		e = apply_entry(j->mv, &r, &want, &j->msg);
		p[i / 8] |= (uint8_t)(want << i % 8);
	}
	if (e == ERR_OK)
		job_out(j, MSG_MOVE_WANT, &bits, l->seq, 0);
	wr_free(&bits);
	return e;
}

/* Pieces come in order, module after module. */
static enum err next_piece(struct move *mv, const struct msg_move_module_piece *p,
                           struct errmsg *msg)
{
	if (p->piece == 0 && !mv->code.size)
		mv->coming = p->module;
	if (p->module != mv->coming || p->module >= mv->noffered || p->piece != mv->pieces ||
	    module_list_find(&mv->modules, mv->offered[p->module].hash))
		return err_set(msg, ERR_INVALID, "piece %u of module %u is out of order", p->piece,
		               p->module);
	return ERR_OK;
}

static enum err apply_module(struct job *j, const struct msg_move_module_piece *p)
{
	struct move *mv = j->mv;
	TRY(next_piece(mv, p, &j->msg));
	uint64_t want = mv->offered[mv->coming].size;
	TRY(chunk_unpack(p->packed.p, p->packed.size, &mv->code, &j->msg));
	mv->pieces++;
	if (mv->code.size < want)
		return ERR_OK;
	uint8_t hash[32];
	crypto_blake2b(hash, mv->code.data, mv->code.size);
	if (mv->code.size != want || memcmp(hash, mv->offered[mv->coming].hash, 32) != 0)
		return err_set(&j->msg, ERR_INVALID, "the module's bytes do not have its hash");
	size_t size;
	struct module *m;
	uint8_t *bytes = wr_take(&mv->code, &size);
	mv->pieces = 0;
	TRY(modules_load_bytes(mv->moves->node->modules, bytes, size, &m, &j->msg));
	return keep_module(mv, m);
}

static enum err apply(struct job *j, const struct incoming *in)
{
	struct move *mv = j->mv;
	enum msg type;
	union msg_any any;
	TRY(msg_decode(in->bytes, in->size, &type, &any, &j->msg));
	switch (type) {
	case MSG_MOVE_SPACES: return apply_spaces(mv->image, &any.move_spaces.spaces, &j->msg);
	case MSG_MOVE_LIST: return apply_list(j, &any.move_list);
	case MSG_MOVE_MODULE: return apply_module(j, &any.move_module_piece);
	case MSG_MOVE_PAGES:
		return delta_apply(mv->delta, mv->image, any.move_pages.batch.p,
		                   any.move_pages.batch.size, NULL, &j->msg);
	default: return ERR_STATE;
	}
}

static void bulk_run(struct job *j)
{
	for (struct incoming *in = j->in; in && j->err == ERR_OK; in = in->next)
		j->err = apply(j, in);
}

static void bulk_done(struct job *j)
{
	if (j->err != ERR_OK)
		move_failed(j->mv, 0, j->err, &j->msg);
}

/* What has arrived since the last flush becomes one job. */
void target_flush(struct move *mv)
{
	if (!mv->in)
		return;
	struct job *j = job_new(mv, "bulk", bulk_run, bulk_done);
	j->in = mv->in;
	mv->in = NULL;
	mv->in_last = &mv->in;
	job_add(j);
}

static void perform_bulk(struct move *mv, struct move_action *a)
{
	struct incoming *in = calloc(1, sizeof *in);
	if (!in)
		abort();
	in->bytes = a->bytes;
	in->size = a->size;
	a->bytes = NULL;
	*mv->in_last = in;
	mv->in_last = &in->next;
	if (!mv->running) /* else when the job that runs is over */
		target_flush(mv);
}

/* ---- BARRIER ---- */

static void nothing_run(struct job *j)
{
}

static void barrier_done(struct job *j)
{
	struct move_event ev = {.kind = MOVE_EV_APPLIED, .round = j->round};
	struct move *mv = j->mv;
	move_event(mv, &ev);
	/* The source looks for what was written meanwhile: time to write here. */
	if (!mv->over && j->round == 0 && image_module_count(mv->image) > 0)
		job_store(mv, NULL, NULL);
}

static void name_modules(struct job *j)
{
	struct move *mv = j->mv;
	if (!mv->modules.count)
		return;
	j->err = module_list_name(&mv->modules, mv->image);
	if (j->err == ERR_OK)
		image_hash(mv->image);
}

static void perform_barrier(struct move *mv, const struct move_action *a)
{
	target_flush(mv);
	struct job *j =
	    job_new(mv, "barrier", a->round == 0 ? name_modules : nothing_run, barrier_done);
	j->round = a->round;
	job_add(j);
}

/* ---- PREPARE ---- */

/* The image has the manifest's modules and no others; some were here already. */
static void prepare_modules(struct job *j, struct manifest *m)
{
	struct move *mv = j->mv;
	struct module_list all = {0};
	struct module *code;
	for (uint32_t i = 0; j->err == ERR_OK && i < m->nmodules; i++) {
		code = module_list_find(&mv->modules, m->modules[i].hash);
		if (!code) {
			j->err = modules_load_hash(mv->moves->node->modules, m->modules[i].hash,
			                           &code, &j->msg);
			if (j->err == ERR_OK)
				j->err = keep_module(mv, code);
		}
		if (j->err == ERR_OK)
			j->err = module_list_add(&all, code);
	}
	manifest_free(m);
	if (j->err == ERR_OK)
		j->err = module_list_name(&all, mv->image);
	module_list_free(&mv->modules);
	mv->modules = all;
}

static void prepare_run(struct job *j)
{
	struct move *mv = j->mv;
	struct wr is = {0};
	struct manifest m;
	j->err = manifest_read(j->data.data, j->data.size, &m, &j->msg);
	if (j->err == ERR_OK)
		prepare_modules(j, &m);
	if (j->err == ERR_OK)
		j->err = image_manifest(mv->image, &is);
	if (j->err == ERR_OK &&
	    (is.size != j->data.size || memcmp(is.data, j->data.data, is.size) != 0))
		j->err =
		    err_set(&j->msg, ERR_INVALID, "what arrived is not the image that was sent");
	if (j->err == ERR_OK)
		j->image = chunk_addr_of(is.data, is.size);
	wr_free(&is);
}

static void stands(struct move *mv, struct process *p)
{
	struct move_event ev = {.kind = MOVE_EV_PREPARED, .pid = p->pid};
	mv->p = p;
	process_pin(p);
	kin_hold(p, HOLD_ARRIVING);
	image_id(mv->image, &ev.image);
	move_event(mv, &ev);
}

static void revived(void *ctx, struct process *p, enum err e, const struct errmsg *msg)
{
	struct move *mv = ctx;
	struct errmsg why = {0};
	if (p && memcmp(p->uid, mv->uid, UID_SIZE) != 0)
		e = err_set(&why, ERR_INVALID, "the image is of another process than was offered");
	else
		why = *msg;
	if (p && (mv->over || e != ERR_OK) && p->state == PROCESS_FROZEN)
		kin_forget(p, NULL);
	if (!mv->over && e != ERR_OK)
		move_failed(mv, 0, e, &why);
	else if (!mv->over)
		stands(mv, p);
	move_let(mv);
}

static void prepared(struct job *j)
{
	struct move *mv = j->mv;
	if (j->err != ERR_OK) {
		move_failed(mv, 0, j->err, &j->msg);
		return;
	}
	move_hold(mv);
	revive(mv->moves->node, mv->image, false, revived, mv);
}

static void perform_prepare(struct move *mv, const struct move_action *a)
{
	target_flush(mv);
	struct job *j = job_new(mv, "prepare", prepare_run, prepared);
	wr_bytes(&j->data, a->bytes, a->size);
	job_add(j);
}

/* ---- RUN, DROP ---- */

static void perform_run(struct move *mv, const struct move_action *a)
{
	struct moves *m = mv->moves;
	struct process *p = mv->p;
	struct move_event ev = {.kind = MOVE_EV_RUNNING, .pid = p->pid};
	kin_set_epoch(p, a->record.epoch);
	kin_release(p);
	ev.resumed_ns = os_monotonic_ns();
	memcpy(ev.clock, m->clock, sizeof ev.clock);
	kin_thaw_all(p);
	m->node->counters.here.done++;
	node_log_about(m->node, LOG_INFO, "moves",
	               &(struct log_about){.event = LOG_EVENT_program_arrived,
	                                   .pid = p->pid,
	                                   .program = p->name,
	                                   .device = peer_called(m->node, mv->peer)},
	               "%u (%s) has arrived", p->pid, p->name);
	move_event(mv, &ev);
	if (!process_find_uid(m->node, mv->uid))
		mover_ended(m->mover, mv->uid);
}

/* It stays: what has arrived is what the source has, until it is written to. */
static void perform_keep(struct move *mv, const struct move_action *a)
{
	if (!mv->running) {
		shadow_keep(mv->moves, mv->uid, mv->peer, &a->image, mv->image);
		mv->image = NULL;
	}
	move_end(mv);
}

static void perform_drop(struct move *mv, const struct move_action *a)
{
	mv->moves->node->counters.here.failed++;
	node_log_about(mv->moves->node, LOG_INFO, "moves",
	               &(struct log_about){.event = LOG_EVENT_move_dropped,
	                                   .device = peer_called(mv->moves->node, mv->peer),
	                                   .error = a->err},
	               "what was arriving is dropped: %s", a->text.text);
	if (mv->p && mv->p->state == PROCESS_FROZEN)
		kin_forget(mv->p, NULL);
	move_end(mv);
}

void target_move_free(struct move *mv)
{
	while (mv->in) {
		struct incoming *in = mv->in;
		mv->in = in->next;
		free(in->bytes);
		free(in);
	}
	wr_free(&mv->code);
	if (!mv->leaving && mv->p)
		process_unpin(mv->p);
}

void target_perform(struct moves *m, struct move_action *a)
{
	struct move *mv = move_find(m, a->move);
	if (a->kind == MOVE_ACT_ADMIT) {
		perform_admit(m, a);
		return;
	}
	if (!mv)
		return;
	switch (a->kind) {
	case MOVE_ACT_BULK: perform_bulk(mv, a); break;
	case MOVE_ACT_BARRIER: perform_barrier(mv, a); break;
	case MOVE_ACT_PREPARE: perform_prepare(mv, a); break;
	case MOVE_ACT_RUN: perform_run(mv, a); break;
	case MOVE_ACT_KEEP: perform_keep(mv, a); break;
	case MOVE_ACT_DROP: perform_drop(mv, a); break;
	default: break;
	}
}
