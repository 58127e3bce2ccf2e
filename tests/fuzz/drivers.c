/* drivers.c - hostile bytes as a section "drivers", and as what a terminal sends. */
#include "node/drivers/drivers.h"
#include "node/drivers/keys.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void forget(void *ctx, const struct wasmos_event *e)
{
	(void)ctx;
	(void)e;
}

/* What was accepted is written and accepted again. */
static void section(const uint8_t *data, size_t size)
{
	struct drivers_config cfg = {.name = "fuzz"};
	struct rd in = rd_of(data, size);
	struct wr a = {0}, b = {0};
	struct errmsg msg = {0};
	struct drivers *d, *again;

	if (drivers_load(&in, &cfg, &d, &msg) != ERR_OK) {
		if (msg.text[0] == '\0')
			abort();
		return;
	}
	if (drivers_save(d, &a) != ERR_OK)
		abort();
	in = rd_of(a.data, a.size);
	if (drivers_load(&in, &cfg, &again, &msg) != ERR_OK || drivers_save(again, &b) != ERR_OK)
		abort();
	drivers_free(d);
	drivers_free(again);
	wr_free(&a);
	wr_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct keys k;

	section(data, size);
	keys_init(&k, forget, NULL);
	keys_bytes(&k, data, size, 1);
	keys_time(&k, 1000000000);
	return 0;
}
