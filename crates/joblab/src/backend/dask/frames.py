"""Carries joblab's tasks to a Dask cluster, and their outcomes home.

The crate starts this with `python -c`: frames.py, workers.py and bridge.py, one after the other as
one program, so that what workers need of it travels as a pickle. Standard input and output carry its
frames (protocol.rs); when the input ends, in whatever way the crate's process did, so does this process,
and a cluster that it started. On the cluster, each thread of a Dask worker has a process of its own
in which the Rust code runs, so that a task that crashes leaves the Dask worker alone, and one that is
late or not wanted can be stopped.
"""

import importlib.util
import struct
import sys
import time

if importlib.util.find_spec("distributed") is None:
    sys.exit(77)

HEADER = "<4sIQ"
# The numbers of framing.rs and protocol.rs.
HELLO, IMAGE, BATCH, REPLY, STATE, TAKEN, PART, FILES, JOURNAL, FINISH = range(1, 11)
JOB, CANCEL, FORGET, REFUSED = range(11, 15)
DONE, NO_FUNCTION, DIED, KILLED, LATE, LOST = range(6)
ANSWER = "<QQqQ"


def frame(kind, body):
    return struct.pack(HEADER, b"jobl", kind, len(body)) + body


def read_frame(file):
    """The next frame, or None at the end."""
    header = file.read(struct.calcsize(HEADER))
    if len(header) < struct.calcsize(HEADER):
        return None
    _, kind, length = struct.unpack(HEADER, header)
    body = file.read(length)
    return (kind, body) if len(body) == length else None


def answer(verdict, rest=b"", pid=0, ahead=0, name=""):
    name = name.encode()
    return struct.pack(ANSWER, verdict, pid, ahead, len(name)) + name + rest


def clock():
    """Which machine's monotonic clock this is, and the wall time at its zero."""
    with open("/proc/sys/kernel/random/boot_id") as boot:
        return boot.read(), time.time_ns() - time.monotonic_ns()
