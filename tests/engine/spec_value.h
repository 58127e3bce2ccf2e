/* spec_value.h - the typed values of a test script, as JSON and as slots.
 *
 * wast2json writes numbers as decimal strings of their bits. A host reference N travels through the
 * engine as the slot N + 1, as 0 is null.
 */
#pragma once

#include "json.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* false: a type this engine does not have (v128), or not a value. */
bool value_to_slot(const struct json *value, uint64_t *slot);
/* Whether the slot is what the script expects: equal bits, a NaN of the wanted kind, a reference. */
bool value_matches(const struct json *expected, uint64_t slot);
/* "f32:0x7fc00000", for messages. */
void value_text(const struct json *expected, char *buf, size_t size);
void slot_text(const struct json *expected, uint64_t slot, char *buf, size_t size);
