/* complete.c - the next word of a command line. */
#include "shell/complete.h"

#include "base/file.h"
#include "base/os_thread.h"
#include "node/service/settings.h"
#include "node/sockets/socket.h"
#include "shell/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WORD_MAX = 256, STACK_BYTES = 64 * 1024 };

struct typing {
	struct shell *shell;
	char *const *words;
	int count;
	const char *current;   /* what is typed of the word, behind the prefix */
	char prefix[WORD_MAX]; /* "--on=", which stays before every answer */
};

/* ---- answers ---- */

static void offer(const struct typing *t, const char *word, const char *what)
{
	char clean[2][WORD_MAX];
	if (strncmp(word, t->current, strlen(t->current)) != 0)
		return;
	snprintf(clean[0], WORD_MAX, "%s", word);
	snprintf(clean[1], WORD_MAX, "%s", what ? what : "");
	for (int i = 0; i < 2; i++) {
		text_for_people(clean[i]);
		for (char *p = clean[i]; *p; p++)
			if (*p == '\t' || *p == '\n')
				*p = '?';
	}
	printf("%s%s\t%s\n", t->prefix, clean[0], clean[1]);
}

/* "auto sdl2 headless" */
static void offer_words(const struct typing *t, const char *words, char between)
{
	while (*words) {
		const char *end = strchr(words, between);
		size_t size = end ? (size_t)(end - words) : strlen(words);
		char word[WORD_MAX];
		snprintf(word, sizeof word, "%.*s", (int)(size < WORD_MAX ? size : WORD_MAX - 1),
		         words);
		offer(t, word, NULL);
		words += size + (end != NULL);
	}
}

static void offer_options(const struct typing *t, const struct option *o)
{
	for (; o && o->name; o++) {
		char text[WORD_MAX];
		snprintf(text, sizeof text, "--%s", o->name);
		offer(t, text, o->help);
	}
}

/* ---- what the node knows ---- */

/* A node that does not answer must not hold the person's shell. */
static void *end_in_time(void *unused)
{
	os_sleep_ns(COMPLETE_MS * UINT64_C(1000000));
	_exit(0);
	return unused;
}

static bool ask(const struct typing *t, const char *request, struct client **c)
{
	pthread_t thread;
	fflush(stdout);
	if (!os_thread_start(&thread, STACK_BYTES, end_in_time, NULL) ||
	    client_open(t->shell, c) != 0)
		return false;
	client_request(*c, request);
	return true;
}

/* "up, 12 % load, 2048 MiB free, arm64, battery 80 %, screen sound": what one chooses a device by. */
static void offer_peer(const struct typing *t, const struct client *c)
{
	const char *state = row_str(c, "state"), *processor = row_str(c, "processor"),
	           *abilities = row_str(c, "abilities");
	char what[WORD_MAX];
	uint64_t load = 0, mib = 0, battery = 0;
	int n = snprintf(what, sizeof what, "%s", state ? state : "");
	if (row_flag(c, "up") && row_u64(c, "load_percent", &load) &&
	    row_u64(c, "memory_free_mib", &mib))
		n += snprintf(what + n, sizeof what - (size_t)n, ", %u %% load, %u MiB free%s%s",
		              (unsigned)load, (unsigned)mib, processor && *processor ? ", " : "",
		              processor ? processor : "");
	if (row_flag(c, "up") && row_u64(c, "battery_percent", &battery))
		n += snprintf(what + n, sizeof what - (size_t)n, ", battery %u %%",
		              (unsigned)battery);
	if (row_flag(c, "up") && abilities && *abilities)
		snprintf(what + n, sizeof what - (size_t)n, ", %s", abilities);
	offer(t, row_str(c, "name"), what);
}

static void offer_peers(const struct typing *t)
{
	struct client *c;
	int status;
	if (!ask(t, "peers", &c))
		return;
	while (client_next(t->shell, c, &status))
		if (!row_flag(c, "self") && row_str(c, "name"))
			offer_peer(t, c);
	client_close(c);
}

static void offer_pids(const struct typing *t)
{
	struct client *c;
	int status;
	uint64_t pid;
	if (!ask(t, "ps", &c))
		return;
	while (client_next(t->shell, c, &status)) {
		char word[24];
		if (!row_u64(c, "pid", &pid))
			continue;
		snprintf(word, sizeof word, "%llu", (unsigned long long)pid);
		offer(t, word, row_str(c, "name"));
	}
	client_close(c);
}

/* ---- kinds ---- */

static void say_else(const char *what)
{
	puts(what);
}

/* "PEER|best": behind it may stand words that count as well. */
static const char *behind_device(const char *kind)
{
	size_t size = !strncmp(kind, "PEER", 4) ? 4 : !strncmp(kind, "DEVICE", 6) ? 6 : 0;
	return !size || (kind[size] && kind[size] != '|') ? NULL
	                                                  : kind + size + (kind[size] == '|');
}

static bool is_device(const char *kind)
{
	return behind_device(kind) != NULL;
}

/* An operand as the usage calls it. */
static void offer_operand(const struct typing *t, const char *kind)
{
	bool file =
	    !strncmp(kind, "FILE", 4) || !strncmp(kind, "PROG", 4) || !strncmp(kind, "ARGS", 4);
	say_else(file ? "files" : "words");
	if (is_device(kind)) {
		offer_words(t, behind_device(kind), '|');
		offer_peers(t);
	} else if (strstr(kind, "PID") && strcmp(t->words[0], "bring") != 0)
		offer_pids(t);
	else if (kind[0] >= 'a' && kind[0] <= 'z')
		offer_words(t, kind, '|');
}

static void offer_net_modes(const struct typing *t)
{
	for (int m = 0; m < NET_MODES; m++)
		offer(t, net_mode_name((enum net_mode)m), NULL);
}

static const struct setting_row *choice_of(const char *name)
{
	for (int i = 0; i < SETTINGS; i++)
		if (!strcmp(settings_table[i].key, name) &&
		    settings_table[i].kind == SETTING_CHOICE)
			return &settings_table[i];
	return NULL;
}

/* An option's value. */
static void offer_value(const struct typing *t, const struct option *o)
{
	const struct setting_row *row = choice_of(o->name);
	bool folder = !strcmp(o->value, "DIR") || !strncmp(o->value, "HOST", 4);
	say_else(folder ? "folders" : !strncmp(o->value, "FILE", 4) ? "files" : "words");
	if (row)
		offer_words(t, row->allowed, ' ');
	else if (is_device(o->value))
		offer_peers(t);
	else if (!strcmp(o->name, "net"))
		offer_net_modes(t);
}

/* ---- a command's usage ---- */

/* The next operand at *p as its kind; false: this alternative has no more. Options, and what stands behind them, are left out. */
static bool next_kind(const char **p, const char *end, char kind[WORD_MAX])
{
	bool value = false; /* of the option before */
	while (*p < end) {
		size_t size = 0;
		int depth = 0;
		while (*p < end && **p == ' ')
			++*p;
		while (*p + size < end && ((*p)[size] != ' ' || depth > 0)) {
			depth += (*p)[size] == '[' ? 1 : (*p)[size] == ']' ? -1 : 0;
			size++;
		}
		const char *word = *p;
		*p += size;
		bool optional = size > 2 && word[0] == '[' && word[size - 1] == ']';
		bool skip = !size || value || !strncmp(word, "[-", 2) || word[0] == '-' ||
		            !strncmp(word, "[OPTIONS", 8);
		value = size && word[0] == '-' && word[1] != '-';
		if (skip)
			continue;
		snprintf(kind, WORD_MAX, "%.*s", (int)(size - (optional ? 2 : 0)), word + optional);
		return true;
	}
	return false;
}

/* Whether a word that was typed can be what stands in the usage. */
static bool fits(const char *kind, const char *word)
{
	size_t size = strlen(word);
	if (kind[0] < 'a' || kind[0] > 'z')
		return true;
	for (const char *p = kind; p; p = strchr(p, '|')) {
		p += *p == '|';
		if (!strncmp(p, word, size) && (!p[size] || p[size] == '|'))
			return true;
	}
	return false;
}

/* The kind of operand number n in one alternative, whose operands before it fit what was typed. */
static bool kind_at(const struct command *c, const char *p, const char *end, char *const *typed,
                    int n, char kind[WORD_MAX])
{
	bool more = next_kind(&p, end, kind);
	if (more && !strcmp(kind, c->name))
		more = next_kind(&p, end, kind);
	for (int i = 0; more && i < n; i++) /* what repeats does so to the end */
		more = fits(kind, typed[i]) && (strstr(kind, "...") || next_kind(&p, end, kind));
	return more;
}

static void offer_operands(const struct typing *t, const struct command *c, char *const *typed,
                           int n)
{
	char all[1024] = "", kind[WORD_MAX];
	for (const char *p = c->usage, *end; *p; p = *end ? end + 3 : end) {
		end = strstr(p, " | ");
		end = end ? end : p + strlen(p);
		if (!kind_at(c, p, end, typed, n, kind))
			continue;
		/* Words of several alternatives are one list. */
		if (kind[0] >= 'a' && kind[0] <= 'z' && strlen(all) + strlen(kind) + 2 < sizeof all)
			strcat(strcat(all, *all ? "|" : ""), kind);
		else if (!*all)
			strcat(all, kind);
	}
	offer_operand(t, c->rest && n > 0 ? "FILE" : all);
}

/* ---- the line ---- */

static const struct option *option_of(const struct command *c, const char *word)
{
	const char *value;
	struct shell look = {.command = c};
	return options_look_up(&look, word, &value);
}

/* "--on=de": the value is what is typed. */
static bool split_value(struct typing *t, const struct command *c)
{
	const char *sign = strncmp(t->current, "--", 2) ? NULL : strchr(t->current, '=');
	const struct option *o = sign ? option_of(c, t->current) : NULL;
	if (!o || o->kind == OPTION_FLAG || sign - t->current > WORD_MAX - 2)
		return false;
	snprintf(t->prefix, sizeof t->prefix, "%.*s", (int)(sign + 1 - t->current), t->current);
	t->current = sign + 1;
	offer_value(t, o);
	return true;
}

static void complete_command(struct typing *t, const struct command *c, char **operands)
{
	const struct option *waits = NULL; /* for its value */
	bool options = true;
	int n = 0;
	for (int i = 1; i < t->count - 1; i++) {
		const char *w = t->words[i];
		if (waits && !strcmp(w, "="))
			continue; /* bash makes three words of --on=desk */
		if (waits)
			waits = NULL;
		else if (options && w[0] == '-' && w[1])
			waits = strcmp(w, "--") ? option_of(c, w) : (options = false, NULL);
		else
			operands[n++] = t->words[i];
		if (waits &&
		    (waits->kind == OPTION_FLAG || strchr(w, '=') || (w[1] != '-' && w[2])))
			waits = NULL;
		options = options && !(c->rest && n);
	}
	if (waits && !strcmp(t->current, "="))
		t->current = "";
	if (waits) {
		offer_value(t, waits);
	} else if (options && split_value(t, c)) {
		return;
	} else if (options && t->current[0] == '-') {
		say_else("words");
		offer_options(t, c->options);
		offer_options(t, options_common());
	} else {
		offer_operands(t, c, operands, n);
	}
}

static void offer_commands(const struct typing *t)
{
	const struct command *c;
	say_else("words");
	if (t->current[0] == '-')
		offer_options(t, options_common());
	for (size_t i = 0; (c = command_at(i)); i++)
		offer(t, c->name, c->summary);
	offer(t, "help", "explain a command");
}

static void use_home(struct shell *sh, const char *home)
{
	char *whole = path_absolute(home);
	if (!whole)
		return;
	free(sh->home);
	sh->home = whole;
}

/* A home that is named anywhere before the word is the one whose node is asked. Returns how many words stand before the command. */
static int take_home(struct shell *sh, char *const *words, int count)
{
	int before = 0;
	for (int i = 0; i < count - 1; i++) {
		bool with_value = !strcmp(words[i], "--home");
		if (with_value && i + 1 < count - 1)
			use_home(sh, words[i + 1]);
		if (!strncmp(words[i], "--home=", 7))
			use_home(sh, words[i] + 7);
		if (i == before && words[i][0] == '-')
			before += 1 + with_value;
	}
	return before < count ? before : count - 1;
}

void complete_next(struct shell *sh, char *const *words, int count)
{
	if (!count)
		return;
	int skip = take_home(sh, words, count);
	struct typing t = {
	    .shell = sh, .words = words + skip, .count = count - skip, .current = words[count - 1]};
	const struct command *c = t.count > 1 ? command_called(t.words[0]) : NULL;
	char **operands = calloc((size_t)count, sizeof *operands);
	if (skip && !strcmp(words[skip - 1], "--home"))
		say_else("folders");
	else if (t.count == 1 || (t.count == 2 && !strcmp(t.words[0], "help")))
		offer_commands(&t);
	else if (c && operands)
		complete_command(&t, c, operands);
	free(operands);
}
