//! What a task costs there, and that many of them stay bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use joblab::{Backend, Parallel, wait_loop_nogil};

use super::cluster::{Cluster, python};
use super::square;
use crate::system::{children, in_a_process_of_its_own, kilobytes};

/// Seconds for each of 300 empty tasks by Dask's own client: the least of three times.
const BY_PYTHON: &str = "
import sys, time
from distributed import Client
def empty(n): return n
client, times = Client(sys.argv[1]), []
client.gather(client.map(empty, range(50), pure=False))
for _ in range(3):
    start = time.perf_counter()
    client.gather(client.map(empty, range(300), pure=False))
    times.append(time.perf_counter() - start)
print(min(times) / 300)
";

#[test]
#[ignore = "needs a Python with Dask and an idle machine; `cargo lab test` runs it"]
fn a_task_costs_no_more_than_one_of_python() {
    let cluster = Cluster::start("cost", 2);
    let by_python = || -> f64 {
        let mut python = python();
        let python = python.args(["-c", BY_PYTHON, &cluster.address()]);
        let said = String::from_utf8(python.output().unwrap().stdout).unwrap();
        said.trim().parse().unwrap()
    };
    let by_us = |parallel: &Parallel| {
        assert_eq!(parallel.map(square, 0..50).unwrap().results.len(), 50);
        let wall = || parallel.map(square, 0..300).unwrap().timing.wall;
        (0..3).map(|_| wall()).min().unwrap().as_secs_f64() / 300.0
    };
    let alone = cluster.parallel(-1).batch_size(1);
    // All at once, as Python's client sends them.
    let alone = alone.pre_dispatch(usize::MAX);
    let together = cluster.parallel(-1);
    let one_by_one = turns("Python, alone", 1.0, || [by_python(), by_us(&alone)]);
    assert!(by_us(&together) < one_by_one[0], "{one_by_one:?}");

    let processes = Parallel::new(2).backend(Backend::Multiprocessing);
    let loops = |parallel: &Parallel| {
        let run = parallel.map(wait_loop_nogil, [1250; 12]).unwrap();
        run.timing.wall.as_secs_f64()
    };
    turns("12 loops, processes and Dask", 1.1, || [loops(&processes), loops(&together)]);
}

/// Measures both turn by turn, so that what else the machine does burdens both: by the median of the turns,
/// which it gives, the second takes at most so many times as long as the first. Medians of the same differ
/// by some hundredths where nobody else wants the CPUs; where others do, whoever needs more processes for
/// the same waits more often.
#[track_caller]
fn turns(what: &str, most: f64, measure: impl Fn() -> [f64; 2]) -> [f64; 2] {
    let is_idle = || {
        let timing = Parallel::new(2).map(wait_loop_nogil, [250; 2]).unwrap().timing;
        timing.cpu.as_secs_f64() > 1.8 * timing.wall.as_secs_f64()
    };
    let (mut seen, mut is_quiet) = (Vec::new(), is_idle());
    for _ in 0..5 {
        seen.push(measure());
        is_quiet &= is_idle();
    }
    seen.sort_by(|a, b| (a[1] / a[0]).total_cmp(&(b[1] / b[0])));
    let (median, most) = (seen[2], if is_quiet { 1.1 * most } else { 2.0 * most });
    let times = median[1] / median[0];
    println!("{what}: {seen:?} s, the median {times:.2} times, at most {most:.2}");
    assert!(times <= most, "{what}: {seen:?}");
    median
}

/// What a process holds of memory, in kB.
fn resident(pid: u32) -> u64 {
    kilobytes(&format!("/proc/{pid}/status"), "VmRSS:")
}

#[test]
#[ignore = "needs a Python with Dask; `cargo lab test` runs it"]
fn of_a_hundred_thousand_tasks_few_are_under_way() {
    // So that the bridge is the one process that is new.
    let test = "dask::costs::of_a_hundred_thousand_tasks_few_are_under_way";
    let output = in_a_process_of_its_own(test, || {
        const TASKS: usize = 100_000;
        let cluster = Cluster::start("many", 2);
        // Batches of one size, so that each of them costs Dask a task.
        let done = Arc::new(AtomicUsize::new(0));
        let told = Arc::clone(&done);
        let parallel = cluster.parallel(-1).batch_size(100);
        let before = children();
        let parallel = parallel.on_progress(move |now| told.store(now.done, Ordering::Relaxed));
        assert_eq!(parallel.map(square, 0..1000).unwrap().results.len(), 1000);
        let bridges: Vec<u32> =
            children().into_iter().filter(|pid| !before.contains(pid)).collect();
        let [bridge] = bridges[..] else { panic!("{bridges:?}") };
        let (first, mut most) = (resident(bridge), 0);
        done.store(0, Ordering::Relaxed);
        let mut ahead = 0;
        let inputs = (0..TASKS as u64).inspect(|&n| {
            ahead = ahead.max(n as usize + 1 - done.load(Ordering::Relaxed).min(n as usize));
            if n.is_multiple_of(10_000) {
                most = most.max(resident(bridge));
            }
        });
        let run = parallel.map(square, inputs).unwrap();
        assert!((0..).zip(&run.results).all(|(n, square)| *square == n * n));
        assert_eq!(run.results.len(), TASKS);
        println!("{TASKS} tasks took {}; {ahead} were under way; {first} to {most} kB", run.timing);
        // Two batches for each worker, or for as many as an adaptive cluster may have soon.
        assert!(ahead <= 2 * 16 * 100 + 100, "{ahead} tasks were under way");
        assert!(most < first + 50_000, "the bridge grew from {first} to {most} kB");
    });
    if let Some(output) = output {
        print!("{}", output.stdout);
    }
}
