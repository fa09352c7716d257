

# Beside the crate: what it asks for, and Dask's client.

import collections
import itertools
import os
import queue
import signal
import struct
import sys
import threading
import time
import uuid
import warnings

import dask
from distributed import Client, KilledWorker, LocalCluster, as_completed
from distributed.diagnostics.plugin import SchedulerPlugin

ROOM = 0  # Not a frame: an answer has made room for a task.


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
        self.shared = of_state, tuple(struct.iter_unpack("<QQQ", body[start:end]))


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


class Farewell(SchedulerPlugin):
    """Takes a pool's plugins from the cluster when its client is gone, however it went."""

    def __init__(self, name, client):
        self.name, self.client = name, client

    def remove_client(self, scheduler, client):
        if client != self.client:
            return
        for name in list(scheduler.worker_plugins):
            if name.startswith(self.name):
                scheduler.loop.add_callback(scheduler.unregister_worker_plugin, None, name)
        scheduler.remove_plugin(self.name)


class Bridge:
    def __init__(self, client, n_jobs, entry, frames, out):
        self.client, self.n_jobs, self.frames, self.out = client, n_jobs, frames, out
        self.pool = f"joblab-{uuid.uuid4().hex}"
        self.writing = threading.Lock()
        self.n_images, self.threads, self.waiting = 0, None, collections.deque()
        self.futures, self.copies = {}, {}
        self.under_way, self.news = as_completed(loop=client.loop), threading.Event()
        client.register_plugin(Farewell(self.pool, client.id), name=self.pool)
        client.register_plugin(Pool(self.pool, entry), name=self.pool)

    def send(self, kind, *bodies):
        with self.writing:
            for body in bodies:
                self.out.write(frame(kind, body))
            self.out.flush()

    def refuse(self, reason):
        """Gives up: the crate reports the reason."""
        self.send(REFUSED, str(reason).encode())
        os._exit(1)

    def count(self):
        """Tells how many tasks can run at the same time, where that has changed."""
        threads = sum(self.client.nthreads().values())
        if threads != self.threads:
            self.threads = threads
            self.send(HELLO, struct.pack("<Q", threads))

    def keep_counting(self):
        while self.client.status == "running":
            time.sleep(1)
            try:
                self.count()
            except Exception:  # The connection ends: whoever needs it will say so.
                return

    def ship(self, what, file, data):
        name = f"{self.pool}-{what}"
        self.client.register_plugin(Asset(name, file, data), name=name)

    def ship_image(self, body):
        # Nothing but a name for the program, whose file may have been replaced meanwhile.
        path = body.partition(b"\0")[2] or f"/proc/{os.getppid()}/exe".encode()
        with open(path, "rb") as file:
            data = without_debug(file.read())
        self.ship(self.n_images, os.path.basename(os.fsdecode(path)), data)
        self.n_images += 1

    def copy_of(self, number, descriptor, size):
        """A future of the copy, which the scheduler can have made again where its workers are lost."""
        if number not in self.copies:
            # This process is a child of the one that has the memory, on the same machine and in the same
            # namespaces, and each piece stays open until its batch is answered.
            with open(f"/proc/{os.getppid()}/fd/{descriptor}", "rb") as file:
                data = file.read(size)
            key = f"{self.pool}-memory-{number}"
            self.copies[number] = self.client.submit(Copy, data, key=key, pure=False)
        return self.copies[number]

    def submit(self):
        """Hands over as many tasks as may run, where those are not all that the cluster could."""
        room = self.n_jobs - len(self.futures) if self.n_jobs < self.threads else len(self.waiting)
        jobs = [self.waiting.popleft() for _ in range(min(max(room, 0), len(self.waiting)))]
        if jobs and self.client.status != "running":
            self.refuse(f"the connection to the scheduler was lost ({self.client.status})")
        for (of_state, shared), alike in itertools.groupby(jobs, lambda job: job.shared):
            alike = list(alike)
            try:
                copies = [self.copy_of(*memory) for memory in shared]
            except FileNotFoundError:
                # Its owner is gone: the call was given up, and its tasks will be.
                continue
            # Dask looks through each argument for futures, so that none are given for nothing.
            memory = {"of_state": of_state, "copies": copies} if shared else {}
            futures = self.client.map(
                run,
                [job.number for job in alike],
                [job.needs_state for job in alike],
                [job.limit for job in alike],
                [job.batch for job in alike],
                pool=self.pool,
                n_images=self.n_images,
                key=[(self.pool, job.number) for job in alike],
                pure=False,
                **memory,
            )
            self.futures.update(zip((job.number for job in alike), futures))
            self.under_way.update(futures)
            self.news.set()

    def cancel(self, numbers):
        self.waiting = collections.deque(job for job in self.waiting if job.number not in numbers)
        futures = [self.futures.pop(number) for number in numbers if number in self.futures]
        if futures:
            self.client.cancel(futures, force=True)
            self.client.run(stop, self.pool, numbers, wait=False, on_error="ignore")

    def answer_all(self):
        while True:
            self.news.wait()
            self.news.clear()
            for batch in self.under_way.batches():
                self.answer([future for future in batch if future.key[1] in self.futures])

    def answer(self, futures):
        try:
            done = [future for future in futures if future.status == "finished"]
            results = dict(zip(done, self.client.gather(done)))
        except OSError as error:  # Asking for each would only wait as often.
            self.refuse(f"the connection to the scheduler was lost: {error}")
        except Exception:  # One of them is to blame: each is asked for its own.
            results = {}
        replies = []
        for future in futures:
            if future.key[1] not in self.futures:
                continue
            if future.status == "cancelled":
                self.refuse("the connection to the scheduler was lost, or it dropped the tasks")
            try:
                reply = results[future] if future in results else future.result()
            except KilledWorker as error:
                reply = answer(KILLED, error.last_worker.address.encode())
            except Exception as error:
                reply = answer(LOST, f"{type(error).__name__}: {error}".encode())
            del self.futures[future.key[1]]
            replies.append(struct.pack("<Q", future.key[1]) + reply)
        self.send(REPLY, *replies)
        self.frames.put((ROOM, b""))

    def work(self):
        """Does what the crate asks for, until there is an end of it."""
        while True:
            kind, body = self.frames.get()
            while kind == JOB:
                self.waiting.append(Job(body))
                if self.frames.empty():
                    break
                kind, body = self.frames.get()
            self.submit()
            if kind == IMAGE:
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


def main(address, n_jobs, entry, n_images):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What is shared is large at times, and has to travel.
    warnings.filterwarnings("ignore", "Sending large graph")
    # Whatever else is printed here, or by a local cluster's workers, is not a frame.
    source, out = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    frames = queue.SimpleQueue()

    def read():
        while (read := read_frame(source)) is not None:
            frames.put(read)
        # However busy the rest is, this process does not outlive the crate's.
        frames.put((None, b""))
        time.sleep(5)
        os._exit(1)

    def watch(parent):
        # A fork of the crate's process may hold the input open, and is not our parent.
        while os.getppid() == parent:
            time.sleep(0.5)
        frames.put((None, b""))
        time.sleep(5)
        os._exit(1)

    threading.Thread(target=read, daemon=True).start()
    threading.Thread(target=watch, args=[os.getppid()], daemon=True).start()
    cluster, address = None, address or dask.config.get("scheduler-address", None)
    try:
        if not address:
            cluster = LocalCluster(
                n_workers=int(n_jobs),
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
            )
        bridge = Bridge(Client(address or cluster, timeout=10), int(n_jobs), entry, frames, out)
        for _ in range(int(n_images)):
            bridge.ship_image(frames.get()[1])
        bridge.count()
    except Exception as error:
        out.write(frame(REFUSED, f"{type(error).__name__}: {error}".encode()))
        out.flush()
        os._exit(1)
    threading.Thread(target=bridge.keep_counting, daemon=True).start()
    threading.Thread(target=bridge.answer_all, daemon=True).start()
    try:
        bridge.work()
    except Exception as error:
        bridge.refuse(f"{type(error).__name__}: {error}")
    bridge.client.close()
    if cluster:
        cluster.close()
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
