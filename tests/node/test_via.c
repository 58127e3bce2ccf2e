/* test_via.c - three whole nodes in one process: desk and phone, which cannot reach each other as long as the test says so, and hub. What the
 * hub carries and what it refuses, and that a link that becomes direct loses nothing. */
#include "node/links/devices.h"
#include "node/links/link_impl.h"
#include "node/node.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DESK, HUB, PHONE, NODES, SERVICE = 7, PATIENCE_MS = 20000 };

struct system {
	char folder[64];
	struct node *n[NODES];
	bool apart; /* desk and phone know no address of each other */
	bool
	    quiet; /* nor ask the hub for each other, also when they hear that the other is there */
	unsigned downs;
};

static struct peer *row(struct system *s, int of, int about)
{
	return peer_by_id(s->n[of], s->n[about]->device->id);
}

static void forget_way(struct system *s, int of, int about)
{
	struct peer *p = row(s, of, about);
	if (p)
		p->address_count = p->address_next = 0;
}

static void turn(struct system *s)
{
	for (int i = 0; i < NODES; i++) {
		if (s->quiet)
			row(s, DESK, PHONE)->ask_at_ms = row(s, PHONE, DESK)->ask_at_ms =
			    UINT64_MAX;
		if (s->apart) {
			forget_way(s, DESK, PHONE);
			forget_way(s, PHONE, DESK);
		}
		uv_run(&s->n[i]->loop, UV_RUN_NOWAIT);
	}
	usleep(100);
}

static uint64_t now_ms(void)
{
	return uv_hrtime() / 1000000;
}

static void on_watch(void *ctx, struct peer *p, bool up)
{
	struct system *s = ctx;
	(void)p;
	s->downs += !up;
}

static void open_nodes(struct system *s)
{
	static const char *const names[NODES] = {"desk", "hub", "phone"};
	signal(SIGPIPE, SIG_IGN); /* as node_run() does, which is not called here */
	*s = (struct system){.apart = true};
	snprintf(s->folder, sizeof s->folder, "%s/viaXXXXXX",
	         getenv("TMPDIR") && strlen(getenv("TMPDIR")) < 40 ? getenv("TMPDIR") : "/tmp");
	cr_assert(mkdtemp(s->folder));
	setenv("XDG_RUNTIME_DIR", s->folder, 1);
	for (int i = 0; i < NODES; i++) {
		char home[80];
		struct errmsg msg = {0};
		snprintf(home, sizeof home, "%s/%d", s->folder, i);
		struct node_config cfg = {.home = home,
		                          .name = names[i],
		                          .listen = "127.0.0.1:0",
		                          .display = "headless",
		                          .log_level = LOG_DEBUG};
		cr_assert_eq(node_open(&cfg, &s->n[i], &msg), ERR_OK, "%s", msg.text);
		cr_assert_eq(link_watch(s->n[i], on_watch, s), ERR_OK);
	}
}

/* As pairing leaves it. */
static void introduce(struct system *s, int to, int about)
{
	char address[1][LINK_ADDRESS_SIZE];
	struct peer *p;
	struct errmsg msg = {0};
	snprintf(address[0], sizeof address[0], "127.0.0.1:%u", link_port(s->n[about]));
	cr_assert_eq(peer_add(s->n[to], s->n[about]->device->key, s->n[about]->name,
	                      (const char(*)[LINK_ADDRESS_SIZE])address, 1, &p, &msg),
	             ERR_OK, "%s", msg.text);
}

/* "", "direct", or the carrier's name. */
static const char *way(struct system *s, int of, int to)
{
	const struct peer *p = row(s, of, to), *carrier = p ? peer_carrier(p) : NULL;
	return carrier ? peer_name(carrier) : p && peer_is_direct(p) ? "direct" : "";
}

static bool wait_way(struct system *s, int a, int b, const char *text)
{
	for (uint64_t end = now_ms() + PATIENCE_MS; now_ms() < end; turn(s))
		if (!strcmp(way(s, a, b), text) && !strcmp(way(s, b, a), text))
			return true;
	return false;
}

/* The hub has links with both. */
static void open_system(struct system *s)
{
	open_nodes(s);
	for (int i = 0; i < NODES; i++) {
		if (i != HUB) {
			introduce(s, i, HUB);
			introduce(s, HUB, i);
			cr_assert(wait_way(s, i, HUB, "direct"));
		}
	}
}

static void close_system(struct system *s)
{
	char command[128];
	for (int i = 0; i < NODES; i++)
		node_close(s->n[i]);
	snprintf(command, sizeof command, "rm -rf %s", s->folder);
	cr_assert_eq(system(command), 0);
}

/* --- what is carried --- */

static void open_passage(struct system *s, uint8_t number, const uint8_t *device)
{
	struct msg_via_open m;
	memset(m.passage, number, sizeof m.passage);
	memcpy(m.device, device, sizeof m.device);
	cr_assert_eq(link_send(row(s, DESK, HUB), MSG_VIA_OPEN, &m, LINK_VIA, NULL), ERR_OK);
}

/* Without the phone, which would close what it does not understand. */
static void turn_two(struct system *s)
{
	for (int k = 0; k < 200; k++) {
		row(s, DESK, PHONE)->ask_at_ms = UINT64_MAX;
		uv_run(&s->n[DESK]->loop, UV_RUN_NOWAIT);
		uv_run(&s->n[HUB]->loop, UV_RUN_NOWAIT);
	}
}

static unsigned carried(struct system *s)
{
	return s->n[HUB]->links->passage_count;
}

/* No link of its own goes through the hub yet: it has not asked, and does not. */
static void open_quiet_system(struct system *s)
{
	open_system(s);
	for (uint64_t end = now_ms() + PATIENCE_MS; now_ms() < end && !row(s, DESK, PHONE);)
		turn(s);
	cr_assert(wait_way(s, DESK, PHONE, "hub"));
	s->quiet = true;
	for (uint64_t end = now_ms() + PATIENCE_MS; now_ms() < end && carried(s); turn(s))
		if (row(s, DESK, PHONE)->up) /* another attempt may have been under way */
			conn_close(row(s, DESK, PHONE)->up, "the test says so");
	cr_assert_eq(carried(s), 0);
}

Test(via, only_members_that_are_there_are_carried_for_and_each_passage_once)
{
	struct system s;
	uint8_t stranger[DEVICE_ID_SIZE] = {1, 2, 3};
	open_quiet_system(&s);
	open_passage(&s, 1, stranger);
	open_passage(&s, 2, s.n[DESK]->device->id);
	open_passage(&s, 3, s.n[HUB]->device->id);
	turn_two(&s);
	cr_assert_eq(carried(&s), 0);
	open_passage(&s, 4, s.n[PHONE]->device->id);
	open_passage(&s, 4, s.n[PHONE]->device->id);
	turn_two(&s);
	cr_assert_eq(carried(&s), 1);
	/* Who asks is joining still, says the hub. */
	row(&s, HUB, DESK)->member = false;
	open_passage(&s, 5, s.n[PHONE]->device->id);
	turn_two(&s);
	cr_assert_eq(carried(&s), 1);
	row(&s, HUB, DESK)->member = true;
	cr_assert(peer_is_up(row(&s, DESK, HUB)));
	close_system(&s);
}

Test(via, a_passage_that_nobody_takes_from_is_closed_and_there_are_so_many_at_most)
{
	struct system s;
	static const uint8_t bytes[VIA_PIECE_SIZE];
	struct msg_via_data m = {.bytes = bin_ref(bytes, sizeof bytes)};
	open_quiet_system(&s);
	for (unsigned i = 0; i < VIA_CARRIED_MAX + 5; i++)
		open_passage(&s, (uint8_t)i, s.n[PHONE]->device->id);
	turn_two(&s);
	cr_assert_eq(carried(&s), VIA_CARRIED_MAX);
	memset(m.passage, 7, sizeof m.passage);
	for (size_t sent = 0; sent < VIA_FLYING_MAX - 2 * VIA_PIECE_SIZE; sent += sizeof bytes)
		cr_assert_eq(link_send(row(&s, DESK, HUB), MSG_VIA_DATA, &m, LINK_VIA, NULL),
		             ERR_OK);
	turn_two(&s);
	cr_assert_eq(carried(&s), VIA_CARRIED_MAX);
	for (int i = 0; i < 2; i++)
		cr_assert_eq(link_send(row(&s, DESK, HUB), MSG_VIA_DATA, &m, LINK_VIA, NULL),
		             ERR_OK);
	turn_two(&s);
	cr_assert_eq(carried(&s), VIA_CARRIED_MAX - 1);
	/* To the phone each is a stranger who says nonsense, or nothing. */
	for (uint64_t end = now_ms() + PATIENCE_MS; now_ms() < end && carried(&s);)
		turn(&s);
	cr_assert_eq(carried(&s), 0);
	cr_assert(peer_is_up(row(&s, DESK, HUB)) && peer_is_up(row(&s, PHONE, HUB)));
	close_system(&s);
}

Test(via, what_is_carried_for_a_removed_device_ends_at_once)
{
	struct system s;
	struct errmsg msg = {0};
	open_system(&s);
	cr_assert(wait_way(&s, DESK, PHONE, "hub"));
	cr_assert_gt(carried(&s), 0);
	cr_assert_eq(devices_remove(s.n[HUB], s.n[PHONE]->device->id, &msg), ERR_OK, "%s",
	             msg.text);
	cr_assert_eq(carried(&s), 0);
	for (uint64_t end = now_ms() + PATIENCE_MS; now_ms() < end && row(&s, DESK, PHONE);)
		turn(&s);
	cr_assert_null(row(&s, DESK, PHONE));
	close_system(&s);
}

/* --- from one connection to another --- */

/* Both may have asked at once: one of the two is kept. */
static bool is_settled(struct system *s)
{
	const struct peer *a = row(s, DESK, PHONE), *b = row(s, PHONE, DESK);
	return carried(s) == 1 && a->up && b->up && !a->asking && !b->asking;
}

enum { CALLS = 3000 };

/* Requests of both lanes, numbered; each is answered once. */
struct stream {
	unsigned asked, answered, failed;
	uint32_t next[2]; /* that is to come in each lane */
};

static void on_served(void *ctx, const struct link_caller *call, const uint8_t *body, size_t size)
{
	struct stream *t = ctx;
	uint32_t lane = body[0], number;
	memcpy(&number, body + 4, sizeof number);
	cr_assert_eq(number, t->next[lane], "lane %u: %u after %u", lane, number, t->next[lane]);
	t->next[lane]++;
	link_answer(call, ERR_OK, body, 8);
	(void)size;
}

static void on_reply(void *ctx, enum err e, const uint8_t *reply, size_t size)
{
	struct stream *t = ctx;
	t->answered++;
	t->failed += e != ERR_OK;
	(void)reply;
	(void)size;
}

static void ask(struct system *s, int from, int to, struct stream *t, uint8_t *body, size_t size)
{
	uint32_t number = t->asked++;
	body[0] = LINK_FAST;
	memcpy(body + 4, &number, sizeof number);
	link_call(s->n[from], s->n[to]->device->id, SERVICE, body, size, 60000, on_reply, t);
}

/* One that nobody waits for the answer of. */
static void shout(struct system *s, int from, int to, uint32_t number, uint8_t *body, size_t size)
{
	struct msg_call m = {.tag = 5, .service = SERVICE, .body = bin_ref(body, size)};
	body[0] = LINK_BULK;
	memcpy(body + 4, &number, sizeof number);
	cr_assert_eq(link_send(row(s, from, to), MSG_CALL, &m, LINK_BULK, NULL), ERR_OK);
}

/* It is time for everything on all connections between desk and phone: pings, new keys. What is said on one that is being left would be lost. */
static void make_all_due(struct system *s)
{
	for (int i = 0; i < 2; i++) {
		struct peer *p = row(s, i ? PHONE : DESK, i ? DESK : PHONE);
		if (p->up)
			p->up->rekeyed_ms = 0;
		for (int ping = 0; ping < 2 && p->older; ping++) {
			uint64_t now = links_now(p->links);
			p->older->pinged_ms = ping ? 0 : now;
			p->older->rekeyed_ms = 0;
			conn_tick(p->older, now);
		}
	}
}

Test(via, a_link_that_becomes_direct_under_load_loses_and_repeats_nothing)
{
	struct system s;
	static uint8_t body[60000];
	struct stream out = {0},
	              in = {0}; /* desk to phone, and back: served there, answered here */
	uint32_t bulk[2] = {0};
	bool direct = false;
	open_system(&s);
	cr_assert(wait_way(&s, DESK, PHONE, "hub"));
	for (uint64_t end = now_ms() + PATIENCE_MS; now_ms() < end && !is_settled(&s);)
		turn(&s);
	cr_assert(is_settled(&s));
	cr_assert_eq(link_serve(s.n[PHONE], SERVICE, on_served, &out), ERR_OK);
	cr_assert_eq(link_serve(s.n[DESK], SERVICE, on_served, &in), ERR_OK);
	s.downs = 0;
	for (unsigned k = 0; k < CALLS || !direct; k++) {
		cr_assert_lt(k, 100 * CALLS, "it does not become direct");
		ask(&s, DESK, PHONE, &out, body, 8 + k % 5000);
		ask(&s, PHONE, DESK, &in, body, 8 + k % 700);
		if (link_queued(row(&s, DESK, PHONE)) < LINK_QUEUE_GOAL)
			shout(&s, DESK, PHONE, bulk[0]++, body, sizeof body);
		if (link_queued(row(&s, PHONE, DESK)) < LINK_QUEUE_GOAL)
			shout(&s, PHONE, DESK, bulk[1]++, body, sizeof body);
		if (k == CALLS / 3) {
			s.apart = false;
			introduce(&s, DESK, PHONE);
			links_hint(row(&s, DESK, PHONE), NULL);
		}
		make_all_due(&s);
		turn(&s);
		direct = !strcmp(way(&s, DESK, PHONE), "direct") &&
		         !strcmp(way(&s, PHONE, DESK), "direct");
	}
	for (uint64_t end = now_ms() + PATIENCE_MS;
	     now_ms() < end && (out.answered < out.asked || in.answered < in.asked ||
	                        out.next[LINK_BULK] < bulk[0] || in.next[LINK_BULK] < bulk[1] ||
	                        row(&s, DESK, PHONE)->older || row(&s, PHONE, DESK)->older);)
		turn(&s);
	cr_assert_eq(s.downs, 0);
	cr_assert(out.answered == out.asked && in.answered == in.asked);
	cr_assert(out.failed == 0 && in.failed == 0);
	cr_assert(out.next[LINK_BULK] == bulk[0] && in.next[LINK_BULK] == bulk[1]);
	cr_assert_null(row(&s, DESK, PHONE)->older);
	cr_assert_eq(carried(&s), 0);
	close_system(&s);
}

/* Echoes to and fro until the link is direct for both; how often it was said to be down meanwhile. */
static void become_direct(struct system *s, struct stream *t, uint8_t *body)
{
	for (uint64_t end = now_ms() + PATIENCE_MS;
	     now_ms() < end && (strcmp(way(s, DESK, PHONE), "direct") != 0 ||
	                        strcmp(way(s, PHONE, DESK), "direct") != 0 ||
	                        row(s, DESK, PHONE)->older || row(s, PHONE, DESK)->older);
	     turn(s)) {
		make_all_due(s);
		ask(s, DESK, PHONE, t, body, 100);
	}
	for (uint64_t end = now_ms() + PATIENCE_MS; now_ms() < end && t->answered < t->asked;)
		turn(s);
}

Test(via, two_that_find_the_direct_way_at_the_same_time_lose_nothing_either)
{
	struct system s;
	static uint8_t body[100];
	open_system(&s);
	struct stream t = {0};
	cr_assert_eq(link_serve(s.n[PHONE], SERVICE, on_served, &t), ERR_OK);
	for (int again = 0; again < 4; again++) {
		s.apart = true;
		cr_assert(wait_way(&s, DESK, PHONE, "hub"));
		for (uint64_t end = now_ms() + PATIENCE_MS; now_ms() < end && !is_settled(&s);)
			turn(&s);
		s.downs = 0;
		s.apart = false;
		for (int i = DESK; i <= PHONE; i += PHONE - DESK) {
			introduce(&s, i, DESK + PHONE - i);
			row(&s, i, DESK + PHONE - i)->dial_at_ms = 0;
		}
		usleep(1000 * LINK_TICK_MS); /* both are to dial in the next turn */
		become_direct(&s, &t, body);
		cr_assert_str_eq(way(&s, DESK, PHONE), "direct");
		cr_assert_eq(s.downs, 0, "at the attempt %d", again);
		cr_assert(t.answered == t.asked && !t.failed);
		s.apart = true;
		for (int k = 0; k < 10; k++)
			turn(&s);
		conn_close(row(&s, DESK, PHONE)->up, "the test says so");
	}
	close_system(&s);
}
