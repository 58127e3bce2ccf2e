/* metrics.h - figures for Prometheus: GET /metrics over plain HTTP, at the address that the settings name, if they do.
 *
 * There are no users and no encryption, so the address is one of this machine alone, unless the settings say twice that it may be another; then everyone
 * who reaches it reads the names of the devices. A web page that a browser here shows cannot read it under a name of its own (Host is looked at).
 * Few clients at once, small requests, a deadline: what is more is hung up on. A part of the node; loop thread.
 */
#pragma once

struct metrics;
