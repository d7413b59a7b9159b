# SPDX-License-Identifier: MIT
"""os.fork(), threads and signal handlers of a program that uses spawnd: each process has what it
started, and nobody waits for ever."""

import multiprocessing
import os
import signal
import subprocess
import threading
import traceback
import unittest
import warnings

import server
import spawnd
from popen import descriptors

PIPE = subprocess.PIPE
OWNERS = "caller", "server"


def setUpModule():
    server.start()
    for owner in OWNERS:
        spawnd.call(["true"], owner=owner)


def tearDownModule():
    server.stop()


def in_child(function):
    """Whether it held there; it says itself what did not."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            function()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def expect(holds):
    if not holds:
        raise AssertionError


class Fork(unittest.TestCase):
    def test_the_child_starts_children_of_its_own(self):
        def child():
            for owner in OWNERS:
                done = spawnd.run("echo $PPID", shell=True, stdout=PIPE, text=True, owner=owner)
                expect((int(done.stdout) == os.getpid()) == (owner == "caller"))

        before = descriptors()
        self.assertTrue(in_child(child))
        self.assertEqual(descriptors(), before)
        for owner in OWNERS:
            self.assertEqual(spawnd.call(["false"], owner=owner), 1)

    def test_of_what_the_parent_started_the_child_knows_nothing(self):
        for owner in OWNERS:
            with spawnd.Popen(["cat"], stdin=PIPE, owner=owner) as p:
                def child():
                    for use in p.poll, p.wait, p.kill:
                        try:
                            use()
                        except ChildProcessError:
                            continue
                        expect(False)

                self.assertTrue(in_child(child))
                self.assertIsNone(p.poll())
            self.assertEqual(p.returncode, 0)

    def test_what_the_child_drops_stays_the_parent_s(self):
        for owner in OWNERS:
            running = [spawnd.Popen("read line; exit 6", shell=True, stdin=PIPE, owner=owner)]

            def child():
                warnings.simplefilter("ignore", ResourceWarning)
                running.clear()

            self.assertTrue(in_child(child))
            running[0].communicate(b"\n")
            self.assertEqual(running[0].returncode, 6)

    def test_while_other_threads_start_and_wait(self):
        stop = threading.Event()
        failures = []

        def work(owner):
            while not stop.is_set():
                if spawnd.call(["true"], owner=owner):
                    failures.append(owner)

        def child():
            signal.alarm(60)  # a lock that nobody gives back
            for owner in OWNERS:
                expect(spawnd.call(["false"], owner=owner) == 1)

        threads = [threading.Thread(target=work, args=[owner]) for owner in OWNERS * 2]
        for t in threads:
            t.start()
        try:
            for _ in range(10):
                self.assertTrue(in_child(child))
        finally:
            stop.set()
            for t in threads:
                t.join()
        self.assertEqual(failures, [])

    def test_grandchildren(self):
        def child():
            expect(spawnd.call(["false"]) == 1)
            expect(in_child(lambda: expect(spawnd.call(["false"]) == 1)))
            expect(spawnd.call(["false"]) == 1)

        self.assertTrue(in_child(child))

    def test_a_client_of_one_s_own(self):
        with spawnd.Client.private() as own, spawnd.Client(server.server.socket) as other:
            def child():
                for client, owner in (own, "caller"), (other, "server"), (other, "caller"):
                    expect(spawnd.call(["false"], client=client, owner=owner) == 1)
                own.close()
                other.close()

            self.assertTrue(in_child(child))
            self.assertEqual(spawnd.call(["false"], client=own), 1)

    def test_multiprocessing(self):
        for method in "fork", "spawn", "forkserver":
            with multiprocessing.get_context(method).Pool(2) as pool:
                self.assertEqual(pool.map(spawnd.call, [["true"], ["false"]] * 3), [0, 1] * 3)


class Handler(unittest.TestCase):
    """A signal's handler runs between any two steps of the interpreter."""

    def interrupting(self, handler, body):
        before = signal.signal(signal.SIGALRM, handler)
        try:
            for n in range(150):
                signal.setitimer(signal.ITIMER_REAL, 20e-6 * (n + 1))
                body()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    def test_may_start_and_wait(self):
        codes = []
        for owner in OWNERS:
            self.interrupting(
                lambda *_: codes.append(spawnd.call(["false"], owner=owner)),
                lambda: self.assertEqual(spawnd.call(["true"], owner=owner), 0))
        self.assertEqual(set(codes), {1})

    def test_may_signal_and_ask_what_is_waited_for(self):
        for owner in OWNERS:
            started = []

            def forward(*_):
                for p in started[-1:]:
                    p.poll()
                    p.kill()
                    p.poll()

            def body():
                with spawnd.Popen(["true"], owner=owner) as p:
                    started.append(p)
                    p.poll()
                    p.send_signal(0)
                self.assertIn(p.returncode, (0, -signal.SIGKILL))

            before = descriptors()
            self.interrupting(forward, body)
            self.assertEqual(len(descriptors()), len(before))
