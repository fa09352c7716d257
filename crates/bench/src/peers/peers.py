"""Python's pools. Reads cases from stdin, one JSON object a line, runs each once, and answers with
what it took.

    python peers.py PEER

A pool stays warm until a case is closed.
"""

import concurrent.futures
import functools
import importlib.metadata
import multiprocessing
import os
import platform
import sys
import time
from multiprocessing import resource_tracker, shared_memory
from pathlib import Path

import numpy
import tasks as what
from answers import serve

# A repeat of tiny calls goes on for so long; one of tiny tasks that would take longer takes fewer.
SHORT, LONG = 0.05, 0.5


class Peer:
    package = None

    def __init__(self, n_jobs, chunked=False, shared=None):
        """A pool. `chunked`: tasks are tiny and many; else they go one by one."""
        self.n_jobs, self.chunked = n_jobs, chunked

    def chunk(self, inputs):
        """What multiprocessing.Pool takes for itself, and the others are told to take."""
        return max(1, len(inputs) // (4 * self.n_jobs)) if self.chunked else 1

    def map(self, task, inputs):
        raise NotImplementedError

    def share(self, numbers):
        """A call that has one task read numbers that workers have already. None: there is no such way."""

    def close(self):
        pass


class Joblib(Peer):
    package = "joblib"
    backend = None

    def __init__(self, n_jobs, chunked=False, shared=None):
        from joblib import Parallel

        super().__init__(n_jobs, chunked)
        # By default a large array is shared. Here the case says whether.
        most = 1 if shared is not None else None
        size = "auto" if chunked else 1
        self.parallel = Parallel(n_jobs, backend=self.backend, batch_size=size, max_nbytes=most)
        self.parallel.__enter__()

    def map(self, task, inputs):
        from joblib import delayed

        return self.parallel(delayed(task)(it) for it in inputs)

    def close(self):
        self.parallel.__exit__(None, None, None)


class JoblibThreading(Joblib):
    backend = "threading"


class JoblibMultiprocessing(Joblib):
    backend = "multiprocessing"


class JoblibLoky(Joblib):
    backend = "loky"

    def share(self, numbers):
        return lambda: self.map(what.touch, [numbers])

    def close(self):
        from joblib.externals.loky import get_reusable_executor

        super().close()
        get_reusable_executor().shutdown(wait=True, kill_workers=True)


class Pool(Peer):
    def __init__(self, n_jobs, chunked=False, shared=None):
        super().__init__(n_jobs, chunked)
        # Workers that started one of their own would remove shared memory that others use.
        resource_tracker.ensure_running()
        self.pool = multiprocessing.Pool(n_jobs)
        self.memory = None

    def map(self, task, inputs):
        return self.pool.map(task, inputs, chunksize=self.chunk(inputs))

    def share(self, numbers):
        self.memory = shared_memory.SharedMemory(create=True, size=numbers.nbytes)
        numpy.ndarray(numbers.shape, buffer=self.memory.buf)[:] = numbers
        return lambda: self.map(what.touch_named, [(self.memory.name, len(numbers))])

    def close(self):
        self.pool.terminate()
        self.pool.join()
        if self.memory:
            self.memory.close()
            self.memory.unlink()


class Executor(Peer):
    executor = None

    def __init__(self, n_jobs, chunked=False, shared=None):
        super().__init__(n_jobs, chunked)
        self.pool = self.executor(n_jobs)

    def map(self, task, inputs):
        return list(self.pool.map(task, inputs, chunksize=self.chunk(inputs)))

    def close(self):
        self.pool.shutdown()


class ProcessPoolExecutor(Executor):
    executor = concurrent.futures.ProcessPoolExecutor


class ThreadPoolExecutor(Executor):
    executor = concurrent.futures.ThreadPoolExecutor


class Mpire(Peer):
    package = "mpire"

    def __init__(self, n_jobs, chunked=False, shared=None):
        from mpire import WorkerPool

        super().__init__(n_jobs, chunked)
        self.pool = WorkerPool(n_jobs, shared_objects=shared, keep_alive=True)

    def map(self, task, inputs):
        # Chunks of its own choice are its default.
        return self.pool.map(task, inputs, chunk_size=None if self.chunked else 1)

    def share(self, numbers):
        return lambda: self.map(what.touch_shared_object, [0])

    def close(self):
        self.pool.terminate()


class Dask(Peer):
    package = "distributed"

    def __init__(self, n_jobs, chunked=False, shared=None):
        import dask
        from distributed import Client, LocalCluster

        super().__init__(n_jobs, chunked)
        dask.config.set({"distributed.scheduler.allowed-failures": 0})
        self.cluster = LocalCluster(
            n_workers=n_jobs, threads_per_worker=1, dashboard_address=None, silence_logs=50
        )
        self.client = Client(self.cluster)

    def map(self, task, inputs):
        return self.client.gather(self.client.map(task, inputs, pure=False))

    def share(self, numbers):
        held = self.client.scatter(numbers, broadcast=True)
        return lambda: self.map(what.touch, [held])

    def close(self):
        self.client.close()
        self.cluster.close()


PEERS = {
    "joblib threading": JoblibThreading,
    "joblib multiprocessing": JoblibMultiprocessing,
    "joblib loky": JoblibLoky,
    "multiprocessing.Pool": Pool,
    "ProcessPoolExecutor": ProcessPoolExecutor,
    "ThreadPoolExecutor": ThreadPoolExecutor,
    "mpire": Mpire,
    "Dask": Dask,
}


def seconds(call):
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def seconds_each(call):
    """Of a call that may be too short for one reading of the clock."""
    begun, calls = time.perf_counter(), 0
    while calls == 0 or time.perf_counter() - begun < SHORT:
        call()
        calls += 1
    return (time.perf_counter() - begun) / calls


def descendants(pid):
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            yield child
            yield from descendants(child)


def memory(pid):
    """Bytes of a process, with its share of what it has in common with others."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


class Cases:
    """One method for each kind of case, named as the case says."""

    def __init__(self, peer):
        self.make = peer
        self.warm = {}

    def pool(self, n_jobs, chunked=False, shared=None, of=None):
        key = (n_jobs, chunked, of)
        if key not in self.warm:
            self.warm[key] = self.make(n_jobs, chunked, shared)
            if shared is None:
                self.warm[key].map(what.same, range(n_jobs))
        return self.warm[key]

    def close(self):
        warm, self.warm = self.warm, {}
        array.cache_clear()
        for pool in warm.values():
            pool.close()

    def tutorial(self, workers, n_jobs, tasks, n):
        task = what.loop_with_gil if workers == "lock-held" else what.loop
        pool = self.pool(n_jobs)
        return seconds(lambda: pool.map(task, [n] * tasks))

    def call(self, workers, n_jobs):
        pool = self.pool(n_jobs)
        return seconds_each(lambda: pool.map(what.same, range(2)))

    def empty(self, workers, n_jobs, tasks, batched):
        pool = self.pool(n_jobs, batched)
        some = 200
        each = seconds(lambda: pool.map(what.same, range(some))) / some
        if each * tasks > LONG:
            tasks = max(some, int(LONG / each))
        return seconds(lambda: pool.map(what.same, range(tasks))) / tasks

    def start(self, workers, n_jobs):
        def start():
            pool = self.make(n_jobs)
            pool.map(what.same, range(n_jobs))
            pool.close()

        return seconds(start)

    def argument(self, n_jobs, bytes, shared):
        numbers = array(bytes)
        if not shared:
            pool = self.pool(n_jobs)
            return seconds_each(lambda: pool.map(what.touch, [numbers]))
        pool = self.pool(n_jobs, shared=numbers, of=bytes)
        if not hasattr(pool, "shared_call"):
            pool.shared_call = pool.share(numbers)
            pool.shared_call()
        return seconds_each(pool.shared_call)

    def result(self, n_jobs, bytes):
        pool = self.pool(n_jobs)
        return seconds_each(lambda: pool.map(what.numbers, [bytes]))

    def skewed(self, workers, n_jobs, short, long, place, costs):
        pool = self.pool(n_jobs)
        inputs = [short] * 99
        inputs.insert(place, long)
        return seconds(lambda: pool.map(what.loop, inputs))

    def death(self, n_jobs):
        pool = self.make(n_jobs)
        pool.map(what.same, range(n_jobs))
        begun = time.perf_counter()
        try:
            pool.map(what.die, [0])
        except Exception:
            took = time.perf_counter() - begun
        else:
            raise RuntimeError("the worker's death was no error")
        try:
            pool.close()
        except Exception as error:  # Some cannot close what is broken.
            print(error, file=sys.stderr)
        return took

    def memory(self, n_jobs):
        before = set(descendants(os.getpid()))
        pool = self.make(n_jobs)
        pool.map(what.same, range(n_jobs))
        time.sleep(0.2)
        used = sum(memory(pid) for pid in set(descendants(os.getpid())) - before)
        pool.close()
        return used


@functools.cache
def array(bytes):
    return what.numbers(bytes)


def version(peer):
    package = PEERS[peer].package
    return importlib.metadata.version(package) if package else platform.python_version()


if __name__ == "__main__":
    serve(lambda: Cases(PEERS[sys.argv[1]]), version(sys.argv[1]))
