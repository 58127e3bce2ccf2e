#!/usr/bin/env python3
"""node_flood.py - a real node under forged handshakes of datagrams: do those that it knows still hear and reach it?

	bench/membership/node_flood.py [--rate 10000] [--seconds 25]

Three nodes on loopback. Against the first go INITIATIONs with a right mac1 (so the sender knows its public key), forged but for that, from 200
addresses. Beside: what the other two send and get back, who is suspected, the node's processor time; without the flood and with it, twice. Sent and
received of those two differ when datagrams are lost: 5 % at most may be. The last line is JSON. (flood.c measures the code alone.)
"""
import argparse
import hashlib
import json
import os
import socket
import sys
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, 'scripts'))
import nodes  # noqa: E402 (it stands in scripts/)

SENDERS, FORGED = 200, 2000
PRIME = 2**255 - 19


def public_key(secret):
    """X25519 of the base point (RFC 7748)."""
    k = bytearray(secret)
    k[0] &= 248
    k[31] = k[31] & 127 | 64
    k, x2, z2, x3, z3, swapped = int.from_bytes(k, 'little'), 1, 0, 9, 1, 0
    for bit in range(254, -1, -1):
        now = k >> bit & 1
        if now != swapped:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swapped = now
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a % PRIME, b * b % PRIME, d * a % PRIME, c * b % PRIME
        x3, z3 = (da + cb) ** 2 % PRIME, 9 * (da - cb) ** 2 % PRIME
        x2, z2 = aa * bb % PRIME, (aa - bb) * (aa + 121665 * (aa - bb)) % PRIME
    if swapped:
        x2, z2 = x3, z3
    return (x2 * pow(z2, PRIME - 2, PRIME) % PRIME).to_bytes(32, 'little')


def key_of(node):
    with open(os.path.join(node.home, 'device'), 'rb') as f:
        row = f.read()
    at = row.index(b'\xc4\x20') + 2
    return public_key(row[at:at + 32])


def forged(key):
    mac_key = hashlib.blake2b(b'WasmOS datagram mac1' + key, digest_size=32).digest()
    for _ in range(FORGED):
        head = b'\x01' + os.urandom(4 + 32 + 48 + 8 + 16)
        yield head + hashlib.blake2b(head, key=mac_key, digest_size=16).digest() + bytes(16)


def senders():
    for n in range(SENDERS):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind((f'127.7.0.{n + 1}', 0))
        s.setblocking(False)
        yield s


def figure(node, begins):
    with urllib.request.urlopen(node.metrics, timeout=10) as page:
        return sum(float(line.rsplit(b' ', 1)[1]) for line in page if line.startswith(begins.encode()))


def figures(node):
    return {name: figure(node, begins) for name, begins in (
        ('sent', 'wasmos_datagrams_total{direction="sent"'), ('received', 'wasmos_datagrams_total{direction="received"'),
        ('cpu', 'process_cpu_seconds_total'))}


def measure(made, rate, seconds, port, sockets, packets):
    before, begin, sent = [figures(n) for n in made], time.monotonic(), 0
    while (past := time.monotonic() - begin) < seconds:
        while sent < past * rate:
            try:
                sockets[sent % SENDERS].sendto(packets[sent % FORGED], ('127.0.0.1', port))
            except BlockingIOError:
                pass
            sent += 1
        time.sleep(0.002)
    grew = [{k: v - was[k] for k, v in figures(n).items()} for n, was in zip(made, before)]
    known = {k: sum(g[k] for g in grew[1:]) for k in ('sent', 'received')}
    return {'forged_per_s': round(sent / seconds), 'cpu_percent': round(100 * grew[0]['cpu'] / seconds, 1), 'known_sent': known['sent'],
            'known_received': known['received'], 'lost_percent': round(100 * max(0, 1 - known['received'] / known['sent']), 1)}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--rate', type=int, default=10000)
    p.add_argument('--seconds', type=int, default=25)
    args = p.parse_args()

    def make(folder):
        return [nodes.Node(os.path.join(folder, name), name, {'XDG_RUNTIME_DIR': folder}) for name in ('desk', 'laptop', 'phone')]

    with nodes.housed(make) as made:
        for node in made:
            with socket.create_server(('127.0.0.1', 0)) as free:
                at = '127.0.0.1:%d' % free.getsockname()[1]
            node.metrics = f'http://{at}/metrics'
            node.up('--display', 'headless', '--listen', '127.0.0.1:0', '--metrics', at)
        for other in made[1:]:
            nodes.pair(made[0], other)
        nodes.wait_for_link(made[1], made[2])
        port = int(made[0].json('status')['listen'].rsplit(':', 1)[1])
        sockets, packets = list(senders()), list(forged(key_of(made[0])))
        time.sleep(5)  # they have met
        rows = []
        for rate in (0, args.rate, 0, args.rate):
            rows.append(measure(made, rate, args.seconds, port, sockets, packets))
            print(rows[-1], flush=True)
        suspected = sum(line.count(' is dead') + line.count(' is suspect') for node in made for line in node.log().split('\n'))
        worst = max(row['lost_percent'] for row in rows[1::2])
        print(json.dumps({'rows': rows, 'suspected': suspected, 'lost_percent': worst}))
        return 0 if worst <= 5 and not suspected else 1


if __name__ == '__main__':
    sys.exit(main())
