/* guest.h - the inside of struct drivers, for the files of its guest half: drivers.c (life, views),
 * calls.c (host calls) and state.c (section "drivers").
 *
 * Truths (drivers_check):
 *	panel is never NULL; mode is what the panel was told last
 *	a display is open exactly when mode.format is not 0, sound exactly when mode.rate is not 0
 *	keys and buttons are those the guest was told are down and not yet up
 */
#pragma once

#include "node/drivers/drivers.h"

#include "base/crypto.h"

#include <pthread.h>

struct drivers {
	struct drivers_config cfg;
	struct panel *panel;
	char name[PANEL_TITLE_MAX + 1];

	struct panel_mode mode;
	uint32_t palette[256];
	uint64_t presented_ns; /* of the last frame; 0: not since load */
	uint64_t written;      /* frames of sound over the process's life */
	bool asked_input;
	bool was_terminal; /* before it came here its terminal showed it */
	uint8_t keys[PANEL_KEYS / 8];
	uint32_t buttons;

	pthread_mutex_t lock; /* what other threads look at: */
	struct view *view;
	struct screen_client *client; /* the wanted screen; NULL: cfg.screen is */
	bool started;
	uint64_t frames;
	bool hashing;
	uint8_t hash[CRYPTO_HASH_SIZE];
};

void drivers_check(const struct drivers *d);
/* The view follows what is open. Called after display or sound was opened or all is closed. */
void drivers_follow(struct drivers *d);
/* Notes what the guest now believes of its keys and buttons. */
void drivers_told(struct drivers *d, const struct wasmos_event *events, uint32_t count);

/* The host function of a call of wasmos.def with a matching type. */
bool calls_resolve(void *ctx, const char *module, const char *name, const char *type, host_fn *fn,
                   void **env);
