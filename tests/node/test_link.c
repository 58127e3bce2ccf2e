/* test_link.c - two whole nodes in one process, driven in turn: links come up by themselves, carry calls
 * of any size both ways and in the right order, break and come again; strangers get nowhere. */
#include "node/links/devices.h"
#include "node/links/link_impl.h"
#include "tests/node/two_nodes.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

Test(link, devices_that_know_each_other_come_together_and_answer_calls_of_every_size)
{
	static const size_t sizes[] = {0, 1, 1000, 32767, 32768, 65536, 524288};
	struct pair t;
	struct served served = {0};
	open_pair(&t);
	introduce(&t, 0);
	introduce(&t, 1);
	cr_assert(wait_link(&t, true));
	cr_assert_eq(link_serve(t.n[1], SERVICE, serve, &served), ERR_OK);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct reply r = {0};
		uint8_t *body = malloc(sizes[i] + 1);
		for (size_t k = 0; k < sizes[i]; k++)
			body[k] = (uint8_t)(k * 31 + k / 256);
		link_call(t.n[0], t.n[1]->device->id, SERVICE, body, sizes[i], 5000, on_reply, &r);
		cr_assert(wait_reply(&t, &r));
		cr_assert_eq(r.e, ERR_OK);
		cr_assert_eq(r.bytes.size, sizes[i]);
		cr_assert(!sizes[i] || memcmp(r.bytes.data, body, sizes[i]) == 0);
		wr_free(&r.bytes);
		free(body);
	}
	cr_assert_eq(served.count, sizeof sizes / sizeof *sizes);
	close_pair(&t);
}

/* The one that dialed finds its keys too old at its next tick. */
static void make_keys_old(struct pair *t)
{
	for (int i = 0; i < 2; i++)
		if (other(t, i)->up->dialer)
			other(t, i)->up->rekeyed_ms = links_now(t->n[i]->links) - CONN_REKEY_MS;
}

static bool wait_renewed(struct pair *t, unsigned times)
{
	for (uint64_t end = uv_hrtime() / 1000000 + PATIENCE_MS; uv_hrtime() / 1000000 < end;) {
		const struct conn *a = other(t, 0)->up, *b = other(t, 1)->up;
		if (a && b && a->renewed >= times && b->renewed >= times)
			return true;
		turn(t);
	}
	return false;
}

static void rotate(struct pair *t, int i)
{
	struct errmsg msg = {0};
	cr_assert_eq(devices_rotate(t->n[i], false, &msg), ERR_OK, "%s", msg.text);
	for (uint64_t end = uv_hrtime() / 1000000 + PATIENCE_MS;
	     memcmp(other(t, !i)->key, t->n[i]->device->key, CRYPTO_KEY_SIZE) != 0 &&
	     uv_hrtime() / 1000000 < end;)
		turn(t);
}

Test(link, its_keys_are_made_anew_by_a_handshake_also_when_a_device_has_changed_its_own)
{
	enum { BODY = 500000 };
	static uint8_t body[BODY];
	struct pair t;
	struct served served = {0};
	open_pair(&t);
	introduce(&t, 0);
	introduce(&t, 1);
	cr_assert(wait_link(&t, true));
	cr_assert_eq(link_serve(t.n[1], SERVICE, serve, &served), ERR_OK);
	for (unsigned i = 1; i <= 4; i++) {
		struct reply r = {0};
		uint8_t before[CRYPTO_KEY_SIZE];
		memcpy(before, other(&t, 0)->up->secure.send.key, sizeof before);
		if (i > 2)
			rotate(&t, i & 1);
		make_keys_old(&t);
		link_call(t.n[0], t.n[1]->device->id, SERVICE, body, BODY, 5000, on_reply, &r);
		cr_assert(wait_renewed(&t, i), "%u", i);
		cr_assert(wait_reply(&t, &r));
		cr_assert(r.e == ERR_OK && r.bytes.size == BODY);
		cr_assert(memcmp(before, other(&t, 0)->up->secure.send.key, sizeof before) != 0);
		wr_free(&r.bytes);
	}
	cr_assert(t.ups[0] == 1 && t.ups[1] == 1, "it is the same link all the time");
	close_pair(&t);
}

Test(link, a_call_nobody_can_take_fails_and_says_how)
{
	struct pair t;
	struct reply r = {0}, gone = {0}, silent = {0};
	uint8_t nobody[DEVICE_ID_SIZE] = {1};
	open_pair(&t);
	introduce(&t, 0);
	introduce(&t, 1);
	cr_assert(wait_link(&t, true));
	link_call(t.n[0], t.n[1]->device->id, SERVICE, "x", 1, 5000, on_reply, &r);
	link_call(t.n[0], nobody, SERVICE, "x", 1, 5000, on_reply, &gone);
	cr_assert(wait_reply(&t, &r) && wait_reply(&t, &gone));
	cr_assert_eq(r.e, ERR_UNSUPPORTED);
	cr_assert_eq(gone.e, ERR_CLOSED);
	struct node *asleep = t.n[1]; /* its loop does not turn */
	t.n[1] = NULL;
	link_call(t.n[0], asleep->device->id, SERVICE, "x", 1, 300, on_reply, &silent);
	cr_assert(wait_reply(&t, &silent));
	cr_assert_eq(silent.e, ERR_TIMEOUT);
	t.n[1] = asleep;
	close_pair(&t);
}

struct worker {
	struct pair *t;
	struct wr reply;
	enum err e;
	bool done;
};

static void *call_from_thread(void *ctx)
{
	struct worker *w = ctx;
	static const char body[] = "from a worker";
	w->e = link_rpc(w->t->n[0], w->t->n[1]->device->id, SERVICE, body, sizeof body, 5000,
	                &w->reply);
	__atomic_store_n(&w->done, true, __ATOMIC_RELEASE);
	return NULL;
}

Test(link, a_worker_may_call_and_wait)
{
	struct pair t;
	struct served served = {0};
	struct worker w = {.t = &t};
	pthread_t thread;
	open_pair(&t);
	introduce(&t, 0);
	introduce(&t, 1);
	cr_assert(wait_link(&t, true));
	cr_assert_eq(link_serve(t.n[1], SERVICE, serve, &served), ERR_OK);
	cr_assert_eq(pthread_create(&thread, NULL, call_from_thread, &w), 0);
	while (!__atomic_load_n(&w.done, __ATOMIC_ACQUIRE))
		turn(&t);
	pthread_join(thread, NULL);
	cr_assert_eq(w.e, ERR_OK);
	cr_assert_str_eq((char *)w.reply.data, "from a worker");
	wr_free(&w.reply);
	close_pair(&t);
}

Test(link, a_fast_message_overtakes_bulk_and_each_lane_keeps_its_order)
{
	enum { BULK = 40 };
	struct pair t;
	struct served served = {0};
	static uint8_t body[500000];
	open_pair(&t);
	introduce(&t, 0);
	introduce(&t, 1);
	cr_assert(wait_link(&t, true));
	cr_assert_eq(link_serve(t.n[1], SERVICE, serve, &served), ERR_OK);
	for (uint32_t i = 0; i <= BULK; i++) {
		struct msg_call m = {.tag = 1000 + i, .service = SERVICE};
		body[0] = (uint8_t)(i == BULK ? 255 : i); /* the last one is fast */
		m.body = bin_ref(body, i == BULK ? 1 : sizeof body);
		cr_assert_eq(
		    link_send(other(&t, 0), MSG_CALL, &m, i == BULK ? LINK_FAST : LINK_BULK, NULL),
		    ERR_OK);
	}
	cr_assert_gt(link_queued(other(&t, 0)), LINK_QUEUE_GOAL);
	for (unsigned k = 0; k < 200000 && served.count <= BULK; k++)
		turn(&t);
	cr_assert_eq(served.count, BULK + 1);
	unsigned fast_at = 0, next = 0;
	for (unsigned k = 0; k <= BULK; k++) {
		if (served.order[k] == 255)
			fast_at = k;
		else
			cr_assert_eq(served.order[k], next++);
	}
	cr_assert_leq(fast_at, 4);
	close_pair(&t);
}

Test(link, a_link_that_breaks_is_told_and_comes_again)
{
	struct pair t;
	struct reply r = {0};
	open_pair(&t);
	introduce(&t, 0);
	introduce(&t, 1);
	cr_assert(wait_link(&t, true));
	link_call(t.n[0], t.n[1]->device->id, SERVICE, "x", 1, 60000, on_reply, &r);
	node_close(t.n[1]);
	t.n[1] = NULL;
	cr_assert(wait_link(&t, false));
	cr_assert(wait_reply(&t, &r));
	cr_assert_eq(r.e, ERR_CLOSED);
	cr_assert_geq(t.downs[0], 1);
	cr_assert_eq(link_send(other(&t, 0), MSG_PING, &(struct msg_ping){0}, LINK_FAST, NULL),
	             ERR_CLOSED);
	open_node(&t, 1); /* on another port: it is the one that dials, from what it has stored */
	cr_assert(wait_link(&t, true));
	cr_assert_str_eq(peer_name(other(&t, 1)), "alpha");
	close_pair(&t);
}

Test(link, both_dialing_at_once_again_and_again_ends_in_one_link)
{
	struct pair t;
	struct served served = {0};
	open_pair(&t);
	introduce(&t, 0);
	introduce(&t, 1);
	cr_assert_eq(link_serve(t.n[1], SERVICE, serve, &served), ERR_OK);
	for (int round = 0; round < 20; round++) {
		cr_assert(wait_link(&t, true), "round %d", round);
		struct reply r = {0};
		for (int k = 0; k < 20 + round * 3; k++) /* let a second connection settle */
			turn(&t);
		cr_assert(wait_link(&t, true), "round %d", round);
		link_call(t.n[0], t.n[1]->device->id, SERVICE, "x", 1, 5000, on_reply, &r);
		cr_assert(wait_reply(&t, &r));
		cr_assert_eq(r.e, ERR_OK, "round %d: %s", round, err_text(r.e));
		wr_free(&r.bytes);
		/* removing and adding closes the link on one side; both dial again at once */
		struct errmsg msg = {0};
		cr_assert_eq(peer_remove(t.n[round & 1], other(&t, round & 1), &msg), ERR_OK);
		introduce(&t, round & 1);
		link_dial(other(&t, !(round & 1)));
	}
	close_pair(&t);
}

Test(link, a_device_that_is_not_paired_is_refused)
{
	struct pair t;
	open_pair(&t);
	introduce(&t, 0); /* alpha knows beta, but beta does not know alpha */
	for (int k = 0; k < 2000; k++)
		turn(&t);
	cr_assert_not(peer_is_up(other(&t, 0)));
	cr_assert_eq(t.ups[0], 0);
	cr_assert_eq(t.ups[1], 0);
	introduce(&t, 1);
	cr_assert(wait_link(&t, true));
	close_pair(&t);
}

Test(peers, a_device_is_found_by_name_or_by_the_first_digits_of_its_id)
{
	struct pair t;
	struct peer *p, *found;
	struct errmsg msg = {0};
	char id[DEVICE_SHORT_SIZE], four[5] = "";
	uint8_t key[CRYPTO_KEY_SIZE] = {9};
	open_pair(&t);
	cr_assert_eq(peer_find(t.n[0], "beta", &found, &msg), ERR_NOTFOUND);
	cr_assert(strstr(msg.text, "wasmos pair"));
	introduce(&t, 0);
	p = other(&t, 0);
	device_short(peer_id(p), id);
	memcpy(four, id, 4);
	cr_assert_eq(peer_find(t.n[0], "beta", &found, &msg), ERR_OK);
	cr_assert(found == p);
	cr_assert_eq(peer_find(t.n[0], id, &found, &msg), ERR_OK);
	cr_assert_eq(peer_find(t.n[0], four, &found, &msg), ERR_OK);
	four[3] = 0; /* three digits are too few */
	cr_assert_eq(peer_find(t.n[0], four, &found, &msg), ERR_NOTFOUND);
	cr_assert_eq(peer_add(t.n[0], key, "beta", NULL, 0, &found, &msg), ERR_OK);
	cr_assert_eq(peer_find(t.n[0], "beta", &found, &msg), ERR_EXISTS);
	cr_assert(strstr(msg.text, "2 devices"));
	cr_assert_eq(peer_find(t.n[0], id, &found, &msg), ERR_OK);
	cr_assert(found == p);
	close_pair(&t);
}

static int stranger(const struct pair *t, const void *bytes, size_t size)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(link_port(t->n[1]))};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	cr_assert(fd >= 0);
	(void)connect(fd, (struct sockaddr *)&a, sizeof a);
	if (send(fd, bytes, size, MSG_NOSIGNAL) < 0)
		return fd; /* refused already */
	return fd;
}

Test(link, a_flood_of_strangers_does_not_keep_a_known_device_out_for_long)
{
	enum { STRANGERS = 300 };
	static const char *const texts[] = {"GET / HTTP/1.1\r\n\r\n",
	                                    "WOS1\x30\x00garbage",
	                                    "WOSP\xff\xff",
	                                    "WOS1",
	                                    "W",
	                                    "\x16\x03\x01"};
	struct pair t;
	int fds[STRANGERS];
	open_pair(&t);
	for (int i = 0; i < STRANGERS; i++) {
		const char *text = texts[i % 6];
		fds[i] = stranger(&t, text, strlen(text));
		turn(&t);
	}
	introduce(&t, 0);
	introduce(&t, 1);
	cr_assert(wait_link(&t, true));
	for (int i = 0; i < STRANGERS; i++)
		close(fds[i]);
	close_pair(&t);
}

Test(device, a_key_file_that_others_can_read_or_that_is_damaged_is_refused)
{
	struct pair t;
	struct device d;
	struct errmsg msg = {0};
	char path[128];
	open_pair(&t);
	snprintf(path, sizeof path, "%s/device", t.homes[0]);
	struct dir *home = t.n[0]->home;
	cr_assert_eq(device_load(home, NULL, &d, &msg), ERR_OK);
	cr_assert(crypto_equal(d.key, t.n[0]->device->key, sizeof d.key));
	cr_assert_str_eq(d.name, "alpha");
	cr_assert_eq(device_load(home, "new name", &d, &msg), ERR_OK);
	cr_assert_eq(device_load(home, NULL, &d, &msg), ERR_OK);
	cr_assert_str_eq(d.name, "new name");
	cr_assert_eq(device_load(home, "bad\nname", &d, &msg), ERR_USAGE);
	char command[256];
	snprintf(command, sizeof command, "chmod 644 %s", path);
	cr_assert_eq(system(command), 0);
	cr_assert_eq(device_load(home, NULL, &d, &msg), ERR_DENIED);
	snprintf(command, sizeof command, "chmod 600 %s; truncate -s 20 %s", path, path);
	cr_assert_eq(system(command), 0);
	cr_assert_eq(device_load(home, NULL, &d, &msg), ERR_MALFORMED);
	close_pair(&t);
}
