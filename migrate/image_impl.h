/* image_impl.h - the inside of struct image, shared by image.c and manifest.c only. */
#pragma once

#include "migrate/image.h"

/* state of a page or group: fresh (its address is true) unless stale; stored or not. */
enum { PAGE_FRESH = 0, PAGE_STALE = 1, PAGE_STORED = 2 };

struct space {
	struct space_info info;
	uint8_t *bytes;           /* pages * CHUNK_PAGE */
	bool borrowed;            /* bytes are somebody else's, and only read */
	struct chunk_addr *addrs; /* of each page; packed, so a group's encoding is a slice of it */
	uint8_t *state;           /* of each page */
	struct chunk_addr *groups; /* of each group */
	uint8_t *group_state;
};

struct image {
	uint32_t nspaces, nmodules;
	bool manifest_stored;
	struct space spaces[IMAGE_SPACES_MAX];
	struct code_ref modules[IMAGE_MODULES_MAX];
};

_Static_assert(sizeof(struct chunk_addr) == CHUNK_ADDR_SIZE, "addresses stand side by side");

uint64_t space_pages(const struct space_info *s);
uint32_t space_groups(const struct space_info *s);
/* <0, 0, >0: the order of spaces (I4). */
int space_order(const struct space_info *a, const struct space_info *b);
