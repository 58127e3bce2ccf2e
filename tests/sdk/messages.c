/* messages.c - two control messages in one call, as <sys/socket.h> lays them out; and sockets that give up. Prints the same as on Debian. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static char room[256];

static struct cmsghdr *put(struct msghdr *m, struct cmsghdr *c, int fd)
{
	if (!c) {
		printf("no place for a control message\n");
		return c;
	}
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(c), &fd, sizeof fd);
	return CMSG_NXTHDR(m, c);
}

static void take(struct msghdr *m)
{
	int count = 0, fd;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		for (size_t at = 0; CMSG_LEN(at + sizeof fd) <= c->cmsg_len; at += sizeof fd) {
			memcpy(&fd, CMSG_DATA(c) + at, sizeof fd);
			count += write(fd, "x", 1) == 1;
		}
	printf("%d descriptors, flags %d\n", count, m->msg_flags);
}

int main(void)
{
	int pair[2], pipes[2];
	char byte = 'b', got[8];
	struct iovec iov = {&byte, 1};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = room};
	m.msg_controllen = 2 * CMSG_SPACE(sizeof(int));
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) || pipe(pipes))
		return 1;
	put(&m, put(&m, CMSG_FIRSTHDR(&m), pipes[1]), pipes[1]);
	printf("sendmsg %d\n", (int)sendmsg(pair[0], &m, 0));
	m.msg_controllen = sizeof room;
	printf("recvmsg %d\n", (int)recvmsg(pair[1], &m, 0));
	take(&m);
	printf("%d bytes came through them\n", (int)read(pipes[0], got, sizeof got));
	struct timeval wait = {0, 20000};
	setsockopt(pair[1], SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
	setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
	ssize_t n = read(pair[1], got, 1);
	printf("read %d: %s\n", (int)n, strerror(errno));
	static char much[65536];
	while (write(pair[0], much, sizeof much) > 0)
		;
	printf("write: %s\n", strerror(errno));
	return 0;
}
