/* figures.h - a node in figures, as Prometheus reads them (text format 0.0.4). Loop thread.
 *
 *	struct wr page = {0};
 *	figures_write(n, &page);          // may lack memory: wr_ok()
 */
#pragma once

#include "base/bytes.h"

struct node;

void figures_write(struct node *n, struct wr *page);
