/* sigv4.c - the canonical request, the string to sign, and the signature. */
#include "cloud/sigv4.h"

#include "base/crypto.h"

#include <stdio.h>
#include <string.h>

void sigv4_hex(const uint8_t hash[32], char out[SIGV4_HASH_TEXT])
{
	for (int i = 0; i < 32; i++)
		snprintf(out + 2 * i, 3, "%02x", hash[i]);
}

void sigv4_hash_text(const void *bytes, size_t size, char out[SIGV4_HASH_TEXT])
{
	uint8_t hash[CRYPTO_HASH_SIZE];
	crypto_sha256(hash, bytes, size);
	sigv4_hex(hash, out);
}

static void put(struct wr *out, const char *text)
{
	wr_bytes(out, text, strlen(text));
}

/* "host;x-amz-date" */
static void put_names(struct wr *out, const struct sigv4 *s)
{
	for (int i = 0; i < SIGV4_HEADERS_MAX && s->headers[i]; i++) {
		put(out, i ? ";" : "");
		wr_bytes(out, s->headers[i], strcspn(s->headers[i], ":"));
	}
}

static void put_request(struct wr *out, const struct sigv4 *s)
{
	put(out, s->method);
	put(out, "\n");
	put(out, s->path);
	put(out, "\n");
	put(out, s->query);
	put(out, "\n");
	for (int i = 0; i < SIGV4_HEADERS_MAX && s->headers[i]; i++) {
		put(out, s->headers[i]);
		put(out, "\n");
	}
	put(out, "\n");
	put_names(out, s);
	put(out, "\n");
	put(out, s->body_hash);
}

/* "20130524/us-east-1/s3/aws4_request" */
static void put_scope(struct wr *out, const struct sigv4 *s)
{
	wr_bytes(out, s->stamp, strcspn(s->stamp, "T"));
	put(out, "/");
	put(out, s->region);
	put(out, "/");
	put(out, s->service);
	put(out, "/aws4_request");
}

static void derive(const struct sigv4 *s, uint8_t key[CRYPTO_HASH_SIZE])
{
	char first[4 + 4096];
	int n = snprintf(first, sizeof first, "AWS4%s", s->secret);
	crypto_hmac_sha256(key, first, (size_t)n < sizeof first ? (size_t)n : sizeof first - 1,
	                   s->stamp, strcspn(s->stamp, "T"));
	const char *const rest[] = {s->region, s->service, "aws4_request"};
	for (int i = 0; i < 3; i++)
		crypto_hmac_sha256(key, key, CRYPTO_HASH_SIZE, rest[i], strlen(rest[i]));
	crypto_zero(first, sizeof first);
}

static void sign(const struct sigv4 *s, const char *request_hash, char out[SIGV4_HASH_TEXT])
{
	uint8_t key[CRYPTO_HASH_SIZE], signature[CRYPTO_HASH_SIZE];
	struct wr text = {0};
	put(&text, "AWS4-HMAC-SHA256\n");
	put(&text, s->stamp);
	put(&text, "\n");
	put_scope(&text, s);
	put(&text, "\n");
	put(&text, request_hash);
	derive(s, key);
	crypto_hmac_sha256(signature, key, sizeof key, text.data, wr_ok(&text) ? text.size : 0);
	sigv4_hex(signature, out);
	crypto_zero(key, sizeof key);
	wr_free(&text);
}

enum err sigv4_authorize(const struct sigv4 *s, struct wr *out)
{
	char hash[SIGV4_HASH_TEXT], signature[SIGV4_HASH_TEXT];
	struct wr request = {0};
	put_request(&request, s);
	bool ok = wr_ok(&request);
	if (ok) {
		sigv4_hash_text(request.data, request.size, hash);
		sign(s, hash, signature);
		put(out, "AWS4-HMAC-SHA256 Credential=");
		put(out, s->access);
		put(out, "/");
		put_scope(out, s);
		put(out, ", SignedHeaders=");
		put_names(out, s);
		put(out, ", Signature=");
		put(out, signature);
		wr_u8(out, 0);
	}
	wr_free(&request);
	return ok && wr_ok(out) ? ERR_OK : ERR_NOMEM;
}
