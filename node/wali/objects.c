/* objects.c - which reader has which kind (objects.h). */
#include "node/wali/objects.h"

enum err wali_load_object(void *ctx, uint8_t kind, struct rd *in, struct vfs_obj **out,
                          struct errmsg *msg)
{
	switch (kind) {
#define OBJECT(number, name) \
	case number: return name##_object_load(in, out, msg);
#include "node/wali/objects.def"
#undef OBJECT
	default: return err_set(msg, ERR_UNSUPPORTED, "an open thing of kind %u", kind);
	}
}
