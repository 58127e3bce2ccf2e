/* http_request.h - as much of an HTTP/1.1 request (RFC 9112) as a page of figures needs: method, path, host. Bytes are hostile.
 *
 * No body is read: the connection ends with the answer. Nothing is allocated. Any thread.
 *
 *	switch (http_request_read(bytes, size, &r)) {
 *	case HTTP_MORE: ...      // not whole yet: read on
 */
#pragma once

#include <stddef.h>

enum { HTTP_REQUEST_MAX = 8192, HTTP_TEXT_MAX = 256 };

enum http_state { HTTP_MORE, HTTP_WHOLE, HTTP_BAD, HTTP_TOO_LONG };

struct http_request {
	char method[16];
	char path[HTTP_TEXT_MAX]; /* without what follows a '?' */
	char host[HTTP_TEXT_MAX]; /* without its port; "" when the request has none */
};

/* bytes: everything that came so far. */
enum http_state http_request_read(const char *bytes, size_t size, struct http_request *out);
