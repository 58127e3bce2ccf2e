/* process_section.h - section "process" of an image: identity, name, arguments, display wishes, terminal.
 * docs/formats/image.md. Used by process.c.
 *
 *	process_section_save(p, &out);
 *	process_section_load(&in, &hooks, p, &msg);     // p: zeroed, not in the table yet
 */
#pragma once

#include "node/process/process.h"

enum err process_section_save(struct process *p, struct wr *out);
/* Hostile bytes. Fills pid, uid, epoch, name, argv, parent, created, cpu_ns_before, begun, display, tty; what was filled when
 * it fails is freed by process_free(). */
enum err process_section_load(struct rd in, const struct tty_hooks *hooks, struct process *p,
                              struct errmsg *msg);
