"""Worker processes: how they start, what they do, how they end.

On Linux they are forked, not by the program itself but by a nursery: a process of one thread that is forked first and
then waits. So a worker that died is replaced without forking a program that meanwhile has threads (a progress bar is
one), where a lock held by another thread would stay locked for ever. Elsewhere workers are spawned.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import gc
import os
import pickle
import select
import signal
import socket
import struct
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from tonearm.engines._outcome import Outcome, attempt, bug, item_name, packed
from tonearm.errors import TonearmError

CAN_FORK = sys.platform.startswith("linux")


class Worker:
    """The parent's end of one worker."""

    def __init__(self, connection: Connection, pid: int) -> None:
        self.connection = connection
        self.pid = pid


def work(function: Callable, connection: Connection) -> None:
    """The worker's whole life: an item, its outcome, the next one, until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends us
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # not what the parent may have set
    faulthandler.disable()  # a crash becomes an outcome; its dump would only flood the terminal
    _one_thread()
    _keep_memory()
    while True:
        try:
            message = connection.recv_bytes()
        except (EOFError, OSError):
            return
        (index,) = struct.unpack_from("q", message)
        try:
            item = pickle.loads(memoryview(message)[8:])
            outcome = attempt(function, index, item)
        except Exception as error:
            item, outcome = None, Outcome(index, error=bug(item_name(None, index), error))
        data = packed(outcome, item_name(item, index))
        for stream in (sys.stdout, sys.stderr):  # a worker ends without the usual flush
            if stream is not None:
                stream.flush()
        try:
            connection.send_bytes(data)
        except OSError:
            return  # nobody is there any more
        del message, item, outcome, data  # an idle worker holds no arrays


def _one_thread() -> None:
    """One thread per worker for products and the like: the work is already spread over the cores."""
    for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = "1"
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    if "numpy" not in sys.modules or not CAN_FORK:
        return
    # numpy was loaded before the fork and has read these variables already. threadpoolctl would do the same, for
    # more libraries; this is the one that numpy's wheels bring.
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
        paths = {line.split()[-1] for line in maps if "openblas" in line}
    for path in paths:
        for prefix, suffix in (("scipy_", "64_"), ("scipy_", ""), ("", "64_"), ("", "")):
            try:
                getattr(ctypes.CDLL(path), f"{prefix}openblas_set_num_threads{suffix}")(1)
                break
            except (AttributeError, OSError):
                continue


def _keep_memory() -> None:
    """Have glibc keep freed memory for the next item instead of giving it back to the system.

    Measured with a spectrogram of 30 s per item: 140 page faults in place of 1,660, and 5 to 10 ms of 53 saved.
    """
    if sys.platform.startswith("linux"):
        with contextlib.suppress(AttributeError, OSError):  # other C libraries do not have it
            mallopt = ctypes.CDLL(None).mallopt
            mallopt(-3, 1 << 30)  # M_MMAP_THRESHOLD
            mallopt(-1, 1 << 30)  # M_TRIM_THRESHOLD


class Spawner:
    """Starts workers as fresh interpreters: for systems without a safe fork."""

    def __init__(self, function: Callable) -> None:
        self._function = function
        self._processes: dict[int, Any] = {}

    def start(self) -> Worker:
        import multiprocessing

        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=work, args=(self._function, theirs), daemon=True)
        process.start()
        theirs.close()
        self._processes[process.pid] = process
        return Worker(ours, process.pid)

    def end(self, worker: Worker) -> str:
        """Make sure that a worker is gone; how it ended, in words."""
        process = self._processes.pop(worker.pid)
        process.join(0.5)
        process.kill()
        process.join()
        return _how(process.exitcode)

    def kill(self, worker: Worker) -> None:
        self._processes[worker.pid].kill()

    def close(self) -> None:
        for process in self._processes.values():
            process.kill()
        for process in self._processes.values():
            process.join()
        self._processes.clear()


class Nursery:
    """Starts workers by fork, from a process that has no threads; when its pipe closes, it kills them and ends.

    The pipe closes when the parent is done, and also when the parent is killed: no worker outlives it.
    """

    def __init__(self, function: Callable) -> None:
        self._control, theirs = socket.socketpair()
        self._owner = os.getpid()
        for stream in (sys.stdout, sys.stderr):  # else what is in their buffers would come out twice
            if stream is not None:
                stream.flush()
        self._pid = os.fork()
        if self._pid == 0:
            code = 1
            try:
                self._control.close()
                _tend(theirs, function)
                code = 0
            finally:
                os._exit(code)  # not sys.exit: the parent's exit handlers are not ours
        theirs.close()

    def start(self) -> Worker:
        ours, theirs = socket.socketpair()
        try:
            socket.send_fds(self._control, [b"f"], [theirs.fileno()])
        finally:
            theirs.close()
        pid = self._answer()
        if pid < 0:
            reason = os.strerror(-pid)
            raise TonearmError(f"no worker process can be started: {reason}", hint="use fewer workers", code="engine")
        return Worker(Connection(ours.detach()), pid)

    def end(self, worker: Worker) -> str:
        """Make sure that a worker is gone; how it ended, in words."""
        self._control.sendall(b"e" + struct.pack("q", worker.pid))
        return _how(self._answer())

    def kill(self, worker: Worker) -> None:
        # Only the nursery collects workers, and only when asked: the pid cannot have been given to another.
        os.kill(worker.pid, signal.SIGKILL)

    def close(self) -> None:
        if os.getpid() != self._owner or self._control.fileno() < 0:
            return  # a copy in a child, or closed before
        # Not only close: a process forked since may hold a copy of our end.
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)
        self._control.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, 0)

    def _answer(self) -> int:
        data = self._control.recv(8, socket.MSG_WAITALL)
        if len(data) < 8:
            raise TonearmError("the process that starts workers was killed", code="engine")
        return struct.unpack("q", data)[0]


def _tend(control: socket.socket, function: Callable) -> None:
    """The nursery's life: fork when asked (`f` and a pipe), collect when asked (`e` and a pid), kill all at the end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    gc.freeze()  # what the parent left to collect is not ours to finalize, and its pages stay shared
    children: set[int] = set()
    try:
        while True:
            command, descriptors, _, _ = socket.recv_fds(control, 1, 1)
            if command == b"f":
                (descriptor,) = descriptors
                pid = _fork_worker(function, descriptor, control)
                os.close(descriptor)
                if pid > 0:
                    children.add(pid)
                control.sendall(struct.pack("q", pid))
            elif command == b"e":
                pid = struct.unpack("q", control.recv(8, socket.MSG_WAITALL))[0]
                control.sendall(struct.pack("q", _collect(pid)))
                children.discard(pid)
            else:
                return
    except OSError:
        return  # the parent is gone
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        for pid in children:
            os.waitpid(pid, 0)


def _fork_worker(function: Callable, descriptor: int, control: socket.socket) -> int:
    """Fork a worker on a pipe; its pid, or the negative error number."""
    nursery = os.getpid()
    try:
        pid = os.fork()
    except OSError as error:
        return -(error.errno or 1)
    if pid == 0:
        code = 1
        try:
            control.close()
            _die_with_parent(nursery)
            work(function, Connection(descriptor))
            code = 0
        finally:
            os._exit(code)
    return pid


def _die_with_parent(parent: int) -> None:
    """Ask Linux to kill this process when the nursery dies, which only happens if somebody kills that."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(1)


def _collect(pid: int) -> int:
    """Exit code of a child (negative: the signal), killed if it has not ended within half a second."""
    for _ in range(50):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        select.select([], [], [], 0.01)
    os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _how(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"{name}, perhaps out of memory" if name == "SIGKILL" else name
