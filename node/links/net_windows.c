/* net_windows.c - net.h on Windows. */
#include "node/links/net.h"

#include <string.h>

static int address_size(const struct sockaddr *a)
{
	return a->sa_family == AF_INET ? (int)sizeof(struct sockaddr_in)
	                               : (int)sizeof(struct sockaddr_in6);
}

static SOCKET make(int family, int type)
{
	return WSASocketW(family, type, type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP, NULL, 0,
	                  WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
}

int net_listen(const struct sockaddr *a, int backlog, uv_os_sock_t *out)
{
	SOCKET s = make(a->sa_family, SOCK_STREAM);
	DWORD on = 1, off = 0;
	if (s == INVALID_SOCKET)
		return uv_translate_sys_error(WSAGetLastError());
	/* Without this another program could take the port over. */
	setsockopt(s, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, (const char *)&on, sizeof on);
	if (a->sa_family == AF_INET6)
		setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, (const char *)&off, sizeof off);
	if (bind(s, a, address_size(a)) == 0 && listen(s, backlog) == 0) {
		*out = s;
		return 0;
	}
	int e = WSAGetLastError();
	closesocket(s);
	/* A port that somebody has for himself is refused as if it were forbidden. */
	return e == WSAEADDRINUSE || e == WSAEACCES ? NET_TAKEN : uv_translate_sys_error(e);
}

bool net_has_ipv6(void)
{
	SOCKET s = make(AF_INET6, SOCK_STREAM);
	if (s != INVALID_SOCKET)
		closesocket(s);
	return s != INVALID_SOCKET;
}

/* Windows has no such limit; it takes about what the other side's window allows. */
void net_limit_unsent(uv_tcp_t *tcp, int size_bytes)
{
}

void net_cut(uv_tcp_t *tcp)
{
	uv_os_fd_t fd;
	if (uv_fileno((uv_handle_t *)tcp, &fd) == 0)
		shutdown((SOCKET)fd, SD_BOTH);
}

static bool aim(SOCKET s, const struct sockaddr *from, unsigned interface_number)
{
	struct sockaddr_storage own = {0};
	DWORD on = 1, hops = 1, number = interface_number;
	u_long no_wait = 1;
	ioctlsocket(s, (long)FIONBIO, &no_wait);
	memcpy(&own, from, (size_t)address_size(from));
	if (from->sa_family == AF_INET) {
		((struct sockaddr_in *)&own)->sin_port = 0;
		setsockopt(s, SOL_SOCKET, SO_BROADCAST, (const char *)&on, sizeof on);
	} else {
		((struct sockaddr_in6 *)&own)->sin6_port = 0;
		setsockopt(s, IPPROTO_IPV6, IPV6_MULTICAST_IF, (const char *)&number,
		           sizeof number);
		setsockopt(s, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, (const char *)&hops, sizeof hops);
	}
	return bind(s, (struct sockaddr *)&own, address_size(from)) == 0;
}

void net_send_near(const struct sockaddr *from, unsigned interface_number,
                   const struct sockaddr *to, const void *bytes, size_t size)
{
	SOCKET s = make(from->sa_family, SOCK_DGRAM);
	if (s == INVALID_SOCKET)
		return;
	if (aim(s, from, interface_number))
		sendto(s, bytes, (int)size, 0, to, address_size(to));
	closesocket(s);
}

/* Connecting a datagram socket asks the routes and no more; the address is one of those that documents use. */
bool net_outgoing(struct sockaddr_in *out)
{
	struct sockaddr_in to;
	SOCKET s = make(AF_INET, SOCK_DGRAM);
	int size = sizeof *out;
	bool ok = s != INVALID_SOCKET && uv_ip4_addr("192.0.2.1", 9, &to) == 0 &&
	          connect(s, (struct sockaddr *)&to, sizeof to) == 0 &&
	          getsockname(s, (struct sockaddr *)out, &size) == 0;
	if (s != INVALID_SOCKET)
		closesocket(s);
	return ok && out->sin_family == AF_INET;
}
