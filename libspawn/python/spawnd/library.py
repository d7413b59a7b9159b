# SPDX-License-Identifier: MIT
"""The functions of libspawn.so.

Those that may wait, or take a lock that another thread may hold, let go of the interpreter
meanwhile (CDLL). The others are shorter than that takes, and keep it (PyDLL).
"""

import ctypes
from ctypes import (CFUNCTYPE, POINTER, Structure, c_bool, c_char, c_char_p, c_int, c_size_t,
                    c_uint, c_uint32, c_uint64, c_void_p)
from typing import Any, Optional

SONAME = "libspawn.so.0"

OWNER_SERVER, OWNER_CALLER = 0, 1
PATH_CHILD = 2
NOFORK_LEVELS = {"off": 0, "copy": 1, "process": 2}

try:
    _waiting = ctypes.CDLL(SONAME)
    _brief = ctypes.PyDLL(SONAME)
except OSError as _error:
    raise ImportError(f"{_error}: install libspawn, or have $LD_LIBRARY_PATH name the directory "
                      f"that {SONAME} is in") from None


class SpawnError(Structure):
    _fields_ = [("code", c_int), ("origin", c_uint), ("step", c_char_p), ("message", c_char * 512)]


class ServerStatus(Structure):
    _fields_ = [("size", c_size_t), ("version", c_char_p), ("mode", c_char_p),
                ("keeper_pid", c_int)]


class TemplateStatus(Structure):
    _fields_ = [("size", c_size_t), ("name", c_char_p), ("lane", c_char_p), ("state", c_char_p),
                ("nofork", c_char_p), ("reason", c_char_p), ("tail", c_char_p),
                ("generation", c_uint64), ("hits", c_uint64), ("misses", c_uint64),
                ("retry_ms", c_uint64), ("parked", c_uint32), ("launched", c_uint32),
                ("queued", c_uint32), ("host_pid", c_int), ("uid", c_uint)]


class LeafStatus(Structure):
    _fields_ = [("size", c_size_t), ("template_name", c_char_p), ("state", c_char_p),
                ("nofork", c_char_p), ("serial", c_uint64), ("pid", c_int), ("uid", c_uint)]


SeeServer = CFUNCTYPE(None, POINTER(ServerStatus), c_void_p)
SeeTemplate = CFUNCTYPE(None, POINTER(TemplateStatus), c_void_p)
SeeLeaf = CFUNCTYPE(None, POINTER(LeafStatus), c_void_p)


class StatusCalls(Structure):
    _fields_ = [("server", SeeServer), ("template", SeeTemplate), ("leaf", SeeLeaf)]


def _function(library: ctypes.CDLL, name: str, result: Optional[type], *arguments: Any) -> Any:
    function = library[f"spawn_{name}"]
    function.restype = result
    function.argtypes = arguments
    return function


_error_p = POINTER(SpawnError)
_strings = POINTER(c_char_p)

version = _function(_brief, "version", c_char_p)
origin_name = _function(_brief, "origin_name", c_char_p, c_uint)

client_open = _function(_waiting, "client_open", c_int, POINTER(c_void_p), c_char_p, _error_p)
private_open = _function(_waiting, "private_open", c_int, POINTER(c_void_p), _error_p)
client_close = _function(_waiting, "client_close", None, c_void_p)
client_ping = _function(_waiting, "client_ping", c_int, c_void_p, _error_p)
client_status = _function(_waiting, "client_status", c_int, c_void_p, POINTER(StatusCalls),
                          c_void_p, _error_p)
process = _function(_waiting, "process", c_int, c_void_p, c_void_p, POINTER(c_void_p), _error_p)

request_new = _function(_brief, "request_new", c_void_p, c_char_p)
request_free = _function(_brief, "request_free", None, c_void_p)
request_path_search = _function(_brief, "request_path_search", c_int, c_void_p, c_char_p, c_int)
request_owner = _function(_brief, "request_owner", c_int, c_void_p, c_int)
request_args = _function(_brief, "request_args", c_int, c_void_p, c_size_t, _strings)
request_argv0 = _function(_brief, "request_argv0", c_int, c_void_p, c_char_p)
request_env = _function(_brief, "request_env", c_int, c_void_p, _strings)
request_chdir = _function(_brief, "request_chdir", c_int, c_void_p, c_char_p)
request_fd = _function(_brief, "request_fd", c_int, c_void_p, c_int, c_int)
request_umask = _function(_brief, "request_umask", c_int, c_void_p, c_uint)
request_session = _function(_brief, "request_session", c_int, c_void_p, c_bool)
request_process_group = _function(_brief, "request_process_group", c_int, c_void_p, c_int)
request_credentials = _function(_brief, "request_credentials", c_int, c_void_p, c_uint, c_uint,
                                c_size_t, c_void_p)
request_ignore = _function(_brief, "request_ignore", c_int, c_void_p, c_void_p)
request_nofork = _function(_brief, "request_nofork", c_int, c_void_p, c_int)
request_deadline = _function(_brief, "request_deadline", c_int, c_void_p, c_uint64, c_uint64)

proc_pid = _function(_brief, "proc_pid", c_int, c_void_p)
proc_pidfd = _function(_brief, "proc_pidfd", c_int, c_void_p)
proc_nofork = _function(_brief, "proc_nofork", c_char_p, c_void_p)
proc_kill = _function(_brief, "proc_kill", c_int, c_void_p, c_int)
proc_wait = _function(_waiting, "proc_wait", c_int, c_void_p, c_int, POINTER(c_void_p))
proc_free = _function(_waiting, "proc_free", None, c_void_p)

exit_free = _function(_brief, "exit_free", None, c_void_p)
exit_known = _function(_brief, "exit_known", c_bool, c_void_p)
exit_status = _function(_brief, "exit_status", c_int, c_void_p)
exit_signal = _function(_brief, "exit_signal", c_int, c_void_p)
