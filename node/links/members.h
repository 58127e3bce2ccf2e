/* members.h - who of the system's devices is there, and what they say of themselves: proto/membership.h over proto/datagram.h, on a UDP
 * socket at the port of the links.
 *
 * Members are the rows of link.h's peers that the log of devices wants (devices_want()), under the keys the rows have; both are
 * compared once a second. A member that comes to be alive is dialed at once, and the addresses it tells are learnt. Where UDP
 * cannot be had (the port is somebody's, a firewall) everybody stays away and links are what they were: nothing depends on
 * this part but its own columns and `best`. The loop's thread.
 *
 *	struct member_view v;
 *	if (members_view(n, peer_id(p), &v)) printf("%s %u %%\n", v.state, v.facts.load_percent);
 */
#pragma once

#include "node/links/link.h"
#include "proto/membership.h"

struct members;
struct msg_members;

struct member_view {
	enum member_state state;
	uint64_t since_ms; /* ago */
	bool has_facts;
	struct facts facts;
};
/* False: it is no member, or there is no membership here. Our own id is a member. */
bool members_view(struct node *n, const uint8_t id[DEVICE_ID_SIZE], struct member_view *out);

/* What a program wants of the device that it goes to. */
struct members_need {
	uint64_t memory_bytes;
	bool screen; /* it shows something */
};
/* The device where a program would do best now: linked, alive, with a screen and memory for it, on mains power before a low battery, most
 * processor to spare. ERR_NOTFOUND: none has said that it is like that; msg says so. */
enum err members_best(struct node *n, const struct members_need *need, struct peer **out,
                      struct errmsg *msg);

/* A datagram of membership that came over the link with p. */
void members_message(struct peer *p, const struct msg_members *m);

/* --- for members.c --- */

/* What this device tells of itself. busy and total are kept between calls: processor time so far. */
struct load_meter {
	uint64_t busy, total;
};
void members_own_facts(struct node *n, struct load_meter *meter, struct facts *out);
/* "192.0.2.7:4747" of an address in facts. */
void members_address_text(const struct facts_address *a, char out[LINK_ADDRESS_SIZE]);
