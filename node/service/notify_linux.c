/* notify_linux.c - notify.h: datagrams to the socket that systemd names in the environment. */
#include "node/service/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

struct notify {
	int fd;
	struct sockaddr_un to;
	socklen_t to_size;
	uint64_t watchdog_ms;
};

/* A path, or "@NAME": a name that no file has. */
static int set_address(struct notify *m, const char *name)
{
	size_t size = strlen(name);
	if ((name[0] != '/' && name[0] != '@') || size < 2 || size > sizeof m->to.sun_path - 1)
		return -1;
	m->to.sun_family = AF_UNIX;
	memcpy(m->to.sun_path, name, size);
	if (name[0] == '@')
		m->to.sun_path[0] = 0;
	m->to_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + (name[0] == '/'));
	return 0;
}

/* It may be meant for a process that started this one. */
static uint64_t asked_watchdog_ms(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	if (!usec || (pid && strtol(pid, NULL, 10) != (long)getpid()))
		return 0;
	return strtoull(usec, NULL, 10) / 1000;
}

struct notify *notify_open(void)
{
	const char *name = getenv("NOTIFY_SOCKET");
	struct timeval second = {.tv_sec = 1};
	struct notify *m = name ? calloc(1, sizeof *m) : NULL;
	if (!m)
		return NULL;
	m->watchdog_ms = asked_watchdog_ms();
	m->fd = set_address(m, name) == 0 ? socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1;
	if (m->fd < 0) {
		free(m);
		return NULL;
	}
	setsockopt(m->fd, SOL_SOCKET, SO_SNDTIMEO, &second, sizeof second);
	return m;
}

void notify_tell(struct notify *m, const char *lines)
{
	/* Who does not listen is not told; nothing here depends on it. */
	if (m && sendto(m->fd, lines, strlen(lines), MSG_NOSIGNAL, (struct sockaddr *)&m->to,
	                m->to_size) < 0)
		return;
}

uint64_t notify_watchdog_ms(const struct notify *m)
{
	return m ? m->watchdog_ms : 0;
}

void notify_close(struct notify *m)
{
	if (m)
		close(m->fd);
	free(m);
}
