/* secure.c - framing and the states of a stream.
 *
 *	SECURE_HELLO   listener: the magic and the first handshake message are awaited
 *	SECURE_WAIT    dialer: the answer is awaited
 *	SECURE_DECIDE  listener: the caller's key is known, secure_accept() is awaited; no bytes are taken
 *	SECURE_RUNS    noise is forgotten, the ciphers work
 *	               renewing: dialer, its second handshake waits for an answer
 *	               turning: the new key of what the dialer sends is there; dialer: to be used after secure_turn(), listener: after the mark
 *	SECURE_DEAD    everything is forgotten
 */
#include "proto/secure.h"

#include <assert.h>
#include <string.h>

static const char prologue[] = "WasmOS link 1", prologue_renew[] = "WasmOS link anew";

/* First bytes of plaintext that are not the caller's. */
enum { MARK_HANDSHAKE = SECURE_MARKS, MARK_TURN = SECURE_MARKS + 1 };

static enum err begin(struct noise *n, const char *pro, const uint8_t *secret, const uint8_t *peer,
                      bool dialer)
{
	struct noise_config cfg = {.protocol = NOISE_IK,
	                           .initiator = dialer,
	                           .prologue = pro,
	                           .prologue_size = strlen(pro),
	                           .secret = secret,
	                           .remote = peer};
	return noise_init(n, &cfg, NULL);
}

static enum err start(struct secure *s, const uint8_t *secret, const uint8_t *peer, bool dialer)
{
	memset(s, 0, sizeof *s);
	s->state = dialer ? SECURE_WAIT : SECURE_HELLO;
	s->dialer = dialer;
	return begin(&s->noise, prologue, secret, peer, dialer);
}

/* Sets the size of the frame that begins at offset, now that it is written. */
static enum err frame_close(struct wr *out, size_t offset)
{
	if (!wr_ok(out))
		return ERR_NOMEM;
	size_t size = out->size - offset - SECURE_HEAD_SIZE;
	assert(size <= NOISE_MAX_SIZE);
	out->data[offset] = (uint8_t)size;
	out->data[offset + 1] = (uint8_t)(size >> 8);
	return ERR_OK;
}

static enum err write_handshake(struct secure *s, const uint8_t *random, struct wr *out)
{
	size_t offset = out->size;
	wr_u16(out, 0);
	TRY(noise_write(&s->noise, random, NULL, 0, out));
	return frame_close(out, offset);
}

void secure_listen(struct secure *s, const uint8_t secret[CRYPTO_KEY_SIZE])
{
	enum err e = start(s, secret, NULL, false);
	assert(e == ERR_OK);
	(void)e;
}

enum err secure_dial(struct secure *s, const uint8_t secret[CRYPTO_KEY_SIZE],
                     const uint8_t peer[CRYPTO_KEY_SIZE], const uint8_t random[CRYPTO_KEY_SIZE],
                     struct wr *out)
{
	TRY(start(s, secret, peer, true));
	memcpy(s->peer, peer, CRYPTO_KEY_SIZE);
	wr_bytes(out, SECURE_MAGIC, SECURE_MAGIC_SIZE);
	enum err e = write_handshake(s, random, out);
	if (e != ERR_OK)
		secure_end(s);
	return e;
}

/* The handshake is through: keep the ciphers only. */
static void open_stream(struct secure *s)
{
	noise_split(&s->noise, &s->send, &s->receive);
	noise_end(&s->noise);
	s->state = SECURE_RUNS;
}

enum err secure_accept(struct secure *s, const uint8_t random[CRYPTO_KEY_SIZE], struct wr *out)
{
	if (s->state != SECURE_DECIDE)
		return ERR_STATE;
	enum err e = write_handshake(s, random, out);
	if (e == ERR_OK)
		open_stream(s);
	else
		secure_end(s);
	return e;
}

const uint8_t *secure_peer(const struct secure *s)
{
	return s->peer;
}

static void cipher_step(struct noise_cipher *c)
{
	if (c->counter % SECURE_REKEY_FRAMES == 0)
		noise_rekey(c);
}

static enum err take_handshake(struct secure *s, const uint8_t *frame, size_t size,
                               enum secure_event *event)
{
	struct wr payload = {0};
	enum err e = noise_read(&s->noise, frame, size, &payload);
	if (e == ERR_OK && payload.size)
		e = ERR_MALFORMED;
	wr_free(&payload);
	TRY(e);
	if (s->state == SECURE_WAIT) {
		open_stream(s);
		*event = SECURE_OPEN;
		return ERR_OK;
	}
	memcpy(s->peer, noise_remote(&s->noise), CRYPTO_KEY_SIZE);
	s->state = SECURE_DECIDE;
	*event = SECURE_CALLER;
	return ERR_OK;
}

/* --- keys anew --- */

static enum err take_answer(struct secure *s, const uint8_t *p, size_t size)
{
	struct wr payload = {0};
	enum err e = noise_read(&s->noise, p, size, &payload);
	if (e == ERR_OK && payload.size)
		e = ERR_MALFORMED;
	wr_free(&payload);
	TRY(e);
	noise_split(&s->noise, &s->next, &s->receive);
	noise_end(&s->noise);
	s->renewing = false;
	s->turning = true;
	return ERR_OK;
}

static enum err take_turn(struct secure *s)
{
	s->receive = s->next;
	crypto_zero(&s->next, sizeof s->next);
	s->turning = false;
	return ERR_OK;
}

/* Plaintext of a frame that begins with a mark. */
static enum err take_mark(struct secure *s, uint8_t *p, size_t size, enum secure_event *event,
                          uint8_t **data, size_t *data_size)
{
	if (p[0] == MARK_TURN)
		return s->dialer || !s->turning || size != 1 ? ERR_MALFORMED : take_turn(s);
	if (s->dialer) {
		*event = SECURE_TURN;
		return s->renewing ? take_answer(s, p + 1, size - 1) : ERR_MALFORMED;
	}
	*event = SECURE_RENEW;
	*data = p + 1;
	*data_size = size - 1;
	return ERR_OK;
}

static enum err take_sealed(struct secure *s, uint8_t *frame, size_t size, enum secure_event *event,
                            uint8_t **data, size_t *data_size)
{
	if (size < CRYPTO_TAG_SIZE)
		return ERR_MALFORMED;
	TRY(noise_open(&s->receive, frame, size, frame));
	cipher_step(&s->receive);
	if (size == CRYPTO_TAG_SIZE) {
		noise_rekey(&s->receive);
		return ERR_OK;
	}
	if (frame[0] == MARK_HANDSHAKE || frame[0] == MARK_TURN)
		return take_mark(s, frame, size - CRYPTO_TAG_SIZE, event, data, data_size);
	*data = frame;
	*data_size = size - CRYPTO_TAG_SIZE;
	*event = SECURE_DATA;
	return ERR_OK;
}

/* Steps over the magic; *used is 0 while it is not whole. Wrong bytes are told at once. */
static enum err take_magic(struct secure *s, const uint8_t *bytes, size_t size, size_t *used)
{
	size_t n = size < SECURE_MAGIC_SIZE ? size : SECURE_MAGIC_SIZE;
	if (memcmp(bytes, SECURE_MAGIC, n))
		return ERR_MALFORMED;
	if (n == SECURE_MAGIC_SIZE) {
		s->magic_seen = true;
		*used = n;
	}
	return ERR_OK;
}

static enum err next(struct secure *s, uint8_t *bytes, size_t size, size_t *used,
                     enum secure_event *event, uint8_t **data, size_t *data_size)
{
	if (s->state == SECURE_HELLO && !s->magic_seen)
		TRY(take_magic(s, bytes, size, used));
	if ((s->state == SECURE_HELLO && !s->magic_seen) || size - *used < SECURE_HEAD_SIZE)
		return ERR_OK;
	uint8_t *head = bytes + *used;
	size_t frame_size = (size_t)(head[0] | head[1] << 8);
	if (s->state != SECURE_RUNS && frame_size > SECURE_HANDSHAKE_MAX)
		return ERR_MALFORMED;
	if (size - *used - SECURE_HEAD_SIZE < frame_size)
		return ERR_OK;
	*used += SECURE_HEAD_SIZE + frame_size;
	if (s->state == SECURE_RUNS)
		return take_sealed(s, head + SECURE_HEAD_SIZE, frame_size, event, data, data_size);
	return take_handshake(s, head + SECURE_HEAD_SIZE, frame_size, event);
}

enum err secure_next(struct secure *s, uint8_t *bytes, size_t size, size_t *used,
                     enum secure_event *event, uint8_t **data, size_t *data_size)
{
	*used = 0;
	*event = SECURE_MORE;
	if (s->state == SECURE_DEAD || s->state == SECURE_DECIDE)
		return ERR_STATE;
	enum err e = next(s, bytes, size, used, event, data, data_size);
	if (e != ERR_OK)
		secure_end(s);
	return e;
}

static enum err seal(struct secure *s, const void *head, size_t head_size, const void *body,
                     size_t body_size, struct wr *out)
{
	size_t offset = out->size, size = head_size + body_size;
	wr_u16(out, 0);
	wr_bytes(out, head, head_size);
	wr_bytes(out, body, body_size);
	if (!wr_space(out, CRYPTO_TAG_SIZE))
		return ERR_NOMEM;
	uint8_t *p = out->data + offset + SECURE_HEAD_SIZE;
	TRY(noise_seal(&s->send, p, size, p));
	cipher_step(&s->send);
	return frame_close(out, offset);
}

enum err secure_send(struct secure *s, const void *head, size_t head_size, const void *body,
                     size_t body_size, struct wr *out)
{
	if (s->state != SECURE_RUNS)
		return ERR_STATE;
	assert(head_size + body_size > 0 && head_size + body_size <= SECURE_PLAIN_MAX);
	assert((*(const uint8_t *)(head_size ? head : body) | 1) != MARK_TURN);
	return seal(s, head, head_size, body, body_size, out);
}

enum err secure_rekey(struct secure *s, struct wr *out)
{
	if (s->state != SECURE_RUNS)
		return ERR_STATE;
	TRY(seal(s, NULL, 0, NULL, 0, out));
	noise_rekey(&s->send);
	return ERR_OK;
}

/* The next message of n's handshake, as a frame. */
static enum err send_handshake(struct secure *s, struct noise *n, const uint8_t *random,
                               struct wr *out)
{
	static const uint8_t mark = MARK_HANDSHAKE;
	struct wr message = {0};
	enum err e = noise_write(n, random, NULL, 0, &message);
	if (e == ERR_OK)
		e = seal(s, &mark, 1, message.data, message.size, out);
	wr_free(&message);
	return e;
}

enum err secure_renew(struct secure *s, const uint8_t secret[CRYPTO_KEY_SIZE],
                      const uint8_t peer[CRYPTO_KEY_SIZE], const uint8_t random[CRYPTO_KEY_SIZE],
                      struct wr *out)
{
	if (s->state != SECURE_RUNS || !s->dialer || s->turning)
		return ERR_STATE;
	noise_end(&s->noise);
	TRY(begin(&s->noise, prologue_renew, secret, peer, true));
	s->renewing = true;
	return send_handshake(s, &s->noise, random, out);
}

static enum err read_renewal(struct noise *n, const uint8_t *peer, const uint8_t *data, size_t size)
{
	struct wr payload = {0};
	enum err e = noise_read(n, data, size, &payload);
	if (e == ERR_OK && payload.size)
		e = ERR_MALFORMED;
	wr_free(&payload);
	TRY(e);
	return crypto_equal(noise_remote(n), peer, CRYPTO_KEY_SIZE) ? ERR_OK : ERR_AUTH;
}

enum err secure_answer(struct secure *s, const uint8_t secret[CRYPTO_KEY_SIZE],
                       const uint8_t peer[CRYPTO_KEY_SIZE], const uint8_t random[CRYPTO_KEY_SIZE],
                       const uint8_t *data, size_t size, struct wr *out)
{
	struct noise n;
	if (s->state != SECURE_RUNS || s->dialer || s->turning)
		return ERR_STATE;
	enum err e = begin(&n, prologue_renew, secret, NULL, false);
	if (e == ERR_OK)
		e = read_renewal(&n, peer, data, size);
	if (e == ERR_OK)
		e = send_handshake(s, &n, random, out);
	if (e == ERR_OK) {
		noise_split(&n, &s->send, &s->next);
		memcpy(s->peer, peer, CRYPTO_KEY_SIZE);
		s->turning = true;
	}
	noise_end(&n);
	return e;
}

enum err secure_turn(struct secure *s, struct wr *out)
{
	static const uint8_t mark = MARK_TURN;
	if (s->state != SECURE_RUNS || !s->dialer || !s->turning)
		return ERR_STATE;
	TRY(seal(s, &mark, 1, NULL, 0, out));
	s->send = s->next;
	crypto_zero(&s->next, sizeof s->next);
	s->turning = false;
	return ERR_OK;
}

void secure_end(struct secure *s)
{
	crypto_zero(s, sizeof *s);
	s->state = SECURE_DEAD;
}
