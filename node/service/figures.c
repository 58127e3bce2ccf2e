/* figures.c - the samples of figures.def. */
#include "node/service/figures.h"

#include "base/os.h"
#include "migrate/mover.h"
#include "node/service/counters.h"
#include "node/disk.h"
#include "node/links/link_impl.h"
#include "node/links/members.h"
#include "node/node.h"
#include "node/store.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { LINE_MAX_BYTES = 512, STATES_MAX = 16 };

/* ---- counting ---- */

void counters_moved_away(struct node *n, bool done, const struct move_report *r)
{
	static const uint64_t bounds_ms[] = {
#define PAUSE(ms, text) ms,
	    COUNTERS_PAUSES(PAUSE)
#undef PAUSE
	};
	struct counters *c = &n->counters;
	unsigned i = 0;
	c->away.done += done;
	c->away.failed += !done;
	c->sent_bytes += r->bytes;
	if (!done)
		return;
	while (i < COUNTERS_PAUSE_COUNT && r->pause_ns > bounds_ms[i] * 1000000)
		i++;
	c->pauses[i]++;
	c->pause_ns += r->pause_ns;
}

/* ---- lines ---- */

static void put(struct wr *page, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(struct wr *page, const char *fmt, ...)
{
	char line[LINE_MAX_BYTES];
	va_list ap;
	va_start(ap, fmt);
	int size = vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	if (size > 0)
		wr_bytes(page, line, (size_t)size < sizeof line ? (size_t)size : sizeof line - 1);
}

/* A label's value: a backslash before '\', '"' and the end of a line. size: at least twice the text's. */
static const char *label(const char *text, char *out, size_t size)
{
	char *p = out;
	for (; *text && p + 3 < out + size; text++) {
		if (*text == '\\' || *text == '"' || *text == '\n')
			*p++ = '\\';
		*p++ = *text == '\n' ? 'n' : *text;
	}
	*p = 0;
	return out;
}

static void put_u64(struct wr *page, const char *name, uint64_t v)
{
	put(page, "%s %" PRIu64 "\n", name, v);
}

static void put_seconds(struct wr *page, const char *name, uint64_t ns)
{
	put(page, "%s %" PRIu64 ".%09" PRIu64 "\n", name, ns / 1000000000, ns % 1000000000);
}

/* ---- programs ---- */

static void put_build(struct node *n, struct wr *page, const char *name)
{
	(void)n;
	put(page, "%s{version=\"" WASMOS_VERSION "\"} 1\n", name);
}

static void put_processes(struct node *n, struct wr *page, const char *name)
{
	struct {
		const char *text;
		uint64_t count;
	} states[STATES_MAX] = {{"running", 0}, {"waiting", 0}};
	unsigned count = 2, i;
	for (const struct process *p = process_first(n); p; p = p->next) {
		const char *text = process_state_text(p);
		for (i = 0; i < count && strcmp(states[i].text, text); i++)
			;
		if (i == STATES_MAX)
			continue;
		if (i == count)
			states[count++].text = text;
		states[i].count++;
	}
	for (i = 0; i < count; i++)
		put(page, "%s{state=\"%s\"} %" PRIu64 "\n", name, states[i].text, states[i].count);
}

static void put_families(struct node *n, struct wr *page, const char *name)
{
	uint64_t count = 0;
	for (const struct process *p = process_first(n); p; p = p->next)
		count += process_alive(p) && p->leads;
	put_u64(page, name, count);
}

static void put_memory(struct node *n, struct wr *page, const char *name)
{
	uint64_t sum = 0;
	for (const struct process *p = process_first(n); p; p = p->next)
		sum += process_memory_bytes(p);
	put_u64(page, name, sum);
}

static void put_cpu(struct node *n, struct wr *page, const char *name)
{
	uint64_t sum = n->counters.cpu_ns;
	for (const struct process *p = process_first(n); p; p = p->next)
		if (process_alive(p))
			sum += process_cpu_ns(p) - p->cpu_ns_before;
	put_seconds(page, name, sum);
}

/* ---- moves ---- */

static void put_moves(struct node *n, struct wr *page, const char *name)
{
	const struct counters *c = &n->counters;
	const struct {
		const char *direction, *result;
		uint64_t count;
	} rows[] = {{"away", "done", c->away.done},
	            {"away", "failed", c->away.failed},
	            {"here", "done", c->here.done},
	            {"here", "failed", c->here.failed}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		put(page, "%s{direction=\"%s\",result=\"%s\"} %" PRIu64 "\n", name,
		    rows[i].direction, rows[i].result, rows[i].count);
}

static void put_move_bytes(struct node *n, struct wr *page, const char *name)
{
	put_u64(page, name, n->counters.sent_bytes);
}

static void put_pauses(struct node *n, struct wr *page, const char *name)
{
	static const char *const bounds[] = {
#define PAUSE(ms, text) text,
	    COUNTERS_PAUSES(PAUSE)
#undef PAUSE
	        "+Inf"};
	uint64_t sum = 0;
	for (int i = 0; i <= COUNTERS_PAUSE_COUNT; i++) {
		sum += n->counters.pauses[i];
		put(page, "%s_bucket{le=\"%s\"} %" PRIu64 "\n", name, bounds[i], sum);
	}
	put(page, "%s_sum %.9f\n%s_count %" PRIu64 "\n", name, (double)n->counters.pause_ns / 1e9,
	    name, sum);
}

static void put_checkpoints(struct node *n, struct wr *page, const char *name)
{
	put_u64(page, name, n->counters.checkpoints);
}

/* ---- devices ---- */

/* name{peer="laptop",id="3a4d...": without the closing brace. */
static void put_peer(struct wr *page, const char *name, const struct peer *p)
{
	char peer[2 * DEVICE_NAME_MAX + 4], id[DEVICE_SHORT_SIZE];
	device_short(peer_id(p), id);
	put(page, "%s{peer=\"%s\",id=\"%s\"", name, label(peer_name(p), peer, sizeof peer), id);
}

static void put_links(struct node *n, struct wr *page, const char *name)
{
	uint64_t up = 0;
	for (struct peer *p = peer_first(n); p; p = peer_next(p))
		up += peer_is_up(p);
	put_u64(page, name, up);
}

static void put_peer_up(struct node *n, struct wr *page, const char *name)
{
	for (struct peer *p = peer_first(n); p; p = peer_next(p)) {
		put_peer(page, name, p);
		put(page, "} %d\n", peer_is_up(p));
	}
}

static void put_peer_direct(struct node *n, struct wr *page, const char *name)
{
	for (struct peer *p = peer_first(n); p; p = peer_next(p)) {
		if (!peer_is_up(p))
			continue;
		put_peer(page, name, p);
		put(page, "} %d\n", peer_is_direct(p));
	}
}

static void put_carried(struct node *n, struct wr *page, const char *name)
{
	put_u64(page, name, n->links->passage_count);
}

static void put_peer_rtt(struct node *n, struct wr *page, const char *name)
{
	for (struct peer *p = peer_first(n); p; p = peer_next(p)) {
		if (!peer_is_up(p) || !peer_rtt_us(p))
			continue;
		put_peer(page, name, p);
		put(page, "} %.6f\n", peer_rtt_us(p) / 1e6);
	}
}

static const char *const kinds[MSG_GROUP_COUNT] = {
#define GROUP(NAME, first, last) #NAME,
#define RECORD(name, ...)
#define MESSAGE(number, NAME, name, ...)
#include "proto/messages.def"
#undef MESSAGE
#undef RECORD
#undef GROUP
};

static void put_by_kind(struct wr *page, const char *name, const struct peer *p,
                        const uint64_t bytes[MSG_GROUP_COUNT])
{
	for (int i = 0; i < MSG_GROUP_COUNT; i++) {
		char kind[16] = "";
		for (size_t k = 0; kinds[i][k] && k < sizeof kind - 1; k++)
			kind[k] = (char)(kinds[i][k] | 0x20);
		put_peer(page, name, p);
		put(page, ",kind=\"%s\"} %" PRIu64 "\n", kind, bytes[i]);
	}
}

static void put_peer_sent(struct node *n, struct wr *page, const char *name)
{
	for (struct peer *p = peer_first(n); p; p = peer_next(p))
		put_by_kind(page, name, p, p->sent_bytes);
}

static void put_peer_received(struct node *n, struct wr *page, const char *name)
{
	for (struct peer *p = peer_first(n); p; p = peer_next(p))
		put_by_kind(page, name, p, p->received_bytes);
}

static void put_ways(struct wr *page, const char *name, uint64_t sent, uint64_t received)
{
	put(page, "%s{direction=\"sent\"} %" PRIu64 "\n", name, sent);
	put(page, "%s{direction=\"received\"} %" PRIu64 "\n", name, received);
}

static void put_datagrams(struct node *n, struct wr *page, const char *name)
{
	put_ways(page, name, n->counters.udp_sent.count, n->counters.udp_received.count);
}

static void put_datagram_bytes(struct node *n, struct wr *page, const char *name)
{
	put_ways(page, name, n->counters.udp_sent.bytes, n->counters.udp_received.bytes);
}

static void put_members(struct node *n, struct wr *page, const char *name)
{
	unsigned counts[MEMBER_STATES] = {0};
	struct member_view v;
	counts[MEMBER_ALIVE] = members_view(n, n->device_id, &v);
	for (struct peer *p = peer_first(n); p; p = peer_next(p))
		if (members_view(n, peer_id(p), &v))
			counts[v.state]++;
	for (unsigned i = 0; i < MEMBER_STATES; i++)
		put(page, "%s{state=\"%s\"} %u\n", name, member_state_text(i), counts[i]);
}

/* ---- the node ---- */

static void put_chunks(struct node *n, struct wr *page, const char *name)
{
	put_u64(page, name, depot_chunk_count(node_depot(n)));
}

static void put_store(struct node *n, struct wr *page, const char *name)
{
	put_u64(page, name, depot_used_bytes(node_depot(n)));
}

static void put_own_memory(struct node *n, struct wr *page, const char *name)
{
	size_t bytes = 0;
	(void)n;
	uv_resident_set_memory(&bytes);
	put_u64(page, name, bytes);
}

static void put_own_cpu(struct node *n, struct wr *page, const char *name)
{
	(void)n;
	put_seconds(page, name, os_process_cpu_ns());
}

static void put_started(struct node *n, struct wr *page, const char *name)
{
	put_seconds(page, name, (uint64_t)n->started_unix_ms * 1000000);
}

void figures_write(struct node *n, struct wr *page)
{
	static const struct {
		const char *name, *kind, *help;
		void (*samples)(struct node *n, struct wr *page, const char *name);
	} rows[] = {
#define FIGURE(id, name, kind, help) {name, #kind, help, put_##id},
#include "node/service/figures.def"
#undef FIGURE
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		put(page, "# HELP %s %s\n# TYPE %s %s\n", rows[i].name, rows[i].help, rows[i].name,
		    rows[i].kind);
		rows[i].samples(n, page, rows[i].name);
	}
}
