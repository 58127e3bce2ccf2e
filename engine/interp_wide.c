/* interp_wide.c - the handlers for wide instructions. */
#define WIDE 1
#include "engine/interp_body.h"
