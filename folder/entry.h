/* entry.h - one file, folder or link of a replicated folder: its value as replicas exchange it, and how two of them are joined.
 *
 * An entry has an id for its life. What may be written at several devices at once is kept as a set of versions, each with the dot of the
 * change that wrote it: where it stands (*places*: a parent and a name, or that it is gone), and what is in it (*contents*).
 * `known` is the version vector of all changes of this entry that are in it. Two values are joined so: a version stays
 * that both have, or that one has and the other does not know of; what the other knows and does not have was replaced or dropped there (the
 * rule of an optimised observed-remove set: Bieniusa et al., 2012). The join is commutative, associative and idempotent, so the order and the way in
 * which values come make no difference. More than one version is a conflict, which a rule decides (folder/view.h) and no join.
 *
 * A place of kind PLACE_GONE is a deletion. It holds `seen`, what the one who deleted knew: a content outside of it was written by
 * somebody who did not know of the deletion, and keeps the entry alive.
 *
 * An entry owns all it points to. Functions that can fail leave their output empty then. Bytes: docs/formats/folder.md.
 */
#pragma once

#include "folder/vector.h"
#include "migrate/chunk.h"

enum {
	ENTRY_ID_SIZE = 16,
	ENTRY_NAME_MAX = 255,   /* bytes */
	ENTRY_TEXT_MAX = 4096,  /* of a link */
	ENTRY_PIECES_MAX = 128, /* longer lists are chunks of their own: `depth` */
	ENTRY_DEPTH_MAX = 3,
	ENTRY_VERSIONS_KEEP = 16, /* places, or contents, that a replica keeps beside each other */
	ENTRY_VERSIONS_MAX = 32,  /* that decode, and that a join may have: of two replicas */
	ENTRY_BYTES_MAX = 256 << 10,
};

enum entry_kind { ENTRY_FILE, ENTRY_FOLDER, ENTRY_LINK, ENTRY_KINDS };

enum place_kind {
	PLACE_IN,    /* stands in `parent` under `name` */
	PLACE_GONE,  /* was deleted there */
	PLACE_ASIDE, /* outside of the tree, among the conflicts; files and links only */
	PLACE_KINDS
};

struct entry_id {
	uint8_t bytes[ENTRY_ID_SIZE]; /* random; zeros: the folder's root */
};

struct place {
	struct dot dot;
	uint64_t
	    stamp_ms; /* of the writer's clock, or one more than the greatest it knew: who wins */
	enum place_kind kind;
	struct entry_id parent;
	struct entry_id from; /* where it stood before: goes back there when moves make a circle */
	char name[ENTRY_NAME_MAX + 1];
	uint16_t name_size;
	struct vector seen; /* PLACE_GONE */
};

/* A chunk of the file, or of its list. */
struct piece {
	struct chunk_addr addr;
	uint64_t size; /* bytes of the file that it stands for */
};

struct content {
	struct dot dot;
	uint64_t stamp_ms;
	uint32_t mode; /* permission bits */
	int64_t mtime_ns;
	uint64_t size;
	uint8_t depth; /* 0: pieces are chunks of the file; n: lists of pieces of depth n - 1 */
	uint16_t text_size; /* of a link's text */
	uint16_t piece_count;
	char *text; /* not terminated */
	struct piece *pieces;
};

struct entry {
	struct entry_id id;
	enum entry_kind kind;
	struct dot
	    born; /* the change that made it: who has seen that, and does not have the entry, forgot it */
	struct vector known;
	struct place *places; /* by rising dot; so are contents */
	struct content *contents;
	uint16_t place_count, content_count;
};

void entry_free(struct entry *e); /* what it owns; empty afterwards */
void content_free(struct content *c);
void place_free(struct place *p);
enum err entry_copy(struct entry *out, const struct entry *from);
enum err content_copy(struct content *out, const struct content *from);
enum err place_copy(struct place *out, const struct place *from);
/* Copies of the version are put in its order; ERR_LIMIT above ENTRY_VERSIONS_MAX. */
enum err entry_add_place(struct entry *e, const struct place *p);
enum err entry_add_content(struct entry *e, const struct content *c);
void entry_drop_place(struct entry *e, unsigned i);
void entry_drop_content(struct entry *e, unsigned i);

/* out is empty before, and after an error. ERR_INVALID: two ids, or two kinds. ERR_LIMIT. */
enum err entry_join(struct entry *out, const struct entry *a, const struct entry *b);

bool entry_id_equal(const struct entry_id *a, const struct entry_id *b);
bool entry_id_is_root(const struct entry_id *id);
/* The same bytes for a reader: dot, stamp and mtime make no difference. */
bool content_equal(const struct content *a, const struct content *b);
/* Which of two versions wins, the same on every device: the later stamp, then the greater dot. Above 0: a. */
int place_compare(const struct place *a, const struct place *b);
int content_compare(const struct content *a, const struct content *b);
/* Index of the winner; -1: there is none. A place in the tree wins over one aside, and both over being gone. */
int entry_place(const struct entry *e);
int entry_content(const struct entry *e);
/* Deleted, by those who knew all that is in it. An entry without a place is dead, too. */
bool entry_is_dead(const struct entry *e);
/* Deleted, and shown all the same as somebody edited it who did not know of that. */
bool entry_is_revived(const struct entry *e);

/* A name that can be in a folder at all: 1..255 bytes without '/' and zero, neither "." nor "..". */
bool name_is_possible(const char *name, size_t size);
/* That every system can hold: ERR_OK, or why not. Such names are kept as they are, and reported. ERR_MALFORMED: not UTF-8. ERR_LIMIT: too
 * long. ERR_UNSUPPORTED: characters, endings or words that Windows refuses. */
enum err name_is_portable(const char *name, size_t size);

void entry_pack(struct wr *w, const struct entry *e);
/* out is empty before, and after an error. Whatever decodes encodes to the same bytes. */
enum err entry_unpack(struct rd *r, struct entry *out);
void place_pack(struct wr *w, const struct place *p);
void content_pack(struct wr *w, const struct content *c);
enum err content_unpack(struct rd *r, enum entry_kind kind, struct content *out);
