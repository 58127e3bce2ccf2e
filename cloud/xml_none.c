/* xml_none.c - in place of xml_expat.c where a build has no cloud storage. */
#include "cloud/xml.h"

enum err xml_read(const void *bytes, size_t size, const struct xml_reader *r, struct errmsg *msg)
{
	return err_set(msg, ERR_UNSUPPORTED, "this wasmos was built without cloud storage");
}
