//! What goes wrong: in tasks, with workers, with the scheduler, before the start.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::parent_id;
use std::process::Command;
use std::time::{Duration, Instant};

use joblab::{Backend, Parallel};

use super::cluster::{ADDRESS, Cluster, ask, python, said};
use super::starts::refused;
use super::{dask_worker, square, workers};
use crate::system::{eventually, is_alone, kill};

#[test]
#[ignore = "needs a Python with Dask; `cargo lab test` runs it"]
fn a_task_that_fails_late_or_crashes_leaves_the_dask_worker_alone() {
    fn crashes(n: u64) -> u32 {
        if n == 3 {
            std::process::abort();
        }
        parent_id()
    }
    fn sleeps_at_three(n: u64) -> u64 {
        std::thread::sleep(Duration::from_secs(if n == 3 { 60 } else { 0 }));
        n
    }

    let cluster = Cluster::start("crash", 2);
    let parallel = cluster.parallel(-1);
    let before: BTreeSet<u32> =
        parallel.map(dask_worker, [50; 8]).unwrap().results.into_iter().collect();
    let error = parallel.map(crashes, 0..6).unwrap_err();
    assert!(error.is_worker_death() && error.task_index() == Some(3), "{error}");
    assert!(
        error.to_string().contains("SIGABRT") && error.to_string().contains("Dask worker w"),
        "{error}"
    );
    let error = parallel.map(|n: u64| assert_ne!(n, 3, "no threes"), 0..6).unwrap_err();
    assert!(error.is_panic() && error.to_string().contains("no threes"), "{error}");

    let started = Instant::now();
    let limited = cluster.parallel(-1).task_timeout(Duration::from_millis(300));
    let error = limited.map(sleeps_at_three, 0..6).unwrap_err();
    assert!(error.is_timeout() && error.task_index() == Some(3), "{error}");
    let limited = cluster.parallel(-1);
    assert_eq!(limited.map(square, [3]).unwrap().results, [9]);
    let limited = limited.call_timeout(Duration::from_secs(2));
    let error = limited.map(sleeps_at_three, 0..6).unwrap_err();
    assert!(error.is_timeout(), "{error}");
    // The workers are free again at once, since the sleeping tasks were stopped.
    assert_eq!(limited.map(square, 0..3).unwrap().results, [0, 1, 4]);
    assert!(started.elapsed() < Duration::from_secs(30));

    let after = parallel.map(dask_worker, [50; 8]).unwrap().results;
    assert!(after.iter().all(|worker| before.contains(worker)));
}

#[test]
#[ignore = "needs a Python with Dask; `cargo lab test` runs it"]
fn a_task_that_crashes_is_one_of_dasks_that_failed_and_has_dasks_retries() {
    const FAILED: &str = "
def failed(dask_scheduler):
    log = dask_scheduler.transition_log
    return [str(key) for key, _, finish, *_ in log if finish == 'erred' and 'joblab' in str(key)]
print(len(client.run_on_scheduler(failed)))
";
    fn crashes_once(file: String) {
        if std::fs::File::create_new(file).is_ok() {
            std::process::abort();
        }
    }
    const TEST: &str =
        "dask::faults::a_task_that_crashes_is_one_of_dasks_that_failed_and_has_dasks_retries";
    const FILE: &str = "JOBLAB_TEST_FILE";
    if is_alone() {
        let [address, file] = [ADDRESS, FILE].map(|name| std::env::var(name).unwrap());
        let parallel = Parallel::new(-1).backend(Backend::Dask).scheduler(address);
        let died = parallel.map(crashes_once, [file]).map_err(|error| error.is_worker_death());
        return println!("\n{:?}", died.map(|run| run.results));
    }
    let cluster = Cluster::start("erred", 1);
    let crash = |retries: &str| {
        said(TEST, |command| {
            command.env(ADDRESS, cluster.address()).env("DASK_JOBLAB__RETRIES", retries);
            command.env(FILE, cluster.folder.join(format!("crashed-{retries}")));
        })
    };
    let failed = || ask(python(), &cluster.address(), FAILED);
    assert_eq!(failed(), "0\n");
    let died = crash("0");
    assert!(died.contains("\nErr(true)\n"), "{died}");
    assert_eq!(failed(), "1\n");
    let retried = crash("1");
    assert!(retried.contains("\nOk([()])\n"), "{retried}");
}

#[test]
#[ignore = "needs a Python with Dask; `cargo lab test` runs it"]
fn workers_that_are_killed_restarted_or_new_get_what_they_need() {
    let mut cluster = Cluster::start("killed", 1);
    let parallel = cluster.parallel(-1);
    let victim = parallel.map(dask_worker, [0]).unwrap().results[0];
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(500));
            kill("-KILL", victim);
        });
        // Dask's own retry: its setting `allowed-failures` is 3.
        let run = parallel.map(dask_worker, [200; 10]).unwrap();
        let survivors = run.results.iter().filter(|worker| **worker != victim);
        assert!(survivors.count() >= 6, "{:?}", run.results);
    });
    cluster.add_worker("late", 1);
    eventually("the new worker works", || {
        let run = parallel.map(dask_worker, [50; 8]).unwrap();
        workers(&run.tasks).contains("late") && run.n_workers == 2
    });
    // A program that kills each Dask worker it meets is not tried for ever.
    let kills = |_: u64| kill("-KILL", parent_id());
    let error = parallel.map(kills, [0]).unwrap_err();
    assert!(error.is_worker_death() && error.task_index() == Some(0), "{error}");
}

#[test]
#[ignore = "needs a Python with Dask; `cargo lab test` runs it"]
fn a_scheduler_that_goes_away_is_an_error() {
    let mut cluster = Cluster::start("gone", 1);
    let parallel = cluster.parallel(-1);
    assert_eq!(parallel.map(square, [1]).unwrap().results, [1]);
    let started = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(500));
            cluster.processes[0].kill().unwrap();
        });
        let error = parallel.map(dask_worker, [100; 100]).unwrap_err();
        assert!(error.to_string().contains("scheduler"), "{error}");
        assert!(!error.take_finished::<u32>().is_empty());
    });
    assert!(parallel.map(square, [1]).is_err(), "it stays an error");
    // Dask tries for as long as its configuration says: 30 s without one.
    let error = refused(&cluster.parallel(-1));
    assert!(error.to_string().contains("cannot be used"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(120));
}

#[test]
#[ignore = "needs a Python with Dask; `cargo lab test` runs it"]
fn a_worker_of_another_architecture_is_named() {
    let cluster = Cluster::odd("machine", |_| {
        "import platform; platform.machine = lambda: 'sparc64'".to_owned()
    });
    let error = refused(&cluster.parallel(-1)).to_string();
    let built = format!("the program is built for {}", std::env::consts::ARCH);
    assert!(error.contains("Dask worker odd (sparc64"), "{error}");
    assert!(error.contains(&built), "{error}");
}

#[test]
#[ignore = "needs a Python with Dask; `cargo lab test` runs it"]
fn a_worker_with_an_older_c_library_is_named() {
    // For the loader a library is as old as the versions that it lists (ld.so(8)). What this worker
    // starts finds a C library that has none but the first of x86-64.
    let cluster = Cluster::odd("libc", |folder| {
        let versions = folder.join("versions");
        fs::write(&versions, "GLIBC_2.2.5 { global: nothing; };").unwrap();
        let library = folder.join("libc.so.6");
        let made = Command::new("cc")
            .args(["-shared", "-nostdlib", "-x", "c", "/dev/null", "-Wl,-soname,libc.so.6"])
            .arg(format!("-Wl,--version-script={}", versions.display()))
            .arg("-o")
            .arg(library)
            .status();
        assert!(made.unwrap().success());
        format!("import os; os.environ['LD_LIBRARY_PATH'] = '{}'", folder.display())
    });
    let error = refused(&cluster.parallel(-1)).to_string();
    assert!(error.contains("Dask worker odd ("), "{error}");
    assert!(error.contains("version `GLIBC_") && error.contains("not found"), "{error}");
}
