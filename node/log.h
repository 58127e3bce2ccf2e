/* log.h - how much is logged, and in which form: levels for each part (log_parts.def), lines for people or for programs.
 *
 * A line for people: "2026-01-31T12:00:00.123Z warn link: text". For programs one JSON object:
 * {"time": "2026-01-31T12:00:00.123Z", "level": "warn", "part": "link", "event": "link_down", "device": "phone", "text": "text"}; fields that say
 * what happened, and to whom (log_events.def), stand between part and text. node_log() and node_log_about() themselves are in node.h.
 *
 *	struct log_levels levels;
 *	TRY(log_levels_parse("info link=debug", &levels, &msg));
 */
#pragma once

#include "node/node.h"

enum log_part {
#define LOG_PART(name, text) LOG_PART_##name,
#include "node/log_parts.def"
#undef LOG_PART
	LOG_PARTS
};

struct log_levels {
	enum log_level other; /* of parts that are not in the list */
	enum log_level parts[LOG_PARTS];
};

/* "LEVEL", and behind it any number of "PART=LEVEL", between spaces or commas. ERR_USAGE: msg says what is allowed. */
enum err log_levels_parse(const char *text, struct log_levels *out, struct errmsg *msg);
const char *log_level_name(enum log_level level);
/* From the next line on. Any thread. */
void node_log_change(struct node *n, const struct log_levels *levels, bool json);
