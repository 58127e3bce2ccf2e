/* http.c - fuzzes requests for the page of figures: whatever comes, texts end, and more bytes never turn a refusal into a request. */
#include "node/service/http_request.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_texts(const struct http_request *r)
{
	if (strlen(r->method) >= sizeof r->method || strlen(r->path) >= sizeof r->path ||
	    strlen(r->host) >= sizeof r->host)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_request r, part;
	enum http_state whole = http_request_read((const char *)data, size, &r);
	check_texts(&r);
	if (whole == HTTP_WHOLE && (!r.method[0] || !r.path[0]))
		abort();
	enum http_state half = http_request_read((const char *)data, size / 2, &part);
	check_texts(&part);
	if (half != HTTP_MORE && half != whole)
		abort();
	return 0;
}
