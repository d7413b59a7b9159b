# SPDX-License-Identifier: MIT
"""subprocess's functions over Popen. Not its own: those know but their own module's Popen."""

from subprocess import PIPE, STDOUT, CalledProcessError, CompletedProcess, TimeoutExpired
from typing import Any, Optional, Tuple

from .popen import Popen


def run(*popenargs: Any, input: Any = None, capture_output: bool = False,
        timeout: Optional[float] = None, check: bool = False,
        **kwargs: Any) -> "CompletedProcess[Any]":
    """Runs it to its end: see subprocess.run."""
    if input is not None:
        if kwargs.get("stdin") is not None:
            raise ValueError("stdin and input arguments may not both be used.")
        kwargs["stdin"] = PIPE
    if capture_output:
        if kwargs.get("stdout") is not None or kwargs.get("stderr") is not None:
            raise ValueError("stdout and stderr arguments may not be used with capture_output.")
        kwargs["stdout"] = kwargs["stderr"] = PIPE
    with Popen(*popenargs, **kwargs) as process:
        try:
            stdout, stderr = process.communicate(input, timeout=timeout)
        except TimeoutExpired:
            # What it wrote so far is in the exception; communicate() has put it there.
            process.kill()
            process.wait()
            raise
        except BaseException:
            process.kill()
            raise
        code = process.poll()
    assert code is not None
    if check and code:
        raise CalledProcessError(code, process.args, output=stdout, stderr=stderr)
    return CompletedProcess(process.args, code, stdout, stderr)


def call(*popenargs: Any, timeout: Optional[float] = None, **kwargs: Any) -> int:
    """Its return code: see subprocess.call."""
    with Popen(*popenargs, **kwargs) as process:
        try:
            return process.wait(timeout=timeout)
        except BaseException:
            process.kill()
            raise


def check_call(*popenargs: Any, **kwargs: Any) -> int:
    """0, or CalledProcessError: see subprocess.check_call."""
    code = call(*popenargs, **kwargs)
    if code:
        raise CalledProcessError(code, kwargs["args"] if "args" in kwargs else popenargs[0])
    return 0


def check_output(*popenargs: Any, timeout: Optional[float] = None, **kwargs: Any) -> Any:
    """What it writes, or CalledProcessError: see subprocess.check_output."""
    for name in ("stdout", "check"):
        if name in kwargs:
            raise ValueError(f"{name} argument not allowed, it will be overridden.")
    if "input" in kwargs and kwargs["input"] is None:
        in_text = any(kwargs.get(name)
                      for name in ("universal_newlines", "text", "encoding", "errors"))
        kwargs["input"] = "" if in_text else b""
    return run(*popenargs, stdout=PIPE, timeout=timeout, check=True, **kwargs).stdout


def getstatusoutput(cmd: Any, *, encoding: Optional[str] = None, errors: Optional[str] = None,
                    **kwargs: Any) -> Tuple[int, str]:
    """Of a shell: (return code, output): see subprocess.getstatusoutput."""
    done = run(cmd, shell=True, text=True, stdout=PIPE, stderr=STDOUT, encoding=encoding,
               errors=errors, **kwargs)
    output: str = done.stdout
    return done.returncode, output[:-1] if output.endswith("\n") else output


def getoutput(cmd: Any, *, encoding: Optional[str] = None, errors: Optional[str] = None,
              **kwargs: Any) -> str:
    """Of a shell: see subprocess.getoutput."""
    return getstatusoutput(cmd, encoding=encoding, errors=errors, **kwargs)[1]
