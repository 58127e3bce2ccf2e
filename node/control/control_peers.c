/* control_peers.c - requests about paired devices: peers, unpair. */
#include "node/control/control.h"
#include "node/links/devices.h"
#include "node/links/link.h"
#include "node/links/members.h"
#include "node/node.h"

#include "base/os.h"

#include <stdio.h>

static void put_id(struct control_call *c, const uint8_t id[DEVICE_ID_SIZE])
{
	char text[DEVICE_SHORT_SIZE];
	device_short(id, text);
	control_put_str(c, "id", text);
}

static const char *processor_name(uint8_t processor)
{
	return processor == FACTS_X86_64 ? "x86-64" : processor == FACTS_AARCH64 ? "arm64" : "";
}

/* "screen sound keyboard" */
static void put_abilities(struct control_call *c, uint8_t abilities)
{
	static const struct {
		uint8_t bit;
		const char *name;
	} all[] = {{FACTS_SCREEN, "screen"},
	           {FACTS_SOUND, "sound"},
	           {FACTS_KEYBOARD, "keyboard"},
	           {FACTS_TOUCH, "touch"},
	           {FACTS_MAINS, "mains"}};
	char text[64] = "";
	size_t at = 0;
	for (unsigned i = 0; i < sizeof all / sizeof *all; i++)
		if (abilities & all[i].bit)
			at += (size_t)snprintf(text + at, sizeof text - at, "%s%s", at ? " " : "",
			                       all[i].name);
	control_put_str(c, "abilities", text);
}

/* What it last told of itself. */
static void put_facts(struct control_call *c, const struct facts *f)
{
	char text[32];
	snprintf(text, sizeof text, "%u %%", f->load_percent);
	control_put_str(c, "load", text);
	snprintf(text, sizeof text, "%u MiB", f->memory_free_mib);
	control_put_str(c, "free", text);
	control_put_str(c, "processor", processor_name(f->processor));
	control_put_u64(c, "cores", f->cores);
	control_put_u64(c, "load_percent", f->load_percent);
	control_put_u64(c, "memory_mib", f->memory_mib);
	control_put_u64(c, "memory_free_mib", f->memory_free_mib);
	put_abilities(c, f->abilities);
	if (f->battery_percent != FACTS_NO_BATTERY)
		control_put_u64(c, "battery_percent", f->battery_percent);
}

/* Whether it is there, as the system's devices agree on it, and what it says of itself. */
static void put_member(struct node *n, struct control_call *c, const uint8_t id[DEVICE_ID_SIZE])
{
	struct member_view v;
	if (!members_view(n, id, &v))
		return;
	control_put_str(c, "member", member_state_text(v.state));
	control_put_u64(c, "member_ms", v.since_ms);
	if (v.has_facts)
		put_facts(c, &v.facts);
}

/* The first row is this device. */
static void own_row(struct node *n, struct control_call *c)
{
	char addresses[1][LINK_ADDRESS_SIZE];
	control_row(c);
	control_put_str(c, "name", n->name);
	put_id(c, n->device->id);
	control_put_str(c, "state", "this device");
	control_put_flag(c, "self", true);
	control_put_flag(c, "up", true);
	control_put_str(c, "address", link_own_addresses(n, addresses, 1) ? addresses[0] : "");
	control_put_u64(c, "port", link_port(n));
	put_member(n, c, n->device->id);
	control_row_end(c);
}

/* "now", "12 s ago", "3 min ago" ... */
static void put_seen(struct control_call *c, const struct peer *p)
{
	static const struct {
		uint64_t seconds;
		const char *name;
	} units[] = {{86400, "days"}, {3600, "h"}, {60, "min"}, {1, "s"}};
	uint64_t now = os_wall_ns() / 1000000, seen = peer_seen_unix_ms(p);
	uint64_t ago_s = now > seen ? (now - seen) / 1000 : 0;
	char text[48] = "never";
	unsigned i = 0;
	while (i < 3 && ago_s < 2 * units[i].seconds)
		i++;
	if (peer_is_up(p))
		snprintf(text, sizeof text, "now");
	else if (seen)
		snprintf(text, sizeof text, "%llu %s ago",
		         (unsigned long long)(ago_s / units[i].seconds), units[i].name);
	control_put_str(c, "seen", text);
}

static void put_rtt(struct control_call *c, const struct peer *p)
{
	char text[32] = "";
	if (peer_rtt_us(p))
		snprintf(text, sizeof text, "%.1f ms", peer_rtt_us(p) / 1e3);
	control_put_str(c, "rtt", text);
	control_put_u64(c, "rtt_us", peer_rtt_us(p));
}

/* How its link goes: "direct", "via NAME", "" when none is up. */
static void put_way(struct control_call *c, const struct peer *p)
{
	char text[8 + DEVICE_NAME_MAX] = "";
	const struct peer *carrier = peer_carrier(p);
	if (carrier)
		snprintf(text, sizeof text, "via %s", peer_name(carrier));
	else if (peer_is_direct(p))
		snprintf(text, sizeof text, "direct");
	control_put_str(c, "way", text);
}

static const char *state_of(struct node *n, const struct peer *p)
{
	if (!devices_want(n, p))
		return "refuses";
	if (peer_is_up(p))
		return "up";
	if (peer_is_half(p))
		return "half paired";
	return peer_refuses(p) ? "refuses" : "down";
}

void control_peers(struct node *n, struct control_call *c)
{
	own_row(n, c);
	for (struct peer *p = peer_first(n); p; p = peer_next(p)) {
		uint64_t sent, received;
		link_bytes(p, &sent, &received);
		control_row(c);
		control_put_str(c, "name", peer_name(p));
		put_id(c, peer_id(p));
		control_put_str(c, "state", state_of(n, p));
		control_put_flag(c, "self", false);
		control_put_flag(c, "up", peer_is_up(p));
		control_put_str(c, "address", peer_address(p));
		put_way(c, p);
		put_rtt(c, p);
		put_seen(c, p);
		control_put_u64(c, "seen_unix_ms", peer_seen_unix_ms(p));
		control_put_u64(c, "sent_bytes", sent);
		control_put_u64(c, "received_bytes", received);
		put_member(n, c, peer_id(p));
		control_row_end(c);
	}
	control_end(c, ERR_OK, NULL);
}

/* A member is removed for all; of another, and where this device itself is out, only our row goes. */
static enum err forget(struct node *n, struct peer *p, struct errmsg *msg)
{
	const struct device_row *row = devices_row(n, peer_id(p));
	if (row && row->state == DEVICE_MEMBER && !devices_are_lost(n))
		return devices_remove(n, peer_id(p), msg);
	return peer_remove(n, p, msg);
}

void control_unpair(struct node *n, struct control_call *c)
{
	struct errmsg msg = {0};
	struct peer *p;
	enum err e = peer_find(n, control_str_or(c, "peer", ""), &p, &msg);
	if (e == ERR_OK)
		e = forget(n, p, &msg);
	if (e == ERR_OK) {
		control_row(c);
		control_put_str(c, "name", peer_name(p));
		put_id(c, peer_id(p));
		control_row_end(c);
	}
	control_end(c, e, &msg);
}
