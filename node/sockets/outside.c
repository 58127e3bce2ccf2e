/* outside.c - the part of the node that joins its network to others: which devices there are. */
#include "node/sockets/socket.h"

#include "node/link.h"
#include "node/node.h"

#include <stdlib.h>

static void on_link(void *ctx, struct peer *peer, bool up)
{
	struct node *n = ctx;
	struct net_peer list[LINK_PEERS_MAX];
	uint32_t count = 0;
	for (struct peer *p = peer_first(n); p && count < LINK_PEERS_MAX; p = peer_next(p))
		list[count++] = (struct net_peer){peer_id(p), peer_name(p)};
	(void)net_set_peers(n->net, list, count);
}

enum err net_open(struct node *n, struct errmsg *msg)
{
	enum err e = net_new(n->device_id, n->name, &n->net);
	if (e == ERR_OK)
		e = link_watch(n, on_link, n);
	if (e != ERR_OK)
		return err_set(msg, e, "net: %s", err_text(e));
	on_link(n, NULL, false);
	return ERR_OK;
}

/* Processes that end after the loop still close their sockets: node_close() frees the net. */
void net_close(struct node *n)
{
}
