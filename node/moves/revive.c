/* revive.c - image -> processes (revive.h). */
#include "node/moves/revive.h"

#include "engine/engine.h"
#include "node/moves/capture.h"
#include "node/moves/moves.h"
#include "node/node.h"
#include "node/wali/family_image.h"
#include "node/work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reviving {
	struct node *node;
	const struct image *image;
	bool fresh;
	revived_fn fn;
	void *ctx;
	uint32_t numbers[KIN_MAX]; /* the leader first; 0: it is alone */
	uint32_t count;
	struct process *at[KIN_MAX]; /* those that are there: pinned, frozen */
	uint32_t made;
	struct family_image *family;
	struct capture capture; /* their memories */
	enum err err;
	struct errmsg msg;
};

/* ---- the end ---- */

static void forget_all(struct reviving *r)
{
	for (uint32_t i = 0; i < r->made; i++)
		if (r->at[i]->state == PROCESS_FROZEN)
			process_forget(r->at[i]);
}

static void finish(struct reviving *r)
{
	if (r->err != ERR_OK)
		forget_all(r);
	family_image_free(r->family);
	r->fn(r->ctx, r->err == ERR_OK ? r->at[0] : NULL, r->err, &r->msg);
	for (uint32_t i = 0; i < r->made; i++)
		process_unpin(r->at[i]);
	free(r);
}

/* ---- memories ---- */

static enum err check_memories(struct reviving *r)
{
	struct capture *c = &r->capture;
	uint32_t spaces = 0;
	TRY(capture_memories(c, r->at, r->made, &r->msg));
	for (uint32_t i = 0; i < image_space_count(r->image); i++)
		spaces += image_space(r->image, i)->kind == SPACE_MEMORY;
	if (spaces != c->nmemories)
		return err_set(&r->msg, ERR_INVALID, "the image has %u memories, the program %u",
		               spaces, c->nmemories);
	for (uint32_t i = 0; i < c->nmemories; i++) {
		uint64_t size;
		uint32_t at;
		capture_memory_at(c, i, &size);
		if (image_find(r->image, SPACE_MEMORY, c->memories[i].name, &at) != ERR_OK ||
		    image_space(r->image, at)->size != size)
			return err_set(&r->msg, ERR_INVALID,
			               "memory %s of the image has not the size of the program's",
			               c->memories[i].name);
	}
	return ERR_OK;
}

static void fill_memory(const struct reviving *r, uint32_t i)
{
	uint64_t size;
	uint32_t at;
	uint8_t *base =
	    store_memory(r->capture.memories[i].p->store, r->capture.memories[i].index, &size);
	image_find(r->image, SPACE_MEMORY, r->capture.memories[i].name, &at);
	for (uint64_t page = 0; page < image_pages(r->image, at); page++)
		if (!image_page_is_zero(r->image, at, page))
			memcpy(base + page * CHUNK_PAGE, image_page(r->image, at, page),
			       CHUNK_PAGE);
}

/* Pool thread: the stores are ours while the processes are frozen. Zero pages stay untouched and cost nothing. */
static void fill(void *ctx)
{
	struct reviving *r = ctx;
	r->err = check_memories(r);
	for (uint32_t i = 0; r->err == ERR_OK && i < r->capture.nmemories; i++)
		fill_memory(r, i);
}

static void filled(void *ctx)
{
	struct reviving *r = ctx;
	for (uint32_t i = 0; i < r->made; i++)
		if (r->err == ERR_OK && !process_alive(r->at[i]))
			r->err = err_set(&r->msg, ERR_CLOSED, "it was killed while it arrived");
	finish(r);
}

/* ---- one after the other ---- */

/* Numbers in this table of those whose numbers among themselves are known. */
static void set_parents(struct reviving *r)
{
	for (uint32_t i = 0; i < r->made; i++) {
		uint32_t parent = wali_parent(r->at[i]->wali);
		if (i || parent)
			r->at[i]->parent = 0;
		for (uint32_t k = 0; parent && k < r->made; k++)
			if (r->at[k]->guest_pid == parent)
				r->at[i]->parent = r->at[k]->pid;
	}
}

static void all_made(struct reviving *r)
{
	if (r->family) {
		r->err = family_image_check(r->family, &r->msg);
		set_parents(r);
	}
	if (r->err == ERR_OK)
		work_start(r->node, moves_work_count(r->node), fill, filled, r);
	else
		finish(r);
}

static void make_next(struct reviving *r);

static void started(void *ctx, struct process *p, enum err e, const struct errmsg *msg)
{
	struct reviving *r = ctx;
	if (!p) {
		r->err = e;
		r->msg = *msg;
		finish(r);
		return;
	}
	process_pin(p);
	r->at[r->made++] = p;
	if (r->made < r->count)
		make_next(r);
	else
		all_made(r);
}

/* ---- sections ---- */

static enum err find_section(const struct image *im, const char *name, struct rd *out,
                             struct errmsg *msg)
{
	uint32_t version;
	if (image_section(im, name, &version, out) != ERR_OK)
		return err_set(msg, ERR_INVALID, "the image has no section %s", name);
	if (version != CAPTURE_FORM)
		return err_set(msg, ERR_UNSUPPORTED,
		               "section %s has version %u, this build reads %d", name, version,
		               CAPTURE_FORM);
	return ERR_OK;
}

static bool has_section(const struct image *im, const char *name)
{
	uint32_t at;
	return image_find(im, SPACE_SECTION, name, &at) == ERR_OK;
}

static enum err own_sections(const struct image *im, struct process_sections *s, struct errmsg *msg)
{
	for (int i = 0; i < SECTIONS; i++) {
		const char *name = section_name((enum section)i);
		if (i == SECTION_LINUX && !has_section(im, name))
			continue; /* the program is none */
		TRY(find_section(im, name, &s->bytes[i], msg));
	}
	return ERR_OK;
}

static enum err check_module(const struct image *im, const uint8_t hash[32], struct errmsg *msg)
{
	for (uint32_t i = 0; i < image_module_count(im); i++)
		if (!memcmp(image_module(im, i)->hash, hash, 32))
			return ERR_OK;
	return err_set(msg, ERR_INVALID, "the image does not name the module of a process");
}

bool member_section_read(struct rd in, struct process_sections *s)
{
	const uint8_t *hash;
	if (rd_bytes(&in, sizeof s->module_hash, &hash) != ERR_OK)
		return false;
	memcpy(s->module_hash, hash, sizeof s->module_hash);
	for (int i = 0; i < SECTIONS; i++) {
		uint32_t size;
		if (rd_u32(&in, &size) != ERR_OK || rd_sub(&in, size, &s->bytes[i]) != ERR_OK)
			return false;
	}
	return rd_left(&in) == 0;
}

static enum err member_sections(const struct image *im, uint32_t number, struct process_sections *s,
                                struct errmsg *msg)
{
	char name[IMAGE_NAME_MAX];
	struct rd in;
	member_section_name(number, name);
	TRY(find_section(im, name, &in, msg));
	if (!member_section_read(in, s))
		return err_set(msg, ERR_MALFORMED, "section %s has not the size it says", name);
	return check_module(im, s->module_hash, msg);
}

/* Of relatives: the leader's module stands before what they share. */
static enum err family_section(const struct image *im, struct process_sections *s,
                               struct errmsg *msg)
{
	const uint8_t *hash;
	TRY(find_section(im, FAMILY_SECTION, &s->family_bytes, msg));
	if (rd_bytes(&s->family_bytes, sizeof s->module_hash, &hash) != ERR_OK)
		return err_set(msg, ERR_MALFORMED, "section family is cut off");
	memcpy(s->module_hash, hash, sizeof s->module_hash);
	return check_module(im, s->module_hash, msg);
}

static enum err only_module(const struct image *im, struct process_sections *s, struct errmsg *msg)
{
	if (image_module_count(im) != 1)
		return err_set(msg, ERR_INVALID, "the image names %u modules, not one",
		               image_module_count(im));
	memcpy(s->module_hash, image_module(im, 0)->hash, sizeof s->module_hash);
	return ERR_OK;
}

static enum err sections_of(struct reviving *r, uint32_t i, struct process_sections *s)
{
	bool related = r->numbers[0];
	*s = (struct process_sections){.fresh = r->fresh,
	                               .guest_pid = r->numbers[i],
	                               .leader = i ? r->at[0] : NULL,
	                               .family = related ? &r->family : NULL};
	if (i)
		return member_sections(r->image, r->numbers[i], s, &r->msg);
	TRY(own_sections(r->image, s, &r->msg));
	return related ? family_section(r->image, s, &r->msg) : only_module(r->image, s, &r->msg);
}

static void make_next(struct reviving *r)
{
	struct process_sections s;
	r->err = sections_of(r, r->made, &s);
	if (r->err == ERR_OK)
		process_restore(r->node, &s, started, r);
	else
		finish(r);
}

/* Who is in the image, and that nothing else is; before anything is made. */
static enum err list_members(struct reviving *r)
{
	struct rd in;
	uint32_t leader, sections = 0;
	if (!has_section(r->image, FAMILY_SECTION)) {
		r->count = 1;
		return ERR_OK;
	}
	TRY(find_section(r->image, FAMILY_SECTION, &in, &r->msg));
	const uint8_t *hash;
	if (rd_bytes(&in, 32, &hash) != ERR_OK)
		return err_set(&r->msg, ERR_MALFORMED, "section family is cut off");
	TRY(family_image_members(in, &leader, r->numbers, &r->count, &r->msg));
	for (uint32_t i = 0; i < r->count; i++)
		if (r->numbers[i] == leader) {
			memmove(r->numbers + 1, r->numbers, i * sizeof *r->numbers);
			r->numbers[0] = leader;
		}
	for (uint32_t i = 0; i < image_space_count(r->image); i++)
		sections += image_space(r->image, i)->kind == SPACE_SECTION;
	if (sections != SECTIONS + r->count)
		return err_set(&r->msg, ERR_INVALID, "the image has %u sections, not %u", sections,
		               SECTIONS + r->count);
	return ERR_OK;
}

static enum err check_all(struct reviving *r)
{
	struct process_sections s;
	TRY(list_members(r));
	for (uint32_t i = 0; i < r->count; i++)
		TRY(sections_of(r, i, &s));
	return ERR_OK;
}

void revive(struct node *n, const struct image *im, bool fresh, revived_fn fn, void *ctx)
{
	struct reviving *r = calloc(1, sizeof *r);
	if (!r) {
		fn(ctx, NULL, ERR_NOMEM, &(struct errmsg){.text = "out of memory"});
		return;
	}
	r->node = n;
	r->image = im;
	r->fresh = fresh;
	r->fn = fn;
	r->ctx = ctx;
	r->err = check_all(r);
	if (r->err == ERR_OK)
		make_next(r);
	else
		finish(r);
}
