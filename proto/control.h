/* control.h - frames between the `wasmos` command and its node.
 *
 * A frame is a u32 length (little-endian) and one msgpack map of named values, flat: integers, floats,
 * flags, texts, bytes, lists of texts. The first frame of a client has "request" (a name of control.def);
 * later ones have "input". A frame of the node with "end" (an error's name, "OK" when done; "text" says more)
 * is the last answer to a request; every other one is a row. Both sides refuse what is over the limits below.
 * No I/O here; one thread at a time.
 *
 *	struct control_map m = {0};
 *	control_map_u64(&m, "pid", 7);
 *	control_map_frame(&m, &out);              // appends the frame to out, empties m
 *
 *	while (control_frame_next(&in, &body) == ERR_OK) {     // ERR_AGAIN: not whole yet
 *		TRY(control_values_read(body, &v));
 *		const struct control_value *pid = control_values_find(&v, "pid");
 *		control_values_free(&v);
 *	}
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

enum {
	CONTROL_FRAME_MAX = 4 << 20,
	CONTROL_VALUES_MAX = 64,
	CONTROL_KEY_MAX = 31,
	CONTROL_LIST_MAX = 16384,
};

enum control_type {
	CONTROL_U64,
	CONTROL_I64,
	CONTROL_F64,
	CONTROL_FLAG,
	CONTROL_TEXT,
	CONTROL_BYTES,
	CONTROL_LIST
};

struct control_value {
	char key[CONTROL_KEY_MAX + 1];
	enum control_type type; /* I64: negative only */
	union {
		uint64_t u64;
		int64_t i64;
		double f64;
		bool flag;
		struct {
			const char *p; /* NUL-terminated when TEXT */
			size_t size;
		} text;
		struct {
			char **at; /* NULL after the last */
			uint32_t count;
		} list;
	};
};

struct control_values {
	struct control_value at[CONTROL_VALUES_MAX];
	uint32_t count;
	char *memory; /* texts, bytes and lists */
};

/* Copies everything. Hostile bytes: MALFORMED, LIMIT, NOMEM; nothing to free then. */
enum err control_values_read(struct rd body, struct control_values *out);
void control_values_free(struct control_values *v);
/* The first of that name; NULL when there is none. */
const struct control_value *control_values_find(const struct control_values *v, const char *key);

/* The next whole frame's body. AGAIN: more bytes are needed; LIMIT: the frame is too long. */
enum err control_frame_next(struct rd *in, struct rd *body);

struct control_map {
	struct wr entries;
	uint32_t count;
};
void control_map_u64(struct control_map *m, const char *key, uint64_t v);
void control_map_i64(struct control_map *m, const char *key, int64_t v);
void control_map_f64(struct control_map *m, const char *key, double v);
void control_map_flag(struct control_map *m, const char *key, bool v);
void control_map_text(struct control_map *m, const char *key, const char *v);
void control_map_bytes(struct control_map *m, const char *key, const void *bytes, size_t size);
void control_map_list(struct control_map *m, const char *key, const char *const *v, uint32_t count);
/* Appends the frame to out and empties m. LIMIT, NOMEM: out is as before. */
enum err control_map_frame(struct control_map *m, struct wr *out);
void control_map_free(struct control_map *m);
