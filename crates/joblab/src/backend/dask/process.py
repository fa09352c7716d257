# On the cluster's machines: the processes that run the Rust code, each for one thread of a Dask worker.

import contextlib
import os
import platform
import select
import signal
import socket
import subprocess
import sys
import threading

from distributed import secede
from distributed.versions import get_versions

# What runs a library's entry: a Python process that has nothing else to do.
HOST = "import ctypes, sys; ctypes.CDLL(sys.argv[1])[sys.argv[2]](None)"
LONGEST = 1 << 16  # A line that is longer is passed on in pieces.
LARGE = 1 << 20  # A result of so many bytes is not to be copied needlessly.
MOST_FILES = 253  # As many files as one message may have (SCM_MAX_FD of Linux).
OLDEST = {"python": (3, 10), "distributed": (2024, 1)}


def start(function, *arguments):
    thread = threading.Thread(target=function, args=arguments, daemon=True)
    thread.start()
    return thread


class CannotRun(Exception):
    """Why tasks cannot run: on a Dask worker, or at all."""


def check_versions(who, versions):
    """Refuses what is older than it may be."""
    packages = (versions or {}).get("packages") or {}
    for name, least in OLDEST.items():
        found = packages.get(name) or ""
        numbers = tuple(int(part) for part in found.split(".")[:2] if part.isdigit())
        if () < numbers < least:
            least = ".".join(map(str, least))
            raise CannotRun(f"{who} has {name} {found}, and Backend::Dask needs {least} or later")


class Process:
    """A process that runs the Rust code: the program, or Python with the cell's library."""

    def __init__(self, pool):
        self.pool, self.images, self.has_state, self.is_stopped = pool, 0, False, False
        # Whoever came before the pool did was asked by it: bridge.py.
        check_versions("it", get_versions())
        program = pool.asset(0)
        if program.machine != platform.machine():
            raise CannotRun(f"the program is built for {program.machine}")
        environment = {"JOBLAB_PYTHON": sys.executable, **os.environ}
        environment["JOBLAB_PROCESS_NAME"] = f"DaskWorker-{pool.label}"
        if pool.entry:
            command = [sys.executable, "-I", "-S", "-c", HOST, program.path, pool.entry]
            folders = [pool.asset(1).folder, os.environ.get("LD_LIBRARY_PATH")]
            environment["LD_LIBRARY_PATH"] = ":".join(filter(None, folders))
        else:
            command = [program.path]
            environment["JOBLAB_WORKER"] = "1"
        # A task that waits for tasks of its own says so here: bridge.py.
        self.waits, self.says = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        environment["JOBLAB_WAITS"] = f"/proc/{os.getpid()}/fd/{self.says}"
        self.socket, theirs = socket.socketpair()
        self.file = self.socket.makefile("rb")
        try:
            self.child = subprocess.Popen(
                command,
                stdin=theirs,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                # Its own children end with it.
                start_new_session=True,
            )
        except OSError:
            self.close()
            raise
        finally:
            theirs.close()
        self.pid, self.last_words, self.has_ended = self.child.pid, b"", threading.Event()
        start(self.watch)
        start(self.drain, self.child.stdout, 1)
        drained = start(self.drain, self.child.stderr, 2)
        if read_frame(self.file) is None:
            self.end()
            drained.join(1)
            words = self.last_words.decode(errors="replace").strip()
            raise CannotRun(f"the program ended before it was ready: {words}")

    def watch(self):
        """Has whoever reads find the end of it, though others that a task started hold the socket open."""
        # Its number, and that of its group, stay its own until `end`.
        with contextlib.suppress(OSError):
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        self.has_ended.set()
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def drain(self, pipe, to):
        """Passes on what is printed, as long as it is printed, and keeps the end of it."""
        with pipe:
            while line := pipe.readline(LONGEST):
                if to == 2:
                    self.last_words = (self.last_words + line)[-1000:]
                # Somebody may have stopped to read it.
                with contextlib.suppress(OSError):
                    while line:
                        line = line[os.write(to, line) :]

    def call(self, copies, n_images, needs_state, limit, of_state, batch):
        self.socket.settimeout(limit)
        while self.images < n_images:
            is_program = self.images == 0 and not self.pool.entry
            # The file has no identity here that the crate's process could know.
            path = b"\0" + os.fsencode(self.pool.asset(self.images).path)
            self.socket.sendall(frame(IMAGE, b"" if is_program else path))
            self.images += 1
        if needs_state and not self.has_state:
            # A worker that could not keep it says so here, before anything is sent.
            path = self.pool.asset("state").path
            self.hand_over(copies[:of_state])
            with open(path, "rb") as state:
                self.socket.sendall(frame(STATE, state.read()))
            self.has_state = True
        with contextlib.suppress(BlockingIOError):
            # Of the task before.
            os.read(self.waits, LONGEST)
        self.hand_over(copies[of_state:])
        self.socket.sendall(batch)
        self.wait(limit)
        return self.read_reply()

    def wait(self, limit):
        """Waits for the reply. A task that waits itself does not hold the Dask worker's thread."""
        until = limit and time.monotonic() + limit
        # Not select(2), which knows no large numbers.
        files = select.poll()
        files.register(self.socket, select.POLLIN)
        files.register(self.waits, select.POLLIN)
        while True:
            ready = files.poll(until and max(until - time.monotonic(), 0) * 1000)
            if not ready:
                raise TimeoutError
            if any(file == self.socket.fileno() for file, _ in ready):
                return
            files.unregister(self.waits)
            secede()

    def read_reply(self):
        begun, has_files = read_header(self.file), False
        while begun and begun[0] == FILES:
            # Shared memory of this machine's, which the caller refuses: the reply counts it.
            self.file.read(begun[1])
            begun, has_files = read_header(self.file), True
        if has_files:
            self.socket.sendall(frame(TAKEN, b""))
        # Verdict, wall time of the batch, outcomes: protocol.rs.
        verdict = begun and self.file.read(8)
        if not begun or len(verdict) < 8:
            raise ConnectionError
        length = begun[1] - 16
        if verdict[0] == NO_FUNCTION:
            raise CannotRun(self.file.read(length + 8).decode(errors="replace"))
        self.file.read(8)
        head = self.pool.answer(DONE, pid=self.pid)
        # Large results are in memory once.
        reply = bytearray(len(head) + length)
        reply[: len(head)] = head
        if self.file.readinto(memoryview(reply)[len(head) :]) < length:
            raise ConnectionError
        # Dask carries a view as it is. Others it pickles, which copies them, but costs less.
        return memoryview(reply) if length > LARGE else reply

    def hand_over(self, copies):
        """Gives the process the files of the next message's shared memory, in its order."""
        for start in range(0, len(copies), MOST_FILES):
            some = [copy.descriptor for copy in copies[start : start + MOST_FILES]]
            counted = frame(FILES, struct.pack("<Q", len(some)))
            # The files go with the first byte.
            sent = socket.send_fds(self.socket, [counted], some)
            self.socket.sendall(counted[sent:])

    def finish(self):
        """Has it drop its state, if it has one, and end."""
        if self.has_state:
            with contextlib.suppress(OSError):
                self.socket.sendall(frame(FINISH, b""))

    def stop(self):
        self.is_stopped = True
        self.kill()

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def end(self, last=0):
        """Makes sure that it has ended, with its children; the status as wait(2) has it."""
        if self.has_state:
            self.has_ended.wait(max(last - time.monotonic(), 0))
        # One that is ending by itself keeps its own status: it closed its socket as it ended.
        self.kill()
        code = self.child.wait()
        self.close()
        return -code if code < 0 else code << 8

    def close(self):
        # Not left to Python's collector: Python 3.11 may hang where that closes files while Dask's
        # profiler looks at the threads.
        for file in (self.file, self.socket):
            file.close()
        for file in (self.waits, self.says):
            os.close(file)

