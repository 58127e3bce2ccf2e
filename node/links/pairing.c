/* pairing.c - pairing on the running node: the desk, connections that pair, and what the user sees.
 *
 * One wish to pair at a time (struct wish): a host's, which shows a code and waits for a guest, or a
 * guest's, which dials. It belongs to a control call of the `wasmos` command and ends with it: when the
 * command is gone, the code is void. Each connection has a machine of proto/pairing.h; its actions are
 * done here. Nodes of one user on one machine find each other through small files (nearby.h).
 */
#include "node/links/pairing.h"

#include "base/os_device.h"
#include "node/control/control.h"
#include "node/links/link_impl.h"
#include "node/links/nearby.h"
#include "proto/pairing_qr.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	TICK_MS = 250,
	RUNS_MAX = 8,
	QR_ADDRESSES = 4 /* a larger picture would not fit a screen */
};

struct wish;

/* A connection that pairs. */
struct run {
	struct run *next;
	struct conn *conn;
	struct node *node;
	struct wish *wish; /* whose user is asked; NULL for a caller nobody waits for */
	struct pairing machine;
};

/* What the `wasmos pair` command waits for. */
struct wish {
	struct node *node;
	struct control_call *call;
	struct run *run; /* whose question is open, or that is dialing */
	bool is_host, yes, asked, files_only;
	char words[PAIRING_WORDS_SIZE]; /* guest */
	bool by_qr;                     /* guest */
	struct pairing_qr qr;
	unsigned next_address; /* of qr */
	uint64_t number;       /* names the question in pair_answer */
	char host[256];        /* that is looked up */
	uv_getaddrinfo_t resolve;
	bool resolving;
};

struct pairings {
	struct node *node;
	struct pairing_desk desk;
	uint8_t token[PAIRING_TOKEN_SIZE]; /* of the code that is shown */
	struct wish *wish;
	struct run *runs;
	unsigned run_count;
	uint64_t next_number;
	uv_timer_t timer;
};

static uint64_t now_of(struct node *n)
{
	return uv_now(&n->loop);
}

/* --- what the user is told --- */

static void end_wish(struct pairings *ps, enum err e, const struct errmsg *msg)
{
	struct wish *w = ps->wish;
	if (!w)
		return;
	ps->wish = NULL;
	if (w->is_host)
		pairing_desk_close(&ps->desk);
	nearby_say(ps->node, false);
	if (w->run)
		w->run->wish = NULL;
	if (w->call)
		control_end(w->call, e, msg);
	w->call = NULL;
	if (w->resolving)
		uv_cancel((uv_req_t *)&w->resolve); /* its callback frees w */
	else
		free(w);
}

static void fail_wish(struct pairings *ps, enum err e, const char *text)
{
	struct errmsg msg = {0};
	err_set(&msg, e, "%s", text);
	end_wish(ps, e, &msg);
}

static enum err err_of(enum pairing_reason r)
{
	switch (r) {
	case PAIRING_NO_CODE:
	case PAIRING_BUSY:
	case PAIRING_LOCKED: return ERR_BUSY;
	case PAIRING_WRONG: return ERR_AUTH;
	case PAIRING_UNWANTED:
	case PAIRING_DECLINED: return ERR_DENIED;
	case PAIRING_LATE: return ERR_TIMEOUT;
	case PAIRING_SELF: return ERR_INVALID;
	default: return ERR_IO;
	}
}

static void put_peer(struct control_call *call, const struct pairing_device *peer,
                     const char *address)
{
	uint8_t id[DEVICE_ID_SIZE];
	char text[DEVICE_SHORT_SIZE];
	device_id_of(peer->key, id);
	device_short(id, text);
	control_put_str(call, "name", peer->name);
	control_put_str(call, "id", text);
	control_put_str(call, "address", address);
}

/* Who was wrong too often, for the person to see. */
static void put_locked(struct wish *w)
{
	struct pairing_desk *d = &w->node->pairings->desk;
	uint64_t left_ms = 0, now = now_of(w->node);
	char text[600] = "";
	const char *from;
	for (unsigned i = 0; (from = pairing_desk_locked(d, i, now, &left_ms)) != NULL; i++) {
		size_t at = strlen(text);
		snprintf(text + at, sizeof text - at, "%s%s (%llu min)", at ? ", " : "", from,
		         (unsigned long long)(left_ms + 59999) / 60000);
	}
	control_put_str(w->call, "refused", text);
}

static bool qr_address(const char *text, struct pairing_qr_address *out)
{
	struct sockaddr_storage a;
	if (address_parse(text, &a) != ERR_OK)
		return false;
	const struct sockaddr_in *v4 = (void *)&a;
	const struct sockaddr_in6 *v6 = (void *)&a;
	bool is_v4 = a.ss_family == AF_INET;
	out->size = is_v4 ? 4 : 16;
	memcpy(out->ip, is_v4 ? (const void *)&v4->sin_addr : (const void *)&v6->sin6_addr,
	       out->size);
	out->port = ntohs(is_v4 ? v4->sin_port : v6->sin6_port);
	return out->port != 0;
}

/* The code that is shown, as a picture's text. */
static void own_qr(struct node *n, char text[PAIRING_QR_TEXT_SIZE])
{
	struct pairing_qr qr = {0};
	char addresses[LINK_ADDRESSES_MAX][LINK_ADDRESS_SIZE];
	unsigned count = link_own_addresses(n, addresses, LINK_ADDRESSES_MAX);
	crypto_blake2b(qr.key_hash, n->device->key, sizeof n->device->key);
	memcpy(qr.token, n->pairings->token, sizeof qr.token);
	for (unsigned i = 0; i < count && qr.count < QR_ADDRESSES; i++)
		qr.count += qr_address(addresses[i], &qr.addresses[qr.count]);
	text[0] = 0;
	if (qr.count)
		pairing_qr_text(&qr, text);
	crypto_zero(&qr, sizeof qr);
}

static void show_code(struct wish *w)
{
	struct pairings *ps = w->node->pairings;
	char addresses[LINK_ADDRESSES_MAX][LINK_ADDRESS_SIZE], text[PAIRING_QR_TEXT_SIZE];
	unsigned count = link_own_addresses(w->node, addresses, LINK_ADDRESSES_MAX);
	own_qr(w->node, text);
	control_row(w->call);
	control_put_str(w->call, "event", "code");
	control_put_str(w->call, "words", ps->desk.words);
	control_put_u64(w->call, "port", link_port(w->node));
	control_put_str(w->call, "address", count ? addresses[0] : "");
	control_put_str(w->call, "qr", text);
	put_locked(w);
	control_put_u64(w->call, "valid_s", PAIRING_CODE_MS / 1000);
	control_row_end(w->call);
}

/* --- a run's actions --- */

static void run_actions(struct run *r, struct pairing_actions *act);

static void give_answer(struct run *r, bool yes)
{
	struct pairing_actions act = {0};
	pairing_answer(&r->machine, yes, &act);
	run_actions(r, &act);
}

static void put_check(struct control_call *call, const struct pairing *p)
{
	char text[8];
	snprintf(text, sizeof text, "%02u", p->check % 100);
	control_put_str(call, "check", text);
}

static void ask_user(struct run *r)
{
	struct wish *w = r->wish;
	if (!w) { /* nobody sits there any more: the default answer */
		give_answer(r, false);
		return;
	}
	if (w->yes && !r->machine.by_qr) { /* without a look only for who knew the words */
		give_answer(r, true);
		return;
	}
	w->asked = true;
	w->number = ++w->node->pairings->next_number;
	control_row(w->call);
	control_put_str(w->call, "event", "ask");
	control_put_u64(w->call, "question", w->number);
	put_peer(w->call, &r->machine.peer, r->conn->remote);
	put_check(w->call, &r->machine);
	control_row_end(w->call);
}

/* Where the other one is: what it says, and before that what we see. */
static unsigned addresses_of(const struct run *r, char (*out)[LINK_ADDRESS_SIZE])
{
	const struct pairing_device *peer = &r->machine.peer;
	unsigned count = 0;
	if (r->machine.is_guest) {
		memcpy(out[count++], r->conn->remote, LINK_ADDRESS_SIZE);
	} else if (peer->address_count) {
		const char *seen = strrchr(r->conn->remote, ':');
		const char *port = strrchr(peer->addresses[0], ':');
		if (seen && port)
			snprintf(out[count++], LINK_ADDRESS_SIZE, "%.*s%.6s",
			         (int)(seen - r->conn->remote), r->conn->remote, port);
	}
	for (unsigned i = 0; i < peer->address_count && count < LINK_ADDRESSES_MAX; i++) {
		struct sockaddr_storage a;
		if (address_parse(peer->addresses[i], &a) == ERR_OK)
			memcpy(out[count++], peer->addresses[i], LINK_ADDRESS_SIZE);
	}
	return count;
}

/* As what the other device enters the log of devices, if it is new there. */
static enum err give_role(struct run *r, struct peer *p, struct errmsg *msg)
{
	if (!r->wish || !r->wish->files_only || p->member)
		return ERR_OK;
	p->files_only = true;
	return peer_save_now(p, msg);
}

static void add_peer(struct run *r)
{
	struct pairings *ps = r->node->pairings;
	const struct pairing_device *peer = &r->machine.peer;
	char addresses[LINK_ADDRESSES_MAX][LINK_ADDRESS_SIZE];
	struct errmsg msg = {0};
	struct peer *p;
	unsigned count = addresses_of(r, addresses);
	enum err e = devices_begin_anew(r->node, &msg);
	if (e == ERR_OK)
		e = peer_add(r->node, peer->key, peer->name,
		             (const char(*)[LINK_ADDRESS_SIZE])addresses, count, &p, &msg);
	if (e == ERR_OK)
		e = give_role(r, p, &msg);
	node_log_about(
	    r->node, e == ERR_OK ? LOG_INFO : LOG_ERROR, "pairing",
	    &(struct log_about){.event = LOG_EVENT_device_paired, .device = peer->name, .error = e},
	    "%s at %s: %s", peer->name, r->conn->remote, e == ERR_OK ? "paired" : msg.text);
	if (!r->wish)
		return;
	if (e == ERR_OK) {
		control_row(r->wish->call);
		control_put_str(r->wish->call, "event", "paired");
		put_peer(r->wish->call, peer, r->conn->remote);
		put_check(r->wish->call, &r->machine);
		control_row_end(r->wish->call);
	}
	end_wish(ps, e, e == ERR_OK ? NULL : &msg);
}

/* Our user said yes and the answer was lost. The other side may have us by now. */
static void add_half(struct run *r)
{
	const struct pairing_device *peer = &r->machine.peer;
	char addresses[LINK_ADDRESSES_MAX][LINK_ADDRESS_SIZE];
	struct errmsg msg = {0};
	unsigned count = addresses_of(r, addresses);
	enum err e = devices_begin_anew(r->node, &msg);
	if (e == ERR_OK)
		e = peer_add_half(r->node, peer->key, peer->name,
		                  (const char(*)[LINK_ADDRESS_SIZE])addresses, count, &msg);
	struct peer *p = e == ERR_OK ? peers_by_key(r->node->links, peer->key) : NULL;
	if (p)
		e = give_role(r, p, &msg);
	node_log_about(r->node, LOG_WARN, "pairing",
	               &(struct log_about){.event = LOG_EVENT_device_paired,
	                                   .device = peer->name,
	                                   .error = ERR_CLOSED},
	               "%s at %s: its answer was lost%s%s", peer->name, r->conn->remote,
	               e == ERR_OK ? "" : ": ", msg.text);
	if (r->wish && e == ERR_OK)
		err_set(
		    &msg, ERR_CLOSED,
		    "the connection was lost before the answer of \"%s\" came. If it was yes, the "
		    "two find each other by themselves: `wasmos peers` shows it",
		    peer->name);
	if (r->wish)
		end_wish(r->node->pairings, e == ERR_OK ? ERR_CLOSED : e, &msg);
}

static void void_code(struct run *r)
{
	struct errmsg msg = {0};
	err_set(
	    &msg, ERR_AUTH,
	    "someone at %s typed wrong words, so this code is void; run `wasmos pair` again for a "
	    "new one (if that was not you: `wasmos pair --from ADDR` takes words from ADDR alone)",
	    r->machine.from);
	end_wish(r->node->pairings, ERR_AUTH, &msg);
}

/* How a run that ended without a pair is told to the user; a host keeps waiting when its code is still
 * good. */
static void tell_end(struct run *r)
{
	struct pairings *ps = r->node->pairings;
	enum pairing_reason reason = r->machine.reason;
	if (reason == PAIRING_OK)
		return;
	if (r->machine.half) {
		add_half(r);
		return;
	}
	node_log(r->node, LOG_INFO, "pairing", "%s: %s", r->conn->remote,
	         pairing_reason_text(reason));
	if (!r->wish)
		return;
	if (r->wish->is_host && pairing_desk_is_open(&ps->desk, now_of(r->node))) {
		r->wish->run = NULL;
		r->wish->asked = false;
		r->wish = NULL;
		return;
	}
	if (r->wish->is_host && reason == PAIRING_WRONG)
		void_code(r);
	else
		fail_wish(ps, err_of(reason), pairing_reason_text(reason));
}

/* A guest whose start was taken: from now on the host's user is told how it goes. */
static void claim_wish(struct run *r)
{
	struct wish *w = r->node->pairings->wish;
	if (!r->wish && r->machine.holds_desk && w && w->is_host && !w->run) {
		r->wish = w;
		w->run = r;
	}
}

static void run_actions(struct run *r, struct pairing_actions *act)
{
	struct conn *c = r->conn;
	claim_wish(r);
	if (act->send.size)
		conn_write(c, &act->send);
	wr_free(&act->send);
	if (act->add)
		add_peer(r);
	if (act->end || r->machine.state == PAIRING_ENDED) {
		tell_end(r);
		conn_finish(c);
	} else if (act->ask) {
		ask_user(r);
	}
}

/* --- connections --- */

static void on_tick(uv_timer_t *t);

/* Time matters only while somebody pairs: an idle node sleeps. */
static void tick_from_now(struct pairings *ps)
{
	if (!uv_is_active((uv_handle_t *)&ps->timer))
		uv_timer_start(&ps->timer, on_tick, TICK_MS, TICK_MS);
}

static struct run *run_new(struct node *n, struct conn *c)
{
	struct pairings *ps = n->pairings;
	struct run *r = ps->run_count < RUNS_MAX ? calloc(1, sizeof *r) : NULL;
	if (!r)
		return NULL;
	r->node = n;
	r->conn = c;
	r->next = ps->runs;
	ps->runs = r;
	ps->run_count++;
	tick_from_now(ps);
	return r;
}

static void self_of(struct node *n, struct pairing_device *d)
{
	memset(d, 0, sizeof *d);
	memcpy(d->key, n->device->key, sizeof d->key);
	strcpy(d->name, n->device->name);
	_Static_assert(PAIRING_ADDRESS_SIZE == LINK_ADDRESS_SIZE, "one size of addresses");
	d->address_count = link_own_addresses(n, d->addresses, PAIRING_ADDRESSES_MAX);
}

static void on_bytes(struct conn *c, const uint8_t *bytes, size_t size)
{
	struct run *r = c->ctx;
	struct pairing_actions act = {0};
	if (!r)
		return;
	pairing_bytes(&r->machine, bytes, size, now_of(r->node), &act);
	run_actions(r, &act);
}

static void dial_qr(struct wish *w);

static void on_closed(struct conn *c)
{
	struct run *r = c->ctx;
	if (!r)
		return;
	struct pairings *ps = r->node->pairings;
	struct wish *again = NULL;
	bool over = r->machine.state == PAIRING_ENDED;
	if (!c->connected && r->wish && r->wish->by_qr &&
	    r->wish->next_address < r->wish->qr.count) {
		again = r->wish;
		again->run = NULL;
		r->wish = NULL;
	} else if (!c->connected && r->wish) {
		struct errmsg msg = {0};
		err_set(&msg, ERR_CLOSED, "nobody answers at %s: is the node there up?", c->remote);
		end_wish(ps, ERR_CLOSED, &msg);
	}
	pairing_closed(&r->machine, now_of(r->node));
	if (!over)
		tell_end(r);
	if (r->wish)
		r->wish->run = NULL;
	struct run **at = &ps->runs;
	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	ps->run_count--;
	pairing_free(&r->machine, now_of(r->node));
	free(r);
	c->ctx = NULL;
	if (again && !c->links->closed)
		dial_qr(again);
}

static void on_connected(struct conn *c)
{
	struct run *r = c->ctx;
	struct pairing_device self;
	uint8_t seed[PAIRING_SEED_SIZE];
	struct pairing_actions act = {0};
	if (!r->wish) {
		conn_close(c, "no longer wanted");
		return;
	}
	self_of(r->node, &self);
	struct pairing_self me = {r->node->device->secret, &self};
	crypto_random(seed, sizeof seed);
	enum err e =
	    r->wish->by_qr
	        ? pairing_guest_qr(&r->machine, &r->wish->qr, &me, seed, now_of(r->node), &act)
	        : pairing_guest(&r->machine, r->wish->words, &me, seed, now_of(r->node), &act);
	crypto_zero(seed, sizeof seed);
	if (e == ERR_OK)
		run_actions(r, &act);
	else
		conn_close(c, err_text(e));
	wr_free(&act.send);
}

static const struct conn_user user = {on_connected, on_bytes, on_closed};

/* Strangers that connect and say nothing must not keep a guest out. */
static void drop_oldest_silent(struct pairings *ps)
{
	struct run *oldest = NULL;
	for (struct run *r = ps->runs; r; r = r->next)
		if (r->machine.state == PAIRING_WAIT_START)
			oldest = r; /* new ones come in front */
	if (ps->run_count == RUNS_MAX && oldest)
		conn_close(oldest->conn, "silent while others wait");
}

/* "192.0.2.7" of an address with a port or without; of IPv6 the network: one device has many addresses there. */
static enum err source_of(const char *text, char out[PAIRING_FROM_SIZE])
{
	struct sockaddr_storage a;
	char with_port[LINK_ADDRESS_SIZE];
	if (address_parse(text, &a) != ERR_OK) {
		snprintf(with_port, sizeof with_port, strchr(text, ':') ? "[%.60s]:1" : "%.60s:1",
		         text);
		TRY(address_parse(with_port, &a));
	}
	if (a.ss_family == AF_INET)
		return uv_ip4_name((struct sockaddr_in *)&a, out, PAIRING_FROM_SIZE) ? ERR_USAGE
		                                                                     : ERR_OK;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&a;
	memset(v6->sin6_addr.s6_addr + 8, 0, 8);
	int bad = uv_ip6_name(v6, out, PAIRING_FROM_SIZE - 4);
	strcat(out, "/64");
	return bad ? ERR_USAGE : ERR_OK;
}

void pairing_take(struct conn *c)
{
	struct node *n = c->links->node;
	char from[PAIRING_FROM_SIZE] = "";
	struct pairing_device self;
	uint8_t seed[PAIRING_SEED_SIZE];
	drop_oldest_silent(n->pairings);
	struct run *r = run_new(n, c);
	c->user = &user;
	c->ctx = r;
	if (!r) {
		conn_close(c, "too many pair at once");
		return;
	}
	self_of(n, &self);
	struct pairing_self me = {n->device->secret, &self};
	crypto_random(seed, sizeof seed);
	source_of(c->remote, from);
	pairing_host(&r->machine, &n->pairings->desk, from, &me, seed, now_of(n));
	crypto_zero(seed, sizeof seed);
}

/* --- wishes --- */

static void on_gone(void *ctx)
{
	struct wish *w = ctx;
	struct pairings *ps = w->node->pairings;
	struct run *r = w->run;
	w->call = NULL;
	end_wish(ps, ERR_CLOSED, NULL);
	if (r && r->machine.state == PAIRING_CONFIRM)
		give_answer(r, false);
	else if (r && !r->conn->closing)
		conn_close(r->conn, "given up");
}

static struct wish *wish_new(struct node *n, struct control_call *call)
{
	struct pairings *ps = n->pairings;
	if (ps->wish) {
		control_fail(call, ERR_BUSY, "another `wasmos pair` is under way on this device");
		return NULL;
	}
	struct wish *w = calloc(1, sizeof *w);
	if (!w) {
		control_end(call, ERR_NOMEM, NULL);
		return NULL;
	}
	w->node = n;
	w->call = call;
	w->yes = control_flag(call, "yes");
	w->files_only = control_flag(call, "files_only");
	ps->wish = w;
	tick_from_now(ps);
	control_on_gone(call, on_gone, w);
	return w;
}

static void host(struct node *n, struct control_call *call, const char *from)
{
	struct pairings *ps = n->pairings;
	struct errmsg msg = {0};
	uint8_t random[PAIRING_RANDOM_SIZE];
	char only[PAIRING_FROM_SIZE] = "";
	if (from[0] && source_of(from, only) != ERR_OK) {
		control_fail(call, ERR_USAGE, "--from %.80s: an address like 192.0.2.7 is expected",
		             from);
		return;
	}
	struct wish *w = wish_new(n, call);
	if (!w)
		return;
	w->is_host = true;
	crypto_random(random, sizeof random);
	enum err e = pairing_desk_open(&ps->desk, now_of(n), random, &msg);
	if (e != ERR_OK) {
		end_wish(ps, e, &msg);
		return;
	}
	memcpy(ps->desk.only, only, sizeof only);
	memcpy(ps->token, random + PAIRING_WORDS, sizeof ps->token);
	nearby_say(n, true);
	show_code(w);
}

static void dial(struct wish *w, const struct sockaddr *to)
{
	struct node *n = w->node;
	struct errmsg msg = {0};
	struct run *r = run_new(n, NULL);
	if (!r) {
		fail_wish(n->pairings, ERR_NOMEM, "out of memory");
		return;
	}
	r->wish = w;
	w->run = r;
	r->machine.state = PAIRING_WAIT_REPLY;
	r->machine.is_guest = true;
	r->conn = links_connect(n->links, to, &user, r, &msg);
	if (r->conn)
		return;
	n->pairings->runs = r->next;
	n->pairings->run_count--;
	free(r);
	w->run = NULL;
	end_wish(n->pairings, ERR_IO, &msg);
}

static void on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
	struct wish *w = req->data;
	w->resolving = false;
	if (!w->call) { /* the command has gone meanwhile */
		free(w);
	} else if (status != 0) {
		struct errmsg msg = {0};
		err_set(&msg, ERR_NOTFOUND,
		        "%s: %s; an address is HOST:PORT, as the other device shows it", w->host,
		        uv_strerror(status));
		end_wish(w->node->pairings, ERR_NOTFOUND, &msg);
	} else {
		dial(w, list->ai_addr);
	}
	uv_freeaddrinfo(list);
}

/* "HOST:PORT", "HOST", "[V6]:PORT": numeric ones at once, names through the resolver. */
static void dial_text(struct wish *w, const char *text)
{
	struct node *n = w->node;
	struct sockaddr_storage a;
	char port[8];
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	if (address_parse(text, &a) == ERR_OK) {
		dial(w, (struct sockaddr *)&a);
		return;
	}
	const char *colon = strrchr(text, ':');
	bool has_port = colon && colon[1] && strspn(colon + 1, "0123456789") == strlen(colon + 1) &&
	                strchr(text, ':') == colon;
	size_t size = has_port ? (size_t)(colon - text) : strlen(text);
	if (!size || size >= sizeof w->host ||
	    (has_port && (strlen(colon + 1) > 5 || atoi(colon + 1) > UINT16_MAX))) {
		fail_wish(n->pairings, ERR_USAGE,
		          "an address is HOST:PORT, as the other device shows it");
		return;
	}
	if (!os_device_has_names()) {
		fail_wish(n->pairings, ERR_NOTFOUND,
		          "this device cannot look up names of others: give the address in "
		          "numbers, like 192.0.2.7:4747, as the other device shows it");
		return;
	}
	memcpy(w->host, text, size);
	w->host[size] = 0;
	snprintf(port, sizeof port, "%.5s", has_port ? colon + 1 : "4747");
	w->resolve.data = w;
	w->resolving =
	    uv_getaddrinfo(&n->loop, &w->resolve, on_resolved, w->host, port, &hints) == 0;
	if (!w->resolving)
		fail_wish(n->pairings, ERR_IO, "the address cannot be looked up");
}

static void dial_nearby(struct wish *w)
{
	struct pairings *ps = w->node->pairings;
	struct nearby found[NEARBY_MAX];
	struct errmsg msg = {0};
	struct sockaddr_storage a;
	unsigned count = nearby_list(w->node, found), open = 0, which = 0;
	for (unsigned i = 0; i < count; i++) {
		if (found[i].shows_code) {
			which = i;
			open++;
		}
	}
	if (open == 1 && address_parse(found[which].address, &a) == ERR_OK) {
		dial(w, (struct sockaddr *)&a);
		return;
	}
	if (open > 1)
		err_set(&msg, ERR_EXISTS,
		        "%u nodes on this machine show a code: say which, like `wasmos pair %s %s`",
		        open, w->words, found[which].address);
	else
		err_set(&msg, ERR_NOTFOUND,
		        "no node on this machine shows a code; for another machine add the address "
		        "it shows, like `wasmos pair %s 192.0.2.7:4747`",
		        w->words);
	end_wish(ps, open ? ERR_EXISTS : ERR_NOTFOUND, &msg);
}

/* The next of the addresses that the picture named. */
static void dial_qr(struct wish *w)
{
	const struct pairing_qr_address *a = &w->qr.addresses[w->next_address++];
	struct sockaddr_storage to = {0};
	struct sockaddr_in *v4 = (void *)&to;
	struct sockaddr_in6 *v6 = (void *)&to;
	if (a->size == 4) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(a->port);
		memcpy(&v4->sin_addr, a->ip, 4);
	} else {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(a->port);
		memcpy(&v6->sin6_addr, a->ip, 16);
	}
	dial(w, (struct sockaddr *)&to);
}

static void guest_qr(struct node *n, struct control_call *call, const char *text)
{
	struct pairing_qr qr;
	struct errmsg msg = {0};
	enum err e = pairing_qr_read(text, &qr, &msg);
	if (e != ERR_OK) {
		control_end(call, e, &msg);
		return;
	}
	struct wish *w = wish_new(n, call);
	if (!w)
		return;
	w->by_qr = true;
	w->yes = false; /* who scans looks at the names */
	w->qr = qr;
	dial_qr(w);
}

static void guest(struct node *n, struct control_call *call, const char *typed, const char *address)
{
	char words[PAIRING_WORDS_SIZE];
	struct errmsg msg = {0};
	enum err e = pairing_words_read(typed, words, &msg);
	if (e != ERR_OK) {
		control_end(call, e, &msg);
		return;
	}
	struct wish *w = wish_new(n, call);
	if (!w)
		return;
	memcpy(w->words, words, sizeof w->words);
	if (address[0])
		dial_text(w, address);
	else
		dial_nearby(w);
}

void control_pair(struct node *n, struct control_call *call)
{
	const char *words = control_str_or(call, "words", "");
	const char *address = control_str_or(call, "address", "");
	const char *from = control_str_or(call, "from", "");
	if (!devices_may_run(n, NULL)) {
		control_fail(call, ERR_DENIED,
		             "this device is \"files only\" in its system: pair with another one");
		return;
	}
	const char *qr = control_str_or(call, "qr", "");
	if (qr[0])
		guest_qr(n, call, qr);
	else if (words[0])
		guest(n, call, words, address);
	else
		host(n, call, from);
}

void control_pair_answer(struct node *n, struct control_call *call)
{
	struct wish *w = n->pairings->wish;
	uint64_t number = control_u64_or(call, "question", 0);
	bool yes = control_flag(call, "yes");
	control_end(call, ERR_OK, NULL);
	if (!w || !w->run || !w->asked || w->number != number)
		return; /* over meanwhile: the pair request tells how */
	w->asked = false;
	give_answer(w->run, yes);
}

/* --- the part --- */

static void on_tick(uv_timer_t *t)
{
	struct pairings *ps = t->data;
	uint64_t now = now_of(ps->node);
	for (struct run *r = ps->runs, *next; r; r = next) {
		struct pairing_actions act = {0};
		next = r->next;
		if (r->conn->closing || !r->conn->connected || r->machine.state == PAIRING_ENDED)
			continue;
		pairing_tick(&r->machine, now, &act);
		if (act.end)
			run_actions(r, &act);
		wr_free(&act.send);
	}
	struct wish *w = ps->wish;
	if (w && w->is_host && !w->run && !pairing_desk_is_open(&ps->desk, now))
		fail_wish(ps, ERR_TIMEOUT,
		          "nobody typed the words in three minutes; run `wasmos pair` again for "
		          "new ones");
	if (!ps->runs && !ps->wish)
		uv_timer_stop(t);
}

static void on_timer_closed(uv_handle_t *h)
{
	free(h->data);
}

enum err pairings_open(struct node *n, struct errmsg *msg)
{
	struct pairings *ps = calloc(1, sizeof *ps);
	if (!ps)
		return err_set(msg, ERR_NOMEM, "out of memory");
	ps->node = n;
	ps->timer.data = ps;
	uv_timer_init(&n->loop, &ps->timer);
	n->pairings = ps;
	nearby_say(n, false);
	return ERR_OK;
}

void pairings_close(struct node *n)
{
	struct pairings *ps = n->pairings;
	for (struct run *r = ps->runs, *next; r; r = next) {
		next = r->next;
		conn_close(r->conn, "this node goes down");
	}
	fail_wish(ps, ERR_CLOSED, "the node goes down");
	nearby_leave(n);
	uv_close((uv_handle_t *)&ps->timer, on_timer_closed);
	n->pairings = NULL;
}
