/* mounts.h - the option --dir: which folders of this device a program sees, and where.
 *
 *	mounts_parse(sh, &arena, PROCESS_MOUNTS_MAX, mounts, args, &count);
 *	client_put_list(c, "mounts", args, 3 * count);
 */
#pragma once

#include <stdint.h>

struct arena;
struct process_mount;
struct shell;

/* Every --dir HOST[::GUEST][:ro] that was given, into mounts (room for most) and args (three texts each, as requests
 * have them); texts live in the arena. 0, or the exit status after saying what is wrong. */
int mounts_parse(struct shell *sh, struct arena *a, uint32_t most, struct process_mount *mounts,
                 const char **args, uint32_t *count);
