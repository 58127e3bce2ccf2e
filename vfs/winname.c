/* winname.c - names and links of Windows.
 *
 * A reparse point, all numbers little-endian:
 *
 *	u32 tag  u16 size of the rest  u16 0
 *	symlink:   u16 substitute at, size  u16 print at, size  u32 flags (1: relative)   UTF-16 texts
 *	junction:  u16 substitute at, size  u16 print at, size                            UTF-16 texts
 *	LX:        u32 2                                                                  UTF-8 text
 */
#include "vfs/winname.h"

#include "base/bytes.h"
#include "base/utf16.h"

#include <stdbool.h>
#include <string.h>

enum { HEAD = 8, TEXTS_SYMLINK = 20, TEXTS_JUNCTION = 16, TEXT_LX = 12 };

/* ---- names ---- */

static bool is_refused(uint16_t c)
{
	return c < 32 || (c < 127 && strchr("<>:\"/\\|?*", (int)c));
}

static uint16_t upper(uint16_t c)
{
	return c >= 'a' && c <= 'z' ? (uint16_t)(c - 32) : c;
}

static bool is_word(const uint16_t *name, size_t units, const char *word)
{
	size_t i = 0;
	while (i < units && word[i] && upper(name[i]) == (uint8_t)word[i])
		i++;
	return i == units && !word[i];
}

/* COM0 to COM9, LPT0 to LPT9, and with a superscript digit. */
static bool is_port(const uint16_t *name, size_t units)
{
	if (units != 4 || !(is_word(name, 3, "COM") || is_word(name, 3, "LPT")))
		return false;
	uint16_t digit = name[3];
	return (digit >= '0' && digit <= '9') || digit == 0xb9 || digit == 0xb2 || digit == 0xb3;
}

/* Whatever follows the first dot, and blanks before it, makes no difference. */
static bool is_device(const uint16_t *name, size_t units)
{
	static const char *const words[] = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"};
	size_t n = 0;
	while (n < units && name[n] != '.')
		n++;
	while (n && name[n - 1] == ' ')
		n--;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (is_word(name, n, words[i]))
			return true;
	return is_port(name, n);
}

static enum ferr check(const uint16_t *name, size_t units)
{
	for (size_t i = 0; i < units; i++)
		if (is_refused(name[i]))
			return FE_INVAL;
	if (!units || name[units - 1] == '.' || name[units - 1] == ' ' || is_device(name, units))
		return FE_INVAL;
	return FE_OK;
}

static enum ferr wide_of(const char *text, size_t size, uint16_t *out, size_t room, size_t *units)
{
	switch (utf16_of_utf8(text, size, out, room, units)) {
	case ERR_OK: return FE_OK;
	case ERR_LIMIT: return FE_NAMETOOLONG;
	default: return FE_ILSEQ;
	}
}

enum ferr winname_of(const char *name, uint16_t out[WINNAME_MAX], size_t *units)
{
	FTRY(wide_of(name, strlen(name), out, WINNAME_MAX, units));
	return check(out, *units);
}

/* ---- links ---- */

static uint16_t u16_at(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t u32_at(const uint8_t *p)
{
	return u16_at(p) | (uint32_t)u16_at(p + 2) << 16;
}

static bool begins(const uint16_t *text, size_t units, const char *with)
{
	size_t n = strlen(with);
	return units >= n && is_word(text, n, with);
}

/* As many bytes as there is room for. */
static enum ferr put_text(const uint16_t *text, size_t units, bool absolute, char *buf,
                          size_t *size)
{
	char all[3 * (WINNAME_REPARSE_MAX / 2) + 1];
	size_t n;
	if (absolute && begins(text, units, "\\??\\")) {
		text += 4;
		units -= 4;
	}
	size_t slash = absolute && (!units || text[0] != '\\');
	all[0] = '/';
	if (utf8_of_utf16(text, units, all + slash, sizeof all - slash, &n) != ERR_OK)
		return FE_INVAL;
	n += slash;
	for (size_t i = 0; i < n; i++)
		if (all[i] == '\\')
			all[i] = '/';
	*size = n < *size ? n : *size;
	memcpy(buf, all, *size);
	return FE_OK;
}

static enum ferr wide_text(const uint8_t *r, size_t end, size_t texts, bool absolute, char *buf,
                           size_t *size)
{
	uint16_t text[WINNAME_REPARSE_MAX / 2];
	if (end < texts)
		return FE_INVAL;
	size_t at = texts + u16_at(r + HEAD), bytes = u16_at(r + HEAD + 2);
	if (at > end || bytes > end - at || bytes % 2 || !bytes)
		return FE_INVAL;
	for (size_t i = 0; i < bytes / 2; i++)
		text[i] = u16_at(r + at + 2 * i);
	return put_text(text, bytes / 2, absolute, buf, size);
}

enum ferr winname_link_text(const uint8_t *r, size_t reparse_size, char *buf, size_t *size)
{
	if (reparse_size < HEAD || reparse_size > WINNAME_REPARSE_MAX)
		return FE_INVAL;
	size_t end = HEAD + (size_t)u16_at(r + 4);
	if (end > reparse_size)
		return FE_INVAL;
	switch ((enum winname_tag)u32_at(r)) {
	case WINNAME_TAG_SYMLINK:
		if (end < TEXTS_SYMLINK)
			return FE_INVAL;
		return wide_text(r, end, TEXTS_SYMLINK, !(u32_at(r + 16) & 1), buf, size);
	case WINNAME_TAG_JUNCTION: return wide_text(r, end, TEXTS_JUNCTION, true, buf, size);
	case WINNAME_TAG_LX_SYMLINK:
		if (end <= TEXT_LX || u32_at(r + HEAD) != 2)
			return FE_INVAL;
		*size = end - TEXT_LX < *size ? end - TEXT_LX : *size;
		memcpy(buf, r + TEXT_LX, *size);
		return FE_OK;
	default: return FE_INVAL;
	}
}

/* Each name of the target is one that Windows can hold. */
static enum ferr check_target(const uint16_t *text, size_t units)
{
	for (size_t i = 0; i < units;) {
		size_t n = 0;
		while (i + n < units && text[i + n] != '/')
			n++;
		bool dots = n <= 2 && (n < 1 || text[i] == '.') && (n < 2 || text[i + 1] == '.');
		if (!dots)
			FTRY(check(text + i, n));
		i += n + 1;
	}
	return FE_OK;
}

static void put_u16(uint8_t *p, size_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static void put_head(uint8_t *out, enum winname_tag tag, size_t end)
{
	memset(out, 0, TEXTS_SYMLINK);
	put_u16(out, (uint32_t)tag & 0xffff);
	put_u16(out + 2, (uint32_t)tag >> 16);
	put_u16(out + 4, end - HEAD);
}

enum ferr winname_link_make(enum winname_tag tag, const char *target,
                            uint8_t out[WINNAME_REPARSE_MAX], size_t *size)
{
	enum { TARGET_MAX = (WINNAME_REPARSE_MAX - TEXTS_SYMLINK) / 4 };
	uint16_t text[TARGET_MAX];
	size_t n = strlen(target), units;
	FTRY(wide_of(target, n, text, TARGET_MAX, &units));
	FTRY(check_target(text, units));
	if (tag == WINNAME_TAG_LX_SYMLINK) {
		*size = TEXT_LX + n;
		put_head(out, tag, *size);
		put_u16(out + HEAD, 2);
		memcpy(out + TEXT_LX, target, n);
		return FE_OK;
	}
	/* The text that is followed, and the same to be shown. */
	*size = TEXTS_SYMLINK + 4 * units;
	put_head(out, tag, *size);
	put_u16(out + HEAD + 2, 2 * units);
	put_u16(out + HEAD + 4, 2 * units);
	put_u16(out + HEAD + 6, 2 * units);
	out[16] = 1;
	for (size_t i = 0; i < units; i++) {
		put_u16(out + TEXTS_SYMLINK + 2 * i, text[i] == '/' ? '\\' : text[i]);
		put_u16(out + TEXTS_SYMLINK + 2 * (units + i), text[i] == '/' ? '\\' : text[i]);
	}
	return FE_OK;
}
