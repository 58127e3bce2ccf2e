/* sink.h - one module with every section and most kinds of instructions, as bytes. */
#pragma once

#include "base/bytes.h"

/* Appends the module: 2 types, an import of each kind, 3 functions, passive and active segments, names. */
void sink_module(struct wr *w);
