# Prints for each of Python's own pools of two processes what an empty task takes, in seconds.
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import Pool


def same(n):
    return n


def report(name, run, tasks):
    run(100)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        run(tasks)
        times.append(time.perf_counter() - start)
    print(sorted(times)[2] / tasks, name, flush=True)


if __name__ == "__main__":
    with Pool(2) as pool:
        report("multiprocessing.Pool, one by one", lambda n: pool.map(same, range(n), chunksize=1), 20000)
        report("multiprocessing.Pool, its own chunks", lambda n: pool.map(same, range(n)), 100000)
    with ProcessPoolExecutor(2) as pool:
        report("concurrent.futures, one by one", lambda n: list(pool.map(same, range(n))), 5000)
        report("concurrent.futures, chunks of 1000", lambda n: list(pool.map(same, range(n), chunksize=1000)), 100000)
