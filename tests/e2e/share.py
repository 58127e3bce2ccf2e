"""share.py - folders shared among three real nodes, reached by programs below /net; TAP on standard output.

	python3 tests/e2e/share.py build/shell/wasmos share_guest.wasm
"""
import os
import sys
import tempfile
import time

os.environ['WASMOS'] = os.path.abspath(sys.argv[1])
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'scripts'))
from nodes import Failed, Node, pair, wait_for_link  # noqa: E402

GUEST = os.path.abspath(sys.argv[2])
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


def read(path):
    with open(path, encoding='utf-8') as f:
        return f.read()


def do(node, *words, mount='net:'):
    """What the guest says when it has done that."""
    try:
        return node.call('run', '--dir', mount, GUEST, *words)
    except Failed as e:
        return str(e)


def refused(node, *words):
    try:
        return node.call(*words) and ''
    except Failed as e:
        return str(e)


def until(look, want, limit_s=30):
    end = time.monotonic() + limit_s
    while (found := look()) != want and time.monotonic() < end:
        time.sleep(0.1)
    return found


def shares(folder, a):
    docs = os.path.join(folder, 'docs')
    os.mkdir(docs)
    with open(os.path.join(docs, 'a'), 'w') as f:
        f.write('first')
    with open(os.path.join(folder, 'secret'), 'w') as f:
        f.write('secret')
    os.symlink('../secret', os.path.join(docs, 'trap'))
    a.call('share', 'add', docs)
    a.call('share', 'add', docs, '--as', 'fixed', '--read-only')
    ok([(s['name'], s['access']) for s in a.json('share', 'list')] == [('docs', 'read-write'), ('fixed', 'read-only')],
       'share list has both shares', a.call('share', 'list'))
    for words, want in ((('share', 'add', docs), 'already'),
                        (('share', 'add', docs, '--as', 'DOCS'), 'already'),
                        (('share', 'add', docs, '--as', 'a/b'), 'cannot be the name'),
                        (('share', 'add', docs, '--as', 'nul'), 'cannot be the name'),
                        (('share', 'add', os.path.join(docs, 'a')), ''),
                        (('share', 'add', os.path.join(docs, 'none')), 'there is no folder'),
                        (('share', 'add', a.home, '--as', 'home'), 'home of a node'),
                        (('share', 'add', folder, '--as', 'above'), "node's own folder"),
                        (('share', 'remove', 'none'), 'there is no share')):
        said = refused(a, *words)
        ok(said != '' and want in said, f'refused: {" ".join(os.path.basename(w) for w in words)}', said)
    return docs


def use(docs, a, b):
    at = '/net/desk/docs'
    ok(sorted(do(b, 'list', '/net').split()) == ['desk', 'laptop', 'phone'], '/net has every device', do(b, 'list', '/net'))
    ok(sorted(do(b, 'list', '/net/desk').split()) == ['docs', 'fixed'], 'a device has its shares', do(b, 'list', '/net/desk'))
    ok(sorted(do(b, 'list', at).split()) == ['a', 'trap'], 'a share has its files', do(b, 'list', at))
    ok(do(b, 'cat', at + '/a') == 'first', 'a file is read', do(b, 'cat', at + '/a'))
    ok(do(a, 'cat', at + '/a') == 'first', 'the own device is there too', do(a, 'cat', at + '/a'))
    ok(do(b, 'put', at + '/b', 'written') == 'ok\n' and read(docs + '/b') == 'written', 'a file is written')
    with open(docs + '/b', 'w') as f:
        f.write('changed there')
    ok(do(b, 'cat', at + '/b') == 'changed there', 'what is changed there is seen at the next open')
    ok(do(b, 'make', at + '/d') == 'ok\n' and do(b, 'move', at + '/b', at + '/d/c') == 'ok\n' and
       read(docs + '/d/c') == 'changed there', 'folders and new names')
    ok(do(b, 'drop', at + '/d/c') == 'ok\n' and not os.path.exists(docs + '/d/c'), 'a file is removed')
    for what, words, mount in (('a read-only share', ('put', '/net/desk/fixed/a', 'x'), 'net:'),
                               ('a program that may read only', ('put', at + '/a', 'x'), 'net::ro'),
                               ('a symbolic link that leads out', ('cat', at + '/trap'), 'net:'),
                               ('".." out of a share', ('cat', at + '/../../secret'), 'net:'),
                               ('".." behind a name', ('cat', at + '/d/../../secret'), 'net:'),
                               ('a share that is none', ('list', '/net/desk/none'), 'net:'),
                               ('a device that is none', ('list', '/net/none'), 'net:'),
                               ('a name in /net', ('make', '/net/x'), 'net:'),
                               ('a rename between shares', ('move', at + '/a', '/net/desk/fixed/z'), 'net:')):
        said = do(b, *words, mount=mount)
        ok('exit status 1' in said and 'secret\n' not in said, f'refused: {what}', said)
    ok(read(docs + '/a') == 'first', 'and nothing has changed')
    ok(do(b, 'cat', '/net/desk/fixed/a') == 'first', 'what is shared to be read is read')


def behind(docs, a, b):
    """Writes that are not waited for: what is read, asked, synced and closed is right, and errors come."""
    for seed in (1, 2):
        said = do(b, 'random', '/net/desk/docs/random', seed, 400)
        ok(said == 'ok\n', f'400 random things with a file of another device, seed {seed}', said)
    took = do(b, 'fill', '/net/desk/docs/filled', 5000, 1000)
    ok(took.strip().isdigit() and os.path.getsize(docs + '/filled') == 5000 * 1024, 'many small writes are there when the file is closed', took)
    ok(do(b, 'many', '/net/desk/docs/d', 20).strip().isdigit() and
       all(os.path.getsize(f'{docs}/d/{i}') == 4096 for i in range(20)), 'and small files')
    for i in range(20):
        os.unlink(f'{docs}/d/{i}')


def replaced(folder, docs, a, b):
    """Somebody who may write around a shared folder puts something else into its place; a new share begins new sessions."""
    os.mkdir(docs + '/inner')
    ok('lie in each other' in refused(a, 'share', 'add', docs + '/inner'), 'a folder in a shared one is not shared')
    os.mkdir(folder + '/hidden')
    with open(folder + '/hidden/a', 'w') as f:
        f.write('hidden')
    os.rename(docs, docs + '.old')
    for what in ('a symbolic link', 'another folder'):
        if what == 'a symbolic link':
            os.symlink(folder + '/hidden', docs)
        else:
            os.rename(folder + '/hidden', docs)
        os.mkdir(folder + '/other')
        a.call('share', 'add', folder + '/other')
        said = do(b, 'cat', '/net/desk/docs/a')
        ok('exit status 1' in said and 'hidden' not in said, f'{what} in the place of a shared folder is not read', said)
        os.rmdir(folder + '/other')
        a.call('share', 'remove', 'other')
        if what == 'a symbolic link':
            os.unlink(docs)
        else:
            os.rename(docs, folder + '/hidden')
    os.rename(docs + '.old', docs)
    a.call('share', 'add', folder + '/hidden')
    ok(do(b, 'cat', '/net/desk/docs/a') == 'first', 'the folder itself, back in its place, is')
    a.call('share', 'remove', 'hidden')


def offline(folder, docs, a, b):
    at, step = '/net/desk/docs', os.path.join(folder, 'step')
    os.mkdir(step)
    for name, text in (('late', 'as it was'), ('unread', 'never seen')):
        with open(os.path.join(docs, name), 'w') as f:
            f.write(text)
    writers = {}
    for name in ('late', 'a'):
        os.mkdir(os.path.join(step, name))
        writers[name] = b.start([GUEST, 'late', f'{at}/{name}', '/step'], '--dir', 'net:', '--dir', f'{step}/{name}::/step')
        ok(until(lambda: os.path.exists(f'{step}/{name}/opened'), True), f'a program reads {name} and has it open')
    do(b, 'list', at)
    seen = time.time()
    a.down()
    began = time.monotonic()
    said = do(b, 'cat', at + '/unread')
    took = time.monotonic() - began
    ok('no such host now' in said and took < 8, 'a device that is offline is told at once', f'{took:.1f} s: {said}')
    ok(do(b, 'cat', at + '/a') == 'first', 'what was read of it is read still', do(b, 'cat', at + '/a'))
    ok(do(b, 'list', '/net/desk') == 'docs\nfixed\n' and 'a\n' in do(b, 'list', at), 'and listed', do(b, 'list', at))
    size, when = (int(w) for w in do(b, 'size', at + '/a').split())
    ok(size == 5 and abs(when - seen) < 60, 'with the time when it was last seen', f'{size} bytes, {seen - when} s before')
    for words in (('put', at + '/a', 'x'), ('add', at + '/a', 'x'), ('put', at + '/new', 'x'), ('drop', at + '/a'), ('make', at + '/n')):
        said = do(b, *words)
        ok('no such host now' in said, f'refused without the device: {words[0]}', said)
    ok(read(docs + '/a') == 'first', 'nothing is written to it')
    cache = b.json('share', 'cache')
    ok(cache['records'] > 3 and cache['limit_mib'] == 256, 'share cache tells what is kept', cache)
    for name, text in (('late', 'as it was'), ('a', 'first')):
        open(f'{step}/{name}/off', 'w').close()
        ok(until(lambda: os.path.exists(f'{step}/{name}/read') and read(f'{step}/{name}/read'), text) == text, f'{name} is read by who has it open')
    with open(docs + '/late', 'w') as f:
        f.write('of somebody else')
    a.up('--display', 'headless')
    wait_for_link(a, b)
    for name, want in (('late', 'Stale file handle'), ('a', 'written')):
        open(f'{step}/{name}/on', 'w').close()
        b.wait(writers[name])
        ok(read(f'{step}/{name}/result') == want, f'a write that was made of what was read offline, to {name}: {want}', read(f'{step}/{name}/result'))
    ok(read(docs + '/late') == 'of somebody else', 'nothing newer is written over')
    ok(do(b, 'cat', at + '/a') == 'latet', 'back again, with its shares', do(b, 'cat', at + '/a'))
    do(b, 'put', at + '/a', 'first')
    a.call('share', 'remove', 'fixed')
    ok(until(lambda: do(b, 'list', '/net/desk'), 'docs\n') == 'docs\n', 'a share that is removed is not listed')
    ok('exit status 1' in do(b, 'cat', '/net/desk/fixed/a'), 'nor read')
    b.call('share', 'cache', '--clear')
    ok(b.json('share', 'cache')['records'] == 0, 'what is kept can be thrown away')


def lost(folder, docs, a, b):
    """The device with the file dies while a program writes: what was written comes when it is back, or the program is told."""
    for back in (True, False):
        step = os.path.join(folder, f'steps{back}')
        os.mkdir(step)
        pid = b.start([GUEST, 'steps', '/net/desk/docs/lines', '/step'], '--dir', 'net:', '--dir', f'{step}::/step')

        def wrote(what, name='wrote', where=step):
            open(f'{where}/{what.strip()}', 'w').close()
            return until(lambda: os.path.exists(f'{where}/{name}') and read(f'{where}/{name}'), what) == what
        ok(until(lambda: os.path.exists(f'{step}/ready'), True) and wrote('0\n'), 'a program writes to a file of another device')
        until(lambda: read(docs + '/lines'), '0\n')
        a.kill9()
        ok(wrote('1\n'), 'also when that device is just killed')
        if back:
            a.up('--display', 'headless')
            wait_for_link(a, b)
        open(f'{step}/2', 'w').close()
        b.wait(pid)
        said = read(f'{step}/closed')
        if back:
            ok(said == 'closed' and read(docs + '/lines') == '0\n1\n2\n', 'it is back in time: all of it comes', said + read(docs + '/lines'))
        else:
            ok(said == 'Host is unreachable', 'it stays away: closing the file says so', said)
            a.up('--display', 'headless')
            wait_for_link(a, b)


def named(nodes, *names):
    """Calls devices so, one after the other, on all of them."""
    for x, name in names:
        nodes[0].call('device', 'rename', x.name, name)
        x.name = name
        want = sorted(n.name for n in nodes)
        if [until(lambda: sorted(do(n, 'list', '/net').split()), want) for n in nodes] != [want] * len(nodes):
            return False
    return True


def renamed(docs, a, b, c):
    """What a program has open stays what it is, whatever devices are called meanwhile."""
    log, gone, go = (os.path.join(docs, n) for n in ('names', 'gone', 'go'))
    open(log, 'w').close()
    with open(gone, 'w') as f:
        f.write('kept')
    follows = b.start([GUEST, 'follow', '/net/desk/docs/names', 'seen '], '--dir', 'net:')
    keeps = b.start([GUEST, 'keep', '/net/desk/docs/gone', '/net/office/docs/go'], '--dir', 'net:')
    ok(until(lambda: os.path.exists(gone), False) is False, 'a file is removed while a program has it open')

    def say(text, want):
        with open(log, 'a') as f:
            f.write(text + '\n')
        return until(lambda: read(log), want) == want
    ok(say('one', 'one\nseen 1\n'), 'a program has a file of another device open', read(log))
    ok(named((a, b, c), (a, 'office'), (c, 'desk')), 'that one gets another name, and a third one its name', do(b, 'list', '/net'))
    ok('exit status 1' in do(b, 'cat', '/net/desk/docs/names'), 'the name means the third one now')
    follows, keeps = (b.migrate(pid, c)['pid'] for pid in (follows, keeps))
    ok(say('two', 'one\nseen 1\ntwo\nseen 2\n'), 'the open file is still the first one\'s, also after a move', read(log))
    open(go, 'w').close()
    ok(until(lambda: os.path.exists(go + '.out') and read(go + '.out'), 'kept and more') == 'kept and more',
       'a file that was removed went along', c.output(keeps))
    say('end', '')
    ok(c.wait(follows).get('status') == 0, 'the program ends well', c.ps())
    ok(named((a, b, c), (c, 'phone'), (a, 'desk')), 'the devices get their names back', do(b, 'list', '/net'))


def moved(docs, a, b, c):
    log = docs + '/log'
    open(log, 'w').close()

    def say(text):
        with open(log, 'a') as f:
            f.write(text + '\n')

    def hear(text):
        return until(lambda: read(log), text)
    pid = b.start([GUEST, 'follow', '/net/desk/docs/log', 'seen '], '--dir', 'net:')
    say('one')
    ok(hear('one\nseen 1\n') == 'one\nseen 1\n', 'a program follows a file of another device', read(log) + b.output(pid))
    snapshot = os.path.join(docs, '..', 'snapshot')
    b.call('snapshot', pid, '-o', snapshot)
    pid = b.migrate(pid, c)['pid']
    b.down()
    say('two')
    want = 'one\nseen 1\ntwo\nseen 2\n'
    ok(hear(want) == want, 'and goes on with it on a third one, without the second', read(log))
    pid = c.migrate(pid, a)['pid']
    say('three')
    want += 'three\nseen 3\n'
    ok(hear(want) == want, 'and where the file is', read(log))
    say('end')
    ok(a.wait(pid).get('status') == 0, 'it ends well', a.ps())
    copy = int(a.call('restore', snapshot))
    copy = a.migrate(copy, c)['pid']
    was = read(log)
    say('five')
    time.sleep(2)
    ok(read(log) == was + 'five\n', 'a copy from a snapshot reaches nothing of it, here or elsewhere', read(log))
    c.call('kill', copy)


def main():
    with tempfile.TemporaryDirectory() as folder:
        a, b, c = (Node(os.path.join(folder, n), n, env={'XDG_RUNTIME_DIR': folder}) for n in ('desk', 'laptop', 'phone'))
        try:
            for n in (a, b, c):
                n.up('--display', 'headless')
            for x, y in ((a, b), (b, c), (a, c)):
                pair(x, y)
            docs = shares(folder, a)
            use(docs, a, b)
            behind(docs, a, b)
            replaced(folder, docs, a, b)
            offline(folder, docs, a, b)
            lost(folder, docs, a, b)
            renamed(docs, a, b, c)
            moved(docs, a, b, c)
        finally:
            for n in (a, b, c):
                if n.is_up():
                    n.down()
    print(f'1..{count}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
