/* image.h - the image of one process, or of a family of them: named, versioned sections and linear memories, in pages, by hash.
 *
 * An image is a list of *spaces*: sections (bytes that other rooms wrote and will check; migrate/
 * knows none of them) and memories (the linear memories of the process). Every space is cut into
 * pages of 4 KiB; 64 pages make a group; a group is the list of its pages' addresses and is a chunk
 * itself; the manifest names the groups. So an unchanged group costs one hash, and a page or group
 * of zeros costs nothing. Modules are named by hash and size, and their pieces by a list chunk;
 * their bytes are never taken from an image. The manifest's address is the image's id.
 *
 * struct image is an image in memory. Pages that were written are *stale* until image_hash(); pages
 * that are on disk are *stored*. An image belongs to one thread at a time. Byte layout:
 * docs/formats/image.md.
 *
 *	struct image *im = image_new();
 *	TRY(image_put_space(im, SPACE_MEMORY, "00", 0, size, &space));
 *	image_write_page(im, space, 7, page);
 *	image_hash(im);
 *	image_manifest(im, &w);            // bytes; image_id(im) is their address
 *
 * I1  A page that is not stale has the address of its bytes; zero pages have the null address.
 * I2  A group that is not stale has the address of its encoding, or null when all its pages are null.
 * I3  Bytes between a space's size and the end of its last page are zero.
 * I4  Spaces stand in strictly rising order of (kind, name), modules of their hash.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"
#include "migrate/chunk.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	IMAGE_SPACES_MAX = 256,       /* a batch of pages names one by a byte */
	IMAGE_MODULES_MAX = 32,       /* an ACCEPT names them by the bits of a u32 */
	IMAGE_NAME_MAX = 32,          /* of a space, with the NUL */
	IMAGE_GROUP_PAGES = 64,       /* pages a group */
	IMAGE_PAGES_MAX = 2 << 20,    /* of all spaces: 8 GiB */
	IMAGE_MODULE_MAX = 512 << 20, /* bytes of one module: also of what a node runs at all */
	IMAGE_SECTION_MAX = 256 << 20,
};

enum space_kind { SPACE_SECTION = 1, SPACE_MEMORY = 2 };

struct space_info {
	enum space_kind kind;
	char name[IMAGE_NAME_MAX]; /* of a section; of a memory two digits: "00" is memory 0 of the
	                              engine's store; a relative's has its number before: "17/00" */
	uint32_t version;          /* of the section's bytes; 0 for a memory */
	uint64_t size;             /* bytes */
};

struct code_ref {
	uint8_t hash[32]; /* BLAKE2b-256 of the module's bytes */
	uint64_t size;
	struct chunk_addr list; /* the chunk that lists the addresses of its pieces */
};

struct image;

struct image *image_new(void); /* NULL when memory ran out */
void image_free(struct image *im);
/* Another image with the same contents; NULL when memory ran out. */
struct image *image_copy(const struct image *im);
/* Asserts I1..I4 (slow: hashes everything that is not stale). For tests. */
void image_check(const struct image *im);

/* Creates a space, or gives an existing one a new size and version: new bytes are zero. The index
 * of a space changes when one is created before it, so create all first. Errors: LIMIT, NOMEM. */
enum err image_put_space(struct image *im, enum space_kind kind, const char *name, uint32_t version,
                         uint64_t size, uint32_t *index);
/* A memory whose pages are read where they are, without a copy: only to be hashed and stored, while nobody writes there. bytes are borrowed
 * until the image is freed; size is whole pages. Errors: LIMIT, NOMEM; EXISTS: there is such a space already. */
enum err image_borrow_memory(struct image *im, const char *name, const uint8_t *bytes,
                             uint64_t size);
/* Removes a space: those after it have other indices then. */
void image_drop_space(struct image *im, uint32_t index);
/* Creates or replaces a section; unchanged pages stay fresh. Errors: LIMIT, NOMEM. */
enum err image_put_section(struct image *im, const char *name, uint32_t version, const void *bytes,
                           size_t size);
enum err image_put_module(struct image *im, const struct code_ref *m);
/* No module is named any more. */
void image_drop_modules(struct image *im);

uint32_t image_space_count(const struct image *im);
const struct space_info *image_space(const struct image *im, uint32_t index);
/* ERR_NOTFOUND when there is none. */
enum err image_find(const struct image *im, enum space_kind kind, const char *name,
                    uint32_t *index);
uint32_t image_module_count(const struct image *im);
const struct code_ref *image_module(const struct image *im, uint32_t index);
/* A reader over a section's bytes; borrowed until the section changes. ERR_NOTFOUND. */
enum err image_section(const struct image *im, const char *name, uint32_t *version, struct rd *out);
/* All bytes of a space; borrowed until it changes. */
const uint8_t *image_bytes(const struct image *im, uint32_t index);

/* Pages of a space: (size + 4095) / 4096. */
uint64_t image_pages(const struct image *im, uint32_t space);
uint64_t image_pages_total(const struct image *im);
uint64_t image_bytes_total(const struct image *im);
/* Borrowed until the space changes. page < image_pages(). */
const uint8_t *image_page(const struct image *im, uint32_t space, uint64_t page);
/* Quick, and touches no memory, for a page that is not stale. */
bool image_page_is_zero(const struct image *im, uint32_t space, uint64_t page);
/* The page's address; stale pages are hashed first. */
struct chunk_addr image_page_addr(struct image *im, uint32_t space, uint64_t page);
/* Copies CHUNK_PAGE bytes in; returns false when they were there already. Of a last page the bytes
 * beyond the space's size are taken as zero. */
bool image_write_page(struct image *im, uint32_t space, uint64_t page, const uint8_t *bytes);
/* As image_write_page, when the caller knows the address (it has just checked it). */
void image_write_known(struct image *im, uint32_t space, uint64_t page, const uint8_t *bytes,
                       const struct chunk_addr *addr);

/* Makes every page and group fresh. Returns how many pages were hashed. */
uint64_t image_hash(struct image *im);
/* Appends the manifest. Hashes first what is stale. ERR_NOMEM. */
enum err image_manifest(struct image *im, struct wr *w);
enum err image_id(struct image *im, struct chunk_addr *out);

/* Calls put for each page, group and the manifest that is not yet stored (pages before the groups that name them, the
 * manifest last), and marks them stored. Hashes what is stale. */
enum err image_store(struct image *im,
                     void (*put)(void *ctx, const struct chunk_addr *addr, const void *bytes,
                                 size_t size),
                     void *ctx);
/* Nothing counts as stored any more: for another place to store to, or when a write failed. */
void image_forget_stored(struct image *im);

/* ---- bytes from outside ---- */

struct manifest_space {
	struct space_info info;
	uint32_t ngroups;
	struct chunk_addr *groups; /* borrowed from the manifest */
};

struct manifest {
	uint32_t nmodules, nspaces;
	struct code_ref modules[IMAGE_MODULES_MAX];
	struct manifest_space spaces[IMAGE_SPACES_MAX];
	struct chunk_addr *groups; /* owned */
};

/* Hostile bytes: order, sizes and limits are checked before anything is allocated. manifest_free()
 * after ERR_OK only. */
enum err manifest_read(const void *bytes, size_t size, struct manifest *m, struct errmsg *msg);
void manifest_free(struct manifest *m);
/* A group chunk: exactly count addresses (of pages). */
enum err group_read(const void *bytes, size_t size, uint32_t count,
                    struct chunk_addr out[IMAGE_GROUP_PAGES], struct errmsg *msg);

/* Where chunks come from. get appends the chunk to out, and has checked its hash. */
struct chunk_source {
	enum err (*get)(void *ctx, const struct chunk_addr *addr, struct wr *out,
	                struct errmsg *msg);
	void *ctx;
};
/* Rebuilds an image from its manifest; everything is checked, nothing partial is given out. */
enum err image_load(const void *manifest, size_t size, const struct chunk_source *from,
                    struct image **out, struct errmsg *msg);

/* ---- modules as pieces ---- */

/* Calls put for each piece of CHUNK_PIECE bytes and the list chunk; *out names the module. LIMIT,
 * NOMEM. */
enum err module_cut(const uint8_t hash[32], const uint8_t *bytes, size_t size,
                    void (*put)(void *ctx, const struct chunk_addr *addr, const void *bytes,
                                size_t size),
                    void *ctx, struct code_ref *out);
/* Appends the module's bytes to out after checking them against ref->hash. */
enum err module_join(const struct code_ref *ref, const struct chunk_source *from, struct wr *out,
                     struct errmsg *msg);
