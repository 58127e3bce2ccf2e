/* abi_doc.c - prints docs/ABI.md from the lists of host calls.
 *
 *	abi-doc >docs/ABI.md       after a change of a list
 *	abi-doc --check            whether each signature agrees with its C parameters
 *
 * A test holds docs/ABI.md against what this prints.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct call {
	const char *section, *section_text; /* a heading, else NULL */
	const char *name, *signature, *result, *parameters, *text;
};

static const struct call calls[] = {
#define HOST_SECTION(title, text) {title, text, NULL, NULL, NULL, NULL, NULL},
#define HOST_CALL(name, signature, result, parameters, text) \
	{NULL, NULL, #name, signature, #result, #parameters, text},
#include "wasmos.def"
#undef HOST_CALL
#undef HOST_SECTION
};

static const struct call wasi_calls[] = {
#define WASI_CALL(name, signature, text) {NULL, NULL, #name, signature, NULL, NULL, text},
#include "wasi.def"
#undef WASI_CALL
};

static const struct wali_call {
	const char *name, *parameters;
	int number;
} wali_calls[] = {
#define WALI_CALL(name, parameters, number) {#name, parameters, number},
#define WALI_FUNCTION(name, parameters, result, text)
#include "wali.def"
#undef WALI_CALL
#undef WALI_FUNCTION
};

static const struct wali_function {
	const char *name, *parameters, *result, *text;
} wali_functions[] = {
#define WALI_CALL(name, parameters, number)
#define WALI_FUNCTION(name, parameters, result, text) {#name, parameters, result, text},
#include "wali.def"
#undef WALI_CALL
#undef WALI_FUNCTION
};

enum {
	WALI_CALLS = sizeof(wali_calls) / sizeof(wali_calls[0]),
	WALI_FUNCTIONS = sizeof(wali_functions) / sizeof(wali_functions[0]),
	CALLS = sizeof(calls) / sizeof(calls[0]),
	WASI_CALLS = sizeof(wasi_calls) / sizeof(wasi_calls[0]),
};

static const char head[] =
    "# Host calls\n"
    "\n"
    "This page is printed by sdk/abi/abi_doc.c from the lists in sdk/abi/; change those.\n"
    "\n"
    "A guest imports the functions below. In signatures, `i` is an i32 (any pointer and size too), "
    "`I` an i64; the\n"
    "result follows the parentheses. A call that blocks has done nothing yet: a process can be "
    "moved while it\n"
    "waits, and the whole call is made again where it arrives.\n"
    "\n"
    "## Module `wasmos`\n"
    "\n"
    "C programs include sdk/include/wasmos.h, where each name has the prefix `wasmos_`, and which "
    "holds the\n"
    "constants and `struct wasmos_event`. Results below 0 are negated WASI errnos.\n";

static const char frame_hash[] = "\n"
                                 "### Frame hash\n"
                                 "\n"
                                 "With `--frame-hash` a node keeps one hash over all frames a "
                                 "process has presented; it moves with the process.\n"
                                 "It begins as 32 zero bytes, and each frame makes it\n"
                                 "\n"
                                 "    BLAKE2b-256(hash, width, height, format, palette, rows)\n"
                                 "\n"
                                 "with width, height and format as 32-bit little-endian integers, "
                                 "the palette as 256 times 0x00RRGGBB likewise\n"
                                 "(indexed frames only), and the rows from the top without gaps. "
                                 "Two runs that end with the same hash have drawn\n"
                                 "the same frames.\n"
                                 "\n"
                                 "## Module `wasi_snapshot_preview1`\n"
                                 "\n"
                                 "All of WASI preview 1, as <https://github.com/WebAssembly/WASI> "
                                 "has it under legacy/preview1. All but\n"
                                 "`proc_exit` return an errno.\n"
                                 "\n"
                                 "| function | signature | what it does |\n"
                                 "|---|---|---|\n";

static const char wali_head[] = "\n"
                                "## Module `wali`\n"
                                "\n"
                                "Linux's system calls as imports (WALI, "
                                "<https://doi.org/10.1145/3689031.3717470>): the list that guests "
                                "are compiled against.\n"
                                "In this module's signatures `i` is an i32, `l` an i64 (C's long), "
                                "`p` an i32 that is an address. A call is "
                                "imported as\n"
                                "`SYS_name` and returns an i64: the result or a negated errno. "
                                "Numbers, flags and structures are those of "
                                "x86-64 Linux, but\n"
                                "pointers and `size_t` have 32 bits.\n"
                                "\n"
                                "| call | parameters | number on x86-64 |\n"
                                "|---|---|---|\n";

static void print_wali(void)
{
	fputs(wali_head, stdout);
	for (int i = 0; i < WALI_CALLS; i++)
		printf("| `SYS_%s` | `(%s)` | %d |\n", wali_calls[i].name, wali_calls[i].parameters,
		       wali_calls[i].number);
	fputs("\nBeside them:\n\n| function | signature | what it does |\n|---|---|---|\n", stdout);
	for (int i = 0; i < WALI_FUNCTIONS; i++)
		printf("| `%s` | `(%s)%s` | %s |\n", wali_functions[i].name,
		       wali_functions[i].parameters, wali_functions[i].result,
		       wali_functions[i].text);
}

static void print_call(const struct call *c)
{
	if (c->section != NULL)
		printf("\n### %s\n\n%s\n", c->section, c->section_text);
	else
		printf("\n`%s %s%s` : `%s`\n\n%s\n", c->result, c->name, c->parameters,
		       c->signature, c->text);
}

static void print_all(void)
{
	fputs(head, stdout);
	for (int i = 0; i < CALLS; i++)
		print_call(&calls[i]);
	fputs(frame_hash, stdout);
	for (int i = 0; i < WASI_CALLS; i++)
		printf("| `%s` | `%s` | %s |\n", wasi_calls[i].name, wasi_calls[i].signature,
		       wasi_calls[i].text);
	print_wali();
}

/* One letter a parameter: a 64-bit integer that is no pointer is I. */
static void signature_of(const struct call *c, char *out)
{
	const char *p = c->parameters + 1;

	*out++ = '(';
	while (*p != '\0' && *p != ')') {
		size_t size = strcspn(p, ",)");
		bool is_pointer = memchr(p, '*', size) != NULL;
		bool is_64 = false;
		for (const char *q = p; q + 7 <= p + size; q++)
			is_64 = is_64 || strncmp(q, "int64_t", 7) == 0;
		*out++ = is_64 && !is_pointer ? 'I' : 'i';
		p += size + (p[size] == ',');
	}
	memcpy(out, ")i", 3);
}

/* Letters the list knows, and numbers that rise: what the node's table and the libc rely on. */
static int check_wali(void)
{
	int wrong = 0, last = -1;

	for (int i = 0; i < WALI_CALLS; i++) {
		const struct wali_call *c = &wali_calls[i];

		if (c->number <= last || strspn(c->parameters, "ilp") != strlen(c->parameters) ||
		    strlen(c->parameters) > 6) {
			printf("wali.def: %s has a wrong number or signature\n", c->name);
			wrong++;
		}
		last = c->number;
	}
	return wrong;
}

static int check_all(void)
{
	int wrong = 0;
	char signature[32];

	for (int i = 0; i < CALLS; i++) {
		if (calls[i].section != NULL)
			continue;
		signature_of(&calls[i], signature);
		if (strcmp(signature, calls[i].signature) != 0) {
			printf("%s: signature %s, but its parameters are %s\n", calls[i].name,
			       calls[i].signature, signature);
			wrong++;
		}
	}
	return wrong + check_wali() > 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--check") == 0)
		return check_all();
	print_all();
	return 0;
}
