/* spec_value.c - see spec_value.h. */
#include "spec_value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *field(const struct json *value, const char *name)
{
	return json_text(json_get(value, name));
}

static bool is_32(const char *type)
{
	return strcmp(type, "i32") == 0 || strcmp(type, "f32") == 0;
}

static bool is_number(const char *type)
{
	return is_32(type) || strcmp(type, "i64") == 0 || strcmp(type, "f64") == 0;
}

static bool is_ref(const char *type)
{
	return strcmp(type, "externref") == 0 || strcmp(type, "funcref") == 0 ||
	       strcmp(type, "exnref") == 0;
}

static bool is_vector(const struct json *value)
{
	return strcmp(field(value, "type"), "v128") == 0;
}

/* Bits of a lane of "i8" ... "f64". */
static unsigned lane_bits(const struct json *value)
{
	return (unsigned)strtoul(field(value, "lane_type") + 1, NULL, 10);
}

static uint64_t lane_of(const uint64_t *slots, unsigned bits, unsigned i)
{
	uint64_t v = slots[i * bits / 64] >> (i * bits % 64);
	return bits == 64 ? v : v & ((1ull << bits) - 1);
}

unsigned value_slots(const struct json *value)
{
	return is_vector(value) ? 2 : 1;
}

static bool vector_to_slots(const struct json *value, uint64_t *slots)
{
	unsigned bits = lane_bits(value), i = 0;
	char *end;
	slots[0] = slots[1] = 0;
	for (const struct json *x = json_first(json_get(value, "value")); x; x = x->next, i++) {
		uint64_t v = strtoull(json_text(x), &end, 10);
		if (!bits || i >= 128 / bits || *end)
			return false;
		slots[i * bits / 64] |= v << (i * bits % 64);
	}
	return bits && i == 128 / bits;
}

bool value_to_slots(const struct json *value, uint64_t *slots)
{
	const char *type = field(value, "type"), *text = field(value, "value");
	char *end;
	if (is_vector(value))
		return vector_to_slots(value, slots);
	*slots = strtoull(text, &end, 10);
	if (is_number(type))
		return *text && !*end;
	if (!is_ref(type))
		return false;
	if (strcmp(text, "null") == 0) {
		*slots = 0;
		return true;
	}
	*slots += 1;
	return *text && !*end;
}

/* canonical: only the quiet bit; arithmetic: at least the quiet bit (spec 4.3.3). The sign is free. */
static bool nan_matches(bool is_f32, const char *kind, uint64_t bits)
{
	uint64_t quiet = is_f32 ? 0x7fc00000u : 0x7ff8000000000000u;
	bits &= is_f32 ? 0x7fffffffu : ~(1ull << 63);
	return strcmp(kind, "nan:canonical") == 0 ? bits == quiet : (bits & quiet) == quiet;
}

static bool vector_matches(const struct json *expected, const uint64_t *slots)
{
	unsigned bits = lane_bits(expected), i = 0;
	for (const struct json *x = json_first(json_get(expected, "value")); x; x = x->next, i++) {
		const char *text = json_text(x);
		if (!bits || i >= 128 / bits)
			return false;
		uint64_t v = lane_of(slots, bits, i);
		if (strncmp(text, "nan:", 4) == 0 ? !nan_matches(bits == 32, text, v)
		                                  : strtoull(text, NULL, 10) != v)
			return false;
	}
	return bits && i == 128 / bits;
}

bool value_matches(const struct json *expected, const uint64_t *slots)
{
	const char *type = field(expected, "type"), *text = field(expected, "value");
	uint64_t want;
	if (is_vector(expected))
		return vector_matches(expected, slots);
	if (strncmp(text, "nan:", 4) == 0)
		return nan_matches(is_32(type), text, *slots);
	if (is_ref(type) && !*text)
		return *slots != 0;
	if (!value_to_slots(expected, &want))
		return false;
	return is_32(type) ? (uint32_t)want == (uint32_t)*slots : want == *slots;
}

void slot_text(const struct json *expected, const uint64_t *slots, char *buf, size_t size)
{
	const char *type = field(expected, "type");
	if (is_ref(type) && *slots == 0)
		snprintf(buf, size, "%s:null", type);
	else if (is_vector(expected))
		snprintf(buf, size, "v128:0x%016llx%016llx", (unsigned long long)slots[1],
		         (unsigned long long)slots[0]);
	else if (is_32(type))
		snprintf(buf, size, "%s:0x%08x", type, (uint32_t)*slots);
	else
		snprintf(buf, size, "%s:0x%llx", type, (unsigned long long)*slots);
}

/* A NaN that may be any of a kind stands as its kind. */
static void lanes_text(const struct json *expected, char *buf, size_t size)
{
	int n = snprintf(buf, size, "v128 of %s", field(expected, "lane_type"));
	for (const struct json *x = json_first(json_get(expected, "value")); x; x = x->next)
		if ((size_t)n < size)
			n += snprintf(buf + n, size - (size_t)n, " %s", json_text(x));
}

void value_text(const struct json *expected, char *buf, size_t size)
{
	const char *type = field(expected, "type"), *text = field(expected, "value");
	uint64_t slots[VALUE_SLOTS_MAX];
	if (is_vector(expected) && strchr(field(expected, "lane_type"), 'f'))
		lanes_text(expected, buf, size);
	else if ((is_vector(expected) || is_number(type)) && value_to_slots(expected, slots))
		slot_text(expected, slots, buf, size);
	else
		snprintf(buf, size, "%s:%s", type, *text ? text : "any");
}
