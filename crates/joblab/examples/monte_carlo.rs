//! Estimates pi by throwing darts at a square. Each task draws from a stream of its own, which its seed
//! starts, so that the estimate is the same to the last digit wherever and on how many workers it is made.
//!
//! `cargo run --release --package joblab --example monte_carlo`

use joblab::{Backend, Error, Parallel, seeds};

const TASKS: usize = 50;
const DARTS: usize = 100_000;

/// How many darts hit the quarter of a circle.
fn throw(seed: u64) -> usize {
    // The upper 53 bits are as many as an `f64` has.
    let mut numbers = seeds(seed).map(|random| (random >> 11) as f64 / (1_u64 << 53) as f64);
    let mut dart = || numbers.next().zip(numbers.next());
    let hits = (0..DARTS).filter_map(|_| dart()).filter(|(x, y)| x * x + y * y < 1.0);
    hits.count()
}

fn main() -> Result<(), Error> {
    let backends = [
        (1, Backend::Sequential),
        (3, Backend::Threading),
        (2, Backend::Multiprocessing),
        (5, Backend::Multiprocessing),
    ];
    let mut estimates = Vec::new();
    for (n_jobs, backend) in backends {
        let parallel = Parallel::new(n_jobs).backend(backend);
        let run = parallel.map(throw, seeds(42).take(TASKS))?;
        let hits: usize = run.results.iter().sum();
        let pi = 4.0 * hits as f64 / (TASKS * DARTS) as f64;
        println!("{backend} with {n_jobs}: pi is about {pi}");
        let (wall, cpu) = (run.timing.wall, run.timing.worker_cpu);
        eprintln!("wall time {wall:.0?}, CPU time of the tasks {cpu:.0?}");
        estimates.push(pi);
    }
    assert!(estimates.iter().all(|pi| *pi == estimates[0]), "{estimates:?}");
    Ok(())
}
