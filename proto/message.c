/* message.c - expands proto/messages.def into descriptions that proto/table.c works from. */
#include "proto/message.h"

#include "proto/fields_table.def"
#define GROUP(NAME, first, last)
#define RECORD(name, ...) DESCRIBE_(0, #name, name, __VA_ARGS__)
#define MESSAGE(number, NAME, name, ...) DESCRIBE_(number, #NAME, name, __VA_ARGS__)
#define DESCRIBE_(number, text, name, ...)                                                \
	static const struct record *record_##name(void)                                   \
	{                                                                                 \
		typedef struct msg_##name M;                                              \
		_Static_assert(sizeof(M) <= RECORD_MAX_SIZE, "record too large");         \
		static const struct field fields[] = {__VA_ARGS__{NULL, 0, 0, 0, NULL}};  \
		static const struct record rec = {                                        \
		    text, fields, sizeof fields / sizeof *fields - 1, number, sizeof(M)}; \
		return &rec;                                                              \
	}
#include "proto/messages.def"
#undef DESCRIBE_
#undef MESSAGE
#undef RECORD
#undef GROUP
#include "proto/fields_end.def"

static const struct record *record_of(uint32_t number)
{
	switch (number) {
#define GROUP(NAME, first, last)
#define RECORD(name, ...)
#define MESSAGE(number, NAME, name, ...) \
	case number: return record_##name();
#include "proto/messages.def"
#undef MESSAGE
#undef RECORD
#undef GROUP
	default: return NULL;
	}
}

#define GROUP(NAME, first, last)
#define RECORD(name, ...)                                                                          \
	enum err msg_item_##name(struct wr *items, const struct msg_##name *v, struct errmsg *msg) \
	{                                                                                          \
		return record_encode(items, record_##name(), v, msg);                              \
	}                                                                                          \
	bool msg_next_##name(struct list_ref *list, struct msg_##name *v)                          \
	{                                                                                          \
		return list_next(list, record_##name(), v);                                        \
	}
#define MESSAGE(number, NAME, name, ...)
#include "proto/messages.def"
#undef MESSAGE
#undef RECORD
#undef GROUP

enum err msg_encode(struct wr *w, enum msg type, const void *fields, struct errmsg *msg)
{
	const struct record *rec = record_of(type);
	if (!rec)
		return err_set(msg, ERR_INVALID, "message number %u is unknown", (unsigned)type);
	return record_encode(w, rec, fields, msg);
}

enum err msg_decode(const void *bytes, size_t size, enum msg *type, union msg_any *any,
                    struct errmsg *msg)
{
	const struct record *rec;
	TRY(table_decode(bytes, size, MSG_MAX_SIZE, record_of, &rec, any, sizeof *any, msg));
	*type = (enum msg)rec->number;
	return ERR_OK;
}

const char *msg_name(enum msg type)
{
	const struct record *rec = record_of(type);
	return rec ? rec->name : "?";
}

enum msg_group msg_group(enum msg type)
{
#define GROUP(NAME, first, last)                               \
	if ((unsigned)type >= first && (unsigned)type <= last) \
		return MSG_GROUP_##NAME;
#define RECORD(name, ...)
#define MESSAGE(number, NAME, name, ...)
#include "proto/messages.def"
#undef MESSAGE
#undef RECORD
#undef GROUP
	return MSG_GROUP_COUNT;
}

/* A number out of range is a mistake in the table, found when this file is compiled. */
#define GROUP(NAME, first, last)
#define RECORD(name, ...)
#define MESSAGE(number, NAME, name, ...) \
	_Static_assert((number) > 0 && (number) < 256, "message number of " #NAME);
#include "proto/messages.def"
#undef MESSAGE
#undef RECORD
#undef GROUP

void msg_document(struct wr *w)
{
#define GROUP(NAME, first, last)
#define RECORD(name, ...) record_document(w, record_##name());
#define MESSAGE(number, NAME, name, ...) record_document(w, record_##name());
#include "proto/messages.def"
#undef MESSAGE
#undef RECORD
#undef GROUP
}
