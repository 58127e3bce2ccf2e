/* move_source.c - performing a move that leaves: rounds of pages while the process runs, the last one while it stands.
 *
 * `image` is what the target has. A page is sent when it differs from it, and is written into it when it is
 * sent. In a round only pages whose written-bit is set are looked at; bits are taken before the pages are read, so what is
 * written meanwhile is looked at in the next round, and in the last one the process stands.
 */
#include "base/os.h"
#include "engine/engine.h"
#include "node/moves/afterimage.h"
#include "node/control/awake.h"
#include "node/disk.h"
#include "node/process/modules.h"
#include "node/moves/move_impl.h"
#include "node/moves/saver.h"
#include "node/work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- pages ---- */

static void end_batch(struct job *j)
{
	struct wr w = {0};
	struct move *mv = j->mv;
	if (delta_count(mv->delta) == 0)
		return;
	j->pages += delta_count(mv->delta);
	if (delta_end(mv->delta, &w) != ERR_OK)
		j->err = ERR_NOMEM;
	else
		job_out(j, MSG_MOVE_PAGES, &w, 0, 0);
	wr_free(&w);
}

/* ---- where pages are ---- */

static struct page_source source_of_section(const struct move *mv, const struct space_info *info,
                                            bool running)
{
	const struct captured_section *c = capture_section(&mv->capture, info->name);
	if (running || !c) /* sections come with the last round */
		return (struct page_source){.skip = true};
	return (struct page_source){.base = c->bytes.data, .size = c->bytes.size};
}

static struct page_source source_of_memory(const struct move *mv, const struct space_info *info)
{
	struct page_source s = {0};
	uint32_t i = capture_memory(&mv->capture, info->name);
	if (i == mv->capture.nmemories)
		return (struct page_source){.skip = true};
	s.base = capture_memory_at(&mv->capture, i, &s.size);
	s.bits = mv->bits[i];
	s.nbits = mv->nbits[i];
	return s;
}

static struct page_source source_of_image(const struct move *mv, const struct space_info *info)
{
	uint32_t at;
	if (image_find(mv->full, info->kind, info->name, &at) != ERR_OK)
		return (struct page_source){0};
	return (struct page_source){.base = image_bytes(mv->full, at),
	                            .size = image_pages(mv->full, at) * CHUNK_PAGE};
}

/* After the image's spaces have changed. running: a round, in which sections are not looked at. */
static void aim(struct move *mv, bool running)
{
	for (uint32_t i = 0; i < image_space_count(mv->image); i++) {
		const struct space_info *info = image_space(mv->image, i);
		if (mv->full)
			mv->sources[i] = source_of_image(mv, info);
		else if (info->kind == SPACE_MEMORY)
			mv->sources[i] = source_of_memory(mv, info);
		else
			mv->sources[i] = source_of_section(mv, info, running);
	}
}

/* The bytes of a page now; scratch is used for the last page of a section. */
static const uint8_t *page_now(const struct page_source *s, uint64_t page, uint8_t *scratch)
{
	uint64_t at = page * CHUNK_PAGE, left = at < s->size ? s->size - at : 0;
	if (left >= CHUNK_PAGE)
		return s->base + at;
	memset(scratch, 0, CHUNK_PAGE);
	if (left)
		memcpy(scratch, s->base + at, left);
	return scratch;
}

static bool to_look_at(const struct page_source *s, uint64_t page)
{
	if (s->skip || !s->bits)
		return !s->skip;
	return page < s->nbits && s->bits[page / 8] >> (page % 8) & 1;
}

static void send_list(struct job *j)
{
	struct move *mv = j->mv;
	struct wr w = {0};
	for (uint32_t i = 0; i < mv->nasked; i++) {
		wr_u8(&w, (uint8_t)mv->asked_at[i].space);
		wr_u32(&w, mv->asked_at[i].page);
		chunk_addr_write(&w, &mv->asked_at[i].addr);
	}
	if (mv->nasked)
		job_out(j, MSG_MOVE_LIST, &w, ++mv->seq, 0);
	wr_free(&w);
}

static void ask_for(struct job *j, uint32_t space, uint64_t page, const uint8_t *bytes)
{
	struct move *mv = j->mv;
	uint8_t *copy = mv->asked + (size_t)mv->nasked * CHUNK_PAGE;
	memcpy(copy, bytes, CHUNK_PAGE);
	__asm__ volatile(""
	                 :
	                 : "r"(copy)
	                 : "memory"); /* from here on the copy only: the guest may write bytes */
	mv->asked_at[mv->nasked].space = space;
	mv->asked_at[mv->nasked].page = (uint32_t)page;
	mv->asked_at[mv->nasked].addr = chunk_addr_of_page(copy);
	mv->nasked++;
}

/* Sends or asks until the slice is full. True when all pages were looked at. */
static bool scan_pages(struct job *j)
{
	struct move *mv = j->mv;
	uint8_t scratch[CHUNK_PAGE];
	unsigned batches = 0;
	for (; mv->at_space < image_space_count(mv->image); mv->at_space++, mv->at_page = 0) {
		for (; mv->at_page < image_pages(mv->image, mv->at_space); mv->at_page++) {
			const struct page_source *from = &mv->sources[mv->at_space];
			if (!to_look_at(from, mv->at_page))
				continue;
			if (batches == SLICE_BATCHES || mv->nasked == LIST_PAGES ||
			    j->err != ERR_OK)
				return false;
			const uint8_t *now = page_now(from, mv->at_page, scratch);
			const uint8_t *has = image_page(mv->image, mv->at_space, mv->at_page);
			if (memcmp(now, has, CHUNK_PAGE) == 0)
				continue;
			if (mv->ask) {
				ask_for(j, mv->at_space, mv->at_page, now);
				continue;
			}
			delta_add(mv->delta, mv->image, mv->at_space, mv->at_page, now);
			if (delta_count(mv->delta) == DELTA_PAGES_MAX) {
				end_batch(j);
				batches++;
			}
		}
	}
	return true;
}

static void rewind_scan(struct move *mv)
{
	mv->at_space = 0;
	mv->at_page = 0;
}

static void send_spaces(struct job *j)
{
	struct image *im = j->mv->image;
	struct wr w = {0};
	uint32_t n = image_space_count(im);
	for (uint32_t i = 0; i < n; i++) {
		const struct space_info *s = image_space(im, i);
		struct msg_move_space item = {.kind = (uint8_t)s->kind,
		                              .name = str_ref(s->name),
		                              .version = s->version,
		                              .size = s->size};
		if (msg_item_move_space(&w, &item, &j->msg) != ERR_OK)
			j->err = ERR_NOMEM;
	}
	if (n)
		job_out(j, MSG_MOVE_SPACES, &w, n, 0);
	wr_free(&w);
}

/* Some pieces of module i. True when all are sent. */
static bool scan_one_module(struct job *j, uint32_t i)
{
	struct move *mv = j->mv;
	size_t size;
	const uint8_t *bytes = module_bytes(mv->modules.at[i], &size);
	for (unsigned n = 0; n < 16; n++, mv->piece++) {
		size_t at = (size_t)mv->piece * CHUNK_PIECE;
		struct wr w = {0};
		if (at >= size)
			return true;
		chunk_pack(NULL, &w, bytes + at, size - at < CHUNK_PIECE ? size - at : CHUNK_PIECE);
		job_out(j, MSG_MOVE_MODULE, &w, i, mv->piece);
		wr_free(&w);
	}
	return false;
}

/* The modules that the peer lacks, one after the other. True when all are sent. */
static bool scan_modules(struct job *j)
{
	struct move *mv = j->mv;
	for (; mv->at_module < mv->modules.count; mv->at_module++, mv->piece = 0)
		if (mv->send_modules >> mv->at_module & 1 && !scan_one_module(j, mv->at_module))
			return false;
	return true;
}

/* Module, then pages; sets again until all is sent. */
static void scan_slice(struct job *j)
{
	struct move *mv = j->mv;
	if (mv->phase == SCAN_MODULE && scan_modules(j))
		mv->phase = SCAN_MEMORY;
	else if (mv->phase == SCAN_MEMORY && scan_pages(j))
		mv->phase = SCAN_DONE;
	if (mv->phase == SCAN_DONE || mv->nasked)
		end_batch(j);
	if (mv->nasked && (mv->phase == SCAN_DONE || mv->nasked == LIST_PAGES))
		send_list(j); /* and wait for WANT */
	else
		j->again = j->err == ERR_OK && mv->phase != SCAN_DONE;
}

/* ---- SCAN: the process stands for a moment, then all its pages while it runs ---- */

static void free_bits(struct move *mv)
{
	for (unsigned i = 0; i < CAPTURE_MEMORIES_MAX; i++) {
		free(mv->bits[i]);
		mv->bits[i] = NULL;
	}
}

static enum err track(struct move *mv)
{
	mv->ntracked = 0;
	for (uint32_t i = 0; i < kin_grip_count(mv->grip); i++) {
		struct process *p = kin_grip_at(mv->grip, i);
		if (!p->store)
			return ERR_CLOSED;
		TRY(store_track_start(p->store));
		mv->tracked[mv->ntracked++] = p;
	}
	return ERR_OK;
}

static void begin_run(struct job *j)
{
	struct move *mv = j->mv;
	j->err = track(mv);
	if (j->err == ERR_OK)
		j->err = capture_begin(&mv->capture, mv->grip, &j->msg);
	if (j->err == ERR_OK)
		j->err = capture_spaces(&mv->capture, mv->image, &j->msg);
}

static void thaw(struct move *mv)
{
	if (!mv->freezing)
		kin_thaw(mv->grip);
	mv->frozen = false;
}

static void scan_run(struct job *j)
{
	struct move *mv = j->mv;
	if (mv->phase == SCAN_MODULE && !mv->at_module && !mv->piece) {
		j->err = module_list_name(&mv->modules, mv->image);
		send_spaces(j);
		aim(mv, false);
	}
	scan_slice(j);
}

static void round_done(struct job *j)
{
	struct move *mv = j->mv;
	struct move_event ev = {.kind = MOVE_EV_SENT,
	                        .attempt = j->attempt,
	                        .round = j->round,
	                        .pages = mv->sent_pages + j->pages,
	                        .bytes = mv->sent_bytes + j->bytes};
	if (j->err != ERR_OK) {
		move_failed(mv, j->attempt, j->err, &j->msg);
		return;
	}
	mv->sent_pages = mv->nasked ? ev.pages : 0;
	mv->sent_bytes = mv->nasked ? ev.bytes : 0;
	if (mv->nasked)
		return; /* goes on when WANT comes */
	free_bits(mv);
	mv->ask = false;
	move_event(mv, &ev);
	if (!mv->over &&
	    j->round == 0) /* what is written in later rounds is written again and again */
		job_store(mv, NULL, NULL);
}

static void begun(struct job *j)
{
	struct move *mv = j->mv;
	thaw(mv);
	if (j->err != ERR_OK) {
		move_failed(mv, j->attempt, j->err, &j->msg);
		return;
	}
	struct job *scan = job_new(mv, "scan", scan_run, round_done);
	scan->attempt = j->attempt;
	rewind_scan(mv);
	mv->phase = SCAN_MODULE;
	mv->at_module = mv->piece = 0;
	job_add(scan);
}

/* e: they do not all stand; what ended, the mover has heard of. */
static void frozen_or_not(struct move *mv, enum err e)
{
	mv->freezing = false;
	mv->frozen = e == ERR_OK;
	if (e != ERR_OK)
		kin_thaw(mv->grip);
	if (e == ERR_LIMIT && !mv->over)
		move_failed(
		    mv, mv->attempt, e,
		    &(struct errmsg){.text = "it has too many relatives to move with them"});
}

static void scan_frozen(void *ctx, enum err e)
{
	struct move *mv = ctx;
	frozen_or_not(mv, e);
	if (!mv->over && mv->frozen) { /* if it ended, the mover has heard of it */
		struct job *j = job_new(mv, "begin", begin_run, begun);
		j->attempt = mv->attempt;
		job_add(j);
	}
	move_let(mv); /* over: source_move_free() thaws */
}

static void freeze(struct move *mv, uint32_t attempt, kin_frozen_fn fn)
{
	mv->attempt = attempt;
	mv->freezing = true;
	move_hold(mv);
	kin_freeze(mv->grip, fn, mv);
}

/* No checkpoint uses the tracker any more. */
static void scan_may_begin(void *ctx)
{
	struct move *mv = ctx;
	if (!mv->over)
		freeze(mv, mv->attempt, scan_frozen);
	move_let(mv);
}

static void perform_scan(struct move *mv, const struct move_action *a)
{
	struct chunk_addr id = shadow_id(mv->moves, mv->uid, mv->peer);
	mv->image = a->base ? shadow_take(mv->moves, mv->uid, mv->peer, &id) : image_new();
	mv->ask = a->ask && !a->base;
	mv->send_modules = a->modules;
	if (mv->ask && !mv->asked)
		mv->asked = malloc((size_t)LIST_PAGES * CHUNK_PAGE);
	if (!mv->image || (mv->ask && !mv->asked)) {
		move_failed(mv, a->attempt, ERR_NOMEM, NULL);
		return;
	}
	mv->attempt = a->attempt;
	move_hold(mv);
	saver_leave(mv->moves->node, mv->p, scan_may_begin, mv);
}

/* ---- WANT: the answer to a list ---- */

static void want_run(struct job *j)
{
	struct move *mv = j->mv;
	enum msg type;
	union msg_any any;
	if (mv->nasked && j->data.size &&
	    msg_decode(j->data.data, j->data.size, &type, &any, &j->msg) == ERR_OK) {
		struct bin_ref bits = any.move_want.bits;
		if (any.move_want.seq != mv->seq || bits.size != (mv->nasked + 7) / 8) {
			j->err = err_set(&j->msg, ERR_INVALID, "a WANT that nobody asked for");
			return;
		}
		for (uint32_t i = 0; i < mv->nasked; i++) {
			const uint8_t *page = mv->asked + (size_t)i * CHUNK_PAGE;
			uint32_t space = mv->asked_at[i].space, at = mv->asked_at[i].page;
			if (bits.p[i / 8] >> (i % 8) & 1)
				delta_add(mv->delta, mv->image, space, at, page);
			else
				image_write_known(mv->image, space, at, page,
				                  &mv->asked_at[i].addr);
			if (delta_count(mv->delta) == DELTA_PAGES_MAX)
				end_batch(j);
		}
		end_batch(j);
		mv->nasked = 0;
		wr_clear(&j->data);
	}
	if (mv->phase == SCAN_DONE)
		return;
	scan_slice(j);
}

static void perform_want(struct move *mv, const struct move_action *a)
{
	if (!mv->nasked || mv->running)
		return;
	struct job *j = job_new(mv, "want", want_run, round_done);
	j->attempt = a->attempt;
	wr_bytes(&j->data, a->bytes, a->size);
	job_add(j);
}

/* ---- ROUND ---- */

static bool is_tracked(const struct move *mv, const struct process *p)
{
	for (uint32_t i = 0; i < mv->ntracked; i++)
		if (mv->tracked[i] == p)
			return true;
	return false;
}

/* Of one that was born since, all pages are looked at. */
static enum err collect(struct move *mv, bool clear)
{
	free_bits(mv);
	for (uint32_t i = 0; i < mv->capture.nmemories; i++) {
		const struct captured_memory *m = &mv->capture.memories[i];
		uint64_t size;
		capture_memory_at(&mv->capture, i, &size);
		/* It may grow while we look: what is new then is seen next time. */
		size_t bytes = (size_t)(size / CHUNK_PAGE / 8 + 16) & ~(size_t)7;
		mv->nbits[i] = size / CHUNK_PAGE;
		if (!is_tracked(mv, m->p))
			continue;
		mv->bits[i] = calloc(bytes, 1);
		if (!mv->bits[i])
			return ERR_NOMEM;
		TRY(store_track_collect(m->p->store, m->index, mv->bits[i], bytes, clear));
	}
	return ERR_OK;
}

/* Memories as large as they are now. True when one grew. */
static bool resize(struct job *j)
{
	struct move *mv = j->mv;
	bool grew = false;
	for (uint32_t i = 0; i < mv->capture.nmemories; i++) {
		const char *name = mv->capture.memories[i].name;
		uint32_t at;
		uint64_t size = mv->nbits[i] * CHUNK_PAGE;
		if (image_find(mv->image, SPACE_MEMORY, name, &at) == ERR_OK &&
		    image_space(mv->image, at)->size == size)
			continue;
		grew = true;
		if (image_put_space(mv->image, SPACE_MEMORY, name, 0, size, &at) != ERR_OK)
			j->err = err_set(&j->msg, ERR_LIMIT, "no room for %llu bytes of memory",
			                 (unsigned long long)size);
	}
	return grew;
}

static void round_run(struct job *j)
{
	struct move *mv = j->mv;
	if (mv->phase == SCAN_MODULE) {
		j->err = collect(mv, true);
		if (j->err == ERR_OK && resize(j))
			send_spaces(j);
		mv->phase = SCAN_MEMORY;
		rewind_scan(mv);
		aim(mv, true);
	}
	if (j->err == ERR_OK)
		scan_slice(j);
}

static void perform_round(struct move *mv, const struct move_action *a)
{
	struct job *j = job_new(mv, "round", round_run, round_done);
	j->attempt = a->attempt;
	j->round = a->round;
	mv->phase = SCAN_MODULE;
	job_add(j);
}

/* ---- FREEZE, FINAL ---- */

static void frozen(void *ctx, enum err e)
{
	struct move *mv = ctx;
	struct move_event ev = {.kind = MOVE_EV_FROZEN, .attempt = mv->attempt};
	frozen_or_not(mv, e);
	if (mv->frozen)
		kin_hold(mv->p, HOLD_MOVING);
	if (!mv->over && mv->frozen)
		move_event(mv, &ev);
	move_let(mv);
}

/* One that ended since the offer may have run another program than all that are left. */
static enum err name_modules_left(struct move *mv, struct errmsg *msg)
{
	struct module_list left = {0};
	enum err e = capture_modules(&left, mv->grip, msg);
	if (e == ERR_OK)
		e = module_list_name(&left, mv->image);
	module_list_free(&left);
	return e;
}

static void final_begin(struct job *j)
{
	struct move *mv = j->mv;
	j->err = capture_begin(&mv->capture, mv->grip, &j->msg);
	if (j->err == ERR_OK)
		j->err = name_modules_left(mv, &j->msg);
	if (j->err == ERR_OK)
		j->err = capture_spaces(&mv->capture, mv->image, &j->msg);
	if (j->err == ERR_OK)
		j->err = collect(mv, false);
}

static enum err load_module(struct move *mv, const uint8_t hash[32], struct errmsg *msg)
{
	struct module *m;
	TRY(modules_load_hash(mv->moves->node->modules, hash, &m, msg));
	enum err e = module_list_add(&mv->modules, m);
	module_unref(m);
	return e;
}

/* A released image goes again, whole, to a target that has lost it. */
static void final_begin_again(struct job *j)
{
	struct move *mv = j->mv;
	free_bits(mv);
	if (!mv->full)
		j->err = depot_load_image(node_depot(mv->moves->node), &mv->record.image, &mv->full,
		                          &j->msg);
	for (uint32_t i = 0; j->err == ERR_OK && i < image_space_count(mv->full); i++) {
		const struct space_info *s = image_space(mv->full, i);
		j->err = image_put_space(mv->image, s->kind, s->name, s->version, s->size, NULL);
	}
	for (uint32_t i = 0; j->err == ERR_OK && i < image_module_count(mv->full); i++) {
		const struct code_ref *ref = image_module(mv->full, i);
		j->err = image_put_module(mv->image, ref);
		if (j->err == ERR_OK && !module_list_find(&mv->modules, ref->hash))
			j->err = load_module(mv, ref->hash, &j->msg);
	}
}

static void final_run(struct job *j)
{
	struct move *mv = j->mv;
	if (!j->round) {
		j->round = 1;
		if (j->fresh)
			final_begin_again(j);
		else
			final_begin(j);
		if (j->err == ERR_OK)
			send_spaces(j);
		rewind_scan(mv);
		aim(mv, false);
		mv->phase = SCAN_MODULE;
		mv->at_module = mv->piece = 0;
	}
	if (j->err == ERR_OK)
		scan_slice(j);
	if (j->err != ERR_OK || j->again)
		return;
	wr_clear(&j->data);
	j->err = image_manifest(mv->image, &j->data);
	if (j->err == ERR_OK)
		j->image = chunk_addr_of(j->data.data, j->data.size);
}

static void final_done(struct job *j)
{
	struct move *mv = j->mv;
	struct move_event ev = {.kind = MOVE_EV_FINAL,
	                        .attempt = j->attempt,
	                        .manifest = j->data.data,
	                        .manifest_size = j->data.size,
	                        .image = j->image,
	                        .pages = j->pages,
	                        .bytes = j->bytes};
	free_bits(mv);
	image_free(mv->full);
	mv->full = NULL;
	if (j->err != ERR_OK) {
		move_failed(mv, j->attempt, j->err, &j->msg);
		return;
	}
	move_event(mv, &ev);
	/* While the target checks it, it is written here: RELEASED must find it on disk. */
	if (!mv->over)
		job_store(mv, NULL, NULL);
}

static void perform_final(struct move *mv, const struct move_action *a)
{
	struct job *j = job_new(mv, "final", final_run, final_done);
	j->attempt = a->attempt;
	j->fresh = a->released;
	mv->ask = false;
	mv->send_modules = a->released ? a->modules : 0;
	if (a->released) {
		const struct owner *rec = mover_record(mv->moves->mover, mv->uid);
		if (rec)
			mv->record = *rec;
		image_free(mv->image);
		mv->image = image_new();
		if (!mv->image)
			abort();
	}
	job_add(j);
}

/* ---- the end ---- */

static void forget(struct move *mv, const struct move_action *a)
{
	struct chunk_addr id;
	struct process *p = mv->p;
	if (p && p->state == PROCESS_FROZEN) {
		mv->frozen = false;
		afterimage_keep(p);
		kin_forget(p, mv->peer); /* their clients follow */
	}
	if (mv->image && !mv->running && image_id(mv->image, &id) == ERR_OK) {
		shadow_keep(mv->moves, mv->uid, mv->peer, &id, mv->image);
		mv->image = NULL;
	}
}

/* ---- taken back ---- */

struct taking {
	struct moves *moves;
	struct owner record;
	struct image *image;
	enum err err;
	struct errmsg msg;
};

static void taken_revived(void *ctx, struct process *p, enum err e, const struct errmsg *msg)
{
	struct taking *t = ctx;
	if (p) {
		kin_set_epoch(p, t->record.epoch);
		kin_thaw_all(p);
	} else {
		node_log_about(t->moves->node, LOG_ERROR, "moves",
		               &(struct log_about){.event = LOG_EVENT_program_back,
		                                   .pid = t->record.pid,
		                                   .program = t->record.name,
		                                   .error = e},
		               "%s cannot be taken back: %s", t->record.name, msg->text);
	}
	awake_end(t->moves->node, t->record.uid);
	image_free(t->image);
	free(t);
}

static void taken_load(void *ctx)
{
	struct taking *t = ctx;
	t->err = depot_load_image(node_depot(t->moves->node), &t->record.image, &t->image, &t->msg);
}

static void taken_loaded(void *ctx)
{
	struct taking *t = ctx;
	if (t->err == ERR_OK)
		revive(t->moves->node, t->image, false, taken_revived, t);
	else
		taken_revived(t, NULL, t->err, &t->msg);
}

static void resume(struct move *mv, const struct move_action *a)
{
	if (mv->p && mv->p->state == PROCESS_FROZEN) {
		kin_set_epoch(mv->p, a->record.epoch);
		kin_release(mv->p);
		thaw(mv);
		return;
	}
	struct taking *t = calloc(1, sizeof *t);
	if (!t)
		abort();
	*t = (struct taking){.moves = mv->moves, .record = a->record};
	awake_begin(mv->moves->node, t->record.uid, t->record.pid);
	work_start(mv->moves->node, &mv->moves->work, taken_load, taken_loaded, t);
}

static void over(struct move *mv, const struct move_action *a)
{
	struct process *p = mv->p;
	if (p && !p->forgotten)
		kin_release(p);
	node_log_about(mv->moves->node, LOG_INFO, "moves",
	               &(struct log_about){.event = LOG_EVENT_move_over,
	                                   .pid = mv->record.pid,
	                                   .program = p ? p->name : mv->record.name,
	                                   .device = peer_called(mv->moves->node, mv->peer),
	                                   .error = a->err},
	               "move of %s over: %s", p ? p->name : mv->record.name,
	               a->err == ERR_OK && !a->text.text[0] ? "done" : a->text.text);
	counters_moved_away(mv->moves->node, a->err == ERR_OK && !a->text.text[0], &a->report);
	if (mv->fn)
		mv->fn(mv->ctx, a->err, &a->text, &a->report);
	mv->fn = NULL;
	move_end(mv);
}

void source_move_free(struct move *mv)
{
	free_bits(mv);
	free(mv->asked);
	capture_end(&mv->capture);
	kin_grip_free(mv->grip);
	if (mv->leaving && mv->p)
		process_unpin(mv->p);
}

void source_perform(struct moves *m, struct move_action *a)
{
	struct move *mv = move_find(m, a->move);
	if (!mv)
		return;
	switch (a->kind) {
	case MOVE_ACT_SCAN: perform_scan(mv, a); break;
	case MOVE_ACT_WANT: perform_want(mv, a); break;
	case MOVE_ACT_ROUND: perform_round(mv, a); break;
	case MOVE_ACT_FREEZE: freeze(mv, a->attempt, frozen); break;
	case MOVE_ACT_THAW:
		break; /* OVER follows: source_move_free() thaws when no job uses it any more */
	case MOVE_ACT_FINAL: perform_final(mv, a); break;
	case MOVE_ACT_RESUME: resume(mv, a); break;
	case MOVE_ACT_FORGET: forget(mv, a); break;
	case MOVE_ACT_OVER: over(mv, a); break;
	default: break;
	}
}
