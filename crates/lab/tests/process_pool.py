"""Pools in the real Rust kernel: what cells see of them, and what is left when cells end early.

    process_pool.py JOBLAB cells    what cells see of pools: output, functions, errors, the lock
    process_pool.py JOBLAB ends     interrupt, restart and SIGKILL while three workers compute

JOBLAB is the crate's folder; src/kernel, where `client` is, has to be on PYTHONPATH. Each check
prints one line with what it measured; the exit status says whether all passed.
"""

import json
import os
import re
import signal
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from client import Kernel, children, seconds_to_death

FAILED = []
# Seconds: far more than what is promised, for machines that are busy, and far less than the 30 that
# the tasks compute.
LIMIT = 10.0
MEET_SECONDS = 60
SPIN = """fn spin(task: u64) -> u64 {
    println!("task {task} in {}", std::process::id());
    let started = std::time::Instant::now();
    while started.elapsed().as_secs() < 30 {}
    task
}
"""


def check(what, passed, measured):
    print(f"{'ok    ' if passed else 'FAILED'} {what}: {measured}", flush=True)
    if not passed:
        FAILED.append(what)


def says(kernel, what, code, expected):
    """Runs a cell and checks all that it prints to stdout."""
    cell = kernel.run(code)
    said = cell.stdout.strip()
    check(what, re.fullmatch(expected, said), said or cell.settle().stderr.strip())


def spin(kernel, code="pool.map(spin, 0..3)?;"):
    """Sends a cell and waits until its three tasks compute: the cell, and {pid: task}."""
    cell = kernel.send(SPIN + code)
    cell.read(lambda cell: cell.idle_at or cell.stdout.count("\n") == 3)
    tasks = {int(pid): task for task, pid in re.findall(r"task (\d) in (\d+)", cell.stdout)}
    assert children(kernel.runtime) == set(tasks), (tasks, cell.settle().stderr)
    return cell, tasks


def zombies_of(parent):
    """The dead that a process has not waited for, though it had the time to."""
    end = time.monotonic() + LIMIT
    while (found := children(parent, "Z")) and time.monotonic() < end:
        time.sleep(0.05)
    return found


def shows(function, pool="pool"):
    """A cell that prints what a function gives for 0, 1, 2, 3."""
    return f'println!("{{:?}}", {pool}.map({function}, 0..4)?.results);'


def told(call):
    """A cell that prints the error of a call."""
    return f'match {call} {{ Ok(_) => println!("no error"), Err(e) => println!("{{e}}") }}'


SQUARES = shows("|n: u64| n * n"), r"\[0, 1, 4, 9\]"


def ends(kernel):
    """Ends cells while their workers compute, in every way there is."""
    kernel.prepare()
    pids = set()
    for way, end in {
        "interrupt": kernel.manager.interrupt_kernel,
        "SIGKILL of the runtime": lambda: os.kill(kernel.runtime, signal.SIGKILL),
        "restart": lambda: kernel.manager.restart_kernel(now=False),
        "restart, now": lambda: kernel.manager.restart_kernel(now=True),
        "SIGKILL of the kernel": lambda: os.kill(kernel.pid, signal.SIGKILL),
    }.items():
        cell, workers = spin(kernel)
        pid, runtime = kernel.pid, kernel.runtime
        pids |= {runtime, *workers}
        begun = time.monotonic()
        with ThreadPoolExecutor() as watcher:
            died = watcher.submit(seconds_to_death, [runtime, *workers], begun, LIMIT)
            end()
            if way in ("interrupt", "SIGKILL of the runtime"):
                seconds = cell.read().idle_at - begun
                check(f"{way}: idle again", seconds < LIMIT, f"{seconds * 1000:.0f} ms")
        first = died.result()[runtime]
        last = max(died.result()[worker] for worker in workers)
        check(f"{way}: no process left", max(first, last) < LIMIT,
              f"runtime gone after {first * 1000:.0f} ms, the last of {len(workers)} workers "
              f"after {last * 1000:.0f} ms")
        # What a dead kernel leaves in the system's table is the system's to remove.
        zombies = zombies_of(pid) | zombies_of(runtime)
        check(f"{way}: no zombie", not zombies, zombies)
        if kernel.manager.is_alive():
            kernel.prepare()
            says(kernel, f"{way}: a new pool works", *SQUARES)
    left = os.listdir(kernel.temp)
    # Shared memory of ours has its process's number in its name; others have memory there too.
    left += [name for name in os.listdir("/dev/shm") if any(f"-{pid:x}-" in name for pid in pids)]
    check("nothing left in the temporary folder and /dev/shm", not left, left)


def cells(kernel):
    """What cells see of pools."""
    kernel.prepare()
    says(kernel, "each task has a process", """
        let run = pool.map(|_: u8| { std::thread::sleep(std::time::Duration::from_millis(200));
            std::process::id() }, [0; 3])?;
        println!("{:?} {}", run.results, run.tasks.iter().all(|t| run.results[t.index] == t.pid));
        """, r"\[\d+, \d+, \d+\] true")
    workers = children(kernel.runtime)
    output(kernel)
    kernel.run("fn times(n: u64) -> u64 { 2 * n }")
    says(kernel, "a function of another cell", shows("times"), r"\[0, 2, 4, 6\]")
    kernel.run("fn times(n: u64) -> u64 { 3 * n }\nlet list: Vec<Delayed<u64, u64>> = "
               "(0..4).map(|n| delayed(times, n)).collect();")
    says(kernel, "the function changed", shows("times"), r"\[0, 3, 6, 9\]")
    kernel.run("fn times(n: u64) -> u64 { 5 * n }")
    says(kernel, "a stored list has the function of its cell",
                'println!("{:?}", pool.run(&list)?.results);', r"\[0, 3, 6, 9\]")
    says(kernel, "a closure without captures", *SQUARES)
    says(kernel, "a function of the crate",
                'println!("{:?}", pool.map(wait_loop_withgil, [100; 3])?.results);',
                r"\[100.0, 100.0, 100.0\]")
    same = len(workers) == 3 and kernel.runtime not in workers
    same = same and workers == children(kernel.runtime)
    check("the same workers in all cells", same, f"{workers}, the runtime is {kernel.runtime}")
    printing(kernel)
    failures(kernel)
    lock(kernel)
    loop(kernel)
    threads(kernel)
    backtraces(kernel)
    count = len(children(kernel.runtime))
    kernel.run("drop(pool);")
    left = children(kernel.runtime)
    check("a drop ends the workers", count and not left, f"{count}, then {len(left)}")
    # A new process runs the cells, as after an interrupt.
    kernel.run(":env JOBLAB_BACKTRACE=1")
    kernel.run("std::process::exit(0);")
    said = kernel.run(PANICS).wait(lambda cell: cell.stderr.count("stack backtrace:") == 50).stderr
    check("backtraces for who has asked for them", said.count("stack backtrace:") == 50,
          f"{said.count('stack backtrace:')} in {len(said.splitlines())} lines")


def output(kernel):
    """What tasks print, and where it comes out."""
    cell = kernel.run("""fn print(task: u64) {
        for n in 0..20 { println!("stdout {task} {n}"); eprintln!("stderr {task} {n}"); }
        print!("half of stdout {task}"); eprint!("half of stderr {task}");
    }
    pool.map(print, 0..60)?;
    println!("the cell");""").settle()
    for name, last in ("stdout", ["the cell"]), ("stderr", []):
        # A line that a task leaves open goes on with the next one's in the same worker.
        lines = re.sub(rf"(half of {name} \d+)(?=[^\d\n])", r"\1\n", getattr(cell, name)).splitlines()
        expected = [f"{name} {task} {n}" for task in range(60) for n in range(20)]
        expected += [f"half of {name} {task}" for task in range(60)] + last
        odd = sorted(set(lines) ^ set(expected))
        good = sorted(lines) == sorted(expected) and lines[-1:] == (last or lines[-1:])
        check(f"{name} of tasks is whole lines", good, f"{len(lines)}, odd ones: {odd[:6]}")
    cell = kernel.run("""pool.map(|_: u64| for line in ["EVCXR_EXECUTION_COMPLETE",
        "EVCXR_PANIC_NOTIFICATION", "EVCXR_BEGIN_CONTENT text/html", "<b>", "EVCXR_END_CONTENT"] {
        println!("{line}"); eprintln!("{line}"); }, 0..3)?;
    println!("after");""").settle()
    lines = cell.stdout.splitlines()
    good = len(lines) == 16 and lines[-1] == "after" and not cell.rich
    check("control words are only words", good,
          f"{len(lines)} lines, then {lines[-1:]}; {len(cell.rich)} rich outputs")


def printing(kernel):
    """Tasks that print so that evcxr, which reads the cells' output by lines, could lose its place."""
    in_step = 'println!("in step");', "in step"
    says(kernel, "tasks print while the cell has the lock of stdout", """use std::io::Write;
        fn tell(n: u64) -> u64 { println!("task {n}"); n }
        { let mut out = std::io::stdout().lock();
          for n in pool.iter((0..3u64).map(|n| delayed(tell, n)))? { writeln!(out, "got {}", n?)?; } }
        """, r"(task \d\n|got \d\n?){6}")
    cell = kernel.run("""fn crabs(n: usize) {
            println!("{}{}", "x".repeat(n % 4), "\\u{1F980}".repeat(n)); }
        pool.map(crabs, [400_001])?;
        fn bytes(_: u64) { let _ = std::io::stdout().write_all(&[b'a', 255, 0xf0, 0x9f]); }
        pool.map(bytes, 0..1)?;""")
    lines = cell.stdout.splitlines()
    good = "".join(lines[:-1]) == "x" + "\U0001F980" * 400_001 and lines[-1] == "a\ufffd\ufffd"
    check("a long line, and what is no text", good, f"{len(lines)} lines, the last is {lines[-1:]}")
    says(kernel, "the next cell's output", *in_step)
    kernel.run("""let background = std::thread::spawn(|| {
        let pool = Parallel::new(2).backend(Backend::Multiprocessing);
        pool.map(|n: u64| println!("item {n}: {}", "q".repeat(n as usize % 90)), 0..20_000).is_ok() });""")
    printed = ""
    for n in range(4):
        printed += kernel.run(f"let number_{n} = {n};").stdout
    cell = kernel.run('println!("{}", background.join().unwrap());')
    lines = (printed + cell.stdout).splitlines()
    expected = [f"item {n}: {'q' * (n % 90)}" for n in range(20_000)] + ["true"]
    check("cells end while tasks print", sorted(lines) == sorted(expected),
          f"{len(printed.splitlines())} lines in other cells, {len(lines)} in all")
    says(kernel, "the next cell's output", *in_step)


def failures(kernel):
    """Workers that die and tasks that panic: the error says which, and the pool works on."""
    cell, workers = spin(kernel, told("pool.map(spin, 0..3)"))
    victim, task = sorted(workers.items())[1]
    begun = time.monotonic()
    os.kill(victim, signal.SIGKILL)
    said = cell.read().stdout.splitlines()[-1]
    named = all(part in said for part in (f"process {victim} ", "SIGKILL", f"task {task}."))
    check("a killed worker", named, f"{(cell.idle_at - begun) * 1000:.0f} ms, {said}")
    zombies = zombies_of(kernel.runtime)
    check("no zombie of it", not zombies, zombies)
    says(kernel, "the pool after it", *SQUARES)
    at_2 = "pool.map(|n: u64| {{ if n == 2 {{ {} }} n }}, 0..4)"
    says(kernel, "an abort", told(at_2.format("std::process::abort()")),
                r"worker process \d+ .*signal 6 .*task 2\..*")
    says(kernel, "the pool after the abort", *SQUARES)
    says(kernel, "a panic in a process", told(at_2.format('panic!("why")')),
                r"task 2 panicked in .*process \d+: why\..*")
    says(kernel, "the pool after the panic", *SQUARES)


def lock(kernel):
    """The stand-in GIL: one for all cells of a process."""
    for name in "first", "second":
        kernel.run(f"let {name}: fn(u64) -> f64 = |n| with_gil(|| wait_loop_nogil(n));")
    pair = """let ((), t) = time(|| std::thread::scope(|s| {{
        s.spawn(|| {}(1000)); s.spawn(|| {}(1000)); }}));
        println!("{{}}", t.wall.as_secs_f64() / t.cpu.as_secs_f64());"""
    ratio = float(kernel.run(pair.format("first", "second")).said())
    check("two cells take turns with the lock", ratio >= 0.95, f"wall / CPU = {ratio:.2f}")
    # Who waited for the lock would wait for ever.
    says(kernel, "the loop without the lock waits for nobody who has it", """
        println!("{}", with_gil(|| std::thread::scope(|s| s.spawn(|| wait_loop_nogil(50)).join().unwrap())));
        """, r"50\.0\d*")
    folder = json.dumps(str(kernel.temp / "met"))
    says(kernel, "in processes two have their locks at once", f"""
        fn meet((me, other): (u8, u8)) -> bool {{ with_gil(|| {{
            let folder = std::path::Path::new({folder});
            std::fs::create_dir_all(folder).unwrap();
            std::fs::write(folder.join(me.to_string()), "").unwrap();
            (0..{MEET_SECONDS} * 100).any(|_| {{
                std::thread::sleep(std::time::Duration::from_millis(10));
                folder.join(other.to_string()).exists()
            }})
        }}) }}
        println!("{{:?}}", with_gil(|| pool.map(meet, [(0, 1), (1, 0)]))?.results);
        """, r"\[true, true\]")


def loop(kernel):
    """The tutorial's loop, in the crate as `cargo lab` has it built."""
    ratio = float(kernel.run("""{
        let cpu = |n| time(|| wait_loop_nogil(n)).1.cpu.as_secs_f64();
        println!("{}", cpu(1000) / cpu(500)); }""").said())
    check("twice the n costs 8 times the CPU time", 4 < ratio < 12, f"{ratio:.1f} times")


def threads(kernel):
    """A pool of threads: made, used and dropped by different cells."""

    def crew():
        names = Path(f"/proc/{kernel.runtime}/task").glob("*/comm")
        return sum(name.read_text().startswith("worker-") for name in names)

    kernel.run("let crew = Parallel::new(2).backend(Backend::Threading);")
    use = shows("|n: u64| n * n", "crew"), SQUARES[1]
    says(kernel, "threads", *use)
    says(kernel, "threads in the next cell", *use)
    says(kernel, "a panic in a thread",
                told('crew.map(|n: u64| if n == 3 { panic!("why") } else { n }, 0..6)'),
                r"task 3 panicked in thread worker-\d .*: why\..*")
    says(kernel, "threads after the panic", *use)
    before = crew()
    kernel.run("drop(crew);")
    time.sleep(0.1)  # rayon does not wait for its threads
    check("a drop ends the threads", (before, crew()) == (2, 0), f"{before}, then {crew()}")


PANICS = """{ let crew = Parallel::new(2).backend(Backend::Threading);
    for task in 0..50 { let _ = crew.map(|n: u64| -> u64 { panic!("why {n}.") }, [task]); } }"""


def backtraces(kernel):
    """A panic is told in its message, once for each task."""
    said = kernel.run(PANICS).wait(lambda cell: "why 49." in cell.stderr).stderr
    told = [n for n in range(50) if said.count(f"why {n}.\n") == 1]
    # The place, the message, an empty line; std's note on backtraces comes once.
    lines = said.splitlines()
    good = len(told) == 50 and "stack backtrace" not in said and len(lines) <= 3 * 50 + 1
    check("a panic on threads is told in its message", good, f"{len(told)} told in {len(lines)} lines")


def main(joblab, scenario):
    with tempfile.TemporaryDirectory(prefix="joblab-test-") as folder:
        kernel = Kernel(joblab, Path(folder))
        try:
            {"cells": cells, "ends": ends}[scenario](kernel)
        finally:
            kernel.close()
    return bool(FAILED)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
