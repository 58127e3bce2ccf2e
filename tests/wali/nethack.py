#!/usr/bin/env python3
"""nethack.py - the game, as Debian has its source, is played on one node, goes on on another, and is saved there.

	tests/wali/nethack.py WASMOS [MOVES]

Two real nodes. Skipped where scripts/userland has not made nethack.
"""
import os
import sys
import tempfile

from terminal import IMAGE, Terminal

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(ROOT, 'scripts'), os.path.join(ROOT, 'tests', 'e2e')]
import cases  # noqa: E402
import nodes  # noqa: E402

OPTIONS = 'name:Astrid,role:Valkyrie,race:human,gender:female,align:neutral,pettype:none,!legacy,!splash_screen,!news,!autopickup'
MOVES = int(sys.argv[2]) if sys.argv[2:] else 20


def play(node, playground):
    return Terminal([*node.command('run', '--dir', IMAGE + '::/:ro', '--dir', playground + '::/var/games/nethack', '--env', 'TERM=xterm',
                                   '--env', 'NETHACKOPTIONS=' + OPTIONS, '--env', 'USER=astrid',
                                   os.path.join(IMAGE, 'bin', 'nethack'))], node.env)


def new_playground(folder):
    """The folder of saved games and scores, as the image has it, but our own."""
    to = os.path.join(folder, 'games')
    os.makedirs(os.path.join(to, 'save'))
    for name in ('record', 'perm', 'logfile', 'xlogfile'):
        open(os.path.join(to, name), 'w').close()
    return to


def the_dagger_is_there(game):
    game.type('\x1b\x1bi')  # past what wants to be read first
    game.see(r'\+1 long sword \(weapon in hand\)')
    game.see(r'\+0 dagger')
    game.type('\x1b')


def test_a_game_goes_on_on_another_device_and_is_saved_there():
    def make(folder):
        return [nodes.Node(os.path.join(folder, name), name, program=[os.path.abspath(sys.argv[1])]) for name in ('desk', 'phone')]

    with nodes.housed(make) as (desk, phone), tempfile.TemporaryDirectory() as folder:
        for node in (desk, phone):
            node.up('--display', 'headless', '--listen', '127.0.0.1:0')
        nodes.pair(desk, phone)
        playground = new_playground(folder)
        game = play(desk, playground)
        game.see('Dlvl:1')
        the_dagger_is_there(game)
        pid, here, there = desk.ps()[0]['pid'], desk, phone
        for i in range(MOVES // 2 * 2 + 1):  # it ends on the phone
            game.type('hjkl'[i % 4])
            pid, here, there = here.migrate(pid, there)['pid'], there, here
        assert here is phone
        the_dagger_is_there(game)
        attached = Terminal(phone.command('attach', pid), phone.env)
        attached.type('\x1b\x1bS')
        attached.see('Really save')
        attached.type('y')
        attached.see('Be seeing you')
        assert phone.wait(pid)['status'] == 0
        assert os.listdir(os.path.join(playground, 'save'))  # on the desk's disk
        game = play(desk, playground)
        game.see('Restoring save file')
        the_dagger_is_there(game)


if __name__ == '__main__':
    if not os.path.exists(os.path.join(IMAGE, 'bin', 'nethack')):
        print('1..0 # SKIP nethack is not made: scripts/userland makes it')
        sys.exit(77)
    sys.exit(cases.run(globals()))
