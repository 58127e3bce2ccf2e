/* test_hostile.c - a paired device that does not keep to the protocol: every message of the table with made-up fields, in
 * any order, about its own, invented and other devices' processes. The node refuses, stays up and gives nothing away.
 *
 * The hostile device is a whole node whose link the test uses behind its back. Fields are drawn from few values, so that
 * messages often speak of the same move, process and session. */
#include "tests/node/two_nodes.h"

#include "engine/engine.h"
#include "node/process/process.h"

enum { HOSTILE, VICTIM, MESSAGES = 4000, IDS = 4 };

static uint32_t state = 1;

static uint32_t draw(uint32_t below)
{
	state = state * 1664525 + 1013904223;
	return (state >> 8) % below;
}

/* 16 bytes that name moves and processes; the last is what the victim's process is called, once it is known. */
static uint8_t ids[IDS + 1][PROCESS_UID_SIZE];
static unsigned known_ids = IDS;

static uint64_t draw_u64(void)
{
	static const uint64_t some[] = {
	    0, 1, 2, 3, 4096, UINT32_MAX, UINT64_C(1) << 32, UINT64_MAX - 1, UINT64_MAX};
	return some[draw(sizeof some / sizeof *some)];
}

static void draw_fixed(uint8_t *out, size_t size)
{
	memset(out, (int)draw(3), size);
	if (size == PROCESS_UID_SIZE)
		memcpy(out, ids[draw(known_ids)], size);
}

static uint8_t noise[1 << 20];

static uint32_t draw_size(uint32_t max)
{
	uint32_t size = draw(4) ? draw(64) : draw(max + 1);
	return size < max ? size : max;
}

static struct wr lists[8]; /* of the message being made */
static unsigned list_at;

#define U8(f) v->f = (uint8_t)draw_u64();
#define U16(f) v->f = (uint16_t)draw_u64();
#define U32(f) v->f = (uint32_t)draw_u64();
#define U64(f) v->f = draw_u64();
#define I32(f) v->f = (int32_t)draw_u64();
#define I64(f) v->f = (int64_t)draw_u64();
#define BOOL(f) v->f = draw(2);
#define TEXT(f, max) v->f = (struct str_ref){"text", draw(5)};
#define NAME(f, max) v->f = (struct str_ref){"name", draw(5)};
#define BIN(f, max) v->f = (struct bin_ref){noise + draw(256), draw_size(max)};
#define FIXED(f, n) draw_fixed(v->f, n);
#define LIST(f, record, max)                                                     \
	{                                                                        \
		struct wr *w = &lists[list_at++];                                \
		uint32_t n = draw(4) ? draw(3) : draw(max + 1);                  \
		wr_clear(w);                                                     \
		for (uint32_t i = 0; i < n; i++) {                               \
			struct msg_##record item;                                \
			fill_##record(&item);                                    \
			cr_assert_eq(msg_item_##record(w, &item, NULL), ERR_OK); \
		}                                                                \
		v->f = list_of(w, n);                                            \
	}
#define GROUP(NAME, first, last)
#define RECORD(name, ...)                             \
	static void fill_##name(struct msg_##name *v) \
	{                                             \
		__VA_ARGS__                           \
	}
#define MESSAGE(number, NAME, name, ...) RECORD(name, __VA_ARGS__)
#include "proto/messages.def"
#undef MESSAGE
#undef RECORD
#undef GROUP

/* A request for files, as far as its head: about a process, with an epoch. */
static void fill_files(struct msg_call *v)
{
	struct wr *w = &lists[list_at++];
	wr_clear(w);
	wr_u8(w, draw(8) ? 1 : 2);
	wr_u8(w, (uint8_t)draw(3));
	wr_bytes(w, ids[draw(known_ids)], PROCESS_UID_SIZE);
	wr_u64(w, draw_u64());
	wr_u16(w, (uint16_t)draw(3));
	wr_bytes(w, noise + draw(4096), draw(200));
	*v = (struct msg_call){
	    .tag = draw(9), .service = LINK_SERVICE_FS, .body = bin_ref(w->data, w->size)};
}

static enum msg draw_message(union msg_any *any)
{
	static const enum msg types[] = {
#define GROUP(NAME, first, last)
#define RECORD(name, ...)
#define MESSAGE(number, NAME, name, ...) MSG_##NAME,
#include "proto/messages.def"
#undef MESSAGE
#undef RECORD
#undef GROUP
	};
	enum msg type = types[draw(sizeof types / sizeof *types)];
	list_at = 0;
	memset(any, 0, sizeof *any);
	if (type == MSG_CALL && draw(4)) {
		fill_files(&any->call);
		return type;
	}
	switch (type) {
#define GROUP(NAME, first, last)
#define RECORD(name, ...)
#define MESSAGE(number, NAME, name, ...) \
	case MSG_##NAME: fill_##name(&any->name); break;
#include "proto/messages.def"
#undef MESSAGE
#undef RECORD
#undef GROUP
	}
	if (type == MSG_MOVE_OFFER && draw(2))
		any->move_offer.format = 1;
	return type;
}

static void on_started(void *ctx, struct process *p, enum err e, const struct errmsg *msg)
{
	cr_assert_eq(e, ERR_OK, "%s", msg ? msg->text : "");
	*(struct process **)ctx = p;
}

static struct process *start_ticking(struct pair *t)
{
	char *argv[] = {(char *)"guest", (char *)"tick"};
	struct process_config cfg = {.path = GUEST, .argv = argv, .argc = 2};
	struct process *p = NULL;
	process_create(t->n[VICTIM], &cfg, on_started, &p);
	for (uint64_t end = uv_hrtime() + UINT64_C(15000000000); !p && uv_hrtime() < end;)
		turn(t);
	cr_assert(p);
	return p;
}

static void meet(struct pair *t)
{
	if (!peer_is_up(other(t, HOSTILE)))
		link_dial(other(t, HOSTILE));
	for (int i = 0; i < 2000 && !peer_is_up(other(t, HOSTILE)); i++)
		turn(t);
}

/* How many of them reached the link. */
static unsigned send_many(struct pair *t, unsigned count)
{
	unsigned sent = 0;
	for (unsigned i = 0; i < count; i++) {
		union msg_any any;
		enum msg type = draw_message(&any);
		if (type < 0x20 && type != MSG_CALL && type != MSG_ANSWER && draw(8))
			continue; /* most of these end the link at once */
		meet(t);
		sent += link_send(other(t, HOSTILE), type, &any, (enum link_lane)draw(LINK_LANES),
		                  NULL) == ERR_OK;
		for (int k = 0; k < 3; k++)
			turn(t);
	}
	for (int k = 0; k < 200; k++)
		turn(t);
	for (unsigned i = 0; i < sizeof lists / sizeof *lists; i++)
		wr_free(&lists[i]);
	return sent;
}

static void open_hostile(struct pair *t)
{
	for (size_t i = 0; i < sizeof noise; i++)
		noise[i] = (uint8_t)draw(256);
	for (unsigned i = 0; i < IDS; i++)
		memset(ids[i], (int)(0x40 + i), sizeof ids[i]);
	known_ids = IDS;
	open_pair(t);
	introduce(t, HOSTILE);
	introduce(t, VICTIM);
	cr_assert(wait_link(t, true));
}

static void close_hostile(struct pair *t)
{
	node_stop(t->n[VICTIM], true);
	node_run(t->n[VICTIM]);
	close_pair(t);
}

static unsigned count_processes(struct node *n)
{
	unsigned count = 0;
	for (struct process *p = process_first(n); p; p = p->next)
		count += process_alive(p);
	return count;
}

Test(hostile, a_paired_device_reaches_no_program_whose_uid_it_was_never_told)
{
	struct pair t;
	state = 1;
	open_hostile(&t);
	struct process *p = start_ticking(&t);
	uint64_t epoch = p->epoch;
	cr_assert_gt(send_many(&t, MESSAGES), MESSAGES / 2);
	cr_assert(process_alive(p));
	cr_assert_eq(p->epoch, epoch);
	cr_assert_null(p->sessions);
	cr_assert_eq(count_processes(t.n[VICTIM]), 1u);
	close_hostile(&t);
}

Test(hostile, one_that_knows_the_uid_does_not_break_the_node_either)
{
	struct pair t;
	open_hostile(&t);
	state = 2;
	struct process *p = start_ticking(&t);
	memcpy(ids[IDS], p->uid, sizeof p->uid);
	known_ids = IDS + 1;
	cr_assert_gt(send_many(&t, MESSAGES), MESSAGES / 2);
	meet(&t);
	cr_assert(peer_is_up(other(&t, HOSTILE)));
	cr_assert_leq(count_processes(t.n[VICTIM]), 1u);
	close_hostile(&t);
}
