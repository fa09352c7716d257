//! Executing, runnable, blocked: where the time of tasks goes, on a machine where other programs work.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cpu_time::ThreadTime;
use joblab::{Backend, Parallel, Run, TaskRecord, with_gil};

use crate::BACKENDS;

/// Threads that compute as long as it lives, more than there are CPUs.
pub(crate) struct Busy {
    is_over: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Busy {
    pub(crate) fn start() -> Self {
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

/// Computes until its thread has executed for so long, however busy the machine is.
pub(crate) fn compute(milliseconds: u64) {
    let (start, end) = (ThreadTime::now(), Duration::from_millis(milliseconds));
    while start.elapsed() < end {
        (0..10_000).for_each(|turn| _ = black_box(turn));
    }
}

/// What a task has measured of itself, in nanoseconds: wall time, time of its thread on a CPU, and time in
/// which that was ready and had none.
pub(crate) type Truth = [u64; 3];

pub(crate) fn measured(work: impl FnOnce()) -> Truth {
    // The two numbers of proc(5) that are the time on a CPU, behind by up to a tick, and the wait for one.
    let ready = || {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        text.split_ascii_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    // Read while the thread did not wait for a CPU: that would be in some of the numbers, and not in others.
    let at_once = |read: &dyn Fn() -> [u64; 2]| loop {
        let (before, read, behind) = (ready(), read(), ready());
        if behind - before < 100_000 {
            break [read[0], read[1], before];
        }
    };
    let (wall, cpu) = (Instant::now(), ThreadTime::now());
    let clocks = || [wall.elapsed().as_nanos() as u64, cpu.elapsed().as_nanos() as u64];
    let before = at_once(&clocks);
    work();
    let behind = at_once(&clocks);
    std::array::from_fn(|clock| behind[clock] - before[clock])
}

/// Fails where a record is off by more than a tenth of the time that the task has measured itself, but for
/// what the worker took before and behind that, and what the system's numbers are behind by.
pub(crate) fn assert_true(task: &TaskRecord, truth: Truth) {
    let [wall, cpu, runnable] = truth.map(Duration::from_nanos);
    assert!(task.wall >= wall, "{truth:?}: {task:?}");
    // A tick of 100 Hz, the longest there is.
    let outside = task.wall - wall + Duration::from_millis(10);
    for (recorded, truth) in [
        (task.cpu, cpu),
        (task.runnable.expect("Linux tells"), runnable),
        (blocked(task), wall.saturating_sub(cpu + runnable)),
    ] {
        let is_true =
            recorded + outside > truth.mul_f64(0.9) && recorded < truth.mul_f64(1.1) + outside;
        assert!(is_true, "{truth:?} of {wall:?}, {cpu:?}, {runnable:?}: {task:?}");
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
        let computed = run(backend, |time| measured(|| compute(time)), &[150; 3]);
        for (task, &truth) in computed.tasks.iter().zip(&computed.results) {
            assert_true(task, truth);
            assert!(task.cpu >= Duration::from_millis(150), "{backend}: {task:?}");
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
        let waited: Vec<_> = run.results.iter().map(|&time| Duration::from_nanos(time)).collect();
        for (task, &waited) in run.tasks.iter().zip(&waited) {
            assert!(task.lock_wait <= waited, "{backend}: {waited:?}, {task:?}");
        }
        let waited: Duration = waited.iter().sum();
        assert!(is_near(run.timing.lock_wait, waited), "{backend}: {waited:?}, {:?}", run.timing);
        // Each but the first waits as long as another one sleeps.
        let some = Duration::from_millis(200);
        assert!(backend != Backend::Threading || run.timing.lock_wait > some, "{:?}", run.timing);
        let slept = Duration::from_millis(6 * 60);
        let all = run.timing.blocked.unwrap();
        assert!(all > slept.mul_f64(0.9), "{backend}: {:?}", run.timing);
        assert!(all < (slept + waited).mul_f64(1.1), "{backend}: {waited:?}, {:?}", run.timing);
    }
}

#[test]
fn who_reads_a_slow_pipe_is_blocked() {
    /// Computes, and then reads what another program takes its time to write.
    fn read(milliseconds: u64) -> Truth {
        measured(|| {
            compute(50);
            let script = format!("sleep 0.{milliseconds}; echo done");
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(output.stdout, b"done\n");
        })
    }
    for &backend in BACKENDS {
        let _busy = Busy::start();
        let run = run(backend, read, &[400; 2]);
        for (task, &truth) in run.tasks.iter().zip(&run.results) {
            // In a worker process, what the program computes is the task's.
            if backend != Backend::Multiprocessing {
                assert_true(task, truth);
            }
            let [wall, cpu, runnable] = truth.map(Duration::from_nanos);
            let most = (wall - cpu - runnable).mul_f64(1.1) + (task.wall - wall);
            assert!(blocked(task) < most, "{backend}: {most:?}, {task:?}");
            assert!(blocked(task) > Duration::from_millis(360), "{backend}: {task:?}");
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
