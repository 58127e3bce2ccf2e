/* cloud.c - fuzz target: what a server of cloud storage answers. The first byte chooses whose answer it is. */
#include "cloud/s3_list.h"
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

static void of_s3(const uint8_t *data, size_t size, const char *prefix)
{
	struct s3_page page;
	struct s3_words words;
	char id[64];
	size_t names = 0;
	s3_list(data, size, prefix, look, &names, &page, NULL);
	s3_words(data, size, &words);
	if (strlen(words.code) >= sizeof words.code || strlen(page.next) >= sizeof page.next)
		abort();
	s3_value(data, size, "UploadId", id, sizeof id);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t names = 0;
	if (!size)
		return 0;
	if (data[0] & 2)
		of_s3(data + 1, size - 1, data[0] & 1 ? "p/" : "");
	else
		webdav_list(data + 1, size - 1, data[0] & 1 ? "/dav" : NULL, look, &names, NULL);
	return 0;
}
