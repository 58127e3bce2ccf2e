/* os_copy_windows.c - os_copy.h on Windows: every copy is one. A section's view would share pages, but a range that was reserved as memory
 * cannot become one. */
#include "base/os_copy.h"

enum err os_copy(uint8_t *from, struct os_copied **from_copied, uint8_t *to,
                 struct os_copied **to_copied, size_t size_bytes, bool may_share)
{
	enum err e = os_commit(to, size_bytes);
	if (e == ERR_OK)
		os_copy_pages(from, to, size_bytes);
	return e;
}

void os_copied_free(struct os_copied *c)
{
}
