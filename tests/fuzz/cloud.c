/* cloud.c - fuzz target: what a server of cloud storage answers. The first byte chooses whose answer it is. */
#include "cloud/webdav_list.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool look(void *ctx, const char *name, const struct cloud_item *item)
{
	size_t *names = ctx;
	if (*name && !cloud_name_is_fit(name, strlen(name)))
		abort();
	if (strlen(item->etag) >= sizeof item->etag || strpbrk(item->etag, "\r\n"))
		abort();
	return ++*names < 10000;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t names = 0;
	if (!size)
		return 0;
	webdav_list(data + 1, size - 1, data[0] & 1 ? "/dav" : NULL, look, &names, NULL);
	return 0;
}
