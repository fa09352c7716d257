//! What a cluster that others run has of ours afterwards: nothing.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use joblab::{Backend, Parallel, SharedSlice, delayed};

use super::cluster::{ADDRESS, Cluster, ask, skipped};
use super::pythons;
use super::{cluster, square};
use crate::system::{alone, children_of, is_alone, kill};

/// What the scheduler and the workers have of ours, as Python's list: plugins, modules, classes, threads,
/// keys, data sets, files, and processes.
const LEFT: &str = "
def ours(names):
    # The scheduler also keeps what it was asked, this for one.
    word = 'job' + str('lab')
    return [name for name in map(str, names) if word in name]
def classes():
    # Of a worker. The scheduler's own frames, each as long as its worker is there, may hold the last
    # plugin that was told of that one.
    import gc
    gc.collect()
    kept = [it for it in gc.get_objects() if isinstance(it, type)]
    return [it for it in kept if str(it.__module__) == 'job' + str('lab')]
def on_scheduler(dask_scheduler):
    import sys
    it = dask_scheduler
    # A topic has the name of its client, and events speak of plugins and keys. What the scheduler itself
    # notes of workers that went and of tasks that it moved is its own.
    topics = it.get_events().items()
    own = [name for name, _ in topics if name in ('all', 'stealing') or '://' in name]
    events = [event for name, topic in topics if name not in own for event in topic]
    left = ours([*it.plugins, *it.worker_plugins, *sys.modules, *events])
    return [*left, *it.tasks, *it.extensions['publish'].datasets]
def on_worker(dask_worker):
    import os, sys, threading
    it = dask_worker
    def read(file):
        try:
            return os.readlink(file) if '/fd/' in file else open(file).read()
        except OSError:
            return ''
    files = [name for _, folders, names in os.walk(it.local_directory) for name in folders + names]
    opened = [read(f'/proc/self/fd/{number}') for number in os.listdir('/proc/self/fd')]
    opened = [file for file in opened if 'memfd' in file or it.local_directory in file]
    threads = os.listdir('/proc/self/task')
    children = [read(f'/proc/self/task/{thread}/children') for thread in threads]
    environments = [read(f'/proc/{child}/environ') for child in ' '.join(children).split()]
    left = ours([*it.plugins, *sys.modules, *files, *map(os.path.basename, opened)])
    left += [place for place in environments if 'JOBLAB_PROCESS_NAME' in place] + classes()
    left += [it.name for it in threading.enumerate() if it.name.endswith(('(watch)', '(drain)'))]
    return [*left, *it.data, *it.state.tasks]
left = [client.run_on_scheduler(on_scheduler), *client.run(on_worker).values()]
# Dask's own client for tasks that nobody waits for, and this one.
clients = client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.clients))
left.append([name for name in clients if name not in ('fire-and-forget', client.id)])
print([some for some in left if some])
";

/// Waits until the cluster is as it was, as far as its own Python can tell.
#[track_caller]
pub(super) fn is_as_it_was(python: impl Fn() -> Command, cluster: &Cluster) {
    let mut left = String::new();
    // Each look takes about a second.
    let is_so = (0..30).any(|_| {
        left = ask(python(), &cluster.address(), LEFT);
        left.trim() == "[]"
    });
    assert!(is_so, "{left}");
}

/// A scheduler of this keeps the events of clients that are gone for a second, and not for an hour.
pub(super) fn forgetful(mut python: Command) -> Command {
    python.env("DASK_DISTRIBUTED__SCHEDULER__EVENTS_CLEANUP_DELAY", "1s");
    python
}

fn sum(data: SharedSlice<u64>) -> u64 {
    data.iter().sum()
}

#[test]
#[ignore = "needs a Python with Dask; `cargo lab test` runs it"]
fn a_cluster_of_another_python_works_and_nothing_of_ours_is_left_there() {
    let Some(other) = pythons::another() else {
        // CI's machine may have one version of Python only, and no way to packages for another.
        return skipped("there is no second version of Python that can have Dask", false);
    };
    let other = || Command::new(&other);
    let mut cluster = Cluster::new("pythons");
    cluster.add_scheduler(forgetful(other()), "127.0.0.1", &[]);
    for name in ["w0", "w1"] {
        cluster.add_worker_at(name, other(), "127.0.0.1", &["--nthreads", "1"]);
    }
    cluster.wait_for(2);
    let parallel = cluster.parallel(-1);
    let data = SharedSlice::from_vec(vec![2_u64; 1000]).unwrap();
    assert_eq!(parallel.map(sum, vec![data; 8]).unwrap().results, [2000; 8]);
    drop(parallel);
    is_as_it_was(other, &cluster);
    for worker in ["w0", "w1"] {
        let log = fs::read_to_string(cluster.folder.join(worker).join("log")).unwrap();
        assert!(!log.contains("Restarting") && !log.contains("Traceback"), "{log}");
    }
}

#[test]
#[ignore = "needs a Python with Dask; `cargo lab test` runs it"]
fn nothing_is_left_of_programs_that_ended_in_whatever_way() {
    const TEST: &str = "dask::leftovers::nothing_is_left_of_programs_that_ended_in_whatever_way";
    fn naps(data: SharedSlice<u64>) -> u64 {
        std::thread::sleep(Duration::from_secs(20));
        data[0]
    }
    if is_alone() {
        // It will be killed, while tasks run and others wait, with all that a pool can have there.
        let address = std::env::var(ADDRESS).unwrap();
        let data = SharedSlice::from_vec(vec![2_u64; 1000]).unwrap();
        let parallel = Parallel::new(-1).backend(Backend::Dask).scheduler(address);
        let stateful = parallel.with_state(|n: &u64| *n, 5_u64);
        assert_eq!(stateful.map(|n: u64, state: &mut u64| n + *state, [1]).unwrap().results, [6]);
        println!("\nready");
        let _ = stateful.map(|data, _: &mut u64| naps(data), vec![data; 10]);
        return;
    }
    let mut cluster = Cluster::new("leftovers");
    cluster.add_scheduler(forgetful(cluster::python()), "127.0.0.1", &[]);
    for name in ["w0", "w1"] {
        cluster.add_worker(name, 2);
    }
    let parallel = cluster.parallel(-1);
    cluster::wait_for(&parallel, 4);
    let data = SharedSlice::from_vec(vec![2_u64; 1000]).unwrap();
    assert_eq!(parallel.map(sum, vec![data.clone(); 8]).unwrap().results, [2000; 8]);
    // Results that nobody fetched, tasks that were stopped, a task that took its process along.
    assert!(parallel.map(|n: u64| assert_ne!(n, 3), 0..50).unwrap_err().is_panic());
    let aborts = |n: u64| if n == 3 { std::process::abort() } else { n };
    assert!(parallel.map(aborts, 0..5).unwrap_err().is_worker_death());
    let limited = cluster.parallel(-1);
    assert_eq!(limited.map(square, [3]).unwrap().results, [9]);
    let limited = limited.call_timeout(Duration::from_secs(2));
    assert!(limited.map(naps, vec![data.clone(); 9]).unwrap_err().is_timeout());
    let mut results = parallel.iter((0..1000).map(|n| delayed(square, n))).unwrap();
    assert_eq!(results.next().unwrap().unwrap(), 0);
    drop((results, limited));
    for killed in ["program", "bridge"] {
        let mut program =
            alone(TEST).env(ADDRESS, cluster.address()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap() == "ready"));
        std::thread::sleep(Duration::from_millis(500));
        match killed {
            "program" => program.kill().unwrap(),
            _ => children_of(program.id()).into_iter().for_each(|pid| kill("-KILL", pid)),
        }
        program.wait().unwrap();
    }
    drop(parallel);
    is_as_it_was(cluster::python, &cluster);
}
