"""cloud.py - storage of the web below /net, against real servers; TAP on standard output.

	python3 tests/e2e/cloud.py build/shell/wasmos cloud_guest.wasm [CASE...]
	python3 tests/e2e/cloud.py build/tests/cloud/vault-devices vault
	python3 tests/e2e/cloud.py build/tests/cloud/cloud-random random SEED COUNT        (or random-s3)

WebDAV is `rclone serve webdav` (Debian's rclone), S3 is OpenStack's object store (Debian's python3-swift, tests/cloud/s3_server.py), which
verifies signatures. What is not there is skipped with words; exit code 77 when nothing can be tried.
"""
import base64
import hashlib
import hmac
import http.client
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

os.environ['WASMOS'] = os.path.abspath(sys.argv[1])
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'scripts'))
from nodes import Failed, Node, pair  # noqa: E402

GUEST = os.path.abspath(sys.argv[2])
SECRET = 'not-in-any-list'
for name in ('http_proxy', 'https_proxy', 'all_proxy', 'HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY'):
    os.environ.pop(name, None)
count = failed = 0


def ok(good, what, detail=''):
    global count, failed
    count += 1
    failed += not good
    print('ok' if good else 'not ok', count, '-', what)
    if not good:
        for line in str(detail).splitlines():
            print('#', line)
    sys.stdout.flush()


def do(node, *words):
    """What the guest says when it has done that."""
    r = subprocess.run(node.command('run', '--dir', 'net:', GUEST, *words), env=node.env, stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, text=True)
    return r.stdout


def refused(node, *words, **env):
    r = subprocess.run(node.command(*words), env=dict(node.env, **env), stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, text=True)
    return r.stderr if r.returncode else ''


def read(path):
    with open(path, encoding='utf-8') as f:
        return f.read()


def write(path, text):
    with open(path, 'w', encoding='utf-8') as f:
        f.write(text)


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class WebDav:
    """rclone's server of WebDAV over a folder."""

    def __init__(self, folder, *options):
        self.folder, self.port, self.options = folder, free_port(), options
        self.log = folder + '.log'
        os.makedirs(folder, exist_ok=True)
        self.start()

    def start(self):
        with open(self.log, 'ab') as log:
            self.process = subprocess.Popen(['rclone', 'serve', 'webdav', self.folder, '--addr', f'127.0.0.1:{self.port}',
                                             '--config', '/dev/null', '--user', 'anna', '--pass', SECRET, *self.options],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + 30
        while time.monotonic() < end:
            with socket.socket() as s:
                if s.connect_ex(('127.0.0.1', self.port)) == 0:
                    return
            time.sleep(0.05)
        raise Failed('rclone did not start: ' + read(self.log))

    def stop(self):
        self.process.kill()
        self.process.wait()

    def ask(self, method, name, data=None):
        """As somebody else with another program: rclone looks at the folder itself only now and then."""
        request = urllib.request.Request(f'http://127.0.0.1:{self.port}/{urllib.parse.quote(name)}', method=method, data=data)
        request.add_header('Authorization', 'Basic ' + base64.b64encode(f'anna:{SECRET}'.encode()).decode())
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read()

    def put(self, name, data):
        self.ask('PUT', name, data)

    def get(self, name):
        return self.ask('GET', name)


class Missing(Exception):
    """A server that is not installed here; why."""


class S3:
    """A server of S3, and somebody else who asks it with an implementation of signatures that is not ours."""

    access = 'test:tester'

    def __init__(self, folder):
        self.folder, self.port = folder, free_port()
        os.makedirs(folder, exist_ok=True)
        self.start()

    def start(self):
        program = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'cloud', 's3_server.py')
        if not os.path.exists('/usr/bin/python3'):
            raise Missing('Debian\'s python3 is not installed')
        with open(self.folder + '.log', 'ab') as log:
            self.process = subprocess.Popen(['/usr/bin/python3', program, self.folder, str(self.port), 'bucket', SECRET, '600'],
                                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        line = self.process.stdout.readline()
        if line != 'ready\n':
            status = self.process.wait(timeout=30)
            raise (Missing if status == 77 else Failed)(line.strip() or read(self.folder + '.log'))

    def stop(self):
        self.process.kill()
        self.process.wait()

    def ask(self, method, name, data=b''):
        host, path = f'127.0.0.1:{self.port}', '/bucket/in/' + urllib.parse.quote(name)
        stamp = time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())
        content = hashlib.sha256(data).hexdigest()
        canonical = f'{method}\n{path}\n\nhost:{host}\nx-amz-content-sha256:{content}\nx-amz-date:{stamp}\n\n' \
                    f'host;x-amz-content-sha256;x-amz-date\n{content}'
        scope = f'{stamp[:8]}/us-east-1/s3/aws4_request'
        key = b'AWS4' + SECRET.encode()
        for word in scope.split('/'):
            key = hmac.new(key, word.encode(), 'sha256').digest()
        text = f'AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}'
        request = urllib.request.Request(f'http://{host}{path}', method=method, data=data if method == 'PUT' else None, headers={
            'x-amz-content-sha256': content, 'x-amz-date': stamp, 'Content-Type': 'application/octet-stream',
            'Authorization': f'AWS4-HMAC-SHA256 Credential={self.access}/{scope}, SignedHeaders=host;x-amz-content-sha256;x-amz-date, '
                             f'Signature={hmac.new(key, text.encode(), "sha256").hexdigest()}'})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()

    def put(self, name, data):
        self.ask('PUT', name, data)

    def get(self, name):
        return self.ask('GET', name)


def add(node, name, url, *options, user='anna'):
    node.env['WASMOS_CLOUD_SECRET'] = SECRET
    try:
        return node.call('cloud', 'add', name, url, '--user', user, *options)
    finally:
        del node.env['WASMOS_CLOUD_SECRET']


# ---- cases ----

def accounts(node, server, folder):
    url = f'http://127.0.0.1:{server.port}/'
    said = refused(node, 'cloud', 'add', 'photos', url, '--user', 'anna', WASMOS_CLOUD_SECRET='wrong')
    ok('401' in said and 'does not know' in said and not node.json('cloud', 'list'),
       'a wrong secret is refused by the server, and nothing is added', said)
    for words, want in ((('photos', 'ftp://host/'), 'https://'), (('a/b', url), 'cannot be a name'),
                        (('photos', f'http://anna:{SECRET}@127.0.0.1/'), 'no user and no password'),
                        ((node.name, url), 'is a device'), (('photos', 'http://192.0.2.1/', '--user', 'anna'), 'https://')):
        said = refused(node, 'cloud', 'add', *words, WASMOS_CLOUD_SECRET=SECRET)
        ok(want in said, f'cloud add {" ".join(words[:2])} is refused with words'.replace(SECRET, 'SECRET'), said)
    said = add(node, 'photos', url)
    ok('/net/photos' in said, 'a storage is added', said)
    home = os.path.join(node.home, 'clouds')
    mode = stat.S_IMODE(os.stat(os.path.join(home, 'photos.secret')).st_mode)
    ok(mode == 0o600 and stat.S_IMODE(os.stat(home).st_mode) == 0o700, 'its secret is readable by its user only', oct(mode))
    shown = node.call('cloud', 'list') + node.call('cloud', 'list', '--json') + node.call('cloud', 'check', 'photos') + node.log()
    ok(SECRET not in shown and 'photos answers.' in shown, 'no list, check or log shows the secret', shown)
    ok(do(node, 'list', '/net').split() == [node.name, 'photos'], '/net lists it beside the devices', do(node, 'list', '/net'))


def files(node, server, folder, name='photos', mib=12):
    top = '/net/' + name
    server.put('hallo.txt', b'hallo')
    ok(do(node, 'cat', top + '/hallo.txt') == 'hallo', f'{name}: a program reads what is on the server', do(node, 'cat', top + '/hallo.txt'))
    said = do(node, 'put', top + '/a b%c+ü.txt', 'one')
    ok(said == 'ok\n' and server.get('a b%c+ü.txt') == b'one', 'what a program wrote is on the server when it has closed the file', said + node.log()[-400:])
    ok(do(node, 'add', top + '/a b%c+ü.txt', ' two') == 'ok\n' and server.get('a b%c+ü.txt') == b'one two', 'a file is written on at its end')
    server.put('a b%c+ü.txt', b'by somebody else')
    ok(do(node, 'cat', top + '/a b%c+ü.txt') == 'by somebody else', 'who opens a file sees what somebody else wrote')
    ok(sorted(do(node, 'list', top).splitlines()) == ['a b%c+ü.txt', 'hallo.txt'], 'a listing has both', do(node, 'list', top))
    ok(do(node, 'new', top + '/hallo.txt', 'x') == 'EEXIST\n' and server.get('hallo.txt') == b'hallo', 'O_EXCL does not take a file that is there')
    ok(do(node, 'put', top + '/none/x', 'x') == 'ENOENT\n', 'no file is made in a folder that is not there', do(node, 'put', top + '/none/x', 'x'))
    said = do(node, 'make', top + '/dir') + do(node, 'move', top + '/hallo.txt', top + '/dir/b')
    ok(said == 'ok\nok\n' and server.get('dir/b') == b'hallo', 'folders are made, and files moved into them', said + node.log()[-400:])
    ok(do(node, 'drop', top + '/dir') == 'ENOTEMPTY\n' and server.get('dir/b') == b'hallo', 'a folder that is not empty is not removed, though the server might')
    said = do(node, 'put', top + '/dir/c', 'new') + do(node, 'move', top + '/dir/c', top + '/dir/b') + do(node, 'list', top + '/dir')
    ok(said == 'ok\nok\nb\n' and do(node, 'cat', top + '/dir/b') == 'new', 'a rename replaces what has the name', said)
    said = do(node, 'drop', top + '/dir/b') + do(node, 'list', top + '/dir') + do(node, 'drop', top + '/dir') + do(node, 'size', top + '/dir')
    ok(said == 'ok\nok\nENOENT\n', 'files and empty folders are removed, one after the other', said)
    said = do(node, 'cat', top + '/../../etc/passwd')
    ok(said and 'root' not in said, 'nothing leads out of it')
    said = do(node, 'fill', top + '/large', str(mib))
    large = server.get('large')
    ok(said == 'ok\n' and len(large) == mib << 20, f'{mib} megabytes are written', said + node.log()[-400:])
    whole = do(node, 'sum', top + '/large')
    server.put('large', large[:-1000] + b'x' * 1004)
    longer = do(node, 'sum', top + '/large')
    ok(whole.split()[0] == str(mib << 20) and longer.split()[0] == str((mib << 20) + 4), 'and read', whole + longer)
    server.put('x', b'x' * 904)
    ok(do(node, 'sum', top + '/large', str((mib << 20) - 900), '904') == do(node, 'sum', top + '/x'), 'a part of it is read alone')


def conflict(node, server, folder, name='photos'):
    server.put('plan', b'mine and yours')
    p = node.spawn('run', '--dir', 'net:', GUEST, 'edit', f'/net/{name}/plan', 'MINE', stdin=subprocess.PIPE,
                   stdout=subprocess.PIPE, text=True)
    line = p.stdout.readline()
    server.put('plan', b'written by somebody else')
    out = p.communicate('go\n', timeout=60)[0]
    ok(line == 'written\n' and out == 'ESTALE\n', f'{name}: close says that somebody else has changed the file meanwhile', line + out)
    ok(server.get('plan') == b'written by somebody else', 'the server keeps what it has')
    said = node.call('cloud', 'check', name)
    kept = [line.split(': ', 1)[1] for line in said.splitlines() if 'kept:' in line]
    ok(len(kept) == 1 and read(kept[0]) == 'MINE and yours', 'what was written here is kept, and told where', said)
    ok('somebody else has changed it' in node.log() and kept[0] in node.log(), 'and the log has it in words', node.log()[-600:])
    ok([c['kept'] for c in node.json('cloud', 'list') if c['name'] == name] == [1], 'cloud list counts it')


def s3(node, server, folder):
    try:
        store = S3(folder + '/s3')
    except Missing as e:
        ok(True, f'S3 # SKIP {e}')
        return
    endpoint = f'http://127.0.0.1:{store.port}'
    try:
        said = refused(node, 'cloud', 'add', 'bucket', 's3://bucket/in', '--endpoint', endpoint, '--user', store.access, WASMOS_CLOUD_SECRET='wrong')
        ok('SignatureDoesNotMatch' in said, 'the server refuses what is signed with a wrong secret', said)
        said = refused(node, 'cloud', 'add', 'bucket', 's3://none', '--endpoint', endpoint, '--user', store.access, WASMOS_CLOUD_SECRET=SECRET)
        ok('NoSuchBucket' in said or 'nothing at that address' in said, 'and a bucket that it does not have', said)
        add(node, 'bucket', 's3://bucket/in', '--endpoint', endpoint, user=store.access)
        files(node, store, folder, 'bucket', 20)
        conflict(node, store, folder, 'bucket')
        add(node, 'hosted', 's3://bucket/in', '--endpoint', f'http://localhost:{store.port}', '--virtual-host', user=store.access)
        ok(do(node, 'cat', '/net/hosted/plan') == 'written by somebody else', 'the bucket may stand in the host\'s name', do(node, 'cat', '/net/hosted/plan'))
        for name in ('bucket', 'hosted'):
            node.call('cloud', 'remove', name)
    finally:
        store.stop()


def tree(path):
    """What a person sees of a folder: names, modes, contents, links."""
    out = {}
    for top, folders, names in os.walk(path):
        for name in folders + names:
            at = os.path.join(top, name)
            mode = stat.S_IMODE(os.lstat(at).st_mode)
            out[os.path.relpath(at, path)] = os.readlink(at) if os.path.islink(at) else mode if os.path.isdir(at) \
                else (mode, int(os.stat(at).st_mtime), hashlib.sha256(open(at, 'rb').read()).hexdigest())
    return out


def backup(node, server, folder):
    home, back = folder + '/docs', folder + '/back'
    os.makedirs(home + '/deep/er')
    write(home + '/secret-plan', 'nobody else can read this\n' * 3)
    write(home + '/deep/er/tool', '#!/bin/sh\n')
    os.chmod(home + '/deep/er/tool', 0o750)
    os.symlink('secret-plan', home + '/link')
    with open(home + '/large', 'wb') as f:
        f.write(os.urandom(3 << 20))
    first = node.json('backup', 'save', home, 'photos')
    ok(first['files'] == 3 and first['read'] == 3 and first['chunks'] > 10, 'a folder is saved into an encrypted store', first)
    again_ = node.json('backup', 'save', home, 'photos')
    ok(again_['read'] == 0 and again_['chunks'] == 0, 'what did not change is neither read nor sent', again_)
    with open(home + '/large', 'r+b') as f:
        f.seek(1 << 20)
        f.write(b'an edit')
    os.remove(home + '/deep/er/tool')
    write(home + '/deep/new', 'new')
    third = node.json('backup', 'save', home, 'photos')
    ok(third['read'] == 2 and third['chunks'] <= 5 and third['removed'] == 1, 'of a large file that was edited few chunks are sent', third)
    stored = subprocess.run(['grep', '-rlE', 'secret-plan|nobody else', server.folder], stdout=subprocess.PIPE, text=True).stdout
    ok(not stored and 'secret-plan' not in '\n'.join(n for _, f, d in os.walk(server.folder) for n in f + d),
       'the server has no readable name and no content', stored)
    said = refused(node, 'backup', 'restore', home, 'photos')
    ok('not empty' in said, 'nothing is written over', said)
    other = Node(folder + '/other', 'laptop')
    other.up('--listen', '127.0.0.1:0', '--display', 'headless')
    try:
        add(other, 'store', f'http://127.0.0.1:{server.port}/')
        os.mkdir(back)
        ident = node.json('backup', 'list', 'photos')[0]['device']
        said = refused(other, 'backup', 'restore', back, 'store', '--device', ident[:8])
        ok('key' in said, 'another device needs the key', said)
        write(folder + '/wrong', '00' * 32 + '\n')
        said = refused(other, 'backup', 'list', 'store', '--key-file', folder + '/wrong')
        ok('of another key' in said, 'and the right one', said)
        write(folder + '/key', node.call('backup', 'key', 'photos'))
        got = other.json('backup', 'restore', back, 'store', '--device', ident[:8], '--key-file', folder + '/key')
        ok(tree(back) == tree(home) and got['files'] == 3, 'with it the folder is there again, as it was saved', f'{tree(home)}\n{tree(back)}')
    finally:
        other.down()
    mode = stat.S_IMODE(os.stat(os.path.join(node.home, 'clouds', 'photos.key')).st_mode)
    ok(mode == 0o600, 'the key is readable by its user only', oct(mode))


def until(server, name, want, limit_s=60):
    """What the server has when that is it, or at last. While a file is being replaced it may have none."""
    end = time.monotonic() + limit_s
    while True:
        try:
            now = server.get(name)
        except (OSError, http.client.HTTPException) as e:
            now = e
        if now == want or time.monotonic() > end:
            return now
        time.sleep(0.1)


def moved(node, server, folder):
    other = Node(folder + '/moved', 'tablet')
    other.up('--listen', '127.0.0.1:0', '--display', 'headless')
    try:
        pair(node, other)
        add(other, 'photos', f'http://127.0.0.1:{server.port}/')
        server.put('trip', b'before and after')
        p = node.spawn('run', '--dir', 'net:', GUEST, 'edit', '/net/photos/trip', 'BEFORE', stdin=subprocess.PIPE,
                       stdout=subprocess.PIPE, text=True)
        line = p.stdout.readline()
        node.migrate(node.living()[0]['pid'], other)
        out = p.communicate('go\n', timeout=60)[0]
        now = until(server, 'trip', b'BEFORE and after')
        ok(line == 'written\n' and out == 'ok\n' and now == b'BEFORE and after',
           'a program that moves has its file there, and what it wrote gets to the server', f'{line}{out}{now}')
    finally:
        other.down()


def ended(node, server, folder):
    server.put('left', b'as it was')
    p = node.spawn('run', '--dir', 'net:', GUEST, 'edit', '/net/photos/left', 'IS', stdin=subprocess.PIPE,
                   stdout=subprocess.PIPE, text=True)
    line = p.stdout.readline()
    node.call('kill', node.living()[0]['pid'])
    p.communicate(timeout=60)
    now = until(server, 'left', b'IS it was')
    ok(line == 'written\n' and now == b'IS it was', 'what a program has written that is killed gets to the server', now)


def away(node, server, folder):
    server.stop()
    begin = time.monotonic()
    said = do(node, 'cat', '/net/photos/plan')
    ok(said == 'EHOSTUNREACH\n' and time.monotonic() - begin < 30, 'a server that is away is an error at once', said)
    ok(do(node, 'put', '/net/photos/plan', 'x') == 'EHOSTUNREACH\n', 'also for who writes')
    server.start()
    end = time.monotonic() + 30
    while (said := do(node, 'cat', '/net/photos/plan')) != 'written by somebody else' and time.monotonic() < end:
        time.sleep(0.2)
    ok(said == 'written by somebody else', 'when it is back, so are the files', said)
    server.process.send_signal(signal.SIGSTOP)
    begin = time.monotonic()
    p = node.spawn('run', '--dir', 'net:', GUEST, 'cat', '/net/photos/plan', stdout=subprocess.PIPE, text=True)
    time.sleep(0.5)
    asked = time.monotonic()
    node.call('status')
    answered = time.monotonic() - asked
    out = p.communicate(timeout=60)[0]
    took = time.monotonic() - begin
    server.process.send_signal(signal.SIGCONT)
    ok(out in ('ETIMEDOUT\n', 'EHOSTUNREACH\n') and took < 60, 'a server that does not answer is an error in bounded time', f'{out} after {took:.1f} s')
    ok(answered < 20, 'and the node answers meanwhile', answered)


def again(node, server, folder):
    node.down()
    node.up('--listen', '127.0.0.1:0', '--display', 'headless')
    ok(do(node, 'cat', '/net/photos/plan') == 'written by somebody else', 'the storage is there after the node was started again')
    ok(len(node.call('cloud', 'check', 'photos').splitlines()) == 2, 'and so is what was kept')
    node.call('cloud', 'remove', 'photos')
    left = os.listdir(os.path.join(node.home, 'clouds'))
    ok('photos.secret' not in left and do(node, 'list', '/net/photos').strip() == 'ENOENT', 'cloud remove forgets it and its secret', left)


def tls(node, server, folder):
    key, certificate = folder + '/key.pem', folder + '/certificate.pem'
    made = shutil.which('openssl') and subprocess.run(
        ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj',
         '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout', key, '-out', certificate],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
    if not made:
        ok(True, 'TLS # SKIP there is no openssl to make a certificate')
        return
    secure = WebDav(folder + '/secure', '--cert', certificate, '--key', key)
    try:
        write(os.path.join(secure.folder, 'a'), 'sealed')
        url = f'https://localhost:{secure.port}'
        said = refused(node, 'cloud', 'add', 'secure', url, '--user', 'anna', WASMOS_CLOUD_SECRET=SECRET)
        ok('certificate' in said, 'a certificate that nobody vouches for is refused', said)
        add(node, 'secure', url, '--ca', certificate)
        ok(do(node, 'cat', '/net/secure/a') == 'sealed', 'with --ca it is the one that is trusted')
    finally:
        secure.stop()


CASES = [accounts, files, conflict, backup, moved, ended, away, again, tls, s3]


def beside(program, *last):
    """A program of tests/cloud beside a server; the last words: the server's folder, or a seed and a number of operations."""
    folder = tempfile.mkdtemp(prefix='wasmos-cloud-')
    server = WebDav(folder + '/store', '--dir-cache-time', '0s')
    try:
        os.mkdir(folder + '/cache', 0o700)
        return subprocess.run([program, f'http://127.0.0.1:{server.port}/', 'anna', SECRET, folder + '/cache',
                               *(last or [server.folder + '/vault'])], timeout=3600).returncode
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def random_s3(program, *last):
    """Random operations on storage of S3."""
    folder = tempfile.mkdtemp(prefix='wasmos-cloud-')
    try:
        store = S3(folder + '/s3')
        try:
            os.mkdir(folder + '/cache', 0o700)
            return subprocess.run([program, 's3://bucket/in', store.access, SECRET, folder + '/cache', *last,
                                   f'http://127.0.0.1:{store.port}'], timeout=3600).returncode
        finally:
            store.stop()
    except Missing as e:
        print('1..0 # SKIP', e)
        return 77
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main():
    wanted = sys.argv[3:]
    if sys.argv[2] == 'random-s3':
        sys.exit(random_s3(os.path.abspath(sys.argv[1]), *wanted))
    if not shutil.which('rclone'):
        print('1..0 # SKIP rclone is not installed (scripts/setup)')
        sys.exit(77)
    if sys.argv[2] in ('vault', 'random'):
        sys.exit(beside(os.path.abspath(sys.argv[1]), *wanted))
    folder = tempfile.mkdtemp(prefix='wasmos-cloud-')
    node = Node(folder + '/home', 'desk')
    server = WebDav(folder + '/store')
    try:
        node.up('--listen', '127.0.0.1:0', '--display', 'headless')
        said = refused(node, 'cloud', 'add', 'x', 'https://127.0.0.1:1/')
        if 'libcurl' in said or 'without cloud' in said:
            print('1..0 # SKIP', said.strip())
            sys.exit(77)
        for case in CASES:
            if not wanted or case.__name__ in wanted:
                case(node, server, folder)
    finally:
        if node.is_up():
            node.down()
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    print(f'1..{count}')
    sys.exit(1 if failed else 0)


main()
