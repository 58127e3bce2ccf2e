/* shares.h - folders that this device shares with the devices of its system, and those of the others (part "shares").
 *
 * A share is a folder and a name, kept in the store (table SETTINGS, "share/NAME"). Every device of the system may use it, one that
 * is "files only" too, as its flag says: read-only or not. A program reaches all of them below the mount /net (net_files.h).
 *
 * Calls of service LINK_SERVICE_SHARE: u8 version 1, u8 kind, u64 session, then by kind:
 *	LIST      nothing                      -> u16 shares, each: u8 read-only, u16 size, name
 *	REQUEST   a request of vfs/fsmsg.h     -> its answer; a share is the mount share_number(name)
 *	FORGET    nothing: the session is over
 * A session is a number that the asker drew: what it opened is its own. At most SHARE_SESSIONS_MAX of a device are kept; the one that
 * was not used for longest goes first, and so do all when the list of shares changes: the asker then opens its files again, by path
 * and file id. Requests run on the thread pool.
 *
 * Who asks from here: any thread but the loop's, and this device's own shares in the same way, without a link.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"
#include "node/links/device.h"

#include <stdbool.h>
#include <stdint.h>

struct net_cache;
struct node;
struct shares;

enum {
	SHARES_MAX = 64,
	SHARE_NAME_MAX = 63,
	SHARE_SESSIONS_MAX = 32, /* of one device */
};

/* A device of the system as a folder of /net. */
struct share_device {
	uint8_t id[DEVICE_ID_SIZE];
	char name[DEVICE_NAME_MAX + 1];
};

struct share_name {
	char name[SHARE_NAME_MAX + 1];
	bool read_only;
};

/* Letters, digits, ".", "-" and "_", a name on every system. */
bool share_name_is_fit(const char *name);
/* Never 0, below 2^31. */
uint32_t share_number(const char *name);

/* The part outlives the node's loop while somebody refers to it. Any thread. */
struct shares *shares_ref(struct shares *s);
void shares_unref(struct shares *s);
/* This device and those it is paired with, free()d by the caller. CLOSED: the node goes down. */
enum err shares_devices(struct shares *s, struct share_device **out, uint32_t *count);
/* What a device shares, free()d by the caller. */
enum err shares_of(struct shares *s, const uint8_t device[DEVICE_ID_SIZE], struct share_name **out,
                   uint32_t *count);
/* A request of vfs/fsmsg.h and its answer, appended. CLOSED: the device is not linked. */
enum err shares_request(struct shares *s, const uint8_t device[DEVICE_ID_SIZE], uint64_t session,
                        const uint8_t *request, size_t size, struct wr *answer);
/* The same without waiting, of another device: fn is called once, later, on the loop or (CLOSED) as the node goes down. An error: it never is. */
typedef void (*share_answer_fn)(void *arg, enum err e, const uint8_t *answer, size_t size);
enum err shares_post(struct shares *s, const uint8_t device[DEVICE_ID_SIZE], uint64_t session,
                     const uint8_t *request, size_t size, share_answer_fn fn, void *arg);
/* Whether it is this device. */
bool shares_is_own(const struct shares *s, const uint8_t device[DEVICE_ID_SIZE]);
/* What other devices said, for when they are away. */
struct net_cache *shares_cache(struct shares *s);
/* Nothing of the session is needed any more. */
void shares_forget(struct shares *s, const uint8_t device[DEVICE_ID_SIZE], uint64_t session);
