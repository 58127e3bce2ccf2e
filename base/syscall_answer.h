/* syscall_answer.h - gives the system call that a SIGSYS handler was called for its result. One file a processor. */
#pragma once

/* machine: the handler's third argument; value: the result, or a negative errno. */
void syscall_answer(void *machine, long value);
