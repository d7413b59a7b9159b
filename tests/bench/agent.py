# SPDX-License-Identifier: MIT
"""agent.py [N]: what an agent does all day, N (1000) short tools, by spawnd and by subprocess.

Each tool of the list in turn, the two ways in random order within each step, so that neither has
the warmer caches; outputs are compared. Then all of them in asyncio, 8 at a time. Prints medians,
99th percentiles, the ratio, and the whole loop's time.
"""

import asyncio
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import spawnd

AT_ONCE = 8
PIPE, DEVNULL = subprocess.PIPE, subprocess.DEVNULL


def make_project(path):
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", path]
    for n in range(20):
        with open(f"{path}/file{n}.c", "w") as file:
            file.write(f"int number{n}(void)\n{{\n\treturn {n};\n}}\n" * 20)
    for command in ["init", "-q"], ["add", "."], ["commit", "-q", "-m", "all"]:
        subprocess.run(git + command, check=True)


def tools(path):
    search = ["rg", "-n", "--sort", "path"] if shutil.which("rg") else ["grep", "-rn", "--exclude-dir=.git"]
    return {
        "git status": ["git", "-C", path, "status", "--short"],
        search[0]: [*search, "return 7", path],
        "sed": ["sed", "-n", "1,5p", f"{path}/file3.c"],
        "python -c": [sys.executable, "-S", "-c", "print(6 * 7)"],
    }


def sorted_lines(output):
    return b"".join(sorted(output.splitlines(True)))  # grep -r has the directory's order


def timed(run, argv):
    begin = time.perf_counter()
    done = run(argv, stdin=DEVNULL, stdout=PIPE, stderr=PIPE)
    return time.perf_counter() - begin, (done.returncode, sorted_lines(done.stdout), done.stderr)


def loop(commands, n):
    ways = {"subprocess.run": subprocess.run, "spawnd.run": spawnd.run}
    times = {way: {name: [] for name in commands} for way in ways}
    for i in range(n):
        name = list(commands)[i % len(commands)]
        seen = []
        for way in random.sample(list(ways), len(ways)):
            took, what = timed(ways[way], commands[name])
            times[way][name].append(took)
            seen.append(what)
        if seen[0] != seen[1]:
            sys.exit(f"{commands[name]}: not the same:\n{seen[0]}\n{seen[1]}")
    return times


async def all_at_once(create, commands, n):
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(argv):
        async with gate:
            process = await create(*argv, stdin=DEVNULL, stdout=PIPE, stderr=PIPE)
            output, errors = await process.communicate()
            return process.returncode, sorted_lines(output), errors

    names = list(commands)
    begin = time.perf_counter()
    seen = await asyncio.gather(*(one(commands[names[i % len(names)]]) for i in range(n)))
    return time.perf_counter() - begin, seen


def p99(values):
    return sorted(values)[len(values) * 99 // 100]


def main(n):
    os.environ["GIT_OPTIONAL_LOCKS"] = "0"  # several at once, and nobody is to meet their locks
    spawnd.run(["true"])  # the private host is there
    with tempfile.TemporaryDirectory(prefix="spawnd-agent-") as path:
        make_project(path)
        commands = tools(path)
        times = loop(commands, n)
        print(f"{n} tools each way, in turn; ms a tool, median (p99)\n")
        print(f"{'':<14}{'subprocess.run':>20}{'spawnd.run':>20}{'ratio':>8}")
        for name in commands:
            a, b = (times[way][name] for way in ("subprocess.run", "spawnd.run"))
            cells = [f"{statistics.median(t) * 1e3:.2f} ({p99(t) * 1e3:.2f})" for t in (a, b)]
            print(f"{name:<14}{cells[0]:>20}{cells[1]:>20}"
                  f"{statistics.median(a) / statistics.median(b):>8.2f}")
        whole = {way: sum(map(sum, times[way].values())) for way in times}
        print(f"{'all, s':<14}{whole['subprocess.run']:>20.2f}{whole['spawnd.run']:>20.2f}"
              f"{whole['subprocess.run'] / whole['spawnd.run']:>8.2f}")
        took = {}
        outputs = {}
        for name, create in random.sample([("subprocess.run", asyncio.create_subprocess_exec),
                                           ("spawnd.run", spawnd.asyncio.create_subprocess_exec)],
                                          2):
            took[name], outputs[name] = asyncio.run(all_at_once(create, commands, n))
        for i, seen in enumerate(zip(outputs["subprocess.run"], outputs["spawnd.run"])):
            if seen[0] != seen[1]:
                command = commands[list(commands)[i % len(commands)]]
                sys.exit(f"asyncio: {command}: not the same:\n{seen[0]}\n{seen[1]}")
        print(f"{'asyncio, s':<14}{took['subprocess.run']:>20.2f}{took['spawnd.run']:>20.2f}"
              f"{took['subprocess.run'] / took['spawnd.run']:>8.2f}   {AT_ONCE} at a time")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
