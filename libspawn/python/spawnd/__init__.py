# SPDX-License-Identifier: MIT
"""Start processes without fork, as subprocess does with it: docs/python.md.

    import spawnd
    spawnd.run(["ls", "-l"], check=True)                        # a child of this process
    spawnd.run(["letter.txt"], template="words")                # a warm leaf of the server's
"""

from subprocess import (DEVNULL, PIPE, STDOUT, CalledProcessError, CompletedProcess,
                        SubprocessError, TimeoutExpired)

from . import library
from .calls import call, check_call, check_output, getoutput, getstatusoutput, run
from .client import Client, status
from .error import Error
from .popen import Popen
from .state import LeafState, ServerState, State, TemplateState

__version__: str = library.version().decode()

__all__ = [
    "CalledProcessError", "Client", "CompletedProcess", "DEVNULL", "Error", "LeafState", "PIPE",
    "Popen", "STDOUT", "ServerState", "State", "SubprocessError", "TemplateState",
    "TimeoutExpired", "call", "check_call", "check_output", "getoutput",
    "getstatusoutput", "run", "status",
]
