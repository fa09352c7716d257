# On the cluster's machines: what they are given, and the processes that run the Rust code there.

import contextlib
import functools
import hashlib
import os
import platform
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
from mmap import ACCESS_READ, mmap
from pickle import PickleBuffer

from distributed import secede
from distributed.diagnostics.plugin import SchedulerPlugin, WorkerPlugin
from distributed.versions import get_versions

# What runs a library's entry: a Python process that has nothing else to do.
HOST = "import ctypes, sys; ctypes.CDLL(sys.argv[1])[sys.argv[2]](None)"
LONGEST = 1 << 16  # A line that is longer is passed on in pieces.
LARGE = 1 << 20  # A result of so many bytes is not to be copied needlessly.
MOST_FILES = 253  # As many files as one message may have (SCM_MAX_FD of Linux).
OLDEST = {"python": (3, 10), "distributed": (2024, 1)}
FINISH_WITHIN = 5  # How long processes may take to drop their states, in seconds.


def too_old(who, packages):
    """What is older than it may be, in words."""
    for name, least in OLDEST.items():
        found = (packages or {}).get(name) or ""
        numbers = tuple(int(part) for part in found.split(".")[:2] if part.isdigit())
        if () < numbers < least:
            least = ".".join(map(str, least))
            return f"{who} has {name} {found}, and Backend::Dask needs {least} or later"
    return None


class Host(Travels, SchedulerPlugin):
    """On the scheduler: tells the pool's client how many threads the workers have, and takes the
    pool's plugins from the cluster when the client is gone, however it went."""

    idempotent = True

    def __init__(self, name, client):
        self.name, self.client = name, client

    async def start(self, scheduler):
        self.tell(scheduler)

    def tell(self, scheduler, *_, **__):
        # What the scheduler keeps of a client's events goes with the client.
        scheduler.log_event(self.client, {"joblab-threads": scheduler.total_nthreads})

    add_worker = remove_worker = tell

    def remove_client(self, scheduler, client):
        if client != self.client:
            return
        for name in list(scheduler.worker_plugins):
            if name.startswith(self.name):
                scheduler.loop.add_callback(scheduler.unregister_worker_plugin, None, name)
        scheduler.remove_plugin(self.name)


class Asset(Travels, WorkerPlugin):
    """A file that tasks need. The scheduler gives it once to each worker, later ones included."""

    idempotent = True

    def __init__(self, name, file, data):
        self.name, self.file, self.data = name, file, data
        self.sha256 = hashlib.sha256(data).digest()
        self.machine = platform.machine()

    def setup(self, worker):
        """Notes what goes wrong: whoever needs the file says so, and the worker is none the worse."""
        data, self.memory, self.error = self.__dict__.pop("data"), None, None
        self.folder = os.path.realpath(os.path.join(worker.local_directory, self.name))
        self.path = os.path.join(self.folder, self.file)
        try:
            if hashlib.sha256(data).digest() != self.sha256:
                raise OSError("it arrived damaged")
            os.makedirs(self.folder, mode=0o700, exist_ok=True)
            if os.statvfs(self.folder).f_flag & os.ST_NOEXEC:
                # Nothing can be run from there, but from memory.
                self.memory = os.memfd_create("joblab")
                write(f"/proc/self/fd/{self.memory}", data)
                os.symlink(f"/proc/{os.getpid()}/fd/{self.memory}", self.path)
            else:
                # Half a file never has the name.
                write(self.path + ".part", data)
                os.rename(self.path + ".part", self.path)
        except OSError as error:
            self.error = f"it could not keep {self.file} in {self.folder}: {error}"

    def teardown(self, worker):
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.memory is not None:
            os.close(self.memory)


def write(path, data):
    with open(path, "wb", opener=lambda path, flags: os.open(path, flags, 0o700)) as file:
        file.write(data)


class Copy(Travels):
    """The caller's shared memory: a copy for all processes of a Dask worker.

    Dask takes it from worker to worker as tasks need it, and frees it.
    """

    def __init__(self, path, size):
        self.size = size
        self.descriptor = os.open(path, os.O_RDONLY)

    def __setstate__(self, state):
        self.size, self.descriptor = len(state["data"]), os.memfd_create("joblab")
        with open(self.descriptor, "wb", closefd=False) as file:
            file.write(state["data"])

    def given(self):
        # It goes from the one memory to the wire.
        data = mmap(self.descriptor, self.size, access=ACCESS_READ) if self.size else b""
        return {"data": PickleBuffer(data)}

    def __sizeof__(self):
        return self.size

    def __del__(self):
        os.close(self.descriptor)


class CannotRun(Exception):
    """Why a worker cannot run the program."""


class Pool(Travels, WorkerPlugin):
    """The processes that run the Rust code on one worker."""

    idempotent = True

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
        # Whoever runs a task there ends its process.
        with self.lock:
            for process in self.running.values():
                process.stop()
        for process in self.idle:
            process.finish()
        last = time.monotonic() + FINISH_WITHIN
        for process in self.idle:
            process.wait_for_end(last - time.monotonic())
        while self.idle:
            self.idle.pop().end()

    def transition(self, key, start, finish, **_):
        """Stops the process of a task that nobody wants any more."""
        if finish == "released" and isinstance(key, tuple) and key[0] == self.name:
            with self.lock:
                if process := self.running.get(key[1]):
                    process.stop()

    def asset(self, what):
        asset = self.worker.plugins[f"{self.name}-{what}"]
        if asset.error:
            raise CannotRun(asset.error)
        return asset

    def answer(self, verdict, rest=b"", pid=0):
        return answer(verdict, rest, pid, self.ahead, self.label)

    def run(self, job, n_images, needs_state, *rest):
        """The answer; where there is none, an exception has the words for Dask and those for us."""
        needed = [*range(n_images), *["state"][: int(needs_state)]]
        if any(f"{self.name}-{what}" not in self.worker.plugins for what in needed):
            raise KeyError(self.name)
        process = None
        try:
            try:
                process = self.idle.pop()
            except IndexError:
                process = Process(self)
            self.running[job] = process
            reply, verdict = process.call(n_images, needs_state, *rest), DONE
        except TimeoutError:
            verdict = LATE
        except (CannotRun, OSError) as error:
            is_unfit = isinstance(error, CannotRun) or not process
            verdict, reason = NO_FUNCTION if is_unfit else DIED, str(error)
        with self.lock:
            self.running.pop(job, None)
        # From here on nobody stops it.
        if process and process.is_stopped:
            # Nobody wants it. Dask would keep an exception, and with it the copies, for its collector.
            process.end()
            return None
        if process and verdict in (DONE, NO_FUNCTION):
            self.idle.append(process)
        if verdict == DONE:
            return reply
        if verdict == NO_FUNCTION:
            kind = " ".join([platform.machine(), *platform.libc_ver()]).strip()
            words = f"Dask worker {self.label} ({kind}): {reason}"
            said = self.answer(verdict, words.encode())
        else:
            status = process.end()
            words = f"process {process.pid} ended with wait status {status}"
            said = self.answer(verdict, struct.pack("<q", status), process.pid)
        raise self.failed(words, said)

    def failed(self, words, answer):
        # No name in the frame that it is raised from: they would hold each other, and the copies.
        error = ChildProcessError(words)
        error.joblab, error.worker = answer, self.worker.address
        return error


class Process:
    """A process that runs the Rust code: the program, or Python with the cell's library."""

    def __init__(self, pool):
        self.pool, self.images, self.has_state, self.is_stopped = pool, 0, False, False
        # Whoever came before the pool did was asked by it: bridge.py.
        if refused := too_old("it", get_versions()["packages"]):
            raise CannotRun(refused)
        program = pool.asset(0)
        if program.machine != platform.machine():
            raise CannotRun(f"the program is built for {program.machine}")
        # A task that waits for tasks of its own says so here: bridge.py.
        self.waits, self.says = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        environment = {
            "JOBLAB_PYTHON": sys.executable,
            **os.environ,
            "JOBLAB_PROCESS_NAME": f"DaskWorker-{pool.label}",
            "JOBLAB_WAITS": f"/proc/{os.getpid()}/fd/{self.says}",
        }
        if pool.entry:
            command = [sys.executable, "-I", "-S", "-c", HOST, program.path, pool.entry]
            folders = [pool.asset(1).folder, os.environ.get("LD_LIBRARY_PATH")]
            environment["LD_LIBRARY_PATH"] = ":".join(filter(None, folders))
        else:
            command = [program.path]
            environment["JOBLAB_WORKER"] = "1"
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

    def call(self, n_images, needs_state, limit, batch, of_state, of_batch):
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
            self.hand_over(of_state)
            with open(path, "rb") as state:
                self.socket.sendall(frame(STATE, state.read()))
            self.has_state = True
        with contextlib.suppress(BlockingIOError):
            # Of the task before.
            os.read(self.waits, LONGEST)
        self.hand_over(of_batch)
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

    def wait_for_end(self, seconds):
        if self.has_state:
            self.has_ended.wait(max(seconds, 0))

    def stop(self):
        self.is_stopped = True
        self.kill()

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def end(self):
        """Makes sure that it has ended, with its children; the status as wait(2) has it."""
        # One that is ending by itself keeps its own status: it closed its socket as it ended.
        if self.child.returncode is None:
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


def start(function, *arguments):
    thread = threading.Thread(target=function, args=arguments, daemon=True)
    thread.start()
    return thread
