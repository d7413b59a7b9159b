# SPDX-License-Identifier: MIT
"""What libspawn could not do, as exceptions."""

import errno
import os
from typing import Any, Optional

from . import library


class Error(OSError):
    """A failure that subprocess does not know: of the server, its policy, a limit, a template.

    errno is the number; strerror names the thing and the way out; origin says who noticed
    ("client", "wire", "policy", "pool", "host", "leaf") and step what was being done. EAGAIN means
    that nothing was started and a retry is worth it, EINPROGRESS that the outcome is unknown.
    """

    def __init__(self, code: int, message: str, origin: str, step: str) -> None:
        super().__init__(code, message)
        self.origin = origin
        self.step = step


def told(failure: library.SpawnError) -> Error:
    return Error(-failure.code, failure.message.decode(errors="replace"),
                 library.origin_name(failure.origin).decode(), failure.step.decode())


def not_started(failure: library.SpawnError, program: Any, cwd: Any, own: bool) -> OSError:
    """As subprocess says it, where it would: the program or the directory by name."""
    code, step = -failure.code, failure.step
    if step == b"exec" and failure.origin != _POLICY:
        return OSError(code, os.strerror(code), program)
    if step == b"chdir" and cwd is not None:
        return OSError(code, os.strerror(code), cwd)
    if code == errno.E2BIG:
        return OSError(code, failure.message.decode(errors="replace"), program)
    if step in _OF_THE_PROCESS:
        return OSError(code, os.strerror(code))
    if step == b"fds" or (own and step == b"fork"):
        return OSError(code, failure.message.decode(errors="replace"))
    return told(failure)


def check(result: int, filename: Any = None) -> None:
    """Of the functions that make a request: they say no more than the number."""
    if result < 0:
        raise OSError(-result, os.strerror(-result), filename)


_POLICY = 3
# where subprocess's child says no more than the number
_OF_THE_PROCESS = b"groups", b"gid", b"uid", b"session", b"group"


def unknown_status(pid: Optional[int]) -> ChildProcessError:
    return ChildProcessError(
        errno.ECHILD, f"the exit status of process {pid} cannot be known: another wait of this "
        "process, or SIGCHLD ignored, took it, or the server was lost with it")
