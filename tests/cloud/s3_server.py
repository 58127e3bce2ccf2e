#!/usr/bin/python3
"""s3_server.py - a server of S3 for tests: OpenStack's object store (Debian's python3-swift) in one process.

	tests/cloud/s3_server.py FOLDER PORT BUCKET SECRET [SECONDS]

Serves http://127.0.0.1:PORT with the bucket BUCKET, to the access key "test:tester". It verifies signatures of version 4, and keeps what
it is given below FOLDER (a disk with extended attributes). Says "ready" when it answers, and ends when its standard input does, or
after SECONDS. Exit code 77: there is no python3-swift here.
"""
import os
import socket
import sys

try:
    import eventlet
    eventlet.monkey_patch()
    from eventlet import wsgi
    from swift.account.server import app_factory as account_app
    from swift.common import storage_policy, utils
    from swift.common.internal_client import InternalClient
    from swift.common.ring import RingBuilder
    from swift.common.wsgi import loadapp
    from swift.container.server import app_factory as container_app
    from swift.obj.server import app_factory as object_app
except ImportError as e:
    print(f'there is no python3-swift: {e}')
    sys.exit(77)

PROXY = """[DEFAULT]
swift_dir = {folder}
log_level = ERROR

[pipeline:main]
pipeline = {pipeline}

[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true

[filter:catch_errors]
use = egg:swift#catch_errors

[filter:gatekeeper]
use = egg:swift#gatekeeper

[filter:s3api]
use = egg:swift#s3api
location = us-east-1
storage_domain = localhost
dns_compliant_bucket_names = true

[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = {secret} .admin

[filter:bulk]
use = egg:swift#bulk

[filter:copy]
use = egg:swift#copy

[filter:slo]
use = egg:swift#slo

[filter:dlo]
use = egg:swift#dlo
"""


class Cache:
    """What memcached is asked for, in this process; nothing in it grows old."""

    def __init__(self):
        self.values = {}

    def get(self, key, *_args, **_options):
        return self.values.get(key)

    def set(self, key, value, *_args, **_options):
        self.values[key] = value

    def delete(self, key, *_args, **_options):
        self.values.pop(key, None)

    def incr(self, key, delta=1, *_args, **_options):
        self.values[key] = self.values.get(key, 0) + delta
        return self.values[key]


def with_cache(app):
    cache = Cache()

    def answer(env, start_response):
        env['swift.cache'] = cache
        return app(env, start_response)
    return answer


def write(path, text):
    with open(path, 'w', encoding='utf-8') as f:
        f.write(text)


def listen(port=0):
    s = eventlet.listen(('127.0.0.1', port))
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def make_ring(folder, kind, port):
    builder = RingBuilder(4, 1, 0)
    builder.add_dev({'id': 0, 'region': 1, 'zone': 1, 'weight': 1.0, 'ip': '127.0.0.1', 'port': port,
                     'replication_ip': '127.0.0.1', 'replication_port': port, 'device': 'disk', 'meta': ''})
    builder.rebalance()
    builder.get_ring().save(os.path.join(folder, f'{kind}.ring.gz'))


def serve(app, sock):
    eventlet.spawn(wsgi.server, sock, app, log=None, log_output=False, custom_pool=eventlet.GreenPool(100))


def start(folder, port, bucket, secret):
    os.makedirs(os.path.join(folder, 'devices', 'disk', 'tmp'), exist_ok=True)
    write(os.path.join(folder, 'swift.conf'), '[swift-hash]\nswift_hash_path_suffix = tests\n')
    utils.SWIFT_CONF_FILE = storage_policy.SWIFT_CONF_FILE = os.path.join(folder, 'swift.conf')
    utils.validate_hash_conf()
    conf = {'devices': os.path.join(folder, 'devices'), 'swift_dir': folder, 'mount_check': 'false', 'log_level': 'ERROR',
            'allowed_sync_hosts': '127.0.0.1'}
    for kind, make in (('account', account_app), ('container', container_app), ('object', object_app)):
        sock = listen()
        make_ring(folder, kind, sock.getsockname()[1])
        serve(make(dict(conf)), sock)
    outer, inner = os.path.join(folder, 'proxy.conf'), os.path.join(folder, 'inner.conf')
    write(outer, PROXY.format(folder=folder, secret=secret,
                              pipeline='catch_errors gatekeeper s3api tempauth bulk copy slo dlo proxy-server'))
    write(inner, PROXY.format(folder=folder, secret=secret, pipeline='catch_errors proxy-server'))
    InternalClient(inner, 'tests', 1).create_container('AUTH_test', bucket)
    serve(with_cache(loadapp(outer)), listen(port))


def main():
    folder, port, bucket, secret = sys.argv[1:5]
    start(os.path.abspath(folder), int(port), bucket, secret)
    print('ready', flush=True)
    with eventlet.Timeout(float(sys.argv[5]) if len(sys.argv) > 5 else None, False):
        eventlet.tpool.execute(sys.stdin.read)
    os._exit(0)


main()
