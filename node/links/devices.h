/* devices.h - the log of the system's devices on the running node: kept on disk, exchanged with each peer, applied to the rows of
 * link.h's peers.
 *
 * The log (proto/device_log.h) says who belongs to the system; a row of peers says where a device is and holds its link. A row of a device that
 * the log has as a member follows it: it is made, renamed, given a new key and removed as the log says. A row that pairing made (or an
 * older build, which had no log) is *joining*: the first link with that device enters it into the log. What a node learns it tells at once to all
 * it is linked with; so who is linked to any of them knows within one trip each. The loop's thread.
 *
 * Every link begins with the exchange, before any other message (devices_session.c); a device that was removed is told so, by the entries that
 * say it, and by nothing else.
 *
 *	one side                                other side (the same, at the same time)
 *	  HELLO ------------------------------>
 *	  DEVICE_HAVE  heads ----------------->   sends what these heads do not stand on
 *	               <----------------------  DEVICE_ENTRIES ..., last
 *	  (joining: enters it)  DEVICE_ENTRIES -->
 *	  DEVICE_READY ----------------------->   the link is up when READY was sent and has come
 */
#pragma once

#include "node/links/device.h"
#include "proto/device_log.h"
#include "proto/message.h"

struct conn;
struct devices;
struct node;
struct peer;

/* What the log says of a device; NULL: nothing. Valid until the log grows. */
const struct device_row *devices_row(struct node *n, const uint8_t id[DEVICE_ID_SIZE]);
const struct device_row *devices_by_key(struct node *n, const uint8_t key[CRYPTO_KEY_SIZE]);
/* All, `*count` of them. */
const struct device_row *devices_all(struct node *n, unsigned *count);
/* This device was removed from its system. */
bool devices_are_lost(struct node *n);
/* May there be a link with it: a member, as far as we are one ourselves; or joining. */
bool devices_want(struct node *n, const struct peer *p);
/* Neither this device nor that one (NULL: only this one) is "files only". */
bool devices_may_run(struct node *n, const uint8_t *id);

/* By a person's wish. Durable, and told to all that are linked, when they return. */
enum err devices_remove(struct node *n, const uint8_t id[DEVICE_ID_SIZE], struct errmsg *msg);
enum err devices_rename(struct node *n, const uint8_t id[DEVICE_ID_SIZE], const char *name,
                        struct errmsg *msg);
enum err devices_give_role(struct node *n, const uint8_t id[DEVICE_ID_SIZE], enum device_role role,
                           struct errmsg *msg);
/* A new key for this device. Who is not linked now hears of it from others only; ERR_STATE unless force, when there are such. */
enum err devices_rotate(struct node *n, bool force, struct errmsg *msg);
/* This device is to be paired: when it was removed, it begins a log of its own. */
enum err devices_begin_anew(struct node *n, struct errmsg *msg);

/* --- for the link --- */

/* Rows of peers as the log has them; called when they have been read. */
void devices_apply(struct node *n);
/* HELLO has come. */
enum err devices_greet(struct conn *c);
enum err devices_message(struct conn *c, enum msg type, const union msg_any *any,
                         struct errmsg *msg);
/* The caller was removed: it is told, and nothing else. */
void devices_turn_away(struct conn *c, const struct device_row *row);
/* The link is up: addresses are exchanged. */
void devices_linked(struct peer *p);
/* Our addresses have changed: those we are linked with are told. */
void devices_moved(struct node *n);

/* --- for devices_session.c --- */

struct device_log *devices_log(struct node *n);
/* Entries were added: they are written, told to all but `except`, and applied. */
enum err devices_publish(struct node *n, struct conn *except, struct errmsg *msg);
/* Enters a joining device into the log. */
enum err devices_admit(struct peer *p, struct errmsg *msg);
/* Tells c entries from number `from` on. */
void devices_tell(struct conn *c, unsigned from);
