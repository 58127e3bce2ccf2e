/* pairing_qr.c - the text of a pairing QR code, both ways. One record has one text: base32 with bits left over is refused. */
#include "proto/pairing_qr.h"

#include "base/bytes.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const char prefix[] = "WASMOS:1/";
static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

enum {
	PREFIX_SIZE = sizeof prefix - 1,
	QR_VERSION = 1,
	BYTES_MAX = 2 + CRYPTO_HASH_SIZE + PAIRING_TOKEN_SIZE + PAIRING_QR_ADDRESSES_MAX * 19,
};
_Static_assert(PREFIX_SIZE + (BYTES_MAX * 8 + 4) / 5 < PAIRING_QR_TEXT_SIZE, "room for the text");
_Static_assert(2 + (PAIRING_TOKEN_SIZE * 8 + 4) / 5 < PAIRING_WORDS_SIZE, "room for a token");

/* --- base32 --- */

static size_t base32(const uint8_t *bytes, size_t size, char *out)
{
	uint32_t bits = 0, have = 0;
	size_t n = 0;
	for (size_t i = 0; i < size; i++) {
		bits = bits << 8 | bytes[i];
		for (have += 8; have >= 5; have -= 5)
			out[n++] = digits[bits >> (have - 5) & 31];
	}
	if (have)
		out[n++] = digits[bits << (5 - have) & 31];
	out[n] = 0;
	return n;
}

/* The bytes of a whole text; false when it is none, too long, or has bits left over that are not zero. */
static bool unbase32(const char *text, size_t size, uint8_t out[BYTES_MAX], size_t *count)
{
	uint32_t bits = 0, have = 0;
	*count = 0;
	for (size_t i = 0; i < size; i++) {
		const char *digit = strchr(digits, toupper((unsigned char)text[i]));
		if (!text[i] || !digit)
			return false;
		bits = bits << 5 | (uint32_t)(digit - digits);
		have += 5;
		if (have < 8)
			continue;
		if (*count == BYTES_MAX)
			return false;
		have -= 8;
		out[(*count)++] = (uint8_t)(bits >> have);
	}
	return have < 5 && !(bits & ((1u << have) - 1));
}

/* --- the record --- */

static void put_address(struct wr *w, const struct pairing_qr_address *a)
{
	wr_u8(w, a->size == 4 ? 4 : 6);
	wr_bytes(w, a->ip, a->size);
	wr_u8(w, (uint8_t)(a->port >> 8));
	wr_u8(w, (uint8_t)a->port);
}

void pairing_qr_text(const struct pairing_qr *qr, char out[PAIRING_QR_TEXT_SIZE])
{
	struct wr w = {0};
	assert(qr->count && qr->count <= PAIRING_QR_ADDRESSES_MAX);
	wr_u8(&w, QR_VERSION);
	wr_bytes(&w, qr->key_hash, sizeof qr->key_hash);
	wr_bytes(&w, qr->token, sizeof qr->token);
	wr_u8(&w, (uint8_t)qr->count);
	for (unsigned i = 0; i < qr->count; i++)
		put_address(&w, &qr->addresses[i]);
	out[0] = 0;
	if (wr_ok(&w)) {
		memcpy(out, prefix, PREFIX_SIZE);
		base32(w.data, w.size, out + PREFIX_SIZE);
	}
	crypto_zero(w.data, w.size);
	wr_free(&w);
}

static enum err read_address(struct rd *r, struct pairing_qr_address *a)
{
	uint8_t family, high, low;
	const uint8_t *ip;
	TRY(rd_u8(r, &family));
	if (family != 4 && family != 6)
		return ERR_MALFORMED;
	a->size = family == 4 ? 4 : 16;
	TRY(rd_bytes(r, a->size, &ip));
	memcpy(a->ip, ip, a->size);
	TRY(rd_u8(r, &high));
	TRY(rd_u8(r, &low));
	a->port = (uint16_t)(high << 8 | low);
	return a->port ? ERR_OK : ERR_MALFORMED;
}

static enum err read_record(struct rd *r, struct pairing_qr *out)
{
	const uint8_t *p;
	uint8_t version, count;
	TRY(rd_u8(r, &version));
	if (version != QR_VERSION)
		return ERR_UNSUPPORTED;
	TRY(rd_bytes(r, sizeof out->key_hash, &p));
	memcpy(out->key_hash, p, sizeof out->key_hash);
	TRY(rd_bytes(r, sizeof out->token, &p));
	memcpy(out->token, p, sizeof out->token);
	TRY(rd_u8(r, &count));
	if (!count || count > PAIRING_QR_ADDRESSES_MAX)
		return ERR_MALFORMED;
	for (; out->count < count; out->count++)
		TRY(read_address(r, &out->addresses[out->count]));
	return rd_left(r) ? ERR_MALFORMED : ERR_OK;
}

bool pairing_qr_is_text(const char *text)
{
	static const char name[] = "WASMOS:";
	while (isspace((unsigned char)*text))
		text++;
	for (size_t i = 0; i < sizeof name - 1; i++)
		if (toupper((unsigned char)text[i]) != name[i])
			return false;
	return true;
}

enum err pairing_qr_read(const char *text, struct pairing_qr *out, struct errmsg *msg)
{
	uint8_t bytes[BYTES_MAX];
	size_t size, count;
	memset(out, 0, sizeof *out);
	while (isspace((unsigned char)*text))
		text++;
	size = strlen(text);
	while (size && isspace((unsigned char)text[size - 1]))
		size--;
	if (!pairing_qr_is_text(text))
		return err_set(msg, ERR_USAGE, "this is no code that `wasmos pair` shows");
	if (size < PREFIX_SIZE || memcmp(text + 7, prefix + 7, 2) != 0)
		return err_set(msg, ERR_USAGE, "this code is of another version of WasmOS");
	enum err e = unbase32(text + PREFIX_SIZE, size - PREFIX_SIZE, bytes, &count)
	                 ? ERR_OK
	                 : ERR_MALFORMED;
	struct rd r = rd_of(bytes, e == ERR_OK ? count : 0);
	if (e == ERR_OK)
		e = read_record(&r, out);
	crypto_zero(bytes, sizeof bytes);
	if (e == ERR_OK)
		return ERR_OK;
	memset(out, 0, sizeof *out);
	return err_set(msg, ERR_USAGE, "this code is not whole: read it again");
}

void pairing_token(const uint8_t token[PAIRING_TOKEN_SIZE], char out[PAIRING_WORDS_SIZE])
{
	out[0] = 'Q'; /* no word has capitals */
	out[1] = 'R';
	base32(token, PAIRING_TOKEN_SIZE, out + 2);
}
