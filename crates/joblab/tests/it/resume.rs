//! Files of results: what becomes of those that are not as they should be, and of programs that are killed
//! while they write one.
#![allow(unsafe_code)] // limits of processes

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use joblab::{Backend, Parallel, SharedSlice, delayed};

use crate::dask::Cluster;
use crate::{BACKENDS, system};

/// A folder that goes with its owner.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("joblab-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        Folder(folder)
    }

    fn file(&self) -> PathBuf {
        self.0.join("results")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn text(n: u64) -> String {
    format!("{n:>width$}", width = n as usize % 40)
}

fn sequential(path: &Path) -> Parallel {
    Parallel::new(1).backend(Backend::Sequential).resume(path)
}

/// The results in a file that are whole, by the description of the format.
fn results(path: &Path) -> Vec<Vec<u8>> {
    let file = fs::read(path).unwrap_or_default();
    let mut rest = file.strip_prefix(b"joblab results 1\n").unwrap_or_default();
    let mut results = Vec::new();
    while let Some((length, behind)) = rest.split_first_chunk() {
        let length = u64::from_le_bytes(*length) as usize;
        let Some((record, next)) = behind.split_at_checked(16 + length + 8) else { break };
        results.push(record[16..16 + length].to_vec());
        rest = next;
    }
    results
}

fn records(path: &Path) -> usize {
    results(path).len()
}

/// How long a file is of what is whole in it.
fn whole_length(path: &Path) -> u64 {
    17 + results(path).iter().map(|result| 8 + 16 + result.len() as u64 + 8).sum::<u64>()
}

#[test]
fn a_file_that_was_cut_anywhere_has_what_was_whole() {
    let folder = Folder::new("resume-cut");
    let path = folder.file();
    drop(sequential(&path).map(text, 0..5).unwrap());
    let whole = fs::read(&path).unwrap();
    assert_eq!(records(&path), 5);
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let there = records(&path);
        let run = sequential(&path).map(text, 0..5).unwrap();
        assert_eq!(run.resumed(), there, "{length} bytes");
        assert!(run.results.into_iter().eq((0..5).map(text)), "{length} bytes");
        assert_eq!(sequential(&path).map(text, 0..5).unwrap().resumed(), 5, "{length} bytes");
    }
    // A disk that lost power may have bytes in their places that were never written.
    for place in 17..whole.len() {
        let mut spoilt = whole.clone();
        spoilt[place] ^= 0x10;
        fs::write(&path, &spoilt).unwrap();
        let run = sequential(&path).map(text, 0..5).unwrap();
        assert!(run.resumed() < 5, "byte {place}");
        assert!(run.results.into_iter().eq((0..5).map(text)), "byte {place}");
    }
}

#[test]
fn another_kind_of_file_is_an_error_and_stays_as_it_is() {
    let folder = Folder::new("resume-other");
    let path = folder.file();
    for other in ["name,age\n", "joblab results 2\nwhat is to come", "joblab result"] {
        fs::write(&path, other).unwrap();
        let made = sequential(&path).map(text, 0..3);
        if b"joblab results 1\n".starts_with(other.as_bytes()) {
            // What a program left that was killed as it made the file.
            assert_eq!(made.unwrap().results.len(), 3);
            continue;
        }
        let error = made.unwrap_err();
        assert!(error.is_invalid() && error.to_string().contains("is left as it is"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), other.as_bytes());
    }
    let error = sequential(&folder.0).map(text, 0..3).unwrap_err();
    assert!(error.to_string().contains(folder.0.to_str().unwrap()), "{error}");
    let error = sequential(&folder.0.join("no folder/results")).map(text, 0..3).unwrap_err();
    assert!(error.to_string().contains("No such file"), "{error}");
}

#[test]
fn a_file_is_one_calls_at_a_time() {
    let folder = Folder::new("resume-two");
    let path = folder.file();
    for &backend in BACKENDS {
        let parallel = Parallel::new(2).backend(backend).resume(&path);
        let mut one = parallel.iter((0..50).map(|n| delayed(text, n))).unwrap();
        one.next().unwrap().unwrap();
        let error = parallel.map(text, 0..3).unwrap_err();
        assert!(error.to_string().contains("another call or program"), "{error}");
        assert_eq!(one.map(Result::unwrap).count(), 49);
        assert_eq!(parallel.map(text, 0..3).unwrap().results.len(), 3);
    }
}

#[test]
fn a_file_is_one_programs_at_a_time() {
    if let Some(path) = std::env::var_os(OF) {
        match sequential(Path::new(&path)).map(text, 0..3) {
            Ok(run) => println!("\nthe other program found {} of 3", run.resumed()),
            Err(error) => println!("\nthe other program's error: {error}"),
        }
        return;
    }
    let folder = Folder::new("resume-programs");
    let path = folder.file();
    let other_program = || {
        let mut command = system::alone("resume::a_file_is_one_programs_at_a_time");
        let output = command.env(OF, &path).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    for &backend in BACKENDS {
        let parallel = Parallel::new(2).backend(backend).resume(&path);
        let mut results = parallel.iter((0..50).map(|n| delayed(text, n))).unwrap();
        results.next().unwrap().unwrap();
        let (told, path) = (other_program(), path.display());
        let error = format!(
            "\nthe other program's error: another call or program writes to the file of results {path}: "
        );
        assert!(told.contains(&error), "{backend}: {told}");
        assert_eq!(results.map(Result::unwrap).count(), 49, "the call goes on");
        // The pool still has its workers, and the call no longer has the file.
        let told = other_program();
        assert!(told.contains("\nthe other program found 3 of 3"), "{backend}: {told}");
        drop(parallel);
    }
}

#[test]
fn what_is_in_shared_memory_is_refused() {
    let folder = Folder::new("resume-shared");
    let parallel = Parallel::new(2).backend(Backend::Multiprocessing).resume(folder.file());
    let numbers = SharedSlice::from_vec(vec![1_u64; 100]).unwrap();
    let error = parallel.map(|numbers: SharedSlice<u64>| numbers.len(), [numbers]).unwrap_err();
    assert!(error.is_invalid() && error.to_string().contains("argument of task 0"), "{error}");
    let error = parallel.map(|n: u64| SharedSlice::from_vec(vec![n]).unwrap(), [7]).unwrap_err();
    assert!(error.to_string().contains("result of task 0"), "{error}");
    assert_eq!(error.take_finished::<SharedSlice<u64>>()[0].1[0], 7, "it is not lost");
    let error = Parallel::new(2).resume(folder.file()).sharedmem().map(|n| n, [1]).unwrap_err();
    assert!(error.is_invalid() && error.to_string().contains("resume has no meaning"), "{error}");
}

#[test]
fn a_full_disk_ends_the_call_and_loses_nothing() {
    let name = "resume::a_full_disk_ends_the_call_and_loses_nothing";
    system::in_a_process_of_its_own(name, || {
        // SAFETY: the signal is ignored, and no code of ours runs then.
        unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
        let set_limit = |bytes| {
            let limit = libc::rlimit { rlim_cur: bytes, rlim_max: libc::RLIM_INFINITY };
            // SAFETY: the call reads the one structure that it is given.
            assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) }, 0);
        };
        set_limit(20_000);
        let kilobyte = |n: u64| vec![n as u8; 1000];
        for &backend in BACKENDS {
            let folder = Folder::new(&format!("resume-full-{backend}"));
            let path = folder.file();
            let parallel = Parallel::new(2).backend(backend).resume(&path);
            let error = parallel.map(kilobyte, 0..100).unwrap_err();
            let message = error.to_string();
            assert!(message.contains("cannot be used: File too large"), "{message}");
            let finished = error.take_finished::<Vec<u8>>();
            assert!(finished.iter().all(|(index, result)| *result == kilobyte(*index as u64)));
            let kept = records(&path);
            // One kilobyte after the other, or those of a batch.
            assert!(
                (1..=19).contains(&kept) && finished.len() > kept,
                "{kept} of {}",
                finished.len()
            );
            assert_eq!(
                fs::metadata(&path).unwrap().len(),
                whole_length(&path),
                "what is there is whole"
            );
            set_limit(libc::RLIM_INFINITY);
            let run = parallel.map(kilobyte, 0..100).unwrap();
            assert_eq!(
                (run.resumed(), run.results),
                (kept, Vec::from_iter((0..100).map(kilobyte)))
            );
            set_limit(20_000);
        }
        // Not even room for what says what the file is.
        let folder = Folder::new("resume-full");
        set_limit(5);
        let error = sequential(&folder.file()).map(text, 0..2).unwrap_err();
        assert!(error.to_string().contains("File too large"), "{error}");
        set_limit(libc::RLIM_INFINITY);
        assert_eq!(sequential(&folder.file()).map(text, 0..2).unwrap().resumed(), 0);
    });
}

const OF: &str = "JOBLAB_TEST_RESUME";
const TASKS: u64 = 400;

fn slow((folder, n): (PathBuf, u64)) -> u64 {
    File::options()
        .append(true)
        .create(true)
        .open(folder.join("ran"))
        .unwrap()
        .write_all(format!("{n}\n").as_bytes())
        .unwrap();
    std::thread::sleep(Duration::from_micros(500));
    n * 3
}

/// What runs in the program that is killed: tells how many tasks it need not run, and then of each result.
fn work(of: &str) {
    let (backend, folder) = of.split_once(':').unwrap();
    let folder = PathBuf::from(folder);
    let parallel =
        Parallel::new(2).backend(backend.parse().unwrap()).resume(folder.join("results"));
    let tasks = (0..TASKS).map(|n| delayed(slow, (folder.clone(), n)));
    let mut results = parallel.iter_unordered(tasks).unwrap();
    println!("\nopened");
    for outcome in &mut results {
        let (index, result) = outcome.unwrap();
        assert_eq!(result, index as u64 * 3);
        println!("result {index}");
    }
    println!("over");
}

/// The tasks whose results are in a file: a number is kept as its bytes.
fn tasks_in(path: &Path) -> BTreeSet<u64> {
    let numbers = results(path).into_iter().map(|result| result.try_into().unwrap());
    numbers.map(|number| u64::from_le_bytes(number) / 3).collect()
}

/// Lines of a file of numbers, and how often each is there.
fn numbers(path: &Path) -> BTreeMap<u64, usize> {
    let mut numbers = BTreeMap::new();
    for line in fs::read_to_string(path).unwrap_or_default().lines() {
        *numbers.entry(line.parse().unwrap()).or_default() += 1;
    }
    numbers
}

#[test]
fn nothing_is_lost_or_runs_again_when_the_program_is_killed_at_any_moment() {
    if let Ok(of) = std::env::var(OF) {
        return work(&of);
    }
    let name = "resume::nothing_is_lost_or_runs_again_when_the_program_is_killed_at_any_moment";
    let mut seeds = joblab::seeds(7);
    for (&backend, kills) in BACKENDS.iter().zip([60, 70, 70]) {
        let (mut killed, mut round, mut with_some) = (0, 0, 0);
        while killed < kills {
            round += 1;
            let folder = Folder::new(&format!("resume-killed-{backend}-{round}"));
            let path = folder.file();
            loop {
                let (ran, kept) = (numbers(&folder.0.join("ran")), tasks_in(&path));
                let mut command = system::alone(name);
                command.env(OF, format!("{backend}:{}", folder.0.display()));
                let mut child =
                    command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
                let most = Duration::from_micros(seeds.next().unwrap() % 60_000);
                let (reported, is_over) = watch(&mut child, most);
                let kept_now = tasks_in(&path);
                assert!(kept_now.is_superset(&kept), "{backend}: what is kept stays");
                assert!(kept_now.is_superset(&reported), "{backend}: what was told is kept");
                let mut new = numbers(&folder.0.join("ran")).into_iter();
                let again = new.find(|(n, count)| kept.contains(n) && ran.get(n) != Some(count));
                assert_eq!(again, None, "{backend}: what was kept did not run again");
                if is_over {
                    assert_eq!(reported, (0..TASKS).collect());
                    assert_eq!(kept_now, reported);
                    break;
                }
                killed += 1;
                with_some += usize::from(kept_now.len() > kept.len());
            }
        }
        assert!(with_some > kills / 4, "{backend}: {with_some} of {killed} got something done");
    }
}

#[test]
#[ignore = "needs a Python with Dask; `cargo lab test` runs it"]
fn a_program_that_was_killed_goes_on_at_the_same_cluster() {
    if let Ok(of) = std::env::var(OF) {
        return work(&of);
    }
    let cluster = Cluster::start("resume", 2);
    let folder = Folder::new("resume-dask");
    let (path, ran) = (folder.file(), || numbers(&folder.0.join("ran")));
    let mut command =
        system::alone("resume::a_program_that_was_killed_goes_on_at_the_same_cluster");
    command.env(OF, format!("dask:{}", folder.0.display()));
    command.env("DASK_SCHEDULER_ADDRESS", cluster.address()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let told = lines.filter_map(|line| line.strip_prefix("result ")?.parse().ok()).take(20);
    let reported: BTreeSet<u64> = told.collect();
    child.kill().unwrap();
    child.wait().unwrap();

    let (kept, before) = (tasks_in(&path), ran());
    assert_eq!(reported.len(), 20);
    assert!(kept.is_superset(&reported), "what was told is kept");
    let parallel =
        Parallel::new(2).backend(Backend::Dask).scheduler(cluster.address()).resume(&path);
    let run = parallel.map(slow, (0..TASKS).map(|n| (folder.0.clone(), n))).unwrap();
    assert_eq!(run.resumed(), kept.len());
    assert!(run.results.into_iter().eq((0..TASKS).map(|n| n * 3)));
    let after = ran();
    assert!(kept.iter().all(|n| after[n] == before[n]), "what was kept did not run again");
    assert!((0..TASKS).all(|n| after.contains_key(&n)), "and all of the rest did");
}

/// Kills a program after a time, or at its end; the results that it told of, and whether it was over.
fn watch(child: &mut Child, most: Duration) -> (BTreeSet<u64>, bool) {
    let output = BufReader::new(child.stdout.take().unwrap());
    let lines =
        std::thread::spawn(move || output.lines().map_while(Result::ok).collect::<Vec<_>>());
    std::thread::sleep(most);
    child.kill().unwrap();
    child.wait().unwrap();
    let lines = lines.join().unwrap();
    let told = lines.iter().filter_map(|line| line.strip_prefix("result ")?.parse().ok());
    (told.collect(), lines.iter().any(|line| line == "over"))
}
