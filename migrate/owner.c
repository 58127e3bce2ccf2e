/* owner.c - ownership records as bytes, and the order of claims. */
#include "migrate/owner.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { OWNER_FORMAT = 1, FLAG_UNACKED = 1, FLAG_PENDING = 2, FORCE_SHIFT = 32 };

static const char *const texts[OWNER_STATE_COUNT] = {
#define OWNER(name, text) [OWNER_##name] = text,
    OWNER_STATES(OWNER)
#undef OWNER
};

const char *owner_state_text(enum owner_state s)
{
	return (unsigned)s < OWNER_STATE_COUNT ? texts[s] : "unknown";
}

void owner_check(const struct owner *o)
{
	assert((unsigned)o->state < OWNER_STATE_COUNT);
	assert(o->epoch > 0);
	assert(memchr(o->name, 0, sizeof o->name));
	if (o->state == OWNER_RELEASED || o->state == OWNER_SUSPENDED)
		assert(!chunk_addr_is_null(&o->image));
	if (o->state == OWNER_RELEASED || o->state == OWNER_GONE)
		assert(!bytes_are_zero(o->peer, PEER_ID_SIZE) && !o->unacked);
	if (o->pending)
		assert(o->state == OWNER_OWNED && o->unacked);
}

void owner_write(struct wr *w, const struct owner *o)
{
	owner_check(o);
	wr_u8(w, OWNER_FORMAT);
	wr_u8(w, (uint8_t)o->state);
	wr_u8(w, (uint8_t)((o->unacked ? FLAG_UNACKED : 0) | (o->pending ? FLAG_PENDING : 0)));
	wr_bytes(w, o->uid, UID_SIZE);
	wr_u64(w, o->epoch);
	wr_bytes(w, o->peer, PEER_ID_SIZE);
	chunk_addr_write(w, &o->image);
	wr_u32(w, o->pid);
	wr_u64(w, o->created_ms);
	size_t n = strlen(o->name);
	wr_u8(w, (uint8_t)n);
	wr_bytes(w, o->name, n);
}

static enum err copy(struct rd *r, void *to, size_t size)
{
	const uint8_t *p;
	TRY(rd_bytes(r, size, &p));
	memcpy(to, p, size);
	return ERR_OK;
}

static enum err read_name(struct rd *r, struct owner *o)
{
	uint8_t n;
	TRY(rd_u8(r, &n));
	if (n >= OWNER_NAME_MAX)
		return ERR_MALFORMED;
	TRY(copy(r, o->name, n));
	return memchr(o->name, 0, n) ? ERR_MALFORMED : ERR_OK;
}

static enum err fits(const struct owner *o)
{
	bool away = o->state == OWNER_RELEASED || o->state == OWNER_GONE;
	bool needs_image = o->state == OWNER_RELEASED || o->state == OWNER_SUSPENDED;
	if (o->epoch == 0 || (needs_image && chunk_addr_is_null(&o->image)))
		return ERR_INVALID;
	if (o->pending && (o->state != OWNER_OWNED || !o->unacked))
		return ERR_INVALID;
	if (away && (o->unacked || bytes_are_zero(o->peer, PEER_ID_SIZE)))
		return ERR_INVALID;
	return ERR_OK;
}

enum err owner_read(struct rd *r, struct owner *out)
{
	struct owner o = {0};
	uint8_t format, state, flags;
	TRY(rd_u8(r, &format));
	if (format != OWNER_FORMAT)
		return ERR_UNSUPPORTED;
	TRY(rd_u8(r, &state));
	TRY(rd_u8(r, &flags));
	if (state >= OWNER_STATE_COUNT || flags > (FLAG_UNACKED | FLAG_PENDING))
		return ERR_MALFORMED;
	o.state = state;
	o.unacked = flags & FLAG_UNACKED;
	o.pending = flags & FLAG_PENDING;
	TRY(copy(r, o.uid, UID_SIZE));
	TRY(rd_u64(r, &o.epoch));
	TRY(copy(r, o.peer, PEER_ID_SIZE));
	TRY(chunk_addr_read(r, &o.image));
	TRY(rd_u32(r, &o.pid));
	TRY(rd_u64(r, &o.created_ms));
	TRY(read_name(r, &o));
	TRY(fits(&o));
	*out = o;
	return ERR_OK;
}

bool owner_is_away(const struct owner *o)
{
	return o->state == OWNER_GONE || (o->state == OWNER_ENDED && !o->unacked);
}

static int newest_first(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? 1 : x > y ? -1 : 0;
}

uint64_t owners_droppable_before(const struct owner *list, size_t count)
{
	size_t n = 0;
	uint64_t before = 0, *times = count > OWNERS_KEPT ? malloc(count * sizeof *times) : NULL;
	for (size_t i = 0; times && i < count; i++)
		if (owner_is_away(&list[i]))
			times[n++] = list[i].created_ms;
	if (n > OWNERS_KEPT) {
		qsort(times, n, sizeof *times, newest_first);
		before = times[OWNERS_KEPT - 1];
	}
	free(times);
	return before;
}

uint64_t epoch_next(uint64_t epoch)
{
	assert((uint32_t)epoch != UINT32_MAX);
	return epoch + 1;
}

uint64_t epoch_force(uint64_t epoch)
{
	uint64_t force = (epoch >> FORCE_SHIFT) + 1;
	assert(force <= UINT32_MAX);
	return force << FORCE_SHIFT;
}

bool claim_beats(uint64_t epoch_a, const uint8_t dev_a[PEER_ID_SIZE], uint64_t epoch_b,
                 const uint8_t dev_b[PEER_ID_SIZE])
{
	if (epoch_a != epoch_b)
		return epoch_a > epoch_b;
	return memcmp(dev_a, dev_b, PEER_ID_SIZE) > 0;
}
