/* address.h - where a socket is: a name of AF_UNIX, or an internet address and a port. Values; any thread.
 *
 * Every internet address is kept as 16 bytes, one of IPv4 as ::ffff:a.b.c.d: a socket of IPv6 meets both. The guest's form
 * (struct sockaddr of Linux) is read and written by node/wali/sockets.c.
 *
 * The system's own network: each device has an address of 10.0.0.0/8 and one of fd00::/8, made of its identity, so that
 * every device of the system knows the address of every other without asking (docs/NETWORK.md).
 *
 *	struct address a;
 *	if (address_from_text("10.1.2.3", &a)) { a.port = 80; ... address_reach(&a) ... }
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum address_family { ADDRESS_NONE = 0, ADDRESS_UNIX = 1, ADDRESS_IP4 = 2, ADDRESS_IP6 = 10 };
enum { ADDRESS_NAME_MAX = 108, ADDRESS_TEXT_MAX = 128 };

struct address {
	uint16_t family; /* enum address_family; of an internet address how its socket shows it */
	uint16_t port;
	uint8_t ip[16];
	uint16_t name_size; /* UNIX: 0 has no name; an abstract one begins with a zero byte */
	uint8_t name[ADDRESS_NAME_MAX];
	uint64_t dev, ino; /* UNIX, a name of a file: which one */
};

/* How far away something is. */
enum address_reach {
	REACH_ANY,      /* 0.0.0.0, :: */
	REACH_LOOPBACK, /* the process's own relatives */
	REACH_SYSTEM,   /* a device of the system */
	REACH_HOST,     /* 192.0.0.8: programs of the host that listen at its own loopback */
	REACH_LAN,      /* private and link-local ranges of the world outside */
	REACH_WORLD,
	REACH_NOWHERE, /* multicast, broadcast, reserved */
};

bool address_is_ip(const struct address *a);
bool address_is_ip4(const struct address *a); /* one of IPv4, whoever shows it */
struct address address_ip4(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port);
/* Without knowing the devices: what is in their ranges is REACH_LAN. */
enum address_reach address_reach(const struct address *a);
/* The same address; ports are not looked at. */
bool address_same_ip(const struct address *a, const struct address *b);
/* What is bound to a takes what goes to b: the same port, and the same address or any. */
bool address_takes(const struct address *a, const struct address *b);
/* Both cannot be bound at once. */
bool address_conflicts(const struct address *a, const struct address *b);
bool address_same_name(const struct address *a, const struct address *b);

/* Of a device, by its identity: v6 false: its address of IPv4. */
struct address address_of_device(const uint8_t id[32], bool v6);

/* "10.1.2.3", "fd00::1": numeric only, no port. */
bool address_from_text(const char *text, struct address *out);
/* "10.1.2.3:80", "[fd00::1]:80", "/run/x", "@abstract", "". */
void address_to_text(const struct address *a, char out[ADDRESS_TEXT_MAX]);
