/* pairing.h - how two devices become known to each other by three words. Events in, actions out.
 *
 * The host shows a code; the guest's user types it. The words are the password of CPace: who does not
 * know them learns from one run only whether one guess was right, and a run that does not end in the
 * right proof spends the code. The key that comes out is the shared key of a Noise XXpsk3 handshake,
 * in which both prove to hold their device keys; under it they tell each other name and addresses, and
 * both users are asked whether they mean that device, and shown two digits made of the handshake, which are the same on both. A
 * code is shown as words and as a picture (proto/pairing_qr.h), whose token is the password instead. No I/O, no clock, no randomness: bytes, time and
 * seeds are passed in. Followed: draft-irtf-cfrg-cpace (proto/cpace.h), Noise revision 34.
 *
 *	guest                                                         host
 *	  PAIR_START   session, share ------------------------------>   the code is spent from here on,
 *	               <------------------------ PAIR_REPLY   share, proof   unless the right proof comes
 *	  PAIR_PROOF   proof; Noise message 1 ---------------------->   right: the code is used up
 *	               <--------------------------- PAIR_NOISE   message 2
 *	  PAIR_NOISE   message 3 with PAIR_DEVICE ------------------>
 *	               <----------------------- PAIR_SEALED   PAIR_DEVICE
 *	  PAIR_SEALED  PAIR_CONFIRM yes <---- both users say yes ---->  PAIR_SEALED   PAIR_CONFIRM yes
 *
 * Every message is a frame: u16 size (little-endian) and the message; the guest writes PAIRING_MAGIC
 * first. Either side may send PAIR_REFUSE with a reason and close.
 *
 *	pairing_desk_open(&desk, now_ms, random, words)      // host: the code to show
 *	pairing_host(&p, &desk, &me, seed);                  // for each caller
 *	pairing_guest(&p, words, &me, seed, &actions);       // guest
 *	pairing_bytes(&p, bytes, size, now_ms, &actions);    // then do what the actions say
 */
#pragma once

#include "base/crypto.h"
#include "proto/cpace.h"
#include "proto/message.h"
#include "proto/noise.h"

#define PAIRING_MAGIC "WOSP"

enum {
	PAIRING_MAGIC_SIZE = 4,
	PAIRING_VERSION = 1,
	PAIRING_BY_WORDS = 1, /* PAIR_START's version: what the password is */
	PAIRING_BY_QR = 2,    /* the token of proto/pairing_qr.h */
	PAIRING_WORDS = 3,
	PAIRING_TOKEN_SIZE = 16,
	PAIRING_RANDOM_SIZE = PAIRING_WORDS + PAIRING_TOKEN_SIZE, /* what a code is made of */
	PAIRING_WORDS_SIZE = 32, /* room for the words with spaces and a zero */
	PAIRING_SEED_SIZE = 128,
	PAIRING_FRAME_MAX = 4096,
	PAIRING_NAME_MAX = 63,
	PAIRING_ADDRESSES_MAX = 16,
	PAIRING_ADDRESS_SIZE = 80,
	PAIRING_CODE_MS = 180 * 1000, /* how long a code is good */
	PAIRING_RUN_MS = 30 * 1000,   /* for the exchange up to the question */
	PAIRING_ASK_MS = 120 * 1000,  /* for the users' answers */
	PAIRING_WRONG_MAX = 5,        /* wrong words from one address before it is refused */
	PAIRING_LOCK_MS = 600 * 1000, /* and for how long */
	PAIRING_FROM_SIZE = 64,
	PAIRING_STRANGERS = 16, /* addresses whose wrong words are remembered */
};

/* Why a pairing ended, on the wire and for people. */
enum pairing_reason {
	PAIRING_OK,
	PAIRING_NO_CODE,  /* the host shows none, or it is spent or too old */
	PAIRING_BUSY,     /* another guest is being served */
	PAIRING_WRONG,    /* the words are not the right ones; the code is spent */
	PAIRING_LOCKED,   /* too many wrong words from this address */
	PAIRING_DECLINED, /* the other user said no */
	PAIRING_BROKEN,   /* bytes that break the rules */
	PAIRING_LATE,     /* took too long */
	PAIRING_SELF,     /* both are the same device */
	PAIRING_VERSIONS, /* the two cannot talk */
	PAIRING_UNWANTED, /* our own user said no; never sent */
	PAIRING_GONE,     /* the connection was lost; never sent */
	PAIRING_REASONS
};
/* One sentence for the user. Never NULL. */
const char *pairing_reason_text(enum pairing_reason r);

/* --- words --- */

/* Makes a code from random bytes: "acorn-badge-copper". */
void pairing_words(const uint8_t random[PAIRING_WORDS], char out[PAIRING_WORDS_SIZE]);
/* What a person typed, in its one spelling: any case, parted by spaces, '-', '.' or ',', words
 * cut to their first three letters or more. ERR_USAGE: not three of our words; msg says which. */
enum err pairing_words_read(const char *typed, char out[PAIRING_WORDS_SIZE], struct errmsg *msg);

/* --- the desk: the host's one code, and who may still guess ---
 *
 * Any stranger who reaches the port can spend a code by guessing wrong: that is the price of one guess a code.
 * So that it cannot go on for ever, an address that was wrong five times is refused for ten minutes without a
 * guess; and the user may name the one address that guesses are taken from. */

struct pairing_desk {
	char words[PAIRING_WORDS_SIZE]; /* "" when there is no code */
	char token[PAIRING_WORDS_SIZE]; /* the same code as a picture; void with the words */
	uint64_t until_ms;              /* the code's end */
	bool busy;                      /* a guest is being served */
	char only
	    [PAIRING_FROM_SIZE]; /* guesses come from there, wrong ones or not; "": from anywhere */
	struct {
		char from[PAIRING_FROM_SIZE];
		unsigned wrong;
		uint64_t at_ms; /* of the last wrong words */
	} strangers[PAIRING_STRANGERS];
};

/* Makes a new code, in place of an older one, for guests from anywhere. ERR_BUSY while a guest is being served. */
enum err pairing_desk_open(struct pairing_desk *d, uint64_t now_ms,
                           const uint8_t random[PAIRING_RANDOM_SIZE], struct errmsg *msg);
/* The i-th address that is refused now for its wrong words, and for how long; NULL: no more. */
const char *pairing_desk_locked(const struct pairing_desk *d, unsigned i, uint64_t now_ms,
                                uint64_t *left_ms);
void pairing_desk_close(struct pairing_desk *d);
/* A code is shown and still good. */
bool pairing_desk_is_open(const struct pairing_desk *d, uint64_t now_ms);

/* --- one run --- */

struct pairing_device {
	uint8_t key[CRYPTO_KEY_SIZE];
	char name[PAIRING_NAME_MAX + 1];
	char addresses[PAIRING_ADDRESSES_MAX][PAIRING_ADDRESS_SIZE]; /* "HOST:PORT" */
	unsigned address_count;
};

/* Who we are; the secret key is copied and forgotten at the end. */
struct pairing_self {
	const uint8_t *secret; /* CRYPTO_KEY_SIZE */
	const struct pairing_device *device;
};

/* What the caller has to do now, in this order. */
struct pairing_actions {
	struct wr send; /* bytes for the peer; the caller frees or clears */
	bool ask;       /* ask the user about p->peer, then call pairing_answer() */
	bool add;       /* store p->peer: both said yes */
	bool end; /* close the connection once the bytes are out; p->reason says how it went */
};

enum pairing_state {
	PAIRING_WAIT_START, /* host */
	PAIRING_WAIT_REPLY, /* guest */
	PAIRING_WAIT_PROOF, /* host */
	PAIRING_WAIT_NOISE2,
	PAIRING_WAIT_NOISE3,
	PAIRING_WAIT_DEVICE, /* guest */
	PAIRING_CONFIRM,     /* both: two answers are awaited */
	PAIRING_ENDED
};

struct pairing {
	enum pairing_state state;
	enum pairing_reason reason; /* when PAIRING_ENDED */
	struct pairing_device peer; /* from PAIRING_CONFIRM on */
	unsigned
	    check;  /* likewise: 0 to 99, the same on both devices if nobody stands between them */
	bool by_qr; /* not by words */
	/* PAIRING_ENDED: our user said yes, and the other's answer did not come. It may have been yes, and then the
	 * other side has us: whoever proves to hold peer's key may be added without a further question. */
	bool half;
	/* private */
	bool is_guest, holds_desk, magic_seen, said_yes, heard_yes;
	struct pairing_desk *desk; /* host */
	char from[PAIRING_FROM_SIZE];
	struct pairing_device self;
	uint8_t secret[CRYPTO_KEY_SIZE];
	uint8_t seed[PAIRING_SEED_SIZE];
	char words[PAIRING_WORDS_SIZE];
	uint8_t key_hash[CRYPTO_HASH_SIZE]; /* guest by_qr: the key that the host must have */
	uint8_t session[16], share[CPACE_SHARE_SIZE], other[CPACE_SHARE_SIZE]; /* ours, theirs */
	uint8_t key[CPACE_KEY_SIZE];
	struct cpace cpace;
	struct noise noise;
	struct noise_cipher seal, open;
	struct wr in; /* bytes of an unfinished frame */
	uint64_t deadline_ms;
};

/* seed: fresh random bytes. desk outlives p. from: the caller's address, without a port. */
void pairing_host(struct pairing *p, struct pairing_desk *desk, const char *from,
                  const struct pairing_self *self, const uint8_t seed[PAIRING_SEED_SIZE],
                  uint64_t now_ms);
/* words as from pairing_words_read(). */
enum err pairing_guest(struct pairing *p, const char *words, const struct pairing_self *self,
                       const uint8_t seed[PAIRING_SEED_SIZE], uint64_t now_ms,
                       struct pairing_actions *act);
struct pairing_qr;
/* Likewise, by what was scanned. */
enum err pairing_guest_qr(struct pairing *p, const struct pairing_qr *qr,
                          const struct pairing_self *self, const uint8_t seed[PAIRING_SEED_SIZE],
                          uint64_t now_ms, struct pairing_actions *act);
/* Bytes came. */
void pairing_bytes(struct pairing *p, const uint8_t *bytes, size_t size, uint64_t now_ms,
                   struct pairing_actions *act);
/* The user's answer about p->peer. */
void pairing_answer(struct pairing *p, bool yes, struct pairing_actions *act);
/* Time passed: call at least once a second. */
void pairing_tick(struct pairing *p, uint64_t now_ms, struct pairing_actions *act);
/* The connection is gone. A host's code is spent if the guest had its guess. */
void pairing_closed(struct pairing *p, uint64_t now_ms);
/* Forgets everything; ends the run if it was not over. */
void pairing_free(struct pairing *p, uint64_t now_ms);
