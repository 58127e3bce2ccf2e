/* epoll.h - musl's <sys/epoll.h> (installed as bits/musl_epoll.h) with x86-64's packed struct epoll_event. */
#include <fcntl.h>
#include <stdint.h>
#include <sys/types.h>
#pragma pack(push, 4)
#include <bits/musl_epoll.h>
#pragma pack(pop)
