/* driver.c - what all kinds of storage have in common: the meaning of a status, and of a name. */
#include "cloud/driver.h"

#include "vfs/vfs.h"

#include <string.h>

static enum ferr of_error(enum err e)
{
	switch (e) {
	case ERR_OK: return FE_OK;
	case ERR_CLOSED: return FE_HOSTUNREACH;
	case ERR_TIMEOUT: return FE_TIMEDOUT;
	case ERR_AUTH: return FE_ACCES;
	case ERR_NOMEM: return FE_NOMEM;
	case ERR_LIMIT: return FE_FBIG;
	case ERR_UNSUPPORTED: return FE_NOTSUP;
	default: return FE_IO;
	}
}

static enum ferr of_status(unsigned status)
{
	switch (status) {
	case 401:
	case 403: return FE_ACCES;
	case 404:
	case 409: /* the folder above is not there */
	case 410: return FE_NOENT;
	case 408:
	case 429:
	case 503:
	case 504: return FE_TIMEDOUT;
	case 412: return FE_STALE;
	case 413:
	case 414: return FE_FBIG;
	case 423: return FE_TXTBSY;
	case 405:
	case 501: return FE_NOTSUP;
	case 507: return FE_NOSPC;
	default: return FE_IO;
	}
}

enum ferr cloud_told(enum err e, const struct http_answer *a, struct errmsg *msg)
{
	if (e != ERR_OK)
		return of_error(e);
	if (http_is_success(a))
		return FE_OK;
	if (a->status >= 300 && a->status < 400)
		err_set(msg, ERR_IO, "the server wants to be asked elsewhere (status %u%s%.200s)",
		        a->status, a->location[0] ? ": " : "", a->location);
	else
		err_set(msg, ERR_IO, "the server answers with status %u%s", a->status,
		        a->status == 401   ? ": it does not know the user and the secret"
		        : a->status == 403 ? ": it does not allow that"
		        : a->status == 412 ? ": it has another version by now"
		        : a->status == 423 ? ": somebody has locked it"
		        : a->status == 507 ? ": it has no space left"
		                           : "");
	return of_status(a->status);
}

bool cloud_name_is_fit(const char *name, size_t size)
{
	return size && size <= VFS_NAME_MAX && !memchr(name, '/', size) && !memchr(name, 0, size) &&
	       !(size == 1 && name[0] == '.') && !(size == 2 && !memcmp(name, "..", 2));
}
