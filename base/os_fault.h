/* os_fault.h - what os_fault.c (the list of watched ranges) and the handlers of the systems (os_linux.c,
 * os_windows.c) share. Internal to base/. */
#pragma once

#include "base/os.h"

enum os_fault_answer {
	OS_FAULT_FOREIGN,  /* in no watched range */
	OS_FAULT_RESOLVED, /* the access is to be tried again */
	OS_FAULT_REFUSED,  /* the innermost guard of the thread is to end */
};

/* Asks the watch of addr. Called from the handler: takes no locks. */
enum os_fault_answer os_fault_ask(uintptr_t addr);
/* The system's: the handler stands from now on. Any number of times, from any thread. */
void os_fault_install(void);
