/* net.h - what links ask of the system's sockets beyond libuv. Loop thread. */
#pragma once

#include <stdbool.h>
#include <uv.h>

enum { NET_TAKEN = 1 }; /* the address is in use: another port may do */

/* A TCP socket that listens already, so that nobody else can have the port, for uv_tcp_open() and uv_listen(). (libuv tells of a
 * taken port only later, and its handle cannot try another then.) 0; NET_TAKEN; or an error of libuv's. */
int net_listen(const struct sockaddr *a, int backlog, uv_os_sock_t *out);
bool net_has_ipv6(void);
/* The system takes at most about so many bytes that it has not sent yet; where it can be told. */
void net_limit_unsent(uv_tcp_t *tcp, int size_bytes);
/* The connection ends for both sides, as when a cable is cut. */
void net_cut(uv_tcp_t *tcp);
/* The IPv4 address from which this machine reaches the world, or any network. Where the system does not tell programs its interfaces (Android). False:
 * there is none. Sends nothing. */
bool net_outgoing(struct sockaddr_in *out);
/* One datagram from an address of this machine to a broadcast address, or to a multicast group of IPv6 on the interface of that number, no further
 * than one network; from's port is not looked at. What the system does not take at once is lost. */
void net_send_near(const struct sockaddr *from, unsigned interface_number,
                   const struct sockaddr *to, const void *bytes, size_t size);
