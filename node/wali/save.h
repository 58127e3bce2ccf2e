/* save.h - what sections "linux" and "family" both have (save.c). Internal to node/wali/. */
#pragma once

#include "node/wali/device.h"
#include "node/wali/family_image.h"

/* The line that is being typed. */
void terminal_save_typed(struct wali *k, struct wr *out);
enum err terminal_load_typed(struct rd *in, const uint8_t **typed, uint16_t *size);
/* The family's settings, and what is typed, to the terminal. */
void terminal_use(struct wali *k, const uint8_t *typed, uint16_t size);
