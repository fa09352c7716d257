"""A run as a trace, opened by a viewer that people use: speedscope, as npm has it."""

import functools
import json
import shutil
import subprocess
import tempfile
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from failure import Failure, until

VIEWER = "speedscope@1.25.0"
SECONDS = 30


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def check(browser, workspace, pictures):
    """Says what was seen, or why nothing could be looked at."""
    with tempfile.TemporaryDirectory() as folder:
        viewer = fetched(Path(folder))
        if not viewer:
            return f"SKIPPED a trace in a viewer: `npm pack {VIEWER}` gives none"
        example = ["cargo", "run", "--quiet", "--package", "joblab", "--example", "trace"]
        trace = subprocess.run(example, cwd=workspace, stdout=subprocess.PIPE, check=True).stdout
        (viewer / "run.json").write_bytes(trace)
        lanes = sum(event["ph"] == "M" for event in json.loads(trace)["traceEvents"])
        server = ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(Quiet, directory=str(viewer))
        )
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = browser.new_page()
        try:
            address = f"http://127.0.0.1:{server.server_port}"
            page.goto(f"{address}/index.html#profileURL={address}/run.json&title=run")
            until(lambda: f"(1/{lanes})" in page.inner_text("body"), SECONDS, f"{lanes} lanes")
            pictures.take(page, "a trace in a viewer")
        except Failure as failure:
            raise Failure(failure.where, page.inner_text("body")) from failure
        finally:
            page.close()
            server.shutdown()
        return f"ok     a trace in a viewer: {lanes} lanes"


def fetched(folder):
    """The folder of the viewer's page; none where it cannot be had."""
    npm = shutil.which("npm")
    if not npm:
        return None
    pack = [npm, "pack", "--silent", VIEWER]
    packed = subprocess.run(pack, cwd=folder, stdout=subprocess.PIPE, text=True, check=False)
    if packed.returncode:
        return None
    shutil.unpack_archive(folder / packed.stdout.split()[-1], folder)
    return folder / "package" / "dist" / "release"
