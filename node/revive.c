/* revive.c - process <-> image. */
#include "node/revive.h"

#include "engine/engine.h"
#include "node/modules.h"
#include "node/moves.h"
#include "node/node.h"
#include "node/work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECTION_FORM = 1 };

void memory_name(uint32_t i, char out[3])
{
	out[0] = (char)('0' + i / 10 % 10);
	out[1] = (char)('0' + i % 10);
	out[2] = 0;
}

/* ---- process -> image ---- */

enum err capture_sections(struct process *p, struct wr w[SECTIONS], struct errmsg *msg)
{
	for (int s = 0; s < SECTIONS; s++) {
		wr_clear(&w[s]);
		TRY(process_save_section(p, (enum section)s, &w[s], msg));
	}
	return ERR_OK;
}

enum err capture_spaces(struct process *p, struct image *im, const struct wr w[SECTIONS],
                        struct errmsg *msg)
{
	for (int s = 0; s < SECTIONS; s++) {
		enum err e = image_put_space(im, SPACE_SECTION, section_name((enum section)s),
		                             SECTION_FORM, w[s].size, NULL);
		if (e != ERR_OK)
			return err_set(msg, e, "section %s of %zu bytes: %s",
			               section_name((enum section)s), w[s].size, err_text(e));
	}
	for (uint32_t i = 0; i < store_memory_count(p->store); i++) {
		char name[3];
		uint64_t size;
		memory_name(i, name);
		store_memory(p->store, i, &size);
		enum err e = image_put_space(im, SPACE_MEMORY, name, 0, size, NULL);
		if (e != ERR_OK)
			return err_set(msg, e, "memory of %llu bytes: %s", (unsigned long long)size,
			               err_text(e));
	}
	return ERR_OK;
}

static void capture_memory(struct process *p, uint32_t i, struct image *im)
{
	char name[3];
	uint64_t size;
	uint32_t at;
	const uint8_t *base = store_memory(p->store, i, &size);
	memory_name(i, name);
	if (image_find(im, SPACE_MEMORY, name, &at) != ERR_OK)
		return;
	for (uint64_t page = 0; page < image_pages(im, at); page++)
		image_write_page(im, at, page, base + page * CHUNK_PAGE);
}

enum err capture_state(struct process *p, struct image *im, struct errmsg *msg)
{
	struct wr w[SECTIONS] = {0};
	enum err e = capture_sections(p, w, msg);
	if (e == ERR_OK)
		e = capture_spaces(p, im, w, msg);
	for (int s = 0; e == ERR_OK && s < SECTIONS; s++)
		e = image_put_section(im, section_name((enum section)s), SECTION_FORM, w[s].data,
		                      w[s].size);
	for (int s = 0; s < SECTIONS; s++)
		wr_free(&w[s]);
	return e;
}

enum err capture(struct process *p, struct image *im, struct errmsg *msg)
{
	TRY(capture_state(p, im, msg));
	for (uint32_t i = 0; i < store_memory_count(p->store); i++)
		capture_memory(p, i, im);
	return ERR_OK;
}

/* ---- image -> process ---- */

struct reviving {
	struct node *node;
	const struct image *image;
	revived_fn fn;
	void *ctx;
	struct process *p;
	enum err err;
	struct errmsg msg;
};

static bool memory_matches(const struct reviving *r, uint32_t i, uint32_t *space)
{
	char name[3];
	uint64_t size;
	memory_name(i, name);
	store_memory(r->p->store, i, &size);
	return image_find(r->image, SPACE_MEMORY, name, space) == ERR_OK &&
	       image_space(r->image, *space)->size == size;
}

/* Pool thread: the store is ours while the process is frozen. Zero pages stay untouched and cost nothing. */
static void fill(void *ctx)
{
	struct reviving *r = ctx;
	uint32_t count = store_memory_count(r->p->store), spaces = 0, at;
	for (uint32_t i = 0; i < image_space_count(r->image); i++)
		spaces += image_space(r->image, i)->kind == SPACE_MEMORY;
	if (spaces != count) {
		r->err = err_set(&r->msg, ERR_INVALID, "the image has %u memories, the program %u",
		                 spaces, count);
		return;
	}
	for (uint32_t i = 0; i < count; i++) {
		uint64_t size;
		if (!memory_matches(r, i, &at)) {
			r->err =
			    err_set(&r->msg, ERR_INVALID,
			            "memory %u of the image has not the size of the program's", i);
			return;
		}
		uint8_t *base = store_memory(r->p->store, i, &size);
		for (uint64_t page = 0; page < image_pages(r->image, at); page++) {
			const uint8_t *from = image_page(r->image, at, page);
			if (!bytes_are_zero(from, CHUNK_PAGE))
				memcpy(base + page * CHUNK_PAGE, from, CHUNK_PAGE);
		}
	}
}

static void finish(struct reviving *r)
{
	r->fn(r->ctx, r->err == ERR_OK ? r->p : NULL, r->err, &r->msg);
	free(r);
}

static void filled(void *ctx)
{
	struct reviving *r = ctx;
	struct process *p = r->p;
	if (r->err == ERR_OK && !process_alive(p))
		r->err = err_set(&r->msg, ERR_CLOSED, "it was killed while it arrived");
	if (r->err != ERR_OK && p->state == PROCESS_FROZEN)
		process_forget(p);
	finish(r);
	process_unpin(p);
}

static void started(void *ctx, struct process *p, enum err e, const struct errmsg *msg)
{
	struct reviving *r = ctx;
	r->err = e;
	r->p = p;
	if (!p) {
		r->msg = *msg;
		finish(r);
		return;
	}
	process_pin(p);
	work_start(r->node, moves_work_count(r->node), fill, filled, r);
}

static enum err find_sections(const struct image *im, struct process_sections *s,
                              struct errmsg *msg)
{
	for (int i = 0; i < SECTIONS; i++) {
		uint32_t version;
		const char *name = section_name((enum section)i);
		if (image_section(im, name, &version, &s->bytes[i]) != ERR_OK)
			return err_set(msg, ERR_INVALID, "the image has no section %s", name);
		if (version != SECTION_FORM)
			return err_set(msg, ERR_UNSUPPORTED,
			               "section %s has version %u, this build "
			               "reads %d",
			               name, version, SECTION_FORM);
	}
	if (image_module_count(im) != 1)
		return err_set(msg, ERR_INVALID, "the image names %u modules, not one",
		               image_module_count(im));
	memcpy(s->module_hash, image_module(im, 0)->hash, sizeof s->module_hash);
	return ERR_OK;
}

void revive(struct node *n, const struct image *im, bool fresh, revived_fn fn, void *ctx)
{
	struct process_sections s = {.fresh = fresh};
	struct errmsg msg = {0};
	enum err e = find_sections(im, &s, &msg);
	struct reviving *r = e == ERR_OK ? calloc(1, sizeof *r) : NULL;
	if (!r) {
		fn(ctx, NULL, e == ERR_OK ? ERR_NOMEM : e, &msg);
		return;
	}
	*r = (struct reviving){.node = n, .image = im, .fn = fn, .ctx = ctx};
	process_restore(n, &s, started, r);
}
