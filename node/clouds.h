/* clouds.h - storage of the web that this device has added to its tree (part "clouds"): /net/NAME, as `wasmos cloud add` called it.
 *
 * A storage is a row in the store (table SETTINGS, "cloud/NAME": kind, address, user), its secret a file of the home that only this
 * user can read (clouds/NAME.secret), and the copies of open files are in clouds/NAME. Which server is asked what: cloud/cloud.h.
 * The server is never asked on the loop.
 *
 *	struct vfs_obj *root = clouds_root(s, "photos", 6);
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cloud;
struct clouds;
struct node;
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
/* A reference to it; NULL likewise. */
struct cloud *clouds_get(struct clouds *s, const char *name);
/* The key of the encrypted store on it (cloud/vault.h): a file of the home (clouds/NAME.key) that only this user can read. given: 64
 * hexadecimal digits instead. make: where there is none, the one given or a new one is kept. NOTFOUND; EXISTS: make, and another than given is
 * kept. Loop. */
enum { CLOUDS_KEY_SIZE = 32 };
enum err clouds_key(struct node *n, const char *name, const char *given, bool make,
                    uint8_t key[CLOUDS_KEY_SIZE], struct errmsg *msg);
