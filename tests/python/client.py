# SPDX-License-Identifier: MIT
"""Client and status(), and an interpreter that has just begun or is about to end."""

import os
import subprocess
import sys
import threading
import unittest

import server
import spawnd
from popen import descriptors

PIPE = subprocess.PIPE


def setUpModule():
    server.start()


def tearDownModule():
    server.stop()


def python(code, **kwargs):
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], stdout=PIPE, stderr=PIPE,
                          text=True, **kwargs)
    return done.returncode, done.stdout, done.stderr


class Client(unittest.TestCase):
    def test_leaves_nothing_when_closed(self):
        def use():
            with spawnd.Client(server.server.socket) as client, spawnd.Client.private() as own:
                for owner in "caller", "server":
                    self.assertEqual(spawnd.call(["true"], client=client, owner=owner), 0)
                self.assertEqual(spawnd.call(["true"], client=own), 0)
                client.ping()
                own.ping()
                with spawnd.Popen(["cat"], stdin=PIPE, client=own) as p:
                    own.close()
                    self.assertIsNone(p.poll())
                self.assertEqual(p.returncode, 0)

        before = descriptors()
        use()
        self.assertEqual(descriptors(), before)

    def test_cannot_be_used_when_closed(self):
        client = spawnd.Client.private()
        client.close()
        client.close()
        with self.assertRaisesRegex(ValueError, "closed"):
            client.ping()
        with self.assertRaisesRegex(ValueError, "closed"):
            spawnd.call(["true"], client=client)

    def test_is_closed_with_the_last_of_many_threads_that_use_it(self):
        client = spawnd.Client.private()
        begun = threading.Barrier(5)
        seen = []

        def use():
            begun.wait()
            try:
                while True:
                    seen.append(spawnd.call(["true"], client=client))
            except ValueError:
                pass

        threads = [threading.Thread(target=use) for _ in range(4)]
        for t in threads:
            t.start()
        begun.wait()
        client.close()
        for t in threads:
            t.join()
        self.assertEqual(set(seen) - {0}, set())

    def test_private_has_no_server(self):
        with spawnd.Client.private() as client:
            with self.assertRaisesRegex(spawnd.Error, "server"):
                client.status()
            with self.assertRaises(spawnd.Error) as seen:
                spawnd.call([], template="probe", client=client)
            self.assertEqual((seen.exception.origin, seen.exception.step), ("client", "owner"))

    def test_takes_any_path(self):
        for path in server.server.socket, os.fsencode(server.server.socket):
            with spawnd.Client(path) as client:
                client.ping()


class Status(unittest.TestCase):
    def test_is_of_the_server(self):
        with spawnd.Popen(["block"], template="probe", stdout=PIPE) as p:
            p.stdout.readline()
            state = spawnd.status()
            self.assertEqual(state.server.mode, "user")
            self.assertEqual(state.server.version, spawnd.__version__)
            self.assertEqual(state.server.keeper_pid, server.server.process.pid)
            probe = next(t for t in state.templates if t.name == "probe")
            self.assertEqual((probe.lane, probe.state, probe.uid), ("object", "warm", os.getuid()))
            self.assertGreaterEqual(probe.launched, 1)
            leaf = next(leaf for leaf in state.leaves if leaf.pid == p.pid)
            self.assertEqual((leaf.template_name, leaf.state, leaf.nofork),
                             ("probe", "launched", p.nofork))
            p.kill()


class Interpreter(unittest.TestCase):
    def test_without_the_library_is_told_the_way_out(self):
        env = {**os.environ, "LD_LIBRARY_PATH": ""}
        code, _, errors = python("import spawnd", env=env)
        if code == 0:
            self.skipTest("the library is installed")
        self.assertIn("ImportError", errors)
        self.assertIn("LD_LIBRARY_PATH", errors)

    def test_without_the_private_host_is_told_the_way_out(self):
        env = {**os.environ, "SPAWN_PRIVATE_HOST": "/no/such"}
        code, _, errors = python("import spawnd; spawnd.call(['true'])", env=env)
        self.assertEqual(code, 1)
        self.assertIn("spawnd.error.Error", errors)
        self.assertIn("SPAWN_PRIVATE_HOST", errors)

    def test_without_a_server_says_so_each_time(self):
        env = {**os.environ, "SPAWND_SOCKET": "/no/such"}
        code, out, _ = python("import spawnd\n"
                              "for i in range(2):\n"
                              "    try: spawnd.call(['true'], owner='server')\n"
                              "    except spawnd.Error as e: print(e.origin, e.step)", env=env)
        self.assertEqual((code, out), (0, "client connect\n" * 2))

    def test_imports_asyncio_only_when_it_is_asked_for(self):
        self.assertEqual(python("import spawnd, sys\n"
                                "print('asyncio' in sys.modules)\n"
                                "print(spawnd.asyncio.create_subprocess_exec.__name__)\n"
                                "print(sorted(set(spawnd.__all__) - set(dir(spawnd))))"),
                         (0, "False\ncreate_subprocess_exec\n[]\n", ""))

    def test_ends_quietly_with_what_it_has_left(self):
        for owner in "caller", "server":
            self.assertEqual(python("import spawnd\n"
                                    f"spawnd.call(['true'], owner='{owner}')\n"
                                    f"p = spawnd.Popen(['true'], owner='{owner}')\n"
                                    "p.wait()\n"
                                    "c = spawnd.Client()\n"), (0, "", ""))

    def test_programs_live_on_when_it_ends(self):
        code, out, _ = python("import spawnd, os\n"
                              "os.write(1, b'ending ')\n"
                              "p = spawnd.Popen(['sh', '-c', 'read line; echo $line'], stdin=0)\n"
                              "os._exit(0)", input="on\n")
        self.assertEqual((code, out), (0, "ending on\n"))
