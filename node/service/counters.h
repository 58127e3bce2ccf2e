/* counters.h - what a node has done since it was started, for the page of figures (figures.h). Written where it happens, on the loop. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct move_report;
struct node;

/* PAUSE(upper bound in ms, the same in seconds as text): of the histogram of pauses. */
#define COUNTERS_PAUSES(PAUSE) \
	PAUSE(5, "0.005")      \
	PAUSE(10, "0.01")      \
	PAUSE(20, "0.02")      \
	PAUSE(50, "0.05")      \
	PAUSE(100, "0.1")      \
	PAUSE(200, "0.2") PAUSE(500, "0.5") PAUSE(1000, "1") PAUSE(2000, "2") PAUSE(5000, "5")

enum {
#define PAUSE(ms, text) COUNTERS_PAUSE_##ms,
	COUNTERS_PAUSES(PAUSE)
#undef PAUSE
	    COUNTERS_PAUSE_COUNT
};

struct counters {
	struct {
		uint64_t done, failed;
	} away, here;                              /* moves to and from other devices */
	uint64_t pauses[COUNTERS_PAUSE_COUNT + 1]; /* of moves away; the last: longer than all */
	uint64_t pause_ns, sent_bytes;             /* of all moves away */
	uint64_t checkpoints;
	struct {
		uint64_t count, bytes;
	} udp_sent, udp_received; /* datagrams of membership, without headers */
	uint64_t cpu_ns;          /* that programs used here which are no longer here */
};

/* A move to another device is over. r counts only when it is done. */
void counters_moved_away(struct node *n, bool done, const struct move_report *r);
