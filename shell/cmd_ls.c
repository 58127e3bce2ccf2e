/* cmd_ls.c - `wasmos ls|stat|du|find`: what files there are, on devices and on this host. */
#include "shell/files.h"
#include "shell/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DEPTH_MAX = 512 };

/* ---- rows ---- */

struct listing {
	struct files f;
	uint64_t rows;
	int status;
};

static void next_row(struct listing *l)
{
	if (l->f.sh->json)
		fputs(l->rows ? ",\n " : "[", stdout);
	l->rows++;
}

static int end_rows(struct listing *l)
{
	if (l->f.sh->json)
		fputs(l->rows ? "]\n" : "[]\n", stdout);
	files_end(&l->f);
	return l->status;
}

static void add_status(struct listing *l, int status)
{
	if (status > l->status)
		l->status = status;
}

static void print_name(const char *name)
{
	char text[VFS_PATH_MAX + 2];
	snprintf(text, sizeof text, "%s", name);
	text_for_people(text);
	for (char *p = text; *p; p++)
		if (*p == '\n' || *p == '\t')
			*p = '?';
	puts(text);
}

static void size_text(uint64_t bytes, char out[16])
{
	static const char units[] = " KMGTP";
	double x = (double)bytes;
	int unit = 0;
	for (; x >= 1024 && unit < 5; unit++)
		x /= 1024;
	snprintf(out, 16, unit ? "%.1f%c" : "%.0f", x, units[unit]);
}

static void time_text(uint64_t ns, char out[32])
{
	time_t t = (time_t)(ns / 1000000000);
	const struct tm *tm = localtime(&t);
	if (!ns || !tm || !strftime(out, 32, "%Y-%m-%d %H:%M", tm))
		strcpy(out, "-");
}

static void print_facts(const struct vfs_stat *st)
{
	char size[16], when[32], mode[8] = "-";
	size_text(st->size_bytes, size);
	time_text(st->mtime_ns, when);
	if (st->has_mode)
		snprintf(mode, sizeof mode, "%04o", st->mode);
	printf("%-7s %4s %8s  %-16s  ", files_type(st), mode,
	       st->type == VFS_TYPE_FILE ? size : "-", when);
}

static void print_json(const struct vfs_stat *st, const char *key, const char *name)
{
	printf("{\"%s\": ", key);
	json_text(name);
	printf(", \"type\": \"%s\", \"size_bytes\": %" PRIu64 ", \"mtime_ns\": %" PRIu64,
	       files_type(st), st->size_bytes, st->mtime_ns);
	if (st->has_mode)
		printf(", \"mode\": \"%04o\"", st->mode);
	putchar('}');
}

static void print_row(struct listing *l, const struct vfs_stat *st, const char *key,
                      const char *name)
{
	next_row(l);
	if (l->f.sh->json) {
		print_json(st, key, name);
		return;
	}
	if (l->rows == 1)
		puts("TYPE    MODE     SIZE  CHANGED           NAME");
	print_facts(st);
	print_name(name);
}

/* The path as it is typed. */
static void typed(const struct place *p, char out[VFS_PATH_MAX + 2])
{
	snprintf(out, VFS_PATH_MAX + 2, "%s%s", p->is_far ? ":/" : "",
	         p->is_far && !strcmp(p->path, ".") ? "" : p->path);
}

/* ---- ls ---- */

static void list_folder(struct listing *l, const struct place *dir)
{
	char **names;
	size_t count;
	enum ferr e = files_names(dir, &names, &count);
	if (e != FE_OK) {
		add_status(l, files_fail(&l->f, dir->given, e));
		return;
	}
	for (size_t i = 0; i < count; i++) {
		struct place p;
		struct vfs_stat st = {0};
		if (!shell_flag(l->f.sh, "all") && names[i][0] == '.')
			continue;
		e = files_below(dir, names[i], &p);
		if (e == FE_OK)
			e = vfs_stat_at(p.root, p.path, false, &st);
		if (e == FE_OK)
			print_row(l, &st, "name", names[i]);
		else if (e != FE_NOENT) /* it was removed meanwhile */
			add_status(l, files_fail_at(&l->f, &p, p.path, e));
	}
	files_names_free(names, count);
}

static void list_one(struct listing *l, const char *given)
{
	struct place p;
	struct vfs_stat st;
	int status = files_place(&l->f, given, &p);
	if (status) {
		add_status(l, status);
		return;
	}
	enum ferr e = vfs_stat_at(p.root, p.path, true, &st);
	if (e != FE_OK) {
		add_status(l, files_fail(&l->f, given, e));
	} else if (st.type != VFS_TYPE_DIR) {
		print_row(l, &st, "name", given);
	} else {
		if (shell_argc(l->f.sh) > 1 && !l->f.sh->json)
			printf("%s:\n", given);
		list_folder(l, &p);
	}
}

static int run_ls(struct shell *sh)
{
	struct listing l = {.f = {.sh = sh}};
	if (shell_argc(sh) == 0)
		list_one(&l, ":");
	for (int i = 0; i < shell_argc(sh); i++)
		list_one(&l, shell_arg(sh, i));
	return end_rows(&l);
}

/* ---- stat ---- */

static int run_stat(struct shell *sh)
{
	struct listing l = {.f = {.sh = sh}};
	for (int i = 0; i < shell_argc(sh); i++) {
		struct place p;
		struct vfs_stat st;
		int status = files_place(&l.f, shell_arg(sh, i), &p);
		enum ferr e = status ? FE_OK : vfs_stat_at(p.root, p.path, false, &st);
		if (e != FE_OK)
			status = files_fail(&l.f, shell_arg(sh, i), e);
		add_status(&l, status);
		if (!status)
			print_row(&l, &st, "name", shell_arg(sh, i));
	}
	return end_rows(&l);
}

/* ---- walks: du and find ---- */

typedef void (*visit_fn)(void *ctx, const struct place *p, const struct vfs_stat *st);

static void walk(struct listing *l, const struct place *p, int depth, visit_fn visit, void *ctx)
{
	struct vfs_stat st;
	char **names;
	size_t count = 0;
	enum ferr e = vfs_stat_at(p->root, p->path, false, &st);
	if (e == FE_OK)
		visit(ctx, p, &st);
	if (e == FE_OK && st.type != VFS_TYPE_DIR)
		return;
	if (e == FE_OK)
		e = depth == DEPTH_MAX ? FE_NAMETOOLONG : files_names(p, &names, &count);
	if (e != FE_OK) {
		add_status(l, files_fail_at(&l->f, p, p->path, e));
		return;
	}
	struct place *inner = malloc(sizeof *inner);
	for (size_t i = 0; inner && i < count; i++)
		if (files_below(p, names[i], inner) == FE_OK)
			walk(l, inner, depth + 1, visit, ctx);
	free(inner);
	files_names_free(names, count);
}

struct sum {
	uint64_t bytes, files, folders;
};

static void add_up(void *ctx, const struct place *p, const struct vfs_stat *st)
{
	struct sum *s = ctx;
	s->folders += st->type == VFS_TYPE_DIR;
	s->files += st->type != VFS_TYPE_DIR;
	s->bytes += st->type == VFS_TYPE_FILE ? st->size_bytes : 0;
}

static void print_sum(struct listing *l, const char *given, const struct sum *s)
{
	char size[16];
	next_row(l);
	if (l->f.sh->json) {
		fputs("{\"name\": ", stdout);
		json_text(given);
		printf(", \"size_bytes\": %" PRIu64 ", \"files\": %" PRIu64
		       ", \"folders\": %" PRIu64 "}",
		       s->bytes, s->files, s->folders);
		return;
	}
	if (l->rows == 1)
		puts("    SIZE    FILES  FOLDERS  NAME");
	size_text(s->bytes, size);
	printf("%8s %8" PRIu64 " %8" PRIu64 "  ", size, s->files, s->folders);
	print_name(given);
}

static int run_du(struct shell *sh)
{
	struct listing l = {.f = {.sh = sh}};
	for (int i = 0; i < shell_argc(sh); i++) {
		struct place p;
		struct sum s = {0};
		int status = files_place(&l.f, shell_arg(sh, i), &p);
		add_status(&l, status);
		if (status)
			continue;
		struct busy *b = busy_begin(sh);
		walk(&l, &p, 0, add_up, &s);
		busy_end(&b);
		print_sum(&l, shell_arg(sh, i), &s);
	}
	return end_rows(&l);
}

/* A pattern of * and ?, as a shell has them, without sets. */
static bool matches(const char *pattern, const char *name)
{
	const char *star = NULL, *again = NULL;
	while (*name) {
		if (*pattern == '*') {
			star = ++pattern;
			again = name;
		} else if (*pattern == '?' || *pattern == *name) {
			pattern++;
			name++;
		} else if (star) {
			pattern = star;
			name = ++again;
		} else {
			return false;
		}
	}
	return pattern[strspn(pattern, "*")] == 0;
}

static void print_found(void *ctx, const struct place *p, const struct vfs_stat *st)
{
	struct listing *l = ctx;
	const char *pattern = shell_value(l->f.sh, "name"), *type = shell_value(l->f.sh, "type");
	char name[VFS_PATH_MAX + 2];
	if ((pattern && !matches(pattern, p->name)) || (type && strcmp(type, files_type(st)) != 0))
		return;
	typed(p, name);
	next_row(l);
	if (l->f.sh->json)
		print_json(st, "path", name);
	else
		print_name(name);
}

static int run_find(struct shell *sh)
{
	struct listing l = {.f = {.sh = sh}};
	const char *type = shell_value(sh, "type");
	if (type && strcmp(type, "file") && strcmp(type, "folder") && strcmp(type, "link"))
		return shell_usage(sh, "--type is file, folder or link");
	for (int i = 0; i < shell_argc(sh); i++) {
		struct place p;
		int status = files_place(&l.f, shell_arg(sh, i), &p);
		add_status(&l, status);
		if (!status)
			walk(&l, &p, 0, print_found, &l);
	}
	return end_rows(&l);
}

static const struct option ls_options[] = {
    {"all", 'a', OPTION_FLAG, NULL, "also names that begin with a dot"},
    {0},
};

static const struct option find_options[] = {
    {"name", 0, OPTION_VALUE, "PATTERN", "only what is called so; * and ? stand for anything"},
    {"type", 0, OPTION_VALUE, "TYPE", "only a file, folder or link"},
    {0},
};

const struct command command_ls = {
    .name = "ls",
    .usage = "ls [-a] [FILE...] [--json]",
    .summary = "list files of devices",
    .help = "`wasmos ls` lists the root of the tree, `wasmos ls :/net` the devices, `wasmos ls "
            "DEVICE:` "
            "what one shares. Names\n"
            "are those of `wasmos cp`.\n",
    .options = ls_options,
    .min_args = 0,
    .max_args = -1,
    .run = run_ls,
};

const struct command command_stat = {
    .name = "stat",
    .usage = "stat FILE... [--json]",
    .summary = "show what is known of files of devices",
    .help = "A symbolic link is shown itself. Names are those of `wasmos cp`.\n",
    .min_args = 1,
    .max_args = -1,
    .run = run_stat,
};

const struct command command_du = {
    .name = "du",
    .usage = "du FILE... [--json]",
    .summary = "add up the sizes of files of devices",
    .help = "What the files have in them, not what they take on a disk. Names are those of `wasmos "
            "cp`.\n",
    .min_args = 1,
    .max_args = -1,
    .run = run_du,
};

const struct command command_find = {
    .name = "find",
    .usage = "find [--name PATTERN] [--type TYPE] FILE... [--json]",
    .summary = "find files of devices",
    .help =
        "Prints every path below that fits, in a form that other commands take. Names are those of "
        "`wasmos cp`.\n",
    .options = find_options,
    .min_args = 1,
    .max_args = -1,
    .run = run_find,
};
