/* json.h - reads JSON files (RFC 8259): the test scripts of spec-run, on every platform, without a library.
 *
 *	struct json *root = json_load("i32.json", message, sizeof message);
 *	for (const struct json *c = json_first(json_get(root, "commands")); c; c = c->next)
 *		puts(json_text(json_get(c, "type")));
 *	json_free(root);
 *
 * A value that is not there is NULL, and every function takes NULL. Texts may hold "\u0000"; their size says so.
 * Values live until json_free of their root. Any thread, one at a time.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum json_type {
	JSON_NULL,
	JSON_FALSE,
	JSON_TRUE,
	JSON_NUMBER,
	JSON_TEXT,
	JSON_ARRAY,
	JSON_OBJECT
};

struct json {
	enum json_type type;
	int64_t number; /* its whole part, within 63 bits */
	char *text;     /* UTF-8, ends with a zero that size does not count */
	size_t size;    /* of the text in bytes, or of the array or object in values */
	char *key;      /* inside an object */
	struct json *first, *next;
};

/* NULL, with the line and the reason in message, when the file is no JSON. The caller frees the root. */
struct json *json_load(const char *path, char *message, size_t message_size);
void json_free(struct json *root);

const struct json *json_get(const struct json *object, const char *key);
const struct json *json_first(const struct json *list); /* of an array's values; more by ->next */
const char *json_text(const struct json *value);        /* "" when it is no text */
int64_t json_number(const struct json *value);
size_t json_size(const struct json *value);
