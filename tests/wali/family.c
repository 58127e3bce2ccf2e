/* family.c - a guest that has a child, and waits. */
#include "guest.h"

void _start(void)
{
	wali_init();
	sys_fork();
	for (;;)
		sys_pause();
}
