/* control_devices.c - requests about the devices of the system: devices, device_rename, device_address, device_role, device_rotate, device_remove. */
#include "node/control/control.h"
#include "node/links/devices.h"
#include "node/links/link_impl.h"
#include "node/node.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *role_text(enum device_role role)
{
	return role == DEVICE_ROLE_FILES ? "files only" : "full";
}

static const char *link_text(const struct peer *p)
{
	return !p ? "unknown" : peer_is_up(p) ? "up" : peer_refuses(p) ? "refuses" : "down";
}

static const char *state_text(struct node *n, const struct device_row *row, bool self)
{
	if (row->state == DEVICE_REMOVED)
		return row->two_hands ? "removed (key changed twice)" : "removed";
	if (!self && devices_are_lost(n))
		return "refuses";
	return self ? "this device" : link_text(peer_by_id(n, row->id));
}

static void put_name_of(struct node *n, struct control_call *c, const char *key,
                        const uint8_t id[DEVICE_ID_SIZE])
{
	const struct device_row *row = devices_row(n, id);
	control_put_str(c, key, row ? row->name : "");
}

static void put_day(struct control_call *c, const char *key, uint64_t ms)
{
	char text[32] = "";
	time_t seconds = (time_t)(ms / 1000);
	struct tm *day = ms ? gmtime(&seconds) : NULL;
	if (day)
		strftime(text, sizeof text, "%Y-%m-%d", day);
	control_put_str(c, key, text);
}

static void put_row(struct node *n, struct control_call *c, const struct device_row *row)
{
	char id[DEVICE_SHORT_SIZE];
	bool self = memcmp(row->id, n->device->id, DEVICE_ID_SIZE) == 0;
	struct peer *p = peer_by_id(n, row->id);
	uint64_t when = row->state == DEVICE_REMOVED ? row->removed_ms : row->since_ms;
	device_short(row->id, id);
	control_row(c);
	control_put_str(c, "name", row->name);
	control_put_str(c, "id", id);
	control_put_str(c, "state", state_text(n, row, self));
	control_put_str(c, "role", role_text(row->role));
	put_day(c, "since", when);
	put_name_of(n, c, "by", row->by);
	control_put_flag(c, "self", self);
	control_put_flag(c, "removed", row->state == DEVICE_REMOVED);
	control_put_flag(c, "up", self || (p && peer_is_up(p)));
	control_put_u64(c, "since_unix_ms", when);
	control_put_u64(c, "keys", row->keys);
	control_row_end(c);
}

/* Paired, and not in the log yet: the next link enters it. */
static void put_joining(struct control_call *c, const struct peer *p)
{
	char id[DEVICE_SHORT_SIZE];
	device_short(p->id, id);
	control_row(c);
	control_put_str(c, "name", p->name);
	control_put_str(c, "id", id);
	control_put_str(c, "state", peer_is_half(p) ? "half paired" : "joining");
	control_put_str(c, "role", role_text(p->files_only ? DEVICE_ROLE_FILES : DEVICE_ROLE_FULL));
	control_put_flag(c, "self", false);
	control_put_flag(c, "removed", false);
	control_put_flag(c, "up", false);
	control_row_end(c);
}

void control_devices(struct node *n, struct control_call *c)
{
	bool all = control_flag(c, "all");
	unsigned count;
	const struct device_row *rows = devices_all(n, &count);
	for (int others = 0; others < 2; others++)
		for (unsigned i = 0; i < count; i++) {
			bool self = memcmp(rows[i].id, n->device->id, DEVICE_ID_SIZE) == 0;
			if (self == !others && rows[i].state != DEVICE_STRANGER &&
			    (self || all || rows[i].state == DEVICE_MEMBER))
				put_row(n, c, &rows[i]);
		}
	for (struct peer *p = peer_first(n); p; p = peer_next(p))
		if (!p->member)
			put_joining(c, p);
	control_end(c, ERR_OK, NULL);
}

bool control_may_run(struct control_call *c)
{
	if (devices_may_run(control_node(c), NULL))
		return true;
	control_fail(c, ERR_DENIED,
	             "this device is \"files only\" in its system: `wasmos devices`");
	return false;
}

/* A device by its name or id: this one, or a peer. */
static enum err find(struct node *n, struct control_call *c, uint8_t id[DEVICE_ID_SIZE],
                     struct errmsg *msg)
{
	const char *text = control_str_or(c, "device", "");
	struct peer *p;
	if (!strcmp(text, n->name)) {
		memcpy(id, n->device->id, DEVICE_ID_SIZE);
		return ERR_OK;
	}
	TRY(peer_find(n, text, &p, msg));
	memcpy(id, p->id, DEVICE_ID_SIZE);
	return p->member
	           ? ERR_OK
	           : err_set(msg, ERR_STATE,
	                     "%s is not in the log of devices yet: it is entered when the two "
	                     "are linked",
	                     p->name);
}

static void answer(struct node *n, struct control_call *c, const uint8_t id[DEVICE_ID_SIZE],
                   enum err e, const struct errmsg *msg)
{
	const struct device_row *row = devices_row(n, id);
	if (e == ERR_OK && row)
		put_row(n, c, row);
	control_end(c, e, msg);
}

void control_device_rename(struct node *n, struct control_call *c)
{
	struct errmsg msg = {0};
	uint8_t id[DEVICE_ID_SIZE] = {0};
	enum err e = find(n, c, id, &msg);
	if (e == ERR_OK)
		e = devices_rename(n, id, control_str_or(c, "name", ""), &msg);
	answer(n, c, id, e, &msg);
}

static void put_fixed(struct control_call *c, const struct peer *p, const char *address)
{
	char id[DEVICE_SHORT_SIZE];
	device_short(p->id, id);
	control_row(c);
	control_put_str(c, "name", p->name);
	control_put_str(c, "id", id);
	control_put_str(c, "address", address);
	control_row_end(c);
}

void control_device_address(struct node *n, struct control_call *c)
{
	struct errmsg msg = {0};
	struct peer *p = NULL;
	const char *address = control_str_or(c, "address", "");
	enum err e = peer_find(n, control_str_or(c, "device", ""), &p, &msg);
	if (e == ERR_OK)
		e = peer_fix_address(p, !strcmp(address, "none") ? "" : address, &msg);
	if (e == ERR_OK)
		put_fixed(c, p, address);
	control_end(c, e, &msg);
}

void control_device_role(struct node *n, struct control_call *c)
{
	struct errmsg msg = {0};
	uint8_t id[DEVICE_ID_SIZE] = {0};
	const char *role = control_str_or(c, "role", "");
	bool files = !strcmp(role, "files-only");
	enum err e = files || !strcmp(role, "full")
	                 ? find(n, c, id, &msg)
	                 : err_set(&msg, ERR_USAGE, "a role is `full` or `files-only`");
	if (e == ERR_OK && !memcmp(id, n->device->id, sizeof id))
		e = err_set(&msg, ERR_USAGE, "a device's role is given by another one");
	if (e == ERR_OK)
		e = devices_give_role(n, id, files ? DEVICE_ROLE_FILES : DEVICE_ROLE_FULL, &msg);
	answer(n, c, id, e, &msg);
}

void control_device_rotate(struct node *n, struct control_call *c)
{
	struct errmsg msg = {0};
	enum err e = devices_rotate(n, control_flag(c, "force"), &msg);
	answer(n, c, n->device->id, e, &msg);
}

void control_device_remove(struct node *n, struct control_call *c)
{
	struct errmsg msg = {0};
	uint8_t id[DEVICE_ID_SIZE] = {0};
	enum err e = find(n, c, id, &msg);
	if (e == ERR_OK)
		e = devices_remove(n, id, &msg);
	answer(n, c, id, e, &msg);
}
