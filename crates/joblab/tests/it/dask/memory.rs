//! Shared memory: it travels to a Dask worker once, and is gone there when it is gone here.

use std::collections::BTreeSet;
use std::fs;

use joblab::{Part, SharedSlice};

use super::cluster::{Cluster, python};
use super::{dask_worker, square};
use crate::system::eventually;

const NUMBERS: usize = 4 << 20;

/// The copies of shared memory that a process has, by inode.
fn copies(pid: u32) -> BTreeSet<u64> {
    use std::os::unix::fs::MetadataExt;
    let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    files
        .filter(|file| {
            let target = fs::read_link(file.path()).unwrap_or_default();
            target.to_string_lossy().contains("memfd:joblab")
        })
        .filter_map(|file| Some(fs::metadata(file.path()).ok()?.ino()))
        .collect()
}

/// The sum, the Dask worker, and the copies that it and this process have of shared memory.
fn sum((n, data): (u64, SharedSlice<u64>)) -> (u64, u32, BTreeSet<u64>, BTreeSet<u64>) {
    let worker = dask_worker(20);
    (n + data.iter().sum::<u64>(), worker, copies(worker), copies(std::process::id()))
}

#[test]
#[ignore = "needs a Python with Dask; `cargo lab test` runs it"]
fn shared_numbers_travel_once_to_each_worker_and_are_gone_with_their_owner() {
    let mut cluster = Cluster::new("memory");
    let mut scheduler = python();
    // It would take a copy that nobody uses from a worker after two seconds.
    scheduler.env("DASK_DISTRIBUTED__SCHEDULER__ACTIVE_MEMORY_MANAGER__START", "False");
    cluster.add_scheduler(scheduler, "127.0.0.1", &[]);
    for name in ["w0", "w1"] {
        cluster.add_worker(name, 2);
    }
    cluster.wait_for(4);
    let parallel = cluster.parallel(-1);
    let data = SharedSlice::fill(NUMBERS, |numbers| numbers.fill(1)).unwrap();
    let mut seen = BTreeSet::new();
    for _ in 0..2 {
        let run = parallel.map(sum, (0..16).map(|n| (n, data.clone()))).unwrap();
        for (n, (sum, worker, theirs, own)) in (0..).zip(&run.results) {
            assert_eq!(*sum, n + NUMBERS as u64);
            assert_eq!(theirs.len(), 1, "a worker has one copy");
            assert_eq!(own, theirs, "and its processes have that");
            seen.insert((*worker, theirs.clone()));
        }
        assert!(run.tasks.iter().all(|task| task.carried < 100), "{:?}", run.tasks);
    }
    let workers: BTreeSet<u32> = seen.iter().map(|(worker, _)| *worker).collect();
    assert_eq!((workers.len(), seen.len()), (2, 2), "the same copies in both calls: {seen:?}");

    // A state may hold it too, beside that of the arguments.
    let tail = SharedSlice::from_vec(vec![7_u64, 8]).unwrap();
    let stateful = cluster.parallel(-1).with_state(|tail: &SharedSlice<u64>| tail.clone(), tail);
    let both = |data: SharedSlice<u64>, tail: &mut SharedSlice<u64>| data[9] + tail[1];
    assert_eq!(stateful.map(both, vec![data.clone(); 6]).unwrap().results, [9; 6]);
    drop(stateful);

    // What has to come back is an error; the pool works on.
    let error = parallel.map(|data: SharedSlice<u64>| data, [data.clone()]).unwrap_err();
    assert!(error.to_string().contains("shared memory is that of one machine"), "{error}");
    let (parts, _whole) = SharedSlice::<u64>::parts(10, 2).unwrap();
    let error = parallel.map(|part: Part<u64>| part.len(), parts).unwrap_err();
    assert!(error.to_string().contains("but not write to one"), "{error}");

    drop(data);
    eventually("the workers let go of their copies", || {
        // The bridge learns of what is gone with the next call.
        assert_eq!(parallel.map(square, [3]).unwrap().results, [9]);
        workers.iter().all(|worker| copies(*worker).is_empty())
    });
}
