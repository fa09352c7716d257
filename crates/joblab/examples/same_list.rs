//! One list of tasks on threads, in processes and on a Dask cluster: its results are the same, and one word
//! says where it runs.
//!
//! `cargo run --release --package joblab --example same_list -- ADDRESS`, that of a Dask scheduler, as
//! `tcp://127.0.0.1:8786`; without it, on threads and in processes only.

use std::env;

use joblab::{Backend, Delayed, Error, Parallel, delayed};

/// How many steps a number takes to get to 1: a half, or three times and one more.
fn steps(mut n: u64) -> u64 {
    let mut steps = 0;
    while n > 1 {
        n = if n.is_multiple_of(2) { n / 2 } else { 3 * n + 1 };
        steps += 1;
    }
    steps
}

/// The number below `limit` that takes the most steps.
fn longest(limit: u64) -> (u64, u64) {
    (1..limit).map(|n| (steps(n), n)).max().map_or((0, 0), |(steps, n)| (n, steps))
}

fn main() -> Result<(), Error> {
    let tasks: Vec<Delayed<_, _>> = (1..=12).map(|k| delayed(longest, k * 10_000)).collect();
    let mut pools = vec![
        Parallel::new(2).backend(Backend::Threading),
        Parallel::new(2).backend(Backend::Multiprocessing),
    ];
    if let Some(address) = env::args().nth(1) {
        pools.push(Parallel::new(-1).scheduler(address));
    }
    let mut runs = Vec::new();
    for parallel in &pools {
        let run = parallel.run(&tasks)?;
        println!("{parallel:?}: {:?}", run.results.last());
        let (wall, cpu) = (run.timing.wall, run.timing.worker_cpu);
        eprintln!("wall time {wall:.0?}, CPU time of the tasks {cpu:.0?}");
        runs.push(run);
    }
    assert!(runs.iter().all(|run| run.results == runs[0].results));
    Ok(())
}
