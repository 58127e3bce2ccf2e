/* store_file.h - LMDB's file before LMDB opens it: whether it has every page that is in use.
 *
 * LMDB maps its file and reads where a page should be: of a file that was cut short that is SIGBUS, not an error. And a file that is
 * empty or gone it makes anew, with which paired devices and sleeping programs would be forgotten without a word. So the store asks here first, and
 * after its first transaction leaves a file "used" beside LMDB's.
 *
 *	TRY(store_file_check("/home/u/.wasmos/store", &msg));      // then mdb_env_open()
 *	store_file_used("/home/u/.wasmos/store");                  // what was made is on disk
 *
 * Reads only; blocks on the disk: two pages, when the file is whole. Any thread, but not while LMDB has the file open.
 */
#pragma once

#include "base/err.h"

/* MALFORMED: what is wrong and what to do. OK also for a file that makes no sense to us: LMDB tells. */
enum err store_file_check(const char *dir, struct errmsg *msg);
/* That it cannot be written is no error: the next start tries again. */
void store_file_used(const char *dir);
