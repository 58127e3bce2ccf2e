/* message.h - the messages between two devices: enum msg, struct msg_NAME, one encoder and decoder.
 *
 * All expand from proto/messages.def; proto/table.h has the field kinds, the rules and the recipe
 * for a new message. Any thread; what a decoded message points to are the bytes it was decoded
 * from.
 *
 *	struct msg_ping ping = {.stamp = 7};
 *	TRY(msg_encode(&w, MSG_PING, &ping, &errmsg));
 *
 *	enum msg type;
 *	union msg_any any;
 *	TRY(msg_decode(bytes, size, &type, &any, &errmsg));
 *	if (type == MSG_PING)
 *		answer(any.ping.stamp);
 */
#pragma once

#include "proto/table.h"

enum { MSG_MAX_SIZE = 1 << 20 }; /* of one encoded message */

#include "proto/fields_struct.def"
#define GROUP(NAME, first, last)
#define RECORD(name, ...)   \
	struct msg_##name { \
		__VA_ARGS__ \
	};
#define MESSAGE(number, NAME, name, ...) RECORD(name, __VA_ARGS__)
#include "proto/messages.def"
#undef MESSAGE
#undef RECORD
#undef GROUP
#include "proto/fields_end.def"

enum msg {
#define GROUP(NAME, first, last)
#define RECORD(name, ...)
#define MESSAGE(number, NAME, name, ...) MSG_##NAME = number,
#include "proto/messages.def"
#undef MESSAGE
#undef RECORD
#undef GROUP
};

enum msg_group {
#define GROUP(NAME, first, last) MSG_GROUP_##NAME,
#define RECORD(name, ...)
#define MESSAGE(number, NAME, name, ...)
#include "proto/messages.def"
#undef MESSAGE
#undef RECORD
#undef GROUP
	MSG_GROUP_COUNT
};

union msg_any {
#define GROUP(NAME, first, last)
#define RECORD(name, ...)
#define MESSAGE(number, NAME, name, ...) struct msg_##name name;
#include "proto/messages.def"
#undef MESSAGE
#undef RECORD
#undef GROUP
};

/* fields is the struct of that type. Errors of record_encode(). */
enum err msg_encode(struct wr *w, enum msg type, const void *fields, struct errmsg *msg);
/* The whole of bytes is one message. *any is zeroed on error. ERR_LIMIT above MSG_MAX_SIZE. */
enum err msg_decode(const void *bytes, size_t size, enum msg *type, union msg_any *any,
                    struct errmsg *msg);
/* "FS_OPEN"; "?" for an unknown number. */
const char *msg_name(enum msg type);
/* type is a known message. */
enum msg_group msg_group(enum msg type);

/* Appends an item to a list being built: struct wr items = {0}; msg_item_address(&items, &a, &msg)
 */
#define GROUP(NAME, first, last)
#define RECORD(name, ...)                                                      \
	enum err msg_item_##name(struct wr *items, const struct msg_##name *v, \
	                         struct errmsg *msg);                          \
	bool msg_next_##name(struct list_ref *list, struct msg_##name *v);
#define MESSAGE(number, NAME, name, ...)
#include "proto/messages.def"
#undef MESSAGE
#undef RECORD
#undef GROUP

/* The whole table as Markdown. */
void msg_document(struct wr *w);
