/* socket.h - musl's <sys/socket.h> (installed as bits/musl_socket.h), whose CMSG_NXTHDR goes from one control message to the next in steps of
 * a long and whose CMSG_SPACE counts those of a size_t: here they are not the same, and a second message had no room. */
#include <bits/musl_socket.h>

#undef CMSG_ALIGN
#define CMSG_ALIGN(len) (((len) + sizeof(long) - 1) & ~(sizeof(long) - 1))
