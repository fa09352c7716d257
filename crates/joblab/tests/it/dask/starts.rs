//! Before there are workers for tasks: whose Python and which cluster it is, what is too old, and how long
//! it may take.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use joblab::{Backend, Error, Parallel};

use super::cluster::{ADDRESS, Cluster, own_python, python, said, wait_for};
use super::leftovers::{forgetful, is_as_it_was};
use super::{dask_worker, square, workers};
use crate::system::{eventually, is_alone, is_running, kill, processes};

/// A piece of Python for whose process Dask is so old.
const OLD: &str = "from distributed import versions\nversions._version_cached.cache_clear()\n\
                   versions.version = lambda package: '2022.1.0'\n";
/// The variable with a call's limit, in seconds.
const LIMIT: &str = "JOBLAB_TEST_LIMIT";
const TOO_OLD: &str = "has distributed 2022.1.0, and Backend::Dask needs 2024.1 or later";

/// Why a call fails that nothing could be given to, where the scheduler's log would say nothing.
#[track_caller]
pub(super) fn refused(parallel: &Parallel) -> Error {
    let error = parallel.map(square, [1]).unwrap_err();
    assert!(!error.to_string().contains("log"), "{error}");
    error
}

/// Says why a call fails in this program's other self, which has its Dask from the environment, and how
/// long that took.
fn say_why() {
    let mut parallel = Parallel::new(2).backend(Backend::Dask);
    if let Ok(limit) = std::env::var(LIMIT) {
        parallel = parallel.call_timeout(Duration::from_secs(limit.parse().unwrap()));
    }
    let begun = Instant::now();
    let error = refused(&parallel);
    let is_timeout = error.is_timeout();
    println!("\nseconds: {}\ntimeout: {is_timeout}\n{error}", begun.elapsed().as_secs());
}

/// How long it took what it says.
#[track_caller]
fn seconds(said: &str) -> u64 {
    let seconds = said.lines().find_map(|line| line.strip_prefix("seconds: "));
    seconds.unwrap_or_else(|| panic!("{said}")).parse().unwrap()
}

#[test]
#[ignore = "needs a Python with Dask; `cargo lab test` runs it"]
fn no_python_with_dask_is_an_error_that_says_how_to_get_it() {
    let test = "dask::starts::no_python_with_dask_is_an_error_that_says_how_to_get_it";
    if is_alone() {
        return say_why();
    }
    let said = said(test, |command| {
        command.env_remove("JOBLAB_PYTHON").env("VIRTUAL_ENV", "/nowhere").env("PATH", "/nowhere");
    });
    assert!(said.contains("pip install distributed"), "{said}");
}

#[test]
#[ignore = "needs a Python with Dask; `cargo lab test` runs it"]
fn a_python_that_was_chosen_is_not_passed_over() {
    let test = "dask::starts::a_python_that_was_chosen_is_not_passed_over";
    if is_alone() {
        return say_why();
    }
    let said = said(test, |command| {
        command.env("JOBLAB_PYTHON", "/nowhere/python");
    });
    assert!(said.contains("JOBLAB_PYTHON is /nowhere/python: No such file"), "{said}");
}

#[test]
#[ignore = "needs a Python with Dask; `cargo lab test` runs it"]
fn a_python_or_a_dask_of_ones_own_that_is_too_old_is_named() {
    let test = "dask::starts::a_python_or_a_dask_of_ones_own_that_is_too_old_is_named";
    if is_alone() {
        return say_why();
    }
    let folder = Cluster::new("old-own");
    let site = |code: &str| {
        fs::write(folder.folder.join("sitecustomize.py"), code).unwrap();
        said(test, |command| {
            command.env("PYTHONPATH", &folder.folder);
        })
    };
    let said = site("import distributed\ndistributed.__version__ = '2022.1.0'\n");
    assert!(said.contains(TOO_OLD), "{said}");
    let said = site("import sys\nsys.version_info = (3, 9, 0)\n");
    assert!(said.contains("Backend::Dask needs Python 3.10 or later, and this is "), "{said}");
}

#[test]
#[ignore = "needs a Python with Dask; `cargo lab test` runs it"]
fn what_is_too_old_is_named_before_anything_is_put_there() {
    let cluster = Cluster::odd("old", |_| OLD.to_owned());
    let error = refused(&cluster.parallel(-1)).to_string();
    assert!(error.contains("Dask worker tcp") && error.contains(TOO_OLD), "{error}");
    let log = fs::read_to_string(cluster.folder.join("odd").join("log")).unwrap();
    assert!(!log.contains("Starting Worker plugin joblab"), "{log}");
    is_as_it_was(python, &cluster);

    let mut cluster = Cluster::new("old-scheduler");
    let preload = cluster.preload(OLD);
    cluster.add_scheduler(python(), "127.0.0.1", &["--preload", &preload]);
    cluster.add_worker("w0", 1);
    cluster.wait_for_log("w0");
    let error = refused(&cluster.parallel(-1)).to_string();
    assert!(error.contains(&format!("the scheduler {TOO_OLD}")), "{error}");
    let log = fs::read_to_string(cluster.folder.join("w0").join("log")).unwrap();
    assert!(!log.contains("Starting Worker plugin joblab"), "{log}");
    is_as_it_was(python, &cluster);
}

#[test]
#[ignore = "needs a Python with Dask; `cargo lab test` runs it"]
fn a_worker_that_comes_later_and_is_too_old_is_given_no_tasks() {
    let mut cluster = Cluster::new("old-later");
    cluster.add_scheduler(forgetful(python()), "127.0.0.1", &[]);
    cluster.add_worker("w0", 1);
    cluster.wait_for(1);
    let parallel = cluster.parallel(-1);
    assert_eq!(parallel.map(square, [3]).unwrap().results, [9]);
    cluster.add_odd_worker(OLD);
    wait_for(&parallel, 2);
    let run = parallel.map(dask_worker, [50; 12]).unwrap();
    assert!(workers(&run.tasks).iter().eq(["w0"].iter()), "{:?}", run.tasks);
    // When it is alone, that is an error. (A worker ends with its nanny.)
    cluster.processes[1].kill().unwrap();
    eventually("the healthy one ends", || !is_running(run.results[0]));
    let error = refused(&parallel).to_string();
    assert!(error.contains("Dask worker odd (") && error.contains(TOO_OLD), "{error}");
    drop(parallel);
    is_as_it_was(python, &cluster);
}

#[test]
#[ignore = "needs a Python with Dask; `cargo lab test` runs it"]
fn which_cluster_it_is_is_decided_once() {
    const TEST: &str = "dask::starts::which_cluster_it_is_is_decided_once";
    if is_alone() {
        let is_none = std::env::var_os("DASK_SCHEDULER_ADDRESS").unwrap().is_empty();
        let (n_jobs, threads) = if is_none { (2, 2) } else { (-1, 8) };
        let parallel = Parallel::new(n_jobs).backend(Backend::Dask);
        wait_for(&parallel, threads);
        let run = parallel.map(dask_worker, [300; 32]).unwrap();
        let workers = workers(&run.tasks);
        println!("\n{} workers, {threads} at a time: {workers:?}", workers.len());
        return;
    }
    let error = refused(&Parallel::new(-1).backend(Backend::Dask).scheduler("")).to_string();
    assert!(error.contains("scheduler(\"\") names no cluster"), "{error}");

    let cluster = Cluster::of_threads("decided", 2, 4);
    let at = |address: &str| {
        said(TEST, |command| {
            command.env("DASK_SCHEDULER_ADDRESS", address);
        })
    };
    let there = at(&cluster.address());
    assert!(there.contains("2 workers, 8 at a time: {\"w0\", \"w1\"}"), "{there}");
    // An empty one is none: the cluster is one of as many workers as were asked for, started here.
    let here = at("");
    assert!(here.contains("2 workers, 2 at a time: {\"tcp://127.0.0.1"), "{here}");

    let file = cluster.folder.join("address.json").display().to_string();
    let parallel = Parallel::new(-1).backend(Backend::Dask).scheduler(file);
    assert_eq!(parallel.map(square, [3]).unwrap().results, [9]);
}

#[test]
#[ignore = "needs a Python with Dask; `cargo lab test` runs it"]
fn a_python_that_prints_as_it_starts_is_heard_out() {
    const TEST: &str = "dask::starts::a_python_that_prints_as_it_starts_is_heard_out";
    if is_alone() {
        let address = std::env::var(ADDRESS).unwrap();
        let parallel = Parallel::new(-1).backend(Backend::Dask).scheduler(address);
        println!("\nresult {:?}", parallel.map(square, [5]).unwrap().results);
        return;
    }
    let cluster = Cluster::start("prints", 1);
    let folder = cluster.folder.join("site");
    fs::create_dir_all(&folder).unwrap();
    let site = "import os\nos.write(1, b'hello from the site\\n' * 10000)\n";
    fs::write(folder.join("sitecustomize.py"), site).unwrap();
    for (name, value) in [("PYTHONVERBOSE", "1"), ("PYTHONPATH", folder.to_str().unwrap())] {
        let said = said(TEST, |command| {
            command.env(ADDRESS, cluster.address()).env(name, value);
        });
        assert!(said.contains("result [25]"), "{name}: {said}");
    }
}

/// The variable by which the processes of a test are known.
const MARK: &str = "JOBLAB_TEST_MARK";

/// The processes that have this mark.
fn with_mark(mark: &str) -> Vec<u32> {
    let variable = format!("{MARK}={mark}");
    let has = |pid: &u32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry == variable.as_bytes())
    };
    processes().into_iter().filter(has).collect()
}

#[test]
#[ignore = "needs a Python with Dask; `cargo lab test` runs it"]
fn a_calls_limit_holds_while_dask_starts_and_nothing_of_that_is_left() {
    const TEST: &str =
        "dask::starts::a_calls_limit_holds_while_dask_starts_and_nothing_of_that_is_left";
    if is_alone() {
        return say_why();
    }
    let cluster = Cluster::new("slow");
    let folder = &cluster.folder;
    let slow = folder.join("python");
    let mark = std::process::id().to_string();
    let fails = |limit: u64, script: &str, scheduler: &str| {
        fs::write(&slow, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&slow, fs::Permissions::from_mode(0o700)).unwrap();
        let said = said(TEST, |command| {
            command.env("JOBLAB_PYTHON", &slow).env(LIMIT, limit.to_string()).env(MARK, &mark);
            command.env("DASK_SCHEDULER_ADDRESS", scheduler);
        });
        assert!(said.contains("timeout: true") && seconds(&said) < 20, "{said}");
        assert!(said.contains(&format!("call_timeout = {limit}s")), "{said}");
        assert!(said.contains("Dask was still starting ("), "{said}");
        eventually("what was started ends", || with_mark(&mark).is_empty());
        said
    };
    let said = fails(1, "echo warming up >&2; exec sleep 60", "");
    assert!(said.contains("/python: warming up)"), "{said}");
    // The workers of a cluster that is started here come too late.
    let site = "import sys, time\nif 'spawn_main' in str(sys.orig_argv): time.sleep(12)\n";
    fs::write(folder.join("sitecustomize.py"), site).unwrap();
    let python = format!("PYTHONPATH={} exec {} \"$@\"", folder.display(), own_python());
    fails(6, &python, "");
    // The system takes connections to a scheduler that never says a word: Dask itself would wait on.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    fails(4, &python, &format!("tcp://{}", silent.local_addr().unwrap()));
}

#[test]
#[ignore = "needs a Python with Dask; `cargo lab test` runs it"]
fn a_calls_limit_counts_once_for_the_start_and_the_tasks() {
    const TEST: &str = "dask::starts::a_calls_limit_counts_once_for_the_start_and_the_tasks";
    const START: u64 = 8;
    const LIMIT: u64 = 2 * START;
    if is_alone() {
        let parallel = Parallel::new(2).backend(Backend::Dask);
        let parallel = parallel.call_timeout(Duration::from_secs(LIMIT));
        let begun = Instant::now();
        let error = parallel.map(dask_worker, [10_000 * LIMIT; 2]).unwrap_err();
        return println!("\nseconds: {}\n{error}", begun.elapsed().as_secs());
    }
    let cluster = Cluster::new("slowly");
    let slow = cluster.folder.join("python");
    let script = format!("#!/bin/sh\nsleep {START}; exec {} \"$@\"\n", own_python());
    fs::write(&slow, script).unwrap();
    fs::set_permissions(&slow, fs::Permissions::from_mode(0o700)).unwrap();
    let said = said(TEST, |command| {
        command.env("JOBLAB_PYTHON", &slow);
    });
    assert!(said.contains(&format!("call_timeout = {LIMIT}s")), "{said}");
    // Tasks alone would have had until then.
    assert!((LIMIT..START + LIMIT).contains(&seconds(&said)), "{said}");
}

#[test]
#[ignore = "needs a Python with Dask; `cargo lab test` runs it"]
fn a_worker_that_is_stopped_does_not_stop_the_call() {
    let mut cluster = Cluster::new("stopped");
    cluster.add_scheduler(python(), "127.0.0.1", &[]);
    for name in ["w0", "w1"] {
        let arguments = ["--nthreads", "1", "--no-nanny"];
        cluster.add_worker_at(name, python(), "127.0.0.1", &arguments);
        cluster.wait_for_log(name);
    }
    let stopped = cluster.processes[2].id();
    kill("-STOP", stopped);
    // Less than the bridge waits for what each worker answers.
    let begun = Instant::now();
    let parallel = cluster.parallel(-1).call_timeout(Duration::from_secs(3));
    let error = refused(&parallel);
    assert!(error.is_timeout() && begun.elapsed() < Duration::from_secs(20), "{error}");
    assert!(error.to_string().contains("Dask was still starting ("), "{error}");
    drop(parallel);
    // Time enough, but not for the tasks that the stopped worker has.
    let parallel = cluster.parallel(-1).call_timeout(Duration::from_secs(20));
    let error = parallel.map(dask_worker, [100; 100]).unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert!(!error.take_finished::<u32>().is_empty(), "the other one works");
    kill("-CONT", stopped);
    assert!(begun.elapsed() < Duration::from_secs(120));
    eventually("both work", || {
        let run = cluster.parallel(-1).map(dask_worker, [50; 8]).unwrap();
        workers(&run.tasks).len() == 2
    });
}

#[test]
#[ignore = "needs a Python with Dask; `cargo lab test` runs it"]
fn how_long_a_connection_may_take_is_dasks_configuration() {
    const TEST: &str = "dask::starts::how_long_a_connection_may_take_is_dasks_configuration";
    if is_alone() {
        return say_why();
    }
    // Nobody listens there.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    drop(listener);
    let with = |limit: &str| {
        let said = said(TEST, |command| {
            command.env("DASK_SCHEDULER_ADDRESS", &address);
            command.env("DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT", limit);
        });
        assert!(said.contains("the Dask cluster cannot be used: "), "{said}");
        assert!(said.contains(&address), "{said}");
        seconds(&said)
    };
    let [short, long] = std::thread::scope(|scope| {
        ["3s", "25s"].map(|limit| scope.spawn(move || with(limit))).map(|it| it.join().unwrap())
    });
    assert!(short < 20 && long >= 25, "{short} and {long} s");
}
