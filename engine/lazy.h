/* lazy.h - function bodies of a big module that are validated when they are first translated. Internal to engine/.
 *
 * A module is shared by all who run it, so this is under a lock; translation is rare.
 */
#pragma once

#include "engine/module.h"
#include "engine/validate.h"

/* Takes v->declared over. */
enum err lazy_new(const struct validation *v, struct lazy **out);
void lazy_free(struct lazy *l);
/* The body of own function i is valid, or an error. */
enum err lazy_need(struct lazy *l, uint32_t i, struct errmsg *msg);
/* Validates the bodies that take long, before anything runs: a program that runs can be stopped within 1 ms (engine.h),
 * and validation is not done in pieces. */
#define LAZY_BODY_BYTES (1u << 16)
enum err lazy_need_large(struct lazy *l, struct errmsg *msg);
