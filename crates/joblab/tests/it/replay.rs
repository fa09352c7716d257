//! Runs that are computed from measured ones, and runs as other programs read them.

#[cfg(target_os = "linux")]
use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::Duration;

use joblab::{Backend, Parallel, Run, TaskRecord, Timing, with_gil};
use serde_json::json;

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

/// Runs a list on 1, 2, 3... workers, on each backend, and compares each run with what is computed for it
/// from one on two workers.
#[cfg(target_os = "linux")]
fn assert_computed_is_measured(task: fn(u64), longest_first: bool, most_workers: usize) {
    const INPUTS: [u64; 8] = [120, 90, 150, 60, 100, 80, 140, 180];
    for backend in [Backend::Threading, Backend::Multiprocessing] {
        let run = |n_workers| {
            let parallel = Parallel::new(n_workers as i32).backend(backend).batch_size(1);
            // Until all workers are up: each task is long enough to need one of its own.
            let are_up = |_| {
                let warm = parallel.map(sleep, [20; 9]).unwrap();
                let workers = warm.tasks.iter().map(|task| (task.pid, &task.thread));
                workers.collect::<BTreeSet<_>>().len() == n_workers
            };
            assert!((0..100).any(are_up), "{backend}, {n_workers}");
            if longest_first {
                parallel.map_longest_first(task, INPUTS, |&length| length as f64).unwrap()
            } else {
                parallel.map(task, INPUTS).unwrap()
            }
        };
        let two = run(2);
        for n_workers in 1..=most_workers {
            let computed = if longest_first {
                two.replay_longest_first(n_workers).unwrap()
            } else {
                two.replay(n_workers).unwrap()
            };
            let computed = computed.timing.wall.as_secs_f64();
            let measured = run(n_workers);
            let wall = measured.timing.wall.as_secs_f64();
            let delays = delays(&measured).as_secs_f64();
            assert!(
                wall > 0.9 * computed && wall < 1.1 * computed + delays,
                "{backend}, {n_workers}: {computed}, {delays}, {measured:?}"
            );
        }
    }
}

/// What a busy machine adds to a run: tasks wait for a CPU, and workers for who hands out and takes in.
#[cfg(target_os = "linux")]
fn delays<R>(run: &Run<R>) -> Duration {
    let mut tasks: Vec<_> = run.tasks.iter().collect();
    tasks.sort_by_key(|task| task.start);
    let mut free = BTreeMap::new();
    let mut delays = run.timing.runnable.unwrap();
    for task in tasks {
        let end = free.entry((task.pid, &task.thread)).or_default();
        delays += task.start.saturating_sub(*end);
        *end = task.start + task.wall;
    }
    delays + run.timing.wall.saturating_sub(free.into_values().max().unwrap())
}

#[cfg(target_os = "linux")]
fn sleep(milliseconds: u64) {
    thread::sleep(Duration::from_millis(milliseconds));
}

#[test]
#[cfg(target_os = "linux")]
fn one_two_and_three_workers_take_what_was_computed_for_them() {
    // Sleepers need no CPU each, whatever else the machine does.
    assert_computed_is_measured(sleep, false, 3);
}

#[test]
#[cfg(target_os = "linux")]
fn the_longest_first_take_what_was_computed_for_them() {
    assert_computed_is_measured(sleep, true, 3);
}

#[test]
#[cfg(target_os = "linux")]
fn a_long_task_does_not_wait_behind_a_longer_one() {
    for backend in [Backend::Threading, Backend::Multiprocessing] {
        let parallel = Parallel::new(2).backend(backend);
        // What the workers did last was short: they would get more than one at a time.
        let _ = parallel.map(sleep, [1; 40]).unwrap();
        let inputs = [100, 400, 800, 400];
        let run = parallel.map_longest_first(sleep, inputs, |&length| length as f64).unwrap();
        let ends = run.tasks.iter().map(|task| task.start + task.wall).collect::<Vec<_>>();
        assert!(
            run.tasks[3].start >= ends[1] && run.tasks[3].start < ends[2],
            "{backend}: {run:?}"
        );
    }
}

#[test]
#[cfg(target_os = "linux")]
fn tasks_that_compute_and_sleep_take_what_was_computed_for_them() {
    fn mixed(milliseconds: u64) {
        crate::states::compute(milliseconds / 2);
        sleep(milliseconds / 2);
    }
    assert_computed_is_measured(mixed, false, joblab::cpu_count().min(3));
}

/// A run in which an earlier call had left the results of all but the first task and the last one.
fn resumed() -> Run<()> {
    let run = measured(&[[10, 0], [0, 0], [0, 0], [0, 30]]);
    let mut tasks = run.tasks.to_vec();
    for task in &mut tasks[1..3] {
        (task.resumed, task.thread) = (true, "main".into());
        (task.wall, task.runnable) = (Duration::ZERO, Some(Duration::ZERO));
    }
    Run::new(run.results, Timing::default(), tasks, 1)
}

#[test]
fn tasks_that_did_not_run_are_not_replayed_traced_or_drawn() {
    let computed = resumed().replay(1).unwrap();
    assert!(computed.tasks.iter().map(|task| task.index).eq([0, 3]), "{computed:?}");
    assert_eq!(computed.timing.wall, Duration::from_millis(40));
    let trace = serde_json::to_value(resumed().trace()).unwrap();
    let events = trace["traceEvents"].as_array().unwrap().iter();
    let names: Vec<_> = events.map(|event| event["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["thread_name", "task 0", "task 3"]);
    #[cfg(feature = "figures")]
    {
        let figure = joblab::timeline(&resumed()).unwrap();
        let described = figure.description();
        assert!(described.contains(" worker-0: 2 tasks ") && !described.contains("main"));
    }
}

#[test]
fn a_run_is_a_trace_for_other_programs() {
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
}

/// A run of one task of which all is known and nothing twice. Its numbers are exact in any format.
fn known() -> Run<()> {
    let ms = Duration::from_millis;
    let mut task = TaskRecord::new(7, "worker-0");
    (task.start, task.wall, task.cpu) = (ms(2_000), ms(1_000), ms(250));
    (task.runnable, task.lock_wait, task.carried) = (Some(ms(125)), ms(500), 1_234);
    Run::new(vec![()], Timing::default(), vec![task], 1)
}

#[test]
fn a_trace_and_its_rows_have_all_that_is_known_of_a_task() {
    let pid = std::process::id();
    let row = json!({
        "index": 7, "pid": pid, "thread": "worker-0", "start": 2.0, "wall": 1.0, "cpu": 0.25,
        "runnable": 0.125, "blocked": 0.625, "lock_wait": 0.5, "carried": 1_234, "resumed": false,
    });
    let event = json!({
        "name": "task 7", "cat": "task", "ph": "X", "pid": pid, "tid": 0, "ts": 2e6, "dur": 1e6,
        "args": row,
    });
    let trace = serde_json::to_value(known().trace()).unwrap();
    assert_eq!(trace["traceEvents"][1], event);
    assert_eq!(serde_json::to_value(&*known().tasks).unwrap(), json!([row]));
    let rows = serde_json::to_value(&*resumed().tasks).unwrap();
    assert_eq!([0, 1].map(|row: usize| rows[row]["resumed"].as_bool().unwrap()), [false, true]);
}

#[test]
fn rows_are_csv_for_a_data_frame() {
    let mut unknown = TaskRecord::new(8, "a \"name\", with a comma");
    unknown.pid = 1;
    let mut known = known().tasks[0].clone();
    known.pid = 1;
    let mut table = csv::Writer::from_writer(Vec::new());
    for task in [known, unknown] {
        table.serialize(task).unwrap();
    }
    let text = String::from_utf8(table.into_inner().unwrap()).unwrap();
    let expected = "\
        index,pid,thread,start,wall,cpu,runnable,blocked,lock_wait,carried,resumed\n\
        7,1,worker-0,2.0,1.0,0.25,0.125,0.625,0.5,1234,false\n\
        8,1,\"a \"\"name\"\", with a comma\",0.0,0.0,0.0,,,0.0,0,false\n";
    assert_eq!(text, expected);
}

#[test]
#[cfg(unix)]
fn a_trace_says_how_much_was_carried_for_each_task() {
    let parallel = Parallel::new(1).backend(Backend::Multiprocessing);
    let sizes = [10_000, 300_000];
    let run =
        parallel.map(|bytes: String| bytes.len(), sizes.map(|size| "x".repeat(size))).unwrap();
    let trace = serde_json::to_value(run.trace()).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    for (event, size) in events.iter().filter(|event| event["ph"] == "X").zip(sizes) {
        let carried = event["args"]["carried"].as_u64().unwrap() as usize;
        assert!((size..size + 100).contains(&carried), "{event}");
    }
    assert_eq!(events.len(), 3);
}
