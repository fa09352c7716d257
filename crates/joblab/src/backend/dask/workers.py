

# On the workers: what they are given, and the processes that run the Rust code there.

import collections
import contextlib
import hashlib
import os
import platform
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time

from distributed import get_worker
from distributed.diagnostics.plugin import WorkerPlugin

# What runs a library's entry: a Python process that has nothing else to do.
HOST = "import ctypes, sys; ctypes.CDLL(sys.argv[1])[sys.argv[2]](None)"

# As many files as one message may have (SCM_MAX_FD of Linux).
MOST_FILES = 253
# How long processes may take to drop their states, in seconds.
FINISH_WITHIN = 5


class Asset(WorkerPlugin):
    """A file that tasks need. The scheduler gives it once to each worker, later ones included."""

    def __init__(self, name, file, data):
        self.name, self.file, self.data = name, file, data
        self.sha256 = hashlib.sha256(data).digest()
        self.machine = platform.machine()

    def setup(self, worker):
        data = self.__dict__.pop("data")
        if hashlib.sha256(data).digest() != self.sha256:
            raise OSError(f"{self.file} arrived damaged")
        self.folder = os.path.realpath(os.path.join(worker.local_directory, self.name))
        self.path = os.path.join(self.folder, self.file)
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        with open(self.path, "wb", opener=lambda path, flags: os.open(path, flags, 0o700)) as file:
            file.write(data)

    def teardown(self, worker):
        shutil.rmtree(self.folder, ignore_errors=True)


class Copy:
    """A copy of the caller's shared memory, one for all processes of a Dask worker.

    Dask takes it from worker to worker as tasks need it, and frees it.
    """

    def __init__(self, data):
        self.size = len(data)
        self.descriptor = os.memfd_create("joblab")
        with open(self.descriptor, "wb", closefd=False) as file:
            file.write(data)

    def __reduce__(self):
        with open(f"/proc/self/fd/{self.descriptor}", "rb") as file:
            return Copy, (file.read(),)

    def __sizeof__(self):
        return self.size

    def __del__(self):
        os.close(self.descriptor)


class CannotRun(Exception):
    """Why a worker cannot run the program."""


class Pool(WorkerPlugin):
    """The processes that run the Rust code on one worker."""

    def __init__(self, name, entry):
        self.name, self.entry, self.clock = name, entry, clock()

    def setup(self, worker):
        self.worker, self.idle, self.running = worker, [], {}
        # Who stops a process must not meet the next task in it.
        self.lock = threading.Lock()
        self.label = worker.name if isinstance(worker.name, str) else worker.address
        machine, zero = clock()
        self.ahead = 0 if machine == self.clock[0] else self.clock[1] - zero

    def teardown(self, worker):
        for process in self.idle:
            process.finish()
        last = time.monotonic() + FINISH_WITHIN
        for process in self.idle:
            process.wait(last - time.monotonic())
        for process in [*self.idle, *self.running.values()]:
            process.end()

    def asset(self, what):
        try:
            return self.worker.plugins[f"{self.name}-{what}"]
        except KeyError:
            raise CannotRun("it was not given the program") from None

    def run(self, job, *rest):
        process = None
        try:
            try:
                process = self.idle.pop()
            except IndexError:
                process = Process(self)
            self.running[job] = process
            verdict, rest = process.call(*rest)
        except (CannotRun, OSError) as error:
            if isinstance(error, TimeoutError):
                verdict, rest = LATE, b""
            elif process and not isinstance(error, CannotRun):
                verdict, rest = DIED, b""
            else:
                kind = " ".join([platform.machine(), *platform.libc_ver()]).strip()
                verdict, rest = NO_FUNCTION, f"Dask worker {self.label} ({kind}): {error}".encode()
        with self.lock:
            self.running.pop(job, None)
        # From here on nobody stops it.
        if process and verdict in (DONE, NO_FUNCTION) and not process.is_stopped:
            self.idle.append(process)
        elif process:
            rest = struct.pack("<q", process.end())
            verdict = LATE if verdict == LATE else DIED
        pid = process.pid if process else 0
        return answer(verdict, rest, pid, self.ahead, self.label)


class Process:
    """A process that runs the Rust code: the program, or Python with the cell's library."""

    def __init__(self, pool):
        self.pool, self.images, self.has_state, self.is_stopped = pool, 0, False, False
        program = pool.asset(0)
        if program.machine != platform.machine():
            raise CannotRun(f"the program is built for {program.machine}")
        environment = dict(os.environ, JOBLAB_PROCESS_NAME=f"DaskWorker-{pool.label}")
        if pool.entry:
            command = [sys.executable, "-I", "-S", "-c", HOST, program.path, pool.entry]
            folders = [pool.asset(1).folder, os.environ.get("LD_LIBRARY_PATH")]
            environment["LD_LIBRARY_PATH"] = ":".join(filter(None, folders))
        else:
            command = [program.path]
            environment["JOBLAB_WORKER"] = "1"
        self.socket, theirs = socket.socketpair()
        with theirs:
            self.child = subprocess.Popen(
                command, stdin=theirs, stderr=subprocess.PIPE, env=environment
            )
        self.pid = self.child.pid
        threading.Thread(target=self.watch, daemon=True).start()
        self.last_words = collections.deque(maxlen=5)
        self.listener = threading.Thread(target=self.listen, daemon=True)
        self.listener.start()
        self.file = self.socket.makefile("rb")
        if read_frame(self.file) is None:
            self.end()
            self.listener.join(1)
            words = b"".join(self.last_words).decode(errors="replace").strip()
            raise CannotRun(f"the program ended before it was ready: {words}")

    def watch(self):
        """Has whoever reads find the end of it, though others that a task started hold the socket open."""
        self.child.wait()
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def listen(self):
        """Passes on what is printed to standard error, and keeps the end of it."""
        # Of a line that does not end, in pieces.
        while line := self.child.stderr.readline(1 << 16):
            self.last_words.append(line)
            with contextlib.suppress(OSError):  # Nobody reads it; the task goes on.
                os.write(2, line)

    def call(self, n_images, needs_state, limit, batch, of_state, of_batch):
        self.socket.settimeout(limit)
        while self.images < n_images:
            path = b"" if self.images == 0 and not self.pool.entry else self.path_of(self.images)
            self.socket.sendall(frame(IMAGE, path))
            self.images += 1
        if needs_state and not self.has_state:
            self.hand_over(of_state)
            with open(self.pool.asset("state").path, "rb") as state:
                self.socket.sendall(frame(STATE, state.read()))
            self.has_state = True
        self.hand_over(of_batch)
        self.socket.sendall(batch)
        reply = read_frame(self.file)
        if reply and reply[0] == FILES:
            # Shared memory of this machine's, which the caller refuses: the reply counts it.
            while reply and reply[0] == FILES:
                reply = read_frame(self.file)
            self.socket.sendall(frame(TAKEN, b""))
        if reply is None:
            raise ConnectionError
        # Verdict, wall time of the batch, outcomes: protocol.rs.
        verdict = int.from_bytes(reply[1][:8], "little")
        return verdict, reply[1][16 if verdict == DONE else 8 :]

    def hand_over(self, copies):
        """Gives the process the files of the next message's shared memory, in its order."""
        for start in range(0, len(copies), MOST_FILES):
            some = [copy.descriptor for copy in copies[start : start + MOST_FILES]]
            counted = frame(FILES, struct.pack("<Q", len(some)))
            # The files go with the first byte.
            sent = socket.send_fds(self.socket, [counted], some)
            self.socket.sendall(counted[sent:])

    def path_of(self, image):
        # The file has no identity here that the crate's process could know.
        return b"\0" + os.fsencode(self.pool.asset(image).path)

    def finish(self):
        """Has it drop its state, if it has one, and end."""
        if self.has_state:
            with contextlib.suppress(OSError):
                self.socket.sendall(frame(FINISH, b""))

    def wait(self, seconds):
        if self.has_state:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.child.wait(max(seconds, 0))

    def end(self):
        """Makes sure that it has ended; the status as wait(2) has it."""
        # One that is ending by itself keeps its own status: it closed its socket as it ended.
        self.child.kill()
        code = self.child.wait()
        self.socket.close()
        return -code if code < 0 else code << 8


def run(*job, pool, n_images, of_state=0, copies=()):
    worker = get_worker()
    if pool not in worker.plugins:
        return answer(NO_FUNCTION, f"Dask worker {worker.address} does not know the pool".encode())
    number, *rest = job
    copies = copies[:of_state], copies[of_state:]
    return worker.plugins[pool].run(number, n_images, *rest, *copies)


async def stop(pool, jobs, dask_worker):
    if pool := dask_worker.plugins.get(pool):
        with pool.lock:
            for process in filter(None, map(pool.running.get, jobs)):
                process.is_stopped = True
                process.child.kill()
