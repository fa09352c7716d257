//! A task that prints without end, in the real kernel.

use crate::notebook::{assert_passes, notebook, plain};

const SET_UP: &str = concat!(
    ":dep joblab = { path = \"",
    env!("CARGO_MANIFEST_DIR"),
    "/../joblab\" }\nuse joblab::*;"
);

// Long lines: evcxr makes a message of each, and two million of them keep a reader busy for minutes.
#[test]
#[ignore = "needs the Rust kernel; `cargo lab test` runs it"]
fn a_task_that_prints_without_end_is_stopped_and_harms_nobody() {
    let cells = [
        SET_UP,
        "fn noisy(n: u64) -> u64 {\n    while n == 3 {\n        println!(\"{n:>9000}\");\n    }\n    n\n}\n\
         let limit = std::time::Duration::from_millis(250);\n\
         let pool = Parallel::new(2).backend(Backend::Multiprocessing).task_timeout(limit);\n\
         let outcomes: Vec<_> = {\n\
             let tasks = (0..40).map(|n| delayed(noisy, n));\n\
             pool.iter(tasks)?.map(|one| one.map_err(|e| e.to_string())).collect()\n\
         };\n\
         let good: Vec<u64> = outcomes.iter().filter_map(|one| one.clone().ok()).collect();\n\
         assert_eq!(good, (0..40).filter(|n| *n != 3).collect::<Vec<_>>());\n\
         let error = outcomes[3].clone().unwrap_err();\n\
         assert!(error.starts_with(\"task 3 ran for longer than task_timeout\"), \"{error}\");",
        "assert_eq!(pool.map(noisy, [5, 6])?.results, [5, 6]);\nprintln!(\"it goes on\");",
    ];
    assert_passes(&[], &notebook("noise", &plain(&cells)));
}
