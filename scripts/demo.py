#!/usr/bin/env python3
"""demo.py - the second half of scripts/demo: everything is built; two nodes, a game, moves, figures.

Demo 1 of the game is played twice on the frame clock (time is what was presented, so that every machine draws the same
frames): once where it is started, once moved to and fro. Both end with a hash over all frames. Where there is a window
or a terminal, a game in real time is shown and moved as well.
"""
import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time

import nodes

PICTURES = os.path.join(nodes.ROOT, 'build', 'demo')
GAME = ['-iwad', '/doom/freedoom1.wad']
DEMO1 = GAME + ['-timedemo', 'demo1', '-frameclock']
SECONDS_BETWEEN_MOVES = 2.5
SHOWN_BETWEEN_MOVES_S = 5


class Demo:
    def __init__(self, args, folder):
        self.args = args
        self.folder = folder
        self.a = nodes.Node(os.path.join(folder, 'desk'), 'desk')
        self.b = nodes.Node(os.path.join(folder, 'laptop'), 'laptop')
        self.moves = []
        self.quiet = False  # while the terminal is the game's

    def say(self, text):
        if not self.quiet:
            print(text, flush=True)

    def game_options(self):
        save = os.path.join(self.folder, 'save')
        os.makedirs(save, exist_ok=True)
        return ['--dir', f'{self.args.doom}::/doom:ro', '--dir', f'{save}::/save', '--env', 'HOME=/save']

    def program(self, arguments):
        return [os.path.join(self.args.doom, 'doom.wasm')] + arguments

    # ---- moving ----

    def move(self, here, there, pid):
        """One move; returns the pid over there."""
        cost = here.migrate(pid, there)
        self.moves.append({'from': here.name, 'to': there.name, 'pause_ms': round(cost['pause_ms'], 3),
                           'bytes': cost['bytes'], 'total_ms': round(cost['total_ms'], 3)})
        self.say(f'  {here.name:>7} -> {there.name:7}  pause {cost["pause_ms"]:6.1f} ms   '
                 f'{cost["bytes"] / 1024:8.0f} KiB   in all {cost["total_ms"]:7.1f} ms')
        return cost.get('pid', pid)

    def to_and_fro(self, pid, count, wait_s):
        """Moves it count times; returns where it is then, and as what."""
        here, there = self.a, self.b
        for _ in range(count):
            time.sleep(wait_s)
            pid = self.move(here, there, pid)
            here, there = there, here
        return here, pid

    # ---- the two runs of demo 1 ----

    def unmoved(self):
        pid = self.a.start(self.program(DEMO1), '--display', 'headless', '--frame-hash', '--unpaced', '--name',
                           'doom', *self.game_options())
        return self.finished(self.a, pid)

    def moved(self):
        pid = self.a.start(self.program(DEMO1), '--display', 'headless', '--frame-hash', '--name', 'doom',
                           *self.game_options())
        time.sleep(1)
        self.picture(self.a, pid, 'before.png')
        here, pid = self.to_and_fro(pid, self.args.moves, SECONDS_BETWEEN_MOVES)
        self.picture(here, pid, 'after.png')
        return self.finished(here, pid)

    def finished(self, node, pid):
        row = node.wait(pid, timeout_s=240)
        # A timed demo ends with its timing as an "error".
        if row['state'] != 'exited' or row['status'] not in (0, 255):
            raise nodes.Failed(f'{node.name}: DOOM ended as {row["state"]} with status {row.get("status")}: '
                               f'{node.output(pid)[-500:]}')
        return row

    def picture(self, node, pid, name):
        path = os.path.join(PICTURES, name)
        node.call('screenshot', pid, '-o', path)
        self.say(f'  picture of the screen on {node.name}: {os.path.relpath(path)}')

    # ---- what a person sees and hears ----

    def game(self):
        return GAME + (['-music'] if self.args.music else [])

    def show_window(self):
        self.say('\nThe game in a window. It is yours to play; it jumps every few seconds.')
        pid = self.a.start(self.program(self.game()), '--display', 'sdl2', '--name', 'doom', *self.game_options())
        here, pid = self.to_and_fro(pid, self.args.moves, SHOWN_BETWEEN_MOVES_S)
        here.call('kill', pid)

    def show_terminal(self):
        self.say('\nThe game in this terminal; it runs on another node every few seconds.')
        time.sleep(2)
        self.quiet = True
        failure = []

        def mover():
            try:
                pid = self.await_game()
                here, pid = self.to_and_fro(pid, self.args.moves, SHOWN_BETWEEN_MOVES_S)
                here.call('kill', pid)
            except nodes.Failed as e:
                failure.append(e)
                game.terminate()

        game = self.a.spawn('run', '--display', 'terminal', '--name', 'doom', *self.game_options(),
                            *self.program(self.game()))
        thread = threading.Thread(target=mover)
        thread.start()
        game.wait()
        thread.join()
        self.quiet = False
        if failure:
            raise failure[0]
        for m in self.moves:
            self.say(f'  {m["from"]:>7} -> {m["to"]:7}  pause {m["pause_ms"]:6.1f} ms')

    def await_game(self):
        for _ in range(200):
            for row in self.a.json('ps'):
                if row['name'] == 'doom':
                    return row['pid']
            time.sleep(0.05)
        raise nodes.Failed('desk: the game does not start')

    # ---- all of it ----

    def run(self):
        self.say('Starting two nodes, desk and laptop, and pairing them.')
        self.a.up()
        self.b.up()
        nodes.pair(self.a, self.b)
        if not self.args.headless:
            if os.environ.get('DISPLAY') or os.environ.get('WAYLAND_DISPLAY'):
                self.show_window()
            elif sys.stdout.isatty() and sys.stdin.isatty():
                self.show_terminal()
        self.say('\nDemo 1 of DOOM, not moved.')
        still = self.unmoved()
        self.say(f'  {still["frames"]} frames, hash {still["frame_hash"][:16]}')
        self.say('\nThe same, moved while it plays.')
        moved = self.moved()
        equal = (moved['frames'], moved['frame_hash']) == (still['frames'], still['frame_hash'])
        self.say(f'  {moved["frames"]} frames, hash {moved["frame_hash"][:16]}: '
                 f'{"the same" if equal else "NOT THE SAME"}')
        pauses = sorted(m['pause_ms'] for m in self.moves)
        self.say(f'\n{len(pauses)} moves: pause {statistics.median(pauses):.1f} ms in the middle, '
                 f'{pauses[-1]:.1f} ms at most.')
        return {'moves': self.moves, 'tics': moved['frames'], 'frame_hash_equal': equal}

    def stop(self):
        for node in (self.a, self.b):
            try:
                if node.is_up():
                    node.down()
            except nodes.Failed as e:
                self.say(f'demo: {e}')


def main():
    p = argparse.ArgumentParser(prog='scripts/demo')
    p.add_argument('--doom', required=True, help=argparse.SUPPRESS)
    p.add_argument('--headless', action='store_true', help='no window and no drawing in the terminal')
    p.add_argument('--json', action='store_true', help='a JSON object as the last line')
    p.add_argument('--music', action='store_true', help='the shown game plays its music too')
    p.add_argument('--moves', type=int, default=6, metavar='N', help='how often the game moves (6)')
    p.add_argument('--keep', action='store_true', help='keep the two homes and say where they are')
    args = p.parse_args()
    os.makedirs(PICTURES, exist_ok=True)
    folder = tempfile.mkdtemp(prefix='wasmos-demo-')
    demo = Demo(args, folder)
    try:
        result = demo.run()
    except nodes.Failed as e:
        print(f'demo: {e}', file=sys.stderr)
        return 1
    finally:
        demo.stop()
        if args.keep:
            print(f'demo: the homes of the nodes are in {folder}')
        else:
            shutil.rmtree(folder, ignore_errors=True)
    if args.json:
        print(json.dumps(result))
    return 0 if result['frame_hash_equal'] else 1


if __name__ == '__main__':
    sys.exit(main())
