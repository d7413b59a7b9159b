# SPDX-License-Identifier: MIT
"""python_lane.py SPAWND [N]: how long until a process with these modules runs its first instruction.

N (1000) leaves of a template of lane "python", multiprocessing's forkserver with the same modules, and
N/20 cold interpreters that import them, in random order; leaves from a full pool, and from one that
has none left. In milliseconds from before the call: medians, 99th percentiles, ratios of medians.
"""

import json
import multiprocessing
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import spawnd

os.environ.pop("PYTHONPATH", None)  # of this module alone: a warm interpreter has its own path
MODULES = ["json", "asyncio", "ssl", "numpy"]
TELL = "import os, time; os.write(1, b'%d' % time.monotonic_ns())"
COLD = "import " + ", ".join(MODULES) + "; " + TELL
REFILL = 0.06  # a pool that was taken from waits 20 ms for a quiet moment, then forks


def tell(pipe):
    os.write(pipe.fileno(), b"%d" % time.monotonic_ns())


def since(begin, output):
    return (int(output) - begin) / 1e6


def by_leaf(template):
    begin = time.monotonic_ns()
    child = spawnd.Popen(["-c", TELL], template=template, stdout=subprocess.PIPE,
                         stdin=subprocess.DEVNULL)
    return since(begin, child.communicate()[0])


def hit():
    value = by_leaf("full")
    time.sleep(REFILL)
    return value


def miss():
    by_leaf("empty")  # the only one
    value = by_leaf("empty")
    time.sleep(REFILL)
    return value


def by_forkserver(context):
    near, far = os.pipe()
    pipe = os.fdopen(far, "wb", 0)
    connection = multiprocessing.connection.Connection(far, readable=False)
    begin = time.monotonic_ns()
    child = context.Process(target=tell, args=(connection,))
    child.start()
    value = since(begin, os.read(near, 64))
    child.join()
    child.close()
    os.close(near)
    connection._handle = None
    pipe.close()
    return value


def cold():
    begin = time.monotonic_ns()
    return since(begin, subprocess.run([sys.executable, "-c", COLD], stdout=subprocess.PIPE,
                                       check=True).stdout)


def start_server(path, program):
    template = {"lane": "python", "python": sys.executable, "preload": MODULES, "prestart": True}
    config = {"templates": {"full": {**template, "pool": {"size": 4, "low": 1}},
                            "empty": {**template, "pool": {"size": 1, "low": 0}}}}
    with open(f"{path}/spawnd.json", "w") as file:
        json.dump(config, file)
    os.mkdir(f"{path}/run", 0o700)
    os.environ["SPAWND_SOCKET"] = f"{path}/run/socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(f"{path}/notify")
        server = subprocess.Popen([program, "--user", "--config", f"{path}/spawnd.json", "--socket",
                                   os.environ["SPAWND_SOCKET"]], stderr=subprocess.DEVNULL,
                                  env={**os.environ, "NOTIFY_SOCKET": f"{path}/notify"})
        while b"READY=1" not in notify.recv(4096):
            pass
    return server


def measure(n):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(MODULES)
    ways = {"leaf, pool hit": hit, "leaf, pool miss": miss,
            "forkserver": lambda: by_forkserver(context), "cold": cold}
    runs = [way for way in ways for _ in range(n // 20 if way == "cold" else n)]
    for way in ways.values():
        for _ in range(3):
            way()
    random.shuffle(runs)
    times = {way: [] for way in ways}
    for way in runs:
        times[way].append(ways[way]())
    return times


def main():
    n = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    with tempfile.TemporaryDirectory(prefix="spawnd-", dir="/tmp") as path:
        server = start_server(path, sys.argv[1])
        try:
            times = measure(n)
        finally:
            server.terminate()
            server.wait()
    base = statistics.median(times["leaf, pool hit"])
    print(f"{'first Python instruction':26} {'n':>5} {'median ms':>10} {'p99 ms':>8} {'ratio':>7}")
    for way, values in times.items():
        values.sort()
        median = statistics.median(values)
        print(f"{way:26} {len(values):5} {median:10.3f} {values[len(values) * 99 // 100]:8.3f} "
              f"{median / base:7.1f}")


if __name__ == "__main__":
    main()
