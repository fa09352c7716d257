//! Executing, runnable, blocked: where the time of tasks goes, on a machine where other programs work.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use joblab::{Backend, Parallel, Run, TaskRecord, with_gil};

use crate::BACKENDS;

/// Threads that compute as long as it lives, more than there are CPUs.
struct Busy {
    is_over: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Busy {
    fn start() -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let spin = |_| {
            let is_over = Arc::clone(&is_over);
            thread::spawn(move || while !is_over.load(Ordering::Relaxed) {})
        };
        let threads = (0..2 * joblab::cpu_count()).map(spin).collect();
        Busy { is_over, threads }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|thread| thread.join().unwrap());
    }
}

fn sleep(milliseconds: u64) {
    thread::sleep(Duration::from_millis(milliseconds));
}

fn compute(turns: u64) {
    for turn in 0..turns {
        black_box(turn);
    }
}

fn run<R: joblab::Data>(backend: Backend, task: fn(u64) -> R, inputs: &[u64]) -> Run<R> {
    Parallel::new(2).backend(backend).batch_size(1).map(task, inputs.to_vec()).unwrap()
}

fn blocked(task: &TaskRecord) -> Duration {
    task.blocked().expect("Linux tells")
}

fn is_near(measured: Duration, truth: Duration) -> bool {
    let some = Duration::from_millis(5);
    measured + some > truth.mul_f64(0.9) && measured < truth.mul_f64(1.1) + some
}

#[test]
fn a_sleeper_is_blocked_and_a_busy_task_is_not_beside_other_programs() {
    for &backend in BACKENDS {
        let _busy = Busy::start();
        let slept = run(backend, sleep, &[300, 400]);
        for (task, truth) in slept.tasks.iter().zip([300, 400].map(Duration::from_millis)) {
            assert!(is_near(blocked(task), truth), "{backend}: {task:?}");
            assert!(task.cpu < truth / 10, "{backend}: {task:?}");
        }
        let computed = run(backend, compute, &[300_000_000; 3]);
        for task in &computed.tasks {
            assert!(blocked(task) < task.wall / 10, "{backend}: {task:?}");
        }
        let sum =
            |part: fn(&TaskRecord) -> Duration| computed.tasks.iter().map(part).sum::<Duration>();
        let runnable = sum(|task| task.runnable.unwrap());
        // One of them may have a CPU to itself for as long as it takes.
        assert!(runnable > sum(|task| task.wall) / 10, "no CPU was free: {:?}", computed.tasks);
        assert_eq!(computed.timing.blocked, Some(sum(blocked)));
        assert_eq!(computed.timing.runnable, Some(runnable));
    }
}

#[test]
fn what_a_worker_waits_for_between_tasks_is_not_theirs() {
    for &backend in BACKENDS {
        let _busy = Busy::start();
        // A thread is often made to wait for a CPU just before or behind a task.
        for task in &run(backend, sleep, &[20; 40]).tasks {
            assert!(blocked(task) > Duration::from_millis(18), "{backend}: {task:?}");
        }
    }
}

#[test]
fn who_waits_for_the_lock_is_known_to_wait_for_it() {
    /// Tells how many nanoseconds the task had to wait.
    fn hold(milliseconds: u64) -> u64 {
        let asked = Instant::now();
        with_gil(|| {
            let waited = asked.elapsed();
            sleep(milliseconds);
            waited.as_nanos() as u64
        })
    }
    for &backend in BACKENDS {
        let _busy = Busy::start();
        let run = run(backend, hold, &[60; 6]);
        let waited: Duration = run.results.iter().map(|&waited| Duration::from_nanos(waited)).sum();
        assert!(is_near(run.timing.lock_wait, waited), "{backend}: {waited:?}, {:?}", run.timing);
        // Each but the first waits as long as another one sleeps.
        let some = Duration::from_millis(200);
        assert!(backend != Backend::Threading || run.timing.lock_wait > some, "{:?}", run.timing);
        let all = run.timing.blocked.unwrap();
        assert!(all > Duration::from_millis(6 * 54), "{backend}: {:?}", run.timing);
    }
}

#[test]
fn who_reads_a_slow_pipe_is_blocked() {
    /// Reads what another program takes its time to write.
    fn read(milliseconds: u64) {
        let script = format!("sleep 0.{milliseconds}; echo done");
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        assert_eq!(output.stdout, b"done\n");
    }
    for &backend in BACKENDS {
        for task in &run(backend, read, &[400; 2]).tasks {
            assert!(blocked(task) > Duration::from_millis(360), "{backend}: {task:?}");
            assert!(blocked(task) + task.cpu <= task.wall, "{backend}: {task:?}");
        }
    }
}

#[test]
fn a_long_task_behind_a_thousand_short_ones_has_its_own_states() {
    for &backend in BACKENDS {
        let _busy = Busy::start();
        let inputs: Vec<u64> = (0..1_000).map(|_| 0).chain([300]).collect();
        let run = Parallel::new(1).backend(backend).map(sleep_if_asked, inputs).unwrap();
        let last = &run.tasks[1_000];
        assert!(is_near(blocked(last), Duration::from_millis(300)), "{backend}: {last:?}");
        let others: Duration = run.tasks[..1_000].iter().map(blocked).sum();
        assert!(others < Duration::from_millis(100), "{backend}: {others:?}");
    }
}

fn sleep_if_asked(milliseconds: u64) {
    if milliseconds > 0 {
        sleep(milliseconds);
    }
}
