/* coremix.c - the mix that embedded benchmarks use, written anew: linked lists that are searched,
 * sorted and reversed, small integer matrices, a state machine that reads numbers, and a CRC over
 * all results.
 */
#include "bench.h"

static uint16_t crc16(uint16_t crc, uint32_t value)
{
	for (int bit = 0; bit < 32; bit++, value >>= 1)
		crc = (uint16_t)((crc >> 1) ^ (((crc ^ value) & 1) != 0 ? 0xa001 : 0));
	return crc;
}

/* ---- lists ---- */

struct node {
	struct node *next;
	int16_t key, index;
};

static struct node *merge(struct node *a, struct node *b, bool by_key)
{
	struct node head, *tail = &head;
	while (a != NULL && b != NULL) {
		bool first = by_key ? a->key <= b->key : a->index <= b->index;
		struct node **from = first ? &a : &b;
		tail = tail->next = *from;
		*from = (*from)->next;
	}
	tail->next = a != NULL ? a : b;
	return head.next;
}

static struct node *sort(struct node *list, bool by_key)
{
	if (list == NULL || list->next == NULL)
		return list;
	struct node *slow = list, *fast = list->next;
	while (fast != NULL && fast->next != NULL) {
		slow = slow->next;
		fast = fast->next->next;
	}
	struct node *second = slow->next;
	slow->next = NULL;
	return merge(sort(list, by_key), sort(second, by_key), by_key);
}

static struct node *reverse(struct node *list)
{
	struct node *done = NULL;
	while (list != NULL) {
		struct node *next = list->next;
		list->next = done;
		done = list;
		list = next;
	}
	return done;
}

static const struct node *find(const struct node *list, int16_t key)
{
	while (list != NULL && list->key != key)
		list = list->next;
	return list;
}

enum { NODES = 64 };

static uint16_t lists(struct node *pool, uint32_t *state, bool sorting, uint16_t crc)
{
	struct node *list = NULL;
	for (int i = 0; i < NODES; i++) {
		pool[i] = (struct node){list, (int16_t)(next_random(state) & 0x1ff), (int16_t)i};
		list = &pool[i];
	}
	for (int i = 0; i < 12; i++) {
		const struct node *found = find(list, (int16_t)(next_random(state) & 0x1ff));
		crc = crc16(crc, found != NULL ? (uint32_t)found->index : 1);
		list = reverse(list);
	}
	if (!sorting)
		return crc16(crc, (uint32_t)list->key);
	list = sort(list, true);
	crc = crc16(crc, (uint32_t)list->key);
	list = sort(list, false);
	return crc16(crc, (uint32_t)list->next->key);
}

/* ---- matrices ---- */

enum { SIDE = 16 };

static uint16_t matrices(int16_t *a, int16_t *b, int32_t *c, int16_t seed, uint16_t crc)
{
	for (int i = 0; i < SIDE * SIDE; i++) {
		a[i] = (int16_t)(a[i] + seed);
		b[i] = (int16_t)(b[i] ^ (seed * i));
	}
	for (int i = 0; i < SIDE; i++) {
		for (int j = 0; j < SIDE; j++) {
			int32_t s = 0;
			for (int x = 0; x < SIDE; x++)
				s += a[i * SIDE + x] * b[x * SIDE + j];
			c[i * SIDE + j] = s;
		}
	}
	int32_t sum = 0;
	for (int i = 0; i < SIDE * SIDE; i++)
		sum += (c[i] >> 2 & 0xf) * (c[i] >> 5 & 0x7f) + (c[i] > sum ? 10 : 0);
	return crc16(crc, (uint32_t)sum);
}

/* ---- a state machine over text ---- */

enum state { START, SIGN, INT, DOT, FRACTION, EXPONENT, BAD, STATES };

static enum state next_state(enum state s, char ch)
{
	bool digit = ch >= '0' && ch <= '9';
	switch (s) {
	case START: return digit ? INT : ch == '+' || ch == '-' ? SIGN : ch == '.' ? DOT : BAD;
	case SIGN: return digit ? INT : ch == '.' ? DOT : BAD;
	case INT: return digit ? INT : ch == '.' ? FRACTION : ch == 'e' ? EXPONENT : BAD;
	case DOT:
	case FRACTION: return digit ? FRACTION : ch == 'e' ? EXPONENT : BAD;
	case EXPONENT: return digit || ch == '-' ? EXPONENT : BAD;
	default: return BAD;
	}
}

static uint16_t machine(char *text, size_t size, uint32_t flip, uint16_t crc)
{
	uint32_t ends[STATES] = {0}, seen[STATES] = {0};
	enum state s = START;
	text[flip % size] = (char)("0123456789+-.e,x"[flip >> 8 & 15]);
	for (size_t i = 0; i < size; i++) {
		if (text[i] == ',') {
			ends[s]++;
			s = START;
		} else {
			s = next_state(s, text[i]);
			seen[s]++;
		}
	}
	for (int i = 0; i < STATES; i++)
		crc = crc16(crc, ends[i] << 16 | seen[i]);
	return crc;
}

uint32_t run(uint32_t n)
{
	static const char numbers[] =
	    "5012,1234,-874,+122,35.54400,.1234500,-110.700,+0.64400,5.500e3,"
	    "-.123e-2,-87e+832,+0.6e-12,T0.3e-1F,-T.T++Tq,1T3.4e4z,34.0e-T^,";
	struct node pool[NODES];
	int16_t a[SIDE * SIDE] = {1}, b[SIDE * SIDE] = {2};
	int32_t c[SIDE * SIDE];
	char text[sizeof(numbers)];
	uint32_t state = 6u;
	uint16_t crc = 0xffff;
	memcpy(text, numbers, sizeof(numbers));
	for (uint32_t i = 0; i < n; i++) {
		crc = lists(pool, &state, i % 8 == 0, crc);
		crc = matrices(a, b, c, (int16_t)(crc & 0xf), crc);
		for (int pass = 0; pass < 4; pass++)
			crc = machine(text, sizeof(text) - 1, next_random(&state), crc);
	}
	return crc;
}
