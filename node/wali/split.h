/* split.h - a family is parted in two: some of its processes become a family of their own, in place, while all stand.
 *
 * Both go on where they are; what makes them two is that each is then moved, kept and ended by itself (node/process/kin_split.h). What they had in common
 * becomes:
 *
 *	tasks                stand-ins on either side, joined by a kinship (kinship.h)
 *	a pipe between them  a connection, with the bytes that were in it; several writers need to be on one side
 *	an open file         a description for each, at the same offset: when that is harmless (read only, append, a folder, a device)
 *	a connection         goes with the processes that have it
 *	the lock             one for both, until one is elsewhere: they may share objects of files
 *
 * What cannot be parted is refused before anything has changed, with the name of what is shared. That all folders are of this device is looked
 * at before (kin_split.c).
 */
#pragma once

#include "base/err.h"

#include <stdint.h>

struct wali;

/* members: some that stand, as their whole family does; not all of it. key: SPACE_KEY_SIZE, the name of their network. UNSUPPORTED, LIMIT,
 * NOMEM: nothing has changed. */
enum err family_split(struct wali *const *members, uint32_t count, const uint8_t *key,
                      struct errmsg *msg);
