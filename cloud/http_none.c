/* http_none.c - in place of http_curl.c where a build has no libcurl (Windows, Android): there are no clouds then. */
#include "cloud/http.h"

enum err http_new(const struct http_config *c, struct http **out, struct errmsg *msg)
{
	return err_set(msg, ERR_UNSUPPORTED, "this wasmos was built without cloud storage");
}

void http_free(struct http *h)
{
}

void http_stop(struct http *h)
{
}

enum err http_do(struct http *h, const struct http_request *r, struct http_answer *out,
                 struct errmsg *msg)
{
	*out = (struct http_answer){0};
	return err_set(msg, ERR_UNSUPPORTED, "this wasmos was built without cloud storage");
}
