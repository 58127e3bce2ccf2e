/* open_files.h - a table with one open file of each kind that an image has, for the targets whose bytes speak of such a table.
 *
 * 0 the null device, 1 an eventfd, 2 an epoll, 3 a file in memory, 4 and 5 a pipe, 6 and 7 a pty. The caller owns it.
 */
#pragma once

#include "vfs/fdtable.h"

struct family;

struct fdtable *open_files(void);

/* Alarms of the family are set and nobody watches them, so what an input does is the same each time. */
void stop_alarms(struct family *f);
/* Before it is freed. */
void let_alarms(struct family *f);
