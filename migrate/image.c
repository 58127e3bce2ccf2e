/* image.c - the image in memory: spaces, pages, groups, and their hashes. The manifest's bytes are
 * in manifest.c. */
#include "migrate/image.h"

#include "migrate/image_impl.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static uint64_t div_up(uint64_t a, uint64_t b)
{
	return (a + b - 1) / b;
}

uint64_t space_pages(const struct space_info *s)
{
	return div_up(s->size, CHUNK_PAGE);
}

uint32_t space_groups(const struct space_info *s)
{
	return (uint32_t)div_up(space_pages(s), IMAGE_GROUP_PAGES);
}

int space_order(const struct space_info *a, const struct space_info *b)
{
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	return strcmp(a->name, b->name);
}

struct image *image_new(void)
{
	return calloc(1, sizeof(struct image));
}

static void space_free(struct space *s)
{
	if (!s->borrowed)
		free(s->bytes);
	free(s->addrs);
	free(s->state);
	free(s->groups);
	free(s->group_state);
	*s = (struct space){0};
}

void image_free(struct image *im)
{
	if (!im)
		return;
	for (uint32_t i = 0; i < im->nspaces; i++)
		space_free(&im->spaces[i]);
	free(im);
}

/* Arrays for a space of size bytes; all pages are zero and fresh. */
static enum err space_alloc(struct space *s, const struct space_info *info)
{
	uint64_t pages = space_pages(info);
	uint32_t groups = space_groups(info);
	s->info = *info;
	s->bytes = calloc(pages ? pages : 1, CHUNK_PAGE);
	s->addrs = calloc(pages ? pages : 1, sizeof *s->addrs);
	s->state = calloc(pages ? pages : 1, 1);
	s->groups = calloc(groups ? groups : 1, sizeof *s->groups);
	s->group_state = calloc(groups ? groups : 1, 1);
	if (s->bytes && s->addrs && s->state && s->groups && s->group_state)
		return ERR_OK;
	space_free(s);
	return ERR_NOMEM;
}

/* What both have stays; a group at the edge is hashed anew. */
static void space_carry(struct space *to, const struct space *from)
{
	uint64_t pages = space_pages(&to->info), old = space_pages(&from->info);
	uint64_t both = pages < old ? pages : old;
	uint64_t bytes = to->info.size < from->info.size ? to->info.size : from->info.size;
	memcpy(to->bytes, from->bytes, bytes);
	memcpy(to->addrs, from->addrs, both * sizeof *to->addrs);
	memcpy(to->state, from->state, both);
	uint32_t groups = space_groups(&to->info), whole = (uint32_t)(both / IMAGE_GROUP_PAGES);
	memcpy(to->groups, from->groups, whole * sizeof *to->groups);
	memcpy(to->group_state, from->group_state, whole);
	for (uint32_t g = whole; g < groups; g++)
		to->group_state[g] = PAGE_STALE;
	if (both > 0 && to->info.size < from->info.size)
		to->state[both - 1] = PAGE_STALE;
}

static enum err space_resize(struct space *s, const struct space_info *info)
{
	assert(!s->borrowed);
	s->info.version = info->version;
	if (info->size == s->info.size)
		return ERR_OK;
	if (space_pages(info) == space_pages(&s->info)) {
		uint64_t old = s->info.size, pages = space_pages(info);
		if (info->size < old) {
			memset(s->bytes + info->size, 0, old - info->size);
			s->state[pages - 1] = PAGE_STALE;
			s->group_state[space_groups(info) - 1] = PAGE_STALE;
		}
		s->info.size = info->size;
		return ERR_OK;
	}
	struct space n = {0};
	TRY(space_alloc(&n, info));
	space_carry(&n, s);
	space_free(s);
	*s = n;
	return ERR_OK;
}

static bool within_limits(const struct image *im, const struct space_info *old,
                          const struct space_info *info)
{
	uint64_t max = info->kind == SPACE_MEMORY ? (uint64_t)IMAGE_PAGES_MAX * CHUNK_PAGE
	                                          : (uint64_t)IMAGE_SECTION_MAX;
	if (info->size > max)
		return false;
	uint64_t pages = image_pages_total(im) + space_pages(info) - (old ? space_pages(old) : 0);
	return pages <= IMAGE_PAGES_MAX;
}

enum err image_put_space(struct image *im, enum space_kind kind, const char *name, uint32_t version,
                         uint64_t size, uint32_t *index)
{
	struct space_info info = {.kind = kind, .version = version, .size = size};
	size_t n = strlen(name);
	if (n == 0 || n >= IMAGE_NAME_MAX)
		return ERR_LIMIT;
	memcpy(info.name, name, n);
	im->manifest_stored = false;
	uint32_t at = 0;
	while (at < im->nspaces && space_order(&im->spaces[at].info, &info) < 0)
		at++;
	if (index)
		*index = at;
	bool have = at < im->nspaces && space_order(&im->spaces[at].info, &info) == 0;
	if (!within_limits(im, have ? &im->spaces[at].info : NULL, &info))
		return ERR_LIMIT;
	if (have)
		return space_resize(&im->spaces[at], &info);
	if (im->nspaces == IMAGE_SPACES_MAX)
		return ERR_LIMIT;
	struct space s = {0};
	TRY(space_alloc(&s, &info));
	memmove(&im->spaces[at + 1], &im->spaces[at], (im->nspaces - at) * sizeof s);
	im->spaces[at] = s;
	im->nspaces++;
	return ERR_OK;
}

void image_drop_space(struct image *im, uint32_t index)
{
	assert(index < im->nspaces);
	space_free(&im->spaces[index]);
	im->nspaces--;
	memmove(&im->spaces[index], &im->spaces[index + 1],
	        (im->nspaces - index) * sizeof *im->spaces);
	im->spaces[im->nspaces] = (struct space){0};
	im->manifest_stored = false;
}

void image_drop_modules(struct image *im)
{
	im->nmodules = 0;
	im->manifest_stored = false;
}

enum err image_borrow_memory(struct image *im, const char *name, const uint8_t *bytes,
                             uint64_t size)
{
	uint32_t at;
	if (image_find(im, SPACE_MEMORY, name, &at) == ERR_OK)
		return ERR_EXISTS;
	assert(size % CHUNK_PAGE == 0);
	TRY(image_put_space(im, SPACE_MEMORY, name, 0, size, &at));
	struct space *s = &im->spaces[at];
	free(s->bytes); /* it was never touched */
	s->bytes = (uint8_t *)(uintptr_t)bytes;
	s->borrowed = true;
	memset(s->state, PAGE_STALE, space_pages(&s->info));
	memset(s->group_state, PAGE_STALE, space_groups(&s->info));
	return ERR_OK;
}

enum err image_put_section(struct image *im, const char *name, uint32_t version, const void *bytes,
                           size_t size)
{
	uint32_t at;
	TRY(image_put_space(im, SPACE_SECTION, name, version, size, &at));
	const uint8_t *p = bytes;
	uint8_t last[CHUNK_PAGE] = {0};
	for (uint64_t page = 0; size > 0; page++) {
		size_t n = size < CHUNK_PAGE ? size : CHUNK_PAGE;
		if (n < CHUNK_PAGE)
			memcpy(last, p, n);
		image_write_page(im, at, page, n < CHUNK_PAGE ? last : p);
		p += n;
		size -= n;
	}
	return ERR_OK;
}

enum err image_put_module(struct image *im, const struct code_ref *m)
{
	uint32_t at = 0;
	im->manifest_stored = false;
	while (at < im->nmodules && memcmp(im->modules[at].hash, m->hash, 32) < 0)
		at++;
	if (at < im->nmodules && memcmp(im->modules[at].hash, m->hash, 32) == 0) {
		im->modules[at] = *m;
		return ERR_OK;
	}
	if (im->nmodules == IMAGE_MODULES_MAX || m->size > IMAGE_MODULE_MAX)
		return ERR_LIMIT;
	memmove(&im->modules[at + 1], &im->modules[at], (im->nmodules - at) * sizeof *m);
	im->modules[at] = *m;
	im->nmodules++;
	return ERR_OK;
}

struct image *image_copy(const struct image *im)
{
	struct image *c = image_new();
	if (!c)
		return NULL;
	memcpy(c->modules, im->modules, sizeof c->modules);
	c->nmodules = im->nmodules;
	c->manifest_stored = im->manifest_stored;
	for (uint32_t i = 0; i < im->nspaces; i++) {
		const struct space *s = &im->spaces[i];
		if (space_alloc(&c->spaces[i], &s->info) != ERR_OK) {
			image_free(c);
			return NULL;
		}
		c->nspaces = i + 1;
		space_carry(&c->spaces[i], s);
		memcpy(c->spaces[i].groups, s->groups, space_groups(&s->info) * sizeof *s->groups);
		memcpy(c->spaces[i].group_state, s->group_state, space_groups(&s->info));
	}
	return c;
}

uint32_t image_space_count(const struct image *im)
{
	return im->nspaces;
}

const struct space_info *image_space(const struct image *im, uint32_t index)
{
	assert(index < im->nspaces);
	return &im->spaces[index].info;
}

enum err image_find(const struct image *im, enum space_kind kind, const char *name, uint32_t *index)
{
	for (uint32_t i = 0; i < im->nspaces; i++) {
		const struct space_info *s = &im->spaces[i].info;
		if (s->kind == kind && strcmp(s->name, name) == 0) {
			*index = i;
			return ERR_OK;
		}
	}
	return ERR_NOTFOUND;
}

uint32_t image_module_count(const struct image *im)
{
	return im->nmodules;
}

const struct code_ref *image_module(const struct image *im, uint32_t index)
{
	assert(index < im->nmodules);
	return &im->modules[index];
}

enum err image_section(const struct image *im, const char *name, uint32_t *version, struct rd *out)
{
	uint32_t i;
	TRY(image_find(im, SPACE_SECTION, name, &i));
	if (version)
		*version = im->spaces[i].info.version;
	*out = rd_of(im->spaces[i].bytes, (size_t)im->spaces[i].info.size);
	return ERR_OK;
}

const uint8_t *image_bytes(const struct image *im, uint32_t index)
{
	assert(index < im->nspaces);
	return im->spaces[index].bytes;
}

uint64_t image_pages(const struct image *im, uint32_t space)
{
	return space_pages(image_space(im, space));
}

uint64_t image_pages_total(const struct image *im)
{
	uint64_t n = 0;
	for (uint32_t i = 0; i < im->nspaces; i++)
		n += space_pages(&im->spaces[i].info);
	return n;
}

uint64_t image_bytes_total(const struct image *im)
{
	uint64_t n = 0;
	for (uint32_t i = 0; i < im->nspaces; i++)
		n += im->spaces[i].info.size;
	return n;
}

const uint8_t *image_page(const struct image *im, uint32_t space, uint64_t page)
{
	assert(page < image_pages(im, space));
	return im->spaces[space].bytes + page * CHUNK_PAGE;
}

bool image_page_is_zero(const struct image *im, uint32_t space, uint64_t page)
{
	assert(page < image_pages(im, space));
	const struct space *s = &im->spaces[space];
	if (!(s->state[page] & PAGE_STALE))
		return chunk_addr_is_null(&s->addrs[page]); /* I1 */
	return bytes_are_zero(s->bytes + page * CHUNK_PAGE, CHUNK_PAGE);
}

static void page_hash(struct space *s, uint64_t page)
{
	s->addrs[page] = chunk_addr_of_page(s->bytes + page * CHUNK_PAGE);
	s->state[page] = PAGE_FRESH;
}

struct chunk_addr image_page_addr(struct image *im, uint32_t space, uint64_t page)
{
	assert(page < image_pages(im, space));
	struct space *s = &im->spaces[space];
	if (s->state[page] & PAGE_STALE)
		page_hash(s, page);
	return s->addrs[page];
}

static bool put_bytes(struct image *im, uint32_t space, uint64_t page, const uint8_t *bytes)
{
	assert(page < image_pages(im, space) && !im->spaces[space].borrowed);
	struct space *s = &im->spaces[space];
	uint64_t start = page * CHUNK_PAGE, left = s->info.size - start;
	size_t n = left < CHUNK_PAGE ? (size_t)left : CHUNK_PAGE;
	if (memcmp(s->bytes + start, bytes, n) == 0)
		return false;
	memcpy(s->bytes + start, bytes, n);
	s->group_state[page / IMAGE_GROUP_PAGES] = PAGE_STALE;
	im->manifest_stored = false;
	return true;
}

bool image_write_page(struct image *im, uint32_t space, uint64_t page, const uint8_t *bytes)
{
	if (!put_bytes(im, space, page, bytes))
		return false;
	im->spaces[space].state[page] = PAGE_STALE;
	return true;
}

void image_write_known(struct image *im, uint32_t space, uint64_t page, const uint8_t *bytes,
                       const struct chunk_addr *addr)
{
	if (!put_bytes(im, space, page, bytes))
		return;
	im->spaces[space].state[page] = PAGE_FRESH;
	im->spaces[space].addrs[page] = *addr;
}

static uint32_t group_size(const struct space *s, uint32_t g)
{
	uint64_t left = space_pages(&s->info) - (uint64_t)g * IMAGE_GROUP_PAGES;
	return left < IMAGE_GROUP_PAGES ? (uint32_t)left : IMAGE_GROUP_PAGES;
}

/* Hashes the stale pages of a group and the group itself. */
static uint64_t group_hash(struct space *s, uint32_t g)
{
	uint64_t first = (uint64_t)g * IMAGE_GROUP_PAGES, n = group_size(s, g), hashed = 0;
	for (uint64_t p = first; p < first + n; p++) {
		if (!(s->state[p] & PAGE_STALE))
			continue;
		page_hash(s, p);
		hashed++;
	}
	const void *list = &s->addrs[first];
	if (bytes_are_zero(list, n * CHUNK_ADDR_SIZE))
		s->groups[g] = (struct chunk_addr){0};
	else
		s->groups[g] = chunk_addr_of(list, n * CHUNK_ADDR_SIZE);
	s->group_state[g] = PAGE_FRESH;
	return hashed;
}

uint64_t image_hash(struct image *im)
{
	uint64_t hashed = 0;
	for (uint32_t i = 0; i < im->nspaces; i++) {
		struct space *s = &im->spaces[i];
		uint32_t groups = space_groups(&s->info);
		for (uint32_t g = 0; g < groups; g++)
			if (s->group_state[g] & PAGE_STALE)
				hashed += group_hash(s, g);
	}
	return hashed;
}

enum err image_id(struct image *im, struct chunk_addr *out)
{
	struct wr w = {0};
	enum err e = image_manifest(im, &w);
	if (e == ERR_OK)
		*out = chunk_addr_of(w.data, w.size);
	wr_free(&w);
	return e;
}

typedef void put_fn(void *ctx, const struct chunk_addr *addr, const void *bytes, size_t size);

static void group_store(struct space *s, uint32_t g, put_fn *put, void *ctx)
{
	uint64_t first = (uint64_t)g * IMAGE_GROUP_PAGES, n = group_size(s, g);
	for (uint64_t p = first; p < first + n; p++) {
		if (!(s->state[p] & PAGE_STORED) && !chunk_addr_is_null(&s->addrs[p]))
			put(ctx, &s->addrs[p], s->bytes + p * CHUNK_PAGE, CHUNK_PAGE);
		s->state[p] |= PAGE_STORED;
	}
	if (!chunk_addr_is_null(&s->groups[g]))
		put(ctx, &s->groups[g], &s->addrs[first], n * CHUNK_ADDR_SIZE);
	s->group_state[g] |= PAGE_STORED;
}

static enum err manifest_store(struct image *im, put_fn *put, void *ctx)
{
	struct wr w = {0};
	if (im->manifest_stored)
		return ERR_OK;
	enum err e = image_manifest(im, &w);
	if (e == ERR_OK) {
		struct chunk_addr id = chunk_addr_of(w.data, w.size);
		put(ctx, &id, w.data, w.size);
		im->manifest_stored = true;
	}
	wr_free(&w);
	return e;
}

enum err image_store(struct image *im, put_fn *put, void *ctx)
{
	for (uint32_t i = 0; i < im->nspaces; i++) {
		struct space *s = &im->spaces[i];
		uint32_t groups = space_groups(&s->info);
		for (uint32_t g = 0; g < groups; g++) {
			if (s->group_state[g] & PAGE_STALE)
				group_hash(s, g);
			if (!(s->group_state[g] & PAGE_STORED))
				group_store(s, g, put, ctx);
		}
	}
	return manifest_store(im, put, ctx);
}

void image_forget_stored(struct image *im)
{
	im->manifest_stored = false;
	for (uint32_t i = 0; i < im->nspaces; i++) {
		struct space *s = &im->spaces[i];
		uint64_t pages = space_pages(&s->info);
		for (uint64_t p = 0; p < pages; p++)
			s->state[p] &= (uint8_t)~PAGE_STORED;
		for (uint32_t g = 0; g < space_groups(&s->info); g++)
			s->group_state[g] &= (uint8_t)~PAGE_STORED;
	}
}

static void space_check(const struct space *s)
{
	uint64_t pages = space_pages(&s->info);
	for (uint64_t p = 0; p < pages; p++) {
		struct chunk_addr a = chunk_addr_of_page(s->bytes + p * CHUNK_PAGE);
		if (!(s->state[p] & PAGE_STALE))
			assert(chunk_addr_equal(&a, &s->addrs[p])); /* I1 */
		else
			assert(s->group_state[p / IMAGE_GROUP_PAGES] & PAGE_STALE);
	}
	for (uint32_t g = 0; g < space_groups(&s->info); g++) {
		const struct chunk_addr *list = &s->addrs[(uint64_t)g * IMAGE_GROUP_PAGES];
		size_t n = (size_t)group_size(s, g) * CHUNK_ADDR_SIZE;
		if (s->group_state[g] & PAGE_STALE)
			continue;
		struct chunk_addr a = {0};
		if (!bytes_are_zero(list, n))
			a = chunk_addr_of(list, n);
		assert(chunk_addr_equal(&a, &s->groups[g])); /* I2 */
	}
	size_t tail = (size_t)(pages * CHUNK_PAGE - s->info.size);
	assert(bytes_are_zero(s->bytes + s->info.size, tail)); /* I3 */
}

void image_check(const struct image *im)
{
	for (uint32_t i = 0; i < im->nspaces; i++) {
		space_check(&im->spaces[i]);
		if (i > 0) /* I4 */
			assert(space_order(&im->spaces[i - 1].info, &im->spaces[i].info) < 0);
	}
	for (uint32_t i = 1; i < im->nmodules; i++)
		assert(memcmp(im->modules[i - 1].hash, im->modules[i].hash, 32) < 0);
}
