# SPDX-License-Identifier: MIT
"""What to start."""

import ctypes
import os
import signal
from types import TracebackType
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Type

from . import library
from .error import check


def text(value: Any) -> bytes:
    """As execve(2) takes it; a NUL would end it for ctypes, silently."""
    encoded = os.fsencode(value)
    if b"\0" in encoded:
        raise ValueError("embedded null byte")
    return encoded


def _strings(values: Sequence[Optional[bytes]]) -> "ctypes.Array[ctypes.c_char_p]":
    return (ctypes.c_char_p * len(values))(*values)


def _entries(env: Optional[Mapping[Any, Any]]) -> Iterable[bytes]:
    if env is None:
        # Not libspawn's own look at environ, which must not meet another thread's setenv(): it
        # is made without the interpreter's lock, that keeps such threads apart.
        for name in list(os.environb):
            value = os.environb.get(name)
            if value is not None:
                yield name + b"=" + value
        return
    for key, value in env.items():
        name = text(key)
        if b"=" in name:
            raise ValueError("illegal environment variable name")
        yield name + b"=" + text(value)


_RESTORED = 1 << (signal.SIGPIPE - 1) | 1 << (signal.SIGXFSZ - 1)


def _ignored_signals() -> Optional[int]:
    """By the kernel's word: signal.getsignal() does not know what a library in C has set."""
    try:
        fd = os.open("/proc/thread-self/status", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        status = os.read(fd, 8192)
    finally:
        os.close(fd)
    at = status.find(b"\nSigIgn:\t")
    return int(status[at + 9:at + 25], 16) if at >= 0 else None


def _ignored_as_python_knows() -> int:
    mask = 0
    for number in signal.valid_signals():
        if signal.getsignal(number) == signal.SIG_IGN:
            mask |= 1 << (number - 1)
    return mask


class Request:
    def __init__(self, template: Optional[str]) -> None:
        self.name: Any = template  # that an error is to name
        self.handle: Optional[int] = library.request_new(
            None if template is None else text(template))
        if not self.handle:
            raise MemoryError("no memory for a request")

    def __enter__(self) -> "Request":
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], value: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        handle, self.handle = self.handle, None
        library.request_free(handle)

    def program(self, name: Any) -> None:
        # The PATH of the environment that the child gets, which is this process's where none is
        # given: subprocess has it so.
        self.name = name
        check(library.request_path_search(self.handle, text(name), library.PATH_CHILD), name)

    def args(self, args: Sequence[Any]) -> None:
        encoded = [text(arg) for arg in args]
        check(library.request_args(self.handle, len(encoded), _strings(encoded)), self.name)

    def argv0(self, name: Any) -> None:
        check(library.request_argv0(self.handle, text(name)), self.name)

    def env(self, env: Optional[Mapping[Any, Any]]) -> None:
        entries: List[Optional[bytes]] = [*_entries(env), None]
        check(library.request_env(self.handle, _strings(entries)), self.name)

    def chdir(self, path: Any) -> None:
        check(library.request_chdir(self.handle, text(path)), path)

    def fds(self, fds: Dict[int, int]) -> None:
        for target, fd in fds.items():
            check(library.request_fd(self.handle, fd, target))

    def umask(self, mask: int) -> None:
        check(library.request_umask(self.handle, mask & 0o777))

    def session(self) -> None:
        check(library.request_session(self.handle, True))

    def process_group(self, group: Optional[int]) -> None:
        check(library.request_process_group(self.handle, group))

    def credentials(self, uid: Optional[int], gid: Optional[int],
                    gids: Optional[Sequence[int]]) -> None:
        """What subprocess has made of user, group and extra_groups; None and -1 are none."""
        user, group = (value if value is not None and value >= 0 else None for value in (uid, gid))
        if user is None and group is None and gids is None:
            return
        groups = os.getgroups() if gids is None else list(gids)
        check(library.request_credentials(
            self.handle, os.geteuid() if user is None else user,
            os.getegid() if group is None else group, len(groups),
            (ctypes.c_uint * len(groups))(*groups)))

    def ignore_as_caller(self, restore_signals: bool) -> None:
        mask = _ignored_signals()
        if mask is None:
            mask = _ignored_as_python_knows()
        if restore_signals:
            mask &= ~_RESTORED
        # sigset_t of Linux: 1024 bits, a signal's is the one before its number
        check(library.request_ignore(self.handle, (ctypes.c_uint64 * 16)(mask)))

    def owner(self, owner: int) -> None:
        check(library.request_owner(self.handle, owner))

    def nofork(self, level: int) -> None:
        check(library.request_nofork(self.handle, level))

    def deadline(self, seconds: float, grace: float) -> None:
        check(library.request_deadline(self.handle, max(1, round(seconds * 1000)),
                                       round(grace * 1000)))
