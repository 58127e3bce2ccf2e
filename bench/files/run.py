#!/usr/bin/env python3
"""run.py - files of another device through `wasmos mount`, beside what people use instead: throughput, and creating and asking for small files.

	bench/files/run.py [--mib 128] [--files 1000] [--only wasmos,sshfs,rclone,nfs,plain]

Both ends are on this machine. `plain` is the folder itself; `sshfs` needs sshfs and an sshd that it starts for itself on a port of its own, `rclone`
mounts what `rclone serve sftp` serves, `nfs` needs a kernel that serves NFS. One that cannot be had here is said. Needs /dev/fuse. The last line is all of it as JSON.
"""
import argparse
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.environ.setdefault('WASMOS', os.path.join(ROOT, 'build', 'shell', 'wasmos'))
sys.path.insert(0, os.path.join(ROOT, 'scripts'))
from nodes import Node, pair, wait_for_link  # noqa: E402

BLOCK = 1 << 20


def until_mounted(path, limit_s=20):
    end = time.monotonic() + limit_s
    while not os.path.ismount(path):
        if time.monotonic() > end:
            raise RuntimeError('it is not mounted')
        time.sleep(0.05)


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Wasmos:
    def __init__(self, folder, share, mnt):
        env = {'XDG_RUNTIME_DIR': folder}
        self.a, self.b = (Node(os.path.join(folder, n), n, env=env) for n in ('desk', 'laptop'))
        self.mnt, self.at = mnt, mnt + '/net/desk/share'
        for n in (self.a, self.b):
            n.up('--display', 'headless')
        pair(self.a, self.b)
        self.a.call('share', 'add', share, '--as', 'share')
        wait_for_link(self.a, self.b)
        self.b.call('mount', mnt)

    def end(self):
        self.b.call('umount', '-l', self.mnt)
        self.a.down()
        self.b.down()


class Sshfs:
    def __init__(self, folder, share, mnt):
        port, self.at, self.mnt = free_port(), mnt, mnt
        for name in ('host', 'user'):
            subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', f'{folder}/{name}'], check=True)
        shutil.copy(folder + '/user.pub', folder + '/keys')
        with open(folder + '/sshd', 'w', encoding='utf-8') as f:
            f.write(f'Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/keys\nStrictModes no\nUsePAM no\n'
                    f'PidFile {folder}/sshd.pid\nSubsystem sftp internal-sftp\nPermitRootLogin yes\n')
        os.makedirs('/run/sshd', exist_ok=True)
        self.server = subprocess.Popen([shutil.which('sshd') or '/usr/sbin/sshd', '-D', '-f', folder + '/sshd'])
        time.sleep(0.5)
        subprocess.run(['sshfs', f'127.0.0.1:{share}', mnt, '-p', str(port), '-o', f'IdentityFile={folder}/user', '-o', 'StrictHostKeyChecking=no',
                        '-o', 'UserKnownHostsFile=/dev/null'], check=True, timeout=20)

    def end(self):
        subprocess.run(['fusermount3', '-uz', self.mnt], check=False)
        self.server.terminate()
        self.server.wait()


class Rclone:
    """Writes go to a cache of its own first and are sent later (--vfs-cache-mode writes): that is what makes random writes possible there. It believes
    listings for 5 minutes; here for no time, as the others do."""

    def __init__(self, folder, share, mnt):
        port, self.at, self.mnt = free_port(), mnt, mnt
        env = dict(os.environ, XDG_CACHE_HOME=folder + '/cache', RCLONE_CONFIG=folder + '/none')
        self.server = subprocess.Popen(['rclone', 'serve', 'webdav', share, '--addr', f'127.0.0.1:{port}', '--dir-cache-time', '0s'],
                                       env=env, stderr=subprocess.DEVNULL)
        time.sleep(1)
        self.mount = subprocess.Popen(['rclone', 'mount', ':webdav:', mnt, '--webdav-url', f'http://127.0.0.1:{port}', '--vfs-cache-mode', 'writes',
                                       '--dir-cache-time', '0s'],
                                      env=env, stderr=subprocess.DEVNULL)
        until_mounted(mnt)

    def end(self):
        subprocess.run(['fusermount3', '-uz', self.mnt], check=False)
        for p in (self.mount, self.server):
            p.terminate()
            p.wait()


class Nfs:
    def __init__(self, folder, share, mnt):
        self.at, self.mnt, self.share = mnt, mnt, share
        subprocess.run(['exportfs', '-o', 'rw,no_root_squash,insecure,fsid=77', f'127.0.0.1:{share}'], check=True, timeout=20)
        subprocess.run(['mount', '-t', 'nfs', f'127.0.0.1:{share}', mnt], check=True, timeout=20)

    def end(self):
        subprocess.run(['umount', '-l', self.mnt], check=False)
        subprocess.run(['exportfs', '-u', f'127.0.0.1:{self.share}'], check=False)


class Plain:
    def __init__(self, folder, share, mnt):
        self.at = share

    def end(self):
        pass


KINDS = {'wasmos': Wasmos, 'sshfs': Sshfs, 'rclone': Rclone, 'nfs': Nfs, 'plain': Plain}


def took(fn):
    began = time.monotonic()
    fn()
    return time.monotonic() - began


def write_all(path, mib):
    block = random.Random(1).randbytes(BLOCK)
    with open(path, 'wb', buffering=0) as f:
        for _ in range(mib):
            f.write(block)
        os.fsync(f.fileno())


def read_all(path):
    with open(path, 'rb', buffering=0) as f:
        while f.read(BLOCK):
            pass


def at_random(path, mib, write):
    r, block = random.Random(2), bytes(4096)
    with open(path, 'r+b', buffering=0) as f:
        for _ in range(mib * 8):
            f.seek(r.randrange(mib * 256) * 4096)
            if write:
                f.write(block)
            else:
                f.read(4096)
        if write:
            os.fsync(f.fileno())


def create(folder, n):
    os.mkdir(folder)
    for i in range(n):
        with open(f'{folder}/{i}', 'wb') as f:
            f.write(b'x' * 1000)


def stat_all(folder):
    for e in os.listdir(folder):
        os.stat(os.path.join(folder, e))


def measure(at, share, mib, files):
    """Files that are read were made by the other end, so that no client has them."""
    row = {}
    row['write_mib_s'] = mib / took(lambda: write_all(at + '/big', mib))
    write_all(share + '/other', mib)
    row['read_mib_s'] = mib / took(lambda: read_all(at + '/other'))
    row['random_write_4k_s'] = mib * 8 / took(lambda: at_random(at + '/big', mib, True))
    write_all(share + '/third', mib)
    row['random_read_4k_s'] = mib * 8 / took(lambda: at_random(at + '/third', mib, False))
    row['create_s'] = files / took(lambda: create(at + '/small', files))
    create(share + '/others', files)
    row['stat_s'] = files / took(lambda: stat_all(at + '/others'))
    return {k: round(v, 1) for k, v in row.items()}


def run(kind, mib, files):
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        share, mnt = folder + '/share', folder + '/mnt'
        os.mkdir(share)
        os.mkdir(mnt)
        try:
            server = KINDS[kind](folder, share, mnt)
        except (OSError, subprocess.SubprocessError, RuntimeError) as e:
            print(f'{kind}: cannot be had here: {e}')
            return None
        try:
            return measure(server.at, share, mib, files)
        except OSError as e:
            print(f'{kind}: not measured to the end: {e}')
            return None
        finally:
            server.end()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--mib', type=int, default=128)
    parser.add_argument('--files', type=int, default=1000)
    parser.add_argument('--only', default=','.join(KINDS))
    args = parser.parse_args()
    rows = {}
    for kind in args.only.split(','):
        row = run(kind, args.mib, args.files)
        if row:
            rows[kind] = row
            print(kind, ', '.join(f'{k} {v}' for k, v in row.items()), flush=True)
    print(json.dumps({'mib': args.mib, 'files': args.files, 'rows': rows}))


if __name__ == '__main__':
    main()
