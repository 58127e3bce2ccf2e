/* message.c - fuzzes the message table: any bytes give one error with a text and nothing else, or a
 * message that encodes back to the same bytes, its lists item by item. */
#include "proto/message.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool truth)
{
	if (!truth)
		abort();
}

static void read_list(struct list_ref list)
{
	struct msg_address a;
	struct wr items = {0};
	struct list_ref whole = list;
	uint32_t count = 0;
	for (; msg_next_address(&list, &a); count++)
		check(msg_item_address(&items, &a, NULL) == ERR_OK);
	check(count == whole.count && items.size == whole.size);
	check(!items.size || memcmp(items.data, whole.p, items.size) == 0);
	wr_free(&items);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum msg type;
	union msg_any any;
	struct errmsg msg = {0};
	struct wr w = {0};
	if (msg_decode(data, size, &type, &any, &msg) != ERR_OK) {
		check(msg.text[0]);
		for (size_t i = 0; i < sizeof any; i++)
			check(((const uint8_t *)&any)[i] == 0);
		return 0;
	}
	check(msg_encode(&w, type, &any, &msg) == ERR_OK);
	check(w.size == size && memcmp(w.data, data, size) == 0);
	check(msg_group(type) < MSG_GROUP_COUNT && strcmp(msg_name(type), "?") != 0);
	if (type == MSG_PAIR_DEVICE)
		read_list(any.pair_device.addresses);
	wr_free(&w);
	return 0;
}
