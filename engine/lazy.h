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
