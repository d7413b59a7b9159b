# SPDX-License-Identifier: MIT
"""Start processes without fork, as subprocess does with it: docs/python.md.

    import spawnd
    spawnd.run(["ls", "-l"], check=True)                        # a child of this process
    spawnd.run(["letter.txt"], template="words")                # a warm leaf of the server's
    await spawnd.asyncio.create_subprocess_exec("ls", "-l")
"""

from subprocess import (DEVNULL, PIPE, STDOUT, CalledProcessError, CompletedProcess,
                        SubprocessError, TimeoutExpired)
from typing import TYPE_CHECKING, Any

from . import library
from .calls import call, check_call, check_output, getoutput, getstatusoutput, run
from .client import Client, status
from .error import Error
from .popen import Popen
from .state import LeafState, ServerState, State, TemplateState

if TYPE_CHECKING:
    from . import asyncio

__version__: str = library.version().decode()

__all__ = [
    "CalledProcessError", "Client", "CompletedProcess", "DEVNULL", "Error", "LeafState", "PIPE",
    "Popen", "STDOUT", "ServerState", "State", "SubprocessError", "TemplateState",
    "TimeoutExpired", "asyncio", "call", "check_call", "check_output", "getoutput",
    "getstatusoutput", "run", "status",
]


def __getattr__(name: str) -> Any:
    """spawnd.asyncio, once it is asked for: asyncio is slow to import."""
    if name == "asyncio":
        import importlib
        return importlib.import_module(".asyncio", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
