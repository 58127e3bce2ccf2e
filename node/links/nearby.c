/* nearby.c - files named by device id; "PORT CODE\n" with CODE 0 or 1. */
#include "node/links/nearby.h"

#include "base/file.h"
#include "node/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 32 };

/* The folder, open; NULL when there is none that is ours alone. */
static struct dir *open_folder(void)
{
	struct dir *d = NULL;
	char *path = path_runtime();
	if (path && dir_open(path, DIR_NO_LINK, &d, NULL) != ERR_OK)
		d = NULL;
	free(path);
	return d;
}

static void file_name(struct node *n, char out[2 * DEVICE_ID_SIZE + 1])
{
	for (unsigned i = 0; i < DEVICE_ID_SIZE; i++)
		snprintf(out + 2 * i, 3, "%02x", n->device->id[i]);
}

/* The node's own file, locked as long as it is open. */
static struct file_lock *open_own(struct node *n)
{
	char name[2 * DEVICE_ID_SIZE + 1];
	struct file_lock *l = NULL;
	struct dir *dir = open_folder();
	if (!dir)
		return NULL;
	file_name(n, name);
	if (file_lock_take(dir, name, &l, NULL, NULL) != ERR_OK)
		l = NULL;
	dir_close(dir);
	return l;
}

void nearby_say(struct node *n, bool shows_code)
{
	char text[TEXT_MAX];
	struct errmsg msg;
	/* Another node may have found the file before it was locked, and removed it. */
	if (n->nearby && file_lock_is_gone(n->nearby)) {
		file_lock_free(n->nearby);
		n->nearby = NULL;
	}
	if (!n->nearby)
		n->nearby = open_own(n);
	if (!n->nearby)
		return;
	snprintf(text, sizeof text, "%5u %d\n", link_port(n), shows_code);
	if (file_lock_write(n->nearby, text, &msg) != ERR_OK)
		node_log(n, LOG_WARN, "pairing", "nearby nodes are not told: %s", msg.text);
}

void nearby_leave(struct node *n)
{
	char name[2 * DEVICE_ID_SIZE + 1];
	if (!n->nearby)
		return;
	struct dir *dir = open_folder();
	file_name(n, name);
	if (dir)
		dir_remove(dir, name);
	file_lock_free(n->nearby);
	n->nearby = NULL;
	dir_close(dir);
}

/* True when a node holds the file; a file nobody holds is removed. */
static bool read_other(struct dir *dir, const char *name, struct nearby *out)
{
	char text[FILE_LOCK_TEXT_MAX] = "";
	unsigned port = 0, code = 0;
	if (!file_lock_is_held(dir, name, text)) {
		dir_remove(dir, name);
		return false;
	}
	if (sscanf(text, "%u %u", &port, &code) != 2 || !port || port > UINT16_MAX)
		return false;
	snprintf(out->address, sizeof out->address, "127.0.0.1:%u", port);
	out->shows_code = code != 0;
	return true;
}

struct look {
	struct dir *dir;
	struct nearby *out;
	unsigned count;
	char own[2 * DEVICE_ID_SIZE + 1];
};

static bool look_at(void *ctx, const char *name)
{
	struct look *l = ctx;
	if (strlen(name) == sizeof l->own - 1 && strcmp(name, l->own) != 0)
		l->count += read_other(l->dir, name, &l->out[l->count]);
	return l->count < NEARBY_MAX;
}

unsigned nearby_list(struct node *n, struct nearby out[NEARBY_MAX])
{
	struct look l = {.dir = open_folder(), .out = out};
	if (!l.dir)
		return 0;
	file_name(n, l.own);
	dir_each(l.dir, look_at, &l);
	dir_close(l.dir);
	return l.count;
}
