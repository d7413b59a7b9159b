# SPDX-License-Identifier: MIT
"""A started process."""

import ctypes
import errno
import math
import operator
import os
import select
import time
from typing import Optional

from . import library
from .error import unknown_status

_POLL_MAX_MS = 2**31 - 1


class Child:
    """The handle of a process that is to be started. Who calls sees to it that free() is the last
    call."""

    def __init__(self) -> None:
        self.proc = ctypes.c_void_p()  # libspawn fills it in
        self.maker = os.getpid()
        self.pidfd = -1

    def __del__(self) -> None:
        self.free()

    @property
    def is_started(self) -> bool:
        return self.proc.value is not None

    @property
    def pid(self) -> int:
        pid: int = library.proc_pid(self.proc)
        return pid

    @property
    def nofork(self) -> str:
        words: bytes = library.proc_nofork(self.proc)
        return words.decode()

    def open(self) -> None:
        self.pidfd = library.proc_pidfd(self.proc)

    def free(self) -> None:
        proc, self.proc = self.proc, ctypes.c_void_p()
        self.pidfd = -1
        if proc.value is not None:
            library.proc_free(proc)

    def await_end(self, until: Optional[float]) -> bool:
        """Whether it is over by that time of the monotonic clock. In Python, not in libspawn, so
        that a signal's handler runs, and Ctrl-C interrupts it."""
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        while True:
            if until is None:
                left = _POLL_MAX_MS
            else:
                left = math.ceil(min(max(0, (until - time.monotonic()) * 1000), _POLL_MAX_MS))
            if poll.poll(left):
                return True
            if until is not None and left < _POLL_MAX_MS:
                return False

    def collect(self) -> Optional[int]:
        """The return code as subprocess has it, or None: it runs."""
        end = ctypes.c_void_p()
        result = library.proc_wait(self.proc, 0, ctypes.byref(end))
        if result == -errno.ETIMEDOUT:
            return None
        if result < 0:
            raise OSError(-result, f"wait for process {self.pid}: {os.strerror(-result)}")
        try:
            status: int = library.exit_status(end)
            number: int = library.exit_signal(end)
            if not library.exit_known(end) or (status < 0 and number == 0):
                raise unknown_status(self.pid)
            return -number if number else status
        finally:
            library.exit_free(end)

    def signal(self, number: int) -> None:
        """Through the pidfd: never another process. ProcessLookupError when it is over."""
        result = library.proc_kill(self.proc, operator.index(number))
        if result < 0:
            raise OSError(-result, os.strerror(-result))
