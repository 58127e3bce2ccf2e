/* validate.h - the rules of spec chapter 3 over a decoded module. Internal to engine/.
 *
 * validate_module() checks all but function bodies and collects the functions that bodies may name in
 * ref.func. validate_bodies() then checks bodies [from, to) in one pass each, and notes in struct func what
 * translation needs; disjoint ranges may be validated by different threads at once.
 */
#pragma once

#include "engine/cursor.h"
#include "engine/module.h"

struct validation {
	struct module *m;
	uint8_t *declared; /* a bit a function index: ref.func may name it (spec 3.4.10, C.refs) */
};

/* v->declared is allocated with calloc() and freed by validation_free(), after an error too. */
enum err validate_module(struct module *m, struct validation *v, struct errmsg *msg);
void validation_free(struct validation *v);
enum err validate_bodies(const struct validation *v, uint32_t from, uint32_t to,
                         struct errmsg *msg);

/* Body i alone; *k keeps what is needed for the next one (NULL at first; checker_close() at the end). */
struct checker;
enum err validate_body(const struct validation *v, struct checker **k, uint32_t i,
                       struct errmsg *msg);
void checker_close(struct checker *k);

static inline bool is_declared(const struct validation *v, uint32_t funcidx)
{
	return v->declared[funcidx / 8] >> (funcidx % 8) & 1;
}

static inline void declare(struct validation *v, uint32_t funcidx)
{
	v->declared[funcidx / 8] |= (uint8_t)(1u << (funcidx % 8));
}
