//! What a Dask cluster costs, as a row of a table: `cargo run --release --example dask_cost -- ADDRESS`.

use std::time::Instant;
use std::{env, fs};

use joblab::{Backend, Error, Parallel};

fn empty(n: u64) -> u64 {
    n
}

/// What the bridge, the one process that this thread has started, holds of memory, in MB (proc(5)).
fn bridge_memory() -> Option<u64> {
    let children = fs::read_to_string("/proc/thread-self/children").ok()?;
    let status = fs::read_to_string(format!("/proc/{}/status", children.trim())).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1000)
}

fn main() -> Result<(), Error> {
    let address = env::args().nth(1).expect("the address of a scheduler");
    let pool = || Parallel::new(-1).backend(Backend::Dask).scheduler(&*address);
    let (parallel, start) = (pool(), Instant::now());
    let n_workers = parallel.map(empty, [0])?.n_workers;
    let first = start.elapsed().as_secs_f64();
    // Every worker's process starts with its first task.
    let naps = |_: u64| std::thread::sleep(std::time::Duration::from_millis(100));
    let start = Instant::now();
    drop(parallel.map(naps, 0..4 * n_workers as u64)?);
    let all = start.elapsed().as_secs_f64();
    let idle = bridge_memory().unwrap_or_default();
    let together = parallel.map(empty, 0..100_000)?.timing.wall.as_secs_f64() / 100_000.0;
    let busy = bridge_memory().unwrap_or_default();
    drop(parallel);
    let one_by_one = pool().batch_size(1);
    drop(one_by_one.map(naps, 0..2 * n_workers as u64)?);
    let alone = one_by_one.map(empty, 0..500)?.timing.wall.as_secs_f64() / 500.0;
    println!(
        "| workers | first call | 4 naps of 0.1 s each | task, alone | task of 100,000 | bridge |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    println!(
        "| {n_workers} | {first:.1} s | {all:.1} s | {:.1} ms | {:.0} µs | {idle} to {busy} MB |",
        1e3 * alone,
        1e6 * together
    );
    Ok(())
}
