/* test_message.c - the message tables: what is encoded comes back, and nothing else does. */
#include "base/pack.h"
#include "proto/message.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* A message with one field of most kinds: key, name and two addresses. */
static void encode_device(struct wr *w)
{
	struct wr items = {0};
	struct msg_address a = {str_ref("192.0.2.7:4747")}, b = {str_ref("[fe80::1]:1")};
	cr_assert_eq(msg_item_address(&items, &a, NULL), ERR_OK);
	cr_assert_eq(msg_item_address(&items, &b, NULL), ERR_OK);
	struct msg_pair_peer d = {.name = str_ref("r\xc3\xb6ver"), .addresses = list_of(&items, 2)};
	memset(d.key, 0x5a, sizeof d.key);
	struct errmsg msg = {0};
	cr_assert_eq(msg_encode(w, MSG_PAIR_PEER, &d, &msg), ERR_OK, "%s", msg.text);
	wr_free(&items);
}

Test(message, what_is_encoded_comes_back)
{
	struct wr w = {0};
	enum msg type;
	union msg_any any;
	struct errmsg msg = {0};
	encode_device(&w);
	cr_assert_eq(msg_decode(w.data, w.size, &type, &any, &msg), ERR_OK, "%s", msg.text);
	cr_assert_eq(type, MSG_PAIR_PEER);
	cr_assert(str_equal(any.pair_peer.name, "r\xc3\xb6ver"));
	cr_assert_eq(any.pair_peer.key[31], 0x5a);
	struct msg_address a;
	cr_assert(msg_next_address(&any.pair_peer.addresses, &a));
	cr_assert(str_equal(a.text, "192.0.2.7:4747"));
	cr_assert(msg_next_address(&any.pair_peer.addresses, &a));
	cr_assert(str_equal(a.text, "[fe80::1]:1"));
	cr_assert_not(msg_next_address(&any.pair_peer.addresses, &a));
	wr_free(&w);
}

Test(message, a_cut_or_longer_message_is_refused_with_everything_zeroed)
{
	struct wr w = {0};
	enum msg type;
	union msg_any any, zero;
	memset(&zero, 0, sizeof zero);
	encode_device(&w);
	for (size_t size = 0; size < w.size; size++) {
		uint8_t *copy = malloc(size ? size : 1);
		struct errmsg msg = {0};
		memcpy(copy, w.data, size);
		cr_assert_neq(msg_decode(copy, size, &type, &any, &msg), ERR_OK);
		cr_assert(msg.text[0]);
		cr_assert(memcmp(&any, &zero, sizeof any) == 0);
		free(copy);
	}
	wr_u8(&w, 0xc0);
	cr_assert_eq(msg_decode(w.data, w.size, &type, &any, NULL), ERR_MALFORMED);
	wr_free(&w);
}

/* Every message has one encoding: whatever still decodes after a change encodes back to it. */
Test(message, every_flipped_bit_is_refused_or_means_exactly_what_it_says)
{
	struct wr w = {0}, again = {0};
	enum msg type;
	union msg_any any;
	encode_device(&w);
	for (size_t bit = 0; bit < w.size * 8; bit++) {
		w.data[bit / 8] ^= 1 << bit % 8;
		if (msg_decode(w.data, w.size, &type, &any, NULL) == ERR_OK) {
			wr_clear(&again);
			cr_assert_eq(msg_encode(&again, type, &any, NULL), ERR_OK);
			cr_assert_eq(again.size, w.size);
			cr_assert(memcmp(again.data, w.data, w.size) == 0);
		}
		w.data[bit / 8] ^= 1 << bit % 8;
	}
	wr_free(&w);
	wr_free(&again);
}

Test(message, an_unknown_number_and_a_wrong_field_count_are_named)
{
	struct wr w = {0};
	enum msg type;
	union msg_any any;
	struct errmsg msg = {0};
	pack_array(&w, 1);
	pack_u64(&w, 0xfe);
	cr_assert_eq(msg_decode(w.data, w.size, &type, &any, &msg), ERR_INVALID);
	cr_assert_str_eq(msg.text, "message number 254 is unknown");
	wr_clear(&w);
	pack_array(&w, 3);
	pack_u64(&w, MSG_PING);
	pack_u64(&w, 1);
	pack_u64(&w, 1);
	cr_assert_eq(msg_decode(w.data, w.size, &type, &any, &msg), ERR_MALFORMED);
	cr_assert_str_eq(msg.text, "PING: 2 fields, not 1");
	wr_free(&w);
}

Test(message, too_long_a_field_is_refused_by_the_writer_and_by_the_reader)
{
	struct wr w = {0};
	char name[65] = {0};
	memset(name, 'n', 64);
	struct msg_hello hello = {.name = str_ref(name)};
	struct errmsg msg = {0};
	cr_assert_eq(msg_encode(&w, MSG_HELLO, &hello, &msg), ERR_LIMIT);
	cr_assert_str_eq(msg.text, "HELLO.name: 64 bytes, at most 63");
	cr_assert_eq(w.size, 0);
	pack_array(&w, 5);
	pack_u64(&w, MSG_HELLO);
	pack_u64(&w, 1);
	pack_text(&w, name);
	pack_u64(&w, 1);
	pack_u64(&w, 1);
	enum msg type;
	union msg_any any;
	cr_assert_eq(msg_decode(w.data, w.size, &type, &any, &msg), ERR_LIMIT);
	wr_free(&w);
}

Test(message, a_name_that_could_fool_a_terminal_or_a_reader_is_refused)
{
	static const char *const bad[] = {"a\x1b[31mb",
	                                  "a\nb",
	                                  "a\x7f",
	                                  "\xc2\x9b"
	                                  "31m",
	                                  "\xe2\x80\xae"
	                                  "gpj.exe",
	                                  "\xff",
	                                  "\xc0\x80",
	                                  "\xed\xa0\x80",
	                                  "zero\xe2\x80\x8bwidth",
	                                  "\xe2\x82"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		cr_assert_not(name_is_fit(bad[i], strlen(bad[i])), "%zu", i);
	cr_assert(name_is_fit("Anna's \xe9\x9b\xbb\xe8\x85\xa6 \xf0\x9f\x92\xbb", 18));
}

Test(message, each_number_belongs_to_the_group_whose_range_it_is_in)
{
	cr_assert_eq(msg_group(MSG_PING), MSG_GROUP_LINK);
	cr_assert_eq(msg_group(MSG_PAIR_CONFIRM), MSG_GROUP_PAIR);
	cr_assert_str_eq(msg_name(MSG_PAIR_CONFIRM), "PAIR_CONFIRM");
	cr_assert_str_eq(msg_name((enum msg)250), "?");
}
