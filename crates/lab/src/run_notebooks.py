"""Runs Rust notebooks headless in the real kernel, and fails where a cell fails.

evcxr answers "ok" for a cell that panics or returns early from `?`. Its runtime does tell the
kernel, by control lines on stdout which the kernel keeps to itself. So before the first cell the
runner puts a filter between the two (`TAP`), which passes every line on and adds one of its own
with the verdict on the cell.
"""

import argparse
import asyncio
import contextlib
import copy
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from queue import Empty

import nbformat
from jupyter_client.kernelspec import NoSuchKernel
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError

STARTUP_SECONDS = 180
# stderr comes on a channel of its own, and its last lines arrive after the cell's end.
QUIET_SECONDS = 0.03
MARK = "\x01cargo lab: the cell "
FINISHED = "finished"
COLOUR = re.compile(r"\x1b\[[0-9;]*m")

# The filter is a process: a thread in the runtime would die with it and take a crashing cell's
# last lines along. A cell may print half a line before it panics, hence `endswith`; evcxr itself
# compares whole lines, and so must whoever decides that the cell is over.
FILTER = f"""
import sys
verdict = {FINISHED!r}
for line in sys.stdin.buffer:
    text = line.rstrip(b"\\r\\n")
    if text.endswith(b"EVCXR_PANIC_NOTIFICATION"):
        verdict = "panicked"
    elif text.endswith(b"EVCXR_ERROR_OCCURRED"):
        verdict = "ended in an error"
    elif text == b"EVCXR_EXECUTION_COMPLETE":
        sys.stdout.buffer.write(({MARK!r} + verdict + "\\n").encode())
        verdict = {FINISHED!r}
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()
"""

# Everything stands in a block, so no name of it can meet one of the notebook's.
TAP = f"""{{
    use std::{{io, os::fd::AsRawFd, process::{{Command, Stdio}}}};
    unsafe extern "C" {{
        fn dup2(from: i32, to: i32) -> i32;
    }}
    let (from_cells, to_filter) = io::pipe().expect("a pipe");
    Command::new({json.dumps(sys.executable)})
        .args(["-I", "-c", {json.dumps(FILTER)}])
        .stdin(from_cells)
        .stderr(Stdio::null())
        .spawn()
        .expect("the filter starts");
    assert_eq!(unsafe {{ dup2(to_filter.as_raw_fd(), 1) }}, 1);
}};"""


# The signals that asked for the end of the run.
SIGNALS = []


class Failure(Exception):
    """A notebook that did not pass: where, and why."""

    def __init__(self, where, detail):
        super().__init__(where)
        self.where = where
        self.detail = detail


class KernelLost(Exception):
    """The kernel is gone or stuck: no later cell can run."""


class Session(NotebookClient):
    """One kernel, in which the cells of one notebook run."""

    def __init__(self, notebook, folder, timeout):
        super().__init__(
            notebook,
            kernel_name="rust",
            resources={"metadata": {"path": str(folder)}},
            startup_timeout=STARTUP_SECONDS,
            timeout=timeout,
            allow_errors=True,
            coalesce_streams=True,
            record_timing=False,
            on_cell_executed=self._settle,
        )
        self.log.disabled = True
        # The kernel's temporary files (its builds, 60 MB and more) go when the session does.
        self._scratch = Path(tempfile.mkdtemp(prefix="cargo-lab-"))
        self._verdict = None
        self._reply_ok = True

    async def __aenter__(self):
        log = self._scratch / "kernel.log"
        try:
            self.km = self.create_kernel_manager()
            with log.open("wb") as file:
                environment = {**os.environ, "TMPDIR": str(self._scratch)}
                await self.async_start_new_kernel(env=environment, stdout=file, stderr=file)
            await self.async_start_new_kernel_client()
            return self
        except (RuntimeError, NoSuchKernel) as error:
            said = log.read_text(errors="replace")
            await self.close()
            raise Failure("the kernel did not start", indent(f"{error}\n{said}")) from None
        except BaseException:
            await self.close()
            raise

    async def __aexit__(self, *_):
        await self.close()

    async def close(self):
        """Ends the kernel at once, and every process that its cells started."""
        if self.kc is not None:
            self.kc.stop_channels()
        if self.km is not None and self.km.has_kernel:
            # This kills the kernel's process group.
            await self.km.shutdown_kernel(now=True)
        shutil.rmtree(self._scratch, ignore_errors=True)

    async def run(self, cell, index):
        """Runs a cell; returns what went wrong, or None."""
        if self._verdict is None:
            # No filter yet; or the last cell ended the runtime; or it ran no code, and then a
            # second filter behind the first does no harm.
            await self._tap()
        self._verdict = None
        try:
            await self.async_execute_cell(cell, index)
        except CellTimeoutError:
            raise KernelLost(f"the cell took longer than {self.timeout} s") from None
        except DeadKernelError:
            # nbclient takes a cancelled wait for the death of the kernel.
            if SIGNALS:
                raise asyncio.CancelledError from None
            raise KernelLost("the kernel died") from None
        if not self._reply_ok:
            return "the cell failed"
        if self._verdict not in (None, FINISHED):
            return f"the cell {self._verdict}"
        return None

    async def _tap(self):
        messages = []

        def collect(message):
            if not self._take_verdict(message):
                messages.append(message)

        try:
            reply = await self.kc.execute_interactive(
                TAP, allow_stdin=False, output_hook=collect, timeout=STARTUP_SECONDS
            )
        except TimeoutError:
            raise KernelLost("the kernel does not answer") from None
        if reply["content"]["status"] != "ok" or self._verdict != FINISHED:
            outputs = [nbformat.v4.output_from_msg(m) for m in messages if is_output(m)]
            raise Failure("the kernel could not run a first cell", indent(text_of(outputs)))

    def _take_verdict(self, message):
        """Notes the filter's line and says whether the message was that."""
        text = message["content"].get("text", "")
        if message["msg_type"] != "stream" or not text.startswith(MARK):
            return False
        self._verdict = text[len(MARK) :].rstrip("\n")
        return True

    def output(self, outs, msg, display_id, cell_index):
        if self._take_verdict(msg):
            return None
        return super().output(outs, msg, display_id, cell_index)

    async def _settle(self, cell, cell_index, execute_reply):
        """Adds the messages of the cell that come after its end."""
        self._reply_ok = execute_reply["content"]["status"] == "ok"
        request = execute_reply["parent_header"]["msg_id"]
        with contextlib.suppress(Empty):
            while True:
                message = await self.kc.iopub_channel.get_msg(timeout=QUIET_SECONDS)
                if message["parent_header"].get("msg_id") == request:
                    self.process_message(message, cell, cell_index)


def is_output(message):
    return message["msg_type"] in ("stream", "error", "execute_result", "display_data")


def text_of(outputs):
    """The readable part of a cell's outputs: the compiler's words, stderr and stdout."""
    parts = []
    for output in outputs:
        if output.output_type == "stream":
            parts.append(output.text)
        elif output.output_type == "error":
            parts.append("\n".join(output.traceback) or output.evalue)
    text = "\n".join(part.rstrip("\n") for part in parts)
    return text if sys.stdout.isatty() else COLOUR.sub("", text)


def indent(text, prefix="    "):
    return "".join(f"{prefix}{line}".rstrip() + "\n" for line in text.splitlines())


def code_cells(notebook):
    return [
        (index, cell)
        for index, cell in enumerate(notebook.cells)
        if cell.cell_type == "code" and cell.source.strip()
    ]


async def run_pass(session, cells, name, which):
    """Runs the code cells once, in order. A cell that is to fail must fail."""
    for number, (index, cell) in enumerate(cells, 1):
        where = f"cell {number} of {len(cells)}{which}"
        if sys.stdout.isatty():
            print(f"\r       {name}  {where}", end="\x1b[K", flush=True)
        try:
            problem = await session.run(cell, index)
            if "raises-exception" in cell.metadata.get("tags", []):
                missing = "the cell has to fail (tag raises-exception) but passed"
                problem = None if problem else missing
        except KernelLost as error:
            problem = str(error)
        if problem is not None:
            source, said = indent(cell.source, "    | "), indent(text_of(cell.outputs))
            raise Failure(where, f"{source}    {problem}\n{said}")


async def run_notebook(path, options):
    """Runs one notebook, stores what was asked for, and returns its number of cells."""
    try:
        notebook = nbformat.read(path, as_version=4)
    except OSError as error:
        raise Failure("cannot be read", indent(error.strerror)) from None
    except (ValueError, nbformat.ValidationError) as error:
        raise Failure("cannot be read", indent(str(error))) from None
    cells = code_cells(notebook)
    async with Session(notebook, path.parent, options.timeout) as session:
        await run_pass(session, cells, path.name, "")
        ran = copy.deepcopy(notebook)
        if options.twice:
            await run_pass(session, cells, path.name, ", second run")
    normalise(ran)
    try:
        if options.write:
            refuse_paths_of_this_machine(ran, path)
            store(path, nbformat.writes(ran) + "\n")
        if options.html:
            options.html.mkdir(parents=True, exist_ok=True)
            store(options.html / f"{path.stem}.html", page_of(ran, path.stem))
    except OSError as error:
        raise Failure("cannot be stored", indent(str(error))) from None
    return len(cells)


def store(path, text):
    """Replaces a file as a whole: a full disk must not cost the notebook that is there."""
    new = path.with_name(f".{path.name}.new")
    try:
        new.write_text(text, encoding="utf-8")
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def normalise(notebook):
    """Leaves nothing in a notebook that differs from one run or machine to the next by itself."""
    for number, (_, cell) in enumerate(code_cells(notebook), 1):
        cell.execution_count = number
        cell.metadata.pop("execution", None)
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = number
    notebook.metadata.kernelspec = {"display_name": "Rust", "language": "rust", "name": "rust"}
    notebook.metadata.language_info = {
        "codemirror_mode": "rust",
        "file_extension": ".rs",
        "mimetype": "text/rust",
        "name": "rust",
        "pygments_lexer": "rust",
    }


def refuse_paths_of_this_machine(notebook, path):
    """Stored outputs are read on other machines, where these paths mean nothing."""
    paths = {str(p) for p in (Path.home(), path.parent.parent, Path(tempfile.gettempdir()))} - {"/"}
    for number, (_, cell) in enumerate(code_cells(notebook), 1):
        outputs = json.dumps(cell.outputs)
        for found in sorted(p for p in paths if f"{p}/" in outputs):
            raise Failure(
                f"cell {number}",
                indent(f"not stored: its output names a path of this machine, {found}"),
            )


def page_of(notebook, title):
    """The notebook as one HTML page that needs no network."""
    from jinja2 import DictLoader
    from nbconvert import HTMLExporter

    offline = """{% extends 'lab/index.html.j2' %}
        {% block html_head_js %}{% endblock %}
        {% block html_head_js_mathjax %}{% endblock %}
        {% block html_head_js_mermaidjs %}{% endblock %}"""
    exporter = HTMLExporter(
        template_file="offline.html.j2",
        extra_loaders=[DictLoader({"offline.html.j2": offline})],
    )
    return exporter.from_notebook_node(notebook, {"metadata": {"name": title}})[0]


async def run_all(options):
    """Runs the notebooks one by one and returns how many failed."""
    failed = 0
    width = max(len(path.name) for path in options.notebooks)
    for path in options.notebooks:
        started = time.monotonic()
        try:
            count = await run_notebook(path.resolve(), options)
            seconds = time.monotonic() - started
            line, detail = f"ok     {path.name:<{width}}  {count:>3} cells  {seconds:>6.1f} s", ""
        except Failure as failure:
            failed += 1
            line, detail = f"FAILED {path.name:<{width}}  {failure.where}", failure.detail
        if sys.stdout.isatty():
            print("\r\x1b[K", end="")
        print(line)
        print(detail, end="", flush=True)
    print(f"{len(options.notebooks) - failed} passed, {failed} failed")
    return failed


async def main(options):
    """Runs the notebooks; a signal ends kernel and run at once. Returns the exit status."""
    task = asyncio.current_task()

    def stop(number):
        SIGNALS.append(number)
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop, number)
    try:
        return 1 if await run_all(options) else 0
    except asyncio.CancelledError:
        return 128 + SIGNALS[0]


def arguments():
    parser = argparse.ArgumentParser(prog="cargo lab run")
    parser.add_argument("--twice", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--html", type=Path)
    parser.add_argument("--timeout", type=int)
    parser.add_argument("notebooks", nargs="+", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(asyncio.run(main(arguments())))
