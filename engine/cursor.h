/* cursor.h - reading a module's bytes, with errors in the spec's words. Internal to engine/.
 *
 * A cursor is a bounded reader over a part of a module which knows what part that is: a failing read
 * writes "memory section, offset 0x4f: integer too large" and gives ERR_MALFORMED. Offsets count from
 * the module's first byte. The cursor borrows everything it points to.
 *
 *	struct cursor c = cursor_of(module_bytes, size, msg);
 *	uint32_t count;
 *	TRY(cur_u32(&c, &count));
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"
#include "engine/module.h"

struct cursor {
	const uint8_t *start; /* of the module */
	const uint8_t *p;
	const uint8_t *end;
	const char *where; /* "type section"; NULL: the module's head */
	int64_t func;      /* function index while in a body, else -1 */
	struct errmsg *msg;
};

struct cursor cursor_of(const uint8_t *bytes, size_t size, struct errmsg *msg);

static inline size_t cur_left(const struct cursor *c)
{
	return (size_t)(c->end - c->p);
}

static inline uint32_t cur_offset(const struct cursor *c)
{
	return (uint32_t)(c->p - c->start);
}

/* Writes the message for the byte at `at` and returns e. */
enum err cur_fail(const struct cursor *c, const uint8_t *at, enum err e, const char *fmt, ...)
    __attribute__((format(printf, 4, 5), cold));

enum err cur_u8(struct cursor *c, uint8_t *out);
enum err cur_u32(struct cursor *c, uint32_t *out);
enum err cur_s32(struct cursor *c, int32_t *out);
enum err cur_s64(struct cursor *c, int64_t *out);
/* A block type: 33 bits signed. */
enum err cur_s33(struct cursor *c, int64_t *out);
enum err cur_skip(struct cursor *c, size_t size, const uint8_t **out);
/* The count of a vector whose items take at least one byte each; LIMIT above limit ("2000000 types"). */
enum err cur_count(struct cursor *c, uint32_t limit, const char *what, uint32_t *out);
/* A name: its UTF-8 is checked. */
enum err cur_name(struct cursor *c, struct name *out);
enum err cur_valtype(struct cursor *c, uint8_t *out);
enum err cur_reftype(struct cursor *c, uint8_t *out);
/* In a constant expression, behind the prefix 0xfd: the one vector instruction that may stand there, and its immediate. */
enum err cur_v128_const(struct cursor *c);

bool utf8_valid(const uint8_t *p, size_t size);
