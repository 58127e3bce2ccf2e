/* far_terminal.h - the terminal of a family that has been parted: one part has it, the others use it through their kinship (kinship.h).
 *
 * In a part without it, what is open of it is a *far stream*: what is written goes to the part that has it, which shows it in order with what
 * else that part is told; a read asks there for input, and gets it when somebody of the asking part is in the foreground. The settings, the
 * session, the foreground and the size are in each part (family.terminal): whoever changes them tells the others, so asking needs nobody.
 *
 *	3 output:   u8 stream (0 to 2), u16 size, bytes
 *	4 input:    u8 1 the end of it, u16 size, bytes
 *	5 read:     input is waited for; answered once
 *	6 terminal: its settings (family_terminal_save()), u32 session, u32 foreground, u16 columns, u16 rows
 *
 * With the family's lock.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct family;
struct family_terminal;
struct kinship;
struct vfs_obj;
struct wali;

enum { FAR_OUTPUT = 3, FAR_INPUT, FAR_READ, FAR_TERMINAL };
enum { FAR_BYTES_MAX = 2048 /* of one message */ };

/* What a part has of a terminal that is elsewhere: input that came, and whether more was asked for. */
struct far_input {
	uint8_t bytes[FAR_BYTES_MAX];
	uint16_t size;
	bool ended, wanted, asked;
};

/* What is to be known of another part. */
struct far_user {
	bool untold;    /* how the terminal is */
	bool reads;     /* it waits for input of ours */
	uint16_t shown; /* of the output that came first: bytes that have been shown */
};

/* A stream of the terminal that this part has not. f NULL: far_stream_attach() later. NULL: no memory. */
struct vfs_obj *far_stream_new(struct family *f, unsigned stream, bool is_terminal);
/* "far 1t": as an image has it. */
struct vfs_obj *far_stream_named(const char *name);
void far_stream_name(unsigned stream, bool is_terminal, char out[16]);
void far_stream_attach(struct family *f, struct vfs_obj *o);

/* t is another now: if it is the family's own, the other parts are to hear. */
void far_terminal_changed(struct family *f, const struct family_terminal *t);
/* What waits to be told goes. True: something is left. */
bool far_terminal_tell(struct family *f);
/* Input that others wait for. */
void far_terminal_serve(struct wali *k);
/* A message's size, with its kind; 0: not to be seen yet; UINT32_MAX: none of these. */
uint32_t far_message_size(const uint8_t *bytes, size_t size);
/* It happens. AGAIN: not now. */
enum err far_terminal_take(struct wali *k, struct kinship *c, struct rd *in);

void far_terminal_save(const struct family *f, struct wr *out);
enum err far_terminal_load(struct family *f, struct rd *in);
