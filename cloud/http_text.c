/* http_text.c - times, percent signs and addresses of HTTP: what needs no connection. */
#include "cloud/http.h"

#include <stdio.h>
#include <string.h>

void http_answer_free(struct http_answer *a)
{
	wr_free(&a->body);
}

bool http_is_success(const struct http_answer *a)
{
	return a->status >= 200 && a->status < 300;
}

/* ---- times ---- */

/* Days since 1970 of a day of the Gregorian calendar. */
static int64_t days_of(int64_t year, int month, int day)
{
	year -= month <= 2;
	int64_t era = (year >= 0 ? year : year - 399) / 400;
	int64_t of_era = year - era * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int64_t seconds_of(int year, int month, int day, int hour, int minute, int second)
{
	if (year < 1970 || year > 9999 || month < 1 || month > 12 || day < 1 || day > 31 ||
	    hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60)
		return 0;
	return days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
}

void http_stamp(int64_t time_s, char out[HTTP_STAMP_SIZE])
{
	int64_t days = time_s / 86400, left = time_s % 86400;
	int64_t z = days + 719468, era = z / 146097, of_era = z % 146097;
	int64_t of_cycle = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t day = of_era - (365 * of_cycle + of_cycle / 4 - of_cycle / 100);
	int64_t part = (5 * day + 2) / 153;
	int month = (int)(part < 10 ? part + 3 : part - 9);
	int year = (int)(of_cycle + era * 400 + (month <= 2));
	snprintf(out, HTTP_STAMP_SIZE, "%04u%02u%02uT%02u%02u%02uZ", (unsigned)year % 10000,
	         (unsigned)month % 100, (unsigned)(day - (153 * part + 2) / 5 + 1) % 100,
	         (unsigned)(left / 3600) % 100, (unsigned)(left / 60 % 60), (unsigned)(left % 60));
}

static int month_of(const char *name)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	for (int i = 0; i < 12; i++)
		if (!strncmp(names + 3 * i, name, 3))
			return i + 1;
	return 0;
}

int64_t http_time(const char *text)
{
	int year, month, day, hour, minute, second;
	char name[4];
	if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d", &year, &month, &day, &hour, &minute, &second) ==
	    6)
		return seconds_of(year, month, day, hour, minute, second);
	const char *p = strchr(text, ',');
	if (p && sscanf(p + 1, " %2d %3[A-Za-z] %4d %2d:%2d:%2d", &day, name, &year, &hour, &minute,
	                &second) == 6)
		return seconds_of(year, month_of(name), day, hour, minute, second);
	return 0;
}

/* ---- percent signs ---- */

static bool is_plain(char c, const char *keep)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("-._~", c)) || (c && strchr(keep, c));
}

void http_escape(struct wr *out, const char *text, size_t size, const char *keep)
{
	static const char digits[] = "0123456789ABCDEF";
	for (size_t i = 0; i < size; i++) {
		uint8_t c = (uint8_t)text[i];
		if (is_plain(text[i], keep)) {
			wr_u8(out, c);
			continue;
		}
		wr_u8(out, '%');
		wr_u8(out, (uint8_t)digits[c >> 4]);
		wr_u8(out, (uint8_t)digits[c & 15]);
	}
}

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

enum err http_unescape(struct wr *out, const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		int c = (uint8_t)text[i];
		if (c == '%') {
			int high = size - i > 2 ? digit_of(text[i + 1]) : -1;
			int low = size - i > 2 ? digit_of(text[i + 2]) : -1;
			c = high < 0 || low < 0 ? 0 : high << 4 | low;
			i += 2;
		}
		if (!c)
			return ERR_MALFORMED;
		wr_u8(out, (uint8_t)c);
	}
	return wr_ok(out) ? ERR_OK : ERR_NOMEM;
}

/* ---- addresses ---- */

enum err http_url_parse(const char *url, struct http_url *out, struct errmsg *msg)
{
	*out = (struct http_url){.is_tls = !strncmp(url, "https://", 8)};
	if (!out->is_tls && strncmp(url, "http://", 7) != 0)
		return err_set(msg, ERR_INVALID, "an address begins with https:// (or http://)");
	if (strlen(url) > 1024)
		return err_set(msg, ERR_INVALID, "the address is longer than 1024 bytes");
	out->host = url + (out->is_tls ? 8 : 7);
	out->host_size = strcspn(out->host, "/");
	out->path = out->host + out->host_size;
	if (memchr(out->host, '@', out->host_size))
		return err_set(
		    msg, ERR_INVALID,
		    "no user and no password in the address: --user, and the secret is asked for");
	for (const char *p = url; *p; p++)
		if ((uint8_t)*p <= ' ' || *p == 0x7f || strchr("?#\\\"<>", *p))
			return err_set(msg, ERR_INVALID, "the address has '%c' in it", *p);
	if (!out->host_size || out->host[0] == ':')
		return err_set(msg, ERR_INVALID, "the address names no host");
	return ERR_OK;
}

bool http_url_is_local(const struct http_url *u)
{
	static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};
	size_t size = u->host_size;
	if (u->host[0] != '[' || u->host[size - 1] != ']')
		for (size_t i = size; i-- > 0;)
			if (u->host[i] == ':') {
				size = i;
				break;
			}
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strlen(names[i]) == size && !memcmp(names[i], u->host, size))
			return true;
	return false;
}
