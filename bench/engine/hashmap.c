/* hashmap.c - an open-addressing hash map of 64-bit keys: insert, look up, delete, grow. */
#include "bench.h"

struct entry {
	uint64_t key; /* 0: free, 1: deleted */
	uint32_t value;
};

struct map {
	struct entry *entries;
	uint32_t capacity, used;
};

static uint32_t hash(uint64_t key)
{
	key ^= key >> 33;
	key *= 0xff51afd7ed558ccdu;
	key ^= key >> 33;
	key *= 0xc4ceb9fe1a85ec53u;
	return (uint32_t)(key >> 32);
}

static struct entry *find(const struct map *m, uint64_t key, bool for_insert)
{
	struct entry *deleted = NULL;
	for (uint32_t i = hash(key);; i++) {
		struct entry *e = &m->entries[i & (m->capacity - 1)];
		if (e->key == key)
			return e;
		if (e->key == 0)
			return for_insert && deleted != NULL ? deleted : e;
		if (e->key == 1 && deleted == NULL)
			deleted = e;
	}
}

static void put(struct map *m, uint64_t key, uint32_t value);

static void grow(struct map *m)
{
	struct map bigger = {calloc(m->capacity * 2, sizeof(struct entry)), m->capacity * 2, 0};
	for (uint32_t i = 0; i < m->capacity; i++)
		if (m->entries[i].key > 1)
			put(&bigger, m->entries[i].key, m->entries[i].value);
	free(m->entries);
	*m = bigger;
}

static void put(struct map *m, uint64_t key, uint32_t value)
{
	struct entry *e = find(m, key, true);
	if (e->key == 0)
		m->used++;
	e->key = key;
	e->value = value;
	if (m->used * 4 > m->capacity * 3)
		grow(m);
}

uint32_t run(uint32_t n)
{
	struct map m = {calloc(1024, sizeof(struct entry)), 1024, 0};
	uint32_t state = 88172645u, sum = 0;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t r = next_random(&state);
		uint64_t key = (uint64_t)(r % 2000) * 0x100000001u + 2;
		struct entry *e = find(&m, key, false);
		if (e->key != key) {
			put(&m, key, i);
		} else if ((r >> 24) < 64) {
			e->key = 1;
			sum = mix(sum, e->value);
		} else {
			sum += e->value++;
		}
	}
	for (uint32_t i = 0; i < m.capacity; i++)
		if (m.entries[i].key > 1)
			sum += m.entries[i].value;
	free(m.entries);
	return sum;
}
