/* cmd_cp.c - `wasmos cp|mv|rm|cat`: files between devices and this host. */
#include "shell/console.h"
#include "shell/files.h"
#include "shell/internal.h"

#include <string.h>

static const struct option cp_options[] = {
    {"recursive", 'r', OPTION_FLAG, NULL, "folders too, with all below them"},
    {0},
};

static const struct option rm_options[] = {
    {"recursive", 'r', OPTION_FLAG, NULL, "folders too, with all below them"},
    {"force", 'f', OPTION_FLAG, NULL, "what is not there is no error"},
    {0},
};

/* ---- cp and mv ---- */

/* Where one of them goes: into a folder under its own name, else to the name itself. */
static int target_of(struct files *f, const struct place *from, const struct place *to,
                     bool is_folder, struct place *out)
{
	*out = *to;
	if (!is_folder)
		return 0;
	if (!from->name[0])
		return shell_usage(f->sh, "%s has no name that could stand in %s", from->given,
		                   to->given);
	enum ferr e = files_below(to, from->name, out);
	return e == FE_OK ? 0 : files_fail(f, to->given, e);
}

typedef int (*one_fn)(struct files *f, const struct place *from, const struct place *to);

static int copy_one(struct files *f, const struct place *from, const struct place *to)
{
	return files_copy(f, from, to, shell_flag(f->sh, "recursive"));
}

static int move_one(struct files *f, const struct place *from, const struct place *to)
{
	enum ferr e = from->is_far == to->is_far
	                  ? vfs_rename(from->root, from->path, to->root, to->path)
	                  : FE_XDEV;
	if (e == FE_OK)
		return 0;
	if (e != FE_XDEV)
		return files_fail(f, from->given, e);
	int status = files_copy(f, from, to, true);
	return status ? status : files_remove(f, from, true);
}

static int each_to(struct files *f, const struct place *to, bool is_folder, one_fn one)
{
	int status = 0;
	for (int i = 0; i < shell_argc(f->sh) - 1; i++) {
		struct place from, target;
		int s = files_place(f, shell_arg(f->sh, i), &from);
		if (s == 0)
			s = target_of(f, &from, to, is_folder, &target);
		if (s == 0)
			s = one(f, &from, &target);
		if (s > status)
			status = s;
	}
	return status;
}

static int transfer(struct shell *sh, one_fn one)
{
	struct files f = {.sh = sh};
	struct place to;
	struct vfs_stat st;
	const char *last = shell_arg(sh, shell_argc(sh) - 1);
	int status = files_place(&f, last, &to);
	if (status == 0) {
		enum ferr e = vfs_stat_at(to.root, to.path, true, &st);
		bool is_folder = e == FE_OK && st.type == VFS_TYPE_DIR;
		if (e != FE_OK && e != FE_NOENT)
			status = files_fail(&f, last, e);
		else if (!is_folder && shell_argc(sh) > 2)
			status = shell_usage(sh, "%s is no folder", last);
		else
			status = each_to(&f, &to, is_folder, one);
	}
	files_end(&f);
	return status;
}

static int run_cp(struct shell *sh)
{
	return transfer(sh, copy_one);
}

static int run_mv(struct shell *sh)
{
	return transfer(sh, move_one);
}

/* ---- rm ---- */

static int remove_one(struct files *f, const char *given)
{
	struct place p;
	struct vfs_stat st;
	int status = files_place(f, given, &p);
	if (status)
		return status;
	if (!p.is_far)
		return shell_usage(f->sh, "%s is a file of this host: rm removes those of devices",
		                   given);
	enum ferr e = vfs_stat_at(p.root, p.path, false, &st);
	if (e == FE_NOENT && shell_flag(f->sh, "force"))
		return 0;
	return e == FE_OK ? files_remove(f, &p, shell_flag(f->sh, "recursive"))
	                  : files_fail(f, given, e);
}

static int run_rm(struct shell *sh)
{
	struct files f = {.sh = sh};
	int status = 0;
	struct busy *b = busy_begin(sh);
	for (int i = 0; i < shell_argc(sh); i++) {
		int s = remove_one(&f, shell_arg(sh, i));
		status = s > status ? s : status;
	}
	busy_end(&b);
	files_end(&f);
	return status;
}

/* ---- cat ---- */

static enum ferr print_part(void *ctx, const void *bytes, size_t size)
{
	console_write(1, bytes, size);
	return FE_OK;
}

static int print_one(struct files *f, const char *given)
{
	struct place p;
	struct vfs_obj *o;
	int status = files_place(f, given, &p);
	if (status)
		return status;
	enum ferr e = vfs_open(p.root, p.path, VFS_READ, &o);
	if (e == FE_OK) {
		e = o->type == VFS_TYPE_DIR ? FE_ISDIR : files_read(o, print_part, NULL);
		vfs_unref(o);
	}
	return e == FE_OK ? 0 : files_fail(f, given, e);
}

static int run_cat(struct shell *sh)
{
	struct files f = {.sh = sh};
	int status = 0;
	for (int i = 0; i < shell_argc(sh); i++) {
		int s = print_one(&f, shell_arg(sh, i));
		status = s > status ? s : status;
	}
	files_end(&f);
	return status;
}

const struct command command_cp = {
    .name = "cp",
    .usage = "cp [-r] FILE... TO",
    .summary = "copy files between devices and this host",
    .help = "TO is a folder that is there, or what the copy is called. It gets the times and the "
            "mode of "
            "its original. What\n"
            "stands there already stays until the copy is whole and on disk; when something goes "
            "wrong no "
            "part of a copy is left.\n\n"
            "DEVICE:SHARE/PATH is a file of a device's share, DEVICE: what it shares, and :/PATH "
            "one of "
            "the whole tree\n"
            "(:/net/DEVICE/...); anything else is a file of this host. A single letter before a "
            "colon is "
            "a drive.\n",
    .options = cp_options,
    .min_args = 2,
    .max_args = -1,
    .run = run_cp,
};

const struct command command_mv = {
    .name = "mv",
    .usage = "mv FILE... TO",
    .summary = "move or rename files of devices and of this host",
    .help =
        "Within one share it is a rename; else a copy as `wasmos cp -r` makes it, after which the "
        "original is removed.\n"
        "Names are those of `wasmos cp`.\n",
    .min_args = 2,
    .max_args = -1,
    .run = run_mv,
};

const struct command command_rm = {
    .name = "rm",
    .usage = "rm [-r] [-f] DEVICE:SHARE/PATH...",
    .summary = "remove files of devices",
    .help = "Names are those of `wasmos cp`, but for files of this host, which rm(1) removes.\n",
    .options = rm_options,
    .min_args = 1,
    .max_args = -1,
    .run = run_rm,
};

const struct command command_cat = {
    .name = "cat",
    .usage = "cat FILE...",
    .summary = "print files of devices",
    .help = "Names are those of `wasmos cp`.\n",
    .min_args = 1,
    .max_args = -1,
    .run = run_cat,
};
