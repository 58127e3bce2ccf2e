/* spec_run.c - runs test scripts in wast2json's form: FILE.json and the .wasm files it names.
 *
 *	spec-run [--stress-safepoints N | random[:SEED]] [--tap] [-v] FILE.json ...
 *
 * Each failure is printed with the script's file and line. Commands on modules in text form are not about
 * a binary engine: they are counted as not applicable. A command with the key "changed" is one
 * whose rule a later edition of the spec changed: it is printed with the reason, and run as it stands. The last line is "N passed, N failed".
 * Exit: 0 all passed, 1 something failed, 2 wrong usage or unreadable files.
 */
#include "spec_value.h"
#include "spec_world.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_VALUES 1000
#define NAMES_MAX 2000

enum mode { MODE_PLAIN, MODE_VERBOSE, MODE_TAP };

struct totals {
	uint32_t passed, failed, not_applicable, changed;
	uint32_t texts_right, texts; /* refused modules whose message holds the test's words */
	uint64_t rebuilds, saved_bytes;
};

/* A module that the script gave a name. */
struct name {
	const char *text; /* in the script's JSON */
	uint32_t instance;
};

/* One script under way. */
struct script {
	struct world *world;
	const char *path; /* of the JSON file */
	const char *source;
	int64_t line;
	struct name names[NAMES_MAX]; /* of modules */
	uint32_t n_names;
	int64_t current; /* instance index, -1: none */
	bool alone;      /* no module has to do with an earlier one: each gets an empty store */
	enum mode mode;
	struct totals *totals;
};

/* ---- results of commands ---- */

static bool passed(struct script *s)
{
	s->totals->passed++;
	return true;
}

static bool __attribute__((format(printf, 2, 3))) failed(struct script *s, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	printf("%s%s:%lld: ", s->mode == MODE_TAP ? "# " : "", s->source, (long long)s->line);
	vprintf(fmt, ap);
	printf("\n");
	va_end(ap);
	s->totals->failed++;
	return false;
}

static const char *text_of(const struct json *object, const char *key)
{
	return json_text(json_get(object, key));
}

/* ---- modules ---- */

static uint8_t *read_file(const char *path, size_t *size)
{
	FILE *f = fopen(path, "rb");
	if (!f)
		return NULL;
	uint8_t *data = NULL;
	if (fseek(f, 0, SEEK_END) == 0 && (long)(*size = (size_t)ftell(f)) >= 0 &&
	    fseek(f, 0, SEEK_SET) == 0 && (data = malloc(*size + 1)) != NULL &&
	    fread(data, 1, *size, f) != *size) {
		free(data);
		data = NULL;
	}
	fclose(f);
	return data;
}

/* The bytes of the module a command names, which stand next to the JSON file. */
static uint8_t *module_file(struct script *s, const struct json *command, size_t *size)
{
	char path[4096];
	const char *slash = strrchr(s->path, '/');
	int dir = slash ? (int)(slash - s->path + 1) : 0;
	snprintf(path, sizeof path, "%.*s%s", dir, s->path, text_of(command, "filename"));
	uint8_t *data = read_file(path, size);
	if (!data)
		failed(s, "%s: %s", path, strerror(errno));
	return data;
}

static enum err load_module(struct script *s, const struct json *command, struct module **m,
                            struct errmsg *msg)
{
	size_t size;
	uint8_t *data = module_file(s, command, &size);
	if (!data)
		return ERR_IO; /* said already */
	return module_load(data, size, true, m, msg);
}

static bool is_text(const struct json *command)
{
	const char *name = text_of(command, "filename");
	size_t n = strlen(name);
	return strcmp(text_of(command, "module_type"), "text") == 0 ||
	       (n > 4 && strcmp(name + n - 4, ".wat") == 0);
}

/* A name that is given again means the later module. */
static bool add_name(struct script *s, const char *name, uint32_t instance)
{
	if (s->n_names == NAMES_MAX)
		return failed(s, "more than %d modules with names", NAMES_MAX);
	s->names[s->n_names++] = (struct name){name, instance};
	return passed(s);
}

static bool run_module(struct script *s, const struct json *command)
{
	struct module *m;
	struct errmsg msg = {0};
	uint32_t instance;
	const char *name = text_of(command, "name");
	s->current = -1;
	enum err e = load_module(s, command, &m, &msg);
	if (e != ERR_OK)
		return e == ERR_IO ? false : failed(s, "module refused: %s", msg.text);
	if (s->alone && world_reset(s->world) != ERR_OK)
		return failed(s, "no store can be made");
	if (world_instantiate(s->world, m, &instance, &msg) != ERR_OK)
		return failed(s, "module not instantiated: %s", msg.text);
	s->current = instance;
	if (*name)
		return add_name(s, name, instance);
	return passed(s);
}

static int64_t find_instance(struct script *s, const char *name)
{
	if (!*name)
		return s->current;
	for (uint32_t i = s->n_names; i > 0; i--)
		if (strcmp(s->names[i - 1].text, name) == 0)
			return s->names[i - 1].instance;
	return -1;
}

static bool run_register(struct script *s, const struct json *command)
{
	int64_t in = find_instance(s, text_of(command, "name"));
	if (in < 0 || world_register(s->world, (uint32_t)in, text_of(command, "as")) != ERR_OK)
		return failed(s, "cannot register as \"%s\"", text_of(command, "as"));
	return passed(s);
}

/* ---- modules that must be refused ---- */

/* The tests' words stand somewhere in our message; not a failure when they do not, but counted. */
static void compare_text(struct script *s, const struct json *command, const struct errmsg *msg)
{
	const char *want = text_of(command, "text");
	if (!*want)
		return;
	s->totals->texts++;
	if (strstr(msg->text, want))
		s->totals->texts_right++;
	else if (s->mode == MODE_VERBOSE)
		printf("%s:%lld: the test says \"%s\", we say \"%s\"\n", s->source,
		       (long long)s->line, want, msg->text);
}

static bool run_refused(struct script *s, const struct json *command, enum err want)
{
	struct module *m;
	struct errmsg msg = {0};
	enum err e = load_module(s, command, &m, &msg);
	if (e == ERR_IO)
		return false;
	if (e == ERR_OK) {
		module_unref(m);
		return failed(s, "module accepted: %s (%s)", err_text(want),
		              text_of(command, "text"));
	}
	if (e != want)
		return failed(s, "refused as %s, not %s: %s", err_name(e), err_name(want),
		              msg.text);
	compare_text(s, command, &msg);
	return passed(s);
}

static bool run_not_instantiated(struct script *s, const struct json *command, enum err want)
{
	struct module *m;
	struct errmsg msg = {0};
	uint32_t instance;
	enum err e = load_module(s, command, &m, &msg);
	if (e != ERR_OK)
		return e == ERR_IO ? false : failed(s, "module refused: %s", msg.text);
	e = world_instantiate(s->world, m, &instance, &msg);
	if (e == ERR_OK)
		return failed(s, "module instantiated: %s", text_of(command, "text"));
	if (e != want)
		return failed(s, "refused as %s, not %s: %s", err_name(e), err_name(want),
		              msg.text);
	compare_text(s, command, &msg);
	return passed(s);
}

/* ---- actions ---- */

struct action_result {
	enum outcome out;
	const uint64_t *values;
	uint64_t global[VALUE_SLOTS_MAX];
	uint32_t n; /* slots */
	struct errmsg text;
};

static bool read_args(const struct json *args, uint64_t *slots, uint32_t *n)
{
	*n = 0;
	for (const struct json *a = json_first(args); a; a = a->next) {
		if (*n + VALUE_SLOTS_MAX > MAX_VALUES || !value_to_slots(a, &slots[*n]))
			return false;
		*n += value_slots(a);
	}
	return true;
}

static void do_action(struct script *s, const struct json *command, struct action_result *r)
{
	const struct json *action = json_get(command, "action");
	const struct json *field = json_get(action, "field");
	const char *name = json_text(field);
	size_t size = json_size(field);
	int64_t in = find_instance(s, text_of(action, "module"));
	uint64_t args[MAX_VALUES];
	uint32_t nargs;
	*r = (struct action_result){.out = OUT_FAILED};
	if (in < 0 || !field) {
		err_set(&r->text, ERR_STATE, "no module to act on");
	} else if (strcmp(text_of(action, "type"), "get") == 0) {
		r->out = world_get(s->world, (uint32_t)in, name, size, r->global, &r->n, &r->text);
		r->values = r->global;
	} else if (!read_args(json_get(action, "args"), args, &nargs)) {
		err_set(&r->text, ERR_UNSUPPORTED, "arguments of types this engine does not have");
	} else {
		r->out = world_invoke(s->world, (uint32_t)in, name, size, args, nargs, &r->values,
		                      &r->n, &r->text);
	}
}

static bool run_action(struct script *s, const struct json *command)
{
	struct action_result r;
	do_action(s, command, &r);
	return r.out == OUT_RETURNED ? passed(s) : failed(s, "%s", r.text.text);
}

static bool run_return(struct script *s, const struct json *command)
{
	struct action_result r;
	const struct json *expected = json_get(command, "expected");
	do_action(s, command, &r);
	if (r.out != OUT_RETURNED)
		return failed(s, "%s: %s", r.out == OUT_TRAPPED ? "trapped" : "failed",
		              r.text.text);
	uint32_t n = 0, i = 0;
	for (const struct json *e = json_first(expected); e; e = e->next)
		n += value_slots(e);
	if (r.n != n)
		return failed(s, "%u slots of results, %u expected", r.n, n);
	n = 0;
	for (const struct json *e = json_first(expected); e;
	     n += value_slots(e), e = e->next, i++) {
		char got[200], want[200];
		if (value_matches(e, r.values + n))
			continue;
		slot_text(e, r.values + n, got, sizeof got);
		value_text(e, want, sizeof want);
		return failed(s, "result %u is %s, %s expected", i, got, want);
	}
	return passed(s);
}

/* The test may add an element's number to the words, which we do not. */
static bool same_trap(const char *got, const char *want)
{
	size_t n = strlen(got);
	if (strncmp(got, want, strlen(want)) == 0)
		return true;
	return strncmp(got, want, n) == 0 && want[n] == ' ' &&
	       strspn(want + n + 1, "0123456789") == strlen(want + n + 1);
}

static bool run_trap(struct script *s, const struct json *command, const char *want)
{
	struct action_result r;
	do_action(s, command, &r);
	if (r.out != OUT_TRAPPED)
		return failed(s, "no trap (%s): %s", want,
		              r.out == OUT_RETURNED ? "returned" : r.text.text);
	if (!same_trap(r.text.text, want))
		return failed(s, "trap \"%s\", \"%s\" expected", r.text.text, want);
	return passed(s);
}

/* ---- scripts ---- */

static void note_change(struct script *s, const struct json *command)
{
	if (!json_get(command, "changed"))
		return;
	s->totals->changed++;
	printf("%s%s:%lld: changed: %s\n", s->mode == MODE_TAP ? "# " : "", s->source,
	       (long long)s->line, text_of(command, "changed"));
}

static bool run_command(struct script *s, const struct json *command)
{
	const char *type = text_of(command, "type");
	s->line = json_number(json_get(command, "line"));
	if (is_text(command)) {
		s->totals->not_applicable++;
		return true;
	}
	note_change(s, command);
	if (strcmp(type, "module") == 0)
		return run_module(s, command);
	if (strcmp(type, "register") == 0)
		return run_register(s, command);
	if (strcmp(type, "action") == 0)
		return run_action(s, command);
	if (strcmp(type, "assert_return") == 0)
		return run_return(s, command);
	if (strcmp(type, "assert_trap") == 0)
		return run_trap(s, command, text_of(command, "text"));
	if (strcmp(type, "assert_exception") == 0)
		return run_trap(s, command, "uncaught exception");
	if (strcmp(type, "assert_exhaustion") == 0)
		return run_trap(s, command, "call stack exhausted");
	if (strcmp(type, "assert_invalid") == 0)
		return run_refused(s, command, ERR_INVALID);
	if (strcmp(type, "assert_malformed") == 0)
		return run_refused(s, command, ERR_MALFORMED);
	if (strcmp(type, "assert_unlinkable") == 0)
		return run_not_instantiated(s, command, ERR_UNLINKABLE);
	if (strcmp(type, "assert_uninstantiable") == 0)
		return run_not_instantiated(s, command, ERR_INVALID);
	return failed(s, "unknown command \"%s\"", type);
}

/* Nothing is registered, and every action is about the module before it. */
static bool modules_stand_alone(const struct json *commands)
{
	const char *latest = "";
	for (const struct json *command = json_first(commands); command; command = command->next) {
		const char *type = text_of(command, "type");
		const char *about = text_of(json_get(command, "action"), "module");
		if (strcmp(type, "register") == 0 || (*about && strcmp(about, latest) != 0))
			return false;
		if (strcmp(type, "module") == 0)
			latest = text_of(command, "name");
	}
	return true;
}

static bool run_commands(struct script *s, const struct json *root)
{
	const struct json *commands = json_get(root, "commands");
	s->alone = modules_stand_alone(commands);
	for (const struct json *command = json_first(commands); command; command = command->next)
		run_command(s, command);
	s->totals->rebuilds += world_rebuilds(s->world);
	s->totals->saved_bytes += world_saved_bytes(s->world);
	return true;
}

/* false: the file is no script. */
static bool run_script(const char *path, const struct stress_config *stress, enum mode mode,
                       struct totals *totals)
{
	char error[200] = "no commands";
	struct json *root = json_load(path, error, sizeof error);
	if (!json_get(root, "commands")) {
		fprintf(stderr, "spec-run: %s: %s\n", path, error);
		json_free(root);
		return false;
	}
	struct script s = {.path = path, .current = -1, .mode = mode, .totals = totals};
	s.source = text_of(root, "source_filename");
	s.source = *s.source ? s.source : path;
	s.world = world_new(stress);
	bool ok = s.world && run_commands(&s, root);
	if (!s.world)
		fprintf(stderr, "spec-run: no store can be made\n");
	else
		world_free(s.world);
	json_free(root);
	return ok;
}

/* ---- the program ---- */

static int usage(void)
{
	fprintf(
	    stderr,
	    "usage: spec-run [--stress-safepoints N | random[:SEED]] [--tap] [-v] FILE.json ...\n"
	    "  --stress-safepoints  at every Nth safepoint (or at random ones) write, free and\n"
	    "                       rebuild the whole store, and write it again to compare\n"
	    "  -v                   print refused modules whose message lacks the test's words\n");
	return 2;
}

static void print_totals(const struct totals *t, const char *prefix)
{
	if (t->rebuilds)
		printf("%sthe store was rebuilt %llu times from %.1f MB\n", prefix,
		       (unsigned long long)t->rebuilds, (double)t->saved_bytes / 1e6);
	if (t->texts)
		printf("%s%u of %u refusals hold the test's words\n", prefix, t->texts_right,
		       t->texts);
	if (t->changed)
		printf("%s%u follow a later edition of the spec\n", prefix, t->changed);
	if (t->not_applicable)
		printf("%s%u not applicable (text form)\n", prefix, t->not_applicable);
	printf("%s%u passed, %u failed\n", prefix, t->passed, t->failed);
}

/* One script as a point of the Test Anything Protocol. */
static void print_point(int number, const char *path, bool ok, const struct totals *before,
                        const struct totals *after)
{
	const char *slash = strrchr(path, '/');
	ok = ok && before->failed == after->failed;
	printf("%sok %d - %s: %u commands\n", ok ? "" : "not ", number, slash ? slash + 1 : path,
	       after->passed - before->passed + after->failed - before->failed);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct stress_config stress = {0};
	struct totals totals = {0};
	enum mode mode = MODE_PLAIN;
	bool readable = true;
	int i = 1;
	for (; i < argc && argv[i][0] == '-'; i++) {
		if (strcmp(argv[i], "-v") == 0)
			mode = MODE_VERBOSE;
		else if (strcmp(argv[i], "--tap") == 0)
			mode = MODE_TAP;
		else if (strcmp(argv[i], "--stress-safepoints") != 0 ||
		         !stress_parse(argv[++i], &stress))
			return usage();
	}
	if (i >= argc)
		return usage();
	if (stress.kind == STRESS_RANDOM)
		printf("# random safepoints, seed %llu\n", (unsigned long long)stress.seed);
	if (mode == MODE_TAP)
		printf("1..%d\n", argc - i);
	for (int first = i; i < argc; i++) {
		struct totals before = totals;
		bool ok = run_script(argv[i], &stress, mode, &totals);
		readable &= ok;
		if (mode == MODE_TAP)
			print_point(i - first + 1, argv[i], ok, &before, &totals);
	}
	print_totals(&totals, mode == MODE_TAP ? "# " : "");
	return !readable ? 2 : totals.failed ? 1 : 0;
}
