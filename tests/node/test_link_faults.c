/* test_link_faults.c - a link through a wire that flips, swallows, repeats or cuts at a place that a seed
 * chooses, in the handshake or after it. A call gives back exactly what was sent or an error; the link
 * always comes again. */
#include "tests/node/two_nodes.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

enum { SEEDS = 32, WIRE_BUFFER = 4096 };

enum fault { FLIP, SWALLOW, REPEAT, CUT, FAULTS };

struct wire {
	int listener;
	uint16_t port, to; /* ours, the node's */
	enum fault fault;
	bool backwards; /* the fault hits what the listener's side answers */
	size_t at;      /* byte of that direction */
	bool done;      /* the fault has happened */
	bool stop;
	pthread_t thread;
};

static int socket_to(uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
		return fd;
	close(fd);
	return -1;
}

static bool send_all(int fd, const uint8_t *p, size_t size)
{
	while (size) {
		ssize_t n = send(fd, p, size, MSG_NOSIGNAL);
		if (n <= 0)
			return false;
		p += n;
		size -= (size_t)n;
	}
	return true;
}

/* Passes a piece on, with the fault in it when its place has come. False: cut. */
static bool pass(struct wire *w, int to, bool backwards, size_t *seen, uint8_t *p, size_t size)
{
	bool hit = !w->done && backwards == w->backwards && w->at < *seen + size;
	size_t at = hit ? w->at - *seen : 0;
	*seen += size;
	if (!hit)
		return send_all(to, p, size);
	__atomic_store_n(&w->done, true, __ATOMIC_RELEASE);
	switch (w->fault) {
	case FLIP: p[at] ^= 1 << (w->at % 8); return send_all(to, p, size);
	case SWALLOW: return send_all(to, p, at) && send_all(to, p + at + 1, size - at - 1);
	case REPEAT: return send_all(to, p, at + 1) && send_all(to, p + at, size - at);
	default: return send_all(to, p, at) && false;
	}
}

static void carry(struct wire *w, int a, int b)
{
	uint8_t buf[WIRE_BUFFER];
	size_t seen[2] = {0, 0};
	struct pollfd fds[2] = {{.fd = a, .events = POLLIN}, {.fd = b, .events = POLLIN}};
	while (!__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE)) {
		if (poll(fds, 2, 20) <= 0)
			continue;
		for (int i = 0; i < 2; i++) {
			if (!fds[i].revents)
				continue;
			ssize_t n = recv(fds[i].fd, buf, sizeof buf, 0);
			if (n <= 0 || !pass(w, fds[!i].fd, i, &seen[i], buf, (size_t)n))
				return;
		}
	}
}

static void *wire_run(void *ctx)
{
	struct wire *w = ctx;
	while (!__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE)) {
		struct pollfd fd = {.fd = w->listener, .events = POLLIN};
		if (poll(&fd, 1, 20) <= 0)
			continue;
		int a = accept(w->listener, NULL, NULL), b = socket_to(w->to);
		if (a >= 0 && b >= 0)
			carry(w, a, b);
		if (a >= 0)
			close(a);
		if (b >= 0)
			close(b);
	}
	return NULL;
}

static void wire_start(struct wire *w)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	socklen_t size = sizeof a;
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	w->listener = socket(AF_INET, SOCK_STREAM, 0);
	cr_assert_eq(bind(w->listener, (struct sockaddr *)&a, sizeof a), 0);
	cr_assert_eq(listen(w->listener, 8), 0);
	cr_assert_eq(getsockname(w->listener, (struct sockaddr *)&a, &size), 0);
	w->port = ntohs(a.sin_port);
	cr_assert_eq(pthread_create(&w->thread, NULL, wire_run, w), 0);
}

static void wire_stop(struct wire *w)
{
	__atomic_store_n(&w->stop, true, __ATOMIC_RELEASE);
	pthread_join(w->thread, NULL);
	close(w->listener);
}

/* alpha dials beta through the wire; beta has no address of alpha. */
static void introduce_through(struct pair *t, const struct wire *w)
{
	char address[1][LINK_ADDRESS_SIZE];
	struct peer *p;
	snprintf(address[0], sizeof address[0], "127.0.0.1:%u", w->port);
	cr_assert_eq(peer_add(t->n[1], t->n[0]->device->key, "alpha", NULL, 0, &p, NULL), ERR_OK);
	cr_assert_eq(peer_add(t->n[0], t->n[1]->device->key, "beta",
	                      (const char(*)[LINK_ADDRESS_SIZE])address, 1, &p, NULL),
	             ERR_OK);
}

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

/* One call; true when it came back, whole. */
static bool call_once(struct pair *t, uint32_t *seed)
{
	static uint8_t body[70000];
	size_t size = next_random(seed) % (next_random(seed) % 2 ? 100 : sizeof body);
	struct reply r = {0};
	for (size_t i = 0; i < size; i++)
		body[i] = (uint8_t)next_random(seed);
	link_call(t->n[0], t->n[1]->device->id, SERVICE, body, size, 1000, on_reply, &r);
	cr_assert(wait_reply(t, &r));
	if (r.e == ERR_OK) {
		cr_assert_eq(r.bytes.size, size);
		cr_assert(!size || memcmp(r.bytes.data, body, size) == 0);
	}
	wr_free(&r.bytes);
	return r.e == ERR_OK;
}

/* Until the fault has happened and, after it, a call came back. */
static bool goes_on(struct pair *t, const struct wire *w, uint32_t *seed)
{
	for (uint64_t end = uv_hrtime() / 1000000 + PATIENCE_MS; uv_hrtime() / 1000000 < end;) {
		bool was_done = __atomic_load_n(&w->done, __ATOMIC_ACQUIRE);
		if (call_once(t, seed) && was_done)
			return true;
		for (int i = 0; i < 50; i++)
			turn(t);
	}
	return false;
}

Test(link_faults, whatever_happens_on_the_wire_a_call_is_right_or_fails_and_the_link_comes_again,
     .timeout = 110)
{
	for (uint32_t s = 0; s < SEEDS; s++) {
		uint32_t seed = s * 7919 + 1;
		struct pair t;
		struct served served = {0};
		struct wire w = {.fault = (enum fault)(s % FAULTS), .backwards = s / FAULTS % 2};
		w.at = next_random(&seed) % (s % 3 ? 300 : 100000); /* in the handshake, or later */
		open_pair(&t);
		w.to = link_port(t.n[1]);
		wire_start(&w);
		cr_assert_eq(link_serve(t.n[1], SERVICE, serve, &served), ERR_OK);
		introduce_through(&t, &w);
		cr_assert(goes_on(&t, &w, &seed), "seed %u: fault %d at %zu, backwards %d", s,
		          w.fault, w.at, w.backwards);
		close_pair(&t);
		wire_stop(&w);
	}
}
