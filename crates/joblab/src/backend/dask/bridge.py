# Beside the crate: what it asks for, in the event loop of Dask's client.

import asyncio
import collections
import concurrent.futures
import functools
import uuid

import dask
from distributed import KilledWorker, as_completed

# Not frames: an answer has made room for a task; a task is to be handed over again.
ROOM, AGAIN = 0, -1
# A task: no code of ours but in the plugin that the worker has. Where it has none, KeyError(pool).
RUN = "__import__('distributed').get_worker().plugins[pool].run(job, copies)"
LONGEST_DELAY = 0.04  # For others to come along, in seconds.
ATTEMPTS = 4  # How often a task is handed over that workers could not begin.


class Job:
    """A batch, and the caller's shared memory that is in it: number, descriptor and size."""

    def __init__(self, n_images, body):
        head = "<QQQQQ"
        self.number, needs_state, limit, of_state, of_batch = struct.unpack_from(head, body)
        start = struct.calcsize(head)
        end = start + 24 * (of_state + of_batch)
        # Those of the state come first.
        self.shared = list(struct.iter_unpack("<QQQ", body[start:end]))
        limit = limit / 1e9 or None
        self.run = (self.number, n_images, bool(needs_state), limit, of_state, body[end:])
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


class Bridge:
    def __init__(self, frames, out, client, n_jobs, entry, n_images):
        self.frames, self.out, self.client, self.n_jobs = frames, out, client, n_jobs
        self.pool = f"joblab-{uuid.uuid4().hex}"
        self.threads, self.n_images, self.n_first = 0, 0, n_images
        self.waiting, self.jobs = collections.deque(), {}
        self.copies, self.unfit, self.memory = {}, set(), {}
        self.under_way, self.news = as_completed(loop=client.loop), asyncio.Event()
        # A worker that is stopped answers nobody, and the others need not wait for it.
        self.patience = 5
        self.plugins = {self.pool: Pool(self.pool, entry)}

    async def begin(self):
        """Makes itself at home on a cluster that can do with it."""
        # Before anything of ours is on machines that others use too.
        versions = await self.ask(self.client.get_versions()) or {"scheduler": {}, "workers": {}}
        machines = {"the scheduler": versions["scheduler"]}
        machines |= {f"Dask worker {at}": of for at, of in versions["workers"].items()}
        for who, of in machines.items():
            check_versions(who, of)
        await self.join()

    async def ask(self, answer):
        """What the cluster answers, or None where a worker takes too long."""
        try:
            return await asyncio.wait_for(answer, self.patience)
        except asyncio.TimeoutError:
            self.patience = 0.5
            return None

    async def join(self):
        """Makes the pool known to the cluster, or known again."""
        self.unfit.clear()
        self.client.subscribe_topic(self.client.id, self.count)
        self.client.subscribe_topic("worker-restart-memory", self.note_memory)
        await self.client.register_plugin(Host(self.pool, self.client.id), name=self.pool)
        for name, plugin in self.plugins.items():
            await self.ask(self.client.register_plugin(plugin, name=name))

    def send(self, kind, *parts):
        self.out.writelines([header(kind, sum(map(len, parts))), *parts])

    def hello(self, threads, is_local=False):
        """Tells how many tasks can run at the same time."""
        self.threads = threads
        self.send(HELLO, struct.pack("<QQ", threads, is_local))
        self.out.flush()

    def count(self, event):
        # Dask has other things to say there, and the crate is not told before tasks can run.
        is_ours = isinstance(event[1], dict) and "joblab" in event[1]
        if is_ours and self.n_images >= self.n_first:
            self.hello(event[1]["joblab"])

    def note_memory(self, event):
        self.memory[event[1]["worker"]] = event[1]["rss"]

    async def ship(self, what, file, data):
        name = f"{self.pool}-{what}"
        self.plugins[name] = Asset(name, file, data)
        await self.ask(self.client.register_plugin(self.plugins[name], name=name))

    async def ship_image(self, body):
        # Nothing but a name for the program, whose file may have been replaced meanwhile.
        path = body.partition(b"\0")[2] or f"/proc/{os.getppid()}/exe".encode()
        with open(path, "rb") as file:
            data = without_debug(file.read())
        await self.ship(self.n_images, os.path.basename(os.fsdecode(path)), data)
        self.n_images += 1
        if self.n_images == self.n_first:
            # Whatever the first tasks need is at the workers.
            self.hello(sum((await self.client.nthreads()).values()), bool(self.client.cluster))

    async def copy_of(self, number, descriptor, size):
        """A future of the copy. Where the workers that had it are lost, there is another one."""
        if number not in self.copies or self.copies[number].status != "finished":
            if not await self.client.nthreads():
                # An adaptive cluster starts a worker for a task, and none for data.
                await self.client.submit(int, pure=False)
            # This process is a child of the one that has the memory, on the same machine and in the same
            # namespaces, and each piece stays open until its batch is answered.
            memory = Copy(f"/proc/{os.getppid()}/fd/{descriptor}", size)
            self.copies[number] = await self.client.scatter(memory, hash=False)
        return self.copies[number]

    async def submit(self):
        """Hands over as many tasks as may run, where those are not all that the cluster could."""
        room = self.n_jobs - len(self.jobs) if self.n_jobs < self.threads else len(self.waiting)
        given = {}
        while self.waiting and len(given) < room:
            job = self.waiting.popleft()
            # Where the owner of its memory is gone, the call was given up, and its tasks will be.
            with contextlib.suppress(FileNotFoundError):
                copies = [await self.copy_of(*memory) for memory in job.shared]
                given[job] = {"pool": self.pool, "job": job.run, "copies": copies}
        if not given:
            return
        if self.client.status == "closed":
            raise CannotRun("the connection to the scheduler was lost")
        if waits := os.environ.get("JOBLAB_WAITS"):
            # A task of Dask's does, which says so to its Dask worker: process.py.
            with contextlib.suppress(OSError):
                pipe = os.open(waits, os.O_WRONLY | os.O_NONBLOCK)
                os.write(pipe, b".")
                os.close(pipe)
        # Such as `resources`, `workers` and `priority`.
        options = dask.config.get("joblab", {})
        # Not where it cannot run, if it can elsewhere.
        if self.unfit and "workers" not in options and (fit := await self.fit()):
            options = {"workers": fit, "allow_other_workers": True} | options
        futures = self.client.map(
            functools.partial(eval, RUN),
            list(given.values()),
            key=[(self.pool, job.number, job.attempts) for job in given],
            pure=False,
            **options,
        )
        for job, job.future in zip(given, futures):
            self.jobs[job.number] = job
        self.under_way.update(futures)
        self.news.set()

    async def fit(self):
        return [worker for worker in await self.client.nthreads() if worker not in self.unfit]

    async def cancel(self, numbers):
        self.waiting = collections.deque(job for job in self.waiting if job.number not in numbers)
        jobs = [self.jobs.pop(number) for number in numbers if number in self.jobs]
        if jobs:
            await self.client.cancel([job.future for job in jobs], force=True)

    async def let_others_come(self):
        """Waits for a moment while the workers have enough to do.

        To hand over or to fetch many tasks takes about as long as one: those that come next come along.
        """
        last = time.monotonic() + LONGEST_DELAY
        while len(self.under_way.futures) > 4 * self.threads and time.monotonic() < last:
            await asyncio.sleep(LONGEST_DELAY / 10)

    async def answer_all(self):
        while True:
            await self.news.wait()
            self.news.clear()
            async for future in self.under_way:
                await self.let_others_come()
                batch = [future, *self.under_way.next_batch(block=False)]
                jobs = {future: self.jobs.get(future.key[1]) for future in batch}
                await self.answer([job for it, job in jobs.items() if job and job.future is it])

    async def answer(self, jobs):
        try:
            done = [job for job in jobs if job.future.status == "finished"]
            results = dict(zip(done, await self.client.gather([job.future for job in done])))
        except OSError as error:  # Asking for each would only wait as often.
            raise CannotRun(f"the connection to the scheduler was lost: {error}") from error
        except Exception:  # One of them is to blame: each is asked for its own.
            results = {}
        for job in jobs:
            reply = results.get(job) or await self.reply_of(job)
            if reply and self.jobs.pop(job.number, None):
                self.send(REPLY, struct.pack("<Q", job.number), reply)
        self.out.flush()
        if self.waiting:
            self.frames.put_nowait((ROOM, b""))

    async def reply_of(self, job):
        """What came of a task that may have failed; None where it is handed over again."""
        delay = 0
        try:
            if reply := await job.future:
                return reply
            reply = answer(LOST, b"it was stopped")
        except KilledWorker as error:
            words = worker = error.last_worker.address
            if worker in self.memory:
                words += f" (its nanny ended it: it held {self.memory[worker] >> 20} MiB of memory)"
            return answer(KILLED, words.encode())
        except concurrent.futures.CancelledError:
            if self.client.status != "running":
                words = "the connection to the scheduler was lost; make a new Parallel when it is up"
                raise CannotRun(words) from None
            words = "somebody cancelled it, or restarted the cluster's workers; run the call again"
            reply = answer(LOST, words.encode())
            copies = [self.copies.get(number) for number, _, _ in job.shared]
            if all(copy and copy.status == "finished" for copy in copies):
                return reply
        except Exception as error:
            words = f"{type(error).__name__}: {error}".encode()
            reply = getattr(error, "joblab", answer(LOST, words))
            if error.args == (self.pool,):
                # The scheduler is another one, or the worker was not told yet.
                self.frames.put_nowait((HELLO, b""))
                delay = job.attempts
            elif reply[:8] == answer(NO_FUNCTION)[:8]:
                # Not Dask's `Reschedule`: the scheduler would not know who gave the task back, and an
                # idle worker that can run none gets it again at once, for ever where it is alone.
                self.unfit.add(error.worker)
                if not await self.fit():
                    return reply
            else:
                return reply
        job.attempts += 1
        if job.attempts == ATTEMPTS:
            return reply
        asyncio.get_running_loop().call_later(delay, self.frames.put_nowait, (AGAIN, job))
        return None

    async def work(self):
        """Does what the crate asks for, until there is an end of it."""
        while True:
            frames = [await self.frames.get()]
            if frames[0][0] == JOB:
                await self.let_others_come()
            frames += [self.frames.get_nowait() for _ in range(self.frames.qsize())]
            for kind, body in frames:
                if kind == JOB:
                    self.waiting.append(Job(self.n_images, body))
                elif kind == AGAIN:
                    # Unless it was cancelled meanwhile.
                    if self.jobs.pop(body.number, None):
                        self.waiting.append(body)
                elif kind == HELLO:
                    await self.join()
                elif kind == IMAGE:
                    await self.ship_image(body)
                elif kind == STATE:
                    await self.ship("state", "state", body)
                elif kind == CANCEL:
                    await self.cancel([number for (number,) in struct.iter_unpack("<Q", body)])
                elif kind == FORGET:
                    for (number,) in struct.iter_unpack("<Q", body):
                        self.copies.pop(number, None)
                elif kind is None:
                    return
            await self.submit()
