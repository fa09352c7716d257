#![cfg(target_os = "linux")]
//! Without a network: a lesson's crates are here, and cargo is not to ask for them.

use std::path::Path;
use std::process::Command;

/// Runs a command in a network of its own, in which only this machine is; `None` where that is not
/// allowed.
fn alone(command: &Command) -> Option<Command> {
    let apart = |words: &[&str]| {
        let mut unshare = Command::new("unshare");
        unshare.args(["--net", "--map-root-user", "sh", "-c"]).args(words);
        unshare
    };
    // The kernel's own channels need the machine's inner network.
    let up = "ip link set lo up";
    if !apart(&[up]).output().is_ok_and(|output| output.status.success()) {
        return None;
    }
    let mut unshare = apart(&[&format!("{up} && exec \"$@\""), "sh"]);
    unshare.arg(command.get_program()).args(command.get_args());
    Some(unshare)
}

#[test]
#[ignore = "needs the Rust kernel; `cargo lab test` runs it"]
fn a_lesson_runs_without_a_network() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../notebooks/00-index.ipynb");
    let Some(mut command) = alone(&crate::notebook::lab_run(&[], &path)) else {
        println!("SKIPPED: no network can be taken away here (unshare, ip)");
        return;
    };
    let output = command.output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}{stderr}");
    assert!(stderr.contains("cargo's registry does not answer"), "{stderr}");
}
