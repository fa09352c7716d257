//! Writes a run as a trace, which Perfetto, Chrome and speedscope open.
//!
//! `cargo run --release --package joblab --example trace > run.json`

use std::error::Error;
use std::io;
use std::thread;
use std::time::Duration;

use joblab::{Backend, Parallel, wait_loop_nogil, with_gil};

/// Waits, and then computes under the lock.
fn fetch(n: u64) -> f64 {
    thread::sleep(Duration::from_millis(20));
    with_gil(|| wait_loop_nogil(n))
}

fn main() -> Result<(), Box<dyn Error>> {
    let parallel = Parallel::new(3).backend(Backend::Threading);
    let run = parallel.map(fetch, [300; 12])?;
    eprintln!("{run}");
    serde_json::to_writer(io::stdout().lock(), &run.trace())?;
    Ok(())
}
