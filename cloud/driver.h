/* driver.h - what speaks to one kind of storage: a table of operations on names. Internal to cloud/.
 *
 * Paths are relative to the storage's root, without "." and "..", with no slash at either end; "" is the root. Every operation asks
 * the server, blocks, and may be called from any thread, several at a time. What goes wrong is an enum ferr, and words in msg.
 *
 * An *etag* names a version of a file's contents. One that the driver made itself (the server gives none, or a weak one) begins with
 * "~" and can be compared, but the server cannot be asked to compare it.
 */
#pragma once

#include "base/err.h"
#include "cloud/http.h"
#include "vfs/ferr.h"

struct cloud_config;

struct cloud_item {
	bool is_folder;
	uint64_t size_bytes, mtime_ns; /* 0: not known */
	char etag[HTTP_ETAG_MAX];
};

typedef bool (*cloud_list_fn)(void *ctx, const char *name, const struct cloud_item *item);

/* Bytes of a file go here; false: no more of them, IO. */
struct cloud_sink {
	bool (*take)(void *ctx, const void *bytes, size_t size);
	void *ctx;
};

struct cloud_driver;

struct cloud_driver_ops {
	void (*free)(struct cloud_driver *d);
	/* NOENT. */
	enum ferr (*stat)(struct cloud_driver *d, const char *path, struct cloud_item *out,
	                  struct errmsg *msg);
	/* What is in the folder, in no order; emit returns false to end it. NOENT, NOTDIR. */
	enum ferr (*list)(struct cloud_driver *d, const char *path, cloud_list_fn emit, void *ctx,
	                  struct errmsg *msg);
	/* STALE: the file is not the version of that etag any more. Fewer bytes than the range: IO. */
	enum ferr (*get)(struct cloud_driver *d, const char *path, const char *etag,
	                 const struct http_range *range, const struct cloud_sink *sink,
	                 struct errmsg *msg);
	/* In place of the version of that etag (STALE: there is another), or as a new file (etag NULL; EXIST: there is one). *out is what
	 * it is then. TIMEDOUT, HOSTUNREACH, IO: it may have happened. */
	enum ferr (*put)(struct cloud_driver *d, const char *path, const char *etag,
	                 const struct http_source *source, struct cloud_item *out,
	                 struct errmsg *msg);
	enum ferr (*mkdir)(struct cloud_driver *d, const char *path, struct errmsg *msg);
	enum ferr (*remove)(struct cloud_driver *d, const char *path, struct errmsg *msg);
	/* NOTEMPTY. */
	enum ferr (*rmdir)(struct cloud_driver *d, const char *path, struct errmsg *msg);
	/* What has the new name is replaced. XDEV: not as one step; who asked copies. */
	enum ferr (*rename)(struct cloud_driver *d, const char *from, const char *to,
	                    bool is_folder, struct errmsg *msg);
};

struct cloud_driver {
	const struct cloud_driver_ops *ops;
	struct http *http;
};

enum err webdav_new(const struct cloud_config *c, struct http *http, struct cloud_driver **out,
                    struct errmsg *msg);

enum err s3_new(const struct cloud_config *c, struct http *http, struct cloud_driver **out,
                struct errmsg *msg);

/* Why a request has failed, when it has: from the error of http_do(), or else from the status of its answer. */
enum ferr cloud_told(enum err e, const struct http_answer *a, struct errmsg *msg);
/* The name of a child: not empty, no ".", "..", "/", and no longer than VFS_NAME_MAX. */
bool cloud_name_is_fit(const char *name, size_t size);
