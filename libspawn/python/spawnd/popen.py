# SPDX-License-Identifier: MIT
"""subprocess.Popen, whose process libspawn starts."""

import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Dict, Optional

from . import library
from .child import Child
from .client import Client, default
from .request import Request

GRACE = 5.0  # as spawn(1)


def _not_served(argument: str, why: str) -> NotImplementedError:
    return NotImplementedError(f"{argument} is not served: {why}")


def _refuse(preexec_fn: Any, process_group: Optional[int], own: bool) -> None:
    if preexec_fn is not None:
        raise _not_served("preexec_fn", "it runs in a copy of this process, and none is made; have "
                          "the program do it, or use subprocess")
    if process_group not in (None, -1, 0) and not own:
        raise _not_served("process_group", "a process of the server's is in no session of ours; "
                          "with owner=\"server\" it can lead a group of its own, "
                          "process_group=0, or leave owner out")


def _is_own(owner: Optional[str], template: Optional[str]) -> bool:
    if owner is None:
        return template is None
    if owner not in ("caller", "server"):
        raise ValueError(f"owner={owner!r} is nobody: \"caller\" or \"server\"")
    if owner == "caller" and template is not None:
        raise ValueError("owner=\"caller\" is for programs, and template= is of the server's: "
                         "leave one of them out")
    return owner == "caller"


def _inheritable_fds() -> Dict[int, int]:
    fds = {}
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        try:
            if fd > 2 and os.get_inheritable(fd):
                fds[fd] = fd
        except OSError:
            pass  # that of the list itself
    return fds


class Popen(subprocess.Popen[Any]):
    """subprocess.Popen without fork: see docs/python.md for what differs.

    template: of the server's configuration; args then are the arguments behind argv[0], or, for one
    of lane exec, executable is the program and args all of argv. None: any program.
    owner: whose child it is, "caller" or "server"; by default the caller's if it is a program.
    nofork: "off", "copy" or "process"; by default the template's.
    deadline: seconds after which the server ends it by SIGTERM, and grace seconds later by SIGKILL,
    also when the caller is gone.
    client: the connection to use; by default one that all of this process share.

    The attribute nofork says in full words what holds for it.
    """

    # A subclass, since all that is hard in subprocess.Popen is how it treats its pipes, and that
    # differs from version to version. What starts a process, waits for it and signals it is four
    # methods, whose arguments are the same from 3.9 to 3.13 but for the last of _execute_child:
    # those are replaced, whole. tests/python/ runs subprocess beside it and tells when a new
    # version has other ideas.

    nofork: str
    _child: Child
    _waitpid_lock: Any
    if TYPE_CHECKING:
        _child_created: bool

        def _close_pipe_fds(self, *fds: int) -> None: ...

    def __init__(self, args: Any, bufsize: int = -1, executable: Any = None, stdin: Any = None,
                 stdout: Any = None, stderr: Any = None, preexec_fn: Any = None,
                 close_fds: bool = True, shell: bool = False, cwd: Any = None, env: Any = None,
                 universal_newlines: Optional[bool] = None, startupinfo: Any = None,
                 creationflags: int = 0, restore_signals: bool = True,
                 start_new_session: bool = False, pass_fds: Any = (), *, user: Any = None,
                 group: Any = None, extra_groups: Any = None, encoding: Optional[str] = None,
                 errors: Optional[str] = None, text: Optional[bool] = None, umask: int = -1,
                 pipesize: int = -1, process_group: Optional[int] = None,
                 template: Optional[str] = None, owner: Optional[str] = None,
                 nofork: Optional[str] = None, deadline: Optional[float] = None,
                 grace: float = GRACE, client: Optional[Client] = None) -> None:
        own = _is_own(owner, template)
        _refuse(preexec_fn, process_group, own)
        if nofork is not None and nofork not in library.NOFORK_LEVELS:
            raise ValueError(f"nofork={nofork!r} is no level: \"off\", \"copy\" or \"process\"")
        if deadline is not None and own:
            raise ValueError("deadline is kept by a server: give owner=\"server\", or wait with a "
                             "timeout")
        if deadline is not None and deadline <= 0:
            raise ValueError("deadline is a time from now, in seconds: give more than 0")
        if template is not None and shell:
            raise ValueError("shell is a program, and template= has its own: leave one of them out")
        self._template, self._own, self._level = template, own, nofork
        self._deadline, self._grace, self._client = deadline, grace, client
        self._holders = 0
        self._new_session, self._group_to_join = start_new_session, process_group
        # pipesize is known from 3.10 on
        later: Any = {} if pipesize == -1 else {"pipesize": pipesize}
        super().__init__(args, bufsize=bufsize, executable=executable, stdin=stdin, stdout=stdout,
                         stderr=stderr, close_fds=close_fds, shell=shell, cwd=cwd, env=env,
                         universal_newlines=universal_newlines, startupinfo=startupinfo,
                         creationflags=creationflags, restore_signals=restore_signals,
                         pass_fds=pass_fds, user=user, group=group, extra_groups=extra_groups,
                         encoding=encoding, errors=errors, text=text, umask=umask, **later)

    def _execute_child(self, args: Any, executable: Any, preexec_fn: Any, close_fds: bool,
                       pass_fds: Any, cwd: Any, env: Any, startupinfo: Any, creationflags: int,
                       shell: bool, p2cread: int, p2cwrite: int, c2pread: int, c2pwrite: int,
                       errread: int, errwrite: int, restore_signals: bool, gid: Any, gids: Any,
                       uid: Any, umask: int, *rest: Any) -> None:
        if isinstance(args, os.PathLike) and shell:
            raise TypeError("path-like args is not allowed when shell is true")
        argv = [args] if isinstance(args, (str, bytes, os.PathLike)) else list(args)
        if shell:
            argv = [executable or "/bin/sh", "-c", *argv]
        becomes_program = self._template is None or executable is not None
        if executable is None:
            executable = argv[0] if becomes_program else self._template
        if becomes_program and not argv:
            raise ValueError("args is empty: a program has at least its own name, argv[0]")
        sys.audit("subprocess.Popen", executable, argv, cwd, env)

        fds = {} if close_fds else _inheritable_fds()
        for fd in map(int, pass_fds):
            if fd < 0:
                raise ValueError("bad value(s) in fds_to_keep")
            fds[fd] = fd
        fds.update((target, fd) for target, fd in enumerate((p2cread, c2pwrite, errwrite))
                   if fd != -1)

        with Request(self._template) as request:
            if becomes_program:
                request.program(executable)
                request.argv0(argv[0])
                request.args(argv[1:])
            else:
                request.args(argv)
            request.env(env)
            if cwd is not None:
                request.chdir(cwd)
            request.fds(fds)
            if umask >= 0:
                request.umask(umask)
            if self._new_session:
                request.session()
            if self._group_to_join not in (None, -1):
                request.process_group(self._group_to_join)
            request.credentials(uid, gid, gids)
            request.ignore_as_caller(restore_signals)
            request.owner(library.OWNER_CALLER if self._own else library.OWNER_SERVER)
            if self._level is not None:
                request.nofork(library.NOFORK_LEVELS[self._level])
            if self._deadline is not None:
                request.deadline(self._deadline, self._grace)
            client = self._client or default(self._own)
            self._waitpid_lock = threading.RLock()  # a signal's handler may want it meanwhile
            self._child = Child()
            try:
                client.start(request, self._child, cwd, self._own)
            finally:
                # Also when a signal's handler raised meanwhile: then nobody has this object, which
                # sees to it that the process is reaped, as of any that is dropped.
                if self._child.is_started:
                    self._child.open()
                    self.pid = self._child.pid
                    self.nofork = self._child.nofork
                    self._child_created = True
        self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)

    def _check_maker(self) -> None:
        """In a child of fork, another thread of the parent may have held the lock: not for here."""
        if self._child.maker != os.getpid():
            raise ChildProcessError(f"process {self.pid} was started by process "
                                    f"{self._child.maker}, which alone can wait for or signal it")

    # As long as somebody holds it the pidfd is open, and the handle is there; else it is freed as
    # soon as the return code is known. A signal's handler, which may run in between, included.

    def _hold(self) -> int:
        with self._waitpid_lock:
            self._holders += 1
            return self._child.pidfd

    def _let_go(self) -> None:
        with self._waitpid_lock:
            self._holders -= 1
            if self.returncode is not None and self._holders == 0:
                self._child.free()

    def _collect(self) -> None:
        """With the lock."""
        if self.returncode is not None:
            return
        self._hold()
        try:
            code = self._child.collect()
            if self.returncode is None:
                self.returncode = code
        finally:
            self._let_go()

    def _internal_poll(self, _deadstate: Optional[int] = None) -> Optional[int]:
        if self.returncode is not None:
            return self.returncode
        try:
            self._check_maker()
            if not self._waitpid_lock.acquire(False):
                return None  # another thread is about to know
            try:
                self._collect()
            finally:
                self._waitpid_lock.release()
        except OSError:
            if _deadstate is None:
                raise
            self.returncode = _deadstate
        return self.returncode

    def _wait(self, timeout: Optional[float]) -> Optional[int]:
        if self.returncode is not None:
            return self.returncode
        self._check_maker()
        until = None if timeout is None else time.monotonic() + timeout
        with self._waitpid_lock:
            if self.returncode is not None:
                return self.returncode
            self._hold()
        try:
            while self.returncode is None:
                if not self._child.await_end(until):
                    assert timeout is not None
                    raise subprocess.TimeoutExpired(self.args, timeout)
                with self._waitpid_lock:
                    self._collect()
        finally:
            self._let_go()
        return self.returncode

    def send_signal(self, sig: int) -> None:
        """By the pidfd; nothing when it is known to be over."""
        if self.returncode is not None:
            return
        self._check_maker()
        with self._waitpid_lock:
            self._collect()
            if self.returncode is not None:
                return
            self._hold()
            try:
                self._child.signal(sig)
            except ProcessLookupError:
                pass
            finally:
                self._let_go()
