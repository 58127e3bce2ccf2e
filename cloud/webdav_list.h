/* webdav_list.h - what a PROPFIND answers (RFC 4918, section 9.1), read. Hostile bytes.
 *
 *	TRY(webdav_list(body, size, "/dav/photos", on_item, &list, &msg));
 */
#pragma once

#include "cloud/driver.h"

/* folder: the path that was asked for, in plain bytes, without a slash at its end. emit gets "" for the folder itself, and the name of
 * each child; what lies elsewhere is passed over. folder NULL: what is first in the answer is called "". */
enum err webdav_list(const void *bytes, size_t size, const char *folder, cloud_list_fn emit,
                     void *ctx, struct errmsg *msg);
