/* control.c - fuzzes the control socket's frames: any bytes are refused or read, and what was read stays inside. */
#include "proto/control.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t touch(const struct control_values *v)
{
	size_t sum = 0;
	for (uint32_t i = 0; i < v->count; i++) {
		const struct control_value *x = &v->at[i];
		sum += strlen(x->key);
		if (x->type == CONTROL_TEXT)
			sum += strlen(x->text.p);
		if (x->type == CONTROL_BYTES && x->text.size)
			sum += (uint8_t)x->text.p[x->text.size - 1];
		for (uint32_t k = 0; x->type == CONTROL_LIST && k < x->list.count; k++)
			sum += strlen(x->list.at[k]);
	}
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct control_values v;
	struct rd in = rd_of(data, size), body;
	volatile size_t sum = 0;
	while (control_frame_next(&in, &body) == ERR_OK)
		if (control_values_read(body, &v) == ERR_OK) {
			sum += touch(&v);
			control_values_free(&v);
		}
	return 0;
}
