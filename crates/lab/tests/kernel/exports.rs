//! `cargo lab export --exercises`: what a class gets, and graders.

use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
#[ignore = "needs Python's packages; `cargo lab test` runs it"]
fn exercises_come_without_solutions_and_find_their_crate() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("exercises");
    let _ = fs::remove_dir_all(&folder);
    let lab = Command::new(env!("CARGO_BIN_EXE_lab"))
        .args(["export", "--exercises"])
        .arg(&folder)
        .output()
        .unwrap();
    assert!(lab.status.success(), "{}", String::from_utf8_lossy(&lab.stderr));
    let lessons = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../notebooks");
    let mut lessons_seen = 0;
    for lesson in fs::read_dir(lessons).unwrap().map(|entry| entry.unwrap().path()) {
        if lesson.extension().is_none_or(|extension| extension != "ipynb") {
            continue;
        }
        let [with, without] = [lesson.clone(), folder.join(lesson.file_name().unwrap())]
            .map(|path| fs::read_to_string(path).unwrap());
        let solution = "\"solution\"";
        assert!(with.contains(solution), "{} has an exercise", lesson.display());
        lessons_seen += 1;
        for left in [solution, "\"output_type\"", "\"execution_count\": 1"] {
            assert!(!without.contains(left), "{left} is left in {}", lesson.display());
        }
        // The first cell's line, as JSON has it: the crate is found from where the file lies now.
        let (_, path) = without.split_once("path = \\\"").expect("a lesson begins with the crate");
        let path = folder.join(path.split('\\').next().unwrap());
        assert!(path.join("Cargo.toml").is_file(), "{}", path.display());
    }
    assert!(lessons_seen >= 9, "{lessons_seen} lessons");
}
