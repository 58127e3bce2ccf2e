/* ksigaction.h - what rt_sigaction is passed: packed, the handler is an index into the function table. */
#include <features.h>

struct k_sigaction {
	void (*handler)(int);
	unsigned long flags;
	void (*restorer)(void);
	unsigned mask[2];
} __attribute__((packed));

hidden void __restore_rt();
#define __restore __restore_rt
