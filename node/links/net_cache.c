/* net_cache.c - records of other devices' files: segments that are appended to, and a table in memory of where each record is.
 *
 * A segment: records, each u32 magic, u32 size, 16 key, u64 seen, u64 mark, bytes; little-endian; mark is the first half of the bytes' hash. A
 * record replaces an older one of its key. Reading a segment ends at the first thing that is no record.
 */
#include "node/links/net_cache.h"

#include "base/crypto.h"
#include "base/file.h"
#include "base/os.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	MAGIC = 0x31434e57, /* "WNC1" */
	HEAD = 40,
	SEGMENTS = 16, /* of the limit */
	SEGMENTS_MAX = 64,
	RECORDS_MAX = 1 << 18,
	SEGMENT_MIN = 2 * NET_CACHE_RECORD_MAX,
	SAME_MS = 60000,
};

struct record {
	uint8_t key[NET_CACHE_KEY];
	uint64_t seen_ms, mark;
	uint32_t segment, at, size; /* at: of its bytes. segment 0: free */
};

struct segment {
	uint32_t number; /* 1.. ; they grow */
	uint32_t used;
	struct file *reads;
};

/* The lock guards all but path and limit. */
struct net_cache {
	pthread_mutex_t lock;
	uint64_t limit;
	bool opened;
	struct dir *dir; /* NULL: it could not be opened, so nothing is kept */
	char *path;
	struct file *
	    writes; /* the last segment, when it was begun in this life; NULL: a new one is to be */
	struct segment segments[SEGMENTS_MAX];
	uint32_t nsegments;
	struct record *table; /* cap slots, a power of two, at most half of them used */
	uint32_t cap, count;
};

/* ---- the table ---- */

static uint32_t slot_of(const struct net_cache *c, const uint8_t *key)
{
	uint32_t at;
	memcpy(&at, key, sizeof at);
	at &= c->cap - 1;
	while (c->table[at].segment && memcmp(c->table[at].key, key, NET_CACHE_KEY) != 0)
		at = (at + 1) & (c->cap - 1);
	return at;
}

static struct record *find(struct net_cache *c, const uint8_t *key)
{
	struct record *r = c->cap ? &c->table[slot_of(c, key)] : NULL;
	return r && r->segment ? r : NULL;
}

/* A new table of cap slots without the records of a segment (0: with all). */
static bool rebuild(struct net_cache *c, uint32_t cap, uint32_t without)
{
	struct record *old = c->table;
	uint32_t old_cap = c->cap;
	struct record *table = calloc(cap, sizeof *table);
	if (!table)
		return false;
	c->table = table;
	c->cap = cap;
	c->count = 0;
	for (uint32_t i = 0; i < old_cap; i++)
		if (old[i].segment && old[i].segment != without) {
			table[slot_of(c, old[i].key)] = old[i];
			c->count++;
		}
	free(old);
	return true;
}

static bool insert(struct net_cache *c, const struct record *r)
{
	if (2 * (c->count + 1) > c->cap && !rebuild(c, c->cap ? 2 * c->cap : 256, 0))
		return false;
	struct record *slot = &c->table[slot_of(c, r->key)];
	c->count += slot->segment == 0;
	*slot = *r;
	return true;
}

/* ---- segments ---- */

static uint32_t segment_bytes(const struct net_cache *c)
{
	uint64_t size = c->limit / SEGMENTS;
	return size<SEGMENT_MIN ? SEGMENT_MIN : size>(256u << 20) ? 256u << 20 : (uint32_t)size;
}

static void name_of(uint32_t number, char name[32])
{
	snprintf(name, 32, "%08x.seg", number);
}

static void end_writing(struct net_cache *c)
{
	if (c->writes)
		file_close(c->writes);
	c->writes = NULL;
}

static void drop_oldest(struct net_cache *c)
{
	char name[32];
	struct segment *s = &c->segments[0];
	if (!rebuild(c, c->cap ? c->cap : 256, s->number))
		return;
	name_of(s->number, name);
	if (c->nsegments == 1)
		end_writing(c);
	file_close(s->reads);
	dir_remove(c->dir, name);
	memmove(s, s + 1, --c->nsegments * sizeof *s);
}

static bool open_segment(struct net_cache *c, uint32_t number)
{
	char name[32];
	struct file_info info;
	struct segment *s = &c->segments[c->nsegments];
	name_of(number, name);
	*s = (struct segment){.number = number};
	size_t size = strlen(c->path) + sizeof name + 1;
	char *path = malloc(size);
	if (!path)
		return false;
	snprintf(path, size, "%s/%s", c->path, name);
	enum err e = file_open(path, &s->reads, &info, NULL);
	free(path);
	c->nsegments += e == ERR_OK;
	return e == ERR_OK;
}

/* It is empty: nobody had that number before. */
static bool begin_segment(struct net_cache *c)
{
	char name[32];
	uint64_t size;
	uint32_t number = c->nsegments ? c->segments[c->nsegments - 1].number + 1 : 1;
	name_of(number, name);
	end_writing(c);
	dir_remove(c->dir, name);
	c->writes = file_append_open(c->dir, name, &size);
	if (c->writes && size == 0 && open_segment(c, number))
		return true;
	end_writing(c);
	return false;
}

static bool is_full(const struct net_cache *c)
{
	uint64_t used = 0;
	for (uint32_t i = 0; i < c->nsegments; i++)
		used += c->segments[i].used;
	return c->nsegments > 1 &&
	       (used > c->limit || c->nsegments == SEGMENTS_MAX || c->count > RECORDS_MAX);
}

/* The one that is appended to, with room for size bytes. */
static struct segment *room_for(struct net_cache *c, size_t size)
{
	struct segment *last = c->nsegments ? &c->segments[c->nsegments - 1] : NULL;
	if (last && c->writes && last->used + size <= segment_bytes(c))
		return last;
	while (is_full(c) || (uint64_t)(c->nsegments + 1) * segment_bytes(c) > c->limit) {
		uint32_t before = c->nsegments;
		if (before <= 1)
			break;
		drop_oldest(c);
		if (c->nsegments == before)
			return NULL;
	}
	return begin_segment(c) ? &c->segments[c->nsegments - 1] : NULL;
}

static const struct segment *segment_of(const struct net_cache *c, const struct record *r)
{
	for (uint32_t i = 0; i < c->nsegments; i++)
		if (c->segments[i].number == r->segment)
			return &c->segments[i];
	return NULL;
}

/* ---- reading what was kept before ---- */

static bool get_head(const uint8_t head[HEAD], struct record *r)
{
	uint32_t magic = 0;
	struct rd in = rd_of(head, HEAD);
	const uint8_t *key;
	if (rd_u32(&in, &magic) != ERR_OK || magic != MAGIC || rd_u32(&in, &r->size) != ERR_OK ||
	    rd_bytes(&in, NET_CACHE_KEY, &key) != ERR_OK || rd_u64(&in, &r->seen_ms) != ERR_OK ||
	    rd_u64(&in, &r->mark) != ERR_OK)
		return false;
	memcpy(r->key, key, NET_CACHE_KEY);
	return r->size <= NET_CACHE_RECORD_MAX;
}

static void read_segment(struct net_cache *c, struct segment *s)
{
	uint8_t head[HEAD];
	uint8_t last;
	struct record r;
	while (file_read(s->reads, head, HEAD, s->used, NULL) == ERR_OK && get_head(head, &r) &&
	       (!r.size || file_read(s->reads, &last, 1, s->used + HEAD + (uint64_t)r.size - 1,
	                             NULL) == ERR_OK)) {
		r.segment = s->number;
		r.at = s->used + HEAD;
		if (!insert(c, &r))
			return;
		s->used = r.at + r.size;
	}
}

struct names {
	uint32_t numbers[SEGMENTS_MAX];
	uint32_t count;
};

static bool see_name(void *ctx, const char *name)
{
	struct names *n = ctx;
	char want[32];
	unsigned number;
	if (n->count == SEGMENTS_MAX - 1)
		return true;
	if (sscanf(name, "%8x.seg", &number) != 1 || number == 0)
		return true;
	name_of(number, want);
	if (!strcmp(name, want))
		n->numbers[n->count++] = number;
	return true;
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static void read_segments(struct net_cache *c)
{
	struct names n = {.count = 0};
	dir_each(c->dir, see_name, &n);
	qsort(n.numbers, n.count, sizeof n.numbers[0], by_number);
	for (uint32_t i = 0; i < n.count; i++)
		if (open_segment(c, n.numbers[i]))
			read_segment(c, &c->segments[c->nsegments - 1]);
}

static void drop_all(struct net_cache *c)
{
	while (c->nsegments) {
		uint32_t before = c->nsegments;
		drop_oldest(c);
		if (c->nsegments == before)
			return;
	}
}

/* With the lock held. False: nothing is kept. */
static bool opened(struct net_cache *c)
{
	if (c->opened)
		return c->dir && c->limit;
	c->opened = true;
	if (dir_open(c->path, DIR_NO_LINK, &c->dir, NULL) != ERR_OK)
		return false;
	read_segments(c);
	if (!c->limit)
		drop_all(c);
	return c->limit != 0;
}

/* ---- life ---- */

struct net_cache *net_cache_new(const char *home, uint64_t limit_bytes)
{
	struct net_cache *c = calloc(1, sizeof *c);
	if (!c)
		return NULL;
	c->limit = limit_bytes;
	c->path = malloc(strlen(home) + sizeof "/net-cache");
	if (c->path)
		sprintf(c->path, "%s/net-cache", home);
	if (c->path && pthread_mutex_init(&c->lock, NULL) == 0)
		return c;
	free(c->path);
	free(c);
	return NULL;
}

void net_cache_free(struct net_cache *c)
{
	if (!c)
		return;
	for (uint32_t i = 0; i < c->nsegments; i++)
		file_close(c->segments[i].reads);
	end_writing(c);
	dir_close(c->dir);
	pthread_mutex_destroy(&c->lock);
	free(c->table);
	free(c->path);
	free(c);
}

/* ---- records ---- */

void net_cache_key(uint8_t key[NET_CACHE_KEY], const uint8_t device[DEVICE_ID_SIZE], uint32_t share,
                   const uint8_t *name, size_t size)
{
	uint8_t whose[DEVICE_ID_SIZE + 4];
	memcpy(whose, device, DEVICE_ID_SIZE);
	for (int i = 0; i < 4; i++)
		whose[DEVICE_ID_SIZE + i] = (uint8_t)(share >> 8 * i);
	crypto_blake2b_keyed(key, NET_CACHE_KEY, whose, sizeof whose, name, size);
}

static uint64_t mark_of(const uint8_t *bytes, size_t size)
{
	uint8_t hash[CRYPTO_HASH_SIZE];
	uint64_t mark;
	crypto_blake2b(hash, bytes, size);
	memcpy(&mark, hash, sizeof mark);
	return mark;
}

/* With the lock held. */
static void append(struct net_cache *c, struct record *r, const uint8_t *bytes)
{
	struct wr out = {0};
	struct segment *s = room_for(c, HEAD + r->size);
	if (!s)
		return;
	wr_u32(&out, MAGIC);
	wr_u32(&out, r->size);
	wr_bytes(&out, r->key, NET_CACHE_KEY);
	wr_u64(&out, r->seen_ms);
	wr_u64(&out, r->mark);
	wr_bytes(&out, bytes, r->size);
	if (wr_ok(&out) && file_append(c->writes, out.data, out.size)) {
		r->segment = s->number;
		r->at = s->used + HEAD;
		s->used += (uint32_t)out.size;
		(void)insert(c, r);
	} else {
		end_writing(c); /* where its end is now nobody knows */
	}
	wr_free(&out);
}

/* It would be the next or so to go. */
static bool is_old(const struct net_cache *c, const struct record *r)
{
	return c->nsegments >= SEGMENTS / 2 && r->segment <= c->segments[1].number;
}

void net_cache_put(struct net_cache *c, const uint8_t key[NET_CACHE_KEY], const uint8_t *bytes,
                   size_t size, bool lasting)
{
	struct record r = {.size = (uint32_t)size, .seen_ms = os_wall_ns() / 1000000};
	if (!c->limit || size > NET_CACHE_RECORD_MAX)
		return;
	memcpy(r.key, key, NET_CACHE_KEY);
	pthread_mutex_lock(&c->lock);
	const struct record *was = opened(c) ? find(c, key) : NULL;
	bool fresh = was && !is_old(c, was) && (lasting || r.seen_ms - was->seen_ms < SAME_MS);
	if (c->dir && !(fresh && lasting)) {
		r.mark = mark_of(bytes, size);
		if (!fresh || was->mark != r.mark || was->size != r.size)
			append(c, &r, bytes);
	}
	pthread_mutex_unlock(&c->lock);
}

/* With the lock held. */
static bool get(struct net_cache *c, const uint8_t *key, struct wr *bytes, uint64_t *seen_ms)
{
	const struct record *found = opened(c) ? find(c, key) : NULL;
	const struct segment *s = found ? segment_of(c, found) : NULL;
	if (!s)
		return false;
	struct record r = *found;
	size_t start = bytes->size;
	uint8_t *to = wr_space(bytes, r.size);
	if (!to)
		return false;
	if (file_read(s->reads, to, r.size, r.at, NULL) != ERR_OK ||
	    mark_of(to, r.size) != r.mark) {
		bytes->size = start;
		return false;
	}
	*seen_ms = r.seen_ms;
	if (is_old(c, &r))
		append(c, &r, to);
	return true;
}

bool net_cache_get(struct net_cache *c, const uint8_t key[NET_CACHE_KEY], struct wr *bytes,
                   uint64_t *seen_ms)
{
	pthread_mutex_lock(&c->lock);
	bool found = get(c, key, bytes, seen_ms);
	pthread_mutex_unlock(&c->lock);
	return found;
}

void net_cache_state(struct net_cache *c, struct net_cache_state *out)
{
	pthread_mutex_lock(&c->lock);
	(void)opened(c);
	*out = (struct net_cache_state){.limit_bytes = c->limit, .records = c->count};
	for (uint32_t i = 0; i < c->nsegments; i++)
		out->bytes += c->segments[i].used;
	for (uint32_t i = 0; i < c->cap; i++)
		if (c->table[i].segment &&
		    (!out->oldest_ms || c->table[i].seen_ms < out->oldest_ms))
			out->oldest_ms = c->table[i].seen_ms;
	pthread_mutex_unlock(&c->lock);
}

void net_cache_clear(struct net_cache *c)
{
	pthread_mutex_lock(&c->lock);
	if (opened(c))
		drop_all(c);
	pthread_mutex_unlock(&c->lock);
}
