/* host_client.h - the host half that is a connected client: the Android app, a test, later a browser's page.
 *
 * A struct screen_client is put between a process's panel and whoever carries pictures, sound and events to and from
 * the client (node/terminal/viewers.c, over the control socket). drivers_attach_client() gives it to a process: while it is
 * there it is that process's screen, also when the guest closes its display and opens another. What was shown last
 * stays readable after the process ended or left; events reach the guest only while it runs here.
 *
 * Counted: the last screen_client_unref() frees. Every function locks inside, may be called from any thread, and
 * does not block.
 *
 *	screen_client_new(wake, ctx, &sc);
 *	drivers_attach_client(p->drivers, sc, &msg);
 *	... woken: if (screen_client_frame(sc, &frame)) send it;
 *	screen_client_leave(sc);
 *	drivers_detach_client(p->drivers, sc);
 *	screen_client_unref(sc);
 */
#pragma once

#include "base/err.h"
#include "node/drivers/panel.h"

struct screen_client;

/* wake: there is a new frame or mode. Any thread; must not block or call back. every: no frame is skipped, the guest waits
 * until each was shown. */
enum err screen_client_new(bool every, void (*wake)(void *ctx), void *ctx,
                           struct screen_client **out);
struct screen_client *screen_client_ref(struct screen_client *c);
void screen_client_unref(struct screen_client *c);
/* wake is not called any more. */
void screen_client_leave(struct screen_client *c);

/* As panel_frame(): brings f up to date; false when nothing changed or nothing was ever shown. */
bool screen_client_frame(struct screen_client *c, struct panel_frame *f);
/* Frame seq is before the person's eyes. */
void screen_client_shown(struct screen_client *c, uint64_t seq);
/* Dropped while the process does not run here. */
void screen_client_event(struct screen_client *c, const struct wasmos_event *e);
void screen_client_release_keys(struct screen_client *c);
/* As panel_pull(); silence when there is no process. */
void screen_client_pull(struct screen_client *c, int16_t *out, uint32_t count, uint32_t channels);
void screen_client_pull_stop(struct screen_client *c);
