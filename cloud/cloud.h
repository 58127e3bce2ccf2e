/* cloud.h - storage of the web as a folder: WebDAV and S3 behind a backend of vfs/vfs.h.
 *
 * A cloud is one storage: an address, who asks, and the files of it that are open on this device. Its root is an ordinary folder of
 * files (cloud_root()). What is open has a copy in the cache folder, filled as it is read (a range at a time, with
 * read-ahead) and written; fsync and close bring what was written to the server, whole. Close-to-open by the server's ETag:
 * an open file is one version, opening asks which is the newest.
 *
 * Nothing is written over silently: an upload replaces exactly the version that the file was made from. When the server has
 * another by then, close and fsync answer STALE, the server keeps what it has, and what was written here stays in the cache
 * folder under a name that cloud_figures() and the log tell. So it does when the server cannot be reached (HOSTUNREACH, TIMEDOUT).
 * Nothing waits longer than http.h says.
 *
 * Any thread may use a cloud and its files; a file's operations wait for each other.
 *
 *	struct cloud_config cfg = {.name = "photos", .kind = CLOUD_WEBDAV, .url = "https://host/dav", .user = "anna", ...};
 *	TRY(cloud_new(&cfg, &c, &msg));
 *	struct vfs_obj *root = cloud_root(c);
 */
#pragma once

#include "base/err.h"
#include "vfs/vfs.h"

enum cloud_kind { CLOUD_WEBDAV, CLOUD_S3 };

enum {
	CLOUD_NAME_MAX = 63,
	CLOUD_KEPT_MAX = 64,          /* copies of what could not be uploaded that are told */
	CLOUD_READ_MIN = 128 << 10,   /* bytes of the first request of a file that is read */
	CLOUD_READ_MAX = 8 << 20,     /* and of one in a row of them */
	CLOUD_ITEM_MS = 1000,         /* what a listing said of a file is true for so long */
	CLOUD_LISTING_MAX = 64 << 20, /* bytes of a folder's listing */
	CLOUD_ENTRIES_MAX = 200000,   /* names of a folder */
	CLOUD_UNLINKED_MAX =
	    64 << 20, /* bytes of an open file that are fetched before its name goes */
};

struct cloud;

struct cloud_config {
	const char *name; /* for messages and inode numbers */
	enum cloud_kind kind;
	const char *url;      /* WebDAV: https://host/path; http:// too. S3: s3://bucket/prefix */
	const char *endpoint; /* of S3: https://host; NULL: Amazon's of the region */
	bool virtual_host; /* of S3: https://bucket.host/key instead of https://host/bucket/key */
	const char *user,
	    *secret;         /* S3: the access key and its secret; NULL: nobody in particular */
	const char *region;  /* of S3; NULL: us-east-1 */
	const char *ca_file; /* NULL: the system's certificates */
	const char *
	    cache_folder; /* a private folder of the host, this cloud's alone; emptied but for what is kept */
	/* What a person should hear of. May be NULL; any thread. */
	void (*tell)(void *ctx, const char *text);
	void *tell_ctx;
};

/* INVALID, UNSUPPORTED (no libcurl here), IO (the cache folder). Asks no server. Strings are copied. */
enum err cloud_new(const struct cloud_config *config, struct cloud **out, struct errmsg *msg);
struct cloud *cloud_ref(struct cloud *c);
/* NULL is fine. Waits for nothing. */
void cloud_unref(struct cloud *c);
/* Requests under way end, later ones fail at once. */
void cloud_stop(struct cloud *c);
/* Waits until what was written by programs that have ended is on the server, or kept; limit_ms at most. */
void cloud_settle(struct cloud *c, uint64_t limit_ms);
/* A reference to a folder. NULL: out of memory. */
struct vfs_obj *cloud_root(struct cloud *c);
/* Asks the server whether name and secret are right and the folder is there: NOTFOUND, DENIED, CLOSED, TIMEOUT, AUTH, IO. */
enum err cloud_check(struct cloud *c, struct errmsg *msg);

struct cloud_figures {
	uint64_t open_files, unsaved_files; /* written here, not yet on the server */
	uint64_t kept_files;                /* copies of what the server did not take */
};
void cloud_figures(struct cloud *c, struct cloud_figures *out);
/* Calls fn for each kept copy: its path on the host. */
void cloud_each_kept(struct cloud *c, void (*fn)(void *ctx, const char *path), void *ctx);
