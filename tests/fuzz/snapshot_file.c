/* snapshot_file.c - fuzzes snapshot files. The hash at the end would hide everything before it, so it is made
 * right first; a file that is read gives an image and a module, another one a message. */
#include "base/crypto.h"
#include "migrate/snapshot.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The seeds' shape: a small file, cut and changed by the input. */
static void sample(struct wr *w)
{
	struct image *im = image_new();
	uint8_t page[CHUNK_PAGE] = {1, 2, 3};
	static const uint8_t module[] = {0, 'a', 's', 'm', 1, 0, 0, 0};
	uint8_t hash[32];
	struct code_ref ref;
	uint32_t mem;
	crypto_blake2b(hash, module, sizeof module);
	if (module_cut(hash, module, sizeof module, NULL, NULL, &ref) != ERR_OK ||
	    image_put_module(im, &ref) != ERR_OK ||
	    image_put_section(im, "engine", 1, "abc", 3) != ERR_OK ||
	    image_put_space(im, SPACE_MEMORY, "00", 0, 3 * CHUNK_PAGE, &mem) != ERR_OK)
		abort();
	image_write_page(im, mem, 1, page);
	struct snapshot_code code = {module, sizeof module};
	if (snapshot_write(im, &code, w) != ERR_OK)
		abort();
	image_free(im);
}

static void try_it(uint8_t *bytes, size_t size)
{
	struct image *im;
	struct wr modules[IMAGE_MODULES_MAX] = {0};
	struct errmsg msg = {0};
	if (size >= CRYPTO_HASH_SIZE)
		crypto_blake2b(bytes + size - CRYPTO_HASH_SIZE, bytes, size - CRYPTO_HASH_SIZE);
	enum err e = snapshot_read(bytes, size, &im, modules, &msg);
	if ((e == ERR_OK) != (im != NULL) || (e != ERR_OK && (!msg.text[0] || modules[0].size)))
		abort();
	image_free(im);
	for (int i = 0; i < IMAGE_MODULES_MAX; i++)
		wr_free(&modules[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wr w = {0}, copy = {0};
	wr_bytes(&copy, data, size);
	if (copy.data)
		try_it(copy.data, copy.size);
	sample(&w);
	/* Pairs: where to change the sample, to what. */
	for (size_t i = 0; i + 2 < size; i += 3)
		w.data[(data[i] | data[i + 1] << 8) % w.size] ^= data[i + 2];
	try_it(w.data, w.size);
	wr_free(&w);
	wr_free(&copy);
	return 0;
}
