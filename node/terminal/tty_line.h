/* tty_line.h - how typed keys become input: Linux's line discipline, without a terminal.
 *
 * Keys go in; what a program may read, what is echoed, and which signals its foreground gets come out. With ICANON a line is edited
 * here until it ends; without, each key is input at once. The settings are those of a struct termios, by Linux's numbers.
 *
 *	tty_line_key(&line, key, &out);     // out: at most TTY_LINE_MAX bytes of input, TTY_ECHO_MAX of echo
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TTY_LINE_MAX = 4096, TTY_ECHO_MAX = 3 * TTY_LINE_MAX, TTY_KEYS = 19 };

struct tty_line_settings {
	uint32_t iflag, lflag;
	uint8_t cc[TTY_KEYS];
};

struct tty_line {
	struct tty_line_settings set;
	uint16_t size; /* of the line that is being typed */
	uint8_t bytes[TTY_LINE_MAX];
};

struct tty_line_out {
	size_t input, echo;
	int signal; /* 0: none; else what was typed before it is to be forgotten when flush is set */
	bool eof, flush;
	uint8_t input_bytes[TTY_LINE_MAX], echo_bytes[TTY_ECHO_MAX];
};

bool tty_line_edits(const struct tty_line_settings *s);
/* Takes one key. out is written whole but for the bytes behind its counts. */
void tty_line_key(struct tty_line *l, uint8_t key, struct tty_line_out *out);
