"""The notebook kernel, with joblab or without. Reads cases from stdin and answers as peers.py does.

    python kernel.py WHO JOBLAB_FOLDER

`client` is crates/lab's: whoever starts this puts its folder on PYTHONPATH.
"""

import importlib.metadata
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from answers import serve
from client import STARTUP_SECONDS, Kernel

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

FIGURE = """\
let pool = Parallel::new(2);
let run = pool.map(wait_loop_nogil, vec![300; 8])?;
wall_vs_cpu([("threads", &run)])?"""


class Notebook:
    """A kernel in a folder of its own, so that nothing is built before its set-up cell."""

    def __init__(self, joblab):
        self.folder = Path(tempfile.mkdtemp(prefix="joblab-bench-"))
        self.kernel = Kernel(joblab, self.folder)
        self.kernel.client.wait_for_ready(timeout=STARTUP_SECONDS)

    def run(self, code):
        cell = self.kernel.run(code).settle()
        if "error" in cell.stderr.lower():
            raise RuntimeError(cell.stderr)
        return cell

    def close(self):
        self.kernel.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Cases:
    def __init__(self, who, joblab):
        self.joblab, self.has_joblab = joblab, who == "joblab"
        self.warm = None
        if not self.has_joblab:
            # Cargo's own setting: that of `cargo lab` is for its notebooks.
            os.environ["CARGO_PROFILE_DEV_LTO"] = "false"

    def close(self):
        if self.warm:
            self.warm.close()
            self.warm = None

    def cell(self):
        if not self.warm:
            self.warm = Notebook(self.joblab)
            if self.has_joblab:
                self.warm.run(self.warm.kernel.setup)
        begun = time.monotonic()
        return self.warm.run("println!(\"{}\", 1 + 1);").idle_at - begun

    def first_figure(self):
        notebook = Notebook(self.joblab)
        try:
            begun = time.monotonic()
            notebook.kernel.run(notebook.kernel.setup if self.has_joblab else ALONE)
            figure = notebook.run(FIGURE if self.has_joblab else ALONE_FIGURE)
            if not any("<svg" in text for data in figure.rich for text in data.values()):
                raise RuntimeError(f"no figure: {figure.stderr}")
            return figure.idle_at - begun
        finally:
            notebook.close()


if __name__ == "__main__":
    who, joblab = sys.argv[1:]
    version = importlib.metadata.version("jupyter_client")
    serve(lambda: Cases(who, os.path.realpath(joblab)), f"jupyter_client {version}")
