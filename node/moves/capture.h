/* capture.h - a process, or a family, as it is now: the sections that were written of it, and where its memories are.
 *
 * A leader's sections and memories have plain names ("engine", "00"). When it has relatives there is also a section "family" (its module's
 * hash, and what node/wali/family_save.c writes), and of each
 * other one a section "member N" (its module's hash and its five sections, each with its size before it) and memories "N/00", where N is the number that it and
 * its relatives know it by. So a process without relatives has the image that it had before there were families.
 *
 *	struct capture c = {0};
 *	TRY(capture_begin(&c, grip, &msg));          // they stand
 *	TRY(capture_spaces(&c, image, &msg));        // the image has these spaces and no others
 *	... capture_memory_at(&c, i, &size) ...
 *	capture_end(&c);
 *
 * One thread at a time.
 */
#pragma once

#include "migrate/image.h"
#include "node/process/kin.h"
#include "node/process/modules.h"

enum {
	CAPTURE_FORM = 1, /* version of each section */
	CAPTURE_SECTIONS_MAX = SECTIONS + KIN_MAX,
	CAPTURE_MEMORIES_MAX = IMAGE_SPACES_MAX,
};

struct captured_section {
	char name[IMAGE_NAME_MAX];
	struct wr bytes;
};

struct captured_memory {
	char name[IMAGE_NAME_MAX];
	struct process *p; /* borrowed from the grip */
	uint32_t index;    /* in its store */
};

struct capture {
	struct captured_section sections[CAPTURE_SECTIONS_MAX];
	struct captured_memory memories[CAPTURE_MEMORIES_MAX];
	uint32_t nsections, nmemories;
};

/* Of processes that stand. UNSUPPORTED names what cannot move; LIMIT. */
enum err capture_begin(struct capture *c, const struct kin_grip *g, struct errmsg *msg);
void capture_end(struct capture *c);
/* Their memories only: they may run. */
enum err capture_memories(struct capture *c, struct process *const *list, uint32_t count,
                          struct errmsg *msg);
enum err capture_modules(struct module_list *out, const struct kin_grip *g, struct errmsg *msg);

const uint8_t *capture_memory_at(const struct capture *c, uint32_t i, uint64_t *size);
/* NULL: there is none. */
const struct captured_section *capture_section(const struct capture *c, const char *name);
/* c->nmemories: there is none. */
uint32_t capture_memory(const struct capture *c, const char *name);

/* The image gets these spaces, as large as they are, and loses others. Bytes that it has stay. */
enum err capture_spaces(const struct capture *c, struct image *im, struct errmsg *msg);
/* The same with the sections' bytes. */
enum err capture_state(const struct capture *c, struct image *im, struct errmsg *msg);
/* The same with the memories' bytes too. */
enum err capture_all(const struct capture *c, struct image *im, struct errmsg *msg);
/* As capture_all() into a new image, but memories are read where they are: the processes stand, and live, until the image is freed. */
enum err capture_in_place(const struct capture *c, struct image *im, struct errmsg *msg);

/* "member 17". */
void member_section_name(uint32_t number, char out[IMAGE_NAME_MAX]);
#define FAMILY_SECTION "family"
