//! Names of threads and processes, in log lines and in the system's tables.

use joblab::{Parallel, find_ids};

use crate::system;

const LINES: usize = 4000;

#[test]
fn find_ids_lines_are_never_torn() {
    let name = "names::find_ids_lines_are_never_torn";
    let Some(output) = system::in_a_process_of_its_own(name, || {
        drop(Parallel::new(4).map(|_: usize| find_ids(), 0..LINES).unwrap());
    }) else {
        return;
    };
    let expected: Vec<String> =
        (0..4).map(|worker| format!("debug logging: worker-{worker} MainProcess")).collect();
    let is_whole = |line: &str| expected.iter().any(|expected| expected == line);
    let whole = output.stdout.lines().filter(|line| is_whole(line)).count();
    assert_eq!(whole, LINES, "{}", output.stdout);
}

#[test]
fn threads_end_with_their_pool() {
    // worker-70 to worker-79 and worker-7: names that no other test's pool has.
    let parallel = Parallel::new(80);
    drop(parallel.map(|n: u64| n, 0..80).unwrap());
    system::eventually("all have started", || system::threads("worker-7") == 11);
    drop(parallel);
    system::eventually("the threads end", || system::threads("worker-7") == 0);
}
