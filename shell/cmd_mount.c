/* cmd_mount.c - `wasmos mount|umount DIR`. */
#include "shell/mount.h"
#include "shell/shell.h"

static const struct option mount_options[] = {
    {"foreground", 'f', OPTION_FLAG, NULL, "stay until it is unmounted"},
    {0},
};

static const struct option umount_options[] = {
    {"lazy", 'l', OPTION_FLAG, NULL, "also while it is used: it goes when that ends"},
    {0},
};

static int run_mount(struct shell *sh)
{
	return mount_tree(sh, shell_arg(sh, 0), shell_flag(sh, "foreground"));
}

static int run_umount(struct shell *sh)
{
	return mount_leave(sh, shell_arg(sh, 0), shell_flag(sh, "lazy"));
}

const struct command command_mount = {
    .name = "mount",
    .usage = "mount [-f] DIR",
    .summary = "show the files of all devices in a folder of this host",
    .help = "DIR/net/DEVICE/SHARE/... is then there for every program of this user. A device that "
            "cannot "
            "be reached answers\n"
            "\"Host is down\". When the node goes down every access is an input/output error, "
            "until it is up "
            "again.\n\n"
            "It needs Linux with FUSE; for who is not root, fusermount3 (Debian: fuse3) too.\n",
    .options = mount_options,
    .min_args = 1,
    .max_args = 1,
    .run = run_mount,
};

const struct command command_umount = {
    .name = "umount",
    .usage = "umount [-l] DIR",
    .summary = "take away what `wasmos mount` shows",
    .options = umount_options,
    .min_args = 1,
    .max_args = 1,
    .run = run_umount,
};
