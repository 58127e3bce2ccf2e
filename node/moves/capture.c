/* capture.c - processes -> image (capture.h). */
#include "node/moves/capture.h"

#include "base/os_device.h"
#include "engine/engine.h"
#include "node/wali/family_image.h"
#include "node/wasi/wasi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	LOOK_PAGES = 16384,          /* copied between two looks at the memory left */
	MEMORY_LEFT_MIN = 128 << 20, /* bytes */
};

/* ---- sections ---- */

void member_section_name(uint32_t number, char out[IMAGE_NAME_MAX])
{
	snprintf(out, IMAGE_NAME_MAX, "member %u", number);
}

static struct wr *new_section(struct capture *c, const char *name)
{
	struct captured_section *s = &c->sections[c->nsections++];
	snprintf(s->name, sizeof s->name, "%s", name);
	s->bytes = (struct wr){0};
	return &s->bytes;
}

/* The leader, or one that is alone (set NULL). */
static enum err own_sections(struct capture *c, struct process *p, const struct fdset *set,
                             struct errmsg *msg)
{
	for (int s = 0; s < SECTIONS; s++) {
		if (s == SECTION_LINUX && !p->wali)
			continue;
		TRY(process_save_section_in(p, (enum section)s, set,
		                            new_section(c, section_name((enum section)s)), msg));
	}
	return ERR_OK;
}

static enum err member_section(struct capture *c, struct process *p, const struct fdset *set,
                               struct errmsg *msg)
{
	char name[IMAGE_NAME_MAX];
	member_section_name(p->guest_pid, name);
	struct wr *out = new_section(c, name);
	wr_bytes(out, module_hash(p->module), 32);
	for (int s = 0; s < SECTIONS; s++) {
		size_t at = out->size;
		wr_u32(out, 0);
		TRY(process_save_section_in(p, (enum section)s, set, out, msg));
		if (!wr_ok(out))
			return ERR_NOMEM;
		wr_patch_u32(out, at, (uint32_t)(out->size - at - 4));
	}
	return ERR_OK;
}

static enum err family_section(struct capture *c, const struct kin_grip *g, const struct fdset *set,
                               struct errmsg *msg)
{
	struct wali *members[KIN_MAX];
	struct wr *out = new_section(c, FAMILY_SECTION);
	wr_bytes(out, module_hash(kin_grip_at(g, 0)->module), 32);
	for (uint32_t i = 0; i < kin_grip_count(g); i++)
		members[i] = kin_grip_at(g, i)->wali;
	return family_image_save(members, kin_grip_count(g), set, wasi_ns(kin_grip_at(g, 0)->wasi),
	                         out, msg);
}

static enum err related_sections(struct capture *c, const struct kin_grip *g,
                                 const struct fdset *set, struct errmsg *msg)
{
	TRY(own_sections(c, kin_grip_at(g, 0), set, msg));
	TRY(family_section(c, g, set, msg));
	for (uint32_t i = 1; i < kin_grip_count(g); i++)
		TRY(member_section(c, kin_grip_at(g, i), set, msg));
	return ERR_OK;
}

static enum err sections_of_all(struct capture *c, const struct kin_grip *g, struct errmsg *msg)
{
	struct fdset *set;
	enum err e = fdset_new(&set);
	for (uint32_t i = 0; e == ERR_OK && i < kin_grip_count(g); i++)
		e = fdset_add(set, wasi_fds(kin_grip_at(g, i)->wasi));
	if (e == ERR_OK)
		e = related_sections(c, g, set, msg);
	fdset_free(set);
	return e;
}

static bool is_alone(const struct kin_grip *g)
{
	const struct process *p = kin_grip_at(g, 0);
	return kin_grip_count(g) == 1 && (!p->wali || wali_is_alone(p->wali, p->pid));
}

/* ---- memories ---- */

static enum err list_memories(struct capture *c, struct process *p, bool leader, struct errmsg *msg)
{
	for (uint32_t i = 0; i < store_memory_count(p->store); i++) {
		if (c->nmemories == CAPTURE_MEMORIES_MAX)
			return err_set(msg, ERR_LIMIT, "more than %d memories",
			               CAPTURE_MEMORIES_MAX);
		struct captured_memory *m = &c->memories[c->nmemories++];
		*m = (struct captured_memory){.p = p, .index = i};
		if (leader)
			snprintf(m->name, sizeof m->name, "%02u", i);
		else
			snprintf(m->name, sizeof m->name, "%u/%02u", p->guest_pid, i);
	}
	return ERR_OK;
}

enum err capture_memories(struct capture *c, struct process *const *list, uint32_t count,
                          struct errmsg *msg)
{
	c->nmemories = 0;
	for (uint32_t i = 0; i < count; i++)
		if (list[i]->store)
			TRY(list_memories(c, list[i], i == 0, msg));
	return ERR_OK;
}

enum err capture_begin(struct capture *c, const struct kin_grip *g, struct errmsg *msg)
{
	capture_end(c);
	for (uint32_t i = 0; i < kin_grip_count(g); i++)
		if (!kin_grip_at(g, i)->store || (i && !kin_grip_at(g, i)->wali))
			return err_set(msg, ERR_CLOSED, "a process was ended meanwhile");
	TRY(is_alone(g) ? own_sections(c, kin_grip_at(g, 0), NULL, msg)
	                : sections_of_all(c, g, msg));
	for (uint32_t i = 0; i < kin_grip_count(g); i++)
		TRY(list_memories(c, kin_grip_at(g, i), i == 0, msg));
	return ERR_OK;
}

void capture_end(struct capture *c)
{
	for (uint32_t i = 0; i < c->nsections; i++)
		wr_free(&c->sections[i].bytes);
	c->nsections = c->nmemories = 0;
}

enum err capture_modules(struct module_list *out, const struct kin_grip *g, struct errmsg *msg)
{
	for (uint32_t i = 0; i < kin_grip_count(g); i++)
		if (kin_grip_at(g, i)->module &&
		    module_list_add(out, kin_grip_at(g, i)->module) != ERR_OK)
			return err_set(msg, ERR_LIMIT, "they run more than %d different programs",
			               IMAGE_MODULES_MAX);
	return ERR_OK;
}

const uint8_t *capture_memory_at(const struct capture *c, uint32_t i, uint64_t *size)
{
	return store_memory(c->memories[i].p->store, c->memories[i].index, size);
}

const struct captured_section *capture_section(const struct capture *c, const char *name)
{
	for (uint32_t i = 0; i < c->nsections; i++)
		if (!strcmp(c->sections[i].name, name))
			return &c->sections[i];
	return NULL;
}

uint32_t capture_memory(const struct capture *c, const char *name)
{
	uint32_t i = 0;
	while (i < c->nmemories && strcmp(c->memories[i].name, name) != 0)
		i++;
	return i;
}

/* ---- into an image ---- */

static bool is_wanted(const struct capture *c, const struct space_info *s)
{
	return s->kind == SPACE_MEMORY ? capture_memory(c, s->name) < c->nmemories
	                               : capture_section(c, s->name) != NULL;
}

static enum err section_spaces(const struct capture *c, struct image *im, struct errmsg *msg)
{
	for (uint32_t i = 0; i < c->nsections; i++) {
		const struct captured_section *s = &c->sections[i];
		enum err e =
		    image_put_space(im, SPACE_SECTION, s->name, CAPTURE_FORM, s->bytes.size, NULL);
		if (e != ERR_OK)
			return err_set(msg, e, "section %s of %zu bytes: %s", s->name,
			               s->bytes.size, err_text(e));
	}
	return ERR_OK;
}

static enum err memory_spaces(const struct capture *c, bool in_place, struct image *im,
                              struct errmsg *msg)
{
	for (uint32_t i = 0; i < c->nmemories; i++) {
		uint64_t size;
		const uint8_t *base = capture_memory_at(c, i, &size);
		const char *name = c->memories[i].name;
		enum err e = in_place ? image_borrow_memory(im, name, base, size)
		                      : image_put_space(im, SPACE_MEMORY, name, 0, size, NULL);
		if (e != ERR_OK)
			return err_set(msg, e, "memory of %llu bytes: %s", (unsigned long long)size,
			               err_text(e));
	}
	return ERR_OK;
}

static enum err spaces(const struct capture *c, bool in_place, struct image *im, struct errmsg *msg)
{
	for (uint32_t i = image_space_count(im); i > 0; i--)
		if (!is_wanted(c, image_space(im, i - 1)))
			image_drop_space(im, i - 1);
	TRY(section_spaces(c, im, msg));
	return memory_spaces(c, in_place, im, msg);
}

static enum err state(const struct capture *c, bool in_place, struct image *im, struct errmsg *msg)
{
	TRY(spaces(c, in_place, im, msg));
	for (uint32_t i = 0; i < c->nsections; i++)
		TRY(image_put_section(im, c->sections[i].name, CAPTURE_FORM,
		                      c->sections[i].bytes.data, c->sections[i].bytes.size));
	return ERR_OK;
}

enum err capture_spaces(const struct capture *c, struct image *im, struct errmsg *msg)
{
	return spaces(c, false, im, msg);
}

enum err capture_state(const struct capture *c, struct image *im, struct errmsg *msg)
{
	return state(c, false, im, msg);
}

enum err capture_in_place(const struct capture *c, struct image *im, struct errmsg *msg)
{
	return state(c, true, im, msg);
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

static enum err copy_memory(const struct capture *c, uint32_t i, struct image *im,
                            struct errmsg *msg)
{
	uint64_t size, written = 0;
	uint32_t at;
	const uint8_t *base = capture_memory_at(c, i, &size);
	TRY(image_find(im, SPACE_MEMORY, c->memories[i].name, &at));
	for (uint64_t page = 0; page < image_pages(im, at); page++) {
		if (!image_write_page(im, at, page, base + page * CHUNK_PAGE))
			continue;
		if (++written % LOOK_PAGES == 0)
			TRY(look_for_memory(msg));
	}
	return ERR_OK;
}

enum err capture_all(const struct capture *c, struct image *im, struct errmsg *msg)
{
	TRY(capture_state(c, im, msg));
	for (uint32_t i = 0; i < c->nmemories; i++)
		TRY(copy_memory(c, i, im, msg));
	return ERR_OK;
}
