/* resolver.h - names, answered by the system itself: the name server that every guest finds at 127.0.0.1:53 by UDP (where a libc
 * looks when there is no /etc/resolv.conf), unless a relative is bound there.
 *
 * NAME.wasmos is a device of the system, localhost a family's own loopback. Other names are the outside's: they are asked of the
 * device that has the family's network (node/sockets/outside.h) when the family's mode reaches that far, and else do not exist.
 */
#pragma once

#include "node/sockets/socket_impl.h"

enum {
	RESOLVER_PORT = 53,
	RESOLVER_MESSAGE_MAX = 512,
	RESOLVER_NAME_MAX = 253,
	RESOLVER_ANSWERS_MAX = 16
};

/* A question as it was asked. Plain values. */
struct question {
	uint16_t id, type;                /* type: 1 A, 28 AAAA, others have no answer */
	char name[RESOLVER_NAME_MAX + 1]; /* lower case, without the last dot */
	uint8_t bytes[RESOLVER_MESSAGE_MAX];
	size_t size; /* of header and question */
};

/* Hostile bytes: false: not one question of a name. */
bool question_read(const uint8_t *bytes, size_t size, struct question *out);
/* exists false: there is no such name. found is used up to RESOLVER_ANSWERS_MAX, those of the type. Bytes of the answer. */
size_t question_answer(const struct question *q, bool exists, const struct address *found,
                       uint32_t count, uint8_t out[RESOLVER_MESSAGE_MAX]);

/* With the net's lock. */
bool resolver_takes(const struct socket *s, const struct address *to);
enum ferr resolver_ask(struct socket *s, const struct vfs_iov *iov, size_t n,
                       const struct address *to);
/* "Peter's Laptop" as a part of a name: "peter-s-laptop". */
void resolver_label(const char *name, char out[64]);
