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

# Who dies there may go on: the dice shall not decide what a test says.
OPTIONS = 'playmode:explore,name:Astrid,role:Valkyrie,race:human,gender:female,align:neutral,pettype:none,!legacy,!splash_screen,!news,!autopickup'


def command(playground):
    return ['run', '--dir', IMAGE + '::/:ro', '--dir', playground + '::/var/games/nethack', '--env', 'TERM=xterm',
            '--env', 'NETHACKOPTIONS=' + OPTIONS, '--env', 'USER=astrid', os.path.join(IMAGE, 'bin', 'nethack')]


def play(node, playground):
    return Terminal(node.command(*command(playground)), node.env)


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


def save(game):
    game.type('\x1b\x1bS')
    game.see('Really save')
    game.type('y')
    game.see('Be seeing you')


def test_a_game_goes_on_on_another_device_and_is_saved_there():
    moves = int(sys.argv[2]) if sys.argv[2:] else 20
    with nodes.two('desk', 'phone', program=[os.path.abspath(sys.argv[1])]) as (desk, phone), tempfile.TemporaryDirectory() as folder:
        playground = new_playground(folder)
        game = play(desk, playground)
        game.see('Dlvl:1')
        the_dagger_is_there(game)
        trip = nodes.Journey(desk, phone, desk.ps()[0]['pid'])
        for i in range(moves // 2 * 2 + 1):  # it ends on the phone
            game.type('hjkl'[i % 4])
            assert trip.move()
        assert trip.here is phone
        the_dagger_is_there(game)
        save(Terminal(phone.command('attach', trip.pid), phone.env))
        trip.end()
        assert os.listdir(os.path.join(playground, 'save'))  # on the desk's disk
        game = play(desk, playground)
        game.see('Restoring save file')
        the_dagger_is_there(game)


if __name__ == '__main__':
    if not os.path.exists(os.path.join(IMAGE, 'bin', 'nethack')):
        print('1..0 # SKIP nethack is not made: scripts/userland makes it')
        sys.exit(77)
    sys.exit(cases.run(globals()))
