/* walk.c - the component-wise path walk. */
#include "vfs/walk.h"

#include <string.h>

uintptr_t walk_dir(const struct walk *w)
{
	return w->depth ? w->dirs[w->depth - 1] : w->base;
}

static void go_up(struct walk *w)
{
	w->ops->leave(w->ctx, w->dirs[--w->depth]);
}

void walk_end(struct walk *w)
{
	while (w->depth)
		go_up(w);
}

/* Puts a link's text before what is left to walk. */
static enum ferr splice(struct walk *w, const char *text, size_t size, const char *left)
{
	if (size == 0 || memchr(text, 0, size))
		return FE_LOOP;
	if (text[0] == '/')
		return FE_NOTCAPABLE;
	size_t left_size = strlen(left);
	if (size + 1 + left_size >= sizeof w->rest)
		return FE_NAMETOOLONG;
	memmove(w->rest + size, left, left_size + 1);
	memcpy(w->rest, text, size);
	return FE_OK;
}

/* Follows the link w->name; left begins with a slash or is empty. INVAL: not a link; NOENT: nothing is there. */
static enum ferr follow_link(struct walk *w, const char *left)
{
	char text[VFS_PATH_MAX];
	size_t size = sizeof text;
	FTRY(w->ops->readlink(w->ctx, walk_dir(w), w->name, text, &size));
	if (size == sizeof text)
		return FE_NAMETOOLONG;
	if (++w->links > VFS_SYMLINKS_MAX)
		return FE_LOOP;
	return splice(w, text, size, left);
}

/* Takes the next name off w->rest. *left points behind it, at a slash or the end. */
static enum ferr next_name(struct walk *w, const char **left)
{
	const char *p = w->rest + strspn(w->rest, "/");
	size_t size = strcspn(p, "/");
	if (size > VFS_NAME_MAX)
		return FE_NAMETOOLONG;
	memcpy(w->name, p, size);
	w->name[size] = 0;
	*left = p + size;
	return FE_OK;
}

static void keep_left(struct walk *w, const char *left)
{
	memmove(w->rest, left, strlen(left) + 1);
}

/* ".", "..": true when the name was one of them and was walked. */
static enum ferr walk_dots(struct walk *w, bool *was)
{
	*was = !strcmp(w->name, ".") || !strcmp(w->name, "..");
	if (!*was || w->name[1] == 0)
		return FE_OK;
	if (w->depth == 0)
		return FE_NOTCAPABLE;
	go_up(w);
	return FE_OK;
}

static enum ferr enter(struct walk *w, const char *left)
{
	uintptr_t next;
	enum ferr e = w->ops->enter(w->ctx, walk_dir(w), w->name, &next);
	if (e == FE_LOOP) {
		e = follow_link(w, left);
		return e == FE_INVAL ? FE_NOTDIR : e; /* a folder's name that is swapped under us */
	}
	FTRY(e);
	if (w->depth == WALK_DEPTH_MAX) {
		w->ops->leave(w->ctx, next);
		return FE_NAMETOOLONG;
	}
	w->dirs[w->depth++] = next;
	keep_left(w, left);
	return FE_OK;
}

/* One name. *end: the walk stands at the folder of the last name. */
static enum ferr step(struct walk *w, enum walk_follow follow, bool *end)
{
	const char *left;
	bool dots;
	FTRY(next_name(w, &left));
	bool last = left[strspn(left, "/")] == 0;
	FTRY(walk_dots(w, &dots));
	if (dots) {
		keep_left(w, left);
		strcpy(w->name, ".");
		*end = last;
		return FE_OK;
	}
	if (!last)
		return enter(w, left);
	w->slash = *left == '/';
	if (follow == WALK_FOLLOW || (follow == WALK_FOLLOW_SLASH && w->slash)) {
		enum ferr e = follow_link(w, left);
		if (e != FE_INVAL && e != FE_NOENT)
			return e; /* OK: walks on along the link */
	}
	*end = true;
	return FE_OK;
}

enum ferr walk_parent(struct walk *w, const struct walk_ops *ops, void *ctx, uintptr_t base,
                      const char *path, enum walk_follow follow)
{
	w->ops = ops;
	w->ctx = ctx;
	w->base = base;
	w->depth = w->links = 0;
	w->slash = false;
	w->name[0] = 0;
	size_t size = strlen(path);
	if (size >= VFS_PATH_MAX)
		return FE_NAMETOOLONG;
	memcpy(w->rest, path, size + 1);
	bool end = false;
	while (!end)
		FTRY(step(w, follow, &end));
	return FE_OK;
}
