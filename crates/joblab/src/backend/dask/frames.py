"""Carries joblab's tasks to a Dask cluster, and their outcomes home.

The crate starts this with `python -c`, as one program: frames.py, process.py and workers.py, and then
bridge.py and main.py. The first three also go to the cluster, as source (`Travels`): bytecode is that
of one version of Python, and another one crashes on it. Standard input is a socket that carries the
crate's frames both ways (protocol.rs), so that whatever is printed here disturbs nobody; when it ends,
in whatever way the crate's process did, so does this process, and a cluster that it started. On the
cluster, each thread of a Dask worker has a process of its own in which the Rust code runs, so that a
task that crashes leaves the Dask worker alone, and one that is late or not wanted can be stopped.
"""

import struct
import time

HEADER = "<4sIQ"
# The numbers of framing.rs and protocol.rs.
HELLO, IMAGE, BATCH, REPLY, STATE, TAKEN, PART, FILES, JOURNAL, FINISH = range(1, 11)
JOB, CANCEL, FORGET, REFUSED = range(11, 15)
DONE, NO_FUNCTION, DIED, KILLED, LATE, LOST = range(6)
ANSWER = "<QQqQ"


def header(kind, length):
    return struct.pack(HEADER, b"jobl", kind, length)


def frame(kind, body):
    return header(kind, len(body)) + body


def read_header(file):
    """The kind of the next frame and the length of its body, or None at the end."""
    read = file.read(struct.calcsize(HEADER))
    return struct.unpack(HEADER, read)[1:] if len(read) == struct.calcsize(HEADER) else None


def read_frame(file):
    """The next frame, or None at the end."""
    if (begun := read_header(file)) is None:
        return None
    kind, length = begun
    body = file.read(length)
    return (kind, body) if len(body) == length else None


def answer(verdict, rest=b"", pid=0, ahead=0, name=""):
    name = name.encode()
    return struct.pack(ANSWER, verdict, pid, ahead, len(name)) + name + rest


def clock():
    """Which machine's monotonic clock this is, and the wall time at its zero."""
    with open("/proc/sys/kernel/random/boot_id") as boot:
        return boot.read(), time.time_ns() - time.monotonic_ns()


class Travels:
    """What goes to other machines with the source of its class."""

    def __reduce__(self):
        made = f"exec(source) or object.__new__({type(self).__name__})"
        return eval, (made, {"source": source, "__name__": "joblab"}), self.given()

    def given(self):
        return self.__dict__


