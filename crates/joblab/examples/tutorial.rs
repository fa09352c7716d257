//! The tutorial's three runs in a plain program; saves their figure where the first argument says.
//!
//! `cargo run --release --package joblab --example tutorial -- wall-vs-cpu.svg`

use joblab::{Backend, Error, Parallel, delayed, wait_loop_nogil, wait_loop_withgil, wall_vs_cpu};

fn main() -> Result<(), Error> {
    let (n_tasks, n_jobs, n) = (12, 3, 1250);
    let free = vec![delayed(wait_loop_nogil, n); n_tasks];
    let held = vec![delayed(wait_loop_withgil, n); n_tasks];
    let threads = Parallel::new(n_jobs).backend(Backend::Threading);
    let processes = Parallel::new(n_jobs).backend(Backend::Multiprocessing);
    let runs = [
        ("threads, lock released", threads.run(free)?),
        ("threads, lock held", threads.run(&held)?),
        ("processes, lock held", processes.run(&held)?),
    ];
    for (label, run) in &runs {
        println!("{label}: {}", run.timing);
    }
    let figure = wall_vs_cpu(runs)?;
    match std::env::args().nth(1) {
        Some(path) => figure.save(path),
        None => {
            println!("{}", figure.description());
            Ok(())
        }
    }
}
