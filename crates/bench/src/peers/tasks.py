"""What the tasks do. A module of its own, so that workers import it and it need not travel."""

import ctypes
import functools
import os
from multiprocessing.shared_memory import SharedMemory

import numpy


@functools.cache
def library(kind):
    """The loop in C. CDLL releases Python's lock while it runs, PyDLL holds it."""
    it = getattr(ctypes, kind)(os.environ["JOBLAB_BENCH_LOOP"])
    it.wait_loop.argtypes, it.wait_loop.restype = [ctypes.c_uint64], ctypes.c_double
    return it


def loop(n):
    return library("CDLL").wait_loop(n)


def loop_with_gil(n):
    return library("PyDLL").wait_loop(n)


def same(n):
    return n


def numbers(bytes):
    return numpy.full(bytes // 8, 0.5)


def touch(numbers):
    return len(numbers), float(numbers[0]), float(numbers[-1])


def touch_shared_object(numbers, _):
    """mpire hands shared objects over as the first argument."""
    return touch(numbers)


@functools.lru_cache(maxsize=1)
def attached(name, length):
    memory = SharedMemory(name)
    return memory, numpy.ndarray(length, buffer=memory.buf)


def touch_named(where):
    return touch(attached(*where)[1])


def die(_):
    os.abort()
