# SPDX-License-Identifier: MIT
"""An editor in a terminal that a user sits at: by `spawn --pty`, and without, in tmux."""

import os
import shutil
import subprocess
import tempfile
import time
import unittest

import server

PATIENCE = 60
SIZES = (80, 24), (60, 16)
EDITOR = ["vim.tiny", "-u", "NONE", "-i", "NONE", "-n", "-c", "'set ruler'"]


def setUpModule():
    server.start()


def tearDownModule():
    server.stop()


class Desk:
    """A tmux of its own with a shell in it."""

    def __init__(self, test):
        self.dir = tempfile.mkdtemp(prefix="spawnd-test-")
        test.addCleanup(shutil.rmtree, self.dir)
        width, height = SIZES[0]
        self.tmux("-f", "/dev/null", "new-session", "-d", "-c", self.dir, "-x", str(width), "-y", str(height),
                  "env PS1='ready> ' sh")
        test.addCleanup(self.tmux, "kill-server")
        self.see("ready>")

    def tmux(self, *args):
        return subprocess.run(["tmux", "-S", f"{self.dir}/tmux", *args], check=True, text=True,
                              stdout=subprocess.PIPE, timeout=PATIENCE).stdout

    def screen(self):
        return self.tmux("capture-pane", "-p").rstrip("\n")

    def type(self, *keys):
        self.tmux("send-keys", *keys)

    def see(self, *texts):
        """Until all of them are on the screen, which nobody tells of."""
        until = time.monotonic() + PATIENCE
        while not all(text in (screen := self.screen()) for text in texts):
            if time.monotonic() > until:
                raise AssertionError(f"not all of {texts} in:\n{screen}")
            time.sleep(0.02)
        return screen

    def resize(self, width, height):
        self.tmux("resize-window", "-x", str(width), "-y", str(height))


@unittest.skipUnless(shutil.which("tmux") and shutil.which("vim.tiny"),
                     "tmux and vim-tiny are not installed")
class Editor(unittest.TestCase):
    maxDiff = None

    def edit(self, prefix):
        """Type, resize, save, quit: all screens, and the file."""
        desk = Desk(self)
        screens = []
        desk.type(" ".join([*prefix, *EDITOR, "letter"]), "Enter")
        desk.see("All", "letter")
        desk.type("i", "Dear", "Space", "all,", "Enter", "x" * 70, "Escape")
        screens.append(desk.see("Dear all,", "x" * 70, "2,70"))
        desk.resize(*SIZES[1])
        desk.type("C-l")
        # It has the new size when the long line is broken where the screen ends.
        screens.append(desk.see("\n" + "x" * SIZES[1][0] + "\n"))
        desk.type(":w", "Enter")
        screens.append(desk.see("written"))
        desk.type(":q", "Enter")
        desk.see("ready>")
        desk.type("clear; stty -a; echo $?", "Enter")
        screens.append(desk.see("icanon", "\n0\n"))
        with open(f"{desk.dir}/letter") as file:
            return screens, file.read()

    def test_editing_by_spawn_is_as_without(self):
        plain, file = self.edit([])
        self.assertEqual(file, "Dear all,\n" + "x" * 70 + "\n")
        spawned, file_too = self.edit([os.environ["SPAWN"], "--pty", "--"])
        self.assertEqual(spawned, plain)
        self.assertEqual(file_too, file)

    def test_the_terminal_is_sane_after_the_server_was_killed(self):
        desk = Desk(self)
        own = server.Server()
        self.addCleanup(own.forget)
        desk.type("stty -a > before", "Enter")
        desk.type(f"SPAWND_SOCKET={own.socket} {os.environ['SPAWN']} --pty -- "
                  f"{' '.join(EDITOR)} letter", "Enter")
        desk.see("All", "letter")
        own.process.kill()
        own.process.wait()
        # The editor lives on, and who sits there goes on.
        desk.type("i", "still here", "Escape")
        desk.see("still here")
        desk.type(":q!", "Enter")
        desk.see("ready>")
        desk.type("clear; stty -a > after; cmp before after && echo $((6 * 7)) lines", "Enter")
        desk.see("42 lines")
