/* outside_impl.h - what outside.c, pump.c and outlet.c share. Internal to node/sockets/; loop thread. */
#pragma once

#include "node/sockets/outside.h"
#include "node/sockets/resolver.h"

#include <uv.h>

struct outlet;
struct pump;

/* Hangs at the net (net.loop). */
struct outside {
	struct node *node;
	uv_async_t async;
	uv_timer_t timer; /* while ends look for each other */
	bool timer_runs;
	struct outlet *outlets;
	struct pump *far_pumps; /* that connect for guests on other devices */
	uint32_t noutlets, npumps;
};

struct peer;

/* ---- wire.c: with the net's lock, but the last two ---- */
enum open_kind {
	OPEN_SYSTEM, /* to a device's address: who listens there? */
	OPEN_OUTLET, /* to a port of the family with that key */
	OPEN_OUTSIDE /* to the world, for the family with that key, whose home the asked one is */
};
/* s has no mate on this node, or is asked for by one elsewhere: does what there is to do. */
void wire_look(struct outside *o, struct socket *s);
/* The host's connection that a peer's guest asked for is there; or it is not. */
void wire_here(struct outside *o, struct socket *s, const uint8_t device[32]);
void wire_refuse(struct outside *o, const uint8_t id[CONNECTION_ID_SIZE], const uint8_t device[32],
                 enum ferr e);
/* Families ended here that are at home elsewhere. */
void wire_tell_over(struct outside *o, struct left_key *keys);
enum err wires_open(struct outside *o);
void wires_link(struct outside *o, struct peer *p, bool up);

/* ---- pump.c: with the net's lock ---- */
/* s connects to its peer. */
void pump_connect(struct outside *o, struct socket *s);
/* A connection that waits at an outlet, for the listener l; NULL: it is elsewhere, and wire.c finds it by key and port. */
void pump_accept(struct outside *o, uv_stream_t *from, struct socket *l, bool lan_only,
                 const uint8_t key[SPACE_KEY_SIZE], uint16_t port);
bool pump_is_asked(const struct outside *o, const uint8_t id[CONNECTION_ID_SIZE]);
/* For a guest on another device. */
void pump_connect_far(struct outside *o, const uint8_t id[CONNECTION_ID_SIZE],
                      const struct address *to, const uint8_t device[32]);
/* The socket that a pump has has changed, or its guest is gone. */
void pump_look(struct socket *s);
/* All of them, with the lock: the node goes down. */
void pumps_close(struct net *n);
/* What libuv says, as a file operation's answer. */
enum ferr outside_error(int status);
struct address address_from_host(const struct sockaddr *a);
bool address_to_host(const struct address *a, struct sockaddr_storage *out);

/* ---- outlet.c ---- */
/* Listeners or spaces have changed. Without the lock. */
void outlets_look(struct outside *o);
void outlets_close(struct outside *o);
/* Has one for the family's port: its address. */
const struct outlet *outlet_of(const struct outside *o, const uint8_t key[SPACE_KEY_SIZE],
                               uint16_t port);
/* The listener of the family with that key at a port; NULL: not on this node. */
struct socket *outlet_listener(struct net *n, const uint8_t key[SPACE_KEY_SIZE], uint16_t port);
void outlet_text(const struct outlet *l, char out[ADDRESS_TEXT_MAX]);
