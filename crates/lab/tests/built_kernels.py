"""Kernels of Jupyter's list, with a copy each of what `cargo lab` has built.

    built_kernels.py JOBLAB apart     two at once, fifty cells each
    built_kernels.py JOBLAB many      ten at once
    built_kernels.py JOBLAB killed    what a killed one leaves, and who clears it
    built_kernels.py JOBLAB times     what the first cells take, beside a kernel without a copy
    built_kernels.py JOBLAB offline   the first cells where no network is, started as an editor starts them

Each check prints one line with what it saw; the exit status says whether all passed.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from client import Kernel, process

FAILED = []
CELLS = 50
KERNELS = 10
# A second set-up cell may take this part of the first one's time: less is usual, but others may compute
# beside one of the two.
PART = 0.75
PLAIN = """\
:dep rayon = "1.10"
:dep plotters = { version = "0.3.7", default-features = false, features = ["evcxr"] }
use rayon::prelude::*;
use plotters::prelude::*;"""
# On a busy machine evcxr can die while it starts.
STARTS = 4


def check(what, passed, seen):
    print(f"{'ok    ' if passed else 'FAILED'} {what}: {seen}", flush=True)
    if not passed:
        FAILED.append(what)


@contextlib.contextmanager
def kernel(joblab, build=None):
    """A kernel; without a folder to build in, it has what the launcher gives it."""
    with tempfile.TemporaryDirectory(prefix="joblab-test-", ignore_cleanup_errors=True) as folder:
        for left in reversed(range(STARTS)):
            own = Path(tempfile.mkdtemp(dir=folder))
            try:
                started = Kernel(joblab, own, build)
                break
            except RuntimeError:
                if not left:
                    raise
        try:
            yield started
        finally:
            started.close()


def folder_of(kernel):
    return Path(kernel.run('println!("{}", std::env::var("EVCXR_TMPDIR").unwrap());').said().strip())


def apart(joblab):
    with kernel(joblab) as one, kernel(joblab) as other:
        wrong = []
        for number in range(CELLS):
            sent = [(f"{who} {number}", kernel.send(f'println!("{who} {number}");'))
                    for who, kernel in (("one", one), ("two", other))]
            wrong += [(text, cell.stdout) for text, cell in sent if cell.said() != f"{text}\n"]
        check(f"{CELLS} cells in each of two kernels say what is theirs", not wrong, wrong)
        folders = folder_of(one), folder_of(other)
        check("each kernel has a folder of its own", len(set(folders)) == 2, folders)


def many(joblab):
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(KERNELS) as pool:
        started = [pool.submit(stack.enter_context, kernel(joblab)) for _ in range(KERNELS)]
        kernels = [it.result() for it in started]
        cells = [kernel.send(f'println!("{{}}", {number} * 2);') for number, kernel in enumerate(kernels)]
        said = [cell.said().strip() for cell in cells]
        check("each of the kernels answers", said == [str(2 * n) for n in range(KERNELS)], said)
        folders = {folder_of(kernel) for kernel in kernels}
        check("each kernel has a folder of its own", len(folders) == KERNELS, len(folders))


def killed(joblab):
    with kernel(joblab) as first:
        folder, pids = folder_of(first), (first.pid, first.runtime)
        os.kill(first.pid, signal.SIGKILL)
        end = time.monotonic() + 30
        while any((process(pid) or "Z")[0] not in "ZX" for pid in pids) and time.monotonic() < end:
            time.sleep(0.05)
        check("a killed kernel leaves its folder", folder.is_dir(), folder)
        with kernel(joblab) as second:
            left = folder.exists()
            check("the next kernel's start clears it", not left, folder_of(second))


def times(joblab):
    """What people wait for, in seconds, from the start of a kernel on."""
    ours = [
        ("set-up cell", f":dep joblab = {{ path = {json.dumps(joblab)} }}\nuse joblab::*;\n"
                        'println!("{}", cpu_count());'),
        ("first let", "let pool = Parallel::new(2);"),
        ("first run", 'println!("{:?}", pool.map(|n: u64| n * n, 0..4)?.results);'),
    ]
    plain = [
        ("set-up cell", PLAIN + '\nprintln!("{}", rayon::current_num_threads());'),
        ("first let", "let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build()?;"),
        ("first run", "println!(\"{:?}\", pool.install(|| (0..4u64).into_par_iter()"
                      ".map(|n| n * n).collect::<Vec<_>>()));"),
    ]
    rows = {}
    for who, cells, build in [
        ("joblab, built", ours, None), ("joblab, first", ours, "build"), ("rayon, plotters", plain, "build"),
    ]:
        if cells is plain:
            # Cargo's own choice, and not that of our kernel.json.
            os.environ["CARGO_PROFILE_DEV_LTO"] = "false"
        begun = time.monotonic()
        with kernel(joblab, build) as it:
            row = rows[who] = {"kernel ready": time.monotonic() - begun}
            for name, code in cells:
                begun = time.monotonic()
                cell = it.run(code)
                row[name] = cell.idle_at - begun
                # A pool of rayon's cannot be called from a later cell, which panics.
                if who.startswith("joblab") and name != "first let":
                    said = cell.said().strip()
                    check(f"{who}: {name}", said, said or cell.stderr)
    names = list(row)
    print(f"{'seconds':16}" + "".join(f"{name:>14}" for name in names))
    for who, row in rows.items():
        print(f"{who:16}" + "".join(f"{row[name]:14.2f}" for name in names))
    part = rows["joblab, built"]["set-up cell"] / rows["joblab, first"]["set-up cell"]
    check("a set-up cell whose crates are built takes a part of the other's time", part <= PART, f"{part:.2f}")


def offline(joblab):
    # The kernel's own channels need the machine's inner network.
    apart = ["unshare", "--net", "--map-root-user", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    if subprocess.run([*apart, "true"]).returncode:
        print("SKIPPED: no network can be taken away here (unshare, ip)")
        return
    ended = subprocess.run([*apart, sys.executable, "-B", __file__, joblab, "in_no_network"])
    check("cells where no network is", ended.returncode == 0, ended.returncode)


def in_no_network(joblab):
    with kernel(joblab) as it:
        it.run(it.setup)
        it.run("let pool = Parallel::new(2);")
        cell = it.run('println!("{:?}", pool.map(|n: u64| n * n, 0..4)?.results);')
        said = cell.said().strip() or cell.stderr
        check("a lesson's first cells", said == "[0, 1, 4, 9]", said)


def main(joblab, scenario):
    {
        "apart": apart,
        "many": many,
        "killed": killed,
        "times": times,
        "offline": offline,
        "in_no_network": in_no_network,
    }[scenario](joblab)
    return bool(FAILED)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
