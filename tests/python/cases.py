# SPDX-License-Identifier: MIT
"""What a program does with subprocess, as functions of who serves it. Each returns what it saw, to
be compared between subprocess and spawnd; its name is the claim."""

import contextlib
import fcntl
import gc
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

PIPE, STDOUT, DEVNULL = subprocess.PIPE, subprocess.STDOUT, subprocess.DEVNULL
BIG = 4 << 20  # more than any pipe holds
LONG = "60"  # seconds of a sleep that nobody waits for
SOON = 0.05

CASES = []


def case(function):
    CASES.append(function)
    return function


class Way:
    """subprocess, or spawnd with the arguments that this way adds to each call."""

    def __init__(self, module, **extra):
        self.module, self.extra = module, extra

    def __getattr__(self, name):
        function = getattr(self.module, name)
        return lambda *args, **kwargs: function(*args, **{**self.extra, **kwargs})


def outcome(function, *args, **kwargs):
    """What it returns or raises, in words that compare."""
    try:
        done = function(*args, **kwargs)
    except subprocess.CalledProcessError as e:
        return "CalledProcessError", e.returncode, e.cmd, e.output, e.stderr
    except subprocess.TimeoutExpired as e:
        return "TimeoutExpired", e.cmd, e.timeout, e.output, e.stderr
    except OSError as e:
        return type(e).__name__, e.errno, e.filename
    except Exception as e:
        return type(e).__name__, str(e)
    if isinstance(done, subprocess.CompletedProcess):
        return "ended", done.args, done.returncode, done.stdout, done.stderr
    return done


@contextlib.contextmanager
def scratch():
    with tempfile.TemporaryDirectory(prefix="spawnd-test-") as path:
        yield Path(path)


def script(path, text, mode=0o755):
    path.write_text(text)
    path.chmod(mode)
    return str(path)


@case
def return_codes(m):
    return [m.call(["sh", "-c", f"exit {n}"]) for n in (0, 1, 127, 255)]


@case
def a_signal_is_a_negative_return_code(m):
    return [m.call(["sh", "-c", f"ulimit -c 0; kill -{n} $$"]) for n in (1, 6, 9, 15, 11)]


@case
def output_and_errors_apart(m):
    return outcome(m.run, ["sh", "-c", "echo out; echo err >&2; exit 3"], capture_output=True)


@case
def errors_into_output_in_order(m):
    return outcome(m.run, ["sh", "-c", "echo a; echo b >&2; echo c"], stdout=PIPE, stderr=STDOUT)


@case
def errors_into_an_output_that_is_not_taken(m):
    return outcome(m.run, ["true"], stderr=STDOUT)


@case
def output_into_the_errors_of_the_caller(m):
    return outcome(m.run, ["sh", "-c", "test /proc/self/fd/1 -ef /proc/self/fd/2"], stdout=2)


@case
def both_streams_crossed(m):
    with scratch() as at, open(at / "a", "w+b") as a, open(at / "b", "w+b") as b:
        saved = os.dup(1), os.dup(2)
        try:
            os.dup2(a.fileno(), 1)
            os.dup2(b.fileno(), 2)
            code = m.call(["sh", "-c", "echo out; echo err >&2"], stdout=2, stderr=1)
        finally:
            os.dup2(saved[0], 1)
            os.dup2(saved[1], 2)
            for fd in saved:
                os.close(fd)
        return code, (at / "a").read_text(), (at / "b").read_text()


@case
def input_as_bytes(m):
    return outcome(m.run, ["tr", "a-z", "A-Z"], input=b"words\n\xff", stdout=PIPE)


@case
def text_in_and_out(m):
    return outcome(m.run, ["cat"], input="grüße\n", stdout=PIPE, text=True, encoding="utf-8")


@case
def text_in_another_encoding(m):
    return outcome(m.run, ["cat"], input="grüße\n", stdout=PIPE, encoding="utf-16")


@case
def text_with_errors_replaced(m):
    return outcome(m.run, ["printf", r"a\377b"], stdout=PIPE, encoding="utf-8", errors="replace")


@case
def text_that_does_not_decode(m):
    return outcome(m.run, ["printf", r"a\377b"], stdout=PIPE, encoding="utf-8")


@case
def newlines_are_translated_in_text(m):
    return outcome(m.run, ["printf", r"a\r\nb\rc\n"], stdout=PIPE, universal_newlines=True)


@case
def text_and_universal_newlines_disagree(m):
    return outcome(m.run, ["true"], text=True, universal_newlines=False)


@case
def big_pipes_both_ways_without_deadlock(m):
    data = os.urandom(1 << 16) * (BIG >> 16)
    done = m.run(["cat"], input=data, stdout=PIPE)
    return done.returncode, done.stdout == data


@case
def big_pipes_three_ways_with_a_timeout(m):
    data = b"x" * BIG
    done = m.run(["sh", "-c", f"cat; head -c {BIG} /dev/zero >&2"], input=data,
                 capture_output=True, timeout=60)
    return done.returncode, done.stdout == data, len(done.stderr)


@case
def input_that_nobody_reads_is_no_error(m):
    return outcome(m.run, ["true"], input=b"x" * BIG, stdout=PIPE)


@case
def a_pipe_by_hand(m):
    with m.Popen(["cat"], stdin=PIPE, stdout=PIPE) as p:
        p.stdin.write(b"one\n")
        p.stdin.flush()
        first = p.stdout.readline()
        p.stdin.close()
        return first, p.stdout.read(), p.wait()


@case
def a_pipe_by_lines_in_text(m):
    with m.Popen(["cat"], stdin=PIPE, stdout=PIPE, text=True, bufsize=1) as p:
        p.stdin.write("one\n")
        first = p.stdout.readline()
        return first, p.communicate("two\n")


@case
def a_pipe_without_buffer(m):
    with m.Popen(["printf", "abc"], stdout=PIPE, bufsize=0) as p:
        return type(p.stdout).__name__, p.stdout.read(1), p.stdout.read()


@case
def wrong_bufsize(m):
    return outcome(m.Popen, ["true"], bufsize="many")


@case
def a_timeout_of_run_kills_and_keeps_what_was_written(m):
    # What it wrote is there before the time is up: the pipe has it when the sleep begins.
    for patience in (0.5, 5, 30):
        seen = outcome(m.run, ["sh", "-c", f"echo begun; exec sleep {LONG}"], stdout=PIPE,
                       timeout=patience)
        if seen[3]:
            break
    return seen[0], seen[1], seen[3], seen[4]


@case
def a_timeout_of_call_kills(m):
    return outcome(m.call, ["sleep", LONG], timeout=SOON)


@case
def a_timeout_of_wait_leaves_it_running(m):
    with m.Popen(["sleep", LONG]) as p:
        seen = outcome(p.wait, SOON), p.poll(), outcome(p.wait, 0)
        p.kill()
        return seen, p.wait(), p.wait(0), p.poll(), p.returncode


@case
def communicate_goes_on_after_a_timeout(m):
    go, gone = os.pipe()
    with m.Popen(["sh", "-c", "echo a; read line; echo $line"], stdin=go, stdout=PIPE) as p:
        os.close(go)
        first = outcome(p.communicate, timeout=SOON)[0]
        os.write(gone, b"b\n")
        os.close(gone)
        return first, p.communicate(), p.returncode


@case
def a_timeout_of_communicate_with_input(m):
    with m.Popen(["sleep", LONG], stdin=PIPE, stdout=PIPE) as p:
        seen = outcome(p.communicate, b"x" * BIG, timeout=SOON)
        p.terminate()
        return seen[0], p.communicate(), p.returncode


@case
def missing_program(m):
    return [outcome(m.run, [name]) for name in ("no-such-program", "/no/such/program", "no/such")]


@case
def missing_program_by_executable(m):
    return outcome(m.run, ["a"], executable="no-such-program")


@case
def missing_shell(m):
    return outcome(m.run, "true", shell=True, executable="/no/such/shell")


@case
def a_program_that_is_not_executable(m):
    with scratch() as at:
        script(at / "p", "#!/bin/sh\n", 0o644)
        return [seen[:2] for seen in (outcome(m.run, [str(at / "p")]),
                                      outcome(m.run, ["p"], env={"PATH": str(at)}),
                                      outcome(m.run, [str(at)]))]


@case
def a_program_whose_interpreter_is_missing(m):
    with scratch() as at:
        return outcome(m.run, [script(at / "p", "#!/no/such/interpreter\n")])[:2]


@case
def a_program_of_no_format(m):
    with scratch() as at:
        return outcome(m.run, [script(at / "p", "true\n")])[:2]


@case
def the_file_name_of_an_error_is_the_program(m):
    with scratch() as at:
        name = script(at / "p", "true\n")
        return outcome(m.run, [name])[2] == name


@case
def a_missing_program_leaves_its_pipes_closed(m):
    return outcome(m.Popen, ["no-such-program"], stdin=PIPE, stdout=PIPE, stderr=DEVNULL)


@case
def a_missing_directory(m):
    return [outcome(m.run, ["true"], cwd=cwd) for cwd in ("/no/such", "/dev/null", "", b"/no/such",
                                                          Path("/no/such"))]


@case
def a_missing_directory_and_a_missing_program(m):
    return outcome(m.run, ["no-such-program"], cwd="/no/such")


@case
def the_directory_as_any_kind_of_path(m):
    return [m.check_output(["pwd"], cwd=cwd) for cwd in ("/usr", b"/usr", Path("/usr"))]


@case
def a_relative_program_is_of_the_new_directory(m):
    with scratch() as at:
        (at / "d").mkdir()
        script(at / "d" / "p", "#!/bin/sh\necho here\n")
        return (m.check_output(["./p"], cwd=at / "d"), outcome(m.run, ["./d/p"], cwd=at / "d"),
                m.check_output(["p"], cwd=at, env={"PATH": "d"}))


@case
def the_environment_is_what_is_given(m):
    return m.check_output(["/usr/bin/env"], env={"A": "1", "B": "grüße", "C": ""})


@case
def the_environment_is_this_process_s(m):
    os.environ["SPAWND_TEST_WORD"] = "thing"
    try:
        return m.check_output(["sh", "-c", "echo $SPAWND_TEST_WORD; env | sort | grep -v ^_="])
    finally:
        del os.environ["SPAWND_TEST_WORD"]


@case
def the_environment_in_bytes(m):
    return m.check_output([b"/usr/bin/env"], env={b"A": b"\xff", b"PATH": b"/bin"})


@case
def an_empty_environment(m):
    return m.check_output(["/usr/bin/env"], env={})


@case
def the_path_to_search_is_of_the_environment_given(m):
    with scratch() as at:
        script(at / "true", "#!/bin/sh\necho mine\n")
        return (m.check_output(["true"], env={"PATH": str(at)}),
                outcome(m.run, ["sh"], env={"PATH": str(at)}), m.check_output(["true"], env={}))


@case
def an_entry_of_the_path_that_denies_is_passed_by(m):
    with scratch() as at:
        script(at / "true", "#!/bin/sh\n", 0o644)
        return m.call(["true"], env={"PATH": f"{at}:/no/such:/dev/null:/usr/bin"})


@case
def names_of_the_environment_that_cannot_be(m):
    return outcome(m.run, ["true"], env={"A=B": "1"})


@case
def null_bytes(m):
    return [outcome(m.run, *args, **kwargs)[0] for args, kwargs in (
        ((["true\0"],), {}), ((["true", "a\0b"],), {}), ((["true"],), {"cwd": "/\0"}),
        ((["true"],), {"env": {"A": "b\0"}}))]


@case
def arguments_of_wrong_types(m):
    return [outcome(m.run, args)[0] for args in ([1], ["true", 1], 1, None)]


@case
def arguments_of_all_kinds(m):
    return [m.check_output(args) for args in (
        ["printf", "%s.", "a b", "", "grüße", "*"], [b"printf", b"\xff"], "true", b"true",
        [Path("/bin/echo"), Path("/x")], Path("/bin/true"), ("echo", "tuple"))]


@case
def a_shell(m):
    return [outcome(m.run, args, shell=True, stdout=PIPE) for args in (
        "echo $0; exit 3", ["echo $0 $1", "a", "b"])]


@case
def a_path_for_a_shell(m):
    return outcome(m.run, Path("/bin/true"), shell=True)


@case
def another_shell(m):
    return m.check_output("echo $BASH", shell=True, executable="/bin/bash")


@case
def a_name_that_is_not_the_program_s(m):
    return m.check_output(["another", "-c", "echo $0; tr '\\0' ' ' </proc/$$/cmdline"],
                          executable="/bin/sh")


@case
def a_long_list_of_arguments(m):
    return len(m.check_output(["echo", *(["x" * 100] * 10000)]))


@case
def an_argument_that_the_kernel_refuses(m):
    return outcome(m.run, ["/bin/true", "x" * (1 << 18)])


@case
def nothing_but_standard_streams_is_inherited(m):
    fd = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(fd, True)
    try:
        return m.check_output(["sh", "-c", "ls /proc/$$/fd"])
    finally:
        os.close(fd)


@case
def descriptors_that_are_passed(m):
    a, b = os.pipe()
    try:
        script = f"echo through >/dev/fd/{b}; set -- /proc/$$/fd/*; echo $#"
        with m.Popen(["sh", "-c", script], pass_fds=[b], stdout=PIPE) as p:
            return p.stdout.read(), os.read(a, 100), os.get_inheritable(b)
    finally:
        os.close(a)
        os.close(b)


@case
def a_descriptor_passed_over_a_stream(m):
    return m.check_output(["sh", "-c", "echo kept"], pass_fds=[0, 1, 2])


@case
def descriptors_that_cannot_be_passed(m):
    return [outcome(m.run, ["true"], pass_fds=fds) for fds in ([-1], [1 << 20], ["x"])]


@case
def many_descriptors_passed(m):
    fds = [os.open("/dev/null", os.O_RDONLY) for _ in range(200)]
    try:
        return m.check_output(["sh", "-c", "set -- /proc/$$/fd/*; echo $#"], pass_fds=fds)
    finally:
        for fd in fds:
            os.close(fd)


@case
def inheritable_descriptors_where_not_closed(m):
    kept, other = os.open("/dev/null", os.O_RDONLY), os.open("/dev/zero", os.O_RDONLY)
    os.set_inheritable(kept, True)
    try:
        return m.check_output(["sh", "-c", f"test -e /proc/$$/fd/{kept}; echo $?; "
                               f"test -e /proc/$$/fd/{other}; echo $?"], close_fds=False)
    finally:
        os.close(kept)
        os.close(other)


@case
def passing_and_not_closing_warns(m):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        m.call(["true"], pass_fds=[0], close_fds=False)
    return [(str(w.message), w.category.__name__) for w in seen]


@case
def files_as_streams(m):
    with scratch() as at:
        (at / "in").write_text("b\na\n")
        with open(at / "in") as i, open(at / "out", "wb") as o, open(at / "err", "wb") as e:
            code = m.call("sort; echo oops >&2", shell=True, stdin=i, stdout=o, stderr=e.fileno())
        return code, (at / "out").read_text(), (at / "err").read_text()


@case
def nothing_as_streams(m):
    return m.call("cat; echo lost; test /dev/null -ef /dev/stdin", shell=True, stdin=DEVNULL,
                  stdout=DEVNULL, stderr=DEVNULL)


@case
def streams_that_cannot_be(m):
    return [outcome(m.run, ["true"], stdout=stream)[0] for stream in ("file", 1 << 20, object())]


@case
def a_stream_that_is_close_on_exec(m):
    with scratch() as at:
        fd = os.open(at / "f", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC)
        saved = os.dup(0)
        try:
            os.dup2(fd, 0, inheritable=False)
            code = m.call(["sh", "-c", "echo written >&0"], stdin=0)
        finally:
            os.dup2(saved, 0)
            os.close(saved)
            os.close(fd)
        return code, (at / "f").read_text()


@case
def a_pipe_of_a_size(m):
    if sys.version_info < (3, 10):
        return None
    with m.Popen(["true"], stdout=PIPE, pipesize=1 << 16) as p:
        return fcntl.fcntl(p.stdout.fileno(), 1032)  # F_GETPIPE_SZ


# pid, process group and session of who runs it, as what they are to each other
FAMILY = """read pid comm state parent group session rest </proc/self/stat
[ $pid = $group ] && echo leads its group; [ $pid = $session ] && echo leads its session; :"""


@case
def a_new_session(m):
    return m.check_output(["sh", "-c", FAMILY], start_new_session=True)


@case
def a_new_session_has_no_terminal(m):
    return m.call(["sh", "-c", ": </dev/tty"], start_new_session=True, stderr=DEVNULL) != 0


@case
def a_process_group_of_its_own(m):
    if sys.version_info < (3, 11):  # subprocess has it from then on
        return None
    return m.check_output(["sh", "-c", FAMILY], process_group=0)


IDS = ["sh", "-c", "id -u; id -g; id -G"]


@case
def its_own_user_and_group(m):
    return m.check_output(IDS, user=os.geteuid(), group=os.getegid())


@case
def its_own_groups(m):
    return outcome(m.check_output, IDS, extra_groups=os.getgroups()) if os.geteuid() == 0 else None


@case
def another_user(m):
    if os.geteuid() != 0:
        return [outcome(m.run, ["true"], user=0), outcome(m.run, ["true"], group=0)]
    return [m.check_output(IDS, user=12345),
            m.check_output(IDS, user=12345, group=23456, extra_groups=[34567, 4])]


@case
def a_user_by_name_and_one_that_is_not_there(m):
    if os.geteuid() != 0:
        return None
    return m.check_output(IDS, user="nobody"), outcome(m.run, ["true"], user="no-such-user")


@case
def a_umask(m):
    before = os.umask(0o027)
    try:
        return m.check_output("umask", shell=True), m.check_output("umask", shell=True, umask=0o3)
    finally:
        os.umask(before)


@case
def limits(m):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    try:
        return m.check_output("ulimit -a", shell=True)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@case
def ignored_signals_with_pipe_and_xfsz_restored(m):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        return [m.check_output(["grep", "SigIgn", "/proc/self/status"], restore_signals=restore)
                for restore in (True, False)]
    finally:
        signal.signal(signal.SIGHUP, before)


@case
def handled_signals_are_at_their_default(m):
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        return m.check_output(["grep", "-E", "SigIgn|SigCgt", "/proc/self/status"])
    finally:
        signal.signal(signal.SIGUSR1, before)


@case
def the_signal_mask_of_the_thread(m):
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGTERM])
    try:
        return m.check_output(["grep", "SigBlk", "/proc/self/status"])
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@case
def signals_to_a_process(m):
    seen = []
    for send in (lambda p: p.send_signal(signal.SIGUSR1), lambda p: p.terminate(),
                 lambda p: p.kill()):
        with m.Popen(["sh", "-c", f"echo up; exec sleep {LONG}"], stdout=PIPE) as p:
            p.stdout.readline()
            send(p)
            seen.append(p.wait())
            send(p)  # nobody is there, and nobody minds
    return seen


@case
def a_signal_that_is_none(m):
    with m.Popen(["sleep", LONG]) as p:
        seen = [outcome(p.send_signal, n)[:2] for n in (4000, None)]
        seen.append(outcome(p.send_signal, 0))
        p.kill()
    return seen


@case
def a_process_that_is_over_is_not_signalled(m):
    with m.Popen(["true"], stdout=PIPE) as p:
        p.stdout.read()
        p.wait()
        return outcome(p.kill), p.returncode


@case
def polling(m):
    with m.Popen(["cat"], stdin=PIPE) as p:
        first = p.poll()
        p.stdin.close()
        while p.poll() is None:
            time.sleep(0)
        return first, p.poll(), p.returncode


@case
def what_is_checked(m):
    return [outcome(m.check_call, ["sh", "-c", "exit 4"]), outcome(m.check_call, ["true"]),
            outcome(m.run, "echo a; echo b >&2; exit 5", shell=True, check=True,
                    capture_output=True),
            outcome(m.check_call, args=["false"])]


@case
def checked_output(m):
    return [outcome(m.check_output, "echo a; exit 6", shell=True),
            outcome(m.check_output, ["cat"], input=b"in"), outcome(m.check_output, ["cat"],
                                                                   input=None),
            outcome(m.check_output, ["cat"], input=None, text=True),
            outcome(m.check_output, ["true"], stdout=PIPE),
            outcome(m.check_output, ["sleep", LONG], timeout=SOON)]


@case
def output_of_a_shell(m):
    return (m.getoutput("echo a; echo b >&2"), m.getstatusoutput("printf 'a\n\n'; exit 7"),
            m.getstatusoutput("kill -9 $$"))


@case
def arguments_that_exclude_each_other(m):
    return [outcome(m.run, ["true"], input=b"", stdin=PIPE),
            outcome(m.run, ["true"], capture_output=True, stdout=PIPE),
            outcome(m.run, ["true"], startupinfo=1), outcome(m.run, ["true"], creationflags=1),
            outcome(m.run, ["true"], no_such_argument=1)[0]]


@case
def no_arguments_at_all(m):
    return outcome(m.run, [])[0]


@case
def its_representation(m):
    with m.Popen(["true"]) as p:
        p.wait()
        return repr(p)


@case
def a_process_that_nobody_waited_for_warns(m):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        p = m.Popen(["sleep", LONG])
        p.kill()
        pid = p.pid
        del p
        gc.collect()
    # Reaped by the next that is made, once it is dead.
    while subprocess._active:
        m.call(["true"])
    return [str(w.message).replace(str(pid), "PID") for w in seen
            if w.category is ResourceWarning]


@case
def an_exception_inside_with_waits(m):
    with contextlib.suppress(KeyError):
        with m.Popen(["cat"], stdin=PIPE) as p:
            raise KeyError
    return p.returncode


@case
def an_interrupt_is_not_swallowed(m):
    def interrupt(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        p = m.Popen(["sleep", LONG])
        signal.setitimer(signal.ITIMER_REAL, SOON)
        try:
            p.wait()
            seen = "waited"
        except KeyboardInterrupt:
            seen = "interrupted"
        p.kill()
        return seen, p.wait()
    finally:
        signal.signal(signal.SIGALRM, before)


@case
def many_threads_wait_for_one(m):
    codes = []
    with m.Popen(["sh", "-c", "read line; exit 9"], stdin=PIPE) as p:
        ready = threading.Barrier(9)

        def wait():
            ready.wait()
            codes.append(p.wait())

        threads = [threading.Thread(target=wait) for _ in range(8)]
        for t in threads:
            t.start()
        ready.wait()
        p.stdin.close()
        for t in threads:
            t.join()
    return codes


@case
def many_threads_start_many(m):
    codes = [[] for _ in range(8)]

    def start(n):
        for i in range(5):
            done = m.run(["sh", "-c", f"cat; exit {n}"], input=b"%d" % i, stdout=PIPE)
            codes[n].append((done.returncode, done.stdout))

    threads = [threading.Thread(target=start, args=[n]) for n in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return codes


@case
def many_at_once(m):
    running = [m.Popen(["sh", "-c", f"read line; exit {n}"], stdin=PIPE) for n in range(30)]
    for p in running:
        p.stdin.close()
    return [p.wait() for p in running]


@case
def it_is_audited(m):
    seen = []
    hearing.append(seen)
    try:
        m.call(["true"], cwd="/", env={"PATH": "/bin"})
    finally:
        hearing.remove(seen)
    return seen


hearing = []


def _hear(event, args):
    if event == "subprocess.Popen":
        for seen in hearing:
            seen.append(args)


sys.addaudithook(_hear)
