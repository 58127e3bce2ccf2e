/* snapshot.h - one process as one portable file: its manifest and every chunk that it names.
 *
 *	"WOSN" u16 version=1 u16 zero, u32 size of the manifest, manifest,
 *	{ u8 1, 33 address, u32 size, packed chunk } ..., u8 0, 32 BLAKE2b-256 of all bytes before
 *
 * Reading checks the whole file before anything is given out: the hash at its end, every chunk against its
 * address, the image against its manifest, the module against its hash. Pure; any thread.
 *
 *	TRY(snapshot_write(image, module_bytes, module_size, &file));
 *	TRY(snapshot_read(bytes, size, &image, &module, &msg));      // module: a writer with its bytes
 */
#pragma once

#include "migrate/image.h"

enum { SNAPSHOT_CHUNKS_MAX = 4 << 20 };

/* image has exactly one module, whose bytes are given. Appends the file to out. */
enum err snapshot_write(struct image *image, const uint8_t *module, size_t module_size,
                        struct wr *out);
/* Hostile bytes. *image is the caller's; module gets the bytes of its one module. */
enum err snapshot_read(const void *bytes, size_t size, struct image **image, struct wr *module,
                       struct errmsg *msg);
