/* s3_list.h - what storage of S3 answers in XML, read. Hostile bytes. */
#pragma once

#include "cloud/driver.h"

enum { S3_TOKEN_MAX = 2048 };

struct s3_page {
	char next[S3_TOKEN_MAX]; /* where the listing goes on; "": it is over */
	uint32_t found;          /* keys and folders in it, the folder's own marker too */
};

/* A page of ListObjectsV2 of what begins with prefix ("" or with a slash at its end): emit gets the names that are in it. */
enum err s3_list(const void *bytes, size_t size, const char *prefix, cloud_list_fn emit, void *ctx,
                 struct s3_page *page, struct errmsg *msg);

/* Code and message of an answer that is an error, also when its status was a success; code is "" when it is none. */
struct s3_words {
	char code[64], message[160];
};
void s3_words(const void *bytes, size_t size, struct s3_words *out);
/* The text of the element of that name directly below the first: "UploadId", "ETag". NOTFOUND. */
enum err s3_value(const void *bytes, size_t size, const char *name, char *out, size_t room);
