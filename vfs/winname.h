/* winname.h - names and links as Windows holds them, from and to POSIX's. Pure: tested on every system.
 *
 * A guest's name becomes UTF-16 and is refused when Windows' own programs could not use it, or would take it for
 * something else: a stream ("f:s"), a device ("NUL", "com1.txt"), a wildcard, a path ("a\b"), a name whose last dot or
 * blank they drop. A link's text becomes a POSIX path: '/' for '\', and absolute where it names a drive.
 */
#pragma once

#include "vfs/ferr.h"

#include <stddef.h>
#include <stdint.h>

enum {
	WINNAME_MAX = 255,           /* units of one name */
	WINNAME_REPARSE_MAX = 16384, /* bytes of a reparse point */
};

enum winname_tag {
	WINNAME_TAG_JUNCTION = (int)0xa0000003u, /* IO_REPARSE_TAG_MOUNT_POINT */
	WINNAME_TAG_SYMLINK = (int)0xa000000cu,
	WINNAME_TAG_LX_SYMLINK = (int)0xa000001du, /* WSL's: UTF-8, and anybody may make one */
	WINNAME_TAG_SOCKET = (int)0x80000023u,     /* IO_REPARSE_TAG_AF_UNIX */
};

/* INVAL: Windows cannot hold it. ILSEQ: not UTF-8. NAMETOOLONG. Not terminated. */
enum ferr winname_of(const char *name, uint16_t out[WINNAME_MAX], size_t *units);

/* The text of a link in a reparse point's bytes (REPARSE_DATA_BUFFER). *size: room in, bytes out, not terminated.
 * INVAL: no link, or malformed. */
enum ferr winname_link_text(const uint8_t *reparse, size_t reparse_size, char *buf, size_t *size);
/* A reparse point that holds a relative link: WINNAME_TAG_SYMLINK or ..._LX_SYMLINK. As winname_of() for each name in
 * target. *size: bytes written. */
enum ferr winname_link_make(enum winname_tag tag, const char *target,
                            uint8_t out[WINNAME_REPARSE_MAX], size_t *size);
