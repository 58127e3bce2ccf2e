/* socket.h - sockets as open files: streams and datagrams, of AF_UNIX and of the system's own network.
 *
 * A struct net is the network of one node (or of one solo run): its sockets, its device's address, one lock before all of it.
 * A struct space is what the processes of one family share: 127.0.0.1, names of AF_UNIX, and how far they may reach (enum
 * net_mode). A socket is a vfs_obj, so read, write, poll and the rest are those of every file.
 *
 * A connection is two ends with a common name (16 random bytes) and a side each. While both are on this node and neither
 * stands, what one writes is in the other's queue at once. Else it stays with its writer, which numbers its bytes and keeps them until
 * the other end has them (node/sockets/wire.h): no byte is lost or doubled, wherever the ends go.
 *
 * Blocking: nothing here waits. FE_AGAIN says that it would; the owner's wake function is called when that may have changed.
 * Threads: any, with the family's lock of the space held (files that travel are counted under it). The net's lock is taken inside;
 * wake functions are called with it, and only poke.
 *
 *	struct vfs_obj *o;
 *	FTRY(socket_new(space, ADDRESS_IP4, SOCKET_STREAM, &o));
 *	FTRY(socket_connect(o, &to));          // FE_INPROGRESS: socket_connected() says how it went
 *	FTRY(vfs_write(o, 0, 0, &iov, 1, &done, &end));
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"
#include "node/sockets/address.h"
#include "node/sockets/queue.h"
#include "vfs/vfs.h"

struct net;
struct space;

enum {
	SOCKET_BUFFER = 256 << 10,   /* bytes that wait in one */
	SOCKET_BUFFER_LEAST = 4096,  /* ... also when SPACE_BYTES_MAX are waiting */
	SOCKET_BUFFER_WAITS = 2048,  /* ... of one that nobody has accepted */
	SOCKET_PACKETS_MAX = 512,    /* datagrams that wait in one */
	SOCKET_DATAGRAM_MAX = 65507, /* bytes of one */
	SOCKET_BACKLOG_MAX = 128,    /* connections that wait for accept() */
	SPACE_SOCKETS_MAX = 2048,    /* of one family */
	SPACE_BYTES_MAX = 64 << 20,
	SPACE_PACKETS_MAX = 65536,
	SOCKET_PACKETS_LEAST = 2, /* in one socket, also when so many are waiting */
	SPACE_FILES_MAX = 4096,   /* under way over its sockets */
	NET_SOCKETS_MAX = 16384,
};

/* What a family may reach (--net). */
enum net_mode {
	NET_NONE,   /* itself */
	NET_SYSTEM, /* other processes and devices of the system */
	NET_LAN,    /* also private and link-local addresses outside */
	NET_ALL,
	NET_MODES,
};
const char *net_mode_name(enum net_mode m);
bool net_mode_find(const char *name, enum net_mode *out);

/* ---- the network of a node ---- */

/* id: the device's, 32 bytes; NULL: of a run without a node. NAME.wasmos leads to it. */
enum err net_new(const uint8_t *id, const char *name, struct net **out);
/* The system's other devices, all of them. Any thread. NOMEM. */
struct net_peer {
	const uint8_t *id;
	const char *name;
};
enum err net_set_peers(struct net *n, const struct net_peer *peers, uint32_t count);
/* No guest's socket is left. */
void net_free(struct net *n);
struct address net_address(const struct net *n, bool v6);

/* ---- what a family shares ---- */

enum { SPACE_KEY_SIZE = 16, SOCKET_SAVED_AS = 2 /* in node/wali/objects.def */ };

struct space_config {
	enum net_mode mode;
	/* The device that has the family's addresses and its way outside, 32 bytes, copied. NULL: this one. */
	const uint8_t *home;
	uint8_t key
	    [SPACE_KEY_SIZE]; /* its name among the system's devices: random, told to nobody else */
	void (*wake)(void *ctx);     /* any thread: something may be ready */
	void (*wake_own)(void *ctx); /* the same, from a call of the family itself */
	void *ctx;
};
enum err space_new(struct net *n, const struct space_config *c, struct space **out);
/* With the family's lock. Its sockets are closed, or are in files that travelled nowhere: those go too. */
void space_free(struct space *s);
enum net_mode space_mode(const struct space *s);
/* One more on the same net, as far reaching and at home where s is, with a name of its own and these wakes. */
enum err space_new_like(const struct space *s, const struct space_config *c, struct space **out);
/* Its processes left this node while they stood: before their files are closed here. */
void space_leave(struct space *s);
/* It is being read from an image, and may yet be given up without having ended; until it runs. */
void space_arrives(struct space *s, bool yet);
/* A socket has this file's name. */
bool space_has_name(struct space *s, uint64_t dev, uint64_t ino);

/* ---- sockets ---- */

/* The numbers are Linux's. */
enum socket_type { SOCKET_STREAM = 1, SOCKET_DGRAM = 2, SOCKET_SEQPACKET = 5 };

bool vfs_is_socket(const struct vfs_obj *o);
/* MFILE: too many; PROTONOSUPPORT. */
enum ferr socket_new(struct space *s, enum address_family af, enum socket_type type,
                     struct vfs_obj **out);
/* Two that are connected with each other; AF_UNIX. */
enum ferr socket_pair(struct space *s, enum socket_type type, uint32_t pid, struct vfs_obj *out[2]);
/* Port 0: any. ADDRINUSE, ADDRNOTAVAIL, INVAL (bound already), ACCES (the mode). */
enum ferr socket_bind(struct vfs_obj *o, const struct address *a);
enum ferr socket_listen(struct vfs_obj *o, uint32_t backlog, uint32_t pid);
/* A datagram's: where to from now on (family NONE: nowhere). INPROGRESS: socket_connected() tells. pid: who asks. */
enum ferr socket_connect(struct vfs_obj *o, const struct address *a, uint32_t pid);
/* A stream of the internet's, whose next socket_connect() then is OK once more. */
bool socket_just_connected(struct vfs_obj *o);
/* OK: it is; AGAIN: not yet; else why not. */
enum ferr socket_connected(struct vfs_obj *o);
/* AGAIN: none waits. */
enum ferr socket_accept(struct vfs_obj *o, struct vfs_obj **out);

struct socket_send {
	const struct vfs_iov *iov;
	size_t n;
	const struct address *to;   /* NULL: where it is connected to */
	struct packet_files *files; /* AF_UNIX. NULL: none; NULL afterwards: they were taken */
	uint32_t pid;
};
enum ferr socket_send(struct vfs_obj *o, struct socket_send *s, size_t *done);

struct socket_receive {
	const struct vfs_iov *iov;
	size_t n;
	bool peek, wants_files;
	struct address from;        /* out */
	struct packet_files *files; /* out: the caller's, when it wants them */
	uint32_t pid;               /* out: who sent a packet */
	size_t whole;               /* out: the packet's size; a stream's: what was read */
};
enum ferr socket_receive(struct vfs_obj *o, struct socket_receive *r, size_t *done);

enum { SOCKET_SHUT_READ = 1, SOCKET_SHUT_WRITE = 2 };
enum ferr socket_shutdown(struct vfs_obj *o, unsigned how);

/* From now on it is of another space of the same net: its process is of another family. With both families' locks. */
void socket_change_space(struct vfs_obj *o, struct space *to);
/* All of so many bytes can be written now. */
bool socket_takes(struct vfs_obj *o, size_t size);
/* The same, whatever room there is. False: no memory, or it stands. */
bool socket_push(struct vfs_obj *o, const void *bytes, size_t size);
/* A stream that has been connected. It may have been loaded just now. */
bool socket_is_connection(const struct vfs_obj *o);
/* A connected stream takes the place of a pipe: that is what stat says. */
void socket_be_pipe(struct vfs_obj *o);
bool socket_is_pipe(const struct vfs_obj *o);
/* Who has the other end shall not live on: it is told instead of all else when it looks for this end, which may be after it was brought back from an
 * older image, where nothing that was written would reach it. Not in an image. */
void socket_condemn(struct vfs_obj *o);
/* The connection is broken, and that was said. */
bool socket_is_condemned(struct vfs_obj *o);
/* It is in an image, and has not gone on since. */
bool socket_stands(struct vfs_obj *o);

/* Its own address, its peer's (NOTCONN). */
void socket_local(struct vfs_obj *o, struct address *out);
enum ferr socket_peer(struct vfs_obj *o, struct address *out);
/* The error that waits, taken; OK: none. */
enum ferr socket_error(struct vfs_obj *o);
size_t socket_waiting_bytes(struct vfs_obj *o);

struct socket_info {
	enum address_family af;
	enum socket_type type;
	bool listens;
	uint32_t peer_pid; /* AF_UNIX */
};
void socket_info(struct vfs_obj *o, struct socket_info *out);

/* What setsockopt() set (options.def). */
enum { SOCKET_OPTIONS_MAX = 64 };
enum socket_option {
#define OPTION(name, level, number, value) SOCKET_##name,
#include "node/sockets/options.def"
#undef OPTION
	SOCKET_OPTION_COUNT
};
int32_t socket_option(struct vfs_obj *o, enum socket_option i);
void socket_set_option(struct vfs_obj *o, enum socket_option i, int32_t value);
/* How long a call may wait; 0: for ever. */
struct socket_patience {
	uint64_t receive_ns, send_ns;
};
struct socket_patience *socket_patience(struct vfs_obj *o);

/* ---- as part of an image: image.c ---- */

/* vfs_ops.save stands a socket: until socket_go() it takes and gives nothing. The reader of objects.def; the socket has no net yet. */
enum err socket_object_load(struct rd *in, struct vfs_obj **out, struct errmsg *msg);
/* It is the space's from now on. copy: of a process that lives elsewhere: connections are reset. LIMIT. */
enum err socket_adopt(struct space *s, struct vfs_obj *o, bool copy);
/* Its process runs on. */
void socket_go(struct vfs_obj *o);
