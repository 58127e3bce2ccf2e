/* revive.c - process <-> image. */
#include "node/revive.h"

#include "base/os_device.h"
#include "engine/engine.h"
#include "node/modules.h"
#include "node/moves.h"
#include "node/node.h"
#include "node/work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SECTION_FORM = 1,
	LOOK_PAGES = 16384,          /* copied between two looks at the memory left */
	MEMORY_LEFT_MIN = 128 << 20, /* bytes */
};

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

static enum err section_spaces(struct image *im, const struct wr w[SECTIONS], struct errmsg *msg)
{
	for (int s = 0; s < SECTIONS; s++) {
		if (s == SECTION_LINUX && !w[s].size)
			continue;
		enum err e = image_put_space(im, SPACE_SECTION, section_name((enum section)s),
		                             SECTION_FORM, w[s].size, NULL);
		if (e != ERR_OK)
			return err_set(msg, e, "section %s of %zu bytes: %s",
			               section_name((enum section)s), w[s].size, err_text(e));
	}
	return ERR_OK;
}

static enum err memory_space(struct process *p, uint32_t i, bool in_place, struct image *im,
                             struct errmsg *msg)
{
	char name[3];
	uint64_t size;
	const uint8_t *base = store_memory(p->store, i, &size);
	memory_name(i, name);
	enum err e = in_place ? image_borrow_memory(im, name, base, size)
	                      : image_put_space(im, SPACE_MEMORY, name, 0, size, NULL);
	return e == ERR_OK ? e
	                   : err_set(msg, e, "memory of %llu bytes: %s", (unsigned long long)size,
	                             err_text(e));
}

static enum err memory_spaces(struct process *p, bool in_place, struct image *im,
                              struct errmsg *msg)
{
	for (uint32_t i = 0; i < store_memory_count(p->store); i++)
		TRY(memory_space(p, i, in_place, im, msg));
	return ERR_OK;
}

enum err capture_spaces(struct process *p, struct image *im, const struct wr w[SECTIONS],
                        struct errmsg *msg)
{
	TRY(section_spaces(im, w, msg));
	return memory_spaces(p, false, im, msg);
}

/* The copy must not make the system end this node and all programs with it. */
static enum err look_for_memory(struct errmsg *msg)
{
	struct os_memory m;
	if (!os_memory_now(&m) || m.available_bytes >= MEMORY_LEFT_MIN)
		return ERR_OK;
	return err_set(msg, ERR_NOMEM,
	               "there is not enough memory for a copy of the program's: %llu MiB are left",
	               (unsigned long long)(m.available_bytes >> 20));
}

static enum err capture_memory(struct process *p, uint32_t i, struct image *im, struct errmsg *msg)
{
	char name[3];
	uint64_t size;
	uint32_t at;
	const uint8_t *base = store_memory(p->store, i, &size);
	memory_name(i, name);
	TRY(image_find(im, SPACE_MEMORY, name, &at));
	uint64_t written = 0;
	for (uint64_t page = 0; page < image_pages(im, at); page++) {
		if (!image_write_page(im, at, page, base + page * CHUNK_PAGE))
			continue;
		if (++written % LOOK_PAGES == 0)
			TRY(look_for_memory(msg));
	}
	return ERR_OK;
}

static enum err capture_as(struct process *p, bool in_place, struct image *im, struct errmsg *msg)
{
	struct wr w[SECTIONS] = {0};
	enum err e = capture_sections(p, w, msg);
	if (e == ERR_OK)
		e = section_spaces(im, w, msg);
	if (e == ERR_OK)
		e = memory_spaces(p, in_place, im, msg);
	for (int s = 0; e == ERR_OK && s < SECTIONS; s++)
		if (s != SECTION_LINUX || w[s].size)
			e = image_put_section(im, section_name((enum section)s), SECTION_FORM,
			                      w[s].data, w[s].size);
	for (int s = 0; s < SECTIONS; s++)
		wr_free(&w[s]);
	return e;
}

enum err capture_state(struct process *p, struct image *im, struct errmsg *msg)
{
	return capture_as(p, false, im, msg);
}

enum err capture_in_place(struct process *p, struct image *im, struct errmsg *msg)
{
	return capture_as(p, true, im, msg);
}

enum err capture(struct process *p, struct image *im, struct errmsg *msg)
{
	TRY(capture_state(p, im, msg));
	for (uint32_t i = 0; i < store_memory_count(p->store); i++)
		TRY(capture_memory(p, i, im, msg));
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
			if (!image_page_is_zero(r->image, at, page))
				memcpy(base + page * CHUNK_PAGE, image_page(r->image, at, page),
				       CHUNK_PAGE);
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
		enum err e = image_section(im, name, &version, &s->bytes[i]);
		if (e != ERR_OK && i == SECTION_LINUX)
			continue; /* the program is none */
		if (e != ERR_OK)
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
