/* outside.h - the part of the node that carries connections between guests and the world outside. Loop thread.
 *
 * A connection to an address outside, or one that came in by an outlet, has as its other end a socket whose owner is the loop (a pump): what
 * the guest writes goes from there into the host's socket, what the host's socket has comes back, and neither side is read
 * from while the other has no room. What a guest may reach has been decided before (bind.c); a pump only goes where it is told.
 *
 * An outlet is a socket of the host that listens for a guest. Those of --publish are there from the program's start; a program with
 * --net lan or all has one for each port that it listens at by an address of the device, at the same port when that is free.
 *
 *	net_publish(n, key, &(struct net_publish){...}, &msg);      // before process_create()
 */
#pragma once

#include "node/sockets/socket.h"

struct control_call;
struct node;
struct outside;

enum { NET_PUBLISH_MAX = 16, NET_OUTLETS_MAX = 1024, NET_PUMPS_MAX = 4096 };

struct net_publish {
	char address[64]; /* of the host: "127.0.0.1", "0.0.0.0" */
	uint16_t host_port, guest_port;
	bool udp;
};
/* "[ADDRESS:]HOSTPORT:GUESTPORT[/udp]", 127.0.0.1 when there is none; one port: the same of both. */
bool net_publish_parse(const char *text, struct net_publish *out);

/* For the family with that key, which is about to start; kept until that has ended, also when the node restarts. EXISTS: the port is taken. */
enum err net_publish(struct node *n, const uint8_t key[SPACE_KEY_SIZE], const struct net_publish *p,
                     struct errmsg *msg);
/* A family with that key, which is about to start, may reach so far from here, wherever it runs. */
void net_grant(struct node *n, const uint8_t key[SPACE_KEY_SIZE], enum net_mode mode);
/* NET_NONE when it is not known. */
enum net_mode net_granted(struct node *n, const uint8_t key[SPACE_KEY_SIZE]);
/* It has ended: what is kept of it is forgotten. */
void net_over(struct node *n, const uint8_t key[SPACE_KEY_SIZE]);
/* It did not start. */
void net_unpublish(struct node *n, const uint8_t key[SPACE_KEY_SIZE]);
