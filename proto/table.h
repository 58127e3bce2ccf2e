/* table.h - what all message tables share: rows of typed fields, packed and unpacked strictly.
 *
 * A .def file lists messages (proto/messages.def: those between two devices). From each row expand
 * the number, the C struct, the encoder, the decoder, the name and the documentation
 * (proto/message.h). On the wire a message is one msgpack array [number, field, field, ...]; an item
 * of a list is [field, ...]. Decoding checks type, size and count of everything and gives all or
 * nothing; what it gives borrows from the bytes.
 *
 * Recipe for a new row:
 *	1. take the next free number of your group in the .def and write
 *		MESSAGE(0x41, FS_OPEN, fs_open, U32(tag) TEXT(path, 4096) FIXED(process, 16))
 *	   A message's fields never change later: a new form is a new row.
 *	2. lists: RECORD(entry, NAME(name, 255) U8(type)) above it, then LIST(entries, entry, 512);
 *	   msg_item_entry() appends to a struct wr, list_of() makes the field, msg_next_entry() reads.
 *	3. use it: struct msg_fs_open m = {.tag = 1, .path = str_ref("/a"), ...};
 *	   err = msg_encode(&w, MSG_FS_OPEN, &m, &errmsg);
 *	   err = msg_decode(bytes, size, &type, &any, &errmsg); any.fs_open.path.p ...
 *	4. `build/tests/proto/wire-tables` prints the table for docs/formats/wire.md; a test compares.
 *
 * Field kinds:          in C                   on the wire
 *	U8 U16 U32 U64(f)    uintN_t f              integer
 *	I32 I64(f)           intN_t f               integer
 *	BOOL(f)              bool f                 boolean
 *	TEXT(f, max)         struct str_ref f       string without zero bytes (paths, arguments)
 *	NAME(f, max)         struct str_ref f       UTF-8 fit to be shown (name_is_fit())
 *	BIN(f, max)          struct bin_ref f       binary
 *	FIXED(f, n)          uint8_t f[n]           binary of exactly n bytes
 *	LIST(f, record, max) struct list_ref f      array of records
 * max is in bytes, for LIST in items. Any thread; nothing allocates but the writer.
 */
#pragma once

#include "base/bytes.h"

/* Borrowed bytes; p may be NULL when size is 0. Not zero-terminated. */
struct str_ref {
	const char *p;
	uint32_t size;
};

struct bin_ref {
	const uint8_t *p;
	uint32_t size;
};

/* Encoded items, one after the other. */
struct list_ref {
	const uint8_t *p;
	uint32_t size;
	uint32_t count;
};

enum field_kind {
	FIELD_U8,
	FIELD_U16,
	FIELD_U32,
	FIELD_U64,
	FIELD_I32,
	FIELD_I64,
	FIELD_BOOL,
	FIELD_TEXT,
	FIELD_NAME,
	FIELD_BIN,
	FIELD_FIXED,
	FIELD_LIST
};

struct record;

struct field {
	const char *name;
	enum field_kind kind;
	uint32_t offset; /* in the C struct */
	uint32_t max;
	const struct record *(*item)(void); /* FIELD_LIST */
};

struct record {
	const char *name;
	const struct field *fields;
	uint32_t field_count;
	uint32_t number; /* 0: an item of a list, without number on the wire */
	uint32_t size;   /* of the C struct */
};

enum { RECORD_MAX_SIZE = 512, RECORD_MAX_DEPTH = 3 };

struct str_ref str_ref(const char *zero_terminated);
struct bin_ref bin_ref(const void *bytes, size_t size);
/* Copies with a zero at the end; ERR_LIMIT when cap is too small. */
enum err str_copy(struct str_ref s, char *buf, size_t cap);
bool str_equal(struct str_ref s, const char *zero_terminated);
/* Is s UTF-8 without control characters, line separators and marks of direction? */
bool name_is_fit(const char *p, size_t size);

/* Appends one message or item. ERR_LIMIT when a field is above its max, ERR_INVALID when a TEXT or
 * NAME holds what it may not; w is then as it was. */
enum err record_encode(struct wr *w, const struct record *rec, const void *values,
                       struct errmsg *msg);
/* The fields after the number. values is rec->size bytes, zeroed on any error. */
enum err record_decode(struct rd *r, const struct record *rec, void *values, struct errmsg *msg);

/* The whole of bytes is one message of the table that find() knows (NULL: unknown number). values
 * has room for every row (cap bytes) and is zeroed on error; max is the table's limit in bytes. */
enum err table_decode(const void *bytes, size_t size, size_t max,
                      const struct record *(*find)(uint32_t number), const struct record **rec,
                      void *values, size_t cap, struct errmsg *msg);

/* Builds a list: start from {0}; the bytes are w's, valid until it grows or is freed, so set
 * list_of(&w, count) when all items are in. */
struct list_ref list_of(const struct wr *items, uint32_t count);
/* Takes the next item off a decoded list; false at the end. Items were checked when the message
 * was. */
bool list_next(struct list_ref *list, const struct record *rec, void *values);

/* One paragraph of Markdown: | 0x41 | FS_OPEN | tag u32, path text 4096 | */
void record_document(struct wr *w, const struct record *rec);
