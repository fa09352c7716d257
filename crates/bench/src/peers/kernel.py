"""Notebook kernels: joblab's as `cargo lab` has registered it, the same program without joblab, Python's.
Reads cases from stdin and answers as peers.py does.

    python kernel.py WHO JOBLAB_FOLDER

"joblab" starts with a copy of what is built. "evcxr alone" builds its crates in a folder of its own, as
everybody's does.

`client` is crates/lab's: whoever starts this puts its folder on PYTHONPATH.
"""

import contextlib
import importlib.metadata
import itertools
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from answers import serve
from client import STARTUP_SECONDS, Kernel, children, setup

ALONE = """\
:dep plotters = { version = "0.3.7", default-features = false, features = ["evcxr"] }
:dep rayon = "1.10"
:dep cpu-time = "1.0.0"
use cpu_time::ProcessTime;
use plotters::prelude::*;
use rayon::prelude::*;
use std::time::Instant;"""

# What somebody types who has a pool, two clocks and a library that draws.
ALONE_FIGURE = """\
fn wait_loop(n: u64) -> f64 {
    let mut out = 0.0;
    for m in 0..n { for l in 0..m { for j in 0..l {
        for i in 0..j { out = ((i + 4) as f64).sqrt(); out *= out; }
        std::hint::black_box(out);
    } } }
    out
}
let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
let (wall, cpu) = (Instant::now(), ProcessTime::now());
let results: Vec<f64> = pool.install(|| vec![300; 8].into_par_iter().map(wait_loop).collect());
let times = [wall.elapsed().as_secs_f64(), cpu.elapsed().as_secs_f64()];
evcxr_figure((640, 360), |page| {
    page.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&page).margin(20).x_label_area_size(30).y_label_area_size(50)
        .build_cartesian_2d(0.0..2.0, 0.0..times[1].max(times[0]) * 1.1)?;
    chart.configure_mesh().y_desc("seconds").draw()?;
    chart.draw_series(times.iter().enumerate().map(|(nth, time)| {
        Rectangle::new([(nth as f64 + 0.2, 0.0), (nth as f64 + 0.8, *time)], BLUE.filled())
    }))?;
    Ok(())
})"""

SHOWN = """\
let pool = Parallel::new(2);
let run = pool.map(wait_loop_nogil, vec![300; 8])?;
run"""

# The tutorial's program, with the numbers above.
PYTHON = """\
import math, time
import numba
from joblib import Parallel, delayed"""
PYTHON_RUN = """\
@numba.jit(nopython=True, nogil=True)
def wait_loop(n):
    out = 0.0
    for m in range(n):
        for l in range(m):
            for j in range(l):
                for i in range(j):
                    out = math.sqrt(i + 4)
                    out *= out
    return out

wait_loop(1)
wall, cpu = time.perf_counter(), time.process_time()
results = Parallel(n_jobs=2, backend="threading")(delayed(wait_loop)(300) for _ in range(8))
print(time.perf_counter() - wall, time.process_time() - cpu)"""


class Cells:
    """What somebody types: of the kernel of that name, whether crates are built in its own folder."""

    kernel, build = "rust", None
    # A pool for cells with functions, of each kind of workers.
    pools = ()

    def is_shown(self, cell):
        return any("<svg" in text for data in cell.rich for text in data.values())


class Joblab(Cells):
    first_run = SHOWN
    shown = "pool.map(wait_loop_nogil, vec![300; 8])?"

    def __init__(self, joblab):
        self.set_up = setup(joblab)
        self.pools = (
            "let threads = Parallel::new(2);",
            "let processes = Parallel::new(2).backend(Backend::Multiprocessing);",
            "let pool = Parallel::new(2);",
            "processes.map(|n: u64| n, 0..4)?;",
        )

    def function(self, workers, number):
        return (
            f"fn task_{number}(n: u64) -> u64 {{ n * {number} }}\n"
            f'println!("{{:?}}", {workers}.map(task_{number}, 0..4)?.results);'
        )


class Alone(Cells):
    build = "build"
    set_up, first_run, shown = ALONE, ALONE_FIGURE, ALONE_FIGURE

    def __init__(self, _):
        # Cargo's own setting: that of `cargo lab` is for its notebooks.
        os.environ["CARGO_PROFILE_DEV_LTO"] = "false"

    def function(self, _, number):
        return (
            f"fn task_{number}(n: u64) -> u64 {{ n * {number} }}\n"
            'println!("{:?}", (0..4u64).into_par_iter()'
            f".map(task_{number}).collect::<Vec<_>>());"
        )


class Python(Cells):
    kernel = "python3"
    set_up, first_run = PYTHON, PYTHON_RUN

    def __init__(self, _):
        pass

    def function(self, workers, number):
        backend = {"threads": "threading", "processes": "loky"}[workers]
        return (
            f"def task_{number}(n):\n    return n * {number}\n"
            f"print(Parallel(n_jobs=2, backend={backend!r})(delayed(task_{number})(n) for n in range(4)))"
        )

    def is_shown(self, cell):
        return bool(cell.stdout)


class Notebook:
    """A new kernel in a folder of its own, and when it was started."""

    def __init__(self, cells, joblab):
        self.folder = Path(tempfile.mkdtemp(prefix="joblab-bench-"))
        self.begun = time.monotonic()
        self.kernel = Kernel(joblab, self.folder, cells.build, cells.kernel)
        self.kernel.client.wait_for_ready(timeout=STARTUP_SECONDS)

    def run(self, code):
        """Runs a cell: its outcome, with the moment in which it was sent."""
        begun = time.monotonic()
        cell = self.kernel.run(code).settle()
        if "error" in cell.stderr.lower():
            raise RuntimeError(cell.stderr)
        cell.begun = begun
        return cell

    def memory(self):
        """Bytes of the kernel and its processes, each with its share of what they have in common."""
        pids, bytes = [self.kernel.pid], 0
        while pids:
            pid = pids.pop()
            pids.extend(children(pid, "RSDT"))
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            bytes += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
        return bytes

    def close(self):
        self.kernel.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Cases:
    def __init__(self, cells, joblab):
        self.cells, self.joblab = cells(joblab), joblab
        self.warm = None
        self.numbers = itertools.count(2)

    @contextlib.contextmanager
    def new(self):
        notebook = Notebook(self.cells, self.joblab)
        try:
            yield notebook
        finally:
            notebook.close()

    def close(self):
        if self.warm:
            self.warm.close()
            self.warm = None

    def in_warm(self, code):
        if not self.warm:
            self.warm = Notebook(self.cells, self.joblab)
            for cell in (self.cells.set_up, *self.cells.pools):
                self.warm.run(cell)
        cell = self.warm.run(code)
        return cell, cell.idle_at - cell.begun

    def kernel_ready(self):
        with self.new() as notebook:
            return time.monotonic() - notebook.begun

    def set_up_cell(self):
        with self.new() as notebook:
            cell = notebook.run(self.cells.set_up)
            return cell.idle_at - cell.begun

    def first_run(self):
        with self.new() as notebook:
            notebook.kernel.run(self.cells.set_up)
            shown = notebook.run(self.cells.first_run)
            if not self.cells.is_shown(shown):
                raise RuntimeError(f"no run: {shown.stderr}")
            return shown.idle_at - notebook.begun

    def growth(self, sizes):
        """New functions on threads, one cell after another: what one takes at each of these numbers."""
        points, times = [], []
        for size in range(1, max(sizes) + 1):
            times.append(self.new_function("threads"))
            if size in sizes:
                seconds, times = statistics.median(times), []
                points.append({"size": size, "seconds": seconds, "bytes": self.warm.memory()})
        return points

    def new_function(self, workers):
        number = next(self.numbers)
        cell, seconds = self.in_warm(self.cells.function(workers, number))
        if str(3 * number) not in cell.stdout:
            raise RuntimeError(f"{cell.stdout}{cell.stderr}")
        return seconds

    def shown_run(self):
        cell, seconds = self.in_warm(self.cells.shown)
        if not self.cells.is_shown(cell):
            raise RuntimeError(f"no run: {cell.stderr}")
        return seconds


PARTICIPANTS = {"joblab": Joblab, "evcxr alone": Alone, "ipykernel": Python}


if __name__ == "__main__":
    who, joblab = sys.argv[1:]
    package = "ipykernel" if who == "ipykernel" else "jupyter_client"
    version = f"{package} {importlib.metadata.version(package)}"
    serve(lambda: Cases(PARTICIPANTS[who], os.path.realpath(joblab)), version)
