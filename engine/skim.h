/* skim.h - reading instructions without knowing what they mean (spec 5.4). Internal to engine/. */
#pragma once

#include "engine/cursor.h"

/* Passes over the instruction at c: its opcode goes to *op (0xfc00 + sub-opcode behind the prefix), its immediates are read
 * and dropped. MALFORMED with the reason when it is none. */
enum err skim_instr(struct cursor *c, uint32_t *op);
/* Passes over instructions up to the `end` of a function body, which must be the last byte. */
enum err skim_body(struct cursor *c);
