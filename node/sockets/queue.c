/* queue.c - a list of packets (queue.h). */
#include "node/sockets/queue.h"

#include <stdlib.h>
#include <string.h>

enum { PACKET_MIN = 2048 };

void packet_files_free(struct packet_files *f)
{
	for (uint32_t i = 0; f && i < f->count; i++)
		vfs_file_unref(f->list[i]);
	free(f);
}

static void append(struct queue *q, struct packet *p)
{
	if (q->last)
		q->last->next = p;
	else
		q->first = p;
	q->last = p;
	q->packets++;
	q->bytes += p->end - p->start;
}

static struct packet *take_first(struct queue *q)
{
	struct packet *p = q->first;
	q->first = p->next;
	if (!q->first)
		q->last = NULL;
	q->packets--;
	q->bytes -= p->end - p->start;
	p->next = NULL;
	return p;
}

void queue_move_one(struct queue *to, struct queue *from)
{
	append(to, take_first(from));
}

void queue_pop(struct queue *q)
{
	struct packet *p = take_first(q);
	packet_files_free(p->files);
	free(p);
}

void queue_free(struct queue *q)
{
	while (q->first)
		queue_pop(q);
}

static struct packet *packet_new(size_t cap)
{
	struct packet *p = malloc(sizeof *p + cap);
	if (p)
		*p = (struct packet){.cap = cap};
	return p;
}

static size_t fill_last(struct queue *q, const uint8_t *bytes, size_t size)
{
	struct packet *p = q->last;
	size_t n = p && !p->whole ? p->cap - p->end : 0;
	n = n < size ? n : size;
	if (!n)
		return 0;
	memcpy(p->bytes + p->end, bytes, n);
	p->end += n;
	q->bytes += n;
	return n;
}

bool queue_put(struct queue *q, const void *bytes, size_t size)
{
	const struct packet *last = q->last;
	size_t room = last && !last->whole ? last->cap - last->end : 0;
	size_t rest = size > room ? size - room : 0;
	struct packet *more = NULL;
	if (rest && !(more = packet_new(rest < PACKET_MIN ? PACKET_MIN : rest)))
		return false;
	size_t n = fill_last(q, bytes, size);
	if (!more)
		return true;
	memcpy(more->bytes, (const uint8_t *)bytes + n, size - n);
	more->end = size - n;
	append(q, more);
	return true;
}

bool queue_put_packet(struct queue *q, const struct vfs_iov *iov, size_t n, size_t size,
                      const struct address *from, uint32_t pid, struct packet_files *files)
{
	struct packet *p = packet_new(size);
	if (!p)
		return false;
	for (size_t i = 0; i < n && p->end < size; i++) {
		size_t now = iov[i].size < size - p->end ? iov[i].size : size - p->end;
		if (now)
			memcpy(p->bytes + p->end, iov[i].p, now);
		p->end += now;
	}
	p->whole = true;
	p->files = files;
	p->pid = pid;
	if (from)
		p->from = *from;
	append(q, p);
	return true;
}

size_t queue_peek(const struct queue *q, size_t skip, void *out, size_t size)
{
	size_t done = 0;
	for (const struct packet *p = q->first; p && done < size; p = p->next) {
		size_t has = p->end - p->start;
		if (skip >= has) {
			skip -= has;
			continue;
		}
		size_t n = has - skip < size - done ? has - skip : size - done;
		memcpy((uint8_t *)out + done, p->bytes + p->start + skip, n);
		done += n;
		skip = 0;
	}
	return done;
}

void queue_drop(struct queue *q, size_t size)
{
	while (q->first && size) {
		struct packet *p = q->first;
		size_t has = p->end - p->start;
		size_t n = has < size ? has : size;
		p->start += n;
		q->bytes -= n;
		size -= n;
		if (p->start == p->end)
			queue_pop(q);
	}
}

bool queue_has_files(const struct queue *q)
{
	for (const struct packet *p = q->first; p; p = p->next)
		if (p->files)
			return true;
	return false;
}

void queue_move(struct queue *to, struct queue *from)
{
	if (!from->first)
		return;
	if (to->last)
		to->last->next = from->first;
	else
		to->first = from->first;
	to->last = from->last;
	to->bytes += from->bytes;
	to->packets += from->packets;
	*from = (struct queue){0};
}
