//! Numbers that processes share: who reads and writes them, and that nothing is left of them.

use std::collections::BTreeSet;
use std::fs;
use std::hint::black_box;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use joblab::{Backend, Parallel, Part, SharedSlice, delayed, time};

use crate::{BACKENDS, system};

/// The tests count files, so one waits for the other.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether an open file is shared memory: in test builds that do as on other systems, it had a name.
fn is_memory(file: &Path) -> bool {
    let name = file.to_string_lossy();
    name.contains("memfd:joblab") || name.contains("/shm/joblab-")
}

/// How many pieces of shared memory this process has open.
fn files() -> usize {
    let links = fs::read_dir("/proc/self/fd").unwrap();
    let target = |file: fs::DirEntry| fs::read_link(file.path()).ok();
    let targets = links.filter_map(|file| target(file.unwrap()));
    targets.filter(|target| is_memory(target)).count()
}

/// What a process has of its own, and not from files or shared memory (proc(5), RssAnon), in bytes.
fn private_memory() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:"));
    let kilobytes = line.unwrap().split_whitespace().nth(1).unwrap();
    kilobytes.parse::<usize>().unwrap() * 1024
}

fn sum(data: SharedSlice<u64>) -> (u64, u32, usize) {
    (data.iter().sum(), std::process::id(), private_memory())
}

#[test]
fn all_workers_read_the_one_memory() {
    // What other tests hold would count as this process's own.
    let test = "sharing::all_workers_read_the_one_memory";
    let output = system::in_a_process_of_its_own(test, || {
        // A gigabyte, where there is room for it.
        let has_room = system::kilobytes("/proc/meminfo", "MemAvailable:") > 3_000_000;
        let bytes: usize = if has_room { 1 << 30 } else { 1 << 26 };
        let data = SharedSlice::fill(bytes / 8, |numbers| {
            (0..).zip(numbers).for_each(|(n, number)| *number = n);
        })
        .unwrap();
        let expected: u64 = (0..bytes as u64 / 8).sum();
        for &backend in BACKENDS {
            let parallel = Parallel::new(3).backend(backend);
            let before = private_memory();
            let run = parallel.map(sum, vec![data.clone(); 12]).unwrap();
            assert!(run.results.iter().all(|(sum, ..)| *sum == expected), "{backend}");
            let pids: BTreeSet<u32> = run.results.iter().map(|(_, pid, _)| *pid).collect();
            let here = std::process::id();
            assert_eq!(pids.contains(&here), backend != Backend::Multiprocessing);
            let most = run.results.iter().map(|(.., memory)| *memory).max();
            let most = most.unwrap().max(private_memory()).saturating_sub(before);
            println!(
                "{backend}: 12 tasks over {bytes} bytes added at most {most} of a worker's own"
            );
            assert!(most < bytes / 4 && most < 1 << 25, "{backend}: {most} bytes were copied");
        }
    });
    if let Some(output) = output {
        print!("{}", output.stdout);
    }
}

#[test]
fn results_come_back_shared_and_nothing_is_left() {
    let _alone = alone();
    fn make(n: u64) -> (SharedSlice<u64>, usize) {
        let made = SharedSlice::from_vec(vec![n; 10_000]).unwrap();
        (made, files())
    }

    for &backend in BACKENDS {
        let parallel = Parallel::new(2).backend(backend);
        let before = files();
        for _ in 0..20 {
            let run = parallel.map(make, 0..20).unwrap();
            for (n, (slice, in_worker)) in run.results.iter().enumerate() {
                assert!(slice.len() == 10_000 && slice.iter().all(|x| *x == n as u64));
                assert!(*in_worker < before + 60, "{backend}: {in_worker} files in a worker");
            }
        }
        assert_eq!(files(), before, "{backend}");
    }
}

#[test]
fn a_slice_goes_through_a_task_and_outlives_its_pool() {
    let _alone = alone();
    for &backend in BACKENDS {
        let data = SharedSlice::from_vec(vec![1.5_f32, 2.5]).unwrap();
        let parallel = Parallel::new(2).backend(backend);
        let same = |data: SharedSlice<f32>| data;
        let mut results = parallel.map(same, [data]).unwrap().results;
        drop(parallel);
        assert_eq!(*results.remove(0), [1.5, 2.5], "{backend}");
    }
}

fn fill(mut part: Part<u64>) -> u32 {
    let first = part.start() as u64;
    (first..).zip(&mut *part).for_each(|(n, number)| *number += n);
    std::process::id()
}

#[test]
fn each_part_is_written_by_its_task_alone() {
    let _alone = alone();
    for &backend in BACKENDS {
        for (length, parts) in [(1000, 7), (3, 5), (0, 2), (8, 1)] {
            let (parts, whole) = SharedSlice::parts(length, parts).unwrap();
            let run = Parallel::new(3).backend(backend).map(fill, parts).unwrap();
            let is_here = run.results.contains(&std::process::id());
            assert_eq!(is_here, backend != Backend::Multiprocessing);
            let expected: Vec<u64> = (0..length as u64).collect();
            assert_eq!(*whole.join().unwrap(), expected, "{backend}");
        }
    }
}

#[test]
fn parts_that_are_still_held_are_an_error() {
    let _alone = alone();
    let (parts, whole) = SharedSlice::<u8>::parts(100, 4).unwrap();
    let error = whole.join().unwrap_err().to_string();
    assert!(error.contains("4 parts are not given back"), "{error}");
    drop(parts);
}

#[test]
fn a_killed_worker_leaves_nothing_and_its_part_can_be_tried_again() {
    let _alone = alone();
    fn dies_first(mut part: Part<u64>) {
        if part[0] == 0 {
            part[0] = 1;
            std::process::abort();
        }
        part.fill(7);
    }

    let before = files();
    let (parts, whole) = SharedSlice::<u64>::parts(1000, 2).unwrap();
    {
        let parallel = Parallel::new(2).backend(Backend::Multiprocessing).retries(1);
        assert_eq!(parallel.map(dies_first, parts).unwrap().results.len(), 2);
    }
    assert!(whole.join().unwrap().iter().all(|n| *n == 7));
    let (parts, whole) = SharedSlice::<u64>::parts(1000, 2).unwrap();
    {
        let parallel = Parallel::new(2).backend(Backend::Multiprocessing);
        assert!(parallel.map(dies_first, parts).unwrap_err().is_worker_death());
    }
    assert!(whole.join().is_ok(), "the parts are gone with the workers");
    assert_eq!(files(), before);
}

#[test]
fn a_panic_gives_the_part_back() {
    let _alone = alone();
    for &backend in BACKENDS {
        let (parts, whole) = SharedSlice::<u64>::parts(10, 2).unwrap();
        let parallel = Parallel::new(2).backend(backend);
        let panics = |part: Part<u64>| assert!(part.is_empty(), "on purpose");
        assert!(parallel.map(panics, parts).unwrap_err().is_panic());
        drop(parallel);
        assert!(whole.join().is_ok(), "{backend}");
    }
}

#[test]
fn a_part_travels_once_whoever_writes_it() {
    /// What derives do not do: it writes its part twice.
    struct Forger(Part<u64>);

    impl Serialize for Forger {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            (&self.0, &self.0).serialize(serializer)
        }
    }

    impl<'de> Deserialize<'de> for Forger {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            Deserialize::deserialize(deserializer).map(|(part, _): (_, Part<u64>)| Forger(part))
        }
    }

    /// What derives do not do either: it tries to read what was written twice.
    struct Original(Part<u64>);

    impl Serialize for Original {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serde_json::to_vec(&self.0).map_err(S::Error::custom)?.serialize(serializer)
        }
    }

    impl<'de> Deserialize<'de> for Original {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let bytes: Vec<u8> = Deserialize::deserialize(deserializer)?;
            let read = || serde_json::from_slice(&bytes).ok();
            match (read(), read()) {
                (Some(part), None) => Ok(Original(part)),
                _ => Err(D::Error::custom("two tasks could have the same part")),
            }
        }
    }

    let _alone = alone();
    let parallel = Parallel::new(2).backend(Backend::Multiprocessing);
    let (mut parts, whole) = SharedSlice::<u64>::parts(10, 2).unwrap();
    let second = Original(parts.remove(1));
    let error = parallel.map(|forger: Forger| forger.0.len(), [Forger(parts.remove(0))]);
    let error = error.unwrap_err().to_string();
    assert!(error.contains("twice"), "{error}");
    let run = parallel.map(|original: Original| original.0.len(), [second]).unwrap();
    assert_eq!(run.results, [5]);
    drop(parallel);
    assert!(whole.join().is_ok());
}

#[test]
fn shared_numbers_travel_to_workers_only() {
    let _alone = alone();
    let data = SharedSlice::from_vec(vec![1_u8]).unwrap();
    let error = serde_json::to_vec(&data).unwrap_err().to_string();
    assert!(error.contains("only to workers"), "{error}");
}

#[test]
fn a_state_and_a_list_of_tasks_may_hold_shared_numbers() {
    let _alone = alone();
    for &backend in BACKENDS {
        let data = SharedSlice::from_vec(vec![5_u64; 100]).unwrap();
        let tasks: Vec<_> = (0..4).map(|_| delayed(sum, data.clone())).collect();
        let parallel = Parallel::new(2).backend(backend);
        assert!(parallel.run(&tasks).unwrap().results.iter().all(|(sum, ..)| *sum == 500));
        let stateful = parallel.with_state(|data: &SharedSlice<u64>| data.clone(), data);
        let run = stateful.map(|n: usize, data| data[n] + n as u64, 0..4).unwrap();
        assert_eq!(run.results, [5, 6, 7, 8], "{backend}");
    }
}

#[test]
fn a_run_says_how_much_was_carried() {
    let _alone = alone();
    let numbers = vec![1_u8; 100_000];
    let shared = SharedSlice::from_vec(numbers.clone()).unwrap();
    let same = |numbers: Vec<u8>| numbers;
    for &backend in BACKENDS {
        let parallel = Parallel::new(2).backend(backend);
        let copied = parallel.map(same, [numbers.clone(), vec![]]).unwrap();
        let shared = parallel.map(|s: SharedSlice<u8>| s, [shared.clone()]).unwrap();
        let carried: Vec<u64> = copied.tasks.iter().map(|task| task.carried).collect();
        match backend {
            Backend::Multiprocessing => {
                assert!((200_000..200_100).contains(&carried[0]), "{carried:?}");
                assert!((1..100).contains(&carried[1]), "{carried:?}");
                assert!((1..100).contains(&shared.tasks[0].carried));
                assert!(copied.to_string().contains("carried by each task"));
            }
            _ => assert_eq!((carried, shared.tasks[0].carried), (vec![0, 0], 0)),
        }
        assert!(!shared.to_string().contains("carried"), "{shared}");
    }
}

#[test]
fn nothing_is_left_when_the_parent_is_killed() {
    /// Says who it is and what it has, and never ends.
    fn hold(data: SharedSlice<u64>) -> u64 {
        println!("worker {}", std::process::id());
        loop {
            black_box(data[0]);
        }
    }
    let name = "sharing::nothing_is_left_when_the_parent_is_killed";
    if system::is_alone() {
        let data = SharedSlice::from_vec(vec![1_u64; 1000]).unwrap();
        println!("\nsegment {}", segments(std::process::id())[0]);
        drop(Parallel::new(3).backend(Backend::Multiprocessing).map(hold, vec![data; 3]));
        return;
    }
    let mut parent = system::alone(name).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(parent.stdout.take().unwrap()).lines();
    let mut said = lines.map_while(Result::ok).filter_map(|line| {
        let (what, number) = line.split_once(' ')?;
        ["segment", "worker"].contains(&what).then(|| number.parse::<u64>().unwrap())
    });
    let segment = said.next().unwrap();
    let mut pids: Vec<u32> = said.take(3).map(|pid| pid as u32).collect();
    pids.push(parent.id());
    let has_it = |pid: &u32| segments(*pid).contains(&segment);
    assert!(pids.len() == 4 && pids.iter().all(has_it), "all of {pids:?} have it");
    parent.kill().unwrap();
    parent.wait().unwrap();
    system::eventually("nobody has it", || !system::processes().iter().any(has_it));
    // A name that memory has for a moment is left nowhere.
    let is_theirs = |name: &str| pids.iter().any(|pid| name.contains(&format!("-{pid:x}-")));
    for folder in [std::env::temp_dir(), "/dev/shm".into()] {
        let files = fs::read_dir(folder).into_iter().flatten().flatten();
        let names = files.map(|file| file.file_name().to_string_lossy().into_owned());
        assert_eq!(names.filter(|name| is_theirs(name)).count(), 0);
    }
}

/// The pieces of shared memory that a process has open, by their number in the system.
fn segments(pid: u32) -> Vec<u64> {
    let links = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let is_one = |path: &std::path::PathBuf| fs::read_link(path).is_ok_and(|to| is_memory(&to));
    let open = links.map(|link| link.path()).filter(is_one);
    open.filter_map(|path| Some(fs::metadata(path).ok()?.ino())).collect()
}

#[test]
fn a_gigabyte_is_handed_over_as_fast_as_a_kilobyte() {
    let _alone = alone();
    let parallel = Parallel::new(2).backend(Backend::Multiprocessing);
    // Pages that nobody has written take no memory.
    let slice = |bytes: usize| SharedSlice::<u64>::fill(bytes / 8, |_| ()).unwrap();
    let hand_over = |data: &SharedSlice<u64>| {
        let inputs = [data.clone(), data.clone()];
        let (run, timing) = time(|| parallel.map(|data: SharedSlice<u64>| data.len(), inputs));
        assert_eq!(run.unwrap().results, [data.len(); 2]);
        timing.wall
    };
    let least = |data: SharedSlice<u64>| (0..15).map(|_| hand_over(&data)).min().unwrap();
    let (small, large) = (least(slice(1 << 10)), least(slice(1 << 30)));
    println!("1 kB to two workers: {small:?}, 1 GB: {large:?}");
    assert!(large < 5 * small, "{large:?} for 1 GB, {small:?} for 1 kB");
}

#[test]
fn the_first_touch_is_as_fast_as_that_of_other_memory() {
    /// A number of each page of 4 kB.
    const PAGE: usize = 512;
    fn touch(data: SharedSlice<u64>) -> (u32, Duration, Duration) {
        let read = || data.iter().step_by(PAGE).sum::<u64>();
        let (sum, shared) = time(|| black_box(read()));
        assert_eq!(sum as usize, data.len() / PAGE);
        let ((), own) = time(|| {
            let mut zeros = vec![0_u64; data.len()];
            black_box(&mut zeros).iter_mut().step_by(PAGE).for_each(|number| *number = 1);
        });
        (std::process::id(), shared.cpu, own.cpu)
    }
    let _alone = alone();
    let data = SharedSlice::fill(1 << 24, |numbers| numbers.fill(1)).unwrap();
    let touched = (0..3).map(|_| {
        let parallel = Parallel::new(1).backend(Backend::Multiprocessing);
        let (pid, shared, own) = parallel.map(touch, [data.clone()]).unwrap().results[0];
        assert_ne!(pid, std::process::id());
        println!("first touch of 128 MB: shared {shared:?}, memory of its own {own:?}");
        shared.as_secs_f64() / own.as_secs_f64()
    });
    let least = touched.fold(f64::INFINITY, f64::min);
    assert!(least < 2.0, "{least:.1} times as slow");
}
