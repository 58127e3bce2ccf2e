/* family_image.h - section "family" of an image: what related processes share, each thing once.
 *
 * Written while all of them stand, beside the sections of each: the tasks (zombies among them), the terminal's settings, mounts and open
 * file descriptions, pipes with their bytes, eventfds and epolls. Layout: docs/formats/linux.md.
 *
 *	fdset_add(set, fds of each, in order)
 *	family_image_save(members, n, set, ns, &out, &msg);      // members[0]: the leader
 *
 * Reading: the section makes a family whose tasks are absent and a set of descriptions; each process that is built takes its task
 * (wali_load() with wali_config.image). One after the other: what they share is not locked meanwhile. What was not taken when the image is
 * freed is ended, so nothing is left of a family that could not be built.
 *
 *	family_image_load(&in, &loader, &im, &msg);
 *	wasi_load_in(&wasi, family_image_set(im), ...); wali_load(&linux, &(struct wali_config){.image = im, .pid = ...}); ...
 *	family_image_check(im, &msg);
 *	family_image_free(im);
 */
#pragma once

#include "node/wali/wali.h"

enum {
	FAMILY_MEMBERS_MAX = 120, /* processes in one image: each has two or more of its spaces */
	FAMILY_PID_MAX = 999999,
};

struct fdset;
struct fdtable_loader;
struct task;
struct vfs_ns;

/* members[0] is the leader; all of one family, and all that run of it. LIMIT, UNSUPPORTED. */
enum err family_image_save(struct wali *const *members, uint32_t count, const struct fdset *set,
                           struct vfs_ns *ns, struct wr *out, struct errmsg *msg);

/* Hostile bytes: who is in it, in rising order of number; the leader's is *leader. Nothing else is looked at. */
enum err family_image_members(struct rd in, uint32_t *leader, uint32_t pids[FAMILY_MEMBERS_MAX],
                              uint32_t *count, struct errmsg *msg);
/* Hostile bytes. */
enum err family_image_load(struct rd *in, const struct fdtable_loader *l, struct family_image **out,
                           struct errmsg *msg);
struct fdset *family_image_set(struct family_image *im);
struct family *family_image_family(struct family_image *im);
/* All processes are there: every description has a descriptor. */
enum err family_image_check(struct family_image *im, struct errmsg *msg);
void family_image_free(struct family_image *im);

/* For wali_load(): the task of number c->pid, which nobody has yet; NULL: there is none. */
struct task *family_image_take(struct family_image *im, const struct wali_config *c);
/* k is whole: epolls that watch its descriptors are its own, the leader sets the terminal. */
void family_image_joined(struct family_image *im, struct wali *k);
