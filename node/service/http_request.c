/* http_request.c - one request line, and of the header fields the host's. */
#include "node/service/http_request.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

/* A line without its end; p is behind it. False: it has no end yet. */
static bool next_line(const char **p, const char *end, const char **line, size_t *size)
{
	const char *stop = memchr(*p, '\n', (size_t)(end - *p));
	if (!stop)
		return false;
	*line = *p;
	*size = (size_t)(stop - *p);
	if (*size && (*line)[*size - 1] == '\r')
		--*size;
	*p = stop + 1;
	return true;
}

static bool copy(char *out, size_t room, const char *text, size_t size)
{
	if (!size || size >= room)
		return false;
	for (size_t i = 0; i < size; i++)
		if (text[i] <= ' ' || text[i] >= 0x7f)
			return false;
	memcpy(out, text, size);
	out[size] = 0;
	return true;
}

/* "GET /metrics?x=1 HTTP/1.1" */
static bool take_request_line(const char *line, size_t size, struct http_request *out)
{
	const char *end = line + size, *method_end = memchr(line, ' ', size);
	if (!method_end)
		return false;
	const char *target = method_end + 1;
	const char *target_end = memchr(target, ' ', (size_t)(end - target));
	if (!target_end || end - target_end != 9 || memcmp(target_end, " HTTP/1.", 8))
		return false;
	const char *query = memchr(target, '?', (size_t)(target_end - target));
	return copy(out->method, sizeof out->method, line, (size_t)(method_end - line)) &&
	       copy(out->path, sizeof out->path, target,
	            (size_t)((query ? query : target_end) - target));
}

/* "localhost:9090", "[::1]:9090" */
static bool take_host(const char *value, size_t size, struct http_request *out)
{
	while (size && (*value == ' ' || *value == '\t'))
		value++, size--;
	while (size && (value[size - 1] == ' ' || value[size - 1] == '\t'))
		size--;
	const char *close = size && *value == '[' ? memchr(value, ']', size) : NULL;
	size_t host = close ? (size_t)(close + 1 - value) : 0;
	while (!close && host < size && value[host] != ':')
		host++;
	return !out->host[0] && copy(out->host, sizeof out->host, value, host);
}

static bool take_field(const char *line, size_t size, struct http_request *out)
{
	const char *colon = memchr(line, ':', size);
	size_t name = colon ? (size_t)(colon - line) : 0;
	if (!name)
		return false;
	return name != 4 || strncasecmp(line, "host", 4) ||
	       take_host(colon + 1, size - name - 1, out);
}

enum http_state http_request_read(const char *bytes, size_t size, struct http_request *out)
{
	const char *p = bytes, *end = bytes + (size < HTTP_REQUEST_MAX ? size : HTTP_REQUEST_MAX),
	           *line;
	size_t n;
	memset(out, 0, sizeof *out);
	for (bool first = true; next_line(&p, end, &line, &n); first = false) {
		if (!first && !n)
			return HTTP_WHOLE;
		if (!(first ? take_request_line(line, n, out) : take_field(line, n, out)))
			return HTTP_BAD;
	}
	return size >= HTTP_REQUEST_MAX ? HTTP_TOO_LONG : HTTP_MORE;
}
