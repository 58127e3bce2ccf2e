/* cmd_pair.c - `wasmos pair`: shows a code, as a picture and as words, and waits; `wasmos pair WORDS [ADDR:PORT]` and
 * `wasmos pair --qr TEXT|IMAGE`: joins.
 *
 * The node does the work and sends events: the code, the question about the other device, the pair.
 * The answer to the question is a request of its own. */
#include "base/file.h"
#include "proto/pairing_qr.h"
#include "shell/console.h"
#include "shell/qr.h"
#include "shell/shell.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { WORDS_COUNT = 3, TYPED_MAX = 128 };

static const struct option options[] = {
    {"yes", 'y', OPTION_FLAG, NULL,
     "do not ask about a device that knows the words (for scripts); by --qr it is always asked"},
    {"qr", 0, OPTION_VALUE, "TEXT|IMAGE",
     "the other device's code: a PNG picture of it, or its text (WASMOS:...)"},
    {"png", 0, OPTION_VALUE, "FILE", "write the code as a picture, too"},
    {"files-only", 0, OPTION_FLAG, NULL, "the other device runs no programs and starts none"},
    {"from", 0, OPTION_VALUE, "ADDR",
     "take words from this address alone: no stranger can make the code void"},
    {0},
};

static int write_png(struct shell *sh, const struct qr_code *q, const char *path)
{
	struct wr png = {0};
	struct errmsg msg = {0};
	if (qr_png(q, &png, &msg) != ERR_OK)
		return shell_fail(sh, "%s", msg.text);
	FILE *f = file_stream(path, "wb");
	bool good = f && fwrite(png.data, 1, png.size, f) == png.size;
	if (f)
		good = fclose(f) == 0 && good;
	wr_free(&png);
	return good ? 0 : shell_fail(sh, "%s: %s", path, strerror(errno));
}

/* In a terminal, and into a file when one was named. What cannot be drawn can be typed. */
static int show_picture(struct shell *sh, const struct client *c, bool *drawn)
{
	struct qr_code q;
	struct errmsg msg = {0};
	const char *text = row_str(c, "qr"), *path = shell_value(sh, "png");
	enum err e = text && text[0] ? qr_make(text, &q, &msg)
	                             : err_set(&msg, ERR_UNSUPPORTED, "there is no picture");
	if (e != ERR_OK)
		return path ? shell_fail(sh, "--png: %s", msg.text) : 0;
	*drawn = !shell_json(sh) && console_is_terminal(1);
	if (*drawn)
		qr_print(&q, stdout);
	return path ? write_png(sh, &q, path) : 0;
}

static void show_refused(const struct client *c)
{
	const char *refused = row_str(c, "refused");
	if (refused && refused[0])
		printf("Refused for wrong words, and for how long: %s. --from names one that is "
		       "not.\n\n",
		       refused);
}

static void show_code(const struct client *c, bool drawn)
{
	const char *words = row_str(c, "words"), *address = row_str(c, "address");
	uint64_t valid_s = 0;
	row_u64(c, "valid_s", &valid_s);
	show_refused(c);
	printf("%s\n\n"
	       "    wasmos pair %s %s\n\n"
	       "or, on this machine, without the address. "
	       "The code is good for %llu minutes and for one try. Waiting; ^C gives up.\n",
	       drawn ? "On the other device give this picture to `wasmos pair --qr`, or type there"
	             : "On the other device type",
	       words, address, (unsigned long long)valid_s / 60);
	fflush(stdout);
}

/* The default answer is no; so is what is no terminal. */
static bool ask(const struct client *c, FILE *out)
{
	char line[16] = "";
	fprintf(out,
	        "The other device is \"%s\" (id %s, at %s).\nBoth devices show the check %s now: "
	        "if the "
	        "other one shows another, say no.\nPair with it? It may then see the "
	        "programs that run here, fetch them, and move its own here. [y/N] ",
	        row_str(c, "name"), row_str(c, "id"), row_str(c, "address"), row_str(c, "check"));
	fflush(out);
	if (!console_is_terminal(0)) {
		fprintf(out, "no (no terminal to answer at; --yes goes with the words)\n");
		return false;
	}
	return fgets(line, sizeof line, stdin) && (line[0] == 'y' || line[0] == 'Y');
}

static int answer(struct shell *sh, const struct client *asked)
{
	struct client *c;
	uint64_t question = 0;
	bool yes = ask(asked, shell_json(sh) ? stderr : stdout);
	row_u64(asked, "question", &question);
	if (client_open(sh, &c) != 0)
		return 1;
	client_request(c, "pair_answer");
	client_put_u64(c, "question", question);
	client_put_flag(c, "yes", yes);
	return client_report(sh, c, NULL);
}

/* Not 0: what was asked for cannot be shown. */
static int follow(struct shell *sh, struct client *c)
{
	int status = 0;
	bool drawn = false;
	const char *event = row_str(c, "event");
	if (shell_json(sh)) {
		row_print_json(c);
		fflush(stdout);
	}
	if (!event)
		return 0;
	if (!strcmp(event, "code"))
		status = show_picture(sh, c, &drawn);
	if (!strcmp(event, "code") && !shell_json(sh))
		show_code(c, drawn);
	else if (!strcmp(event, "ask"))
		answer(sh, c);
	else if (!strcmp(event, "paired") && !shell_json(sh))
		printf("Paired with %s (id %s, check %s).\n", row_str(c, "name"), row_str(c, "id"),
		       row_str(c, "check"));
	return status;
}

/* Three words as one operand or as three, then perhaps an address. */
static int operands(struct shell *sh, char words[TYPED_MAX], const char **address)
{
	int argc = shell_argc(sh), count = argc < WORDS_COUNT ? argc : WORDS_COUNT;
	if (argc && argc < WORDS_COUNT && strpbrk(shell_arg(sh, 0), " -.,"))
		count = 1;
	size_t at = 0;
	words[0] = 0;
	for (int i = 0; i < count; i++) {
		int n =
		    snprintf(words + at, TYPED_MAX - at, "%s%s", i ? " " : "", shell_arg(sh, i));
		at += (size_t)n;
		if (at >= TYPED_MAX)
			return shell_usage(sh, "a code is three words");
	}
	*address = shell_arg(sh, count);
	return 0;
}

static int check_options(struct shell *sh, const char *words)
{
	bool scans = shell_value(sh, "qr") != NULL;
	if (words[0] && shell_value(sh, "from"))
		return shell_usage(sh, "--from belongs to the side that shows the words");
	if ((words[0] || scans) && shell_value(sh, "png"))
		return shell_usage(sh, "--png belongs to the side that shows the code");
	if (words[0] && scans)
		return shell_usage(sh, "either words or --qr");
	if (scans && shell_flag(sh, "yes"))
		return shell_usage(
		    sh, "--yes goes with the words only: look at the names and the check");
	return 0;
}

/* The text of --qr, or of the picture that it names; "" without. */
static int read_qr(struct shell *sh, char text[PAIRING_QR_TEXT_SIZE])
{
	const char *given = shell_value(sh, "qr");
	struct errmsg msg = {0};
	text[0] = 0;
	if (!given)
		return 0;
	if (pairing_qr_is_text(given)) {
		snprintf(text, PAIRING_QR_TEXT_SIZE, "%s", given);
		return 0;
	}
	if (qr_read_png(given, text, PAIRING_QR_TEXT_SIZE, &msg) != ERR_OK)
		return shell_fail(sh, "%s", msg.text);
	return 0;
}

static int run(struct shell *sh)
{
	char words[TYPED_MAX], qr[PAIRING_QR_TEXT_SIZE];
	const char *address;
	struct client *c;
	int status = operands(sh, words, &address);
	if (!status)
		status = check_options(sh, words);
	if (!status)
		status = read_qr(sh, qr);
	if (status || client_open_or_start(sh, &c) != 0)
		return status ? status : 1;
	client_request(c, "pair");
	if (words[0])
		client_put_str(c, "words", words);
	if (shell_value(sh, "from"))
		client_put_str(c, "from", shell_value(sh, "from"));
	if (address)
		client_put_str(c, "address", address);
	if (qr[0])
		client_put_str(c, "qr", qr);
	client_put_flag(c, "files_only", shell_flag(sh, "files-only"));
	client_put_flag(c, "yes", shell_flag(sh, "yes"));
	while (client_next(sh, c, &status)) {
		int failed = follow(sh, c);
		if (failed) {
			client_close(c); /* the code is void with it */
			return failed;
		}
	}
	client_close(c);
	return status;
}

const struct command command_pair = {
    .name = "pair",
    .usage = "pair [--png FILE] [--from ADDR] | pair WORDS [ADDR:PORT] | pair --qr TEXT|IMAGE  "
             "[--files-only] [--yes] [--json]",
    .summary = "make another device one of yours",
    .help =
        "On one device of yours run `wasmos pair`: it shows a code, as a picture and as three "
        "words. On the new one\n"
        "give it a picture of it (PNG), or type the words:\n\n"
        "  wasmos pair --qr photo.png\n"
        "  wasmos pair acorn-badge-copper\n"
        "  wasmos pair acorn-badge-copper 192.0.2.7:4747\n\n"
        "The three words may be parted by spaces too, and cut to three letters each. Without an "
        "address\nthe nodes of this user on this machine are tried. Each side then shows the "
        "other's name and two digits,\nwhich are the same on both, and asks; "
        "the answer is no unless you say yes. A code is good for three minutes and for one try:\n"
        "when the words were wrong, make a new one. An address that was wrong five times is "
        "refused for ten\nminutes, unless --from names it.\n"
        "With --json each step is one line of JSON.\n",
    .options = options,
    .min_args = 0,
    .max_args = WORDS_COUNT + 1,
    .run = run,
};
