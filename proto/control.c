/* control.c - flat maps of named values as frames: reading with limits, and writing. */
#include "proto/control.h"

#include "base/pack.h"

#include <stdlib.h>
#include <string.h>

/* Room for texts: every string of the body again with a zero, and a pointer for each list element. A
 * msgpack string takes at least one byte, so body size * (1 + sizeof(char *) + 1) is enough. */
struct room {
	char *p, *end;
};

static void *room_take(struct room *r, size_t size, size_t align)
{
	uintptr_t at = ((uintptr_t)r->p + align - 1) & ~(uintptr_t)(align - 1);
	if (at + size > (uintptr_t)r->end)
		return NULL;
	r->p = (char *)at + size;
	return (char *)at;
}

static enum err read_bytes(struct rd *in, struct room *room, bool is_text, struct control_value *v)
{
	const uint8_t *p;
	size_t size;
	if (is_text)
		TRY(unpack_str(in, CONTROL_FRAME_MAX, (const char **)&p, &size));
	else
		TRY(unpack_bin(in, CONTROL_FRAME_MAX, &p, &size));
	if (is_text && memchr(p, 0, size))
		return ERR_MALFORMED;
	char *copy = room_take(room, size + 1, 1);
	if (!copy)
		return ERR_LIMIT;
	memcpy(copy, p, size);
	copy[size] = 0;
	v->type = is_text ? CONTROL_TEXT : CONTROL_BYTES;
	v->text.p = copy;
	v->text.size = size;
	return ERR_OK;
}

static enum err read_list(struct rd *in, struct room *room, struct control_value *v)
{
	uint32_t count;
	TRY(unpack_array(in, CONTROL_LIST_MAX, &count));
	char **at = room_take(room, (count + 1) * sizeof *at, sizeof *at);
	if (!at)
		return ERR_LIMIT;
	for (uint32_t i = 0; i < count; i++) {
		struct control_value item;
		TRY(read_bytes(in, room, true, &item));
		at[i] = (char *)item.text.p;
	}
	at[count] = NULL;
	v->type = CONTROL_LIST;
	v->list.at = at;
	v->list.count = count;
	return ERR_OK;
}

static enum err read_int(struct rd *in, struct control_value *v)
{
	struct rd again = *in;
	if (unpack_u64(in, &v->u64) == ERR_OK) {
		v->type = CONTROL_U64;
		return ERR_OK;
	}
	*in = again;
	v->type = CONTROL_I64;
	return unpack_i64(in, &v->i64);
}

static enum err read_value(struct rd *in, struct room *room, struct control_value *v)
{
	TRY(unpack_text(in, v->key, sizeof v->key));
	switch (unpack_peek(in)) {
	case PACK_INT: return read_int(in, v);
	case PACK_BOOL: v->type = CONTROL_FLAG; return unpack_bool(in, &v->flag);
	case PACK_DOUBLE: v->type = CONTROL_F64; return unpack_double(in, &v->f64);
	case PACK_STR: return read_bytes(in, room, true, v);
	case PACK_BIN: return read_bytes(in, room, false, v);
	case PACK_ARRAY: return read_list(in, room, v);
	default: return ERR_MALFORMED;
	}
}

enum err control_values_read(struct rd body, struct control_values *out)
{
	out->count = 0;
	size_t size =
	    rd_left(&body) * (sizeof(char *) + 2) + CONTROL_VALUES_MAX * 2 * sizeof(char *);
	out->memory = malloc(size);
	if (!out->memory)
		return ERR_NOMEM;
	struct room room = {out->memory, out->memory + size};
	uint32_t count = 0;
	enum err e = unpack_map(&body, CONTROL_VALUES_MAX, &count);
	for (uint32_t i = 0; e == ERR_OK && i < count; i++)
		e = read_value(&body, &room, &out->at[out->count++]);
	if (e == ERR_OK)
		e = unpack_end(&body);
	if (e != ERR_OK)
		control_values_free(out);
	return e;
}

void control_values_free(struct control_values *v)
{
	free(v->memory);
	v->memory = NULL;
	v->count = 0;
}

const struct control_value *control_values_find(const struct control_values *v, const char *key)
{
	for (uint32_t i = 0; i < v->count; i++)
		if (!strcmp(v->at[i].key, key))
			return &v->at[i];
	return NULL;
}

enum err control_frame_next(struct rd *in, struct rd *body)
{
	struct rd r = *in;
	uint32_t size;
	if (rd_u32(&r, &size) != ERR_OK)
		return ERR_AGAIN;
	if (size > CONTROL_FRAME_MAX)
		return ERR_LIMIT;
	if (rd_sub(&r, size, body) != ERR_OK)
		return ERR_AGAIN;
	*in = r;
	return ERR_OK;
}

static struct wr *entry(struct control_map *m, const char *key)
{
	m->count++;
	pack_text(&m->entries, key);
	return &m->entries;
}

void control_map_u64(struct control_map *m, const char *key, uint64_t v)
{
	pack_u64(entry(m, key), v);
}

void control_map_i64(struct control_map *m, const char *key, int64_t v)
{
	pack_i64(entry(m, key), v);
}

void control_map_f64(struct control_map *m, const char *key, double v)
{
	pack_double(entry(m, key), v);
}

void control_map_flag(struct control_map *m, const char *key, bool v)
{
	pack_bool(entry(m, key), v);
}

void control_map_text(struct control_map *m, const char *key, const char *v)
{
	pack_text(entry(m, key), v);
}

void control_map_bytes(struct control_map *m, const char *key, const void *bytes, size_t size)
{
	pack_bin(entry(m, key), bytes, size);
}

void control_map_list(struct control_map *m, const char *key, const char *const *v, uint32_t count)
{
	struct wr *w = entry(m, key);
	pack_array(w, count);
	for (uint32_t i = 0; i < count; i++)
		pack_text(w, v[i]);
}

enum err control_map_frame(struct control_map *m, struct wr *out)
{
	enum err e = ERR_OK;
	size_t at = out->size;
	wr_u32(out, 0);
	pack_map(out, m->count);
	wr_bytes(out, m->entries.data, m->entries.size);
	size_t size = out->size - at - 4;
	if (!wr_ok(&m->entries) || !wr_ok(out))
		e = ERR_NOMEM;
	else if (size > CONTROL_FRAME_MAX || m->count > CONTROL_VALUES_MAX)
		e = ERR_LIMIT;
	if (e == ERR_OK)
		wr_patch_u32(out, at, (uint32_t)size);
	else
		out->size = at;
	wr_clear(&m->entries);
	m->count = 0;
	return e;
}

void control_map_free(struct control_map *m)
{
	wr_free(&m->entries);
	m->count = 0;
}
