//! A lesson that reads of Linux what macOS does not have.

use std::fs;
use std::path::Path;

use crate::notebook::lab_run;

#[test]
#[ignore = "needs the Rust kernel; `cargo lab test` runs it"]
fn lesson_05_runs_to_its_end_where_nobody_says_how_much_memory_is_whose() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let lesson = fs::read_to_string(workspace.join("notebooks/05-sharing-data.ipynb")).unwrap();
    let status = r#"\"/proc/self/status\""#;
    let library = r#"path = \"../crates/joblab\""#;
    assert!(lesson.contains(status) && lesson.contains(library));
    let absolute = format!(r#"path = \"{}\""#, workspace.join("crates/joblab").display());
    let lesson = lesson.replace(status, r#"\"/nowhere/status\""#).replace(library, &absolute);
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no-proc.ipynb");
    fs::write(&path, lesson).unwrap();
    let output = lab_run(&["--write"], &path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let written = fs::read_to_string(&path).unwrap();
    for line in ["160 MB             NaN        NaN       NaN        NaN", "between NaN and NaN MB"]
    {
        assert!(written.contains(line), "{line:?} is missing");
    }
}
