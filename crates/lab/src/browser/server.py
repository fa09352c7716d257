"""JupyterLab as `cargo lab` starts it, and the processes that it leads to."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from urllib.request import Request, urlopen

from failure import Failure, until

STARTUP_SECONDS = 120
SHUTDOWN_SECONDS = 30
# What `cargo lab` reads of the workspace, apart from the notebooks.
SHARED = ("Cargo.toml", "Cargo.lock", "crates", "environment.yml")


class Server:
    """JupyterLab on a copy of the notebooks: it saves them as it likes, and ours stay as they are.

    Everything it starts has the scratch folder in its environment, which is how processes that
    were left behind are found, whoever their parent is now. That is for Linux only, and so are
    pools of processes.
    """

    sees_processes = Path("/proc/self/environ").exists()

    def __init__(self, lab, workspace):
        # Resolved, for /tmp may be a link, and kernels see the folder without it.
        self.scratch = Path(tempfile.mkdtemp(prefix="cargo-lab-")).resolve()
        self.log = self.scratch / "log"
        copy = self._copy_of(workspace)
        own = {
            "CARGO_MANIFEST_DIR": copy / "crates" / "lab",
            "EVCXR_CONFIG_DIR": self.scratch,
            "JUPYTER_CONFIG_DIR": self.scratch / "config",
            "JUPYTER_DATA_DIR": self.scratch / "data",
            "JUPYTER_RUNTIME_DIR": self.scratch / "runtime",
            "TMPDIR": self._folder("tmp"),
        }
        command = [lab, "--no-browser", "--port", str(free_port())]
        if os.geteuid() == 0:
            command.append("--allow-root")
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=copy,
                env={**os.environ, **{name: str(path) for name, path in own.items()}},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        for pid in self.processes():
            kill(pid, signal.SIGKILL)
        self._process.wait()
        # What still writes while it ends would keep the folder.
        with contextlib.suppress(Failure):
            until(lambda: not self.processes(), SHUTDOWN_SECONDS, "what was killed is gone")
        shutil.rmtree(self.scratch, ignore_errors=True)

    def _folder(self, name):
        folder = self.scratch / name
        folder.mkdir()
        return folder

    def _copy_of(self, workspace):
        copy = self._folder("workspace")
        for name in SHARED:
            if (workspace / name).exists():
                (copy / name).symlink_to(workspace / name)
        # The environment is shared too; what is noted about the kernel beside it is not, since it
        # names places.
        if (workspace / ".lab" / "python").exists():
            (copy / ".lab").mkdir()
            (copy / ".lab" / "python").symlink_to(workspace / ".lab" / "python")
        unwanted = shutil.ignore_patterns(".ipynb_checkpoints")
        shutil.copytree(workspace / "notebooks", copy / "notebooks", ignore=unwanted)
        return copy

    def address(self):
        """Waits for the address, token and all, that JupyterLab prints."""

        def printed():
            if self._process.poll() is not None:
                raise Failure("JupyterLab did not start", self.words())
            return re.search(r"http://127\.0\.0\.1\S+token=\w+", self.words())

        return until(printed, STARTUP_SECONDS, "JupyterLab prints its address").group()

    def end_kernels(self):
        """Ends all kernels, whatever they are doing, and forgets which notebooks they were for."""
        base, token = re.match(r"(http://[^/]+).*?[?&](token=\w+)", self.address()).groups()
        with urlopen(f"{base}/api/sessions?{token}", timeout=SHUTDOWN_SECONDS) as answer:
            sessions = json.load(answer)
        for session in sessions:
            request = Request(f"{base}/api/sessions/{session['id']}?{token}", method="DELETE")
            urlopen(request, timeout=SHUTDOWN_SECONDS).close()

    def deaths(self):
        """How many kernels have died by themselves."""
        return self.words().count("Restarter: restarting kernel")

    def words(self):
        return self.log.read_text(errors="replace")

    def processes(self):
        """The processes that the server led to, itself included, and their parents."""
        mark = f"TMPDIR={self.scratch}".encode()
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (folder / "environ").read_bytes():
                    state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
                    if state not in "ZX":
                        found[int(folder.name)] = int(parent)
            except OSError:
                pass  # It has ended, or is not ours.
        return found

    def workers(self):
        """The processes that cells started: those below a kernel's process that runs cells."""
        processes = self.processes()
        runtimes = {pid for pid in processes if has_environment(pid, b"EVCXR_IS_RUNTIME=1")}
        return {pid for pid, parent in processes.items() if parent in runtimes}

    def assert_ends(self):
        """Asks the server to end; nothing may be left."""
        kill(self._process.pid, signal.SIGTERM)

        def ended():
            self._process.poll()
            return not self.processes()

        until(ended, SHUTDOWN_SECONDS, "every process ends with the server")


def has_environment(pid, entry):
    try:
        return entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def kill(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
