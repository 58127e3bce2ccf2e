/* test_tty.c - a process's terminal: input, output, back-pressure, recent output, state. */
#include "node/terminal/tty.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

struct counts {
	int guest, client, signal;
};

static void note_signal(void *ctx, int signal)
{
	((struct counts *)ctx)->signal = signal;
}

static void wake_guest(void *ctx)
{
	((struct counts *)ctx)->guest++;
}

static void wake_client(void *ctx)
{
	((struct counts *)ctx)->client++;
}

static struct tty *make(struct counts *c, bool terminal, bool attached)
{
	struct tty *t;
	struct tty_hooks hooks = {
	    .wake_guest = wake_guest, .wake_client = wake_client, .signal = note_signal, .ctx = c};
	struct tty_config cfg = {.is_terminal = {terminal, terminal, terminal},
	                         .attached = attached};
	cr_assert_eq(tty_new(&cfg, &hooks, &t), ERR_OK);
	return t;
}

Test(tty, what_a_client_types_is_read_by_the_guest_and_wakes_it)
{
	struct counts c = {0};
	struct tty *t = make(&c, true, true);
	char buf[16];
	size_t n;
	cr_assert_eq(tty_read(t, buf, sizeof buf, &n), ERR_AGAIN);
	tty_feed(t, "hello", 5, &n);
	cr_assert_eq(n, 5);
	cr_assert_eq(c.guest, 1);
	cr_assert_eq(tty_read(t, buf, 3, &n), ERR_OK);
	cr_assert(n == 3 && !memcmp(buf, "hel", 3));
	cr_assert_eq(tty_read(t, buf, sizeof buf, &n), ERR_OK);
	cr_assert(n == 2 && !memcmp(buf, "lo", 2));
	tty_free(t);
}

Test(tty, end_of_file_is_for_ever_on_a_pipe_and_once_on_a_terminal)
{
	struct counts c = {0};
	char buf[4];
	size_t n = 9;
	struct tty *pipe = make(&c, false, true);
	tty_feed_eof(pipe);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(tty_read(pipe, buf, 4, &n), ERR_OK);
		cr_assert_eq(n, 0);
	}
	tty_free(pipe);
	struct tty *term = make(&c, true, true);
	tty_feed_eof(term);
	cr_assert_eq(tty_read(term, buf, 4, &n), ERR_OK);
	cr_assert_eq(n, 0);
	cr_assert_eq(tty_read(term, buf, 4, &n), ERR_AGAIN);
	tty_free(term);
}

Test(tty, input_beyond_the_ring_is_not_taken)
{
	struct counts c = {0};
	struct tty *t = make(&c, false, true);
	static char big[TTY_INPUT_SIZE + 100];
	size_t n;
	tty_feed(t, big, sizeof big, &n);
	cr_assert_eq(n, TTY_INPUT_SIZE);
	cr_assert_eq(tty_input_room(t), 0);
	tty_feed(t, big, 1, &n);
	cr_assert_eq(n, 0);
	tty_free(t);
}

Test(tty, a_guest_blocks_when_the_client_does_not_take_its_output)
{
	struct counts c = {0};
	struct tty *t = make(&c, true, true);
	static char big[4096];
	size_t n, total = 0;
	while (tty_write(t, TTY_OUT, big, sizeof big, &n) == ERR_OK)
		total += n;
	cr_assert(total > 60000 && total <= TTY_OUTPUT_SIZE);
	cr_assert_not(tty_can_write(t));
	enum tty_stream s;
	int before = c.guest;
	cr_assert_gt(tty_take_output(t, &s, big, sizeof big), 0);
	cr_assert_gt(c.guest, before, "the guest is woken when there is room again");
	cr_assert(tty_can_write(t));
	tty_free(t);
}

Test(tty, with_no_client_output_is_only_remembered_and_the_oldest_goes_first)
{
	struct counts c = {0};
	struct tty *t = make(&c, true, false);
	size_t n;
	for (int i = 0; i < 20000; i++) {
		char line[8];
		snprintf(line, sizeof line, "%06d\n", i);
		cr_assert_eq(tty_write(t, TTY_OUT, line, 7, &n), ERR_OK);
		cr_assert_eq(n, 7);
	}
	static char recent[TTY_RECENT_SIZE + 1];
	n = tty_recent(t, recent, TTY_RECENT_SIZE, NULL);
	cr_assert_eq(n, TTY_RECENT_SIZE);
	cr_assert_str_eq(recent + n - 7, "019999\n");
	enum tty_stream s;
	cr_assert_eq(tty_take_output(t, &s, recent, 10), 0);
	tty_free(t);
}

Test(tty, output_and_error_keep_their_order_and_are_told_apart)
{
	struct counts c = {0};
	struct tty *t = make(&c, true, true);
	enum tty_stream s;
	char buf[64];
	size_t n;
	tty_write(t, TTY_OUT, "one ", 4, &n);
	tty_write(t, TTY_OUT, "two ", 4, &n);
	tty_write(t, TTY_ERR, "three", 5, &n);
	tty_write(t, TTY_OUT, "four", 4, &n);
	n = tty_take_output(t, &s, buf, sizeof buf);
	cr_assert(s == TTY_OUT && n == 8 && !memcmp(buf, "one two ", 8));
	n = tty_take_output(t, &s, buf, 2);
	cr_assert(s == TTY_ERR && n == 2 && !memcmp(buf, "th", 2));
	n = tty_take_output(t, &s, buf, sizeof buf);
	cr_assert(s == TTY_ERR && n == 3 && !memcmp(buf, "ree", 3));
	n = tty_take_output(t, &s, buf, sizeof buf);
	cr_assert(s == TTY_OUT && n == 4 && !memcmp(buf, "four", 4));
	cr_assert_eq(tty_take_output(t, &s, buf, sizeof buf), 0);
	tty_free(t);
}

Test(tty, all_bytes_arrive_in_order_through_small_takes)
{
	struct counts c = {0};
	struct tty *t = make(&c, true, true);
	uint8_t in = 0, out = 0, buf[977];
	size_t written = 0, taken = 0, n;
	enum tty_stream s;
	while (taken < 1000000) {
		for (size_t i = 0; i < 100; i++)
			buf[i] = (uint8_t)(in + i);
		if (tty_write(t, TTY_OUT, buf, 100, &n) == ERR_OK) {
			in = (uint8_t)(in + n);
			written += n;
			if (written % 3)
				continue;
		}
		n = tty_take_output(t, &s, buf, 1 + written % sizeof buf);
		for (size_t i = 0; i < n; i++)
			cr_assert_eq(buf[i], out++);
		taken += n;
	}
	tty_free(t);
}

Test(tty, a_new_client_gets_the_recent_output_and_then_only_what_is_new)
{
	struct counts c = {0};
	struct tty *t = make(&c, true, true);
	char buf[64];
	size_t n, waiting;
	tty_write(t, TTY_OUT, "old", 3, &n);
	cr_assert_eq(tty_recent(t, buf, sizeof buf, &waiting), 3);
	cr_assert_eq(waiting, 3);
	tty_free(t);
}

Test(tty, writing_to_a_closed_terminal_is_a_broken_pipe)
{
	struct counts c = {0};
	struct tty *t = make(&c, false, true);
	size_t n;
	tty_close(t);
	cr_assert_eq(tty_write(t, TTY_OUT, "x", 1, &n), ERR_CLOSED);
	tty_free(t);
}

Test(tty, its_state_survives_bytes_and_is_written_the_same_again)
{
	struct counts c = {0};
	struct tty *t = make(&c, true, false), *again;
	struct tty_hooks hooks = {.wake_guest = wake_guest, .wake_client = wake_client, .ctx = &c};
	struct wr first = {0}, second = {0};
	struct errmsg msg = {0};
	uint16_t cols, rows;
	char buf[16];
	size_t n;
	tty_feed(t, "half a li", 9, &n);
	tty_write(t, TTY_OUT, "> ", 2, &n);
	tty_set_size(t, 132, 43);
	tty_set_raw(t, true);
	cr_assert_eq(tty_save(t, &first), ERR_OK);
	struct rd in = rd_of(first.data, first.size);
	cr_assert_eq(tty_load(&in, &hooks, &again, &msg), ERR_OK, "%s", msg.text);
	cr_assert_eq(rd_left(&in), 0);
	cr_assert_eq(tty_save(again, &second), ERR_OK);
	cr_assert(first.size == second.size && !memcmp(first.data, second.data, first.size));
	tty_size(again, &cols, &rows);
	cr_assert(cols == 132 && rows == 43 && tty_raw(again) && tty_is_terminal(again, TTY_OUT));
	cr_assert(tty_read(again, buf, sizeof buf, &n) == ERR_OK && n == 9 &&
	          !memcmp(buf, "half a li", 9));
	cr_assert(tty_recent(again, buf, sizeof buf, NULL) == 2 && !memcmp(buf, "> ", 2));
	/* Cut off anywhere it is refused. */
	for (size_t size = 0; size < first.size; size++) {
		struct tty *none;
		struct rd cut = rd_of(first.data, size);
		cr_assert_neq(tty_load(&cut, &hooks, &none, &msg), ERR_OK);
	}
	wr_free(&first);
	wr_free(&second);
	tty_free(t);
	tty_free(again);
}

/* As a Linux program wants it at first: ICRNL; ISIG ICANON ECHO ECHOE ECHOK ECHOCTL. */
static const struct tty_line_settings cooked = {
    .iflag = 0x100,
    .lflag = 0x23b,
    .cc = {3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22}};

static void expect_line(const char *keys, const char *line, const char *echo)
{
	struct counts c = {0};
	char got[64] = "", shown[64] = "";
	size_t n;
	struct tty *t = make(&c, true, false);
	tty_set_line(t, &cooked);
	cr_assert(tty_raw(t));
	tty_feed(t, keys, strlen(keys), &n);
	cr_assert_eq(n, strlen(keys));
	if (tty_read(t, got, sizeof got - 1, &n) != ERR_OK)
		n = 0;
	cr_assert(n == strlen(line) && !memcmp(got, line, n), "%s", got);
	tty_recent(t, shown, sizeof shown - 1, NULL);
	cr_assert_str_eq(shown, echo);
	tty_free(t);
}

Test(tty, a_line_is_edited_echoed_and_given_when_it_ends)
{
	expect_line("abc", "", "abc");
	expect_line("abc\r", "abc\n", "abc\n");
	expect_line("ab\x7f"
	            "c\r",
	            "ac\n", "ab\b \bc\n");
	expect_line("\x7f\x7f"
	            "a\r",
	            "a\n", "a\n");
	expect_line("\xc3\xa4\x7f"
	            "b\r",
	            "b\n", "\xc3\xa4\b \bb\n");
	expect_line("one two\x17"
	            "x\r",
	            "one x\n", "one two\b \b\b \b\b \bx\n");
	expect_line("no\x15"
	            "y\r",
	            "y\n", "no\b \b\b \by\n");
	expect_line("a\x01\x7f\r", "a\n", "a^A\b \b\b \b\n");
	expect_line("first\rsecond\r", "first\n", "first\nsecond\n");
	expect_line("part\x04", "part", "part");
}

Test(tty, an_end_of_file_key_ends_one_read)
{
	struct counts c = {0};
	char buf[8];
	size_t n = 9;
	struct tty *t = make(&c, true, true);
	tty_set_line(t, &cooked);
	tty_feed(t, "\x04", 1, &n);
	cr_assert(tty_read(t, buf, sizeof buf, &n) == ERR_OK && n == 0);
	cr_assert_eq(tty_read(t, buf, sizeof buf, &n), ERR_AGAIN);
	tty_free(t);
}

Test(tty, keys_that_are_signals_are_told_and_forget_the_line)
{
	struct counts c = {0};
	char buf[16];
	size_t n;
	struct tty *t = make(&c, true, true);
	struct tty_line_settings raw = cooked;
	tty_set_line(t, &cooked);
	tty_feed(t, "half\x03", 5, &n);
	cr_assert_eq(c.signal, 2);
	tty_feed(t, "\x1a", 1, &n);
	cr_assert_eq(c.signal, 20);
	tty_feed(t, "x\r", 2, &n);
	cr_assert(tty_read(t, buf, sizeof buf, &n) == ERR_OK && n == 2 && buf[0] == 'x');
	raw.lflag = 0;
	tty_set_line(t, &raw);
	c.signal = 0;
	tty_feed(t, "\x03q\r", 3, &n);
	cr_assert(c.signal == 0 && tty_read(t, buf, sizeof buf, &n) == ERR_OK && n == 3);
	cr_assert(buf[0] == 3 && buf[1] == 'q' && buf[2] == '\n');
	tty_free(t);
}

Test(tty, what_was_typed_of_a_line_is_input_when_a_program_reads_keys)
{
	struct counts c = {0};
	char buf[16];
	size_t n;
	struct tty *t = make(&c, true, true);
	struct tty_line_settings raw = cooked;
	tty_set_line(t, &cooked);
	tty_feed(t, "ls /e", 5, &n);
	cr_assert_eq(tty_read(t, buf, sizeof buf, &n), ERR_AGAIN);
	raw.lflag = 0;
	tty_set_line(t, &raw);
	tty_feed(t, "tc", 2, &n);
	cr_assert(tty_read(t, buf, sizeof buf, &n) == ERR_OK && n == 7 &&
	          !memcmp(buf, "ls /etc", n));
	cr_assert_eq(tty_typed(t, (uint8_t *)buf), 0);
	tty_free(t);
}

Test(tty, a_terminal_whose_process_is_gone_still_serves_its_streams)
{
	struct counts c = {0};
	size_t n;
	struct tty *t = tty_ref(make(&c, true, true));
	tty_free(t);
	c = (struct counts){0};
	tty_feed(t, "x", 1, &n);
	cr_assert_eq(tty_write(t, TTY_OUT, "x", 1, &n), ERR_CLOSED);
	cr_assert(!c.guest && !c.client);
	tty_unref(t);
}
