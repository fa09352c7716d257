//! Scenarios in the real kernel: Python scripts that drive it over Jupyter's protocol.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// The scenarios measure, so one waits for the other.
static MEASURING: Mutex<()> = Mutex::new(());

/// The Python that `cargo lab` runs notebooks with: the activated one if it has what is needed.
fn python() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.lab/python");
    let activated = ["VIRTUAL_ENV", "CONDA_PREFIX"].into_iter().filter_map(env::var_os);
    activated
        .map(PathBuf::from)
        .filter(|prefix| prefix.join("share/jupyter/kernels/rust").is_dir())
        .chain([own])
        .map(|prefix| prefix.join("bin/python"))
        .find(|python| {
            let import = Command::new(python).args(["-I", "-c", "import jupyter_client"]).output();
            import.is_ok_and(|output| output.status.success())
        })
        .expect("`cargo lab` makes the Python environment")
}

/// Runs one scenario of a script, which prints a line for each check.
#[track_caller]
pub(crate) fn assert_passes(script: &str, scenario: &str) {
    let _alone = MEASURING.lock().unwrap_or_else(PoisonError::into_inner);
    // A script that has moved breaks the build, not the run.
    const _: &str = include_str!("../../src/kernel/client.py");
    let lab = Path::new(env!("CARGO_MANIFEST_DIR"));
    // Not isolated (-I), since it needs the other one; -B leaves no files in the sources.
    let output = Command::new(python())
        .arg("-B")
        .arg(lab.join("tests").join(script))
        .env("PYTHONPATH", lab.join("src/kernel"))
        .arg(lab.with_file_name("joblab"))
        .arg(scenario)
        .output()
        .unwrap();
    // libtest shows this where the test fails, and with --show-output.
    print!("{}", String::from_utf8_lossy(&output.stdout));
    print!("{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "a check of `{scenario}` failed");
}
