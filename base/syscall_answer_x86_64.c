/* syscall_answer_x86_64.c - syscall_answer.h on x86-64: the result is in rax. */
#include "base/syscall_answer.h"

#include <ucontext.h>

void syscall_answer(void *machine, long value)
{
	((ucontext_t *)machine)->uc_mcontext.gregs[REG_RAX] = value;
}
