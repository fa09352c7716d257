# Beside the crate: what it asks for, and Dask's client.

import collections
import concurrent.futures
import itertools
import queue
import uuid
import warnings

import dask
import distributed
from distributed import Client, KilledWorker, LocalCluster, as_completed

ROOM = 0  # Not a frame: an answer has made room for a task.
# A task: no code of ours but in the plugin that the worker has. Where it has none, KeyError(pool).
RUN = "__import__('distributed').get_worker().plugins[pool].run(*job, copies[:of_state], copies[of_state:])"
LONGEST_DELAY = 0.02  # For others to come along, in seconds.
ATTEMPTS = 4  # How often a task is handed over that workers could not begin.


class Job:
    """A batch, and the caller's shared memory that is in it: number, descriptor and size."""

    def __init__(self, body):
        head = "<QQQQQ"
        self.number, needs_state, limit, of_state, of_batch = struct.unpack_from(head, body)
        self.needs_state, self.limit = bool(needs_state), limit / 1e9 or None
        start = struct.calcsize(head)
        end = start + 24 * (of_state + of_batch)
        self.batch = body[end:]
        # How many pieces are those of the state, and all of them, which come behind those.
        self.of_state, self.shared = of_state, tuple(struct.iter_unpack("<QQQ", body[start:end]))
        self.attempts, self.future = 0, None


def without_debug(elf):
    """What the loader reads of a program or library: what only debuggers read may be most of it."""
    if elf[:5] != b"\x7fELF\x02":
        return elf
    # Elf64_Ehdr and Elf64_Phdr of elf(5).
    (at,) = struct.unpack_from("Q", elf, 32)
    size, count = struct.unpack_from("HH", elf, 54)
    segments = (struct.unpack_from("8xQ16xQ", elf, at + n * size) for n in range(count))
    kept = bytearray(elf[: max(start + length for start, length in segments)])
    struct.pack_into("Q", kept, 40, 0)
    struct.pack_into("HH", kept, 60, 0, 0)
    return bytes(kept)


class Refused(Exception):
    """Why there is no cluster."""


class Bridge:
    def __init__(self, frames, out):
        self.frames, self.out, self.writing = frames, out, threading.Lock()

    def begin(self, client, n_jobs, entry):
        """Makes itself at home on a cluster that can do with it."""
        self.client, self.n_jobs = client, n_jobs
        self.pool = f"joblab-{uuid.uuid4().hex}"
        self.n_images, self.threads, self.is_ready = 0, 0, False
        self.waiting = collections.deque()
        self.jobs, self.copies, self.unfit, self.memory = {}, {}, set(), {}
        self.under_way, self.news = as_completed(loop=client.loop), threading.Event()
        # A worker that is stopped answers nobody, and the others need not wait for it.
        self.calls, self.patience = concurrent.futures.ThreadPoolExecutor(), 5
        self.compare_versions()
        self.plugins = {self.pool: Pool(self.pool, entry)}
        self.join()

    def compare_versions(self):
        """Before anything of ours is on machines that others use too."""
        versions = self.ask(self.client.get_versions) or {"scheduler": {}, "workers": {}}
        machines = {"the scheduler": versions["scheduler"]}
        machines |= {f"Dask worker {at}": of for at, of in versions["workers"].items()}
        for who, of in machines.items():
            if of and (refused := too_old(who, of["packages"])):
                raise Refused(refused)

    def ask(self, call, *arguments, **options):
        """What the cluster answers, or None where a worker takes too long."""
        try:
            return self.calls.submit(call, *arguments, **options).result(self.patience)
        except concurrent.futures.TimeoutError:
            self.patience = 0.5
            return None

    def join(self):
        """Makes the pool known to the cluster, or known again."""
        self.unfit.clear()
        self.client.subscribe_topic(self.client.id, self.count)
        self.client.subscribe_topic("worker-restart-memory", self.note_memory)
        self.client.register_plugin(Host(self.pool, self.client.id), name=self.pool)
        for name, plugin in self.plugins.items():
            self.ask(self.client.register_plugin, plugin, name=name)

    def send(self, kind, *bodies):
        with self.writing:
            for parts in bodies:
                self.out.write(header(kind, sum(map(len, parts))))
                for part in parts:
                    self.out.write(part)
            self.out.flush()

    def refuse(self, reason):
        """Gives up: the crate reports the reason."""
        is_words = isinstance(reason, (str, Refused))
        words = str(reason) if is_words else f"{type(reason).__name__}: {reason}"
        self.send(REFUSED, [words.encode()])
        os._exit(1)

    def hello(self, is_local):
        self.is_ready, self.threads = True, sum(self.client.nthreads().values())
        self.send(HELLO, [struct.pack("<QQ", self.threads, is_local)])

    def count(self, event):
        """Tells how many tasks can run at the same time, where that has changed."""
        threads = event[1].get("joblab-threads") if isinstance(event[1], dict) else None
        if self.is_ready and threads not in (None, self.threads):
            self.threads = threads
            self.send(HELLO, [struct.pack("<QQ", threads, False)])

    def note_memory(self, event):
        self.memory[event[1]["worker"]] = event[1]["rss"]

    def ship(self, what, file, data):
        name = f"{self.pool}-{what}"
        self.plugins[name] = Asset(name, file, data)
        self.ask(self.client.register_plugin, self.plugins[name], name=name)

    def ship_image(self, body):
        # Nothing but a name for the program, whose file may have been replaced meanwhile.
        path = body.partition(b"\0")[2] or f"/proc/{os.getppid()}/exe".encode()
        with open(path, "rb") as file:
            data = without_debug(file.read())
        self.ship(self.n_images, os.path.basename(os.fsdecode(path)), data)
        self.n_images += 1

    def copy_of(self, number, descriptor, size):
        """A future of the copy. Where the workers that had it are lost, there is another one."""
        if number not in self.copies or self.copies[number].status != "finished":
            if not self.client.nthreads():
                # An adaptive cluster starts a worker for a task, and none for data.
                self.client.submit(int, pure=False).result()
            # This process is a child of the one that has the memory, on the same machine and in the same
            # namespaces, and each piece stays open until its batch is answered.
            memory = Copy(f"/proc/{os.getppid()}/fd/{descriptor}", size)
            self.copies[number] = self.client.scatter(memory, hash=False)
        return self.copies[number]

    def submit(self):
        """Hands over as many tasks as may run, where those are not all that the cluster could."""
        room = self.n_jobs - len(self.jobs) if self.n_jobs < self.threads else len(self.waiting)
        jobs = [self.waiting.popleft() for _ in range(min(max(room, 0), len(self.waiting)))]
        if jobs and self.client.status == "closed":
            self.refuse("the connection to the scheduler was lost")
        given = {}
        for job in jobs:
            # Where the owner of its memory is gone, the call was given up, and its tasks will be.
            with contextlib.suppress(FileNotFoundError):
                copies = [self.copy_of(*memory) for memory in job.shared]
                run = (job.number, self.n_images, job.needs_state, job.limit, job.batch)
                given[job] = {"pool": self.pool, "job": run, "of_state": job.of_state, "copies": copies}
        if not given:
            return
        if waits := os.environ.get("JOBLAB_WAITS"):
            # A task of Dask's does, which says so to its Dask worker: workers.py.
            with contextlib.suppress(OSError):
                pipe = os.open(waits, os.O_WRONLY | os.O_NONBLOCK)
                os.write(pipe, b".")
                os.close(pipe)
        # Such as `resources`, `workers` and `priority`.
        options = dask.config.get("joblab", {})
        # Not where it cannot run, if it can elsewhere.
        if self.unfit and "workers" not in options and (fit := self.fit()):
            options = {"workers": fit, "allow_other_workers": True} | options
        futures = self.client.map(
            functools.partial(eval, RUN),
            list(given.values()),
            key=[(self.pool, job.number, job.attempts) for job in given],
            pure=False,
            **options,
        )
        for job, future in zip(given, futures):
            job.future, self.jobs[job.number] = future, job
        self.under_way.update(futures)
        self.news.set()

    def fit(self):
        return [worker for worker in self.client.nthreads() if worker not in self.unfit]

    def cancel(self, numbers):
        self.waiting = collections.deque(job for job in self.waiting if job.number not in numbers)
        jobs = [self.jobs.pop(number) for number in numbers if number in self.jobs]
        if jobs:
            self.client.cancel([job.future for job in jobs], force=True)

    def answer_all(self):
        while True:
            self.news.wait()
            self.news.clear()
            for batch in self.under_way.batches():
                # To fetch many takes about as long as to fetch one: where many are under way, some of
                # those that end next come with it.
                last = time.monotonic() + LONGEST_DELAY
                while len(batch) < len(self.jobs) // 8 and time.monotonic() < last:
                    time.sleep(LONGEST_DELAY / 10)
                    batch += self.under_way.next_batch(block=False)
                jobs = {future: self.jobs.get(future.key[1]) for future in batch}
                self.answer([job for future, job in jobs.items() if job and job.future is future])

    def answer(self, jobs):
        try:
            done = [job for job in jobs if job.future.status == "finished"]
            results = dict(zip(done, self.client.gather([job.future for job in done])))
        except OSError as error:  # Asking for each would only wait as often.
            self.refuse(f"the connection to the scheduler was lost: {error}")
        except Exception:  # One of them is to blame: each is asked for its own.
            results = {}
        replies = []
        for job in jobs:
            if self.jobs.pop(job.number, None) is None:
                continue
            if reply := results.get(job) or self.reply_of(job):
                replies.append((struct.pack("<Q", job.number), reply))
        self.send(REPLY, *replies)
        if self.waiting:
            self.frames.put((ROOM, b""))

    def reply_of(self, job):
        """What came of a task that may have failed; None where it is handed over again."""
        try:
            if job.future.status != "cancelled":
                return job.future.result() or self.again(job, answer(LOST, b"it was stopped"))
        except KilledWorker as error:
            worker = error.last_worker.address
            words = worker
            if worker in self.memory:
                words += f" (its nanny ended it: it held {self.memory[worker] >> 20} MiB of memory)"
            return answer(KILLED, words.encode())
        except concurrent.futures.CancelledError:
            pass
        except Exception as error:
            words = f"{type(error).__name__}: {error}".encode()
            reply = getattr(error, "joblab", answer(LOST, words))
            if error.args == (self.pool,):
                # The scheduler is another one, or the worker was not told yet.
                self.frames.put((HELLO, b""))
                return self.again(job, reply, job.attempts)
            if reply[:8] != answer(NO_FUNCTION)[:8]:
                return reply
            self.unfit.add(error.worker)
            return self.again(job, reply) if self.fit() else reply
        if self.client.status != "running":
            self.refuse("the connection to the scheduler was lost; make a new Parallel when it is up")
        words = "somebody cancelled it, or restarted the cluster's workers; run the call again"
        reply = answer(LOST, words.encode())
        is_lost = any(self.copies[number].status != "finished" for number, _, _ in job.shared)
        return self.again(job, reply) if is_lost else reply

    def again(self, job, reply, after=0):
        """Has it handed over again, or gives its reply where that was tried often enough."""
        job.attempts += 1
        if job.attempts == ATTEMPTS:
            return reply
        threading.Timer(after, self.frames.put, [(JOB, job)]).start()
        return None

    def work(self):
        """Does what the crate asks for, until there is an end of it."""
        while True:
            kind, body = self.frames.get()
            last = time.monotonic() + LONGEST_DELAY
            while kind == JOB:
                self.waiting.append(body if isinstance(body, Job) else Job(body))
                # The same with those that come next, where the workers have enough to do.
                left = last - time.monotonic() if len(self.jobs) > 4 * self.threads else 0
                try:
                    kind, body = self.frames.get(timeout=max(left, 0))
                except queue.Empty:
                    break
            if kind == HELLO:
                self.join()
            elif kind == IMAGE:
                self.ship_image(body)
            elif kind == STATE:
                self.ship("state", "state", body)
            elif kind == CANCEL:
                self.cancel([number for (number,) in struct.iter_unpack("<Q", body)])
            elif kind == FORGET:
                for (number,) in struct.iter_unpack("<Q", body):
                    self.copies.pop(number, None)
            elif kind is None:
                return
            self.submit()


def connect(address, n_local):
    """A client, and the cluster that was started for it."""
    if refused := too_old(sys.executable, {"distributed": distributed.__version__}):
        raise Refused(refused)
    address = address or dask.config.get("scheduler-address", None)
    if address and os.path.isfile(address):
        return Client(scheduler_file=address), None
    if address:
        return Client(address), None
    cluster = LocalCluster(
        n_workers=n_local,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
    )
    return Client(cluster), cluster


def main(address, n_local, n_jobs, entry, n_images):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What is shared is large at times, and has to travel.
    warnings.filterwarnings("ignore", "Sending large graph")
    inlet, out = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(0), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    frames = queue.SimpleQueue()

    def end():
        # However busy the rest is, this process does not outlive the crate's.
        frames.put((None, b""))
        time.sleep(5)
        os._exit(1)

    def read():
        while (read := read_frame(inlet)) is not None:
            frames.put(read)
        end()

    def watch(parent):
        # A fork of the crate's process may hold the socket open, and is not our parent.
        while os.getppid() == parent:
            time.sleep(0.5)
        end()

    start(read)
    start(watch, os.getppid())
    bridge = Bridge(frames, out)
    try:
        client, cluster = connect(address, int(n_local))
        bridge.begin(client, int(n_local if cluster else n_jobs), entry)
        for _ in range(int(n_images)):
            bridge.ship_image(frames.get()[1])
        bridge.hello(cluster is not None)
        start(bridge.answer_all)
        bridge.work()
    except Exception as error:
        bridge.refuse(error)
    client.close()
    if cluster:
        cluster.close()
    os._exit(0)
