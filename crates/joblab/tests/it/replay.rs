//! Runs that are computed from measured ones, and runs as other programs read them.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use joblab::{Backend, Parallel, Run, TaskRecord, Timing, with_gil};

/// A run on one worker of tasks that computed and were blocked for so many milliseconds.
pub(crate) fn measured(tasks: &[[u64; 2]]) -> Run<()> {
    let ms = Duration::from_millis;
    let record = |(index, &[cpu, blocked]): (usize, &[u64; 2])| {
        let mut task = TaskRecord::new(index, "worker-0");
        (task.cpu, task.runnable, task.wall) = (ms(cpu), Some(ms(7)), ms(cpu + blocked + 7));
        task
    };
    let records: Vec<_> = tasks.iter().enumerate().map(record).collect();
    Run::new(vec![(); tasks.len()], Timing::default(), records, 1)
}

#[test]
fn tasks_go_to_the_worker_that_is_free_first_or_the_longest_does() {
    let run = measured(&[[10, 0], [0, 20], [10, 10], [40, 0]]);
    let wall = |computed: Run<()>| computed.timing.wall.as_millis();
    assert_eq!(wall(run.replay(1).unwrap()), 90);
    // 10 + 20 + ... on one, 20 + 40 on the other: the last one comes last.
    assert_eq!(wall(run.replay(2).unwrap()), 60);
    assert_eq!(wall(run.replay_longest_first(2).unwrap()), 50);
    assert_eq!(wall(run.replay(64).unwrap()), 40);
    let computed = run.replay(3).unwrap();
    assert!(computed.tasks.iter().map(|task| task.index).eq(0..4));
    assert_eq!((computed.n_workers, computed.computed_from), (3, Some(1)));
    assert_eq!(computed.timing.worker_cpu, Duration::from_millis(60));
    assert_eq!(computed.timing.blocked, Some(Duration::from_millis(30)));
    assert!(computed.to_string().contains("computed from"), "{computed}");
    assert_eq!(wall(measured(&[]).replay(2).unwrap()), 0);
}

#[test]
fn what_cannot_be_told_is_an_error_that_says_so() {
    let run = measured(&[[10, 0]]);
    assert!(run.replay(0).unwrap_err().to_string().contains("0 workers"));
    let mut unknown = TaskRecord::new(0, "worker-0");
    unknown.wall = Duration::from_millis(1);
    let unknown = Run::new(vec![()], Timing::default(), vec![unknown], 1);
    assert!(unknown.replay(2).unwrap_err().to_string().contains("Linux"));
    let held = |_: u64| with_gil(|| thread::sleep(Duration::from_millis(20)));
    let held = Parallel::new(2).batch_size(1).map(held, 0..6).unwrap();
    let error = held.replay(4).unwrap_err().to_string();
    assert!(error.contains("for the lock"), "{error}");
}

#[test]
#[cfg(unix)]
fn one_two_and_three_workers_take_what_was_computed_for_them() {
    // Sleepers need no CPU each, whatever else the machine does.
    let task = |milliseconds: u64| thread::sleep(Duration::from_millis(milliseconds));
    let inputs = [120, 90, 150, 60, 180, 100, 80, 140];
    for backend in [Backend::Threading, Backend::Multiprocessing] {
        let run = |n_workers| {
            let parallel = Parallel::new(n_workers).backend(backend).batch_size(1);
            // Until all workers are up: each task is long enough to need one of its own.
            let are_up = |_| {
                let warm = parallel.map(task, [20; 9]).unwrap();
                let workers = warm.tasks.iter().map(|task| (task.pid, &task.thread));
                workers.collect::<BTreeSet<_>>().len() == n_workers as usize
            };
            assert!((0..100).any(are_up), "{backend}, {n_workers}");
            parallel.map(task, inputs).unwrap()
        };
        let two = run(2);
        for n_workers in [1, 2, 3] {
            let computed = two.replay(n_workers).unwrap().timing.wall.as_secs_f64();
            let measured = run(n_workers as i32).timing;
            // On a busy machine a sleeper that wakes has to wait for a CPU, and so has who hands out.
            let delays = 0.05 + 2.0 * measured.runnable.unwrap().as_secs_f64();
            let wall = measured.wall.as_secs_f64();
            assert!(
                wall > 0.9 * computed && wall < 1.1 * computed + delays,
                "{backend}, {n_workers}: {computed} {measured:?}"
            );
        }
    }
}

#[test]
fn a_run_is_a_trace_and_rows_for_other_programs() {
    let run = Parallel::new(2).batch_size(1).map(joblab::wait_loop_nogil, [100; 6]).unwrap();
    let trace = serde_json::to_value(run.trace()).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let of = |kind: &str| events.iter().filter(|event| event["ph"] == kind).collect::<Vec<_>>();
    let names: Vec<_> =
        of("M").iter().map(|event| event["args"]["name"].as_str().unwrap()).collect();
    assert!(names.iter().all(|name| name.starts_with("worker-")), "{names:?}");
    for (event, task) in of("X").iter().zip(&run.tasks) {
        assert_eq!(event["name"], format!("task {}", task.index));
        assert_eq!(event["dur"], task.wall.as_secs_f64() * 1e6);
        assert_eq!(event["args"]["cpu"], task.cpu.as_secs_f64());
        let lane = event["tid"].as_u64().unwrap() as usize;
        assert_eq!(names[lane], &*task.thread);
    }
    assert_eq!(of("X").len(), 6);
    let rows = serde_json::to_value(&*run.tasks).unwrap();
    assert_eq!(rows[5]["thread"], &*run.tasks[5].thread);
    assert_eq!(rows[5]["wall"], run.tasks[5].wall.as_secs_f64());
}
