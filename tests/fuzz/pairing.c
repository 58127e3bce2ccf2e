/* pairing.c - fuzzes pairing: the first bytes choose the side and how far an honest run gets, then any
 * bytes come. Whoever does not hold the words is never added, and a spent code stays spent. What people
 * type as words, and the text of a picture, is read too. */
#include "proto/pairing_qr.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { GUEST, HOST };

struct table {
	struct pairing_desk desk;
	struct pairing_device device[2];
	struct pairing p[2];
	struct pairing_actions act[2];
};

static void check(bool truth)
{
	if (!truth)
		abort();
}

static void start(struct table *t)
{
	static const uint8_t secrets[2][32] = {{8}, {16}}, random[PAIRING_RANDOM_SIZE] = {1, 2, 3};
	memset(t, 0, sizeof *t);
	check(pairing_desk_open(&t->desk, 0, random, NULL) == ERR_OK);
	for (int i = 0; i < 2; i++) {
		uint8_t seed[PAIRING_SEED_SIZE];
		struct pairing_self self = {secrets[i], &t->device[i]};
		memset(seed, 24 + 8 * i, sizeof seed);
		strcpy(t->device[i].name, i ? "host" : "guest");
		strcpy(t->device[i].addresses[0], "192.0.2.7:4747");
		t->device[i].address_count = 1;
		if (i == HOST)
			pairing_host(&t->p[i], &t->desk, "192.0.2.9", &self, seed, 0);
		else
			check(pairing_guest(&t->p[i], t->desk.words, &self, seed, 0, &t->act[i]) ==
			      ERR_OK);
	}
}

/* Lets count honest flights pass, beginning with the guest's. */
static void honest(struct table *t, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		int from = i & 1 ? HOST : GUEST;
		struct wr send = t->act[from].send;
		t->act[from].send = (struct wr){0};
		pairing_bytes(&t->p[!from], send.data, send.size, 0, &t->act[!from]);
		wr_free(&send);
	}
}

/* What is read as a picture's text is written as the same text, but for case and spaces around it. */
static void scanned(const char *text)
{
	struct pairing_qr qr, back;
	struct errmsg msg = {0};
	char again[PAIRING_QR_TEXT_SIZE];
	if (pairing_qr_read(text, &qr, &msg) != ERR_OK) {
		check(msg.text[0]);
		return;
	}
	pairing_qr_text(&qr, again);
	check(pairing_qr_read(again, &back, NULL) == ERR_OK);
	check(back.count == qr.count && memcmp(&back, &qr, sizeof qr) == 0);
}

static void typed(const uint8_t *data, size_t size)
{
	char text[400], words[PAIRING_WORDS_SIZE], again[PAIRING_WORDS_SIZE];
	struct errmsg msg = {0};
	size_t n = size < sizeof text - 1 ? size : sizeof text - 1;
	memcpy(text, data, n);
	text[n] = 0;
	scanned(text);
	if (pairing_words_read(text, words, &msg) != ERR_OK) {
		check(msg.text[0]);
		return;
	}
	check(pairing_words_read(words, again, NULL) == ERR_OK && strcmp(words, again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct table t;
	if (size < 1)
		return 0;
	int victim = data[0] & 1;
	start(&t);
	honest(&t, (data[0] >> 1) % 6);
	bool asked = t.act[victim].ask;
	pairing_bytes(&t.p[victim], data + 1, size - 1, 0, &t.act[victim]);
	check(!t.act[victim].add);
	check(asked == t.act[victim].ask);
	if (t.p[victim].state != PAIRING_ENDED)
		pairing_tick(&t.p[victim], PAIRING_RUN_MS + PAIRING_ASK_MS, &t.act[victim]);
	check(t.p[victim].state == PAIRING_ENDED);
	for (int i = 0; i < 2; i++) {
		pairing_free(&t.p[i], 0);
		wr_free(&t.act[i].send);
	}
	check(!t.desk.busy);
	typed(data + 1, size - 1);
	return 0;
}
