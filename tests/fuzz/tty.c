/* tty.c - fuzzes a terminal's saved state: any bytes are refused, or make a terminal that writes the same bytes. */
#include "node/terminal/tty.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd in = rd_of(data, size);
	struct tty_hooks hooks = {0};
	struct errmsg msg;
	struct tty *t;
	struct wr w = {0};
	if (tty_load(&in, &hooks, &t, &msg) != ERR_OK)
		return 0;
	if (tty_save(t, &w) != ERR_OK || w.size != rd_offset(&in) || memcmp(w.data, data, w.size))
		abort();
	wr_free(&w);
	tty_free(t);
	return 0;
}
