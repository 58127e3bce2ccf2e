/* common_files.c - the node's part that Linux programs of different families have in common (node/wali/commons.h). */
#include "node/node.h"
#include "node/wali/commons.h"

enum err commons_open(struct node *n, struct errmsg *msg)
{
	n->commons = commons_new();
	return n->commons ? ERR_OK : err_set(msg, ERR_NOMEM, "locks: out of memory");
}

void commons_close(struct node *n)
{
	commons_unref(n->commons);
	n->commons = NULL;
}
