/* atomic.h - atomic instructions and waiting (the threads proposal, part of core 3.0 as "shared memories"). Internal to engine/.
 *
 * The threads of a store run by turns on one host thread, and nobody else writes to its memories while one runs, so every
 * instruction is atomic: these differ from ordinary loads and stores in that an address must be a multiple of the access' size.
 *
 * memory.atomic.wait blocks as a host call does: the thread stands before the instruction. What tells the thread that comes
 * back to it whether it still waits is thread->wait, which is saved with the thread:
 *
 *	WAIT_NO --wait--> WAIT_QUEUED --notify--> WAIT_WOKEN --wait again--> WAIT_NO, result 0
 *	                       \----its time is over--> WAIT_LATE --wait again--> WAIT_NO, result 2
 *
 * Who waits longest is woken first (wait_turn). The engine reads no clock: whoever runs the store says how much time went by.
 */
#pragma once

#include "engine/iop.h"

enum wait_state { WAIT_NO, WAIT_QUEUED, WAIT_WOKEN, WAIT_LATE };

/* The function of an instruction behind 0xfe (but atomic.fence), which IOP_slow calls with the offset as immediate; its
 * operands stand at v[0..], its result, if any, goes to v[0]. */
slow_fn atomic_fn(uint32_t op);
