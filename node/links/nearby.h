/* nearby.h - the nodes of this user on this machine, so that pairing two of them needs no address.
 *
 * Each running node keeps one small file in a folder that only its user can enter
 * ($XDG_RUNTIME_DIR/wasmos, else wasmos-UID in the temporary folder): its address and whether it shows a
 * code just now. Never the code. Files of nodes that are gone are skipped and removed: each is locked by
 * its node. Best effort: without such a folder there is nothing nearby. The loop's thread.
 */
#pragma once

#include "node/links/link.h"

enum { NEARBY_MAX = 32 };

struct nearby {
	char address[LINK_ADDRESS_SIZE]; /* loopback */
	bool shows_code;
};

/* Writes or renews this node's file. */
void nearby_say(struct node *n, bool shows_code);
void nearby_leave(struct node *n);
/* The others. */
unsigned nearby_list(struct node *n, struct nearby out[NEARBY_MAX]);
