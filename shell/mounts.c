/* mounts.c - the option --dir of run and shell. */
#include "shell/mounts.h"

#include "base/arena.h"
#include "base/file.h"
#include "node/folders/folders.h"
#include "node/links/net_files.h"
#include "node/process/process.h"
#include "shell/shell.h"

#include <stdlib.h>
#include <string.h>

/* "dd/", "./dd" and "/a//dd" are "/dd", "/dd" and "/a/dd": programs compare a folder's name with what they open. ".." stays: what is
 * given as ../dd is opened as ../dd. NULL: out of memory. */
static char *guest_path(struct arena *a, const char *text)
{
	char *out = arena_alloc(a, 1, strlen(text) + 2);
	size_t n = 0;
	for (const char *p = text; out && *p;) {
		size_t size = strcspn(p, "/");
		if (size && !(size == 1 && *p == '.')) {
			out[n++] = '/';
			memcpy(out + n, p, size);
			n += size;
		}
		p += size + (p[size] == '/');
	}
	if (out && !n)
		out[n++] = '/';
	if (out)
		out[n] = 0;
	return out;
}

/* "folder:NAME" or "folder:NAME::GUEST" */
static int parse_folder(struct shell *sh, struct arena *a, char *text, struct process_mount *out)
{
	char *split = strstr(text, "::");
	if (split)
		*split = 0;
	const char *name = text + strlen(FOLDERS_HOST_PREFIX);
	char path[96];
	snprintf(path, sizeof path, "/folders/%s", name);
	out->host = text;
	out->guest = split ? guest_path(a, split + 2) : arena_copy(a, path, strlen(path));
	return out->guest ? 0 : shell_fail(sh, "out of memory");
}

/* "HOST::GUEST:ro" */
static int parse_mount(struct shell *sh, struct arena *a, const char *text,
                       struct process_mount *out)
{
	char *copy = arena_copy(a, text, strlen(text)), *resolved;
	if (!copy)
		return shell_fail(sh, "out of memory");
	size_t size = strlen(copy);
	out->readonly = size > 3 && !strcmp(copy + size - 3, ":ro");
	if (out->readonly)
		copy[size - 3] = 0;
	if (!strcmp(copy, NET_HOST_PATH)) {
		out->host = NET_HOST_PATH;
		out->guest = NET_GUEST_PATH;
		return 0;
	}
	if (!strncmp(copy, FOLDERS_HOST_PREFIX, strlen(FOLDERS_HOST_PREFIX)))
		return parse_folder(sh, a, copy, out);
	char *split = strstr(copy + path_drive_size(copy), "::");
	if (split)
		*split = 0;
	if (!(resolved = path_resolve(copy)))
		return shell_fail(sh, "--dir %s: there is no folder \"%s\"", text, copy);
	out->host = arena_copy(a, resolved, strlen(resolved));
	free(resolved);
	if (!split)
		path_to_guest(copy);
	out->guest = guest_path(a, split ? split + 2 : copy);
	return out->host && out->guest ? 0 : shell_fail(sh, "out of memory");
}

int mounts_parse(struct shell *sh, struct arena *a, uint32_t most, struct process_mount *mounts,
                 const char **args, uint32_t *count)
{
	const char *const *dirs = shell_list(sh, "dir", count);
	if (*count > most)
		return shell_usage(sh, "at most %u folders can be given to a program", most);
	for (uint32_t i = 0; i < *count; i++) {
		int bad = parse_mount(sh, a, dirs[i], &mounts[i]);
		if (bad)
			return bad;
		args[3 * i] = mounts[i].host;
		args[3 * i + 1] = mounts[i].guest;
		args[3 * i + 2] = mounts[i].readonly ? "ro" : "rw";
	}
	return 0;
}
