//! What a run leaves in the notebook.

use std::fs;

use crate::notebook::{assert_fails, assert_passes, notebook, plain, run};

#[test]
#[ignore = "needs the Rust kernel; `cargo lab test` runs it"]
fn outputs_are_stored_the_same_each_time_and_only_by_a_run_that_passed() {
    let sources = [
        ":dep cpu-time = \"1\"",
        "let v = vec![3, 1, 2];\nfor i in &v { println!(\"{i}\"); eprintln!(\"late {i}\"); }",
        "v",
    ];
    let path = notebook("stores", &plain(&sources));
    assert_passes(&["--write", "--twice"], &path);
    let stored = fs::read_to_string(&path).unwrap();
    let parts = [
        "\"3\\n\",\n      \"1\\n\",\n      \"2\\n\"\n",
        "\"late 3\\n\",\n      \"late 1\\n\",\n      \"late 2\\n\"\n",
        "\"[3, 1, 2]\"",
        "\"execution_count\": 3",
        "\"name\": \"rust\"",
    ];
    for part in parts {
        assert!(stored.contains(part), "no {part} in {stored}");
    }
    assert!(!stored.contains("cargo lab") && !stored.contains("\\u0001"), "{stored}");
    assert!(stored.ends_with("}\n"));
    assert_passes(&["--write"], &path);
    assert_eq!(fs::read_to_string(&path).unwrap(), stored);

    // However late they come, and although the last one has no end.
    let cells =
        plain(&["for i in 0..2000 { eprintln!(\"{i}\"); }\neprint!(\"end\");", "eprintln!();"]);
    let path = notebook("stores-late-lines", &cells);
    assert_passes(&["--write"], &path);
    let stored = fs::read_to_string(&path).unwrap();
    assert!(stored.contains("\"1999\\n\",\n      \"end\"\n"), "{stored}");
    assert!(!stored.contains("cargo lab"), "{stored}");

    let path = notebook("stores-not", &plain(&["println!(\"once\");", "panic!();"]));
    let before = fs::read_to_string(&path).unwrap();
    assert_eq!(run(&["--write"], &path).0, Some(1));
    assert_eq!(fs::read_to_string(&path).unwrap(), before);
    let cells = plain(&["println!(\"{}/x\", std::env::temp_dir().display());"]);
    let path = notebook("stores-no-paths", &cells);
    assert_fails(&["--write"], &path, "cell 1", &["names a path of this machine"]);
}
