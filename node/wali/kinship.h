/* kinship.h - what the parts of a family that was parted tell each other: who there is, how each is, signals, and what the terminal says.
 *
 * A *part* is a family of its own (family.h) with its own leader, record and image; it has been split off another (split.h) and they are
 * wherever they are. Between the two is a *kinship*: a connection of sockets, which no guest sees, so that what one sends the other gets once
 * and in order, whichever of them moves, sleeps, or waits for a link (node/sockets/image.c, wire.c). A task whose process is in the other
 * part, or beyond it, stands in each part as a *stand-in*: task.away is the kinship that it is to be reached by. Parts are a tree: what comes
 * by one kinship is told to the others.
 *
 * What is sent is not a log but how things are, so nothing piles up while the other cannot hear: a task's row when it has changed
 * (family_changed()), the signals that wait for a stand-in. Who is at home to the task alone changes it; its parent's part alone waits for it:
 * a zombie goes from its own part once its parent's has been told.
 *
 * Little-endian, each message: u8 kind, then
 *	1 row:     u32 number, u32 parent, u32 group, u32 session, u8 state, u8 flags, u32 status, u64 processor time, 16 bytes name,
 *	           u32 its number as its node counts, u8 size, name of the device that it is on
 *	2 signals: u32 number, u64 bits
 *	3 to 6: of the terminal (far_terminal.h)     7: what is asked of the other part's node (far_requests.h)
 *
 * When the other part is over, or its connection does not fit any more (one was brought back from an older image, or is a copy), those of its
 * tasks that had not ended have been killed, for this one.
 *
 * Who is killed (9) has ended for this part and those beyond it when the part that has it has not said so after a while, be that asleep, not to be reached
 * or lost for good. Its number stays known: it is killed there whenever that part is back, and what is heard of it until then is passed over.
 *
 * With the family's lock.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct family;
struct kinship;
struct far_user;
struct task;
struct vfs_obj;
struct wali;

enum { KINSHIPS_MAX = 8 };

/* How much a family and its other parts have told each other: an image that is behind that does not fit its connections any more. Counted
 * references; any thread. */
struct kinship_talk;
struct kinship_talk *kinship_talk_ref(struct kinship_talk *t);
void kinship_talk_unref(struct kinship_talk *t);
uint64_t kinship_talk_count(const struct kinship_talk *t);

/* One more, by this end of a connection, which is taken also on failure. NULL: too many, no memory. It is heard from kinships_go() on. */
struct kinship *kinship_add(struct family *f, struct vfs_obj *socket);
/* One that nobody has heard of yet. */
void kinship_drop(struct family *f, struct kinship *c);
/* By its place in an image; NULL: there is none. */
struct kinship *kinship_at(const struct family *f, uint32_t i);
uint32_t kinship_index(const struct kinship *c);
struct kinship *kinship_next(const struct kinship *c);
/* What is known of the other part as one that uses, or has, the terminal. */
struct far_user *kinship_user(struct kinship *c);
/* A whole message; false: there is no room for it now. */
bool kinship_send(struct kinship *c, const struct wr *w);
bool kinship_takes(struct kinship *c, size_t size);
/* The other part has these numbers for its children; they come back when it is over. */
void kinship_gave(struct kinship *c, uint32_t first, uint32_t last);
/* The bits of all, for task.untold, but of that one (NULL: of all). */
uint8_t kinships_but(const struct family *f, const struct kinship *c);

/* Where the task is, as far as it is known: for its stand-in. */
void kinship_place(const struct task *t, struct task *stand_in);

/* k's runner is told of those that are in other parts, if that has changed. */
void kinships_show(struct wali *k);

/* What the others do not know yet is sent, as far as there is room; at_end: whatever room there is. */
void kinships_tell(struct family *f, bool at_end);
/* Whether something has come, or what waits can go. */
bool kinships_want(struct family *f);
/* What has come happens. k stands before its next call. */
void kinships_hear(struct wali *k);
/* A stand-in was killed: it will be dead, whatever its part says. */
void kinship_kills(struct family *f, struct task *t);
/* Those killed whose time is up have ended. When the next one's is; OS_NO_DEADLINE: none. */
uint64_t kinships_bury(struct family *f);
/* The family is over. */
void kinships_end(struct family *f);

/* As part of an image; hostile bytes. */
enum err kinships_save(struct family *f, struct wr *out);
enum err kinships_load(struct family *f, struct rd *in);
/* With what follows of the terminal. */
enum err kinships_skip(struct rd *in);
/* After loading, when the family has its space; when its processes run on. */
enum err kinships_own(struct family *f, bool copy);
void kinships_go(struct family *f);
