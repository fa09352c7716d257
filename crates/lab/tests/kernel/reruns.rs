//! `--rerun`: cells that run once and not again, and what they leave behind.

use std::fs;
use std::path::Path;

use crate::notebook::{Cell, assert_fails, assert_passes, notebook, plain};

#[test]
#[ignore = "needs the Rust kernel; `cargo lab test` runs it"]
fn a_cell_that_fails_right_after_itself_fails_the_run() {
    let cells = plain(&["let words = vec![1];", "drop(words);"]);
    let path = notebook("moves", &cells);
    // Here the first cell brings back what the second one took.
    assert_passes(&["--twice"], &path);
    let report = ["cannot find value `words`"];
    assert_fails(&["--rerun"], &path, "cell 2 of 2, twice in a row", &report);
}

#[test]
#[ignore = "needs the Rust kernel; `cargo lab test` runs it"]
#[cfg(target_os = "linux")]
fn processes_and_threads_that_pile_up_fail_the_run() {
    let place = "something is left after every cell ran again";
    for (name, source, report) in [
        (
            "piles-up-processes",
            "std::process::Command::new(\"sleep\").arg(\"60\")\n\
             .stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn()?;",
            "4 processes with ",
        ),
        (
            "piles-up-threads",
            "std::thread::spawn(|| loop { std::thread::park() });",
            "1 processes with ",
        ),
    ] {
        assert_fails(&["--rerun"], &notebook(name, &plain(&[source])), place, &[report]);
    }
}

#[test]
#[ignore = "needs the Rust kernel; `cargo lab test` runs it"]
fn a_long_cell_is_interrupted_and_runs_again() {
    let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join("interrupted-cell.log");
    let _ = fs::remove_file(&log);
    let long = format!(
        "std::thread::sleep(std::time::Duration::from_secs(4));
         std::process::Command::new(\"sh\").args([\"-c\", \"echo end >> {}\"]).status()?;",
        log.display()
    );
    assert_passes(&["--rerun"], &notebook("interrupted-cell", &[Cell(&long, false)]));
    // At first, again, and after the interrupt; the one that was interrupted has no end.
    assert_eq!(fs::read_to_string(&log).unwrap().lines().count(), 3);
}
