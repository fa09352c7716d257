//! What the tutorial's tasks do: a loop that keeps a CPU busy, and a line that says where it ran.

use std::hint::black_box;
use std::io::Write;

use super::gil::with_gil;
use crate::os::{process_name, thread_name};

/// Runs the tutorial's loop without the lock: any number of threads can run it side by side.
///
/// Four nested loops; the innermost adds 4 to its counter, takes the square root and squares it
/// again, which gives back `n`, up to rounding, for `n` above 3, and 0.0 for a smaller one. The
/// cost grows as `n`^3; `n` = 1250 takes about a second. A program that is built without optimisation, as by
/// `cargo run` without `--release`, does each turn of the innermost loop, so that its cost grows as `n`^4.
///
/// ```
/// assert_eq!(joblab::wait_loop_nogil(50), 50.00000000000001);
/// ```
pub fn wait_loop_nogil(n: u64) -> f64 {
    let mut out = 0.0;
    for m in 0..n {
        for l in 0..m {
            for j in 0..l {
                for i in 0..j {
                    let i = i + 4;
                    // Signed, as the tutorial's counters are, since any CPU has an instruction that
                    // makes an f64 of such a number.
                    out = (i as i64 as f64).sqrt();
                    out *= out;
                }
                // Without a reader in here the compiler would delete all four loops. Out here,
                // and not in the innermost one, it may keep that loop's last turn alone: this is
                // why the cost is n^3 and not n^4, here as in the tutorial's compiled function.
                black_box(out);
            }
        }
    }
    out
}

/// Runs the same loop as [`wait_loop_nogil`], holding the lock that plays Python's GIL from the
/// first turn to the last: the threads of a process take turns.
///
/// ```
/// assert_eq!(joblab::wait_loop_withgil(50), 50.00000000000001);
/// ```
pub fn wait_loop_withgil(n: u64) -> f64 {
    with_gil(|| wait_loop_nogil(n))
}

/// Logs one line, `debug logging: <thread name> <process name>`, to standard output.
///
/// A pool's threads are called `worker-0`, `worker-1` and so on; the process that the program or
/// the notebook's cells run in is `MainProcess`, as in Python. Lines of several threads never mix.
pub fn find_ids() {
    let (thread, process) = (thread_name(), process_name());
    let line = format!("debug logging: {thread} {process}\n");
    // One write for the whole line. Where standard output is closed, a log line is lost, not the
    // task.
    let _ = std::io::stdout().lock().write_all(line.as_bytes());
}
