/* socket_impl.h - the inside of sockets, nets and spaces. Internal to node/sockets/; all fields are under the net's lock. */
#pragma once

#include "node/sockets/socket.h"

#include <pthread.h>

struct question;

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
	bool is_pipe;    /* it took the place of a pipe's end */
	enum ferr error; /* told once */

	/* Of a connection. */
	uint8_t id[CONNECTION_ID_SIZE];
	bool has_name;       /* id is one */
	uint8_t side;        /* 0: who connected */
	struct socket *mate; /* the other end, while bytes go straight there */
	bool shut_read, shut_write;
	bool in_ended; /* nothing comes after what is in the queue */
	bool gone;     /* the other end reads no more */
	bool
	    knows_gone; /* ... and its user has met that: a first write is just lost, as with TCP */
	bool waits;     /* to be accepted */
	uint8_t background;   /* 1: connect() has said INPROGRESS and is OK once more, 2: it was */
	struct queue in;      /* to be read */
	struct queue out;     /* written, while there is no mate to take it */
	uint64_t received;    /* bytes of the stream that ever came in */
	uint64_t sent;        /* bytes ever written; out has the last of them */
	size_t counted_bytes; /* what its space has counted */
	uint32_t counted_packets;
	uint32_t peer_pid;
	uint32_t own_pid;

	/* While its process is on the way, or the other end is on another node (image.c, wire.c). */
	bool standing; /* it is in an image: takes and gives nothing */
	bool left;     /* and the image runs elsewhere */
	bool seeks;    /* where the other end is is not known */
	bool has_far;  /* it is on that device ... */
	bool told_end; /* ... which has heard of our end, and has it */
	bool knew_far; /* it has been on that device */
	uint8_t far_device[32];
	uint64_t far_received, far_room; /* how much it has, and takes beyond that */
	uint64_t next_send;              /* the first byte that it was not sent */
	uint64_t told_received, told_room;
	bool told_fin;           /* far was told that nothing more comes */
	bool resets;             /* far is to be told that the connection is broken */
	bool tomb;               /* all is over; it only tells who asks */
	bool condemns;           /* who has the other end is to end, whenever it is heard of ... */
	bool condemned;          /* ... and this one's was told so */
	uint64_t asked_ms;       /* when far was looked for last, when a tomb began */
	uint32_t wait_ms;        /* until it is looked for again */
	uint32_t asked, refused; /* devices, about a connection that is being made */
	bool later;              /* some said that it may come */
	uint64_t since_ms;       /* when it was begun */
	uint64_t ended_ms;       /* since when it is closed and looks for the other end */
	uint64_t lost_ms;        /* since when it looks for the other end; 0: it does not */
	uint8_t open_key[SPACE_KEY_SIZE]; /* of an outlet's: for which family */

	/* What has changed for the loop (outside.h). */
	uint64_t serial;   /* never used again */
	bool outside;      /* an end whose owner is the loop: a host's socket */
	bool dirty, ended; /* ended: its file is closed, the loop drops it */
	bool abroad;       /* connects to what is not on this node */
	bool claimed;      /* a datagram's: its user chose the port */
	bool
	    answers; /* has heard from outside, and may answer there: how far is its home's to say */
	void *carrier; /* the loop's own; it is asked before the socket goes */
	struct socket *next_dirty;

	/* Of a listener: ends that wait for accept(), each with next_waiting. */
	struct socket *waiting, *next_waiting;
	uint32_t nwaiting, backlog;

	int32_t options[SOCKET_OPTIONS_MAX];
	struct socket_patience patience;
};

struct space {
	bool left;     /* its family is on another node now */
	bool arrives;  /* ... or will be: it has not run here */
	bool was_left; /* before it came: of this node's, which was elsewhere or asleep */
	struct net *net;
	struct space *next;
	struct space_config cfg;
	uint8_t home[32];
	bool is_home; /* this node is its home */
	struct address address4, address6;
	uint32_t sockets;
	size_t bytes;     /* in queues of its sockets */
	uint32_t packets; /* the same */
	uint16_t last_port;
	size_t posted; /* bytes of datagrams that wait for the loop */
};

/* Where something is that is asked for by an address; numbers of messages. */
enum open_kind {
	OPEN_SYSTEM, /* at a device's address: who listens there? */
	OPEN_OUTLET, /* at a port of the family with that key */
	OPEN_OUTSIDE /* in the world, for the family with that key, whose home the asked one is */
};

/* A datagram that leaves its node, or waits for who takes it (post.c). */
struct datagram {
	struct datagram *next;
	enum open_kind kind;
	bool passed_on; /* every device has been told: nobody passes it on again */
	uint8_t key[SPACE_KEY_SIZE], home[32];
	struct address from, to;
	uint64_t since_ms; /* when it began to wait for a socket that stands */
	size_t size;
	uint8_t bytes[];
};

struct net_device {
	char name[64];
	struct address address4, address6;
};

struct left_key {
	struct left_key *next;
	uint8_t key[SPACE_KEY_SIZE];
};

struct net {
	pthread_mutex_t lock;
	struct socket *first;
	uint32_t count;
	struct address address4, address6;
	uint8_t id[32];
	struct net_device *devices; /* of the system; the first is this one */
	uint32_t ndevices;
	struct space *spaces;
	struct left_key *left_keys;     /* of families that left this node, their home */
	struct left_key *over_keys;     /* of families that ended: what is kept of them is over */
	struct left_key *over_far_keys; /* of those that were at home elsewhere: that is told */
	uint64_t last_serial;
	/* The loop: poke is called with the lock, from any thread. NULL: there is none. */
	void (*poke)(void *ctx);
	void *loop;
	struct socket *dirty;
	bool listeners_changed, spaces_changed;
	struct name_request *names;            /* to be asked outside; owned */
	struct datagram *posted, *posted_last; /* to be sent by the loop; owned */
	const struct space *caller;            /* whose call is under way, with its family's lock */
};

/* ---- socket.c ---- */
struct socket *socket_of(struct vfs_obj *o);
void net_enter(struct net *n, const struct space *caller);
void net_leave(struct net *n);
/* With the lock, from here on. */
enum ferr socket_make(struct net *n, struct space *s, uint8_t af, uint8_t type,
                      struct socket **out);
/* Puts o on the list, and counts it. */
void socket_enlist(struct net *n, struct space *s, struct socket *o);
const struct vfs_ops *socket_operations(void);
void socket_wake(struct socket *s);
/* Bytes that may still be put into q, a queue of s. */
size_t socket_room(const struct socket *s, const struct queue *q);
/* After its queues have changed. */
void socket_recount(struct socket *s);
/* So many more files may travel over the space's sockets. */
bool space_takes_files(const struct space *s, uint32_t count);
int32_t option_of(const struct socket *s, enum socket_option i);
/* The error that waits: it is told once. */
enum ferr socket_take_error(struct socket *s);
/* Off the net's list, and freed. */
void socket_unmake(struct socket *s);

/* Something of s is for the loop. False: there is no loop. */
bool socket_touch(struct socket *s);
/* The same, of listeners or spaces as a whole. */
void net_touch(struct net *n);

/* ---- bind.c ---- */
enum address_reach net_reach(const struct net *n, const struct address *a);
/* What a family needs to reach it. */
enum net_mode net_least_mode(const struct net *n, const struct address *to);
/* The device's that is home to s. */
struct address own_address(const struct socket *s, bool v6);
/* One of the addresses that s has. */
bool is_own_address(const struct socket *s, const struct address *a);
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
/* The file is closed, but somebody elsewhere is to hear of it. */
bool stream_lingers(const struct socket *s);
/* Nobody has the socket any more; the loop drops it when it has nothing to do with it. */
void socket_retire(struct socket *s);
unsigned stream_ready(const struct socket *s);
/* a (side 0) and b are a connection from now on, by a's name. */
void stream_join(struct socket *a, struct socket *b);
/* s is a connection to the listener l, in its queue; s has a name. CONNREFUSED, AGAIN: no room. */
enum ferr stream_queue(struct socket *l, struct socket *s);
/* end is to be accepted at l. */
void stream_await_accept(struct socket *l, struct socket *end);
/* Bytes of the loop's for the other end, whatever room there is. False: no memory. */
bool stream_push(struct socket *s, const void *bytes, size_t size);
/* What a keeps for its mate b goes there, as far as b has room; of a closed one all of it. */
void stream_pass_on(struct socket *a, struct socket *b);
/* What a connection that was begun has come to. */
void stream_failed(struct socket *s, enum ferr e);

/* ---- image.c ---- */
enum err socket_save(struct vfs_obj *o, struct wr *out);
/* The connection is over: e waits to be told. */
void stream_break(struct socket *s, enum ferr e);
/* It takes and gives again. */
void socket_leave_stand(struct socket *s);
/* One that was never adopted. */
void socket_drop_loaded(struct socket *s);
/* Joined with the other end, when that is on this node and neither stands. */
bool stream_find_mate(struct socket *s);
void stream_reset(struct socket *s);

/* ---- socket.c: lists of keys ---- */
bool key_in(const struct left_key *list, const uint8_t key[SPACE_KEY_SIZE]);
void key_put(struct left_key **list, const uint8_t key[SPACE_KEY_SIZE]);
void key_drop(struct left_key **list, const uint8_t key[SPACE_KEY_SIZE]);

/* ---- resolver.c ---- */
/* A question about a name outside, until the loop has asked for it. */
struct name_request {
	struct name_request *next;
	uint64_t serial; /* of the socket that asked */
	struct address from;
	struct question *question; /* owned */
};
/* The answer; the request is freed. */
void resolver_answer(struct net *n, struct name_request *r, bool exists,
                     const struct address *found, uint32_t count);
void name_request_free(struct name_request *r);

/* ---- datagram.c ---- */
enum { POSTED_BYTES_MAX = 256 << 10 /* of a space's datagrams that the loop has not taken */ };
struct datagram *datagram_new(const struct vfs_iov *iov, size_t n, size_t size);
/* s takes it now: into its queue, or, where there is no room, it is lost. */
void datagram_deliver(struct socket *s, const struct datagram *d);
/* The loop has taken all that was posted. */
struct datagram *datagrams_take(struct net *n);
enum ferr datagram_write(struct socket *s, struct socket_send *send, size_t *done);
enum ferr datagram_read(struct socket *s, struct socket_receive *r, size_t *done);
unsigned datagram_ready(const struct socket *s);
