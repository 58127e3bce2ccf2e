/* test_exchange.c - two ends of an exchange: all comes over, a cut loses little, nothing is said before it is saved, liars are refused. */
#include "folder/exchange.h"
#include "tests/folder/replicas.h"

#include "base/pack.h"

#include <criterion/criterion.h>

/* An end: its replica, its exchange, and what it has of chunks (a text or nothing). */
struct end {
	struct folder *f;
	struct exchange *x;
	struct exchange_partial partial;
	const char *chunk;
	unsigned saves, lacks, entries_sent;
	size_t bytes_sent;
	char got[32];
};

static enum err put_nowhere(void *ctx, enum folder_record kind, const uint8_t *key,
                            const void *bytes, size_t size)
{
	return ERR_OK;
}

static void open_end(struct end *e, uint32_t origin)
{
	e->x = exchange_new(e->f, origin, &e->partial);
	cr_assert_not_null(e->x);
}

static void close_end(struct end *e)
{
	exchange_free(e->x);
	e->x = NULL;
}

static void count_entries(struct end *e, const uint8_t *bytes, size_t size)
{
	struct rd r = rd_of(bytes, size);
	uint32_t fields, count;
	uint8_t type;
	must(unpack_array(&r, 8, &fields));
	must(unpack_u8(&r, &type));
	e->bytes_sent += size;
	if (type == 3 && unpack_array(&r, UINT32_MAX, &count) == ERR_OK)
		e->entries_sent += count;
}

/* One action; false: idle. */
static bool go(struct end *e, struct end *other, enum err *took)
{
	struct exchange_action a;
	must(exchange_next(e->x, &a));
	*took = ERR_OK;
	switch (a.kind) {
	case EXCHANGE_IDLE: return false;
	case EXCHANGE_SAVE:
		must(folder_save(e->f, put_nowhere, NULL));
		e->saves++;
		break;
	case EXCHANGE_SEND:
		cr_assert(!folder_unsaved(e->f), "nothing leaves before it is saved");
		count_entries(e, a.bytes, a.size);
		*took = exchange_take(other->x, a.bytes, a.size, 50, NULL);
		break;
	case EXCHANGE_LOAD:
		must(exchange_loaded(e->x, e->chunk, e->chunk ? strlen(e->chunk) : 0));
		break;
	case EXCHANGE_STORE: snprintf(e->got, sizeof e->got, "%.*s", (int)a.size, a.bytes); break;
	case EXCHANGE_LACK: e->lacks++; break;
	}
	return true;
}

/* Until both are idle; at most so many actions. */
static void run(struct end *a, struct end *b, unsigned most)
{
	enum err took;
	bool moved = true;
	while (moved && most) {
		moved = go(a, b, &took);
		cr_assert_eq(took, ERR_OK, "%s", err_text(took));
		moved |= go(b, a, &took);
		cr_assert_eq(took, ERR_OK, "%s", err_text(took));
		most--;
	}
}

static void fill(struct folder *f, unsigned count)
{
	char name[16];
	for (unsigned i = 0; i < count; i++) {
		snprintf(name, sizeof name, "file %u", i);
		put(f, name, name, 100 + i, 10);
	}
}

static void done(struct end *a, struct end *b)
{
	close_end(a);
	close_end(b);
	exchange_partial_free(&a->partial);
	exchange_partial_free(&b->partial);
	folder_free(a->f);
	folder_free(b->f);
}

Test(exchange, all_comes_over_and_later_changes_too)
{
	struct end a = {.f = replica(1)}, b = {.f = replica(2)};
	fill(a.f, 300);
	put(b.f, "mine", "b's", 5, 10);
	open_end(&a, 1);
	open_end(&b, 1);
	run(&a, &b, 1000);
	cr_assert(exchange_is_settled(a.x) && exchange_is_settled(b.x));
	cr_assert(look_the_same(a.f, b.f));
	cr_assert_eq(a.entries_sent, 300);
	cr_assert_eq(b.entries_sent, 1, "what came is not sent back");
	put(b.f, "file 7", "changed", 0, 20);
	run(&a, &b, 1000);
	cr_assert(says(a.f, "file 7", "changed"));
	cr_assert_eq(b.entries_sent, 2);
	cr_assert_eq(folder_members(a.f), 2);
	cr_assert(vector_within(folder_seen(a.f), &folder_member(a.f, 1)->ack));
	done(&a, &b);
}

Test(exchange, a_second_link_sends_what_is_new_only)
{
	struct end a = {.f = replica(1)}, b = {.f = replica(2)};
	fill(a.f, 100);
	open_end(&a, 1);
	open_end(&b, 1);
	run(&a, &b, 1000);
	close_end(&a);
	close_end(&b);
	put(a.f, "file 3", "new", 0, 30);
	a.entries_sent = 0;
	open_end(&a, 2);
	open_end(&b, 2);
	run(&a, &b, 1000);
	cr_assert_eq(a.entries_sent, 1);
	cr_assert(look_the_same(a.f, b.f));
	done(&a, &b);
}

Test(exchange, after_a_cut_it_goes_on_where_it_was)
{
	struct end a = {.f = replica(1)}, b = {.f = replica(2)};
	fill(a.f, 3000);
	unsigned links = 0;
	while (!a.x || !exchange_is_settled(a.x) || !exchange_is_settled(b.x)) {
		close_end(&a);
		close_end(&b);
		open_end(&a, ++links);
		open_end(&b, links);
		run(&a, &b, links < 40 ? 7 : 1000); /* some batches a link */
		cr_assert(links < 50);
	}
	cr_assert(links > 2);
	cr_assert_eq(a.entries_sent, 3000, "%u were sent", a.entries_sent);
	cr_assert(look_the_same(a.f, b.f));
	done(&a, &b);
}

Test(exchange, chunks_come_beside_and_are_checked)
{
	struct end a = {.f = replica(1), .chunk = "text"}, b = {.f = replica(2)};
	struct chunk_addr addr = chunk_addr_of("text", 4), other = chunk_addr_of("other", 5);
	open_end(&a, 1);
	open_end(&b, 1);
	must(exchange_want(b.x, &addr));
	must(exchange_want(a.x, &other));
	run(&a, &b, 1000);
	cr_assert_str_eq(b.got, "text");
	cr_assert_eq(a.lacks, 1);
	/* The other end sends something else under that address. */
	must(exchange_want(b.x, &other));
	enum err took = ERR_OK;
	for (unsigned i = 0; i < 20 && took == ERR_OK; i++) {
		(void)go(&b, &a, &took);
		if (took == ERR_OK)
			(void)go(&a, &b, &took);
	}
	cr_assert_eq(took, ERR_INVALID);
	done(&a, &b);
}

static enum err say(struct exchange *x, unsigned type, unsigned fields)
{
	struct wr w = {0};
	pack_array(&w, 1 + fields);
	pack_u64(&w, type);
	for (unsigned i = 0; i < fields; i++)
		pack_bool(&w, false);
	enum err e = exchange_take(x, w.data, w.size, 1, NULL);
	wr_free(&w);
	return e;
}

Test(exchange, messages_out_of_their_order_are_refused)
{
	static const struct {
		unsigned type, fields;
		enum err want;
	} cases[] = {
	    {2, 2, ERR_STATE}, {5, 0, ERR_STATE}, {9, 0, ERR_MALFORMED}, {1, 1, ERR_MALFORMED}};
	for (unsigned i = 0; i < 4; i++) {
		struct end a = {.f = replica(1)};
		open_end(&a, 1);
		cr_assert_eq(say(a.x, cases[i].type, cases[i].fields), cases[i].want);
		cr_assert_eq(say(a.x, 5, 0), ERR_STATE, "it is over");
		close_end(&a);
		folder_free(a.f);
	}
}

Test(exchange, the_greeting_of_another_folder_is_refused)
{
	struct end a = {.f = replica(1)}, b = {.f = NULL};
	struct entry_id id = id_of(77);
	uint8_t device[FOLDER_DEVICE_SIZE] = {2};
	enum err took = ERR_OK;
	b.f = folder_new(&id, 2, device);
	open_end(&a, 1);
	open_end(&b, 1);
	for (unsigned i = 0; i < 4 && took == ERR_OK; i++)
		(void)go(&b, &a, &took);
	cr_assert_eq(took, ERR_INVALID);
	done(&a, &b);
}

Test(exchange, a_restored_disk_is_found_out_by_the_greeting)
{
	struct end a = {.f = replica(1)}, b = {.f = replica(2)};
	enum err took = ERR_OK;
	fill(a.f, 3);
	tell(a.f, b.f);
	folder_free(a.f);
	a.f = replica(1);
	open_end(&a, 1);
	open_end(&b, 1);
	for (unsigned i = 0; i < 4 && took == ERR_OK; i++)
		(void)go(&b, &a, &took);
	cr_assert_eq(took, ERR_STALE);
	cr_assert(folder_needs_new_life(a.f));
	done(&a, &b);
}

Test(exchange, who_comes_with_less_than_was_forgotten_is_told_the_whole_list)
{
	struct end a = {.f = replica(1)}, b = {.f = replica(2)};
	uint32_t count;
	put(a.f, "kept", "1", 1, 10);
	put(a.f, "gone", "2", 2, 10);
	tell(a.f, b.f); /* a does not know of b as a member */
	must(rm(a.f, "gone", 20));
	must(folder_drop_stable(a.f, 30, &count));
	cr_assert_eq(count, 1);
	put(b.f, "mine", "3", 3, 30);
	open_end(&a, 1);
	open_end(&b, 1);
	run(&a, &b, 1000);
	cr_assert(look_the_same(a.f, b.f));
	cr_assert(!is_there(b.f, "gone") && says(a.f, "mine", "3"));
	done(&a, &b);
}

Test(exchange, what_was_forgotten_here_and_edited_there_comes_back_everywhere)
{
	struct end a = {.f = replica(1)}, b = {.f = replica(2)};
	struct folder *c = replica(3); /* has the tombstone */
	uint32_t count;
	put(a.f, "f", "1", 1, 10);
	tell(a.f, b.f);
	put(a.f, "f", "2", 1, 15);
	must(rm(a.f, "f", 20));
	tell(a.f, c);
	must(folder_drop_stable(a.f, 30, &count));
	cr_assert_eq(count, 1);
	must(mv(b.f, "f", "moved", 12));
	open_end(&a, 1);
	open_end(&b, 1);
	run(&a, &b, 1000);
	meet(a.f, c);
	cr_assert(look_the_same(a.f, b.f) && look_the_same(a.f, c));
	cr_assert(is_there(c, "moved"));
	folder_free(c);
	done(&a, &b);
}
