/* setxid.c - setuid and the like: ids belong to the process here, so that no other thread has to be told. */
#include <unistd.h>
#include "libc.h"
#include "syscall.h"

int __setxid(int nr, int id, int eid, int sid)
{
	switch (nr) {
	case SYS_setuid: return syscall(SYS_setuid, id);
	case SYS_setgid: return syscall(SYS_setgid, id);
	case SYS_setreuid: return syscall(SYS_setreuid, id, eid);
	case SYS_setregid: return syscall(SYS_setregid, id, eid);
	case SYS_setresuid: return syscall(SYS_setresuid, id, eid, sid);
	default: return syscall(SYS_setresgid, id, eid, sid);
	}
}
