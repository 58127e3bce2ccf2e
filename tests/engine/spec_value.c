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

bool value_to_slot(const struct json *value, uint64_t *slot)
{
	const char *type = field(value, "type"), *text = field(value, "value");
	char *end;
	*slot = strtoull(text, &end, 10);
	if (is_number(type))
		return *text && !*end;
	if (!is_ref(type))
		return false;
	if (strcmp(text, "null") == 0) {
		*slot = 0;
		return true;
	}
	*slot += 1;
	return *text && !*end;
}

/* canonical: only the quiet bit; arithmetic: at least the quiet bit (spec 4.3.3). The sign is free. */
static bool nan_matches(const char *type, bool canonical, uint64_t slot)
{
	uint64_t quiet = is_32(type) ? 0x7fc00000u : 0x7ff8000000000000u;
	uint64_t bits = is_32(type) ? slot & 0x7fffffffu : slot & ~(1ull << 63);
	return canonical ? bits == quiet : (bits & quiet) == quiet;
}

bool value_matches(const struct json *expected, uint64_t slot)
{
	const char *type = field(expected, "type"), *text = field(expected, "value");
	uint64_t want;
	if (strncmp(text, "nan:", 4) == 0)
		return nan_matches(type, strcmp(text, "nan:canonical") == 0, slot);
	if (is_ref(type) && !*text)
		return slot != 0;
	if (!value_to_slot(expected, &want))
		return false;
	return is_32(type) ? (uint32_t)want == (uint32_t)slot : want == slot;
}

void slot_text(const struct json *expected, uint64_t slot, char *buf, size_t size)
{
	const char *type = field(expected, "type");
	if (is_ref(type) && slot == 0)
		snprintf(buf, size, "%s:null", type);
	else if (is_32(type))
		snprintf(buf, size, "%s:0x%08x", type, (uint32_t)slot);
	else
		snprintf(buf, size, "%s:0x%llx", type, (unsigned long long)slot);
}

void value_text(const struct json *expected, char *buf, size_t size)
{
	const char *type = field(expected, "type"), *text = field(expected, "value");
	uint64_t slot;
	if (is_number(type) && value_to_slot(expected, &slot))
		slot_text(expected, slot, buf, size);
	else
		snprintf(buf, size, "%s:%s", type, *text ? text : "any");
}
