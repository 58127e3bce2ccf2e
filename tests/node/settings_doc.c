/* settings_doc.c - the tables of settings, figures and events as they stand in docs/SERVER.md and in the man page.
 *
 *	settings-doc md|mdoc|figures|events            prints one
 *	settings-doc md|mdoc|figures|events FILE       fails, with what to do, when FILE does not hold it (a test)
 */
#include "node/service/settings.h"

#include <stdlib.h>
#include <string.h>

static void put_escaped(FILE *out, const char *text, const char *these)
{
	for (; *text; text++) {
		if (strchr(these, *text))
			fputc('\\', out);
		fputc(*text, out);
	}
}

static void put_md(FILE *out)
{
	fputs("| setting | allowed | default | counts | what it is |\n|---|---|---|---|---|\n",
	      out);
	for (int i = 0; i < SETTINGS; i++) {
		const struct setting_row *r = &settings_table[i];
		char allowed[160];
		settings_allowed(r, allowed, sizeof allowed);
		fprintf(out, "| %s | %s | %s | %s | ", r->key, allowed, r->preset,
		        r->when == SETTING_RELOAD ? "at once" : "next start");
		put_escaped(out, r->help, "|");
		fputs(" |\n", out);
	}
}

static void put_mdoc(FILE *out)
{
	for (int i = 0; i < SETTINGS; i++) {
		const struct setting_row *r = &settings_table[i];
		char allowed[160];
		settings_allowed(r, allowed, sizeof allowed);
		fprintf(out, ".It Ic %s = Ar %s\n", r->key, r->value);
		put_escaped(out, r->help, "\\");
		fprintf(out, ":\n%s.\n", allowed);
	}
}

static void put_figures(FILE *out)
{
	fputs("| figure | kind | what it says |\n|---|---|---|\n", out);
#define FIGURE(id, name, kind, help) fprintf(out, "| %s | %s | %s |\n", name, #kind, help);
#include "node/service/figures.def"
#undef FIGURE
}

static void put_events(FILE *out)
{
	fputs("| event | what happened | fields |\n|---|---|---|\n", out);
#define LOG_EVENT(name, text, fields) fprintf(out, "| %s | %s | %s |\n", #name, text, fields);
#include "node/log_events.def"
#undef LOG_EVENT
}

static const struct table {
	const char *name, *from;
	void (*put)(FILE *out);
} tables[] = {{"md", "settings.def", put_md},
              {"mdoc", "settings.def", put_mdoc},
              {"figures", "figures.def", put_figures},
              {"events", "log_events.def", put_events}};

static const struct table *find_table(const char *name)
{
	for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
		if (!strcmp(tables[i].name, name))
			return &tables[i];
	return NULL;
}

static char *read_all(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = calloc(1, 1 << 20);
	if (f && text)
		text[fread(text, 1, (1 << 20) - 1, f)] = 0;
	if (f)
		fclose(f);
	return text;
}

int main(int argc, char **argv)
{
	char *table = NULL, *page = NULL;
	size_t size;
	FILE *out = open_memstream(&table, &size);
	const struct table *t = argc < 2 ? NULL : find_table(argv[1]);
	if (!t || !out)
		return 2;
	t->put(out);
	fclose(out);
	int status = 0;
	if (argc < 3) {
		fputs(table, stdout);
	} else {
		page = read_all(argv[2]);
		status = !page || !strstr(page, table);
	}
	if (status)
		fprintf(stderr,
		        "%s does not hold the table of node/%s: put in what this program prints "
		        "for \"%s\"\n",
		        argv[2], t->from, t->name);
	free(page);
	free(table);
	return status;
}
