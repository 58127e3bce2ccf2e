/* funnel.h - a pipe that is written in two parts of a family and read in one.
 *
 * Each part that writes has a *lane*, the writing end of a connection of its own (node/sockets/socket.h); the *funnel*, the reading end, reads from
 * all of them. It ends when the last lane has; when it is closed, who writes a lane gets EPIPE. What goes through a lane is cut into frames, u16 size
 * (to 4,096) and bytes, and the funnel takes a frame from one lane before it looks at the next: so what one write() wrote of up to
 * PIPE_BUF bytes stays together, and no lane keeps the others waiting.
 *
 *	funnel_new(&f, lanes, ends);                 // ends: the connections' reading ends, taken
 *	funnel_fill(f, lanes[0], bytes, size);       // what was in the pipe before: read before anything else
 *
 * In an image a funnel is u8 which lane is read, u32 bytes left of its frame, of each lane u32 size (0: it has ended) and the socket; a lane is a
 * socket. With the lock of the family.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"
#include "vfs/vfs.h"

enum { FUNNEL_LANES = 2, FUNNEL_SAVED_AS = 3, LANE_SAVED_AS = 4 /* in objects.def */ };

struct space;

/* The reading end and the writing ends of connections in the space, pid's; a reference each. NOMEM. */
enum ferr funnel_new(struct space *s, uint32_t pid, struct vfs_obj **funnel,
                     struct vfs_obj *lanes[FUNNEL_LANES]);
/* Of a new one: the bytes were written before all others. */
bool funnel_fill(struct vfs_obj *funnel, struct vfs_obj *first_lane, const void *bytes,
                 size_t size);

bool vfs_is_funnel(const struct vfs_obj *o);
bool vfs_is_lane(const struct vfs_obj *o);
/* The i-th connection in a funnel or a lane; NULL: there is none, or o is neither. Borrowed. */
struct vfs_obj *funnel_socket(struct vfs_obj *o, uint32_t i);
