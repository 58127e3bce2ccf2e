/* talk.h - replicas and the devices of the system: who has which folder, and the exchanges with them. For node/folders/ only.
 *
 * All on the loop but talk_job(). A replica's talks are guarded by its lock.
 */
#pragma once

#include "node/folders/replica.h"
#include "node/links/link.h"

/* What a linked device says it has. */
struct offer {
	struct offer *next;
	uint8_t device[DEVICE_ID_SIZE];
	struct entry_id id;
	uint32_t session;
	char name[REPLICA_NAME_MAX + 1];
};

struct folders {
	struct node *node;
	struct vfs_obj *desk;
	struct replica *list; /* changed with lock */
	unsigned count;
	uv_mutex_t lock; /* guards list */
	uv_async_t async;
	uv_timer_t timer;
	struct offer *offers;
	unsigned offer_count, jobs;
	bool closed;
};

enum err talk_open(struct folders *s);
void talk_close(struct folders *s);
/* A replica is new here, or begins anew. */
void talk_begin(struct folders *s, struct replica *r);
/* It is this device's no more. */
void talk_end(struct folders *s, struct replica *r);
/* Devices it is in touch with. */
uint32_t talk_count(struct folders *s, const struct replica *r);
