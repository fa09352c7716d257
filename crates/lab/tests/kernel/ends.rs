//! However a run ends, no process outlives it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::notebook::{Cell, lab_run, notebook, run};

/// A notebook whose first cell starts a process that adds to a file for ever.
fn with_a_child(name: &str, last: &'static str) -> (PathBuf, PathBuf) {
    let heartbeat = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.heartbeat"));
    let _ = fs::remove_file(&heartbeat);
    let start = format!(
        "let child = std::process::Command::new(\"sh\").arg(\"-c\")\
         .arg(\"while echo >> {}; do sleep 0.05; done\").spawn()?;",
        heartbeat.display()
    );
    (notebook(name, &[Cell(&start, false), Cell(last, false)]), heartbeat)
}

fn beats(heartbeat: &Path) -> u64 {
    fs::metadata(heartbeat).map_or(0, |data| data.len())
}

#[track_caller]
fn assert_is_gone(heartbeat: &Path) {
    let before = beats(heartbeat);
    assert!(before > 0, "it never ran");
    sleep(Duration::from_millis(500));
    assert_eq!(beats(heartbeat), before, "it still runs");
}

#[test]
#[ignore = "needs the Rust kernel; `cargo lab test` runs it"]
fn no_process_outlives_the_run() {
    for (name, last) in [("outlives", "println!(\"done\");"), ("outlives-failure", "panic!();")] {
        let (path, heartbeat) = with_a_child(name, last);
        run(&[], &path);
        assert_is_gone(&heartbeat);
    }
}

#[test]
#[ignore = "needs the Rust kernel; `cargo lab test` runs it"]
fn an_interrupt_ends_the_run_at_once() {
    let (path, heartbeat) = with_a_child("interrupted-run", "loop { std::hint::spin_loop(); }");
    let mut lab = lab_run(&[], &path).stdout(Stdio::null()).spawn().unwrap();
    while beats(&heartbeat) == 0 {
        assert!(lab.try_wait().unwrap().is_none(), "the run ended by itself");
        sleep(Duration::from_millis(50));
    }
    let interrupted = Instant::now();
    let kill = format!("kill -INT {}", lab.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    assert_eq!(lab.wait().unwrap().code(), Some(130));
    // The cell has no end; a machine that is busy has more to do than ours.
    assert!(interrupted.elapsed() < Duration::from_secs(30), "{:?}", interrupted.elapsed());
    assert_is_gone(&heartbeat);
}
