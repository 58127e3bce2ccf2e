/* budget.h - what a family's open files may cost the node: bytes that it keeps for them, and files of the host.
 *
 * A pipe that nobody reads, a text of /proc, an epoll with many watches are memory of the node, which no limit of linear memories sees. Each
 * open file description pays its price from its family's budget when it is made (vfs_file_charge() in fdtable.h), and gives it back when
 * its last descriptor is closed, by whomever.
 *
 *	struct vfs_budget *b = vfs_budget_new(64 << 20, 1000);
 *	if (!vfs_file_charge(f, b, price_bytes, false))      // false: there is no more; nothing has happened
 *
 * Any thread. Lives as long as somebody refers to it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct vfs_budget;

/* NULL: no memory. */
struct vfs_budget *vfs_budget_new(uint64_t bytes, uint32_t host_files);
struct vfs_budget *vfs_budget_ref(struct vfs_budget *b);
/* NULL is allowed. */
void vfs_budget_unref(struct vfs_budget *b);
bool vfs_budget_take(struct vfs_budget *b, uint64_t bytes, uint32_t host_files);
void vfs_budget_give(struct vfs_budget *b, uint64_t bytes, uint32_t host_files);
