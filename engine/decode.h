/* decode.h - bytes to struct module (spec 5.5). Internal to engine/.
 *
 * decode_module() reads every section into the module's arrays and checks all that can be malformed
 * outside of function bodies; indices and types are checked afterwards by validate_module(), bodies by
 * validate_bodies(). Names and types stay in the module's bytes.
 */
#pragma once

#include "engine/cursor.h"
#include "engine/module.h"

/* m->bytes and m->size are set; the arrays go to m->arena. After an error m holds what was read so far. */
enum err decode_module(struct module *m, struct errmsg *msg);
