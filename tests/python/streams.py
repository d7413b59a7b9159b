# SPDX-License-Identifier: MIT
"""asyncio's subprocesses and spawnd.asyncio's, side by side, for both owners."""

import asyncio
import os
import select
import signal
import tempfile
import threading
import unittest
from asyncio.subprocess import DEVNULL, PIPE, STDOUT

import server
import spawnd.asyncio
from cases import BIG, LONG, SOON, Way
from popen import descriptors
from process import child_of, descendants_that_run

WAYS = {
    "own": Way(spawnd.asyncio),
    "server": Way(spawnd.asyncio, owner="server"),
}
CASES = []


def setUpModule():
    server.start()
    for way in WAYS.values():  # the connections, which stay
        asyncio.run(return_codes(way))


def tearDownModule():
    server.stop()


def case(function):
    CASES.append(function)
    return function


async def outcome(awaitable):
    try:
        return await awaitable
    except asyncio.TimeoutError:
        return "TimeoutError"
    except OSError as e:
        return type(e).__name__, e.errno, e.filename
    except Exception as e:
        return type(e).__name__


@case
async def return_codes(m):
    seen = []
    for n in 0, 3, 255:
        p = await m.create_subprocess_exec("sh", "-c", f"exit {n}")
        seen.append((await p.wait(), p.returncode))
    return seen


@case
async def output_and_errors(m):
    p = await m.create_subprocess_shell("echo out; echo err >&2; exit 3", stdout=PIPE, stderr=PIPE)
    return await p.communicate(), p.returncode


@case
async def errors_into_output(m):
    p = await m.create_subprocess_shell("echo a; echo b >&2", stdout=PIPE, stderr=STDOUT)
    return await p.communicate(), p.stderr


@case
async def big_pipes_both_ways_without_deadlock(m):
    data = b"x" * BIG
    p = await m.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
    out, err = await p.communicate(data)
    return out == data, err, p.returncode


@case
async def lines_back_and_forth(m):
    p = await m.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
    seen = []
    for line in b"one\n", b"two\n":
        p.stdin.write(line)
        await p.stdin.drain()
        seen.append(await p.stdout.readline())
    p.stdin.close()
    return seen, await p.stdout.read(), await p.wait()


@case
async def input_that_nobody_reads_is_no_error(m):
    p = await m.create_subprocess_exec("true", stdin=PIPE)
    return await p.communicate(b"x" * BIG), p.returncode


@case
async def a_limit_of_lines(m):
    p = await m.create_subprocess_exec("echo", "x" * 1000, stdout=PIPE, limit=10)
    seen = await outcome(p.stdout.readline())
    await p.communicate()
    return seen


@case
async def missing_programs_and_directories(m):
    return [await outcome(m.create_subprocess_exec("no-such-program")),
            await outcome(m.create_subprocess_exec("/no/such", stdin=PIPE, stdout=PIPE)),
            await outcome(m.create_subprocess_exec("true", cwd="/no/such")),
            await outcome(m.create_subprocess_exec("/dev"))]


@case
async def arguments_that_streams_cannot_have(m):
    return [await outcome(m.create_subprocess_exec("true", **wrong))
            for wrong in ({"text": True}, {"encoding": "utf-8"}, {"universal_newlines": True},
                          {"bufsize": 1}, {"shell": True})] + [
        await outcome(m.create_subprocess_shell(["true"])),
        await outcome(m.create_subprocess_shell("true", shell=False))]


@case
async def a_timeout_of_wait_leaves_it_running(m):
    p = await m.create_subprocess_exec("sleep", LONG)
    seen = await outcome(asyncio.wait_for(p.wait(), SOON)), p.returncode
    p.kill()
    return seen, await p.wait()


@case
async def signals(m):
    seen = []
    for send in (lambda p: p.send_signal(signal.SIGUSR1), lambda p: p.terminate(),
                 lambda p: p.kill()):
        p = await m.create_subprocess_shell(f"echo up; exec sleep {LONG}", stdout=PIPE)
        await p.stdout.readline()
        send(p)
        seen.append(await p.wait())
    return seen


@case
async def many_wait_for_one(m):
    p = await m.create_subprocess_shell("read line; exit 5", stdin=PIPE)
    waiting = [asyncio.ensure_future(p.wait()) for _ in range(10)]
    p.stdin.close()
    return await asyncio.gather(*waiting)


@case
async def many_at_once(m):
    async def one(n):
        p = await m.create_subprocess_shell(f"cat; exit {n}", stdin=PIPE, stdout=PIPE)
        return await p.communicate(b"%d" % n), p.returncode

    return await asyncio.gather(*(one(n) for n in range(30)))


@case
async def the_signal_mask_of_the_loop_s_thread(m):
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
    try:
        p = await m.create_subprocess_exec("grep", "SigBlk", "/proc/self/status", stdout=PIPE)
        return await p.communicate()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@case
async def a_file_and_nothing_as_streams(m):
    with tempfile.TemporaryFile() as file:
        p = await m.create_subprocess_shell("cat; echo a", stdin=DEVNULL, stdout=file)
        await p.wait()
        file.seek(0)
        return file.read()


@case
async def its_transport_tells_the_pid(m):
    p = await m.create_subprocess_exec("true")
    transport = p._transport
    seen = transport.get_pid() == p.pid, transport.get_extra_info("subprocess").pid == p.pid
    await p.wait()
    return seen


def run(case, m):
    """Without its result's exceptions being lost in a loop that is torn down."""
    return asyncio.run(case(m))


def compare(case, way):
    def test(self):
        expected = run(case, asyncio)
        before = descriptors()
        self.assertEqual(run(case, way), expected)
        self.assertEqual(descriptors(), before)
    return test


class Same(unittest.TestCase):
    maxDiff = None


for _case in CASES:
    for _name, _way in WAYS.items():
        setattr(Same, f"test_{_name}_{_case.__name__}", compare(_case, _way))


class Loop(unittest.TestCase):
    def test_goes_on_while_a_start_waits(self):
        """A server that is stopped answers nothing; the loop runs on."""
        async def main():
            with spawnd.Client(server.server.socket) as client:
                broker = child_of(server.server.process.pid, "spawnd-broker")
                os.kill(broker, signal.SIGSTOP)
                try:
                    start = asyncio.ensure_future(spawnd.asyncio.create_subprocess_exec(
                        "echo", "late", stdout=PIPE, owner="server", client=client))
                    done, _ = await asyncio.wait({start}, timeout=SOON)
                    self.assertFalse(done)
                finally:
                    os.kill(broker, signal.SIGCONT)
                p = await start
                self.assertEqual(await p.communicate(), (b"late\n", None))

        asyncio.run(main())

    def test_a_start_that_is_cancelled_leaves_nothing(self):
        for owner in "caller", "server":
            before = descriptors()

            async def main():
                start = asyncio.ensure_future(spawnd.asyncio.create_subprocess_exec(
                    "sleep", LONG, stdin=PIPE, owner=owner))
                await asyncio.sleep(0)
                start.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await start

            asyncio.run(main())
            self.assertEqual(descriptors(), before)
            self.assertEqual(descendants_that_run("sleep"), [])

    def test_knows_the_end_of_what_a_signal_has_found_dead(self):
        async def main(owner):
            p = await spawnd.asyncio.create_subprocess_shell("read line", stdin=PIPE, owner=owner)
            pidfd = os.pidfd_open(p.pid)
            p.kill()
            select.select([pidfd], [], [])
            os.close(pidfd)
            p.kill()
            return await p.wait()

        for owner in "caller", "server":  # where asyncio says 255
            self.assertEqual(asyncio.run(main(owner)), -signal.SIGKILL)

    def test_a_process_dies_with_its_transport(self):
        async def main(owner):
            p = await spawnd.asyncio.create_subprocess_exec("sleep", LONG, owner=owner)
            p._transport.close()
            return await p.wait()

        for owner in "caller", "server":
            self.assertEqual(asyncio.run(main(owner)), -signal.SIGKILL)

    def test_in_a_thread_that_is_not_the_main_one(self):
        seen = []
        thread = threading.Thread(
            target=lambda: seen.append(asyncio.run(output_and_errors(WAYS["own"]))))
        thread.start()
        thread.join()
        self.assertEqual(seen, [((b"out\n", b"err\n"), 3)])

    def test_of_a_template(self):
        async def main():
            p = await spawnd.asyncio.create_subprocess_exec("exit", "4", template="probe")
            return await p.wait()

        self.assertEqual(asyncio.run(main()), 4)
