/* name.c - names of functions, from the custom section "name" (spec appendix, 7.4.1) or from exports.
 *
 * The section is hostile and unchecked: whatever does not parse means that there is no name. It is read
 * anew for each question, as names are wanted for messages only.
 */
#include "base/bytes.h"
#include "engine/cursor.h"
#include "engine/module.h"

#include <string.h>

enum { SUBSECTION_FUNCTIONS = 1 };

static bool read_name(struct rd *r, struct name *out)
{
	const uint8_t *p;
	if (rd_leb_u32(r, &out->size) != ERR_OK || rd_bytes(r, out->size, &p) != ERR_OK)
		return false;
	out->p = (const char *)p;
	return true;
}

static bool find_subsection(struct rd r, uint8_t wanted, struct rd *out)
{
	uint8_t id;
	uint32_t size;
	while (rd_u8(&r, &id) == ERR_OK && rd_leb_u32(&r, &size) == ERR_OK &&
	       rd_sub(&r, size, out) == ERR_OK)
		if (id == wanted)
			return true;
	return false;
}

/* A map of indices, ascending, to names. */
static bool find_in_map(struct rd r, uint32_t wanted, struct name *out)
{
	uint32_t count, index;
	if (rd_leb_u32(&r, &count) != ERR_OK)
		return false;
	while (count-- > 0 && rd_leb_u32(&r, &index) == ERR_OK && read_name(&r, out))
		if (index == wanted)
			return utf8_valid((const uint8_t *)out->p, out->size);
	return false;
}

static bool find_exported(const struct module *m, uint32_t funcidx, struct name *out)
{
	for (uint32_t i = 0; i < m->nexports; i++) {
		if (m->exports[i].kind == EXT_FUNC && m->exports[i].index == funcidx) {
			*out = m->exports[i].name;
			return true;
		}
	}
	return false;
}

/* Cuts at a character's first byte; zero bytes become '?', so that the text is whole. */
static void copy_text(const struct name *n, char *buf, size_t size)
{
	size_t len = n->size < size - 1 ? n->size : size - 1;
	while (len > 0 && len < n->size && ((uint8_t)n->p[len] & 0xc0) == 0x80)
		len--;
	for (size_t i = 0; i < len; i++)
		buf[i] = n->p[i] ? n->p[i] : '?';
	buf[len] = 0;
}

bool module_func_name(const struct module *m, uint32_t funcidx, char *buf, size_t size)
{
	struct rd functions;
	struct name n;
	if (size == 0)
		return false;
	bool found = m->name_section.start &&
	             find_subsection(m->name_section, SUBSECTION_FUNCTIONS, &functions) &&
	             find_in_map(functions, funcidx, &n);
	if (!found && !find_exported(m, funcidx, &n))
		return false;
	copy_text(&n, buf, size);
	return true;
}
