/* outside_impl.h - what outside.c, pump.c and outlet.c share. Internal to node/sockets/; loop thread. */
#pragma once

#include "node/sockets/outside.h"
#include "node/sockets/resolver.h"
#include "proto/message.h"

#include <uv.h>

struct gate;
struct outlet;
struct post;
struct pump;

/* Hangs at the net (net.loop). */
struct outside {
	struct node *node;
	uv_async_t async;
	uv_timer_t timer; /* while ends look for each other */
	bool timer_runs;
	struct outlet *outlets;
	struct pump *far_pumps; /* that connect for guests on other devices */
	uint64_t opened_ms;
	struct left_key
	    *over; /* of families at home elsewhere that ended: for homes that come up later */
	struct gate *gates;
	struct post *post;
	uint32_t noutlets, npumps; /* gates are outlets too */
	uint8_t datagram[65536];   /* that is being read */
};

struct peer;

/* ---- wire.c: with the net's lock, but the last two ---- */
/* s has no mate on this node, or is asked for by one elsewhere: does what there is to do. */
void wire_look(struct outside *o, struct socket *s);
/* The host's connection that a peer's guest asked for is there; or it is not. */
void wire_here(struct outside *o, struct socket *s, const uint8_t device[32]);
void wire_refuse(struct outside *o, const uint8_t id[CONNECTION_ID_SIZE], const uint8_t device[32],
                 enum ferr e);
void wire_start_timer(struct outside *o);
/* To the homes of families that listen here: all of them, or those at home on that device. */
void wire_tell_listeners(struct outside *o, struct peer *only);
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

/* ---- post.c: with the net's lock ---- */
bool post_open(struct outside *o);
void post_close(struct outside *o);
/* What guests have sent. */
void post_take(struct outside *o);
/* From time to time, while it is true: some wait. */
bool post_look(struct outside *o);
void post_arrived(struct outside *o, struct peer *p, const struct msg_net_datagram *m);
/* The family with that key has a datagram for its port. */
void post_from_world(struct outside *o, const uint8_t key[SPACE_KEY_SIZE], uint16_t port,
                     const struct address *from, const void *bytes, size_t size);
/* A device says that what it was sure to have is not there. False: it was not asked. */
bool post_is_astray(struct outside *o, const uint8_t tag[16]);

/* ---- gate.c: with the net's lock ---- */
/* To the world, from the family with d's key, if it may. */
void gate_send(struct outside *o, const struct datagram *d);
/* 0, or an error of libuv's. */
int gate_publish(struct outside *o, const uint8_t key[SPACE_KEY_SIZE], const struct address *at,
                 uint16_t guest_port, bool revived);
/* The family, whose home this is, has bound the port. */
void gate_claim(struct outside *o, const uint8_t key[SPACE_KEY_SIZE], uint16_t port, bool v6);
/* Of the family's ports that it had bound these only are left. */
void gates_keep(struct outside *o, const uint8_t key[SPACE_KEY_SIZE],
                bool (*is_left)(const void *ctx, uint16_t port), const void *ctx);
void gates_unpublish(struct outside *o, const uint8_t key[SPACE_KEY_SIZE]);
void gates_look(struct outside *o);
void gates_close(struct outside *o);
/* Where the port is outside; NULL: it is not. */
const struct address *gate_address(const struct outside *o, const uint8_t key[SPACE_KEY_SIZE],
                                   uint16_t port);
/* Those of which no socket is on this node. */
void gates_each(const struct outside *o,
                void (*fn)(void *ctx, const uint8_t key[SPACE_KEY_SIZE], uint16_t guest_port,
                           const struct address *at),
                void *ctx);

/* ---- outlet.c ---- */
/* The family has ended: all that leads to it. With the lock. */
void outlets_end(struct outside *o, const uint8_t key[SPACE_KEY_SIZE]);
/* The family that a published port is of has ended; revived: the port is of the node's last run. */
bool outlet_is_over(struct outside *o, const uint8_t key[SPACE_KEY_SIZE], bool revived,
                    bool *began);
/* The family, whose home this is, has left. */
bool outlet_is_elsewhere(const struct net *n, const uint8_t key[SPACE_KEY_SIZE]);
/* It is heard of from another device. */
void outlet_heard_of(struct outside *o, const uint8_t key[SPACE_KEY_SIZE]);
/* What it listens at there. With the lock. */
void outlets_of_far(struct outside *o, const struct msg_net_listens *m);
/* Those of the node's last run. Without the lock. */
void outlets_open(struct outside *o);
/* Listeners or spaces have changed. Without the lock. */
void outlets_look(struct outside *o);
void outlets_close(struct outside *o);
/* Has one for the family's port: its address. */
const struct outlet *outlet_of(const struct outside *o, const uint8_t key[SPACE_KEY_SIZE],
                               uint16_t port);
/* The listener of the family with that key at a port; NULL: not on this node. */
struct socket *outlet_listener(struct net *n, const uint8_t key[SPACE_KEY_SIZE], uint16_t port);
void outlet_text(const struct outlet *l, char out[ADDRESS_TEXT_MAX]);
