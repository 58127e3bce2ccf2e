/* process.c - fuzzes section "process" of an image: any bytes are refused, or make a process that writes the same
 * bytes. */
#include "node/process/process_section.h"
#include "node/process/process_table.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct process *p = calloc(1, sizeof *p);
	struct tty_hooks hooks = {0};
	struct errmsg msg;
	struct wr w = {0};
	if (!p)
		abort();
	if (process_section_load(rd_of(data, size), &hooks, p, &msg) == ERR_OK &&
	    (process_section_save(p, &w) != ERR_OK || w.size != size || memcmp(w.data, data, size)))
		abort();
	wr_free(&w);
	process_free(p);
	return 0;
}
