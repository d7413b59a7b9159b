# SPDX-License-Identifier: MIT
"""The connection to a server, or a private host's."""

import ctypes
import os
import threading
import weakref
from types import TracebackType
from typing import Any, Callable, Dict, Optional, Type

from . import library
from .child import Child
from .error import not_started, told
from .request import Request, text
from .state import State


class Client:
    """A connection, for Popen(client=...) and the like.

    Client(path) connects to the server at that socket; None is $SPAWND_SOCKET, the user's server or
    the system's, in that order. Client.private() needs none and starts programs alone, as children
    of this process. Any number of threads may use it at once; a child of os.fork() that uses it
    gets a connection of its own.
    """

    def __init__(self, path: Optional[Any] = None) -> None:
        encoded = None if path is None else text(path)
        self._open(lambda *ret: library.client_open(ret[0], encoded, ret[1]))

    @classmethod
    def private(cls) -> "Client":
        client = cls.__new__(cls)
        client._open(library.private_open)
        return client

    def _open(self, function: Callable[..., Any]) -> None:
        handle, failure = ctypes.c_void_p(), library.SpawnError()
        self._handle: Optional[int] = None
        self._closed = False
        self._renew()
        if function(ctypes.byref(handle), ctypes.byref(failure)) < 0:
            raise told(failure)
        self._handle = handle.value
        _clients.add(self)

    def _renew(self) -> None:
        """Also in a child of fork: of what other threads were at, nothing ends there."""
        self._lock = threading.RLock()  # a signal's handler may run, and use it, while it is held
        self._users = 0

    # libspawn wants the close to be the last call; another thread may be in one.

    def _enter(self) -> int:
        with self._lock:
            if self._closed or self._handle is None:
                raise ValueError("the client is closed: make another Client")
            self._users += 1
            return self._handle

    def _leave(self) -> None:
        with self._lock:
            self._users -= 1
            handle = self._take_if_unused()
        if handle is not None:
            library.client_close(handle)

    def _take_if_unused(self) -> Optional[int]:
        if not self._closed or self._users:
            return None
        handle, self._handle = self._handle, None
        return handle

    def close(self) -> None:
        """Processes that were started stay usable."""
        with self._lock:
            self._closed = True
            handle = self._take_if_unused()
        library.client_close(handle)

    def __del__(self) -> None:
        if getattr(self, "_handle", None) is not None:
            self._users = 0  # who was interrupted has not left
            self.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], value: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self.close()

    def ping(self) -> None:
        """A round trip."""
        failure = library.SpawnError()
        handle = self._enter()
        try:
            if library.client_ping(handle, ctypes.byref(failure)) < 0:
                raise told(failure)
        finally:
            self._leave()

    def status(self) -> State:
        """What the server is doing."""
        handle = self._enter()
        try:
            return State.ask(handle)
        finally:
            self._leave()

    def start(self, request: Request, child: Child, cwd: Any, own: bool) -> None:
        failure = library.SpawnError()
        handle = self._enter()
        try:
            if library.process(handle, request.handle, ctypes.byref(child.proc),
                               ctypes.byref(failure)) < 0:
                raise not_started(failure, request.name, cwd, own)
        finally:
            self._leave()


_clients: "weakref.WeakSet[Client]" = weakref.WeakSet()
_defaults: Dict[bool, Client] = {}
_defaults_lock = threading.RLock()


def default(own: bool) -> Client:
    """The one that this process has for its own children, or for the server's."""
    client = _defaults.get(own)
    if client is not None:
        return client
    with _defaults_lock:
        client = _defaults.get(own)
        if client is None:
            client = _defaults[own] = Client.private() if own else Client()
    return client


def status() -> State:
    """What the server is doing."""
    return default(own=False).status()


def _after_fork() -> None:
    global _defaults_lock
    _defaults_lock = threading.RLock()
    for client in list(_clients):
        client._renew()


os.register_at_fork(after_in_child=_after_fork)
