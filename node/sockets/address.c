/* address.c - addresses: their ranges, text, and those of the system's devices. */
#include "node/sockets/address.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

bool address_is_ip(const struct address *a)
{
	return a->family == ADDRESS_IP4 || a->family == ADDRESS_IP6;
}

bool address_is_ip4(const struct address *a)
{
	return address_is_ip(a) && !memcmp(a->ip, mapped, sizeof mapped);
}

struct address address_ip4(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port)
{
	struct address out = {.family = ADDRESS_IP4, .port = port};
	memcpy(out.ip, mapped, sizeof mapped);
	memcpy(out.ip + 12, (uint8_t[]){a, b, c, d}, 4);
	return out;
}

static enum address_reach reach4(const uint8_t *p)
{
	if (!p[0])
		return p[1] || p[2] || p[3] ? REACH_NOWHERE : REACH_ANY;
	if (p[0] == 127)
		return REACH_LOOPBACK;
	if (p[0] >= 224)
		return REACH_NOWHERE;
	if (!memcmp(p, (const uint8_t[]){192, 0, 0, 8}, 4)) /* RFC 7600: nobody's address */
		return REACH_HOST;
	bool lan = p[0] == 10 || (p[0] == 172 && p[1] >> 4 == 1) || (p[0] == 192 && p[1] == 168) ||
	           (p[0] == 169 && p[1] == 254) || (p[0] == 100 && p[1] >> 6 == 1);
	return lan ? REACH_LAN : REACH_WORLD;
}

static enum address_reach reach6(const uint8_t *p)
{
	static const uint8_t zero[15];
	if (!memcmp(p, zero, 15) && p[15] <= 1)
		return p[15] ? REACH_LOOPBACK : REACH_ANY;
	if (p[0] == 0xff)
		return REACH_NOWHERE;
	if (p[0] == 0xfd || p[0] == 0xfc || (p[0] == 0xfe && p[1] >> 6 == 2))
		return REACH_LAN;
	/* IPv4 in another dress would lead where its own form may not. */
	bool hidden = !memcmp(p, zero, 12) || !memcmp(p, "\x00\x64\xff\x9b", 4) ||
	              (p[0] == 0x20 && p[1] == 0x02);
	return hidden ? REACH_NOWHERE : REACH_WORLD;
}

enum address_reach address_reach(const struct address *a)
{
	return address_is_ip4(a) ? reach4(a->ip + 12) : reach6(a->ip);
}

bool address_same_ip(const struct address *a, const struct address *b)
{
	return address_is_ip(a) && address_is_ip(b) && !memcmp(a->ip, b->ip, sizeof a->ip);
}

/* :: takes IPv4 too, 0.0.0.0 only that. */
static bool takes_ip(const struct address *a, const struct address *b)
{
	if (address_same_ip(a, b))
		return true;
	return address_reach(a) == REACH_ANY && (!address_is_ip4(a) || address_is_ip4(b));
}

bool address_takes(const struct address *a, const struct address *b)
{
	return address_is_ip(a) && address_is_ip(b) && a->port == b->port && takes_ip(a, b);
}

bool address_conflicts(const struct address *a, const struct address *b)
{
	return address_takes(a, b) || address_takes(b, a);
}

bool address_same_name(const struct address *a, const struct address *b)
{
	if (a->family != ADDRESS_UNIX || b->family != ADDRESS_UNIX || !a->name_size ||
	    !b->name_size || !a->name[0] != !b->name[0])
		return false;
	if (a->name[0])
		return a->dev == b->dev && a->ino == b->ino;
	return a->name_size == b->name_size && !memcmp(a->name, b->name, a->name_size);
}

/* The last byte of IPv4 is neither 0 nor 255: some programs take such an address for a network's. */
struct address address_of_device(const uint8_t id[32], bool v6)
{
	struct address a = address_ip4(10, id[0], id[1], (uint8_t)(1 + id[2] % 254), 0);
	if (!v6)
		return a;
	a.family = ADDRESS_IP6;
	a.ip[0] = 0xfd;
	memcpy(a.ip + 1, id, 15);
	return a;
}

/* ---- text ---- */

static bool parse4(const char *text, uint8_t out[4])
{
	const char *p = text;
	for (int i = 0; i < 4; i++) {
		char *end;
		if (*p < '0' || *p > '9')
			return false;
		unsigned long v = strtoul(p, &end, 10);
		if (v > 255 || end - p > 3 || *end != (i < 3 ? '.' : 0))
			return false;
		out[i] = (uint8_t)v;
		p = end + 1;
	}
	return true;
}

/* Groups of one side of "::" into out; their number, -1: none of the kind. */
static int parse_groups(const char *p, const char *end, uint16_t out[8])
{
	int n = 0;
	while (p < end) {
		char *stop;
		if (n == 8 || !strchr("0123456789abcdefABCDEF", *p))
			return -1;
		unsigned long v = strtoul(p, &stop, 16);
		if (v > 0xffff || stop - p > 4 || stop > end || (stop < end && *stop != ':'))
			return -1;
		out[n++] = (uint16_t)v;
		if (stop < end && stop + 1 == end)
			return -1;
		p = stop + (stop < end);
	}
	return n;
}

static bool parse6(const char *text, uint8_t out[16])
{
	uint16_t left[8], right[8] = {0}, all[8] = {0};
	const char *gap = strstr(text, "::"), *end = text + strlen(text);
	if (!*text)
		return false;
	int n = parse_groups(text, gap ? gap : end, left);
	int m = gap ? parse_groups(gap + 2, end, right) : 0;
	if (n < 0 || m < 0 || (gap ? n + m > 7 : n != 8))
		return false;
	memcpy(all, left, (size_t)n * 2);
	memcpy(all + 8 - m, right, (size_t)m * 2);
	for (int i = 0; i < 8; i++) {
		out[2 * i] = (uint8_t)(all[i] >> 8);
		out[2 * i + 1] = (uint8_t)all[i];
	}
	return true;
}

bool address_from_text(const char *text, struct address *out)
{
	uint8_t ip[16];
	if (parse4(text, ip)) {
		*out = address_ip4(ip[0], ip[1], ip[2], ip[3], 0);
		return true;
	}
	if (!parse6(text, ip))
		return false;
	*out = (struct address){.family = ADDRESS_IP6};
	memcpy(out->ip, ip, sizeof ip);
	return true;
}

static void name_text(const struct address *a, char out[ADDRESS_TEXT_MAX])
{
	size_t n = a->name_size < ADDRESS_TEXT_MAX ? a->name_size : ADDRESS_TEXT_MAX - 1;
	for (size_t i = 0; i < n; i++) {
		uint8_t c = a->name[i];
		out[i] = (char)(!c && !i ? '@' : c < ' ' || c > '~' ? '?' : c);
	}
	if (n && !out[n - 1])
		n--;
	out[n] = 0;
}

void address_to_text(const struct address *a, char out[ADDRESS_TEXT_MAX])
{
	const uint8_t *p = a->ip;
	out[0] = 0;
	if (a->family == ADDRESS_UNIX) {
		name_text(a, out);
	} else if (address_is_ip4(a)) {
		snprintf(out, ADDRESS_TEXT_MAX, "%u.%u.%u.%u:%u", p[12], p[13], p[14], p[15],
		         a->port);
	} else if (address_is_ip(a)) {
		size_t n = 0;
		out[n++] = '[';
		for (int i = 0; i < 8; i++)
			n += (size_t)snprintf(out + n, ADDRESS_TEXT_MAX - n, "%s%x", i ? ":" : "",
			                      (unsigned)p[2 * i] << 8 | p[2 * i + 1]);
		snprintf(out + n, ADDRESS_TEXT_MAX - n, "]:%u", a->port);
	}
}
