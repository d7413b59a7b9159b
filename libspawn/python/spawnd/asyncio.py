# SPDX-License-Identifier: MIT
"""asyncio's subprocesses, which libspawn starts, and pidfds wait for."""

import asyncio
import signal
import subprocess
from asyncio import base_subprocess
from asyncio.log import logger
from asyncio.subprocess import Process, SubprocessStreamProtocol
from typing import TYPE_CHECKING, Any, Callable, Dict, Set

from . import client
from .popen import Popen

PIPE, STDOUT, DEVNULL = subprocess.PIPE, subprocess.STDOUT, subprocess.DEVNULL
_LIMIT = 2**16  # asyncio's own

_UNKNOWN = 255  # as asyncio's watchers say it


class _Transport(base_subprocess.BaseSubprocessTransport):
    """asyncio's, with a process that is there already."""

    if TYPE_CHECKING:
        _loop: asyncio.AbstractEventLoop
        _proc: Any

        def _process_exited(self, returncode: int) -> None: ...

        def _check_proc(self) -> None: ...

        async def _wait(self) -> int: ...

    def _start(self, args: Any, shell: Any, stdin: Any, stdout: Any, stderr: Any, bufsize: int,
               **kwargs: Any) -> None:
        self._proc = kwargs["popen"]

    def watch(self) -> None:
        popen: Popen = self._proc
        pidfd = popen._hold()
        self._loop.add_reader(pidfd, self._over, popen, pidfd)

    def _over(self, popen: Popen, pidfd: int) -> None:
        self._loop.remove_reader(pidfd)
        if popen._own:
            self._collected(popen)
            return
        # The server's record is on the way, and perhaps the server is to be connected anew.
        waiting = self._loop.run_in_executor(None, _quietly, popen.wait)
        waiting.add_done_callback(lambda _: self._collected(popen))

    def _collected(self, popen: Popen) -> None:
        _quietly(popen.poll)
        popen._let_go()
        if popen.returncode is None:
            logger.warning("the exit status of process %d cannot be known: reported as %d",
                           popen.pid, _UNKNOWN)
        self._process_exited(_UNKNOWN if popen.returncode is None else popen.returncode)

    # By the pidfd, where asyncio from 3.13 on uses the pid: the server may have reaped it.

    def send_signal(self, signal: int) -> None:
        self._check_proc()
        self._proc.send_signal(signal)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _quietly(wait: Callable[[], Any]) -> None:
    try:
        wait()
    except OSError:
        pass


def _make(mask: Set[Any], args: Any, options: Dict[str, Any]) -> Popen:
    """In a thread of the executor, with the signal mask of the loop's, which the process gets."""
    before = signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    try:
        return Popen(args, bufsize=0, **options)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end(popen: Popen) -> None:
    popen.kill()
    with popen:
        pass


async def _settled(future: "asyncio.Future[Any]") -> None:
    """Whatever cancels the task meanwhile: who comes by a process is to have it."""
    while not future.done():
        try:
            await asyncio.wait({future})
        except asyncio.CancelledError:
            pass


async def _start(args: Any, limit: int, options: Dict[str, Any]) -> Process:
    for name in ("universal_newlines", "text", "encoding", "errors"):
        if options.pop(name, None):
            raise ValueError(f"{name} is not for streams, which are of bytes: decode what is read")
    if options.pop("bufsize", 0) != 0:
        raise ValueError("bufsize must be 0")
    loop = asyncio.get_running_loop()
    if options.get("client") is None and options.get("template") is None and \
            options.get("owner") in (None, "caller"):
        # Here, not in a thread that may end before the program does: libspawn-private(7).
        client.default(own=True)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    starting = loop.run_in_executor(None, _make, mask, args, options)
    try:
        popen = await asyncio.shield(starting)
    except asyncio.CancelledError:
        await _settled(starting)
        if not starting.cancelled() and starting.exception() is None:
            await _settled(loop.run_in_executor(None, _end, starting.result()))
        raise
    protocol = SubprocessStreamProtocol(limit=limit, loop=loop)
    connected = loop.create_future()
    transport = _Transport(loop, protocol, args, options.get("shell", False),
                           options.get("stdin"), options.get("stdout"), options.get("stderr"), 0,
                           waiter=connected, popen=popen)
    transport.watch()
    try:
        await connected
    except BaseException:
        transport.close()
        await transport._wait()
        raise
    return Process(transport, protocol, loop)


async def create_subprocess_exec(program: Any, *args: Any, stdin: Any = None, stdout: Any = None,
                                 stderr: Any = None, limit: int = _LIMIT,
                                 **kwds: Any) -> Process:
    """asyncio.create_subprocess_exec, with template, owner, nofork, deadline, grace and client."""
    if kwds.get("shell"):
        raise ValueError("shell must be False: there is create_subprocess_shell")
    return await _start((program, *args), limit,
                        {**kwds, "stdin": stdin, "stdout": stdout, "stderr": stderr})


async def create_subprocess_shell(cmd: Any, stdin: Any = None, stdout: Any = None,
                                  stderr: Any = None, limit: int = _LIMIT,
                                  **kwds: Any) -> Process:
    """asyncio.create_subprocess_shell, likewise."""
    if not isinstance(cmd, (bytes, str)):
        raise ValueError("cmd must be a string")
    if not kwds.get("shell", True):
        raise ValueError("shell must be True: there is create_subprocess_exec")
    return await _start(cmd, limit, {**kwds, "shell": True, "stdin": stdin, "stdout": stdout,
                                     "stderr": stderr})
