/* os_copy.h - copies of memory that share pages with what they were copied from, until either side writes to them: for a fork.
 *
 * Where the system can (os_copy_linux.c) the pages of a source that is large go once into a file without a name, of which the source and
 * its copies have private mappings from then on. A copy then costs what the source has written since. Elsewhere, and of little memory, a
 * copy is a copy, of the pages that are not zero.
 *
 * A struct os_copied belongs to one range, and to its owner's thread; while a range is copied nothing writes to it.
 *
 *	struct os_copied *mine = NULL, *theirs = NULL;
 *	TRY(os_copy(base, &mine, os_reserve(max), &theirs, size, true));
 *	os_release(base, max);
 *	os_copied_free(mine);
 */
#pragma once

#include "base/os.h"

struct os_copied;

/* from: committed. to: of a reservation, nothing of it committed yet; afterwards size_bytes of it are. may_share: the pages of from may be
 * mapped anew, which is not to be done while they are tracked (os_track_start()). Sizes are multiples of os_page_size(). NOMEM. */
enum err os_copy(uint8_t *from, struct os_copied **from_copied, uint8_t *to,
                 struct os_copied **to_copied, size_t size_bytes, bool may_share);
/* After the range was released. NULL: nothing. */
void os_copied_free(struct os_copied *c);

/* os_copy.c: of each page that is not zero a copy, into committed memory that is. */
void os_copy_pages(const uint8_t *from, uint8_t *to, size_t size_bytes);
