/* far_requests.h - what a process asks of a relative's node that is in another part of the family: `migrate` or `suspend`, by /proc/PID/ctl.
 *
 * Only the device that a part is on can move it or put it to sleep. So the line that was written goes along the kinship (kinship.h), through as
 * many parts as lie between, to the part that has the process; its node does it, and the answer comes back to who wrote and waits.
 *
 *	asker                               the part that has the process
 *	ask: number, command       --->     the asker is a relative beyond that kinship, the process is here
 *	                           <---     ready
 *	go                         --->     the node is asked, once: that goes along when the part itself moves meanwhile
 *	                           <---     ready, from time to time: it goes on
 *	                           <---     done: an errno, and what there is to say
 *
 * Nothing is done before go, which only comes while somebody still waits: who was told that a part cannot be reached will not see the
 * job move an hour later. A connection of a kinship neither loses nor doubles a message. A part that falls asleep cannot say so: who asked for that
 * asks the device that has it, every second, until it says that it is suspended.
 *
 *	7 request: u8 stage, u32 to, u32 from, u32 id, u16 errno (done), u16 size, text (ask: the command; done: the answer); to and from: a task
 *
 * With the family's lock.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct family;
struct far_request;
struct kinship;
struct wali;

enum { FAR_REQUEST = 7, FAR_REQUEST_HEAD = 18, FAR_TEXT_MAX = 1024, FAR_COMMAND_MAX = 256 };
enum { FAR_REQUESTS_MAX = 64 /* of one part */ };

/* k asks that of the task; its number, for far_request_over(). 0: too many. */
uint32_t far_request_new(struct wali *k, uint32_t target, const char *command);
/* Whether k has one of that number. */
bool far_request_has(const struct wali *k, uint32_t id);
/* False: it is not answered yet, and k is poked when it is. Else *error is an errno or 0, the text is added to answer, and it is forgotten. */
bool far_request_over(struct wali *k, uint32_t id, int *error, struct wr *answer);

/* A message's size, when it is seen whether it is one; 0: not yet. */
uint32_t far_request_size(const uint8_t *bytes, size_t size);
/* A whole message, with its kind. */
enum err far_request_take(struct family *f, struct kinship *c, struct rd *in);
/* What waits to be told goes. True: something is left. */
bool far_requests_tell(struct family *f);
/* What was asked of this part is done; on any relative's thread. */
void far_requests_serve(struct family *f);
/* Those whose time is up. When the next one's is; OS_NO_DEADLINE: none. */
uint64_t far_requests_due(struct family *f);
void far_requests_free(struct family *f);
/* Some of the tasks of from are to's now. */
void far_requests_part(struct family *from, struct family *to);

/* As part of an image; hostile bytes. f NULL: they are passed over. */
void far_requests_save(const struct family *f, struct wr *out);
enum err far_requests_load(struct family *f, struct rd *in);
