/* clouds.h - storage of the web that this device has added to its tree (part "clouds"): /net/NAME, as `wasmos cloud add` called it.
 *
 * A storage is a row in the store (table SETTINGS, "cloud/NAME": kind, address, user), its secret a file of the home that only this
 * user can read (clouds/NAME.secret), and the copies of open files are in clouds/NAME. Which server is asked what: cloud/cloud.h.
 * The server is never asked on the loop.
 *
 *	struct vfs_obj *root = clouds_root(s, "photos", 6);
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct clouds;
struct vfs_obj;

enum { CLOUDS_MAX = 32, CLOUDS_NAME_MAX = 63 };

struct cloud_name {
	char name[CLOUDS_NAME_MAX + 1];
};

/* The part outlives the node's loop while somebody refers to it. Any thread. */
struct clouds *clouds_ref(struct clouds *s);
void clouds_unref(struct clouds *s);
/* Their names; how many. Any thread. */
uint32_t clouds_names(struct clouds *s, struct cloud_name out[CLOUDS_MAX]);
/* A reference to the root of the one of that name; NULL: there is none. Any thread. */
struct vfs_obj *clouds_root(struct clouds *s, const char *name, size_t size);
