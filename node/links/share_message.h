/* share_message.h - the bytes of LINK_SERVICE_SHARE: the head of a call, and a device's list of shares. All of it is hostile.
 *
 *	u8 version 1, u8 kind, u64 session, then by kind the request (shares.h)
 *	list: u16 shares, each: u8 read-only, u16 size, name
 */
#pragma once

#include "base/bytes.h"
#include "node/links/shares.h"

enum share_kind { SHARE_LIST, SHARE_REQUEST, SHARE_FORGET };

struct share_head {
	enum share_kind kind;
	uint64_t session;
};

void share_head_put(struct wr *out, enum share_kind kind, uint64_t session);
/* What follows is left in *in. UNSUPPORTED: a version or kind that is not known here. */
enum err share_head_get(struct rd *in, struct share_head *out);

void share_list_begin(struct wr *out, uint32_t count);
void share_list_put(struct wr *out, const struct share_name *of);
/* Every name is fit, and there are SHARES_MAX at most. *out is free()d by the caller. Nothing may follow. */
enum err share_list_get(struct rd in, struct share_name **out, uint32_t *count);
