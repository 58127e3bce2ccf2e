/* pairing_qr.h - what a device that shows a pairing code tells by picture: the hash of its key, a one-time token, where it is. No I/O.
 *
 * The text is "WASMOS:1/" and base32 (RFC 4648, without padding), which a QR code holds in its dense alphanumeric mode:
 *
 *	u8 1, 32 bytes BLAKE2b-256 of the device's public key, 16 bytes token, u8 n (1..8),
 *	n times: u8 4 or 6, 4 or 16 bytes of IP address, u16 port (big-endian)
 *
 * The token takes the place of the three words (PAIRING_BY_QR in PAIR_START): who has seen the picture may guess once, and guesses
 * right. The hash tells who scans that it is really that device. Nothing by which the device could be found is made of either.
 *
 *	pairing_qr_text(&qr, text);                       // the device that shows it
 *	TRY(pairing_qr_read(scanned, &qr, &msg));         // the one that scanned it
 */
#pragma once

#include "base/crypto.h"
#include "proto/pairing.h"

enum {
	PAIRING_QR_ADDRESSES_MAX = 8,
	PAIRING_QR_TEXT_SIZE = 360, /* room for the longest text and a zero */
};

struct pairing_qr_address {
	uint8_t size; /* 4 or 16 */
	uint8_t ip[16];
	uint16_t port;
};

struct pairing_qr {
	uint8_t key_hash[CRYPTO_HASH_SIZE];
	uint8_t token[PAIRING_TOKEN_SIZE];
	struct pairing_qr_address addresses[PAIRING_QR_ADDRESSES_MAX];
	unsigned count;
};

void pairing_qr_text(const struct pairing_qr *qr, char out[PAIRING_QR_TEXT_SIZE]);
/* Any case; spaces around it are passed over. ERR_USAGE: no such text. */
enum err pairing_qr_read(const char *text, struct pairing_qr *out, struct errmsg *msg);
/* Does it begin as such a text does? */
bool pairing_qr_is_text(const char *text);
/* The token as a password, in place of the words. */
void pairing_token(const uint8_t token[PAIRING_TOKEN_SIZE], char out[PAIRING_WORDS_SIZE]);
