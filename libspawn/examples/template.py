# SPDX-License-Identifier: MIT
"""
A template of lane "program" in Python, by ctypes alone: tells which of its arguments are files with
valid JSON. By hand: python3 template.py FILE... As a template:

    "json": {"lane": "program", "program": "/usr/bin/python3", "args": ["/path/to/template.py"]}

    spawn -t json -- FILE...
"""

import ctypes
import gc
import json
import os
import signal
import sys


class Hooks(ctypes.Structure):
    """struct spawn_template_hooks"""

    _fields_ = [("size", ctypes.c_size_t), ("before_fork", ctypes.c_void_p),
                ("after_fork", ctypes.c_void_p), ("before_wait", ctypes.c_void_p),
                ("in_leaf", ctypes.c_void_p), ("user", ctypes.c_void_p)]


def address(function):
    return ctypes.cast(function, ctypes.c_void_p)


def serve():
    """Does not return in the host. True in a leaf, where the interpreter knows what is new; False in
    a process that spawnd did not start."""
    # PyDLL keeps the interpreter's lock, which the hooks are to be called with: what os.fork() calls
    # around a fork, which reseeds random, among others.
    library = ctypes.PyDLL("libspawn-template.so.0")
    python = ctypes.pythonapi
    hooks = Hooks(ctypes.sizeof(Hooks), address(python.PyOS_BeforeFork),
                  address(python.PyOS_AfterFork_Parent), address(python.PyOS_AfterFork_Child), None, None)
    argc, argv = ctypes.c_int(), ctypes.POINTER(ctypes.c_char_p)()

    # What is garbage now, and what is none, stays in pages that all leaves share.
    gc.collect()
    gc.freeze()
    # Buffers of Python's own, which the library does not know of.
    sys.stdout.flush()
    sys.stderr.flush()
    r = library.spawn_template_serve(ctypes.byref(argc), ctypes.byref(argv), ctypes.byref(hooks))
    if r < 0:
        raise OSError(-r, "spawn_template_serve")
    if r == 0:
        return False

    sys.argv = [os.fsdecode(argv[i]) for i in range(argc.value)]
    take_environment(ctypes.POINTER(ctypes.c_char_p).in_dll(python, "environ"))
    sys.stdout.reconfigure(line_buffering=sys.stdout.isatty())
    # As after exec all have their default actions but those that the caller ignores. These are
    # Python's own.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    if signal.SIGINT not in ignored():
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return True


def ignored():
    """By the kernel: what Python remembers is of the host."""
    with open("/proc/self/status", encoding="utf-8") as status:
        mask = next(int(line.split()[1], 16) for line in status if line.startswith("SigIgn"))
    return {number for number in signal.valid_signals() if mask >> (number - 1) & 1}


def take_environment(environ):
    """os.environ is what it was when the interpreter started."""
    variables = []
    while environ[len(variables)] is not None:
        variables.append(environ[len(variables)])
    os.environb.clear()
    os.environb.update(variable.split(b"=", 1) for variable in variables if b"=" in variable)


def check(name):
    try:
        with open(name, encoding="utf-8") as file:
            json.load(file)
    except ValueError as error:
        print(f"{name}: {error}")
        return False
    print(f"{name}: valid")
    return True


if __name__ == "__main__":
    serve()
    sys.exit(0 if all([check(name) for name in sys.argv[1:]]) else 1)
