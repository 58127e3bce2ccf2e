/* group.h - the key that the system's devices share (proto/group_key.h), on the running node: made, kept, told, replaced.
 *
 * It is in the store before it is told (depot table SETTINGS, "group"), and told over links that are up only (DEVICE_GROUP): to each that comes up, and to
 * all when it changes. When the log of devices gets a cut (a removal, a change of key), the device whose person cut makes the next
 * key at once; others wait for it some seconds, then make one themselves. The loop's thread.
 */
#pragma once

#include "proto/group_key.h"
#include "proto/message.h"

struct conn;
struct group;
struct node;
struct peer;

/* NULL: none that goes with the log just now, so nothing may be sent under one. */
const struct group_key *group_current(struct node *n);
/* With those that were replaced: to understand, not to speak. */
const struct group_keys *group_all(struct node *n);

/* The log of devices grew. own: by a person here. */
void group_follow(struct node *n, bool own);
/* The log began anew: so does the key. */
void group_begin_anew(struct node *n);
void group_linked(struct peer *p);
void group_message(struct conn *c, const struct msg_device_group *m);
