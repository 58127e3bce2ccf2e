/* lazy.c - lazy.h. */
#include "engine/lazy.h"

#include <pthread.h>
#include <stdlib.h>

struct lazy {
	pthread_mutex_t lock;
	struct validation v;
	struct checker *checker;
	uint8_t *valid; /* a bit a body */
};

enum err lazy_new(const struct validation *v, struct lazy **out)
{
	struct lazy *l = calloc(1, sizeof *l);
	if (!l)
		return ERR_NOMEM;
	l->valid = calloc((size_t)v->m->nfuncs / 8 + 1, 1);
	if (!l->valid) {
		free(l);
		return ERR_NOMEM;
	}
	l->v = *v;
	pthread_mutex_init(&l->lock, NULL);
	*out = l;
	return ERR_OK;
}

void lazy_free(struct lazy *l)
{
	if (!l)
		return;
	pthread_mutex_destroy(&l->lock);
	checker_close(l->checker);
	validation_free(&l->v);
	free(l->valid);
	free(l);
}

enum err lazy_need_large(struct lazy *l, struct errmsg *msg)
{
	const struct module *m = l->v.m;
	for (uint32_t i = 0; i < m->nfuncs; i++)
		if (m->funcs[i].body_size > LAZY_BODY_BYTES)
			TRY(lazy_need(l, i, msg));
	return ERR_OK;
}

enum err lazy_need(struct lazy *l, uint32_t i, struct errmsg *msg)
{
	enum err e = ERR_OK;
	pthread_mutex_lock(&l->lock);
	if (!(l->valid[i / 8] >> (i % 8) & 1)) {
		e = validate_body(&l->v, &l->checker, i, msg);
		if (e == ERR_OK)
			l->valid[i / 8] |= (uint8_t)(1u << (i % 8));
	}
	pthread_mutex_unlock(&l->lock);
	return e;
}
