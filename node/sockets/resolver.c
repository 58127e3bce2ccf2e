/* resolver.c - questions of the DNS (RFC 1035) about the system's own names, and their answers. */
#include "node/sockets/resolver.h"

#include <stdlib.h>
#include <string.h>

enum { HEADER = 12, TYPE_A = 1, TYPE_AAAA = 28, CLASS_IN = 1, TTL_S = 5, NO_SUCH_NAME = 3 };

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

void resolver_label(const char *name, char out[64])
{
	size_t n = 0;
	for (; name[n] && n < 63; n++) {
		char c = lower(name[n]);
		bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
		out[n] = plain ? c : '-';
	}
	out[n] = 0;
}

/* The labels at *at as text; 0 when they are no name. */
static size_t read_name(const uint8_t *bytes, size_t size, size_t at, char *out)
{
	size_t n = 0;
	while (at < size && bytes[at]) {
		size_t label = bytes[at++];
		if (label > 63 || label > size - at || n + label + 1 > RESOLVER_NAME_MAX)
			return 0;
		if (n)
			out[n++] = '.';
		for (size_t i = 0; i < label; i++) {
			char c = lower((char)bytes[at + i]);
			if (c <= ' ' || c > '~' || c == '.')
				return 0;
			out[n++] = c;
		}
		at += label;
	}
	out[n] = 0;
	return at < size ? at + 1 : 0;
}

bool question_read(const uint8_t *bytes, size_t size, struct question *out)
{
	if (size < HEADER || size > RESOLVER_MESSAGE_MAX || bytes[2] & 0xf8 ||
	    get16(bytes + 4) != 1)
		return false;
	size_t at = read_name(bytes, size, HEADER, out->name);
	if (!at || at + 4 > size || get16(bytes + at + 2) != CLASS_IN)
		return false;
	out->id = get16(bytes);
	out->type = get16(bytes + at);
	out->size = at + 4;
	memcpy(out->bytes, bytes, out->size);
	return true;
}

static size_t put_answer(uint8_t *p, size_t room, const struct address *a, uint16_t type)
{
	bool v4 = address_is_ip4(a);
	size_t size = v4 ? 4 : 16;
	if (v4 != (type == TYPE_A) || (type != TYPE_A && type != TYPE_AAAA) || room < 12 + size)
		return 0;
	memset(p, 0, 12);
	put16(p, 0xc000 | HEADER); /* the question's name */
	put16(p + 2, type);
	put16(p + 4, CLASS_IN);
	put16(p + 8, TTL_S);
	put16(p + 10, (uint16_t)size);
	memcpy(p + 12, a->ip + 16 - size, size);
	return 12 + size;
}

size_t question_answer(const struct question *q, bool exists, const struct address *found,
                       uint32_t count, uint8_t out[RESOLVER_MESSAGE_MAX])
{
	size_t at = q->size;
	uint16_t answers = 0;
	memcpy(out, q->bytes, at);
	for (uint32_t i = 0; i < count && answers < RESOLVER_ANSWERS_MAX; i++) {
		size_t n = put_answer(out + at, RESOLVER_MESSAGE_MAX - at, &found[i], q->type);
		at += n;
		answers = (uint16_t)(answers + (n != 0));
	}
	put16(out + 2, (uint16_t)(0x8180 | (exists ? 0 : NO_SUCH_NAME)));
	put16(out + 6, answers);
	memset(out + 8, 0, 4);
	return at;
}

/* ---- the system's names ---- */

static bool is_below(const char *name, const char *domain)
{
	size_t n = strlen(name), m = strlen(domain);
	return n >= m && !strcmp(name + n - m, domain) && (n == m || name[n - m - 1] == '.');
}

/* Addresses of a name that is the system's; -1: it is not. */
static int own_name(const struct net *n, const struct space *s, const char *name,
                    struct address out[2])
{
	char label[64];
	if (is_below(name, "localhost")) {
		out[0] = address_ip4(127, 0, 0, 1, 0);
		out[1] = (struct address){.family = ADDRESS_IP6, .ip = {[15] = 1}};
		return 2;
	}
	size_t size = strcspn(name, ".");
	if (!strcmp(name, "host.wasmos") && s->cfg.mode >= NET_ALL) {
		out[0] = address_ip4(192, 0, 0, 8, 0);
		return 1;
	}
	if (!is_below(name, "wasmos") || strcmp(name + size, ".wasmos"))
		return is_below(name, "wasmos") ? 0 : -1;
	for (uint32_t i = 0; i < n->ndevices; i++) {
		const struct net_device *d = &n->devices[i];
		resolver_label(d->name, label);
		if ((i && s->cfg.mode < NET_SYSTEM) || strlen(label) != size ||
		    memcmp(label, name, size))
			continue;
		out[0] = d->address4;
		out[1] = d->address6;
		return 2;
	}
	return 0;
}

bool resolver_takes(const struct socket *s, const struct address *to)
{
	enum address_reach r = address_is_ip(to) ? address_reach(to) : REACH_NOWHERE;
	return s->space && to->port == RESOLVER_PORT && (r == REACH_LOOPBACK || r == REACH_ANY);
}

static enum ferr answer(struct socket *s, const struct question *q, bool exists,
                        const struct address *found, uint32_t count, const struct address *from)
{
	uint8_t bytes[RESOLVER_MESSAGE_MAX];
	struct vfs_iov iov = {.p = bytes};
	iov.size = question_answer(q, exists, found, count, bytes);
	if (s->in.packets >= SOCKET_PACKETS_MAX)
		return FE_OK;
	struct address at = *from;
	at.family = s->af;
	if (!queue_put_packet(&s->in, &iov, 1, iov.size, &at, 0, NULL))
		return FE_NOMEM;
	socket_recount(s);
	socket_wake(s);
	return FE_OK;
}

/* ---- names of the world ---- */

enum { REQUESTS_MAX = 256 };

void name_request_free(struct name_request *r)
{
	free(r->question);
	free(r);
}

static enum ferr ask_outside(struct socket *s, const struct question *q, const struct address *from)
{
	uint32_t waiting = 0;
	for (const struct name_request *r = s->net->names; r; r = r->next)
		waiting++;
	struct name_request *r = waiting < REQUESTS_MAX ? calloc(1, sizeof *r) : NULL;
	struct question *copy = r ? malloc(sizeof *copy) : NULL;
	if (!copy) {
		free(r);
		return FE_OK; /* as lost */
	}
	*copy = *q;
	*r = (struct name_request){
	    .next = s->net->names, .serial = s->serial, .from = *from, .question = copy};
	s->net->names = r;
	net_touch(s->net);
	return FE_OK;
}

void resolver_answer(struct net *n, struct name_request *r, bool exists,
                     const struct address *found, uint32_t count)
{
	for (struct socket *s = n->first; s; s = s->next)
		if (s->serial == r->serial && s->space)
			(void)answer(s, r->question, exists, found, count, &r->from);
	name_request_free(r);
}

enum ferr resolver_ask(struct socket *s, const struct vfs_iov *iov, size_t n,
                       const struct address *to)
{
	uint8_t bytes[RESOLVER_MESSAGE_MAX];
	size_t size = 0;
	struct question q;
	struct address found[2];
	for (size_t i = 0; i < n; i++) {
		if (iov[i].size > sizeof bytes - size)
			return FE_OK;
		if (iov[i].size)
			memcpy(bytes + size, iov[i].p, iov[i].size);
		size += iov[i].size;
	}
	if (!question_read(bytes, size, &q))
		return FE_OK; /* as lost */
	int count = own_name(s->net, s->space, q.name, found);
	if (count < 0 && s->space->cfg.mode >= NET_LAN && s->net->poke)
		return ask_outside(s, &q, to);
	return answer(s, &q, count > 0, found, count > 0 ? (uint32_t)count : 0, to);
}
