/* net_linux.c - net.h on Linux and Android. */
#include "node/links/net.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static socklen_t address_size(const struct sockaddr *a)
{
	return a->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

int net_listen(const struct sockaddr *a, int backlog, uv_os_sock_t *out)
{
	int fd = socket(a->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1,
	    off = 0;
	if (fd < 0)
		return uv_translate_sys_error(errno);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (a->sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
	if (bind(fd, a, address_size(a)) == 0 && listen(fd, backlog) == 0) {
		*out = fd;
		return 0;
	}
	int e = errno;
	close(fd);
	return e == EADDRINUSE ? NET_TAKEN : uv_translate_sys_error(e);
}

bool net_has_ipv6(void)
{
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

void net_limit_unsent(uv_tcp_t *tcp, int size_bytes)
{
	uv_os_fd_t fd;
	if (uv_fileno((uv_handle_t *)tcp, &fd) == 0)
		setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &size_bytes, sizeof size_bytes);
}

void net_cut(uv_tcp_t *tcp)
{
	uv_os_fd_t fd;
	if (uv_fileno((uv_handle_t *)tcp, &fd) == 0)
		shutdown(fd, SHUT_RDWR);
}

static bool aim(int fd, const struct sockaddr *from, unsigned interface_number)
{
	struct sockaddr_storage own = {0};
	int on = 1, hops = 1;
	memcpy(&own, from, address_size(from));
	if (from->sa_family == AF_INET) {
		((struct sockaddr_in *)&own)->sin_port = 0;
		setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof on);
	} else {
		((struct sockaddr_in6 *)&own)->sin6_port = 0;
		setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &interface_number,
		           sizeof interface_number);
		setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof hops);
	}
	return bind(fd, (struct sockaddr *)&own, address_size(from)) == 0;
}

void net_send_near(const struct sockaddr *from, unsigned interface_number,
                   const struct sockaddr *to, const void *bytes, size_t size)
{
	int fd = socket(from->sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	if (aim(fd, from, interface_number))
		sendto(fd, bytes, size, MSG_NOSIGNAL, to, address_size(to));
	close(fd);
}

/* Connecting a datagram socket asks the routes and no more; the address is one of those that documents use. */
bool net_outgoing(struct sockaddr_in *out)
{
	struct sockaddr_in to;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof *out;
	bool ok = fd >= 0 && uv_ip4_addr("192.0.2.1", 9, &to) == 0 &&
	          connect(fd, (struct sockaddr *)&to, sizeof to) == 0 &&
	          getsockname(fd, (struct sockaddr *)out, &size) == 0;
	if (fd >= 0)
		close(fd);
	return ok && out->sin_family == AF_INET;
}
