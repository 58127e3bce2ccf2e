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
	struct outlet *outlets;
	uint32_t noutlets, npumps;
};

/* ---- pump.c: with the net's lock ---- */
/* s connects to its peer. */
void pump_connect(struct outside *o, struct socket *s);
/* A connection that waits at the listener of an outlet, for l. */
void pump_accept(struct outside *o, uv_stream_t *from, struct socket *l, bool lan_only);
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
void outlet_text(const struct outlet *l, char out[ADDRESS_TEXT_MAX]);
