/* socket_impl.h - the inside of sockets, nets and spaces. Internal to node/sockets/; all fields are under the net's lock. */
#pragma once

#include "node/sockets/socket.h"

#include <pthread.h>

enum socket_state {
	STATE_NEW, /* neither listens nor is connected; a datagram's own state */
	STATE_LISTENS,
	STATE_CONNECTS,  /* the other end has not been found yet */
	STATE_CONNECTED, /* has been: how much of it is left say the flags */
};

enum { CONNECTION_ID_SIZE = 16, PORT_FIRST = 32768, PORT_LAST = 60999 };

struct socket {
	struct vfs_obj base;
	struct net *net;
	struct space *space; /* NULL: not of a guest (outside.c), or closed and draining */
	struct socket *next; /* of the net */
	uint8_t af, type;    /* enum address_family, enum socket_type */
	enum socket_state state;
	struct address local, peer;
	bool bound, has_peer;
	enum ferr error; /* told once */

	/* Of a connection. */
	uint8_t id[CONNECTION_ID_SIZE];
	uint8_t side;        /* 0: who connected */
	struct socket *mate; /* the other end, while bytes go straight there */
	bool shut_read, shut_write;
	bool in_ended;        /* nothing comes after what is in the queue */
	bool gone;            /* the other end reads no more */
	struct queue in;      /* to be read */
	struct queue out;     /* written, while there is no mate to take it */
	uint64_t received;    /* bytes of the stream that ever came in */
	uint64_t sent;        /* bytes ever written; out has the last of them */
	size_t counted_bytes; /* what its space has counted */
	uint32_t counted_packets;
	uint32_t peer_pid;
	uint32_t own_pid;

	/* Of a listener: ends that wait for accept(), each with next_waiting. */
	struct socket *waiting, *next_waiting;
	uint32_t nwaiting, backlog;

	int32_t options[SOCKET_OPTIONS_MAX];
	struct socket_patience patience;
};

struct space {
	struct net *net;
	struct space_config cfg;
	uint32_t sockets;
	size_t bytes;     /* in queues of its sockets */
	uint32_t packets; /* the same */
	uint16_t last_port;
};

struct net_device {
	char name[64];
	struct address address4, address6;
};

struct net {
	pthread_mutex_t lock;
	struct socket *first;
	uint32_t count;
	struct address address4, address6;
	struct net_device *devices; /* of the system; the first is this one */
	uint32_t ndevices;
	const struct space *caller; /* whose call is under way, with its family's lock */
};

/* ---- socket.c ---- */
struct socket *socket_of(struct vfs_obj *o);
void net_enter(struct net *n, const struct space *caller);
void net_leave(struct net *n);
/* With the lock, from here on. */
enum ferr socket_make(struct net *n, struct space *s, uint8_t af, uint8_t type,
                      struct socket **out);
void socket_wake(struct socket *s);
/* Bytes that may still be put into q, a queue of s. */
size_t socket_room(const struct socket *s, const struct queue *q);
/* After its queues have changed. */
void socket_recount(struct socket *s);
/* So many more files may travel over the space's sockets. */
bool space_takes_files(const struct space *s, uint32_t count);
/* Off the net's list, and freed. */
void socket_unmake(struct socket *s);

/* ---- bind.c ---- */
enum address_reach net_reach(const struct net *n, const struct address *a);
enum ferr bind_any_port(struct socket *s);
/* What has the address that s sends to: NULL: nobody here. */
struct socket *find_bound(struct socket *s, const struct address *to);
/* s may send there. */
enum ferr may_reach(const struct socket *s, const struct address *to);

/* ---- stream.c ---- */
enum ferr stream_connect(struct socket *s, const struct address *a);
enum ferr stream_write(struct socket *s, struct socket_send *send, size_t *done);
enum ferr stream_read(struct socket *s, struct socket_receive *r, size_t *done);
enum ferr stream_shutdown(struct socket *s, unsigned how);
void stream_close(struct socket *s);
unsigned stream_ready(const struct socket *s);
void stream_join(struct socket *a, struct socket *b);

/* ---- datagram.c ---- */
enum ferr datagram_write(struct socket *s, struct socket_send *send, size_t *done);
enum ferr datagram_read(struct socket *s, struct socket_receive *r, size_t *done);
unsigned datagram_ready(const struct socket *s);
