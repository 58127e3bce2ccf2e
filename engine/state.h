/* state.h - a store as bytes: what state_save.c writes and state_load.c reads. Internal to engine/.
 *
 * All integers are little-endian; leb: unsigned LEB128; text: leb length and bytes. In this order:
 *
 *	u32 magic, u32 version, u32 flags (SAVE_MEMORY)
 *	u32 max_stack_slots, u32 max_call_depth, u32 max_memory_pages
 *	leb n; functions, in the order of their ids: u8 0, hash[32] (a module's: one instance) or
 *	    u8 1, text module, text name, text type (a host function)
 *	leb n; memories: u32 pages, u8 has_max, u32 max
 *	leb n; tables: u8 reftype, u8 has_max, u32 max, leb size, leb references
 *	leb n; globals: u8 type, u8 mut, value
 *	leb n; tags: text type
 *	for each instance: u32 ids of imported functions; u32 store indices of its tables, memories, globals and tags (whole
 *	    index spaces); u8 dropped, for each element segment, for each data segment
 *	leb n; registered names: text, leb instance
 *	leb n, leb index of the one whose turn it is; threads: u8 state; with globals of its own (state + 0x80): leb how many globals
 *	    there are, values of those that are mutable (those above are the store's); busy: text type of the outermost call;
 *	    in frames: leb n; frames, outermost first: u32 function id, u32 offset of the safepoint,
 *	        values of locals, leb height, values of operands
 *	    in a host function called from outside: u32 id, values of arguments
 *	    A frame that a handler interrupted has INTERRUPTED in its function id, all its operands, and behind them
 *	    u32 stack pointer, u8 wait (0, or 2, 3 as above); the next frame is the handler's
 *	        then u8 0 or, when it has begun to wait: 1, u32 memory, u32 address, u64 nanoseconds left (all ones: for ever),
 *	        leb place in the order of those that wait; 2: woken; 3: its time is over
 *	    unwinding: frames, of which the innermost stands in a call too, then u64 the exception
 *	u8 1 when a thread has jumps, then for each thread: u64 last id, u64 id of a jump under way (0: none), u32 its value;
 *	    leb n; jumps by depth: u64 id, u64 key, u32 depth, u32 stack pointer, and a frame as above
 *	the exceptions that were mentioned, in that order: u32 tag, u32 id of the function that threw it, u32 offset in its body,
 *	    values
 *	memories' bytes, with SAVE_MEMORY: for each, runs until all pages (4 KiB) are named: leb zero pages,
 *	    leb other pages and their bytes
 *
 * A value is 4 bytes (i32, f32), 16 (v128) or 8; its type is the module's and not written. A height counts slots: a v128 is two.
 * So do the letters of a type's text: a v128 is "Vv". An exnref is 0 or the number of an
 * exception, from 1 in the order in which they are mentioned first: by tables, globals, threads, other exceptions.
 */
#pragma once

#include "engine/exec.h"

#define STATE_MAGIC 0x474e4557u /* "WENG" */
/* Versions 1 (no tags, no exceptions, jumps at the end) and 2 (no v128) are read. */
#define STATE_VERSION 3u
#define STATE_PAGE 4096u

enum { RANGE_INSTANCE, RANGE_HOST };
#define INTERRUPTED 0x80000000u
enum { THREAD_IDLE, THREAD_FRAMES, THREAD_DIRECT, THREAD_UNWINDING, THREAD_OWN_GLOBALS = 0x80 };

/* Limits of what is loaded. */
#define STATE_MAX_SLOTS (64u << 20)
#define STATE_MAX_DEPTH (16u << 20)

/* Of 8 bytes, as each half of a v128 is. */
static inline bool is_wide_value(uint8_t type)
{
	return type != VT_I32 && type != VT_F32;
}

/* enum valtype of a letter of a type's text. */
static inline uint8_t letter_valtype(char c)
{
	switch (c) {
	case 'i': return VT_I32;
	case 'I': return VT_I64;
	case 'f': return VT_F32;
	case 'F': return VT_F64;
	case 'V': return VT_V128;
	case 'v': return VT_V128_HIGH;
	case 'r': return VT_FUNCREF;
	case 'e': return VT_EXNREF;
	default: return VT_EXTERNREF;
	}
}
