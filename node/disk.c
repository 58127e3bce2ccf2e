/* disk.c - the store as a part of the node: opened first, closed last. */
#include "node/disk.h"

#include "node/node.h"
#include "node/store.h"

#include <stdio.h>
#include <stdlib.h>

struct disk {
	struct depot *depot;
};

enum err disk_open(struct node *n, struct errmsg *msg)
{
	char path[4096];
	struct disk *d = calloc(1, sizeof *d);
	if (!d)
		return err_set(msg, ERR_NOMEM, "out of memory");
	if (snprintf(path, sizeof path, "%s/store", n->cfg.home) >= (int)sizeof path) {
		free(d);
		return err_set(msg, ERR_LIMIT, "the home's path is too long");
	}
	enum err e = depot_open(path, &d->depot, msg);
	if (e != ERR_OK) {
		free(d);
		return e;
	}
	n->disk = d;
	return ERR_OK;
}

void disk_close(struct node *n)
{
	depot_close(n->disk->depot);
	free(n->disk);
	n->disk = NULL;
}

struct depot *node_depot(struct node *n)
{
	return n->disk->depot;
}
