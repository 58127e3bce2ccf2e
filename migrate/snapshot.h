/* snapshot.h - a process, or a family, as one portable file: its manifest and every chunk that it names.
 *
 *	"WOSN" u16 version=1 u16 zero, u32 size of the manifest, manifest,
 *	{ u8 1, 33 address, u32 size, packed chunk } ..., u8 0, 32 BLAKE2b-256 of all bytes before
 *
 * Reading checks the whole file before anything is given out: the hash at its end, every chunk against its
 * address, the image against its manifest, the modules against their hashes. Pure; any thread.
 *
 *	TRY(snapshot_write(image, codes, &file));                  // codes[i]: the bytes of image_module(image, i)
 *	TRY(snapshot_read(bytes, size, &image, modules, &msg));    // modules[i]: a writer with those bytes
 */
#pragma once

#include "migrate/image.h"

enum { SNAPSHOT_CHUNKS_MAX = 4 << 20 };

struct snapshot_code {
	const uint8_t *bytes;
	size_t size;
};

/* The image has at least one module; codes are theirs, in the same order. Appends the file to w. */
enum err snapshot_write(struct image *image, const struct snapshot_code *codes, struct wr *w);
/* Hostile bytes. *image is the caller's; modules (zeroed) get the bytes of its modules, in the same order; on failure they are empty. */
enum err snapshot_read(const void *bytes, size_t size, struct image **image,
                       struct wr modules[IMAGE_MODULES_MAX], struct errmsg *msg);
