"""Drives the real Rust kernel over Jupyter's protocol, as JupyterLab does.

Linux only: it looks at the kernel's processes in /proc.
"""

import contextlib
import json
import os
import time
from pathlib import Path
from queue import Empty

from jupyter_client.manager import start_new_kernel

STARTUP_SECONDS = 180


def process(pid):
    """A process's state and parent, or None."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return fields[0], int(fields[1])
    except OSError:
        return None


def children(parent, states="RSDTZ"):
    """The processes that a process started, dead ones that it has not waited for (Z) among them."""
    found = ((int(pid), process(pid)) for pid in os.listdir("/proc") if pid.isdigit())
    return {pid for pid, it in found if it and it[1] == parent and it[0] in states}


def seconds_to_death(pids, begun, most=5.0):
    """Watches processes until all are dead: the seconds from `begun` on for each, or infinity.

    It looks every 5 ms.
    """
    died = dict.fromkeys(pids, float("inf"))
    while float("inf") in died.values() and time.monotonic() - begun < most:
        for pid in pids:
            if died[pid] == float("inf") and (process(pid) or "Z")[0] in "ZX":
                died[pid] = time.monotonic() - begun
        time.sleep(0.005)
    return died


class Cell:
    """A cell that was sent to the kernel, and what has come back."""

    def __init__(self, client, code):
        self.client = client
        self.stdout = self.stderr = self.printed = ""
        self.rich = []
        self.idle_at = None
        self.request = client.execute(code)

    def read(self, until=lambda cell: cell.idle_at, seconds=240):
        end = time.monotonic() + seconds
        while not until(self):
            self.take(self.client.get_iopub_msg(timeout=max(0, end - time.monotonic())))
        return self

    def take(self, message):
        kind, content = message["msg_type"], message["content"]
        if message["parent_header"].get("msg_id") != self.request:
            return
        if kind == "stream" and content["name"] == "stdout":
            self.stdout += content["text"] if self.idle_at is None else "(after the cell's end)"
            self.printed += content["text"]
        elif kind == "stream":
            # evcxr sends the last of stderr after the cell's end, whoever wrote it.
            self.stderr += content["text"]
        elif kind == "error":
            self.stderr += "\n".join([content["evalue"], *content["traceback"]])
        elif kind == "status" and content["execution_state"] == "idle":
            self.idle_at = time.monotonic()
        elif kind in ("execute_result", "display_data"):
            self.rich.append(content["data"])

    def said(self):
        """What the cell printed with one call, which evcxr sends after the cell's end now and then."""
        self.read().wait(lambda cell: cell.printed)
        return self.printed

    def settle(self):
        """Takes what comes after the cell's end."""
        return self.wait(lambda _: False, seconds=0.3)

    def wait(self, until, seconds=20):
        """Takes what comes after the cell's end, until that has come which is waited for."""
        with contextlib.suppress(Empty):
            self.read(until, seconds)
        return self


def setup(joblab):
    """The first cell of a notebook that has the crate."""
    return f":dep joblab = {{ path = {json.dumps(joblab)} }}\nuse joblab::*;"


class Kernel:
    """The kernel, and in it the crate and, as `pool`, a pool of three processes."""

    def __init__(self, joblab, folder, build=None, name="rust"):
        self.joblab, self.setup = joblab, setup(joblab)
        self.temp = folder / "tmp"
        self.temp.mkdir()
        # None reads the user's own evcxr files.
        own = {"TMPDIR": self.temp, "EVCXR_CONFIG_DIR": folder}
        if build:
            # Nothing is built there before the first kernel. Without it, there is a copy of what
            # `cargo lab` has built.
            own["EVCXR_TMPDIR"] = folder / build
        environment = os.environ | {name: str(path) for name, path in own.items()}
        # Where tests run, people often want backtraces of those.
        environment.pop("RUST_BACKTRACE", None)
        log = (folder / "log").open("wb")
        self.manager, self.client = start_new_kernel(
            kernel_name=name,
            startup_timeout=STARTUP_SECONDS,
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
        )

    def send(self, code):
        return Cell(self.client, code)

    def run(self, code):
        return self.send(code).read()

    def prepare(self):
        """Waits for a kernel that was just started or restarted, and sets it up."""
        self.client.wait_for_ready(timeout=STARTUP_SECONDS)
        self.run(self.setup)
        self.run("let pool = Parallel::new(3).backend(Backend::Multiprocessing);")

    @property
    def pid(self):
        return self.manager.provisioner.pid

    @property
    def runtime(self):
        """The process that runs the cells."""
        for pid in children(self.pid, "RSD"):
            if b"EVCXR_IS_RUNTIME=1" in Path(f"/proc/{pid}/environ").read_bytes():
                return pid
        raise RuntimeError("the kernel has no process that runs cells")

    def close(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
