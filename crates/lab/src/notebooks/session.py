"""One kernel for one notebook, and a verdict on each of its cells.

evcxr answers "ok" for a cell that panics or returns early from `?`. Its runtime does tell the
kernel, by control lines on stdout which the kernel keeps to itself. So before the first cell the
session puts a filter between the two (`tap`), which passes every line on, and writes its verdict on
the cell into a file before the kernel hears of the cell's end. It adds the same words to stdout and
stderr, whose lines evcxr may send after that end: up to these words they are the cell's.
"""

import asyncio
import contextlib
import json
import os
import re
import sys
import tempfile
from pathlib import Path
from queue import Empty

import nbformat
from jupyter_client.kernelspec import NoSuchKernel
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError

from census import census
from scratch import remove

STARTUP_SECONDS = 180
# How long the last lines on stderr may take, and those of a cell that ended the filter too.
SETTLE_SECONDS = 20
QUIET_SECONDS = 0.1
STREAMS = ("stdout", "stderr")
MARK = "\x01cargo lab: the cell "
FINISHED = "finished"
COLOUR = re.compile(r"\x1b\[[0-9;]*m")

# The filter is a process: a thread in the runtime would die with it and take a crashing cell's
# last lines along. A cell may print half a line before it panics, hence `endswith`; evcxr itself
# compares whole lines, and so must whoever decides that the cell is over.
FILTER = f"""
import os, sys
verdict, cells = {FINISHED!r}, 0
verdicts = open(sys.argv[1], "ab", buffering=0)
for line in sys.stdin.buffer:
    text = line.rstrip(b"\\r\\n")
    if text.endswith(b"EVCXR_PANIC_NOTIFICATION"):
        verdict = "panicked"
    elif text.endswith(b"EVCXR_ERROR_OCCURRED"):
        verdict = "ended in an error"
    elif text == b"EVCXR_EXECUTION_COMPLETE":
        cells += 1
        words = f"{{os.getpid()}}.{{cells}} {{verdict}}\\n".encode()
        verdicts.write(words)
        mark = {MARK!r}.encode() + words
        sys.stdout.buffer.write(mark)
        sys.stderr.buffer.write(mark)
        sys.stderr.buffer.flush()
        verdict = {FINISHED!r}
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()
"""


def tap(verdicts):
    """A cell that starts the filter.

    Everything stands in a block, so no name of it can meet one of the notebook's.
    """
    return f"""{{
    use std::{{io, os::fd::AsRawFd, process::Command}};
    unsafe extern "C" {{
        fn dup2(from: i32, to: i32) -> i32;
    }}
    let (from_cells, to_filter) = io::pipe().expect("a pipe");
    Command::new({json.dumps(sys.executable)})
        .args(["-I", "-c", {json.dumps(FILTER)}, {json.dumps(str(verdicts))}])
        .stdin(from_cells)
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
        # What the filter says of each cell, how much of it was read, and what it said of the last.
        self._verdicts = self._scratch / "verdicts"
        self._verdicts.touch()
        self._read = 0
        self._words = None
        self._is_interrupted = False
        # The last marks, by the stream on which they came.
        self._marks = {}
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
        await remove(self._scratch)

    async def run(self, cell, index):
        """Runs a cell; returns what went wrong, or None."""
        await self._listen()
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

    async def interrupt(self, index, cell, after):
        """Runs a cell and interrupts it after some seconds; says whether it was running by then."""
        # The interrupt is for the cell, and not for the one that starts the filter.
        await self._listen()
        running = asyncio.ensure_future(self.run(cell, index))
        answer = None
        try:
            done, _ = await asyncio.wait([running], timeout=after)
            if not done:
                control = self.kc.control_channel
                control.send(self.kc.session.msg("interrupt_request", {}))
                # evcxr has killed the runtime when it answers, be the cell over by then or not.
                answer = asyncio.ensure_future(control.get_msg(timeout=STARTUP_SECONDS))
                await asyncio.wait([running, answer], return_when=asyncio.FIRST_COMPLETED)
                # Where the kernel is gone, there will be no answer.
                if running.done():
                    running.result()
                await answer
            await running
        except Empty:
            raise KernelLost("the kernel does not answer") from None
        finally:
            for task in filter(None, (running, answer)):
                task.cancel()
        if not done:
            self._words, self._is_interrupted = None, True
        return not done

    def census(self):
        """The processes and threads that the cells have started by now."""
        return census(self.km.provisioner.pid, MARK.strip("\x01"))

    async def _listen(self):
        """Sees to it that there is a filter."""
        if self._verdict is not None:
            return
        # None yet; or the last cell ended the runtime; or it ran no code, and then a second filter
        # behind the first does no harm.
        try:
            await self._tap()
        except Failure:
            # A cell that was interrupted while it ran no code does not find out that the runtime is
            # gone: the next one does.
            if not self._is_interrupted:
                raise
            await self._tap()
        self._is_interrupted = False

    async def _tap(self):
        messages = []

        def collect(message):
            if not self._take_mark(message):
                messages.append(message)

        try:
            reply = await self.kc.execute_interactive(
                tap(self._verdicts),
                allow_stdin=False,
                output_hook=collect,
                timeout=STARTUP_SECONDS,
            )
        except TimeoutError:
            raise KernelLost("the kernel does not answer") from None
        await self._after_end(reply, collect)
        if reply["content"]["status"] != "ok" or self._verdict != FINISHED:
            outputs = [nbformat.v4.output_from_msg(m) for m in messages if is_output(m)]
            raise Failure("the kernel could not run a first cell", indent(text_of(outputs)))

    @property
    def _verdict(self):
        """What the filter said of the last cell, or None if it is gone or had nothing to say."""
        return self._words and self._words.partition(" ")[2]

    def _take_mark(self, message):
        """Takes the filter's line out of a message; says whether that leaves nothing."""
        content = message["content"]
        rest, mark, said = content.get("text", "").partition(MARK)
        if message["msg_type"] != "stream" or not mark:
            return False
        self._marks[content["name"]] = said.rstrip("\n")
        content["text"] = rest
        return not rest

    def output(self, outs, msg, display_id, cell_index):
        if self._take_mark(msg):
            return None
        return super().output(outs, msg, display_id, cell_index)

    async def _settle(self, cell, cell_index, execute_reply):
        """Adds the messages of the cell that come after its end."""
        self._reply_ok = execute_reply["content"]["status"] == "ok"
        await self._after_end(
            execute_reply, lambda message: self.process_message(message, cell, cell_index)
        )

    async def _after_end(self, reply, take):
        """Reads the verdict on the cell that has ended, and takes its messages up to the marks."""
        said = self._verdicts.read_text()
        self._words = (said[self._read :].splitlines() or [None])[-1]
        self._read = len(said)
        request = reply["parent_header"]["msg_id"]
        seconds = SETTLE_SECONDS if self._words else QUIET_SECONDS
        with contextlib.suppress(Empty):
            while not self._words or self._marks != dict.fromkeys(STREAMS, self._words):
                message = await self.kc.iopub_channel.get_msg(timeout=seconds)
                if message["parent_header"].get("msg_id") == request:
                    take(message)


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
