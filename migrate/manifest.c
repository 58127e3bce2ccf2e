/* manifest.c - an image's manifest as bytes, and images and modules rebuilt from hostile chunks.
 *
 *	manifest: "WOSI" u16 version=1 u16 zero
 *	          u32 modules  { 32 hash, u64 size, 33 list address }
 *	          u32 spaces   { u8 kind, u8 n, n name, u32 version, u64 size, 33 group address ...
 * }
 *
 * The number of groups follows from the size, so there is one way to write an image only.
 */
#include "base/crypto.h"
#include "migrate/image_impl.h"

#include <stdlib.h>
#include <string.h>

enum { MANIFEST_VERSION = 1 };

static const uint8_t magic[4] = {'W', 'O', 'S', 'I'};

static void write_space(struct wr *w, const struct space *s)
{
	size_t n = strlen(s->info.name);
	wr_u8(w, (uint8_t)s->info.kind);
	wr_u8(w, (uint8_t)n);
	wr_bytes(w, s->info.name, n);
	wr_u32(w, s->info.version);
	wr_u64(w, s->info.size);
	wr_bytes(w, s->groups, (size_t)space_groups(&s->info) * CHUNK_ADDR_SIZE);
}

enum err image_manifest(struct image *im, struct wr *w)
{
	image_hash(im);
	wr_bytes(w, magic, sizeof magic);
	wr_u16(w, MANIFEST_VERSION);
	wr_u16(w, 0);
	wr_u32(w, im->nmodules);
	for (uint32_t i = 0; i < im->nmodules; i++) {
		wr_bytes(w, im->modules[i].hash, 32);
		wr_u64(w, im->modules[i].size);
		chunk_addr_write(w, &im->modules[i].list);
	}
	wr_u32(w, im->nspaces);
	for (uint32_t i = 0; i < im->nspaces; i++)
		write_space(w, &im->spaces[i]);
	return wr_ok(w) ? ERR_OK : ERR_NOMEM;
}

/* ---- reading ---- */

static enum err read_head(struct rd *r, struct errmsg *msg)
{
	const uint8_t *p;
	uint16_t version, zero;
	if (rd_bytes(r, 4, &p) != ERR_OK || memcmp(p, magic, 4) != 0)
		return err_set(msg, ERR_MALFORMED, "image: does not begin with WOSI");
	TRY(rd_u16(r, &version));
	TRY(rd_u16(r, &zero));
	if (version != MANIFEST_VERSION)
		return err_set(msg, ERR_UNSUPPORTED, "image: version %u, this build reads %d",
		               version, MANIFEST_VERSION);
	return zero == 0 ? ERR_OK : ERR_MALFORMED;
}

static enum err read_modules(struct rd *r, struct manifest *m, struct errmsg *msg)
{
	TRY(rd_u32(r, &m->nmodules));
	if (m->nmodules > IMAGE_MODULES_MAX)
		return err_set(msg, ERR_LIMIT, "image: %u modules, at most %d", m->nmodules,
		               IMAGE_MODULES_MAX);
	for (uint32_t i = 0; i < m->nmodules; i++) {
		struct code_ref *ref = &m->modules[i];
		const uint8_t *p;
		TRY(rd_bytes(r, 32, &p));
		memcpy(ref->hash, p, 32);
		TRY(rd_u64(r, &ref->size));
		TRY(chunk_addr_read(r, &ref->list));
		if (ref->size > IMAGE_MODULE_MAX)
			return err_set(msg, ERR_LIMIT, "image: module of %llu bytes",
			               (unsigned long long)ref->size);
		if (i > 0 && memcmp(ref[-1].hash, ref->hash, 32) >= 0)
			return err_set(msg, ERR_INVALID, "image: modules are out of order");
	}
	return ERR_OK;
}

static enum err read_space_info(struct rd *r, struct space_info *s, struct errmsg *msg)
{
	uint8_t kind, n;
	const uint8_t *name;
	TRY(rd_u8(r, &kind));
	TRY(rd_u8(r, &n));
	if (kind < SPACE_SECTION || kind > SPACE_MEMORY || n == 0 || n >= IMAGE_NAME_MAX)
		return err_set(msg, ERR_MALFORMED, "image: space of kind %u, name of %u bytes",
		               kind, n);
	TRY(rd_bytes(r, n, &name));
	if (memchr(name, 0, n))
		return err_set(msg, ERR_MALFORMED, "image: a zero in a space's name");
	s->kind = kind;
	memcpy(s->name, name, n);
	TRY(rd_u32(r, &s->version));
	TRY(rd_u64(r, &s->size));
	uint64_t max = kind == SPACE_MEMORY ? (uint64_t)IMAGE_PAGES_MAX * CHUNK_PAGE
	                                    : (uint64_t)IMAGE_SECTION_MAX;
	if (s->size > max || (kind == SPACE_MEMORY && s->version))
		return err_set(msg, ERR_LIMIT, "image: space %s: %llu bytes, version %u", s->name,
		               (unsigned long long)s->size, s->version);
	return ERR_OK;
}

/* The group lists stay where they are in the manifest's bytes; starts[i] is where. */
static enum err read_spaces(struct rd *r, struct manifest *m, const uint8_t **starts,
                            uint64_t *ngroups, struct errmsg *msg)
{
	TRY(rd_u32(r, &m->nspaces));
	if (m->nspaces > IMAGE_SPACES_MAX)
		return err_set(msg, ERR_LIMIT, "image: %u spaces, at most %d", m->nspaces,
		               IMAGE_SPACES_MAX);
	uint64_t pages = 0;
	for (uint32_t i = 0; i < m->nspaces; i++) {
		struct manifest_space *s = &m->spaces[i];
		TRY(read_space_info(r, &s->info, msg));
		if (i > 0 && space_order(&s[-1].info, &s->info) >= 0)
			return err_set(msg, ERR_INVALID, "image: space %s is out of order",
			               s->info.name);
		pages += space_pages(&s->info);
		if (pages > IMAGE_PAGES_MAX)
			return err_set(msg, ERR_LIMIT, "image: more than %d pages",
			               IMAGE_PAGES_MAX);
		s->ngroups = space_groups(&s->info);
		TRY(rd_bytes(r, (size_t)s->ngroups * CHUNK_ADDR_SIZE, &starts[i]));
		*ngroups += s->ngroups;
	}
	return ERR_OK;
}

static enum err read_groups(struct manifest *m, const uint8_t **starts, uint64_t ngroups)
{
	m->groups = calloc(ngroups ? ngroups : 1, sizeof *m->groups);
	if (!m->groups)
		return ERR_NOMEM;
	struct chunk_addr *at = m->groups;
	for (uint32_t i = 0; i < m->nspaces; i++) {
		struct rd r = rd_of(starts[i], (size_t)m->spaces[i].ngroups * CHUNK_ADDR_SIZE);
		m->spaces[i].groups = at;
		for (uint32_t g = 0; g < m->spaces[i].ngroups; g++)
			TRY(chunk_addr_read(&r, at++));
	}
	return ERR_OK;
}

enum err manifest_read(const void *bytes, size_t size, struct manifest *m, struct errmsg *msg)
{
	struct rd r = rd_of(bytes, size);
	const uint8_t *starts[IMAGE_SPACES_MAX];
	uint64_t ngroups = 0;
	if (msg)
		msg->text[0] = 0;
	memset(m, 0, sizeof *m);
	enum err e = read_head(&r, msg);
	if (e == ERR_OK)
		e = read_modules(&r, m, msg);
	if (e == ERR_OK)
		e = read_spaces(&r, m, starts, &ngroups, msg);
	if (e == ERR_OK && rd_left(&r) > 0)
		e = ERR_MALFORMED;
	if (e == ERR_OK)
		e = read_groups(m, starts, ngroups);
	if (e == ERR_OK)
		return ERR_OK;
	manifest_free(m);
	if (msg && !msg->text[0])
		err_set(msg, e, "image: broken at byte %zu of %zu", rd_offset(&r), size);
	return e;
}

void manifest_free(struct manifest *m)
{
	free(m->groups);
	m->groups = NULL;
}

enum err group_read(const void *bytes, size_t size, uint32_t count,
                    struct chunk_addr out[IMAGE_GROUP_PAGES], struct errmsg *msg)
{
	if (count > IMAGE_GROUP_PAGES || size != (size_t)count * CHUNK_ADDR_SIZE)
		return err_set(msg, ERR_MALFORMED, "image: a group of %zu bytes for %u pages", size,
		               count);
	struct rd r = rd_of(bytes, size);
	for (uint32_t i = 0; i < count; i++)
		if (chunk_addr_read(&r, &out[i]) != ERR_OK)
			return err_set(msg, ERR_MALFORMED,
			               "image: page %u of a group has no "
			               "readable address",
			               i);
	return ERR_OK;
}

static enum err load_page(struct image *im, uint32_t space, uint64_t page,
                          const struct chunk_addr *addr, const struct chunk_source *from,
                          struct wr *scratch, struct errmsg *msg)
{
	if (chunk_addr_is_null(addr))
		return ERR_OK;
	wr_clear(scratch);
	TRY(from->get(from->ctx, addr, scratch, msg));
	if (scratch->size != CHUNK_PAGE)
		return err_set(msg, ERR_MALFORMED, "image: a page of %zu bytes", scratch->size);
	uint64_t left = im->spaces[space].info.size - page * CHUNK_PAGE;
	if (left < CHUNK_PAGE && !bytes_are_zero(scratch->data + left, CHUNK_PAGE - left))
		return err_set(msg, ERR_INVALID, "image: bytes beyond the end of space %s",
		               im->spaces[space].info.name);
	image_write_known(im, space, page, scratch->data, addr);
	return ERR_OK;
}

static enum err load_group(struct image *im, uint32_t space, uint32_t g,
                           const struct chunk_addr *addr, const struct chunk_source *from,
                           struct wr *scratch, struct errmsg *msg)
{
	if (chunk_addr_is_null(addr))
		return ERR_OK;
	uint64_t first = (uint64_t)g * IMAGE_GROUP_PAGES, left = image_pages(im, space) - first;
	uint32_t n = left < IMAGE_GROUP_PAGES ? (uint32_t)left : IMAGE_GROUP_PAGES;
	struct chunk_addr pages[IMAGE_GROUP_PAGES];
	wr_clear(scratch);
	TRY(from->get(from->ctx, addr, scratch, msg));
	TRY(group_read(scratch->data, scratch->size, n, pages, msg));
	for (uint32_t i = 0; i < n; i++)
		TRY(load_page(im, space, first + i, &pages[i], from, scratch, msg));
	return ERR_OK;
}

static enum err load_space(struct image *im, const struct manifest_space *s,
                           const struct chunk_source *from, struct wr *scratch, struct errmsg *msg)
{
	uint32_t at;
	enum err e =
	    image_put_space(im, s->info.kind, s->info.name, s->info.version, s->info.size, &at);
	if (e != ERR_OK)
		return err_set(msg, e, "image: no room for %llu bytes of space %s",
		               (unsigned long long)s->info.size, s->info.name);
	for (uint32_t g = 0; g < s->ngroups; g++)
		TRY(load_group(im, at, g, &s->groups[g], from, scratch, msg));
	return ERR_OK;
}

enum err image_load(const void *manifest, size_t size, const struct chunk_source *from,
                    struct image **out, struct errmsg *msg)
{
	struct manifest m;
	struct wr scratch = {0}, again = {0};
	TRY(manifest_read(manifest, size, &m, msg));
	struct image *im = image_new();
	enum err e = im ? ERR_OK : ERR_NOMEM;
	for (uint32_t i = 0; e == ERR_OK && i < m.nmodules; i++)
		e = image_put_module(im, &m.modules[i]);
	for (uint32_t i = 0; e == ERR_OK && i < m.nspaces; i++)
		e = load_space(im, &m.spaces[i], from, &scratch, msg);
	/* What was loaded must be what the manifest says, byte for byte. */
	if (e == ERR_OK)
		e = image_manifest(im, &again);
	if (e == ERR_OK && (again.size != size || memcmp(again.data, manifest, size) != 0))
		e = err_set(msg, ERR_INVALID, "image: its pages do not give its manifest");
	manifest_free(&m);
	wr_free(&scratch);
	wr_free(&again);
	if (e != ERR_OK) {
		image_free(im);
		return e;
	}
	*out = im;
	return ERR_OK;
}

/* ---- modules ---- */

enum err module_cut(const uint8_t hash[32], const uint8_t *bytes, size_t size,
                    void (*put)(void *ctx, const struct chunk_addr *addr, const void *bytes,
                                size_t size),
                    void *ctx, struct code_ref *out)
{
	struct wr list = {0};
	if (size > IMAGE_MODULE_MAX)
		return ERR_LIMIT;
	for (size_t at = 0; at < size; at += CHUNK_PIECE) {
		size_t n = size - at < CHUNK_PIECE ? size - at : CHUNK_PIECE;
		struct chunk_addr a = chunk_addr_of(bytes + at, n);
		chunk_addr_write(&list, &a);
		if (put)
			put(ctx, &a, bytes + at, n);
	}
	enum err e = wr_ok(&list) ? ERR_OK : ERR_NOMEM;
	if (e == ERR_OK) {
		memcpy(out->hash, hash, 32);
		out->size = size;
		out->list = chunk_addr_of(list.data, list.size);
		if (put)
			put(ctx, &out->list, list.data, list.size);
	}
	wr_free(&list);
	return e;
}

static enum err join_pieces(const struct code_ref *ref, struct rd *list,
                            const struct chunk_source *from, struct wr *out, struct errmsg *msg)
{
	uint64_t left = ref->size;
	while (left > 0) {
		struct chunk_addr a;
		size_t before = out->size, want = left < CHUNK_PIECE ? (size_t)left : CHUNK_PIECE;
		TRY(chunk_addr_read(list, &a));
		TRY(from->get(from->ctx, &a, out, msg));
		if (out->size - before != want)
			return err_set(msg, ERR_MALFORMED, "module: a piece of %zu bytes, not %zu",
			               out->size - before, want);
		left -= want;
	}
	return ERR_OK;
}

enum err module_join(const struct code_ref *ref, const struct chunk_source *from, struct wr *out,
                     struct errmsg *msg)
{
	struct wr list = {0};
	size_t before = out->size;
	uint64_t pieces = (ref->size + CHUNK_PIECE - 1) / CHUNK_PIECE;
	enum err e = from->get(from->ctx, &ref->list, &list, msg);
	if (e == ERR_OK && (ref->size > IMAGE_MODULE_MAX || list.size != pieces * CHUNK_ADDR_SIZE))
		e = err_set(msg, ERR_MALFORMED, "module: a list of %zu bytes for %llu bytes",
		            list.size, (unsigned long long)ref->size);
	struct rd r = rd_of(list.data, list.size);
	if (e == ERR_OK)
		e = join_pieces(ref, &r, from, out, msg);
	if (e == ERR_OK && !wr_ok(out))
		e = err_set(msg, ERR_NOMEM, "module: %llu bytes", (unsigned long long)ref->size);
	if (e == ERR_OK) {
		uint8_t hash[32];
		crypto_blake2b(hash, out->data + before, out->size - before);
		if (memcmp(hash, ref->hash, 32) != 0)
			e = err_set(msg, ERR_INVALID, "module: its bytes do not have its hash");
	}
	if (e != ERR_OK)
		out->size = before;
	wr_free(&list);
	return e;
}
