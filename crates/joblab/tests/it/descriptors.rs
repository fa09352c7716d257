//! Files of shared memory on their way between processes: many of them, none to be had, and none left.
#![allow(unsafe_code)] // limits and namespaces of processes

use std::os::fd::AsRawFd;
use std::time::Duration;

use joblab::{Backend, Parallel, SharedSlice};

use crate::system;

fn pool(n_jobs: i32) -> Parallel {
    Parallel::new(n_jobs).backend(Backend::Multiprocessing)
}

fn slice(number: u64) -> SharedSlice<u64> {
    SharedSlice::from_vec(vec![number; 4]).unwrap()
}

fn slices(numbers: u64) -> Vec<SharedSlice<u64>> {
    (0..numbers).map(slice).collect()
}

/// How many descriptors this process may have; the number before.
fn limit_files(limit: u64) -> u64 {
    let mut both = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls read or write the one structure that they are given.
    let (before, done) = unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut both);
        let before = both.rlim_cur;
        both.rlim_cur = limit.min(both.rlim_max);
        (before, libc::setrlimit(libc::RLIMIT_NOFILE, &raw const both))
    };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
    before
}

/// The first number of each.
fn firsts(slices: Vec<SharedSlice<u64>>) -> Vec<u64> {
    slices.iter().map(|slice| slice[0]).collect()
}

#[test]
fn a_thousand_slices_travel_in_one_argument_and_in_one_result() {
    let name = "descriptors::a_thousand_slices_travel_in_one_argument_and_in_one_result";
    system::in_a_process_of_its_own(name, || {
        limit_files(1 << 14);
        let parallel = pool(2);
        assert_eq!(parallel.map(|n: u64| n, 0..8).unwrap().results.len(), 8);
        // What the pool keeps for large arguments is there.
        let large = parallel.map(|bytes: Vec<u8>| bytes.len(), [vec![7; 1 << 20]]).unwrap();
        assert_eq!(large.results, [1 << 20]);
        let before = system::open_files();
        let expected: Vec<u64> = (0..1000).collect();
        for _ in 0..3 {
            let arguments = [slices(1000), slices(1000)];
            let run = parallel.map(firsts, arguments).unwrap();
            assert_eq!(run.results, [expected.clone(), expected.clone()]);
            let run = parallel.map(slices, [1000, 1000]).unwrap();
            for result in run.results {
                assert_eq!(firsts(result), expected);
            }
            // In parts, each of which speaks of some.
            let large = slices(1000).into_iter().map(|slice| (vec![7_u8; 1000], slice));
            let sum = |large: Vec<(Vec<u8>, SharedSlice<u64>)>| {
                let sum =
                    |(bytes, slice): &(Vec<u8>, SharedSlice<u64>)| bytes.len() as u64 + slice[3];
                large.iter().map(sum).sum::<u64>()
            };
            let run = parallel.map(sum, [large.collect()]).unwrap();
            assert_eq!(run.results, [1_000_000 + 999 * 500]);
        }
        assert_eq!(system::open_files(), before, "nothing is left");
        let in_worker = parallel.map(|_: u64| system::open_files(), 0..8).unwrap().results;
        assert!(in_worker.iter().all(|files| *files < 100), "{in_worker:?}");
    });
}

#[test]
fn one_slice_many_times_is_one_file() {
    let name = "descriptors::one_slice_many_times_is_one_file";
    system::in_a_process_of_its_own(name, || {
        let parallel = pool(1);
        let count = |slices: Vec<SharedSlice<u64>>| {
            let same = slices.iter().filter(|slice| slice.as_ptr() == slices[0].as_ptr());
            (same.count(), system::open_files())
        };
        let few = parallel.map(count, [vec![slice(1)]]).unwrap().results[0];
        let many = parallel.map(count, [vec![slice(1); 5000]]).unwrap().results[0];
        assert_eq!((few.0, many.0), (1, 5000));
        assert!(many.1 < few.1 + 10, "{} and {} files in the worker", few.1, many.1);
    });
}

#[test]
fn sixty_four_workers_get_and_give_their_own() {
    let name = "descriptors::sixty_four_workers_get_and_give_their_own";
    system::in_a_process_of_its_own(name, || {
        let parallel = pool(64);
        let next = |(number, slice): (u64, SharedSlice<u64>)| {
            std::thread::sleep(Duration::from_millis(20));
            assert_eq!(slice[1], number);
            SharedSlice::from_vec(vec![number + 1; 3]).unwrap()
        };
        let run = parallel.map(next, (0..200).map(|number| (number, slice(number)))).unwrap();
        for (number, slice) in (0..).zip(run.results) {
            assert_eq!(*slice, [number + 1; 3]);
        }
    });
}

#[test]
fn full_sockets_lose_and_mix_up_nothing() {
    let name = "descriptors::full_sockets_lose_and_mix_up_nothing";
    system::in_a_process_of_its_own(name, || {
        let parallel = pool(2).batch_size(1).pre_dispatch(200);
        // Just below what is sent in parts, and more than a socket holds together with the next ones.
        let check = |(number, bytes, slice): (u64, Vec<u8>, SharedSlice<u64>)| {
            assert_eq!((slice[0], bytes.len()), (number, 60_000));
            if number % 20 == 0 {
                std::thread::sleep(Duration::from_millis(10));
            }
            (bytes, slice)
        };
        let inputs = (0..300).map(|number| (number, vec![number as u8; 60_000], slice(number)));
        let run = parallel.map(check, inputs).unwrap();
        for (number, (bytes, slice)) in (0..).zip(run.results) {
            assert_eq!((bytes[59_999], slice[0]), (number as u8, number));
        }
    });
}

#[test]
fn where_no_descriptor_is_free_there_is_an_error_and_later_an_answer() {
    let name = "descriptors::where_no_descriptor_is_free_there_is_an_error_and_later_an_answer";
    system::in_a_process_of_its_own(name, || {
        let parallel = pool(1);
        // In the worker:
        let before = parallel.map(limit_files, [3]).unwrap().results[0];
        let error = parallel.map(firsts, [slices(300)]).unwrap_err().to_string();
        assert!(error.contains("no shared memory") && error.contains("Too many open"), "{error}");
        let _ = parallel.map(limit_files, [before]).unwrap();
        assert_eq!(parallel.map(firsts, [slices(300)]).unwrap().results[0][299], 299);
        // Here, where the function is known already:
        assert_eq!(parallel.map(slices, [1]).unwrap().results.len(), 1);
        let files = system::open_files();
        // The lowest number that is free.
        let free = std::fs::File::open("/dev/null").unwrap().as_raw_fd();
        let before = limit_files(free as u64);
        let result = parallel.map(slices, [300]);
        limit_files(before);
        let error = result.unwrap_err().to_string();
        assert!(error.contains("no shared memory") && error.contains("Too many open"), "{error}");
        assert_eq!(parallel.map(slices, [300]).unwrap().results[0].len(), 300);
        assert_eq!(system::open_files(), files, "nothing is left");
    });
}

#[test]
fn a_worker_that_is_killed_in_between_leaves_no_file() {
    let name = "descriptors::a_worker_that_is_killed_in_between_leaves_no_file";
    system::in_a_process_of_its_own(name, || {
        let dies = |(number, slices): (u64, Vec<SharedSlice<u64>>)| {
            if number == 3 {
                std::process::abort();
            }
            slices
        };
        let files = system::open_files();
        for _ in 0..5 {
            let parallel = pool(2).batch_size(1);
            let inputs = (0..8).map(|number| (number, slices(20)));
            let error = parallel.map(dies, inputs).unwrap_err();
            assert!(error.is_worker_death(), "{error}");
            let after = parallel.map(dies, [(0, slices(20))]).unwrap();
            assert_eq!(after.results[0].len(), 20);
        }
        assert_eq!(system::open_files(), files);
    });
}

#[test]
fn memory_is_the_same_where_proc_is_that_of_another_pid_namespace() {
    let name = "descriptors::memory_is_the_same_where_proc_is_that_of_another_pid_namespace";
    if system::is_alone() {
        // The numbers of processes here are those of others in `/proc`.
        let parallel = pool(2);
        let next = |slice: SharedSlice<u64>| {
            SharedSlice::from_vec(vec![slice[0] + 1, std::process::id().into()]).unwrap()
        };
        let run = parallel.map(next, slices(20)).unwrap();
        for (number, slice) in (0..).zip(run.results) {
            assert_eq!(slice[0], number + 1);
            assert!(slice[1] < 100, "process {} of a new namespace", slice[1]);
        }
        return;
    }
    let alone = system::alone(name);
    let unshare = |program: &std::ffi::OsStr| {
        let mut command = std::process::Command::new("unshare");
        command.args(["--pid", "--fork", "--"]).arg(program);
        command
    };
    if !unshare("true".as_ref()).status().is_ok_and(|status| status.success()) {
        println!("SKIPPED: no namespaces can be made here");
        return;
    }
    let mut command = unshare(alone.get_program());
    command.args(alone.get_args()).stdin(std::process::Stdio::null());
    for (name, value) in alone.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    let output = command.output().unwrap();
    let [stdout, stderr] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success() && stdout.contains("1 passed"), "{stdout}\n{stderr}");
}
