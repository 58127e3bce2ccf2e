"""control.py - speaks a node's control protocol (proto/control.h) itself, for tests of what no command shows.

	c = Control(home)
	for row in c.request('ps'):
	    print(row['pid'])
	c.send(request='screen', pid=7); c.row()    # rows as they come; the end is {'end': 'OK'}
"""
import os
import socket
import struct


class Refused(Exception):
    """A request that the node ended with an error; args: its name and its text."""


# ---- msgpack, as far as the protocol uses it ----

def pack(v):
    if v is True or v is False:
        return b'\xc3' if v else b'\xc2'
    if isinstance(v, int):
        return pack_int(v)
    if isinstance(v, str):
        b = v.encode()
        return head(len(b), 0xa0, 32, (0xd9, 0xda, 0xdb)) + b
    if isinstance(v, (bytes, bytearray)):
        return head(len(v), None, 0, (0xc4, 0xc5, 0xc6)) + bytes(v)
    if isinstance(v, (list, tuple)):
        return head(len(v), 0x90, 16, (None, 0xdc, 0xdd)) + b''.join(map(pack, v))
    if isinstance(v, dict):
        return head(len(v), 0x80, 16, (None, 0xde, 0xdf)) + b''.join(pack(k) + pack(x) for k, x in v.items())
    raise TypeError(type(v))


def pack_int(v):
    if 0 <= v < 128:
        return bytes([v])
    if v >= 0:
        size = next(i for i in range(4) if v < 1 << (8 << i))
        return bytes([0xcc + size]) + v.to_bytes(1 << size, 'big')
    if v >= -32:
        return struct.pack('b', v)
    size = next(i for i in range(4) if v >= -(1 << ((8 << i) - 1)))
    return bytes([0xd0 + size]) + v.to_bytes(1 << size, 'big', signed=True)


def head(n, fix, below, codes):
    if fix is not None and n < below:
        return bytes([fix | n])
    size = 0 if n < 256 and codes[0] is not None else 1 if n < 65536 else 2
    return bytes([codes[size]]) + n.to_bytes(1 << size, 'big')


class Unpacker:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        b = self.data[self.at:self.at + n]
        if len(b) != n:
            raise ValueError('cut off')
        self.at += n
        return b

    def number(self, size):
        return int.from_bytes(self.take(size), 'big')

    def value(self):
        t = self.take(1)[0]
        if t < 0x80:
            return t
        if t >= 0xe0:
            return t - 256
        if t < 0x90:
            return self.map(t & 15)
        if t < 0xa0:
            return [self.value() for _ in range(t & 15)]
        if t < 0xc0:
            return self.take(t & 31).decode()
        if t in (0xc2, 0xc3):
            return t == 0xc3
        if 0xc4 <= t <= 0xc6:
            return bytes(self.take(self.number(1 << (t - 0xc4))))
        if t == 0xcb:
            return struct.unpack('>d', self.take(8))[0]
        if 0xcc <= t <= 0xcf:
            return self.number(1 << (t - 0xcc))
        if 0xd0 <= t <= 0xd3:
            return int.from_bytes(self.take(1 << (t - 0xd0)), 'big', signed=True)
        if 0xd9 <= t <= 0xdb:
            return self.take(self.number(1 << (t - 0xd9))).decode()
        if t in (0xdc, 0xdd):
            return [self.value() for _ in range(self.number(2 << (t - 0xdc)))]
        if t in (0xde, 0xdf):
            return self.map(self.number(2 << (t - 0xde)))
        raise ValueError(f'type {t:#x}')

    def map(self, n):
        return {self.value(): self.value() for _ in range(n)}


# ---- the socket ----

class Control:
    def __init__(self, home, timeout_s=20):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(timeout_s)
        self.sock.connect(os.path.join(home, 'control'))
        self.buffer = bytearray()

    def close(self):
        self.sock.close()

    def send(self, **values):
        body = pack(values)
        self.sock.sendall(struct.pack('<I', len(body)) + body)

    def row(self):
        """The next row; {'end': ...} is the last one of a request."""
        while True:
            if len(self.buffer) >= 4:
                size = struct.unpack('<I', self.buffer[:4])[0]
                if len(self.buffer) >= 4 + size:
                    body = bytes(self.buffer[4:4 + size])
                    del self.buffer[:4 + size]
                    return Unpacker(body).value()
            got = self.sock.recv(1 << 18)
            if not got:
                raise ConnectionError('the node closed the connection')
            self.buffer += got

    def rows(self):
        """The rest of the rows of a request; Refused when it ends with an error."""
        while True:
            row = self.row()
            if 'end' in row:
                if row['end'] != 'OK':
                    raise Refused(row['end'], row.get('text', ''))
                return
            yield row

    def request(self, name, **values):
        self.send(request=name, **values)
        return list(self.rows())
