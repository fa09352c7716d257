//! Dask, with a scheduler and workers that are started here as separate processes, each in a folder of
//! its own.

mod cluster;
mod costs;
mod faults;
mod leftovers;
mod memory;
mod network;
mod others;
mod pythons;
mod starts;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::parent_id;
use std::time::Duration;

use joblab::TaskRecord;

use crate::states::{Busy, assert_true, compute, measured};
use crate::system::eventually;
pub(crate) use cluster::Cluster;

fn square(n: u64) -> u64 {
    n * n
}

/// The Dask worker that runs this task's process.
fn dask_worker(milliseconds: u64) -> u32 {
    std::thread::sleep(Duration::from_millis(milliseconds));
    parent_id()
}

fn workers(tasks: &[TaskRecord]) -> BTreeSet<&str> {
    tasks.iter().map(|task| &*task.thread).collect()
}

#[cfg(feature = "conformance")]
#[test]
#[ignore = "needs a Python with Dask; `cargo lab test` runs it"]
fn dask_keeps_all_promises() {
    let cluster = Cluster::of_threads("promises", 2, 4);
    joblab::conformance::check(|n| cluster.parallel(n));
}

#[test]
#[ignore = "needs a Python with Dask; `cargo lab test` runs it"]
fn the_states_of_a_tasks_time_mean_the_same_there() {
    /// Sleeps, and then holds the lock, which each worker's process has of its own.
    fn sleep(milliseconds: u64) {
        std::thread::sleep(Duration::from_millis(milliseconds));
        joblab::with_gil(|| joblab::wait_loop_nogil(300));
    }
    let cluster = Cluster::start("states", 2);
    let run = cluster.parallel(-1).map(sleep, [200; 6]).unwrap();
    for task in &run.tasks {
        let blocked = task.blocked().expect("Linux tells");
        let slept = Duration::from_millis(180)..Duration::from_millis(225);
        assert!(slept.contains(&blocked) && !task.cpu.is_zero(), "{task:?}");
        assert!(task.lock_wait < Duration::from_millis(20), "{task:?}");
    }
    let blocked = run.tasks.iter().map(|task| task.blocked().unwrap()).sum();
    assert_eq!(run.timing.blocked, Some(blocked));
}

#[test]
#[ignore = "needs a Python with Dask; `cargo lab test` runs it"]
fn tasks_there_are_known_to_wait_for_a_cpu_beside_other_programs() {
    let cluster = Cluster::start("busy", 2);
    let parallel = cluster.parallel(-1);
    // Workers start before the machine is busy.
    drop(parallel.map(square, 0..4).unwrap());
    let _busy = Busy::start();
    let run = parallel.map(|time| measured(|| compute(time)), [150; 4]).unwrap();
    for (task, &truth) in run.tasks.iter().zip(&run.results) {
        assert_true(task, truth);
    }
    let wall: Duration = run.tasks.iter().map(|task| task.wall).sum();
    assert!(run.timing.runnable.unwrap() > wall / 10, "no CPU was free: {:?}", run.tasks);
}

#[test]
#[ignore = "needs a Python with Dask; `cargo lab test` runs it"]
fn tasks_run_on_workers_that_share_no_files_with_the_caller() {
    let cluster = Cluster::start("files", 2);
    let parallel = cluster.parallel(-1);
    let run = parallel
        .map(
            |milliseconds: u64| {
                dask_worker(milliseconds);
                std::env::current_exe().unwrap()
            },
            [50; 8],
        )
        .unwrap();
    assert_eq!(run.n_workers, 2);
    assert_eq!(workers(&run.tasks), BTreeSet::from(["w0", "w1"]));
    #[cfg(feature = "figures")]
    {
        let shown = joblab::timeline(&run).unwrap();
        let first = format!(" {} ({}): ", run.tasks[0].thread, run.tasks[0].pid);
        assert!(shown.description().contains(&first), "{}", shown.description());
    }
    for (program, task) in run.results.iter().zip(&run.tasks) {
        assert!(program.starts_with(cluster.folder.join(&*task.thread)));
        assert!(task.start < run.timing.wall && task.wall >= Duration::from_millis(50));
    }
    // One of the two workers only, where no more are asked for.
    let one = cluster.parallel(1).map(dask_worker, [20; 6]).unwrap();
    for pair in one.tasks.windows(2) {
        assert!(pair[1].start >= pair[0].start + pair[0].wall, "{pair:?}");
    }
    // What a pool has left at the workers goes with it.
    drop(parallel);
    let files = |worker: &str| {
        let scratch = cluster.folder.join(worker).join("dask-scratch-space");
        let folders = fs::read_dir(scratch).unwrap().flatten();
        folders
            .filter_map(|folder| fs::read_dir(folder.path()).ok())
            .flatten()
            .flatten()
            .filter(|file| file.file_name().to_string_lossy().starts_with("joblab"))
            .count()
    };
    eventually("the program is removed", || files("w0") + files("w1") == 0);
}
