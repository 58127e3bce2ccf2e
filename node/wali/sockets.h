/* sockets.h - what sockets.c, socket_messages.c and socket_options.c share: a socket by its descriptor, addresses as a guest has them.
 * Internal to node/wali/. */
#pragma once

#include "node/sockets/socket.h"
#include "node/wali/wali_state.h"

enum { MSG_PEEK_ = 2, MSG_DONTWAIT_ = 0x40 };

/* BADF, NOTSOCK. */
enum ferr wali_use_socket(struct wali *k, uint64_t fd, struct fd_entry **out);
/* A struct sockaddr: of a socket's name in a folder the file is looked up too (look). FAULT, INVAL, what names answer. */
enum ferr wali_get_address(struct wali *k, uint64_t at, uint64_t size, bool look,
                           struct address *out);
/* As much as the guest has room for; at 0: it does not want it. size_at: of an u32, in: room, out: the whole size. */
int64_t wali_put_address(struct wali *k, const struct address *a, uint64_t at, uint64_t size_at);
/* Whether an option of node/sockets/options.def is set. */
bool wali_socket_flag(struct vfs_obj *o, uint32_t level, uint32_t number);
/* What it does and says is over: the next one of the socket must not wait. */
bool wali_waits(const struct fd_entry *e, uint32_t flags);

/* ---- socket_messages.c ---- */
int64_t wali_send(struct wali *k, struct fd_entry *e, struct wali_io *io, uint32_t flags,
                  const struct address *to, struct packet_files *files);
int64_t wali_receive(struct wali *k, struct fd_entry *e, struct wali_io *io, uint32_t flags,
                     struct socket_receive *r);
