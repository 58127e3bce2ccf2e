/* objects.h - readers of open things that an image holds by kind and bytes (objects.def lists them). */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

struct vfs_obj;

#define OBJECT(kind, name) \
	enum err name##_object_load(struct rd *in, struct vfs_obj **out, struct errmsg *msg);
#include "node/wali/objects.def"
#undef OBJECT

/* For fdtable_loader.load_object. UNSUPPORTED: a kind that nobody knows. */
enum err wali_load_object(void *ctx, uint8_t kind, struct rd *in, struct vfs_obj **out,
                          struct errmsg *msg);
