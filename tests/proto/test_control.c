/* test_control.c - frames between the command and its node. */
#include "proto/control.h"

#include <criterion/criterion.h>
#include <string.h>

static void build(struct wr *out)
{
	struct control_map m = {0};
	const char *const list[] = {"one", "", "three"};
	control_map_text(&m, "request", "run");
	control_map_u64(&m, "pid", UINT64_MAX);
	control_map_i64(&m, "diff", -7);
	control_map_f64(&m, "ms", 0.5);
	control_map_flag(&m, "all", true);
	control_map_bytes(&m, "data", "a\0b", 3);
	control_map_list(&m, "argv", list, 3);
	cr_assert_eq(control_map_frame(&m, out), ERR_OK);
	control_map_free(&m);
}

Test(control, every_type_of_value_arrives_as_it_was_sent)
{
	struct wr w = {0};
	struct control_values v;
	struct rd body;
	build(&w);
	struct rd in = rd_of(w.data, w.size);
	cr_assert_eq(control_frame_next(&in, &body), ERR_OK);
	cr_assert_eq(rd_left(&in), 0);
	cr_assert_eq(control_values_read(body, &v), ERR_OK);
	cr_assert_eq(v.count, 7);
	cr_assert_str_eq(control_values_find(&v, "request")->text.p, "run");
	cr_assert_eq(control_values_find(&v, "pid")->u64, UINT64_MAX);
	cr_assert_eq(control_values_find(&v, "diff")->i64, -7);
	cr_assert_eq(control_values_find(&v, "ms")->f64, 0.5);
	cr_assert(control_values_find(&v, "all")->flag);
	const struct control_value *data = control_values_find(&v, "data");
	cr_assert(data->type == CONTROL_BYTES && data->text.size == 3 &&
	          !memcmp(data->text.p, "a\0b", 3));
	const struct control_value *argv = control_values_find(&v, "argv");
	cr_assert_eq(argv->list.count, 3);
	cr_assert_str_eq(argv->list.at[0], "one");
	cr_assert_str_eq(argv->list.at[1], "");
	cr_assert_str_eq(argv->list.at[2], "three");
	cr_assert_null(argv->list.at[3]);
	cr_assert_null(control_values_find(&v, "nothing"));
	control_values_free(&v);
	wr_free(&w);
}

Test(control, a_frame_that_is_not_whole_asks_for_more)
{
	struct wr w = {0};
	struct rd body;
	build(&w);
	for (size_t size = 0; size < w.size; size++) {
		struct rd in = rd_of(w.data, size);
		cr_assert_eq(control_frame_next(&in, &body), ERR_AGAIN);
		cr_assert_eq(rd_offset(&in), 0);
	}
	wr_free(&w);
}

Test(control, a_frame_that_is_too_long_is_refused_before_it_is_there)
{
	struct wr w = {0};
	struct rd body;
	wr_u32(&w, CONTROL_FRAME_MAX + 1);
	struct rd in = rd_of(w.data, w.size);
	cr_assert_eq(control_frame_next(&in, &body), ERR_LIMIT);
	wr_free(&w);
}

Test(control, changed_bodies_are_refused_or_read_but_never_more_than_that)
{
	struct wr w = {0};
	struct control_values v;
	build(&w);
	for (size_t i = 4; i < w.size; i++)
		for (int bit = 0; bit < 8; bit++) {
			w.data[i] ^= (uint8_t)(1 << bit);
			if (control_values_read(rd_of(w.data + 4, w.size - 4), &v) == ERR_OK)
				control_values_free(&v);
			w.data[i] ^= (uint8_t)(1 << bit);
		}
	wr_free(&w);
}

Test(control, a_row_with_too_many_values_is_not_sent)
{
	struct control_map m = {0};
	struct wr w = {0};
	for (int i = 0; i <= CONTROL_VALUES_MAX; i++)
		control_map_u64(&m, "k", 1);
	cr_assert_eq(control_map_frame(&m, &w), ERR_LIMIT);
	cr_assert_eq(w.size, 0);
	control_map_free(&m);
	wr_free(&w);
}
