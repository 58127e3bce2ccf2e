/* pairing.c - the pairing machine: the desk, frames, and one function for each message.
 *
 * What is true in each state (private fields of struct pairing):
 *	WAIT_START   host; nothing is known, the desk is free or another's
 *	WAIT_REPLY   guest; cpace holds our scalar, share is ours
 *	WAIT_PROOF   host; holds_desk, key is set: leaving this state but by the right proof spends the code
 *	WAIT_NOISE2, WAIT_NOISE3   both proofs were right; noise is under way
 *	WAIT_DEVICE  guest; seal and open are set
 *	CONFIRM      peer is set and was shown to the user; said_yes and heard_yes collect the answers
 *	ENDED        secrets are zeroed, reason is set
 */
#include "proto/pairing.h"

#include "proto/pairing_qr.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const char channel[] = "WasmOS pairing";
static const uint8_t data_guest[] = {PAIRING_VERSION, 'g'};
static const uint8_t data_host[] = {PAIRING_VERSION, 'h'};

enum { SEED_SCALAR = 0, SEED_NOISE = CRYPTO_WIDE_SIZE, SEED_SESSION = 96 };
_Static_assert(SEED_SESSION + 16 <= PAIRING_SEED_SIZE, "seed size");

const char *pairing_reason_text(enum pairing_reason r)
{
	static const char *const texts[] = {
	    [PAIRING_OK] = "paired",
	    [PAIRING_NO_CODE] = "the other device shows no code, or it is used up or too old: run "
	                        "`wasmos pair` there for a new one",
	    [PAIRING_BUSY] = "the other device is pairing with another one: try again in a moment",
	    [PAIRING_WRONG] =
	        "the words are not the right ones; a code allows one guess: run `wasmos "
	        "pair` again for a new one",
	    [PAIRING_LOCKED] = "too many wrong words came from this address: the other device "
	                       "refuses it for ten minutes, unless its user names it: "
	                       "`wasmos pair --from ADDR`",
	    [PAIRING_DECLINED] = "the other side said no",
	    [PAIRING_BROKEN] = "the other side does not keep to the protocol",
	    [PAIRING_LATE] = "it took too long",
	    [PAIRING_SELF] = "this is the same device: the words belong on the other one",
	    [PAIRING_VERSIONS] = "the two devices run versions of WasmOS that cannot pair",
	    [PAIRING_UNWANTED] = "not paired",
	    [PAIRING_GONE] = "the connection was lost: try again with a new code",
	};
	return r < PAIRING_REASONS ? texts[r] : texts[PAIRING_BROKEN];
}

/* --- the desk --- */

enum err pairing_desk_open(struct pairing_desk *d, uint64_t now_ms,
                           const uint8_t random[PAIRING_RANDOM_SIZE], struct errmsg *msg)
{
	if (d->busy)
		return err_set(msg, ERR_BUSY, "a device is being paired right now");
	d->only[0] = 0;
	pairing_words(random, d->words);
	pairing_token(random + PAIRING_WORDS, d->token);
	d->until_ms = now_ms + PAIRING_CODE_MS;
	return ERR_OK;
}

void pairing_desk_close(struct pairing_desk *d)
{
	crypto_zero(d->words, sizeof d->words);
	crypto_zero(d->token, sizeof d->token);
	d->until_ms = 0;
}

bool pairing_desk_is_open(const struct pairing_desk *d, uint64_t now_ms)
{
	return d->words[0] && now_ms < d->until_ms;
}

/* The row of an address, or the one to use for it: one that is over, else the oldest. */
static unsigned desk_row(const struct pairing_desk *d, const char *from)
{
	unsigned oldest = 0;
	for (unsigned i = 0; i < PAIRING_STRANGERS; i++) {
		if (d->strangers[i].wrong && !strcmp(d->strangers[i].from, from))
			return i;
		if (d->strangers[i].at_ms < d->strangers[oldest].at_ms)
			oldest = i;
	}
	return oldest;
}

static void desk_spend(struct pairing_desk *d, const char *from, uint64_t now_ms)
{
	unsigned i = desk_row(d, from);
	pairing_desk_close(d);
	if (strcmp(d->strangers[i].from, from) != 0 ||
	    now_ms - d->strangers[i].at_ms >= PAIRING_LOCK_MS)
		d->strangers[i].wrong = 0;
	snprintf(d->strangers[i].from, PAIRING_FROM_SIZE, "%s", from);
	d->strangers[i].wrong++;
	d->strangers[i].at_ms = now_ms;
}

static bool desk_refuses(const struct pairing_desk *d, const char *from, uint64_t now_ms)
{
	unsigned i = desk_row(d, from);
	return !d->only[0] && !strcmp(d->strangers[i].from, from) &&
	       d->strangers[i].wrong >= PAIRING_WRONG_MAX &&
	       now_ms - d->strangers[i].at_ms < PAIRING_LOCK_MS;
}

const char *pairing_desk_locked(const struct pairing_desk *d, unsigned i, uint64_t now_ms,
                                uint64_t *left_ms)
{
	for (unsigned k = 0; k < PAIRING_STRANGERS; k++) {
		uint64_t ago = now_ms - d->strangers[k].at_ms;
		if (d->strangers[k].wrong < PAIRING_WRONG_MAX || ago >= PAIRING_LOCK_MS || i--)
			continue;
		*left_ms = PAIRING_LOCK_MS - ago;
		return d->strangers[k].from;
	}
	return NULL;
}

/* --- ends --- */

static void forget(struct pairing *p)
{
	crypto_zero(p->secret, sizeof p->secret);
	crypto_zero(p->seed, sizeof p->seed);
	crypto_zero(p->words, sizeof p->words);
	crypto_zero(p->key, sizeof p->key);
	crypto_zero(&p->seal, sizeof p->seal);
	crypto_zero(&p->open, sizeof p->open);
	cpace_end(&p->cpace);
	noise_end(&p->noise);
	wr_free(&p->in);
}

static void end_run(struct pairing *p, enum pairing_reason reason, uint64_t now_ms)
{
	if (p->state == PAIRING_ENDED)
		return;
	if (p->holds_desk) {
		p->desk->busy = false;
		if (p->state == PAIRING_WAIT_PROOF)
			desk_spend(p->desk, p->from, now_ms);
	}
	p->half = p->state == PAIRING_CONFIRM && p->said_yes && reason != PAIRING_OK &&
	          reason != PAIRING_DECLINED;
	p->holds_desk = false;
	p->state = PAIRING_ENDED;
	p->reason = reason;
	forget(p);
}

static void put_message(struct wr *out, enum msg type, const void *fields)
{
	size_t offset = out->size;
	wr_u16(out, 0);
	enum err e = msg_encode(out, type, fields, NULL);
	assert(e == ERR_OK || !wr_ok(out));
	(void)e;
	if (!wr_ok(out))
		return;
	size_t size = out->size - offset - 2;
	assert(size <= PAIRING_FRAME_MAX);
	out->data[offset] = (uint8_t)size;
	out->data[offset + 1] = (uint8_t)(size >> 8);
}

/* Tells the peer why, and ends. */
static void refuse(struct pairing *p, enum pairing_reason reason, uint64_t now_ms,
                   struct pairing_actions *act)
{
	struct msg_pair_refuse m = {.reason = (uint8_t)reason};
	if (p->state == PAIRING_ENDED)
		return;
	put_message(&act->send, MSG_PAIR_REFUSE, &m);
	act->end = true;
	end_run(p, reason, now_ms);
}

/* --- CPace --- */

static struct cpace_input input_of(const struct pairing *p)
{
	return (struct cpace_input){p->words,           strlen(p->words), channel,
	                            sizeof channel - 1, p->session,       sizeof p->session};
}

/* Our message and theirs; the guest is the initiator. */
static struct cpace_message message_of(const struct pairing *p, bool guests)
{
	return (struct cpace_message){guests == p->is_guest ? p->share : p->other,
	                              guests ? data_guest : data_host, sizeof data_guest};
}

static enum err agree(struct pairing *p, const uint8_t other[CPACE_SHARE_SIZE])
{
	struct cpace_input in = input_of(p);
	memcpy(p->other, other, CPACE_SHARE_SIZE);
	if (memcmp(p->other, p->share, CPACE_SHARE_SIZE) == 0)
		return ERR_AUTH;
	struct cpace_message a = message_of(p, true), b = message_of(p, false);
	enum err e = cpace_finish(&p->cpace, &in, &a, &b, p->is_guest ? &b : &a, p->key);
	cpace_end(&p->cpace);
	return e;
}

static void proof_of(const struct pairing *p, bool guests, uint8_t proof[CPACE_TAG_SIZE])
{
	struct cpace_input in = input_of(p);
	struct cpace_message m = message_of(p, guests);
	cpace_tag(proof, p->key, &in, &m);
}

static bool proof_is_right(const struct pairing *p, bool guests, const uint8_t *proof)
{
	uint8_t want[CPACE_TAG_SIZE];
	proof_of(p, guests, want);
	return crypto_equal(want, proof, sizeof want);
}

/* --- Noise under the agreed key --- */

static void noise_begin(struct pairing *p)
{
	static const char label[] = "WasmOS pairing psk";
	uint8_t psk[1][CRYPTO_KEY_SIZE];
	crypto_blake2b_keyed(psk[0], sizeof psk[0], p->key, sizeof p->key, label, sizeof label - 1);
	struct noise_config cfg = {.protocol = NOISE_XXPSK3,
	                           .initiator = p->is_guest,
	                           .prologue = p->session,
	                           .prologue_size = sizeof p->session,
	                           .secret = p->secret,
	                           .psks = (const uint8_t(*)[CRYPTO_KEY_SIZE])psk,
	                           .psk_count = 1};
	enum err e = noise_init(&p->noise, &cfg, NULL);
	assert(e == ERR_OK);
	(void)e;
	crypto_zero(psk, sizeof psk);
}

static enum err encode_self(const struct pairing *p, struct wr *out)
{
	struct wr items = {0};
	for (unsigned i = 0; i < p->self.address_count; i++) {
		struct msg_address a = {str_ref(p->self.addresses[i])};
		msg_item_address(&items, &a, NULL);
	}
	struct msg_pair_device m = {.name = str_ref(p->self.name),
	                            .addresses = list_of(&items, p->self.address_count)};
	enum err e = wr_ok(&items) ? msg_encode(out, MSG_PAIR_DEVICE, &m, NULL) : ERR_NOMEM;
	wr_free(&items);
	return e;
}

static enum err decode_peer(struct pairing *p, const uint8_t *bytes, size_t size)
{
	enum msg type;
	union msg_any any;
	struct msg_address a;
	TRY(msg_decode(bytes, size, &type, &any, NULL));
	if (type != MSG_PAIR_DEVICE || !any.pair_device.name.size)
		return ERR_MALFORMED;
	TRY(str_copy(any.pair_device.name, p->peer.name, sizeof p->peer.name));
	while (msg_next_address(&any.pair_device.addresses, &a)) {
		TRY(str_copy(a.text, p->peer.addresses[p->peer.address_count],
		             PAIRING_ADDRESS_SIZE));
		p->peer.address_count++;
	}
	return ERR_OK;
}

/* Writes our next Noise message into *out, with our device in it when payload. */
static enum err noise_out(struct pairing *p, bool payload, struct wr *out)
{
	struct wr self = {0};
	enum err e = payload ? encode_self(p, &self) : ERR_OK;
	if (e == ERR_OK)
		e = noise_write(&p->noise, p->seed + SEED_NOISE, self.data, self.size, out);
	wr_free(&self);
	return e;
}

/* Two digits of the handshake, which both have alike. */
static unsigned check_of(const struct noise *n)
{
	static const char label[] = "WasmOS pairing check";
	uint8_t hash[CRYPTO_HASH_SIZE];
	crypto_blake2b_keyed(hash, sizeof hash, n->hash, sizeof n->hash, label, sizeof label - 1);
	return (hash[0] | hash[1] << 8) % 100u;
}

/* A guest that scanned a picture knows whose key it is to be. */
static bool is_meant(const struct pairing *p)
{
	uint8_t hash[CRYPTO_HASH_SIZE];
	crypto_blake2b(hash, p->peer.key, sizeof p->peer.key);
	return !p->is_guest || !p->by_qr || crypto_equal(hash, p->key_hash, sizeof hash);
}

/* The handshake is through: the ciphers and the key the peer proved to hold. ERR_EXISTS: it is ours. */
static enum err noise_done(struct pairing *p)
{
	uint8_t own[CRYPTO_KEY_SIZE];
	memcpy(p->peer.key, noise_remote(&p->noise), CRYPTO_KEY_SIZE);
	p->check = check_of(&p->noise);
	if (!is_meant(p))
		return ERR_AUTH;
	noise_split(&p->noise, &p->seal, &p->open);
	noise_end(&p->noise);
	crypto_x25519_public(own, p->secret);
	return crypto_equal(own, p->peer.key, sizeof own) ? ERR_EXISTS : ERR_OK;
}

/* Seals one message into a PAIR_SEALED. */
static enum err put_sealed(struct pairing *p, const struct wr *inner, struct wr *out)
{
	struct wr box = {0};
	uint8_t *bytes = wr_space(&box, inner->size + CRYPTO_TAG_SIZE);
	enum err e = bytes ? noise_seal(&p->seal, inner->data, inner->size, bytes) : ERR_NOMEM;
	if (e == ERR_OK) {
		struct msg_pair_sealed m = {.box = bin_ref(box.data, box.size)};
		put_message(out, MSG_PAIR_SEALED, &m);
	}
	wr_free(&box);
	return e;
}

static enum err take_sealed(struct pairing *p, struct bin_ref box, struct wr *inner)
{
	if (box.size < CRYPTO_TAG_SIZE)
		return ERR_MALFORMED;
	uint8_t *bytes = wr_space(inner, box.size);
	if (!bytes)
		return ERR_NOMEM;
	TRY(noise_open(&p->open, box.p, box.size, bytes));
	inner->size -= CRYPTO_TAG_SIZE;
	return ERR_OK;
}

/* --- the messages, in their order --- */

static void ask(struct pairing *p, uint64_t now_ms, struct pairing_actions *act)
{
	p->state = PAIRING_CONFIRM;
	p->deadline_ms = now_ms + PAIRING_ASK_MS;
	act->ask = true;
}

/* host: may this guest guess? */
static enum pairing_reason admit(const struct pairing *p, const struct msg_pair_start *m,
                                 uint64_t now_ms)
{
	if (m->version != PAIRING_BY_WORDS && m->version != PAIRING_BY_QR)
		return PAIRING_VERSIONS;
	if (!pairing_desk_is_open(p->desk, now_ms) ||
	    (p->desk->only[0] && strcmp(p->desk->only, p->from) != 0))
		return PAIRING_NO_CODE;
	if (desk_refuses(p->desk, p->from, now_ms))
		return PAIRING_LOCKED;
	return p->desk->busy ? PAIRING_BUSY : PAIRING_OK;
}

static enum pairing_reason on_start(struct pairing *p, const struct msg_pair_start *m,
                                    uint64_t now_ms, struct pairing_actions *act)
{
	enum pairing_reason no = admit(p, m, now_ms);
	if (no != PAIRING_OK)
		return no;
	p->desk->busy = p->holds_desk = true;
	p->state = PAIRING_WAIT_PROOF;
	p->by_qr = m->version == PAIRING_BY_QR;
	memcpy(p->words, p->by_qr ? p->desk->token : p->desk->words, sizeof p->words);
	memcpy(p->session, m->session, sizeof p->session);
	struct cpace_input in = input_of(p);
	if (cpace_start(&p->cpace, &in, p->seed + SEED_SCALAR) != ERR_OK)
		return PAIRING_BROKEN;
	memcpy(p->share, p->cpace.share, sizeof p->share);
	if (agree(p, m->share) != ERR_OK)
		return PAIRING_BROKEN;
	struct msg_pair_reply reply;
	memcpy(reply.share, p->share, sizeof reply.share);
	proof_of(p, false, reply.proof);
	put_message(&act->send, MSG_PAIR_REPLY, &reply);
	return PAIRING_OK;
}

static enum pairing_reason on_reply(struct pairing *p, const struct msg_pair_reply *m,
                                    struct pairing_actions *act)
{
	struct wr noise = {0};
	if (agree(p, m->share) != ERR_OK)
		return PAIRING_BROKEN;
	if (!proof_is_right(p, false, m->proof))
		return PAIRING_WRONG;
	noise_begin(p);
	if (noise_out(p, false, &noise) != ERR_OK)
		return PAIRING_BROKEN;
	struct msg_pair_proof proof = {.noise = bin_ref(noise.data, noise.size)};
	proof_of(p, true, proof.proof);
	put_message(&act->send, MSG_PAIR_PROOF, &proof);
	wr_free(&noise);
	p->state = PAIRING_WAIT_NOISE2;
	return PAIRING_OK;
}

/* Takes a Noise message whose payload, if any, is the peer's device. */
static enum err noise_in(struct pairing *p, struct bin_ref bytes, struct wr *payload)
{
	return noise_read(&p->noise, bytes.p, bytes.size, payload);
}

static enum pairing_reason on_proof(struct pairing *p, const struct msg_pair_proof *m,
                                    struct pairing_actions *act)
{
	struct wr noise = {0}, payload = {0};
	if (!proof_is_right(p, true, m->proof))
		return PAIRING_WRONG;
	p->state = PAIRING_WAIT_NOISE3;
	pairing_desk_close(p->desk); /* used up */
	noise_begin(p);
	enum err e = noise_in(p, m->noise, &payload);
	if (e == ERR_OK && payload.size)
		e = ERR_MALFORMED;
	if (e == ERR_OK)
		e = noise_out(p, false, &noise);
	if (e == ERR_OK) {
		struct msg_pair_noise out = {.noise = bin_ref(noise.data, noise.size)};
		put_message(&act->send, MSG_PAIR_NOISE, &out);
	}
	wr_free(&payload);
	wr_free(&noise);
	return e == ERR_OK ? PAIRING_OK : PAIRING_BROKEN;
}

/* guest: message 2 came, message 3 goes out with our device in it. */
static enum pairing_reason on_noise2(struct pairing *p, const struct msg_pair_noise *m,
                                     struct pairing_actions *act)
{
	struct wr noise = {0}, payload = {0};
	enum err e = noise_in(p, m->noise, &payload);
	if (e == ERR_OK && payload.size)
		e = ERR_MALFORMED;
	if (e == ERR_OK)
		e = noise_out(p, true, &noise);
	if (e == ERR_OK) {
		struct msg_pair_noise out = {.noise = bin_ref(noise.data, noise.size)};
		put_message(&act->send, MSG_PAIR_NOISE, &out);
		e = noise_done(p);
		p->state = PAIRING_WAIT_DEVICE;
	}
	wr_free(&payload);
	wr_free(&noise);
	return e == ERR_OK ? PAIRING_OK : e == ERR_EXISTS ? PAIRING_SELF : PAIRING_BROKEN;
}

/* host: the guest's device came; ours goes out, and the user is asked. */
static enum pairing_reason on_noise3(struct pairing *p, const struct msg_pair_noise *m,
                                     uint64_t now_ms, struct pairing_actions *act)
{
	struct wr payload = {0}, self = {0};
	enum err e = noise_in(p, m->noise, &payload);
	if (e == ERR_OK)
		e = noise_done(p);
	if (e == ERR_OK)
		e = decode_peer(p, payload.data, payload.size);
	if (e == ERR_OK)
		e = encode_self(p, &self);
	if (e == ERR_OK)
		e = put_sealed(p, &self, &act->send);
	wr_free(&payload);
	wr_free(&self);
	if (e == ERR_OK)
		ask(p, now_ms, act);
	return e == ERR_OK ? PAIRING_OK : e == ERR_EXISTS ? PAIRING_SELF : PAIRING_BROKEN;
}

static void both_said_yes(struct pairing *p, struct pairing_actions *act)
{
	if (!p->said_yes || !p->heard_yes)
		return;
	act->add = act->end = true;
	end_run(p, PAIRING_OK, 0);
}

/* The other user's answer. */
static enum pairing_reason on_confirm(struct pairing *p, const struct wr *inner,
                                      struct pairing_actions *act)
{
	enum msg type;
	union msg_any any;
	if (msg_decode(inner->data, inner->size, &type, &any, NULL) != ERR_OK ||
	    type != MSG_PAIR_CONFIRM || p->heard_yes)
		return PAIRING_BROKEN;
	if (!any.pair_confirm.yes) {
		act->end = true;
		end_run(p, PAIRING_DECLINED, 0);
		return PAIRING_OK;
	}
	p->heard_yes = true;
	both_said_yes(p, act);
	return PAIRING_OK;
}

static enum pairing_reason on_sealed(struct pairing *p, const struct msg_pair_sealed *m,
                                     uint64_t now_ms, struct pairing_actions *act)
{
	struct wr inner = {0};
	enum pairing_reason no = PAIRING_OK;
	if (take_sealed(p, m->box, &inner) != ERR_OK)
		no = PAIRING_BROKEN;
	else if (p->state == PAIRING_CONFIRM)
		no = on_confirm(p, &inner, act);
	else if (decode_peer(p, inner.data, inner.size) != ERR_OK)
		no = PAIRING_BROKEN;
	else
		ask(p, now_ms, act);
	wr_free(&inner);
	return no;
}

static enum pairing_reason on_message(struct pairing *p, enum msg type, const union msg_any *any,
                                      uint64_t now_ms, struct pairing_actions *act)
{
	switch ((unsigned)p->state << 8 | type) {
	case PAIRING_WAIT_START << 8 | MSG_PAIR_START:
		return on_start(p, &any->pair_start, now_ms, act);
	case PAIRING_WAIT_REPLY << 8 | MSG_PAIR_REPLY: return on_reply(p, &any->pair_reply, act);
	case PAIRING_WAIT_PROOF << 8 | MSG_PAIR_PROOF: return on_proof(p, &any->pair_proof, act);
	case PAIRING_WAIT_NOISE2 << 8 | MSG_PAIR_NOISE: return on_noise2(p, &any->pair_noise, act);
	case PAIRING_WAIT_NOISE3 << 8 | MSG_PAIR_NOISE:
		return on_noise3(p, &any->pair_noise, now_ms, act);
	case PAIRING_WAIT_DEVICE << 8 | MSG_PAIR_SEALED:
	case PAIRING_CONFIRM << 8 | MSG_PAIR_SEALED:
		return on_sealed(p, &any->pair_sealed, now_ms, act);
	default: return PAIRING_BROKEN;
	}
}

static void on_frame(struct pairing *p, const uint8_t *frame, size_t size, uint64_t now_ms,
                     struct pairing_actions *act)
{
	enum msg type;
	union msg_any any;
	if (msg_decode(frame, size, &type, &any, NULL) != ERR_OK) {
		refuse(p, PAIRING_BROKEN, now_ms, act);
		return;
	}
	if (type == MSG_PAIR_REFUSE) {
		unsigned reason = any.pair_refuse.reason;
		act->end = true;
		if (p->state == PAIRING_CONFIRM)
			reason =
			    PAIRING_GONE; /* anyone on the way can write this: a no is sealed */
		end_run(p, reason && reason < PAIRING_UNWANTED ? reason : PAIRING_BROKEN, now_ms);
		return;
	}
	enum pairing_reason no = on_message(p, type, &any, now_ms, act);
	if (no != PAIRING_OK)
		refuse(p, no, now_ms, act);
}

/* --- events --- */

static void begin(struct pairing *p, const struct pairing_self *self, const uint8_t *seed,
                  uint64_t now_ms)
{
	memset(p, 0, sizeof *p);
	assert(self->device->name[0] && self->device->address_count <= PAIRING_ADDRESSES_MAX);
	p->self = *self->device;
	memcpy(p->secret, self->secret, sizeof p->secret);
	memcpy(p->seed, seed, sizeof p->seed);
	p->deadline_ms = now_ms + PAIRING_RUN_MS;
}

void pairing_host(struct pairing *p, struct pairing_desk *desk, const char *from,
                  const struct pairing_self *self, const uint8_t seed[PAIRING_SEED_SIZE],
                  uint64_t now_ms)
{
	begin(p, self, seed, now_ms);
	p->desk = desk;
	snprintf(p->from, sizeof p->from, "%s", from);
	p->state = PAIRING_WAIT_START;
}

/* p has begun. */
static enum err guest(struct pairing *p, const char *words, uint64_t now_ms,
                      struct pairing_actions *act)
{
	struct msg_pair_start m = {.version = p->by_qr ? PAIRING_BY_QR : PAIRING_BY_WORDS};
	p->is_guest = p->magic_seen = true;
	p->state = PAIRING_WAIT_REPLY;
	snprintf(p->words, sizeof p->words, "%s", words);
	memcpy(p->session, p->seed + SEED_SESSION, sizeof p->session);
	struct cpace_input in = input_of(p);
	enum err e = cpace_start(&p->cpace, &in, p->seed + SEED_SCALAR);
	if (e != ERR_OK) {
		end_run(p, PAIRING_BROKEN, now_ms);
		return e;
	}
	memcpy(p->share, p->cpace.share, sizeof p->share);
	memcpy(m.session, p->session, sizeof m.session);
	memcpy(m.share, p->share, sizeof m.share);
	wr_bytes(&act->send, PAIRING_MAGIC, PAIRING_MAGIC_SIZE);
	put_message(&act->send, MSG_PAIR_START, &m);
	return wr_ok(&act->send) ? ERR_OK : ERR_NOMEM;
}

enum err pairing_guest(struct pairing *p, const char *words, const struct pairing_self *self,
                       const uint8_t seed[PAIRING_SEED_SIZE], uint64_t now_ms,
                       struct pairing_actions *act)
{
	begin(p, self, seed, now_ms);
	return guest(p, words, now_ms, act);
}

enum err pairing_guest_qr(struct pairing *p, const struct pairing_qr *qr,
                          const struct pairing_self *self, const uint8_t seed[PAIRING_SEED_SIZE],
                          uint64_t now_ms, struct pairing_actions *act)
{
	char token[PAIRING_WORDS_SIZE];
	begin(p, self, seed, now_ms);
	p->by_qr = true;
	memcpy(p->key_hash, qr->key_hash, sizeof p->key_hash);
	pairing_token(qr->token, token);
	enum err e = guest(p, token, now_ms, act);
	crypto_zero(token, sizeof token);
	return e;
}

/* Takes whole frames off p->in; a frame may end the run, and p->in with it. */
static void take_frames(struct pairing *p, uint64_t now_ms, struct pairing_actions *act)
{
	size_t at = 0;
	while (p->state != PAIRING_ENDED && p->in.size - at >= 2) {
		size_t size = (size_t)(p->in.data[at] | p->in.data[at + 1] << 8);
		if (size > PAIRING_FRAME_MAX) {
			refuse(p, PAIRING_BROKEN, now_ms, act);
			return;
		}
		if (p->in.size - at - 2 < size)
			break;
		struct wr in = p->in; /* kept alive while its frame is read */
		p->in = (struct wr){0};
		on_frame(p, in.data + at + 2, size, now_ms, act);
		p->in = in;
		at += 2 + size;
	}
	if (p->state == PAIRING_ENDED) {
		wr_free(&p->in);
		return;
	}
	if (at > 0)
		memmove(p->in.data, p->in.data + at, p->in.size - at);
	p->in.size -= at;
}

static bool magic_is_right(struct pairing *p)
{
	if (p->magic_seen || p->in.size < PAIRING_MAGIC_SIZE)
		return true;
	if (memcmp(p->in.data, PAIRING_MAGIC, PAIRING_MAGIC_SIZE) != 0)
		return false;
	p->in.size -= PAIRING_MAGIC_SIZE;
	memmove(p->in.data, p->in.data + PAIRING_MAGIC_SIZE, p->in.size);
	p->magic_seen = true;
	return true;
}

void pairing_bytes(struct pairing *p, const uint8_t *bytes, size_t size, uint64_t now_ms,
                   struct pairing_actions *act)
{
	if (p->state == PAIRING_ENDED)
		return;
	wr_bytes(&p->in, bytes, size);
	if (!wr_ok(&p->in) || p->in.size > 4 * PAIRING_FRAME_MAX || !magic_is_right(p))
		refuse(p, PAIRING_BROKEN, now_ms, act);
	else if (p->magic_seen)
		take_frames(p, now_ms, act);
}

/* Seals the answer; a no ends the run, for the reason given. */
static void give_answer(struct pairing *p, bool yes, enum pairing_reason reason,
                        struct pairing_actions *act)
{
	struct msg_pair_confirm m = {.yes = yes};
	struct wr inner = {0};
	if (msg_encode(&inner, MSG_PAIR_CONFIRM, &m, NULL) != ERR_OK ||
	    put_sealed(p, &inner, &act->send) != ERR_OK) {
		refuse(p, PAIRING_BROKEN, 0, act);
	} else if (!yes) {
		act->end = true;
		end_run(p, reason, 0);
	} else {
		p->said_yes = true;
		both_said_yes(p, act);
	}
	wr_free(&inner);
}

void pairing_answer(struct pairing *p, bool yes, struct pairing_actions *act)
{
	if (p->state == PAIRING_CONFIRM && !p->said_yes)
		give_answer(p, yes, PAIRING_UNWANTED, act);
}

void pairing_tick(struct pairing *p, uint64_t now_ms, struct pairing_actions *act)
{
	if (p->state == PAIRING_ENDED || now_ms < p->deadline_ms)
		return;
	if (p->state == PAIRING_CONFIRM && !p->said_yes)
		give_answer(p, false, PAIRING_LATE, act);
	else
		refuse(p, PAIRING_LATE, now_ms, act);
}

void pairing_closed(struct pairing *p, uint64_t now_ms)
{
	end_run(p, PAIRING_GONE, now_ms);
}

void pairing_free(struct pairing *p, uint64_t now_ms)
{
	end_run(p, PAIRING_GONE, now_ms);
	forget(p);
}
