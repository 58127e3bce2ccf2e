"""xserver.py - an X server for a test."""
import os
import subprocess


class Server:
    """An X server of our own on a display number that is free. It does not begin anew, deaf for a moment, each time its
    last client leaves."""

    def __init__(self):
        read, write = os.pipe()
        self.process = subprocess.Popen(['Xvfb', '-displayfd', str(write), '-screen', '0', '800x600x24',
                                         '-noreset'],
                                        pass_fds=[write], stderr=subprocess.DEVNULL)
        os.close(write)
        with os.fdopen(read) as f:
            self.display = ':' + f.readline().strip()

    def end(self):
        self.process.kill()
        self.process.wait()
