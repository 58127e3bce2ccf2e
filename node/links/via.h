/* via.h - links through a third device, for two that cannot reach each other.
 *
 * The *carrier* has direct links with both, and passes bytes on between them: a *passage*. The two talk over it exactly as they
 * would over TCP (proto/secure.h: the handshake between their own keys, then sealed frames), so the carrier sees sealed bytes only, and can do
 * no more than lose them. It carries for members of its log of devices alone, as long as they are members, and only over its direct
 * links: a link goes through one other device at most.
 *
 *	one device                          carrier                           the other
 *	  OPEN  passage, the other  ------>   members? linked? room?
 *	  DATA  "WOS1", e es s ss  ------->   OFFER passage, the one  ------->  a device that we want?
 *	                                      DATA  ------------------------->  the caller's key is looked up, as always
 *	        <--- TOOK ------------------        <----------------- TOOK
 *	        <--- DATA e ee se ----------        <----------------- DATA
 *	  ...
 *	  CLOSE <------------------------->        <----------------->  CLOSE    also when a link with the carrier is lost
 *
 * A sender has at most VIA_FLYING_SIZE bytes under way that the receiver has not said to have taken (each DATA counts VIA_OVERHEAD_SIZE
 * more than it holds); the carrier counts with, and closes a passage that has more than VIA_FLYING_MAX, so that is all it ever keeps of one. Its own bulk lane and what it carries go by turns.
 *
 * A device that is down is dialed directly, and a little later also asked for at each device we are linked with (via_ask_due()).
 * While a link goes through a carrier, direct ways are tried on; when one comes up the link changes over to it (handover.c).
 * The loop's thread. via.c: the two ends; carry.c: the carrier.
 */
#pragma once

#include "node/links/link_impl.h"

/* A message of the group VIA came from c's peer. */
enum err via_message(struct conn *c, enum msg type, const union msg_any *any, struct errmsg *msg);
/* The link with p is lost: so is all that went through p, or was carried for it. */
void via_link_lost(struct peer *p);
/* Carriers are asked for those that are down. */
void via_ask_due(struct links *l, uint64_t now);
/* An attempt through a carrier failed: the next one. */
void via_retry_later(struct peer *p, uint64_t now);
/* Gives bytes to the carrier; they are being written until it is said that they were taken. */
enum err via_write(struct conn *c, const struct wr *bytes);
/* c closes: the other side is told. */
void via_closed(struct conn *c);

/* --- carry.c --- */

enum err carry_open(struct conn *c, const struct msg_via_open *m);
/* False: no passage of that number is carried for p. */
bool carry_data(struct peer *p, const struct msg_via_data *m);
bool carry_took(struct peer *p, const struct msg_via_took *m);
bool carry_close(struct peer *p, const struct msg_via_close *m);
void carry_link_lost(struct peer *p);
void carry_free(struct links *l);
