/* vector.c - version vectors as sorted arrays. */
#include "folder/vector.h"

#include "base/pack.h"

#include <stdlib.h>
#include <string.h>

void vector_free(struct vector *v)
{
	free(v->at);
	*v = (struct vector){0};
}

/* Where the writer is, or belongs. */
static uint32_t place_of(const struct vector *v, uint64_t writer)
{
	uint32_t i = 0;
	while (i < v->count && v->at[i].writer < writer)
		i++;
	return i;
}

uint64_t vector_get(const struct vector *v, uint64_t writer)
{
	uint32_t i = place_of(v, writer);
	return i < v->count && v->at[i].writer == writer ? v->at[i].seq : 0;
}

bool vector_covers(const struct vector *v, const struct dot *d)
{
	return vector_get(v, d->writer) >= d->seq;
}

bool vector_within(const struct vector *a, const struct vector *b)
{
	uint32_t k = 0;
	for (uint32_t i = 0; i < a->count; i++) {
		while (k < b->count && b->at[k].writer < a->at[i].writer)
			k++;
		if (k == b->count || b->at[k].writer != a->at[i].writer ||
		    b->at[k].seq < a->at[i].seq)
			return false;
	}
	return true;
}

enum err vector_raise(struct vector *v, struct dot d)
{
	uint32_t i = place_of(v, d.writer);
	if (i < v->count && v->at[i].writer == d.writer) {
		if (v->at[i].seq < d.seq)
			v->at[i].seq = d.seq;
		return ERR_OK;
	}
	if (v->count == VECTOR_MAX)
		return ERR_LIMIT;
	struct dot *at = realloc(v->at, (v->count + 1) * sizeof *at);
	if (!at)
		return ERR_NOMEM;
	memmove(at + i + 1, at + i, (v->count - i) * sizeof *at);
	at[i] = d;
	v->at = at;
	v->count++;
	return ERR_OK;
}

enum err vector_copy(struct vector *out, const struct vector *from)
{
	if (!from->count)
		return ERR_OK;
	out->at = malloc(from->count * sizeof *out->at);
	if (!out->at)
		return ERR_NOMEM;
	memcpy(out->at, from->at, from->count * sizeof *out->at);
	out->count = from->count;
	return ERR_OK;
}

enum err vector_join(struct vector *v, const struct vector *from)
{
	struct vector both = {0};
	if (vector_within(from, v))
		return ERR_OK;
	enum err e = vector_copy(&both, v);
	for (uint32_t i = 0; e == ERR_OK && i < from->count; i++)
		e = vector_raise(&both, from->at[i]);
	if (e != ERR_OK) {
		vector_free(&both);
		return e;
	}
	vector_free(v);
	*v = both;
	return ERR_OK;
}

int dot_compare(const struct dot *a, const struct dot *b)
{
	if (a->writer != b->writer)
		return a->writer < b->writer ? -1 : 1;
	return (a->seq > b->seq) - (a->seq < b->seq);
}

void vector_pack(struct wr *w, const struct vector *v)
{
	pack_array(w, 2 * v->count);
	for (uint32_t i = 0; i < v->count; i++) {
		pack_u64(w, v->at[i].writer);
		pack_u64(w, v->at[i].seq);
	}
}

enum err dot_unpack(struct rd *r, struct dot *out)
{
	TRY(unpack_u64(r, &out->writer));
	TRY(unpack_u64(r, &out->seq));
	return out->writer && out->seq && out->seq <= DOT_SEQ_MAX ? ERR_OK : ERR_MALFORMED;
}

enum err vector_unpack(struct rd *r, struct vector *out)
{
	uint32_t count;
	TRY(unpack_array(r, 2 * VECTOR_MAX, &count));
	if (count % 2)
		return ERR_MALFORMED;
	if (!count)
		return ERR_OK;
	struct dot *at = malloc(count / 2 * sizeof *at);
	if (!at)
		return ERR_NOMEM;
	enum err e = ERR_OK;
	for (uint32_t i = 0; e == ERR_OK && i < count / 2; i++) {
		e = dot_unpack(r, &at[i]);
		if (e == ERR_OK && i && at[i - 1].writer >= at[i].writer)
			e = ERR_MALFORMED;
	}
	if (e != ERR_OK) {
		free(at);
		return e;
	}
	*out = (struct vector){at, count / 2};
	return ERR_OK;
}
