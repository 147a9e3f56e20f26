"""Processes of tests that begin where the imports end.

A new interpreter spends seconds on importing torch, and what a test of a process wants to see (a
signal, a kill, what is printed, what is left on disk) comes after that. So one process, the
**nursery**, imports what the commands need and forks off a child for each: :class:`WarmProcess` is
a ``subprocess.Popen`` of a child like that, with a PID, streams, an environment, a folder and an
exit status of its own. What the start of an interpreter or the import of something decides (flags
such as ``-W``, ``OMP_NUM_THREADS``, lazy imports) is for ``subprocess`` itself.

Run as a script, this file is the nursery: ``python warm_processes.py SOCKET MODULE ...``.
"""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
import inspect
import json
import os
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

COMMANDS = (
    "indexer.commands.cli", "indexer.build.build", "indexer.search.geolocator",
    "rasterio", "duckdb", "faiss", "pyarrow.parquet", "huggingface_hub",
)  # fmt: skip
"""What every command of ``indexer`` and ``gair`` imports sooner or later."""
SERVER = ("gradio", "app.server")
"""What the server imports besides."""
_NUMBER = struct.Struct("i")
_MOST_BYTES = 1 << 20


class WarmProcess(subprocess.Popen[Any]):
    """``Popen([sys.executable, ...])`` in a child of the nursery.

    The words after the interpreter are ``-m MODULE``, ``-c CODE`` or a script, and arguments.
    """

    preloaded: tuple[str, ...] = COMMANDS
    """Modules that are there when it begins."""

    def _execute_child(self, *arguments: Any) -> None:
        bound = inspect.signature(subprocess.Popen._execute_child).bind(self, *arguments).arguments
        words = [os.fspath(word) for word in bound["args"]]
        assert words[0] == sys.executable, words
        assert bound["preexec_fn"] is None
        assert not bound["pass_fds"]
        told = {
            "words": words[1:],
            "cwd": os.fspath(bound["cwd"] or Path.cwd()),
            "env": dict(os.environ if bound["env"] is None else bound["env"]),
            "session": bound["start_new_session"],
        }
        given = (bound["p2cread"], bound["c2pwrite"], bound["errwrite"])
        streams = [own if fd == -1 else fd for own, fd in enumerate(given)]
        self._status, status = os.pipe()
        try:
            _nursery(self.preloaded).ask(told, [*streams, status])
            os.close(status)
            born = os.read(self._status, _NUMBER.size)
            assert born, "the nursery is gone"
            self.pid = _NUMBER.unpack(born)[0]
            self._child_created = True
        finally:
            names = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
            self._close_pipe_fds(*(bound[name] for name in names))

    def _internal_poll(self, *_: Any, **__: Any) -> int | None:
        if self.returncode is None and self._waitpid_lock.acquire(blocking=False):
            try:
                pid, status = self._try_wait(os.WNOHANG)
                if pid:
                    self._handle_exitstatus(status)
            finally:
                self._waitpid_lock.release()
        return self.returncode

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        if self.returncode is not None:
            return self.pid, 0
        if wait_flags and not select.select([self._status], [], [], 0)[0]:
            return 0, 0
        status = os.read(self._status, _NUMBER.size)
        os.close(self._status)
        assert status, "the nursery is gone"
        return self.pid, _NUMBER.unpack(status)[0]


class WarmServer(WarmProcess):
    """The same with everything that the server imports."""

    preloaded = (*COMMANDS, *SERVER)


def warm_run(
    words: Sequence[str | Path],
    *,
    check: bool = False,
    timeout: float | None = None,
    **options: Any,
) -> subprocess.CompletedProcess[Any]:
    """``subprocess.run`` of a :class:`WarmProcess`."""
    if options.pop("capture_output", False):
        options |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with WarmProcess(words, **options) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    done = subprocess.CompletedProcess(words, process.returncode, out, err)
    if check:
        done.check_returncode()
    return done


class _Nursery:
    """The other side of a nursery."""

    def __init__(self, modules: Sequence[str]) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        with theirs:
            words = [sys.executable, __file__, str(theirs.fileno()), *modules]
            self._process = subprocess.Popen(
                words, pass_fds=[theirs.fileno()], env=environment, stdin=subprocess.DEVNULL
            )

    def ask(self, told: dict[str, Any], streams: Sequence[int]) -> None:
        with self._lock:
            socket.send_fds(self._socket, [json.dumps(told).encode()], streams)


@functools.cache
def _nursery(modules: Sequence[str]) -> _Nursery:
    """The one of this process."""
    return _Nursery(modules)


def _fork_off(control: socket.socket) -> dict[str, Any]:
    """Serve until the socket is closed; returns in every child, with what it was told."""
    waking, woken = os.pipe()
    for end in (waking, woken):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    statuses: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([control, waking], [], [])
        if waking in ready:
            os.read(waking, 4096)
            _report(statuses)
        if control not in ready:
            continue
        message, streams, _, _ = socket.recv_fds(control, _MOST_BYTES, 4)
        if not message:
            sys.exit()
        pid = os.fork()
        if not pid:
            signal.set_wakeup_fd(-1)
            # Only what is the nursery's: PROJ has its database open, and knows of forks.
            for number in (control.fileno(), waking, woken, *statuses.values()):
                os.close(number)
            return {**json.loads(message), "streams": streams}
        statuses[pid] = streams.pop()
        os.write(statuses[pid], _NUMBER.pack(pid))
        for stream in streams:
            os.close(stream)


def _report(statuses: dict[int, int]) -> None:
    """Tell how those ended that did."""
    for pid in list(statuses):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            end = statuses.pop(pid)
            try:
                os.write(end, _NUMBER.pack(status))
            except BrokenPipeError:
                pass  # nobody waits for it any more
            os.close(end)


def _become(told: dict[str, Any], paths: Sequence[str]) -> None:
    """Run a program as if the interpreter had been started for it."""
    for number, stream in enumerate(told["streams"][:3]):
        os.dup2(stream, number)
    for stream in told["streams"]:
        os.close(stream)
    sys.stdin = open(0, closefd=False)
    sys.stdout = open(1, "w", closefd=False)
    sys.stderr = open(2, "w", 1, errors="backslashreplace", closefd=False)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if told["session"]:
        os.setsid()
    if {name for name in told["env"].items() ^ os.environ.items() if name[0].startswith("HF_")}:
        for module in [name for name in sys.modules if name.partition(".")[0] == "huggingface_hub"]:
            del sys.modules[module]  # it reads them as it is imported
    os.environ.clear()
    os.environ.update(told["env"])
    os.chdir(told["cwd"])
    tempfile.tempdir = None
    program, *argv = told["words"]
    first = str(Path(program).parent) if program not in ("-m", "-c") else told["cwd"]
    more = told["env"].get("PYTHONPATH", "")
    sys.path[:] = [first, *(path for path in more.split(os.pathsep) if path), *paths]
    if program == "-m":
        sys.argv = argv
        runpy.run_module(argv[0], run_name="__main__", alter_sys=True)
    elif program == "-c":
        sys.argv = ["-c", *argv[1:]]
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(argv[0], "<string>", "exec"), main.__dict__)
    else:
        sys.argv = [program, *argv]
        runpy.run_path(program, run_name="__main__")


def _end(program: Callable[..., None], *arguments: Any) -> None:
    """Run a program and end as an interpreter does, but for taking down what was imported."""
    status: Any = 0
    try:
        program(*arguments)
    except SystemExit as end:
        status = end.code
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        status = -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    threading._shutdown()
    atexit._run_exitfuncs()
    if isinstance(status, str):
        print(status, file=sys.stderr)
        status = 1
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            status = status or 120
    if status == -signal.SIGINT:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    os._exit(status or 0)


def _main() -> None:
    _, number, *modules = sys.argv
    paths = sys.path[1:]
    sys.path[:] = [str(Path(__file__).resolve().parents[2]), *paths]
    from gair.encoders.street_view import import_timm

    for module in modules:
        importlib.import_module(module)
    import_timm()
    assert (
        threading.active_count() == 1
    )  # pyarrow's jemalloc has one of its own, and knows of forks
    control = socket.socket(fileno=int(number))
    gc.freeze()  # so that collecting in a child copies nothing
    told = _fork_off(control)
    control.detach()
    _end(_become, told, paths)


if __name__ == "__main__":
    _main()
