#!/usr/bin/env python3
"""delay.py - passes a TCP connection on with a delay: what `tc netem` does, where the kernel has none.

	bench/share/delay.py PORT HOST MS       what comes to PORT goes to HOST:PORT, MS milliseconds later, and back likewise
"""
import queue
import socket
import sys
import threading
import time


def carry(source, target, delay_s):
    waiting = queue.Queue(4096)

    def send():
        while (item := waiting.get()) is not None:
            time.sleep(max(0, item[0] - time.monotonic()))
            target.sendall(item[1])
        target.shutdown(socket.SHUT_WR)

    threading.Thread(target=send, daemon=True).start()
    while data := source.recv(1 << 18):
        waiting.put((time.monotonic() + delay_s, data))
    waiting.put(None)


def main():
    port, host, delay_s = int(sys.argv[1]), sys.argv[2], float(sys.argv[3]) / 1000
    server = socket.create_server(('', port))
    print('ready', flush=True)
    while True:
        here, _ = server.accept()
        there = socket.create_connection((host, port))
        for s in (here, there):
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for a, b in ((here, there), (there, here)):
            threading.Thread(target=carry, args=(a, b, delay_s), daemon=True).start()


if __name__ == '__main__':
    main()
