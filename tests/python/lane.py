# SPDX-License-Identifier: MIT
"""Lane "python": a leaf does what a fresh interpreter does; each row of docs/python-template.md that
says otherwise has a case here."""

import os
import pathlib
import subprocess
import tempfile
import unittest

import server

PYTHON = "/usr/bin/python3"
TEMPLATE = {"lane": "python", "preload": ["json", "random", "secrets", "subprocess", "threading"],
            "pool": {"size": 2, "low": 1}}
CONFIG = {"templates": {
    "py": {**TEMPLATE, "prestart": True},
    "utf8": {**TEMPLATE, "env": {"LANG": "C.UTF-8", "PYTHONOPTIMIZE": "1"}},
    "missing": {"lane": "python", "preload": ["json", "no_such_module"]},
    "broken": {"lane": "python", "preload": ["broken"], "env": {"PYTHONPATH": "set by setUpModule"}},
}}

service = None
directory = None
CLEAN = {"PATH": "/usr/bin:/bin", "HOME": "/nowhere"}


def setUpModule():
    global service, directory
    directory = tempfile.TemporaryDirectory(prefix="spawnd-lane-", dir="/tmp")
    pathlib.Path(directory.name, "broken.py").write_text("import json\n1 / 0\n")
    CONFIG["templates"]["broken"]["env"]["PYTHONPATH"] = directory.name
    service = server.Server(CONFIG)


def tearDownModule():
    service.stop()
    directory.cleanup()


def run(command, env, **options):
    done = subprocess.run(command, env=env, cwd=directory.name, capture_output=True, timeout=60,
                          **options)
    return done.returncode, done.stdout, done.stderr


def leaf(*args, env=None, template="py", **options):
    variables = {**CLEAN, **(env or {})}
    library = {"LD_LIBRARY_PATH": os.environ["LD_LIBRARY_PATH"]}
    # The library path is the command's own: a leaf does not see it.
    return run(["env", *(f"{name}={value}" for name, value in library.items()),
                os.environ["SPAWN"], "--socket", service.socket, "-t", template, "--unset",
                "LD_LIBRARY_PATH", "--", *args], variables, **options)


def cold(*args, env=None, **options):
    return run([PYTHON, *args], {**CLEAN, **(env or {})}, **options)


class Same(unittest.TestCase):
    """Status, output and errors of both."""

    def same(self, *args, **options):
        expected = cold(*args, **options)
        self.assertEqual(leaf(*args, **options), expected)
        return expected

    def script(self, text, name="script.py"):
        path = pathlib.Path(directory.name, name)
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return name

    def test_command(self):
        self.same("-c", "import sys; print(sys.argv, sys.path, __name__, sorted(globals()))", "a", "-x")

    def test_script(self):
        name = self.script("import sys\nprint(sys.argv, sys.path, __file__, sorted(globals()))\n")
        self.same(name, "a", "b")
        self.same("./" + name)
        self.same(os.path.join(directory.name, name))

    def test_script_that_is_not_there(self):
        self.assertEqual(self.same("none.py")[0], 2)

    def test_directory(self):
        self.script("import sys; print('in', sys.argv, sys.path[0])", "dir/__main__.py")
        self.same("dir")
        self.same("./dir/")

    def test_module(self):
        self.same("-m", "json.tool", "--no-indent", input=b'{"a":  1}')
        self.script("import sys; print(sys.argv, sys.path[0], __name__, __spec__.name)", "mod.py")
        self.same("-m", "mod", "x")

    def test_module_that_is_not_there(self):
        self.assertEqual(self.same("-m", "no_such_module")[0], 1)

    def test_standard_input(self):
        self.same(input=b"import sys; print(sys.argv)")
        self.same("-", "x", input=b"import sys; print(sys.argv)")

    def test_function(self):
        self.script("import sys\ndef f():\n    print(sys.argv[1:])\n    return 3\n", "functions.py")
        self.assertEqual(leaf("functions:f", "a"), (3, b"['a']\n", b""))

    def test_statuses(self):
        for end in "", "raise SystemExit(3)", "raise SystemExit('text')", "exit(None)", "1/0", \
                "import os; os._exit(9)", "import os; os.kill(os.getpid(), 15)", \
                "raise KeyboardInterrupt", "def f(:":
            with self.subTest(end):
                self.same("-c", end)

    def test_traceback_of_a_script(self):
        self.same(self.script("def f():\n    1 / 0\nf()\n"))

    def test_exit_handlers_and_threads(self):
        self.same("-c", "import atexit, threading, time\natexit.register(print, 'last')\n"
                  "threading.Thread(target=lambda: print('thread')).start()\nprint('first')")

    def test_directory_umask_and_environment(self):
        self.same("-c", "import os; print(os.getcwd(), os.umask(0), sorted(os.environ.items()))",
                  env={"A": "1", "B": "\udcff"}, umask=0o27)

    def test_environment_reaches_children(self):
        self.same("-c", "import os, subprocess as s; os.environ['N'] = '1'\n"
                  "print(s.run(['env'], stdout=-1).stdout)", env={"A": "1"})

    def test_signals(self):
        show = "import signal as s; print([(n, str(s.getsignal(n))) for n in " \
               "(s.SIGINT, s.SIGTERM, s.SIGPIPE, s.SIGHUP)])"
        # The second line is an address.
        show = show.replace("str(s.getsignal(n))",
                            "getattr(s.getsignal(n), '__name__', s.getsignal(n))")
        self.same("-c", show)
        self.same("-c", show, preexec_fn=lambda: __import__("signal").signal(2, 1))

    def test_interrupt_is_an_exception(self):
        self.same("-c", "import os, time\ntry:\n    os.kill(os.getpid(), 2)\n    time.sleep(60)\n"
                  "except KeyboardInterrupt: print('told')")

    def test_broken_pipe_is_an_exception(self):
        self.same("-c", "import os; r, w = os.pipe(); os.close(r)\n"
                  "try: os.write(w, b'x')\nexcept BrokenPipeError: print('told')")

    def test_streams(self):
        show = "import sys\nfor s in sys.stdin, sys.stdout, sys.stderr: print(s.name, s.mode, " \
               "s.encoding, s.errors, s.line_buffering, s.write_through, s.isatty(), s.newlines)"
        for env in {}, {"PYTHONIOENCODING": "latin-1"}, {"PYTHONIOENCODING": ":replace"}, \
                {"LC_ALL": "C"}, {"LC_ALL": "C.UTF-8"}, {"LANG": "no_such"}, {"PYTHONUNBUFFERED": "1"}:
            with self.subTest(env):
                self.same("-c", show, env=env)
        self.same("-u", "-c", show)

    def test_closed_streams(self):
        self.same("-c", "import sys; print(sys.stdin)", stdin=subprocess.DEVNULL)

    def test_text_and_bytes(self):
        self.same("-c", "import sys; print('\u20ac', sys.argv)", "\u20ac", "\udcff")
        self.same("-c", "import sys; print(ascii(sys.stdin.read()))", input="\u20ac\n".encode())

    def test_timezone(self):
        self.same("-c", "import time; print(time.tzname, time.localtime(0)[3])", env={"TZ": "Asia/Tokyo"})

    def test_pickles_and_dataclasses_of_main(self):
        self.same("-c", "import pickle\nclass C: pass\nprint(type(pickle.loads(pickle.dumps(C()))))")

    def test_asyncio(self):
        self.same("-c", "import asyncio\nasync def f():\n"
                  "    p = await asyncio.create_subprocess_exec('echo', 'x', stdout=-1)\n"
                  "    print(await p.communicate())\nasyncio.run(f())")

    def test_multiprocessing_by_spawn(self):
        name = self.script("import multiprocessing as m\ndef f(x): return x + 1\n"
                           "if __name__ == '__main__':\n"
                           "    with m.get_context('spawn').Pool(1) as p: print(p.map(f, [1, 2]))\n")
        self.same(name)


class Different(unittest.TestCase):
    """One case for each row of the table."""

    def refused(self, text, *args, **options):
        status, out, errors = leaf(*args, **options)
        self.assertEqual((status, out), (2, b""))
        self.assertIn(text, errors)

    def test_hash_seed(self):
        one, other = (leaf("-c", "print(hash('a'))") for _ in range(2))
        self.assertEqual(one, other)
        self.refused(b"PYTHONHASHSEED=1 has no effect", "-c", "", env={"PYTHONHASHSEED": "1"})
        self.assertEqual(leaf("-c", "", env={"PYTHONHASHSEED": "random"})[0], 0)

    def test_variables_of_the_start(self):
        for name in "PYTHONPATH", "PYTHONHOME", "PYTHONWARNINGS", "PYTHONDEVMODE":
            with self.subTest(name):
                self.refused(name.encode() + b"=x has no effect", "-c", "", env={name: "x"})
        self.assertEqual(leaf("-c", "import sys; print(sys.flags.optimize)", template="utf8",
                              env={"LANG": "C.UTF-8", "PYTHONOPTIMIZE": "1"})[1], b"1\n")

    def test_options_of_the_start(self):
        for option in "-I", "-E", "-O", "-Wd", "-Xdev", "-i", "-s":
            with self.subTest(option):
                self.refused(option.encode(), option, "-c", "")

    def test_flags(self):
        for env in {}, {"LANG": "C.UTF-8"}:
            self.assertEqual(leaf("-c", "import sys; print(sys.flags.utf8_mode)", env=env)[1], b"1\n")

    def test_modules(self):
        self.assertEqual(leaf("-c", "import sys; print('json' in sys.modules, 'ctypes' in "
                              "sys.modules)")[1], b"True True\n")

    def test_collector(self):
        self.assertEqual(leaf("-c", "import gc; print(gc.get_freeze_count() > 0, gc.isenabled())")[1],
                         b"True True\n")

    def test_fork(self):
        status, _, errors = leaf("-c", "import os; os.fork()")
        self.assertEqual(status, 1)
        self.assertIn(b"PermissionError", errors)
        self.assertEqual(leaf("-c", "import subprocess as s; print(s.run(['echo', 'x'], "
                              "stdout=-1).stdout)")[1], b"b'x\\n'\n")

    def test_command_line_in_proc(self):
        self.assertIn(b"template.py", leaf("-c", "print(open('/proc/self/cmdline').read())")[1])


class Random(unittest.TestCase):
    def test_no_two_leaves_draw_the_same(self):
        drawn = [leaf("-c", "import random, secrets, uuid, tempfile; print(random.random(), "
                      "random.SystemRandom().random(), secrets.token_hex(), uuid.uuid4(), "
                      "next(tempfile._get_candidate_names()))")[1].split() for _ in range(20)]
        for kind in zip(*drawn):
            self.assertEqual(len(set(kind)), 20)


class Import(unittest.TestCase):
    def told(self, template, *texts):
        status, _, errors = leaf("-c", "", template=template)
        self.assertEqual(status, 125)
        shown = subprocess.run([os.environ["SPAWN"], "--socket", service.socket, "status"],
                               capture_output=True, timeout=60, check=True).stdout
        self.assertIn(texts[0], errors)
        for text in texts:
            self.assertIn(text, shown)
        self.assertEqual(leaf("-c", "print(1)")[1], b"1\n")

    def test_module_that_is_not_there(self):
        self.told("missing", b'template "missing": module "no_such_module" not found (python '
                  b'template, preload)', b"Traceback")

    def test_module_that_fails(self):
        self.told("broken", b'template "broken": module "broken" cannot be imported: '
                  b'ZeroDivisionError: division by zero', b'broken.py", line 2')


class Virtual(unittest.TestCase):
    def test_environment_of_its_own(self):
        path = os.path.join(directory.name, "venv")
        subprocess.run([PYTHON, "-m", "venv", "--without-pip", path], check=True, timeout=60)
        version = os.listdir(f"{path}/lib")[0]
        pathlib.Path(f"{path}/lib/{version}/site-packages/only_here.py").write_text("x = 5\n")
        own = server.Server({"templates": {"venv": {
            "lane": "python", "python": f"{path}/bin/python", "preload": ["only_here"]}}})
        try:
            done = subprocess.run(
                [os.environ["SPAWN"], "--socket", own.socket, "-t", "venv", "--", "-c",
                 "import sys, only_here; print(only_here.x, sys.prefix != sys.base_prefix)"],
                capture_output=True, timeout=60,
                env={"LD_LIBRARY_PATH": os.environ["LD_LIBRARY_PATH"], "PATH": "/usr/bin"})
            self.assertEqual((done.stdout, done.stderr), (b"5 True\n", b""))
        finally:
            own.stop()
