# SPDX-License-Identifier: MIT
"""What a server is doing."""

import ctypes
from dataclasses import dataclass
from typing import Any, List, Optional

from . import library
from .error import told


@dataclass(frozen=True)
class ServerState:
    version: str
    mode: str
    keeper_pid: int


@dataclass(frozen=True)
class TemplateState:
    name: str
    lane: str
    state: str
    nofork: str
    reason: str
    tail: str
    generation: int
    hits: int
    misses: int
    retry_ms: int
    parked: int
    launched: int
    queued: int
    host_pid: int
    uid: int


@dataclass(frozen=True)
class LeafState:
    template_name: str
    state: str
    nofork: str
    serial: int
    pid: int
    uid: int


def _taken(into: type, struct: ctypes.Structure) -> Any:
    """The strings of the C struct are valid during the call alone."""
    values = {}
    for name in into.__dataclass_fields__:  # type: ignore[attr-defined]
        value = getattr(struct, name)
        values[name] = value.decode(errors="replace") if isinstance(value, bytes) else value
    return into(**values)


@dataclass(frozen=True)
class State:
    server: Optional[ServerState]
    templates: List[TemplateState]
    leaves: List[LeafState]

    @staticmethod
    def ask(client: int) -> "State":
        servers: List[ServerState] = []
        templates: List[TemplateState] = []
        leaves: List[LeafState] = []
        failure = library.SpawnError()
        calls = library.StatusCalls(
            library.SeeServer(lambda s, _: servers.append(_taken(ServerState, s.contents))),
            library.SeeTemplate(lambda s, _: templates.append(_taken(TemplateState, s.contents))),
            library.SeeLeaf(lambda s, _: leaves.append(_taken(LeafState, s.contents))))
        if library.client_status(client, ctypes.byref(calls), None, ctypes.byref(failure)) < 0:
            raise told(failure)
        return State(servers[0] if servers else None, templates, leaves)
