/* folder.c - fuzzes what a replicated folder takes from outside: entries, records, lists of pieces, and the messages of a peer.
 *
 * The first byte chooses. Whatever decodes encodes to the same bytes; two values of an entry join to the same either way; a replica
 * that took anything at all still holds its truths, makes a view, lists conflicts and names, and settles and forgets.
 */
#include "folder/exchange.h"
#include "folder/pieces.h"
#include "folder/view.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool truth)
{
	if (!truth)
		abort();
}

static bool packs_to(const struct entry *e, const uint8_t *bytes, size_t size)
{
	struct wr w = {0};
	entry_pack(&w, e);
	bool same = w.size == size && memcmp(w.data, bytes, size) == 0;
	wr_free(&w);
	return same;
}

static bool joins_to(const struct entry *a, const struct entry *b, const struct entry *want)
{
	struct entry both;
	struct wr w = {0};
	if (entry_join(&both, a, b) != ERR_OK)
		return want == NULL;
	entry_pack(&w, &both);
	bool same = !want || packs_to(want, w.data, w.size);
	wr_free(&w);
	entry_free(&both);
	return same;
}

static void try_entries(const uint8_t *data, size_t size)
{
	struct rd r = rd_of(data, size);
	struct entry a, b, both;
	if (entry_unpack(&r, &a) != ERR_OK)
		return;
	check(packs_to(&a, data, rd_offset(&r)));
	if (entry_unpack(&r, &b) == ERR_OK) {
		b.id = a.id;
		if (entry_join(&both, &a, &b) == ERR_OK) {
			check(joins_to(&b, &a, &both));
			check(joins_to(&both, &a, &both) && joins_to(&both, &b, &both));
			entry_free(&both);
		}
		entry_free(&b);
	}
	entry_free(&a);
}

static void count_name(void *ctx, const struct view_row *row, enum err why)
{
	char folded[2 * ENTRY_NAME_MAX];
	check(why != ERR_OK && name_fold(row->name, row->name_size, folded) > 0);
	++*(unsigned *)ctx;
}

static void settle_one(struct folder *f)
{
	struct conflict *list;
	uint32_t count;
	check(view_conflicts(f, &list, &count) == ERR_OK);
	if (count) {
		struct conflict c = list[count / 2];
		(void)view_settle(f, &c, count % 2 ? SETTLE_TAKE : SETTLE_DROP, 7, NULL);
	}
	conflicts_free(list);
}

static void use(struct folder *f)
{
	struct entry_id root = {{0}};
	struct view_row row;
	unsigned names = 0;
	uint32_t count;
	folder_check(f);
	check(view_names(f, count_name, &names) == ERR_OK);
	folder_check(f);
	settle_one(f);
	if (view_list(f, &root, 0, &row) == ERR_OK) {
		struct entry_id id = row.entry->id;
		(void)folder_move(f, &id, &root, "moved", 5, 8, NULL);
		(void)folder_remove(f, &id, 9, NULL);
		(void)folder_undelete(f, &id, 10, NULL);
	}
	(void)folder_drop_stable(f, 11, &count);
	folder_check(f);
}

static struct folder *new_folder(void)
{
	struct entry_id id = {{1}}, root = {{0}}, file = {{2}};
	uint8_t device[FOLDER_DEVICE_SIZE] = {1};
	struct folder *f = folder_new(&id, 1, device);
	struct content c = {.mode = 0755};
	check(f && folder_make(f, &root, "d", 1, ENTRY_FOLDER, &c, &file, 1, NULL) == ERR_OK);
	return f;
}

static void try_records(const uint8_t *data, size_t size)
{
	struct folder *f;
	size_t head = size > 2 ? (size_t)(data[0] | data[1] << 8) : 0;
	if (size < 3 || head > size - 3 || folder_load(data + 3, head, &f) != ERR_OK)
		f = new_folder();
	if (size > 3 + head)
		(void)folder_load_record(f, data[2] % 3, data + 3 + head, size - 3 - head);
	use(f);
	folder_free(f);
}

static enum err put_nowhere(void *ctx, enum folder_record kind, const uint8_t *key,
                            const void *bytes, size_t size)
{
	return ERR_OK;
}

static void drive(struct folder *f, struct exchange *x)
{
	struct exchange_action a;
	for (unsigned i = 0; i < 64; i++) {
		check(exchange_next(x, &a) == ERR_OK);
		if (a.kind == EXCHANGE_IDLE)
			return;
		if (a.kind == EXCHANGE_SAVE)
			check(folder_save(f, put_nowhere, NULL) == ERR_OK);
		else if (a.kind == EXCHANGE_LOAD)
			check(exchange_loaded(x, i % 2 ? "chunk" : NULL, 5) == ERR_OK);
	}
}

/* u16 size, message, and so on. */
static void try_messages(const uint8_t *data, size_t size)
{
	struct folder *f = new_folder();
	struct exchange_partial partial = {0};
	struct exchange *x = exchange_new(f, 1, &partial);
	struct chunk_addr addr = chunk_addr_of("chunk", 5);
	check(x && exchange_want(x, &addr) == ERR_OK);
	while (size >= 2) {
		size_t n = (size_t)(data[0] | data[1] << 8);
		n = n < size - 2 ? n : size - 2;
		drive(f, x);
		struct errmsg msg = {{0}};
		if (exchange_take(x, data + 2, n, 5, &msg) != ERR_OK) {
			check(msg.text[0]);
			break;
		}
		folder_check(f);
		data += 2 + n;
		size -= 2 + n;
	}
	drive(f, x);
	exchange_free(x);
	use(f);
	exchange_partial_free(&partial);
	folder_free(f);
}

/* u8 depth, u32 size of the file, list. */
static void try_pieces(const uint8_t *data, size_t size)
{
	struct rd r = rd_of(data, size);
	uint8_t depth;
	uint32_t says, count;
	struct piece *at;
	if (rd_u8(&r, &depth) != ERR_OK || rd_u32(&r, &says) != ERR_OK ||
	    pieces_read(r.p, rd_left(&r), depth % 4, says, &at, &count) != ERR_OK)
		return;
	uint64_t sum = 0;
	for (uint32_t i = 0; i < count; i++)
		sum += at[i].size;
	check(sum == says);
	free(at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	switch (data[0] % 4) {
	case 0: try_entries(data + 1, size - 1); break;
	case 1: try_records(data + 1, size - 1); break;
	case 3: try_pieces(data + 1, size - 1); break;
	default: try_messages(data + 1, size - 1); break;
	}
	return 0;
}
