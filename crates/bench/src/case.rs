//! What is measured: each case is one line of the table.

use serde::Serialize;

use crate::who;

/// What a participant is asked to do, once. Python reads it as JSON.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "work", rename_all = "kebab-case")]
pub(crate) enum Work {
    /// The loop of the tutorial, once, in one thread.
    Loop { n: u64 },
    /// Tasks that compute, all of the same length.
    Tutorial { workers: Workers, n_jobs: usize, tasks: usize, n: u64 },
    /// A call of two empty tasks on a warm pool.
    Call { workers: Workers, n_jobs: usize },
    /// Many empty tasks on a warm pool; not batched, each travels alone.
    Empty { workers: Workers, n_jobs: usize, tasks: usize, batched: bool },
    /// A pool made, its first results, the pool closed.
    Start { workers: Workers, n_jobs: usize },
    /// One task whose argument is that many bytes of numbers.
    Argument { n_jobs: usize, bytes: usize, shared: bool },
    /// One task that makes that many bytes of numbers, which are its result.
    Result { n_jobs: usize, bytes: usize },
    /// 99 short tasks, and behind the first so many of them a long one.
    /// Who can be told what an input costs is told if `costs`.
    Skewed { workers: Workers, n_jobs: usize, short: u64, long: u64, place: usize, costs: bool },
    /// A task that ends its worker process, until its caller has the error.
    Death { n_jobs: usize },
    /// What the processes of a warm pool take while they wait.
    Memory { n_jobs: usize },
    /// A new kernel, until it answers.
    KernelReady,
    /// The set-up cell of a new kernel.
    SetUpCell,
    /// A new kernel, until its first run is shown.
    FirstRun,
    /// A cell with a new function, for four empty tasks on a warm pool.
    NewFunction { workers: Workers },
    /// A cell that ends in a run, so that it is shown.
    ShownRun,
    /// The case is over: pools may end.
    Close,
}

impl Work {
    /// What is asked for in this round: some are done in time only where the long task's place suits them, so
    /// that it stands at another one each time, all over the list.
    pub(crate) fn in_round(&self, round: usize) -> Self {
        let mut work = self.clone();
        if let Work::Skewed { place, .. } = &mut work {
            *place = (*place + 37 * round) % 100;
        }
        work
    }
}

/// Who runs the tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Workers {
    Threads,
    /// Threads that hold Python's lock, or the one that plays it.
    LockHeld,
    Processes,
}

/// What the number of a case is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Unit {
    Seconds,
    Bytes,
}

/// How much joblab should take at most.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Floor {
    /// So many times what the case is measured against.
    Times(f64),
    /// So much in the unit of the case.
    Absolute(f64),
}

/// One line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) work: Work,
    pub(crate) unit: Unit,
    /// What joblab is measured against: the machine, or a peer.
    pub(crate) reference: &'static str,
    pub(crate) floor: Option<Floor>,
    /// Who takes part beside joblab. The CPU time of joblab's own tasks comes with its answer.
    pub(crate) others: Vec<&'static str>,
}

const THREADS: &[&str] = &[who::RAYON, who::JOBLIB_THREADING, who::THREAD_EXECUTOR];
const PROCESSES: &[&str] = &[
    who::PROCSPAWN,
    who::JOBLIB_MULTIPROCESSING,
    who::JOBLIB_LOKY,
    who::POOL,
    who::PROCESS_EXECUTOR,
    who::MPIRE,
    who::DASK,
];
/// In the others a worker's death is no error: the call waits for ever.
const NOTICE_DEATH: &[&str] =
    &[who::PROCSPAWN, who::JOBLIB_LOKY, who::PROCESS_EXECUTOR, who::MPIRE, who::DASK];

/// All cases, for a machine of that many CPUs.
pub(crate) fn all(cpus: usize) -> Vec<Case> {
    use Workers::{LockHeld, Processes, Threads};
    // The tutorial has three workers; one that has no CPU of its own would not show a pool's costs.
    let three = cpus.min(3);
    let tutorial = |workers, n_jobs| Work::Tutorial { workers, n_jobs, tasks: 12, n: 1250 };
    let short = |workers, n_jobs| Work::Tutorial { workers, n_jobs, tasks: 24, n: 500 };
    let empty = |workers, tasks, batched| Work::Empty { workers, n_jobs: 2, tasks, batched };
    let skewed = |workers, costs| Work::Skewed {
        workers,
        n_jobs: 2,
        short: 200,
        long: 800,
        place: 60,
        costs,
    };
    let mut cases = vec![
        case("loop", "the loop, once, n = 1250", Work::Loop { n: 1250 }, who::C, &[])
            .at_most(Floor::Times(1.02)),
        case(
            "tutorial-threads",
            &format!("12 tasks, n = 1250, {three} threads, lock released"),
            tutorial(Threads, three),
            who::IDEAL,
            THREADS,
        )
        .at_most(Floor::Times(1.03)),
        case(
            "tutorial-lock",
            &format!("12 tasks, n = 1250, {three} threads, lock held"),
            tutorial(LockHeld, three),
            who::JOBLIB_THREADING,
            &[],
        ),
        case(
            "tutorial-processes",
            &format!("12 tasks, n = 1250, {three} processes"),
            tutorial(Processes, three),
            who::IDEAL,
            PROCESSES,
        )
        .at_most(Floor::Times(1.03)),
        case(
            "call-threads",
            "a call of 2 empty tasks, warm, threads",
            Work::Call { workers: Threads, n_jobs: 2 },
            who::RAYON,
            THREADS,
        )
        .at_most(Floor::Times(1.5)),
        case(
            "call-processes",
            "a call of 2 empty tasks, warm, processes",
            Work::Call { workers: Processes, n_jobs: 2 },
            who::PING_PONG,
            PROCESSES,
        )
        .at_most(Floor::Times(3.0)),
        case(
            "empty-threads",
            "an empty task of 1,000,000, threads, batches of its own choice",
            empty(Threads, 1_000_000, true),
            who::RAYON,
            THREADS,
        )
        .at_most(Floor::Absolute(50e-9)),
        case(
            "empty-threads-single",
            "an empty task of 100,000, threads, one by one",
            empty(Threads, 100_000, false),
            who::RAYON,
            THREADS,
        ),
        case(
            "empty-processes",
            "an empty task of 100,000, processes, batches of its own choice",
            empty(Processes, 100_000, true),
            who::POOL,
            PROCESSES,
        )
        .at_most(Floor::Absolute(0.2e-6)),
        case(
            "empty-processes-single",
            "an empty task of 20,000, processes, one by one",
            empty(Processes, 20_000, false),
            who::PING_PONG,
            PROCESSES,
        )
        .at_most(Floor::Absolute(15e-6)),
        case(
            "start-threads",
            "a pool of 2 threads: made, 2 results, closed",
            Work::Start { workers: Threads, n_jobs: 2 },
            who::RAYON,
            THREADS,
        ),
        case(
            "start-processes",
            "a pool of 2 processes: made, 2 results, closed",
            Work::Start { workers: Processes, n_jobs: 2 },
            who::PROCESS_START,
            PROCESSES,
        )
        .at_most(Floor::Absolute(20e-3)),
    ];
    let sizes = [("1kB", 1_000), ("1MB", 1_000_000), ("100MB", 100_000_000)];
    for (name, bytes) in sizes {
        let title = format!("an argument of {name} of numbers, copied, processes");
        let work = Work::Argument { n_jobs: 2, bytes, shared: false };
        cases.push(case(&format!("copied-{name}"), &title, work, who::COPY, PROCESSES));
    }
    for (name, bytes) in sizes {
        let title = format!("a result of {name} of numbers, made in the task, processes");
        let work = Work::Result { n_jobs: 2, bytes };
        cases.push(case(&format!("result-{name}"), &title, work, who::COPY, PROCESSES));
    }
    for (name, bytes) in
        [("1kB", 1_000), ("1MB", 1_000_000), ("100MB", 100_000_000), ("1GB", 1_000_000_000)]
    {
        let title = format!("an argument of {name} of numbers, shared, processes");
        let work = Work::Argument { n_jobs: 2, bytes, shared: true };
        // Dask's workers would each hold a copy of the largest.
        let all = &[who::JOBLIB_LOKY, who::POOL, who::MPIRE, who::DASK];
        let peers = if bytes < 1_000_000_000 { &all[..] } else { &all[..3] };
        cases.push(
            case(&format!("shared-{name}"), &title, work, who::PING_PONG, peers)
                .at_most(Floor::Absolute(1e-3)),
        );
    }
    for (name, workers, peers) in
        [("threads", Threads, THREADS), ("processes", Processes, PROCESSES)]
    {
        let title = format!("99 short tasks and a long one, 2 {name}");
        let work = skewed(workers, false);
        cases.push(case(&format!("skewed-{name}"), &title, work, who::IDEAL, peers));
        let title = format!("99 short tasks and a long one, 2 {name}, told the costs");
        cases.push(
            case(&format!("costs-{name}"), &title, skewed(workers, true), who::IDEAL, peers)
                .at_most(Floor::Times(1.05)),
        );
    }
    for n_jobs in numbers_of_workers(cpus) {
        for (name, workers, peer) in [
            ("threads", Threads, who::JOBLIB_THREADING),
            ("processes", Processes, who::JOBLIB_LOKY),
        ] {
            let title = format!("24 tasks, n = 500, {n_jobs} {name}");
            let work = short(workers, n_jobs);
            cases.push(case(
                &format!("speedup-{name}-{n_jobs}"),
                &title,
                work,
                who::IDEAL,
                &[peer],
            ));
        }
    }
    cases.extend([
        case(
            "death",
            "a worker's death, until the error is there",
            Work::Death { n_jobs: 2 },
            who::PROCESS_START,
            NOTICE_DEATH,
        ),
        Case {
            unit: Unit::Bytes,
            ..case(
                "memory",
                "memory of the processes of an idle pool of 2",
                Work::Memory { n_jobs: 2 },
                who::POOL,
                PROCESSES,
            )
        },
    ]);
    cases.extend(notebook());
    cases
}

/// What people wait for in a notebook: beside evcxr with rayon and a library that draws, and beside the
/// tutorial's own program.
fn notebook() -> Vec<Case> {
    let cell =
        |name: &str, title: &str, work| case(name, title, work, who::EVCXR, &[who::IPYKERNEL]);
    let new = |workers| Work::NewFunction { workers };
    vec![
        cell("kernel-ready", "a kernel's start, until it answers", Work::KernelReady)
            .at_most(Floor::Times(1.1)),
        cell("set-up-cell", "the set-up cell, second kernel and later", Work::SetUpCell)
            .at_most(Floor::Absolute(2.0)),
        cell("first-run", "a kernel's start, until its first run is shown", Work::FirstRun)
            .at_most(Floor::Times(0.55)),
        cell("cell-threads", "a cell with a new function, threads", new(Workers::Threads))
            .at_most(Floor::Times(1.0)),
        // rayon's is the one on threads: it has no processes.
        cell("cell-processes", "a cell with a new function, processes", new(Workers::Processes))
            .at_most(Floor::Times(1.0)),
        case("cell-shown", "a cell that ends in a run, shown", Work::ShownRun, who::EVCXR, &[]),
    ]
}

/// From 1 to twice the number of CPUs: all of the first four, then by doubling.
pub(crate) fn numbers_of_workers(cpus: usize) -> Vec<usize> {
    let doubled = (3..).map(|power| 1 << power).take_while(|&n| n <= 2 * cpus);
    let mut numbers: Vec<_> = (1..=4).chain(doubled).chain([cpus, 2 * cpus]).collect();
    numbers.retain(|&n| n <= 2 * cpus);
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

fn case(
    name: &str,
    title: &str,
    work: Work,
    reference: &'static str,
    peers: &[&'static str],
) -> Case {
    let mut others = peers.to_vec();
    // The ideal comes with joblab's own answer.
    if !others.contains(&reference) && reference != who::IDEAL {
        others.insert(0, reference);
    }
    let (name, title) = (name.to_owned(), title.to_owned());
    Case { name, title, work, unit: Unit::Seconds, reference, floor: None, others }
}

impl Case {
    fn at_most(self, floor: Floor) -> Self {
        Case { floor: Some(floor), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_go_up_to_twice_the_cpus() {
        assert_eq!(numbers_of_workers(1), [1, 2]);
        assert_eq!(numbers_of_workers(2), [1, 2, 3, 4]);
        assert_eq!(numbers_of_workers(6), [1, 2, 3, 4, 6, 8, 12]);
    }

    #[test]
    fn each_case_has_its_own_name_and_measures_what_it_is_compared_with() {
        let cases = all(2);
        for (nth, case) in cases.iter().enumerate() {
            assert!(cases[..nth].iter().all(|other| other.name != case.name), "{}", case.name);
            let has = case.reference == who::IDEAL || case.others.contains(&case.reference);
            assert!(has, "{}", case.name);
        }
    }
}
