/* control.h - requests of the `wasmos` command to its node, over <home>/control.
 *
 * To add a request: a row in proto/control.def, and a function control_NAME() in any file of node/.
 * It is called on the loop with the request's arguments; it answers with rows (maps of named values,
 * which the command prints as table or JSON) and exactly one control_end(), at once or later. A
 * struct control_call lives from the request until control_end() or until the client is gone; a
 * handler that keeps one registers control_on_gone() to hear of that. One client may have one call
 * at a time.
 *
 * The wire (proto/control.h): from the client first {"request": name, arguments...}, then, for streaming requests,
 * {"input": name, ...}. From the node any number of rows, then {"end": error name, "text": message}.
 *
 *	void control_kill(struct node *n, struct control_call *c)
 *	{
 *		struct process *p = control_arg_process(c);   // answers the error itself
 *		if (!p)
 *			return;
 *		process_kill(p, 137);
 *		control_end(c, ERR_OK, NULL);
 *	}
 */
#pragma once

#include "base/err.h"
#include "proto/control.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct control_call;
struct node;
struct process;

/* ---- arguments of the request, or of the input a control_input_fn is called for ---- */

/* ERR_NOTFOUND when missing, ERR_INVALID when of another type or range. Strings and bytes are
 * borrowed until the handler returns; strings are NUL-terminated. */
enum err control_u64(struct control_call *c, const char *key, uint64_t *out);
/* An integer of either sign. */
enum err control_i64(struct control_call *c, const char *key, int64_t *out);
enum err control_str(struct control_call *c, const char *key, const char **out);
enum err control_bytes(struct control_call *c, const char *key, const uint8_t **out, size_t *size);
/* false when missing. */
bool control_flag(struct control_call *c, const char *key);
/* The default when missing. */
uint64_t control_u64_or(struct control_call *c, const char *key, uint64_t value);
const char *control_str_or(struct control_call *c, const char *key, const char *value);
/* A list of strings; *count is 0 when missing. The array too lives until the handler returns. */
enum err control_list(struct control_call *c, const char *key, char *const **out, uint32_t *count);
/* The process named by the argument "pid". NULL: there is none, and the call has been ended with a
 * clear error; or it is just coming into memory, and the request is made again when it is there (awake.h). */
struct process *control_arg_process(struct control_call *c);
/* The same, running: one that stands only for a moment is waited for too. One that has ended, or is held for longer, is
 * given out as it is. */
struct process *control_arg_running(struct control_call *c);

/* ---- the answer ---- */

void control_row(struct control_call *c);                                  /* begins a row */
void control_put_u64(struct control_call *c, const char *key, uint64_t v); /* into the row begun */
void control_put_i64(struct control_call *c, const char *key, int64_t v);
void control_put_f64(struct control_call *c, const char *key, double v);
void control_put_flag(struct control_call *c, const char *key, bool v);
void control_put_str(struct control_call *c, const char *key, const char *v);
void control_put_hex(struct control_call *c, const char *key, const uint8_t *bytes, size_t size);
void control_put_bytes(struct control_call *c, const char *key, const void *bytes, size_t size);
/* Sends the row begun. */
void control_row_end(struct control_call *c);
/* The end of the call; c is gone afterwards. e other than ERR_OK: msg (may be NULL: err_text) goes
 * to the user, who gets exit status 1, or 2 for ERR_USAGE. An open row is sent first. */
void control_end(struct control_call *c, enum err e, const struct errmsg *msg);
/* control_end() with a formatted text. */
void control_fail(struct control_call *c, enum err e, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- calls that last ---- */

/* The request as it came once more: its handler is called. */
void control_again(struct control_call *c);
/* fn is called when the client went away before control_end(); c is gone when it returns. */
void control_on_gone(struct control_call *c, void (*fn)(void *ctx), void *ctx);
/* fn is called, also from here, for each {"input": name, ...} of the client; c may be gone afterwards. Its values are read with control_u64()
 * and so on. */
typedef void (*control_input_fn)(void *ctx, struct control_call *c, const char *name);
void control_on_input(struct control_call *c, control_input_fn fn, void *ctx);
/* Bytes that the client has not taken yet. fn is called (on_drained, once) when they are below half
 * of CONTROL_QUEUE_GOAL again: streams stop producing above it. */
enum { CONTROL_QUEUE_GOAL = 128 * 1024 };
size_t control_queued_bytes(const struct control_call *c);
void control_on_drained(struct control_call *c, void (*fn)(void *ctx), void *ctx);
struct node *control_node(struct control_call *c);
/* False: this device is "files only", and the call has been told so. */
bool control_may_run(struct control_call *c);

/* ---- calls without a client (ask.c: of another device) ---- */

/* Makes the request in values (taken). Its rows and its end, as frames, go to fn once, perhaps before this returns; e
 * other than ERR_OK: there are none. An error returned: fn is not called. */
typedef void (*control_over_fn)(void *ctx, enum err e, const uint8_t *frames, size_t size);
enum err control_collect(struct node *n, struct control_values *values, control_over_fn fn,
                         void *ctx);

/* Every request of the table, as a function in some file of node/. */
#define REQUEST(name, args, rows) void control_##name(struct node *n, struct control_call *c);
#include "proto/control.def"
#undef REQUEST
