# SPDX-License-Identifier: MIT
"""What differs from subprocess: each row of the table in docs/python.md."""

import errno
import gc
import os
import platform
import signal
import subprocess
import sys
import threading
import unittest
import warnings
from pathlib import Path

import server
import spawnd
from cases import LONG, SOON, scratch, script
from process import child_of

PIPE, DEVNULL = subprocess.PIPE, subprocess.DEVNULL
OWNERS = "caller", "server"


def setUpModule():
    server.start()


def tearDownModule():
    server.stop()


class Refused(unittest.TestCase):
    def refused(self, error, name, **kwargs):
        with self.assertRaises(error) as seen:
            spawnd.Popen(["true"], **kwargs)
        self.assertIn(name, str(seen.exception))

    def test_preexec_fn(self):
        self.refused(NotImplementedError, "preexec_fn", preexec_fn=lambda: None)

    def test_process_group(self):
        self.refused(NotImplementedError, "process_group", process_group=os.getpgrp(),
                     owner="server")

    @unittest.skipUnless(os.geteuid() == 0, "who is not root has no other ids")
    def test_credentials_are_of_all_ids(self):
        text = spawnd.check_output(["cat", "/proc/self/status"], user=12345, text=True)
        self.assertIn("Uid:\t12345\t12345\t12345\t12345\n", text)

    def test_no_arguments_with_executable(self):
        with self.assertRaisesRegex(ValueError, "argv"):
            spawnd.Popen([], executable="true")

    def test_more_than_240_descriptors(self):
        fds = [os.open("/dev/null", os.O_RDONLY) for _ in range(241)]
        try:
            with self.assertRaises(OSError) as seen:
                spawnd.Popen(["true"], pass_fds=fds)
            self.assertEqual(seen.exception.errno, errno.EMFILE)
        finally:
            for fd in fds:
                os.close(fd)

    def test_more_than_2_mib_of_arguments(self):
        args = ["true", *["x" * 100000] * 25]
        with self.assertRaises(OSError) as seen:
            spawnd.Popen(args)
        self.assertEqual(seen.exception.errno, errno.E2BIG)
        self.assertEqual(seen.exception.filename, "true")


class Unlike(unittest.TestCase):
    def test_an_empty_name_is_not_found(self):
        with self.assertRaises(FileNotFoundError):
            spawnd.run([""])
        with self.assertRaises(PermissionError):
            subprocess.run([""])

    def test_a_file_of_no_format_ends_the_search(self):
        with scratch() as at:
            script(at / "true", "exit 0\n")
            env = {"PATH": f"{at}:/usr/bin"}
            self.assertEqual(subprocess.call(["true"], env=env), 0)
            with self.assertRaises(OSError) as seen:
                spawnd.call(["true"], env=env)
            self.assertEqual(seen.exception.errno, errno.ENOEXEC)

    def test_putenv_alone_is_not_handed_down(self):
        os.putenv("SPAWND_TEST_PUT", "1")
        try:
            self.assertEqual(subprocess.call("test $SPAWND_TEST_PUT", shell=True), 0)
            self.assertEqual(spawnd.call("test $SPAWND_TEST_PUT", shell=True), 1)
        finally:
            os.unsetenv("SPAWND_TEST_PUT")

    def test_a_lost_status_is_no_0(self):
        with spawnd.Popen(["sh", "-c", "read line; exit 7"], stdin=PIPE) as p:
            p.stdin.close()
            os.waitpid(p.pid, 0)
            self.known_or_told(p, 7)

    def test_with_sigchld_ignored(self):
        before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        try:
            self.assertEqual(subprocess.call(["false"]), 0)
            p = spawnd.Popen(["false"])
            self.known_or_told(p, 1)
        finally:
            signal.signal(signal.SIGCHLD, before)

    def known_or_told(self, p, code):
        if tuple(map(int, platform.release().split(".")[:2])) >= (6, 15):
            self.assertEqual(p.wait(), code)
            return
        with self.assertRaisesRegex(ChildProcessError, "cannot be known"):
            p.wait()
        p.returncode = -1

    def test_wait_for_any_child_sees_the_private_host(self):
        code = ("import os, spawnd; spawnd.call(['true']); "
                "print(os.waitpid(-1, os.WNOHANG))")
        self.assertEqual(subprocess.check_output([sys.executable, "-c", code]), b"(0, 0)\n")

    def test_the_way_out_of_that_is_a_client_that_is_closed(self):
        code = ("import os, spawnd\n"
                "with spawnd.Client.private() as c: spawnd.call(['true'], client=c)\n"
                "try: print(os.waitpid(-1, os.WNOHANG))\n"
                "except ChildProcessError: print('none')")
        self.assertEqual(subprocess.check_output([sys.executable, "-c", code]), b"none\n")

    def test_the_server_s_is_no_child(self):
        with spawnd.Popen(["cat"], stdin=PIPE, owner="server") as p:
            with self.assertRaises(ChildProcessError):
                os.waitpid(p.pid, os.WNOHANG)
            self.assertNotEqual(os.getsid(p.pid), os.getsid(0))

    def test_a_closed_stream_is_nothing_for_the_server_s(self):
        code = ("import os, sys, spawnd\n"
                "os.close(0)\n"
                "for owner in 'caller', 'server':\n"
                "    print(spawnd.getoutput('readlink /proc/$$/fd/0 || echo closed', owner=owner))")
        self.assertEqual(subprocess.check_output([sys.executable, "-c", code]),
                         b"closed\n/dev/null\n")

    def test_a_lack_of_a_server_is_an_error_of_its_own(self):
        with self.assertRaises(spawnd.Error) as seen:
            spawnd.Client("/no/such/socket")
        self.assertEqual(seen.exception.errno, errno.ENOENT)
        self.assertNotIsInstance(seen.exception, FileNotFoundError)

    def test_a_signal_s_handler_waits_for_a_start(self):
        """That of a wait does not: an_interrupt_is_not_swallowed of the cases."""
        broker = child_of(server.server.process.pid, "spawnd-broker")
        heard, seen = os.pipe()
        os.set_blocking(seen, False)
        order = []

        def interrupt(*_):
            order.append("interrupted")
            raise KeyboardInterrupt

        def go_on():
            os.read(heard, 1)  # the signal has come, and the start goes on
            order.append("continued")
            os.kill(broker, signal.SIGCONT)

        spawnd.call(["true"], owner="server")
        before = signal.signal(signal.SIGALRM, interrupt)
        thread = threading.Thread(target=go_on)
        thread.start()
        os.kill(broker, signal.SIGSTOP)
        signal.set_wakeup_fd(seen)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ResourceWarning)
                with self.assertRaises(KeyboardInterrupt):
                    signal.setitimer(signal.ITIMER_REAL, SOON)
                    spawnd.Popen(["true"], owner="server")
                gc.collect()
        finally:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGALRM, before)
            thread.join()
            os.close(heard)
            os.close(seen)
        self.assertEqual(order, ["continued", "interrupted"])
        while subprocess._active:  # what was started is reaped all the same
            spawnd.call(["true"])


class More(unittest.TestCase):
    """What subprocess has not."""

    def test_a_template_takes_arguments_behind_its_name(self):
        self.assertEqual(spawnd.call(["exit", "5"], template="probe"), 5)
        self.assertEqual(spawnd.check_output(["cwd"], template="probe", cwd="/usr"), b"/usr\n")
        self.assertEqual(spawnd.check_output(["env", "A"], template="probe", env={"A": "1"}),
                         b"A=1\n")

    def test_a_template_of_lane_exec_takes_a_program(self):
        self.assertEqual(spawnd.check_output(["a", "-c", "echo $0"], template="exec",
                                             executable="/bin/sh"), b"a\n")

    def test_a_template_that_is_not_there(self):
        with self.assertRaises(spawnd.Error) as seen:
            spawnd.call([], template="no-such")
        self.assertEqual((seen.exception.errno, seen.exception.origin), (errno.ENOENT, "policy"))

    def test_a_template_that_cannot_be_the_caller_s(self):
        with self.assertRaisesRegex(ValueError, "owner"):
            spawnd.call([], template="probe", owner="caller")

    def test_a_template_and_a_shell(self):
        with self.assertRaisesRegex(ValueError, "shell"):
            spawnd.call("cwd", template="probe", shell=True)

    def test_nobody_as_owner(self):
        with self.assertRaisesRegex(ValueError, "nobody"):
            spawnd.call(["true"], owner="nobody")

    def test_nofork(self):
        for owner in OWNERS:
            p = spawnd.Popen("true & wait", shell=True, nofork="process", owner=owner,
                             stderr=DEVNULL)
            self.assertIn("process (", p.nofork)
            self.assertEqual(p.wait(), 2)
            with spawnd.Popen(["true"], owner=owner) as p:
                self.assertEqual(p.nofork, "off")

    def test_a_level_that_is_none(self):
        with self.assertRaisesRegex(ValueError, "level"):
            spawnd.call(["true"], nofork="much")

    def test_deadline(self):
        self.assertEqual(spawnd.call(["sleep", LONG], owner="server", deadline=SOON),
                         -signal.SIGTERM)
        self.assertEqual(spawnd.call(["ignore-term", "block"], template="probe", stdout=DEVNULL,
                                     deadline=SOON, grace=SOON),
                         -signal.SIGKILL)

    def test_a_deadline_of_the_caller_s(self):
        with self.assertRaisesRegex(ValueError, "deadline.*owner"):
            spawnd.call(["true"], deadline=1)
        with self.assertRaisesRegex(ValueError, "deadline"):
            spawnd.call(["true"], deadline=0, owner="server")


class Document(unittest.TestCase):
    def test_names_tests_that_are_there(self):
        text = (Path(__file__).parents[2] / "docs" / "python.md").read_text()
        there = {name for kind in (Refused, Unlike, More) for name in dir(kind)}
        named = {word.strip("`") for line in text.splitlines() if line.startswith("| ")
                 for word in line.split() if word.startswith("`test_")}
        self.assertTrue(named)
        self.assertEqual(named - there, set())
