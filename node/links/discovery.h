/* discovery.h - where the system's other devices are on this network, and that they hear where this one is.
 *
 * Beacons (proto/beacon.h) go out from each address of this machine: to its network's IPv4 broadcast address, and on each interface with IPv6 to the
 * link-local group DISCOVERY_GROUP, both at UDP port DISCOVERY_PORT: when the node starts or its addresses have changed, when one of the
 * system's devices is lost, and every minute or so; more often while one is away, never while there is no other. Who hears one of a device
 * that it has no direct link with calls it at once; so one datagram is enough to be found. Who is linked with it under another address asks
 * whether it is still there.
 *
 * Each goes under the system's key, and once more for each device that is away, under a key of the two: it may have missed a change of the system's key.
 *
 * A node that listens at one address alone speaks from that one; of loopback: not at all, and so with `discovery = off`. What
 * strangers send is bounded before it is looked at. A part of the node (parts.def); the loop's thread.
 *
 * That this machine's addresses have changed is noticed here, with beacons or without: links are doubted, and told the new addresses.
 */
#pragma once

#include "node/links/link.h"

enum { DISCOVERY_PORT = 4746 };

/* Transient, link-local (RFC 4291): nobody else's by chance. */
#define DISCOVERY_GROUP "ff12::7761:736d:6f73"

struct discovery;
