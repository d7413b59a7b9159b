# SPDX-License-Identifier: MIT
"""What the manual pages and libspawn/examples show is compiled, runs, and does what they say."""

import glob
import os
import re
import subprocess
import sys
import tempfile
import unittest

import server

SOURCE = os.environ["SOURCE_ROOT"]
BUILD = os.environ["BUILD_ROOT"]
PAGES = sorted(glob.glob(f"{SOURCE}/libspawn/man/*.3"))
WARNINGS = ["-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror"]
# Around an example that is no whole program: these, and main().
INCLUDES = ["err", "errno", "fcntl", "poll", "signal", "stdio", "stdlib", "string", "sys/resource",
            "sys/wait", "unistd", "libspawn"]
PATIENCE = 120


# A leaf of template.py's that tells what it finds.
LEAF = """
import os, random, signal, sys
import template

calls = []
os.register_at_fork(before=lambda: calls.append("before"),
                    after_in_parent=lambda: calls.append("parent"),
                    after_in_child=lambda: calls.append("child"))
os.environ["OF_THE_HOST"] = "1"
template.serve()
print(sys.argv[1:], os.environ.get("OF_THE_HOST"), os.environ["OF_THE_LEAF"], os.getcwd())
print(*calls[:2], *calls[-2:])
print(random.random())
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    sys.exit(7)
"""


def program(name):
    return f"{BUILD}/libspawn/examples/example-{name}"


def python_template(*args, **env):
    """By the interpreter itself: what starts it in a shell is not the process that serves."""
    return {"lane": "program", "program": os.path.realpath(sys.executable), "args": args,
            "env": {"LD_LIBRARY_PATH": f"{BUILD}/server", "PYTHONDONTWRITEBYTECODE": "1", **env}}


def setUpModule():
    server.CONFIG["templates"].update({
        "primes": {"lane": "program", "program": program("template")},
        "json": python_template(f"{SOURCE}/libspawn/examples/template.py"),
        "python": python_template("-c", LEAF, PYTHONPATH=f"{SOURCE}/libspawn/examples"),
    })
    server.start()


def tearDownModule():
    server.stop()


def section(text, name):
    found = re.search(rf"^\.Sh {name}\n(.*?)(?=^\.Sh |\Z)", text, re.M | re.S)
    return found.group(1) if found else None


def example(page):
    """The program of a page, and what it prints."""
    with open(page) as file:
        text = section(file.read(), "EXAMPLES") or ""
    found = re.search(r"^\.Bd -literal\n(.*?)^\.Ed$", text, re.M | re.S)
    if not found:
        return None, None
    code = re.sub(r"^\\&", "", found.group(1), flags=re.M).replace(r"\e", "\\")
    prints = "".join(line + "\n" for line in re.findall(r'^\.\\" > (.*)$', text, re.M))
    if "main(" not in code:
        includes = "".join(f"#include <{name}.h>\n" for name in INCLUDES)
        code = f"{includes}\nint main(void)\n{{\n{code}return 0;\n}}\n"
    return code, prints


def run(*argv):
    end = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                         timeout=PATIENCE)
    return end.returncode, end.stdout, end.stderr


class ManualPages(unittest.TestCase):
    def test_each_page_has_an_example_that_compiles_and_prints_what_it_says(self):
        self.assertGreater(len(PAGES), 5)
        for page in PAGES:
            with self.subTest(os.path.basename(page)), tempfile.TemporaryDirectory() as tmp:
                code, prints = example(page)
                self.assertIsNotNone(code, "no EXAMPLES with a program")
                with open(f"{tmp}/example.c", "w") as file:
                    file.write(code)
                status, _, errors = run(
                    *os.environ["CC"].split(), *WARNINGS, f"-I{SOURCE}/libspawn/include",
                    f"{tmp}/example.c", "-o", f"{tmp}/example", f"-L{BUILD}/libspawn",
                    f"-L{BUILD}/server",
                    "-lspawn-template" if "libspawn-template.h" in code else "-lspawn")
                self.assertEqual(status, 0, errors)
                self.assertEqual(run(f"{tmp}/example"), (0, prints, ""))

    def test_each_public_function_has_a_page(self):
        functions = []
        for symbols in glob.glob(f"{SOURCE}/libspawn/*.sym"):
            with open(symbols) as file:
                functions += re.findall(r"^\t(spawn_\w+);$", file.read(), re.M)
        with open(f"{SOURCE}/libspawn/man/meson.build") as file:
            pages = set(re.findall(r"'(spawn_\w+)'", file.read()))
        self.assertGreater(len(functions), 50)
        self.assertEqual([name for name in functions if name not in pages], [])

    def test_each_page_says_returns_errors_and_thread_safety(self):
        for page in PAGES:
            with self.subTest(os.path.basename(page)), open(page) as file:
                text = file.read()
                for name in ("RETURN VALUE", "ERRORS", "THREAD SAFETY"):
                    self.assertIsNotNone(section(text, name), name)


class Examples(unittest.TestCase):
    def expect(self, argv, lines, status=0):
        end = run(*argv)
        self.assertEqual((end[0], sorted(end[1].split("\n")[:-1])), (status, sorted(lines)), end[2])

    def test_sync(self):
        status, _, errors = run(program("sync"), "probe", "exit", "3")
        self.assertEqual((status, errors), (1, "exit status 3\n"))

    def test_poll(self):
        status, output, errors = run(program("poll"), "probe", "umask", "cwd")
        self.assertEqual((status, errors), (0, ""))
        self.assertTrue({"umask: 0", "cwd: 0"} <= set(output.split("\n")), output)

    def test_private(self):
        self.expect([program("private"), "true", "false"], ["true: status 0", "false: status 1"],
                    status=1)

    def test_epoll(self):
        self.expect([program("epoll"), "exit 3", "kill -TERM $$", "true"],
                    ["exit 3: status 3", "kill -TERM $$: signal 15", "true: status 0"])

    def test_uv(self):
        self.expect([program("uv"), "exit 3", "kill -TERM $$", "true"],
                    ["exit 3: status 3", "kill -TERM $$: signal 15", "true: status 0"])

    def test_threads(self):
        self.expect([program("threads"), "4", "exit 5"], ["exit 5: 4 of 4 ended with 5"])

    def test_asyncio(self):
        self.expect([sys.executable, f"{SOURCE}/libspawn/examples/tools.py", "echo one", "exit 3"],
                    ["echo one: status 0: one", "exit 3: status 3:"])

    def test_template_by_hand(self):
        self.expect([program("template"), "7", "8"], ["7: prime", "8: no prime"], status=1)

    def test_template(self):
        status, output, errors = run(program("sync"), "primes", "9999991", "9999993")
        self.assertEqual((status, output, errors),
                         (1, "9999991: prime\n9999993: no prime\n", "exit status 1\n"))

    def test_template_in_python(self):
        with tempfile.TemporaryDirectory() as tmp:
            for name, text in ("good", '{"a": [1]}'), ("bad", "{"):
                with open(f"{tmp}/{name}", "w") as file:
                    file.write(text)
            lines = [f"{tmp}/good: valid", f"{tmp}/bad: Expecting property name enclosed in double "
                     "quotes: line 1 column 2 (char 1)"]
            by_hand = [sys.executable, f"{SOURCE}/libspawn/examples/template.py"]
            for argv in by_hand, [program("sync"), "json"]:
                with self.subTest(argv[0]):
                    self.expect([*argv, f"{tmp}/good"], lines[:1])
                    self.expect([*argv, f"{tmp}/good", f"{tmp}/bad"], lines, status=1)

    def test_leaf_of_a_template_in_python_knows_what_is_new(self):
        drawn = set()
        os.environ["OF_THE_LEAF"] = "yes"
        for _ in range(6):
            status, output, errors = run(program("sync"), "python", "one", "two words")
            self.assertEqual((status, errors), (1, "exit status 7\n"))
            seen, calls, random = output.splitlines()
            self.assertEqual(seen, f"['one', 'two words'] None yes {os.getcwd()}")
            self.assertEqual(calls, "before parent before child")
            drawn.add(random)
        self.assertEqual(len(drawn), 6)
