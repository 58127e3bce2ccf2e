/* net_files.h - the mount /net of a process: /net/DEVICE/SHARE/..., and /net/STORAGE/... (node/clouds.h), live.
 *
 * One backend for all of it. Its root lists this device and those it is paired with, a device's folder what that device shares
 * (shares.h), and below is a folder of vfs/remote.h whose requests go to that device: close-to-open, with that file's cache and read-ahead. A
 * device that cannot be reached answers HOSTDOWN at once, but for what was kept of it (net_cache.h). The own device is asked in the same way, without a link.
 *
 * In an image it is a mount with the host path NET_HOST_PATH whose home is no device (NET_HOME_BYTE): wherever the process goes, it has that
 * device's /net, and its open files are opened again by the device's id, share, path and file id. For that a device has a second name that no
 * rename changes, the 64 digits of its id: what is open says its path so (vfs_ops.path_of), and people are shown the name it has now
 * (vfs_ops.path_form). A process made from a snapshot finds it
 * empty, there and wherever it goes (its host path is NET_NOTHING_PATH from then on): a file from anywhere gives nobody rights.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>

struct node;
struct vfs_mount_config;
struct vfs_obj;

#define NET_HOST_PATH "net:"
#define NET_NOTHING_PATH "net:nothing"
#define NET_GUEST_PATH "/net"
enum { NET_HOME_BYTE = 0xff };

bool net_files_is(const struct vfs_mount_config *c);
/* Any thread. */
enum err net_files_new(struct node *node, const struct vfs_mount_config *c, struct vfs_obj **root);
