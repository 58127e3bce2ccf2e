/* screens.c - the node's host halves (node/drivers/host.h) as a part of the node. */
#include "node/drivers/host.h"
#include "node/node.h"

enum err hosts_open(struct node *n, struct errmsg *msg)
{
	struct hosts_config cfg = {.device = n->name};
	enum err e = hosts_new(&cfg, &n->hosts);
	return e == ERR_OK ? e : err_set(msg, e, "screens: %s", err_text(e));
}

void hosts_close(struct node *n)
{
	hosts_free(n->hosts);
	n->hosts = NULL;
}
