"""folders.py - a replicated folder on two real nodes; TAP on standard output.

	python3 tests/e2e/folders.py build/shell/wasmos
"""
import os
import sys
import tempfile
import time

os.environ['WASMOS'] = os.path.abspath(sys.argv[1])
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'scripts'))
from nodes import Failed, Node, pair, wait_for_link  # noqa: E402

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


def until(look, want, limit_s=20):
    end = time.monotonic() + limit_s
    while (found := look()) != want and time.monotonic() < end:
        time.sleep(0.1)
    return found


def say(node, *words):
    try:
        return node.call(*words)
    except Failed as e:
        return str(e)


def cat(node, path):
    return say(node, 'cat', ':/notes/' + path)


def put(node, folder, path, text):
    source = os.path.join(folder, 'source')
    with open(source, 'w', encoding='utf-8') as f:
        f.write(text)
    return node.call('cp', source, ':/notes/' + path)


def row(node):
    return next((r for r in node.json('folder', 'list') if r['name'] == 'notes'), {})


def up(node):
    node.up('--display', 'headless')


def goes_over(folder, a, b):
    a.call('folder', 'add', 'notes')
    put(a, folder, 'plan', 'first')
    ok(cat(a, 'plan') == 'first', 'what is written into a folder of one device is read there', cat(a, 'plan'))
    ok(until(lambda: row(b).get('state'), 'offered') == 'offered', 'another device is offered it')
    b.call('folder', 'join', 'notes')
    ok(until(lambda: cat(b, 'plan'), 'first') == 'first', 'who joins has what is in it', cat(b, 'plan'))
    put(b, folder, 'plan', 'second')
    ok(until(lambda: cat(a, 'plan'), 'second') == 'second', 'an edit goes over, back too', cat(a, 'plan'))
    big = 'x' * 70000 + ''.join(str(i) for i in range(200000))
    put(a, folder, 'big', big)
    ok(until(lambda: len(cat(b, 'big')), len(big)) == len(big) and cat(b, 'big') == big, 'a file of many chunks goes over whole')


def offline(folder, a, b):
    b.down()
    put(a, folder, 'plan', 'of a')
    put(a, folder, 'only', 'made while b was away')
    a.down()
    up(b)
    put(b, folder, 'plan', 'of b')
    b.call('rm', ':/notes/big')
    up(a)
    wait_for_link(a, b)
    ok(until(lambda: cat(b, 'only'), 'made while b was away') == 'made while b was away', 'what was done offline merges', cat(b, 'only'))
    ok(until(lambda: 'big' in say(a, 'ls', ':/notes'), False) is False, 'a deletion goes over', say(a, 'ls', ':/notes'))
    until(lambda: (cat(a, 'plan'), cat(b, 'plan')), ('of b', 'of b'))
    ok((cat(a, 'plan'), cat(b, 'plan')) == ('of b', 'of b'), 'of two edits both show the later', cat(a, 'plan'))
    both = [n.json('conflicts') for n in (a, b)]
    ok(all(len(k) == 1 and k[0]['name'] == 'plan' and k[0]['device'] == a.name for k in both) and both[0][0]['mark'] == both[1][0]['mark'],
       'and both keep the other, by the device that wrote it', both)
    b.call('conflicts', 'take', 'notes', both[1][0]['mark'])
    ok(until(lambda: (cat(a, 'plan'), cat(b, 'plan')), ('of a', 'of a')) == ('of a', 'of a'), 'one takes it: it is what both show', cat(a, 'plan'))
    ok(until(lambda: a.json('conflicts'), []) == [], 'and there is no conflict any more', a.json('conflicts'))


def killed(folder, a):
    for i in range(3):
        put(a, folder, 'kept%d' % i, 'acknowledged %d' % i)
        a.kill9()
        up(a)
        ok(cat(a, 'kept%d' % i) == 'acknowledged %d' % i, 'what was acknowledged is there after kill -9', cat(a, 'kept%d' % i))


def main():
    with tempfile.TemporaryDirectory() as folder:
        nodes = [Node(os.path.join(folder, n), n, env={'XDG_RUNTIME_DIR': folder}) for n in ('anna', 'bert')]
        try:
            a, b = nodes
            up(a)
            up(b)
            pair(a, b)
            wait_for_link(a, b)
            goes_over(folder, a, b)
            offline(folder, a, b)
            killed(folder, a)
        finally:
            for n in nodes:
                if n.is_up():
                    n.down()
    print(f'1..{count}')
    return failed > 0


sys.exit(main())
