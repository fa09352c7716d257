# On the cluster's machines: what they are given, as plugins of the scheduler and of its workers, and data.

import shutil
from mmap import ACCESS_READ, mmap
from pickle import PickleBuffer

from distributed.diagnostics.plugin import SchedulerPlugin, WorkerPlugin

FINISH_WITHIN = 5  # How long processes may take to drop their states, in seconds.


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
        scheduler.log_event(self.client, {"joblab": scheduler.total_nthreads})

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
        self.machine = platform.machine()

    def setup(self, worker):
        """Notes what goes wrong: whoever needs the file says so, and the worker is none the worse."""
        data, self.memory, self.error = self.__dict__.pop("data"), None, None
        self.folder = os.path.realpath(os.path.join(worker.local_directory, self.name))
        self.path = os.path.join(self.folder, self.file)
        try:
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


class Passing(type):
    """The kind of a class that Dask's tables of classes take for `object`: they would keep it for ever."""

    def __eq__(cls, other):
        return other is object or other is cls

    def __hash__(cls):
        return hash(object)


class Copy(Travels, metaclass=Passing):
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
        while self.idle:
            self.idle.pop().end(last)

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

    def process(self):
        """One that has nothing to do."""
        with contextlib.suppress(IndexError):
            return self.idle.pop()
        try:
            return Process(self)
        except OSError as error:
            raise CannotRun(str(error)) from None

    def run(self, job, copies):
        """The answer; where there is none, an exception has the words for Dask and those for us."""
        number, *rest = job
        process = None
        try:
            process = self.process()
            self.running[number] = process
            reply, verdict = process.call(copies, *rest), DONE
        except KeyError:
            # Of an asset that this worker was not told of yet.
            verdict = LOST
        except TimeoutError:
            verdict = LATE
        except CannotRun as error:
            verdict, reason = NO_FUNCTION, str(error)
        except OSError:
            verdict = DIED
        with self.lock:
            self.running.pop(number, None)
        # From here on nobody stops it.
        if process and process.is_stopped:
            # Nobody wants it. Dask would keep an exception, and with it the copies, for its collector.
            process.end()
            return None
        if process and verdict in (DONE, NO_FUNCTION, LOST):
            self.idle.append(process)
        if verdict == DONE:
            return reply
        if verdict == LOST:
            raise KeyError(self.name)
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
