/* cmd_pair.c - `wasmos pair`: shows a code and waits; `wasmos pair WORDS [ADDR:PORT]`: joins.
 *
 * The node does the work and sends events: the code, the question about the other device, the pair.
 * The answer to the question is a request of its own. */
#include "shell/console.h"
#include "shell/shell.h"

#include <stdio.h>
#include <string.h>

enum { WORDS_COUNT = 3, TYPED_MAX = 128 };

static const struct option options[] = {
    {"yes", 'y', OPTION_FLAG, NULL,
     "do not ask whether the other device is the right one (for scripts)"},
    {"from", 0, OPTION_VALUE, "ADDR",
     "take words from this address alone: no stranger can make the code void"},
    {0},
};

static void show_code(const struct client *c)
{
	const char *words = row_str(c, "words"), *address = row_str(c, "address");
	uint64_t valid_s = 0;
	row_u64(c, "valid_s", &valid_s);
	printf("On the other device type\n\n"
	       "    wasmos pair %s %s\n\n"
	       "or, on this machine, without the address. "
	       "The words are good for %llu minutes and for one try. Waiting; ^C gives up.\n",
	       words, address, (unsigned long long)valid_s / 60);
	fflush(stdout);
}

/* The default answer is no; so is what is no terminal. */
static bool ask(const struct client *c, FILE *out)
{
	char line[16] = "";
	fprintf(out,
	        "The other device is \"%s\" (id %s, at %s).\nPair with it? It may then see the "
	        "programs that run here, fetch them, and move its own here. [y/N] ",
	        row_str(c, "name"), row_str(c, "id"), row_str(c, "address"));
	fflush(out);
	if (!console_is_terminal(0)) {
		fprintf(out, "no (no terminal to answer at; see --yes)\n");
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

static void follow(struct shell *sh, struct client *c)
{
	const char *event = row_str(c, "event");
	if (shell_json(sh)) {
		row_print_json(c);
		fflush(stdout);
	}
	if (!event)
		return;
	if (!strcmp(event, "code") && !shell_json(sh))
		show_code(c);
	else if (!strcmp(event, "ask"))
		answer(sh, c);
	else if (!strcmp(event, "paired") && !shell_json(sh))
		printf("Paired with %s (id %s).\n", row_str(c, "name"), row_str(c, "id"));
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

static int run(struct shell *sh)
{
	char words[TYPED_MAX];
	const char *address;
	struct client *c;
	int status = operands(sh, words, &address);
	if (!status && words[0] && shell_value(sh, "from"))
		status = shell_usage(sh, "--from belongs to the side that shows the words");
	if (status || client_open_or_start(sh, &c) != 0)
		return status ? status : 1;
	client_request(c, "pair");
	if (words[0])
		client_put_str(c, "words", words);
	if (shell_value(sh, "from"))
		client_put_str(c, "from", shell_value(sh, "from"));
	if (address)
		client_put_str(c, "address", address);
	client_put_flag(c, "yes", shell_flag(sh, "yes"));
	while (client_next(sh, c, &status))
		follow(sh, c);
	client_close(c);
	return status;
}

const struct command command_pair = {
    .name = "pair",
    .usage = "pair [--from ADDR] | pair WORDS [ADDR:PORT]  [--yes] [--json]",
    .summary = "make another device one of yours",
    .help =
        "On one device run `wasmos pair`: it shows three words. On the other type them:\n\n"
        "  wasmos pair acorn-badge-copper\n"
        "  wasmos pair acorn-badge-copper 192.0.2.7:4747\n\n"
        "The three words may be parted by spaces too, and cut to three letters each. Without an "
        "address\nthe nodes of this user on this machine are tried. Each side then shows the "
        "other's name and asks;\n"
        "the answer is no unless you say yes. A code is good for three minutes and for one try:\n"
        "when the words were wrong, make a new one. An address that was wrong five times is "
        "refused for ten\nminutes, unless --from names it.\n"
        "With --json each step is one line of JSON.\n",
    .options = options,
    .min_args = 0,
    .max_args = WORDS_COUNT + 1,
    .run = run,
};
