//! The tutorial's runs in a plain program; saves their figure where the first argument says.
//!
//! `cargo run --release --package joblab --example tutorial -- wall-vs-cpu.svg`

use joblab::{Backend, Error, Parallel, delayed, wait_loop_nogil, wait_loop_withgil, wall_vs_cpu};

fn main() -> Result<(), Error> {
    let (n_tasks, n_jobs, n) = (12, 3, 1250);
    let parallel = Parallel::new(n_jobs).backend(Backend::Threading);
    let mut bars = Vec::new();
    for (label, wait_loop) in [
        ("lock released", wait_loop_nogil as fn(u64) -> f64),
        ("lock held", wait_loop_withgil),
    ] {
        let tasks: Vec<_> = (0..n_tasks).map(|_| delayed(wait_loop, n)).collect();
        let run = parallel.run(tasks)?;
        println!("{label}: {}", run.timing);
        bars.push((label, run));
    }
    let figure = wall_vs_cpu(bars)?;
    match std::env::args().nth(1) {
        Some(path) => figure.save(path),
        None => {
            println!("{}", figure.description());
            Ok(())
        }
    }
}
