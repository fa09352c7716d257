//! What a pool of processes costs, beside what the machine and Python's pools cost in the same run.
//!
//! `cargo bench --package joblab --bench process_pool`

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::{Duration, Instant};

use joblab::{Backend, Delayed, Parallel, delayed};

fn same(n: u64) -> u64 {
    n
}

fn next(n: u64) -> u64 {
    n + 1
}

fn pool() -> Parallel {
    Parallel::new(2).backend(Backend::Multiprocessing)
}

/// The median of some repeats, after one that warms up.
fn median(mut work: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..12)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed()
        })
        .skip(1)
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

/// Sixteen bytes to another process and back: to `cat`, which copies its input to its output.
fn ping_pong() -> Duration {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let output = theirs.try_clone().unwrap();
    let mut cat = Command::new("cat")
        .stdin(std::os::fd::OwnedFd::from(theirs))
        .stdout(std::os::fd::OwnedFd::from(output))
        .spawn()
        .unwrap();
    let mut bytes = [7; 16];
    let time = median(|| {
        for _ in 0..1000 {
            ours.write_all(&bytes).unwrap();
            ours.read_exact(&mut bytes).unwrap();
        }
    });
    drop(ours);
    cat.wait().unwrap();
    time / 1000
}

/// What Python's own pools take for tiny tasks, in seconds: one by one and in chunks.
fn python() -> Vec<(String, Duration)> {
    let output = Command::new("python3")
        .args(["-c", include_str!("peers.py")])
        .output();
    let Ok(output) = output else {
        return Vec::new();
    };
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let rows = lines.lines().filter_map(|line| {
        let (seconds, name) = line.split_once(' ')?;
        let time = Duration::try_from_secs_f64(seconds.parse().ok()?).ok()?;
        Some((name.to_owned(), time))
    });
    rows.collect()
}

fn main() {
    let row = |name: &str, time: Duration, baseline: Duration, of: &str| {
        let ratio = time.as_secs_f64() / baseline.as_secs_f64();
        println!("{name:<52} {time:>10.2?}   {ratio:>7.2} x {of}");
    };
    let ping = ping_pong();
    println!(
        "{:<52} {ping:>10.2?}",
        "16 bytes to a process and back (ping-pong)"
    );

    let start = median(|| drop(pool().map(same, 0..2).unwrap()));
    row(
        "pool of 2: made, 2 results, dropped",
        start,
        ping,
        "ping-pong",
    );

    let parallel = pool();
    let floor = median(|| drop(parallel.map(same, 0..2).unwrap()));
    row("call of 2 empty tasks, warm", floor, ping, "ping-pong");

    // Two functions in turn: neighbours do not travel together.
    let mixed: Vec<Delayed<u64, u64>> = (0..20_000)
        .map(|n| delayed(if n % 2 == 0 { same } else { next }, n))
        .collect();
    let single = median(|| drop(parallel.run(&mixed).unwrap())) / 20_000;
    row(
        "empty task in a frame of its own",
        single,
        ping,
        "ping-pong",
    );
    let batched = median(|| drop(parallel.map(same, 0..100_000).unwrap())) / 100_000;
    row(
        "empty task, batched by the pool",
        batched,
        ping,
        "ping-pong",
    );
    for (name, time) in python() {
        let ours = if name.contains("chunks") {
            batched
        } else {
            single
        };
        row(&format!("  Python's {name}"), time, ours, "ours");
    }

    let large = vec![0.5_f64; 12_500_000];
    let copy = median(|| drop(std::hint::black_box(large.clone())));
    println!("{:<52} {copy:>10.2?}", "100 MB copied in memory");
    let carried = median(|| {
        drop(
            parallel
                .map(|v: Vec<f64>| v.len(), [large.clone()])
                .unwrap(),
        )
    });
    row(
        "100 MB copied, carried and taken apart",
        carried,
        copy,
        "memory copy",
    );

    let killed = median(|| {
        let error = parallel.map(|_: u64| -> u64 { std::process::abort() }, 0..1);
        assert!(error.unwrap_err().is_worker_death());
    });
    row(
        "a worker's start, crash, and the error",
        killed,
        ping,
        "ping-pong",
    );
}
