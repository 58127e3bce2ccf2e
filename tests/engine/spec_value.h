/* spec_value.h - the typed values of a test script, as JSON and as slots.
 *
 * wast2json writes numbers as decimal strings of their bits, a v128 as a list of its lanes. A host reference N travels through the
 * engine as the slot N + 1, as 0 is null.
 */
#pragma once

#include "json.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VALUE_SLOTS_MAX 2

/* Slots that a value takes: 2 for a v128. */
unsigned value_slots(const struct json *value);
/* false: a type this engine does not have, or not a value. */
bool value_to_slots(const struct json *value, uint64_t *slots);
/* Whether the slots are what the script expects: equal bits, a NaN of the wanted kind, a reference. */
bool value_matches(const struct json *expected, const uint64_t *slots);
/* "f32:0x7fc00000", for messages. */
void value_text(const struct json *expected, char *buf, size_t size);
void slot_text(const struct json *expected, const uint64_t *slots, char *buf, size_t size);
