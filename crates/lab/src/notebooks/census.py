"""Counts what a kernel's cells have started. Where /proc is missing it sees nothing, and finds nothing."""

import os
from pathlib import Path


def census(kernel, passed_over):
    """The processes and threads in a kernel's process group, the kernel's own apart.

    A process that lost its parent is still in the group. `passed_over` is a part of the command
    line of those that are not the cells'. Threads are those of the program that runs cells, and so
    of workers; what else was started, such as Dask's, has threads as it sees fit.
    """
    processes = threads = 0
    program = os.path.realpath(f"/proc/{kernel}/exe")
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _, group = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
            if int(group) != kernel or int(folder.name) == kernel or state in "ZX":
                continue
            if passed_over.encode() in (folder / "cmdline").read_bytes():
                continue
            if os.path.realpath(folder / "exe") == program:
                threads += sum(1 for _ in (folder / "task").iterdir())
            processes += 1
        except OSError:
            pass  # It has ended.
    return processes, threads
