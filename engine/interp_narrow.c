/* interp_narrow.c - the handlers for narrow instructions. */
#define WIDE 0
#include "engine/interp_body.h"
