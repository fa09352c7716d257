//! Clocks, as ratios within one run.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use joblab::{Backend, Parallel, Timing, time, wait_loop_nogil, wait_loop_withgil, with_gil};

use crate::BACKENDS;

pub(crate) const N: u64 = 900;

/// A timing of so many milliseconds.
pub(crate) fn timing(wall: u64, cpu: u64, worker_cpu: u64) -> Timing {
    let [wall, cpu, worker_cpu] = [wall, cpu, worker_cpu].map(Duration::from_millis);
    Timing::new(wall, cpu, worker_cpu)
}

#[test]
fn a_sleep_costs_wall_time_and_no_cpu_time() {
    let run = Parallel::new(1)
        .backend(Backend::Sequential)
        .map(|_: u64| std::thread::sleep(Duration::from_millis(200)), 0..1)
        .unwrap();
    let task = &run.tasks[0];
    assert!(task.wall >= Duration::from_millis(200));
    assert!(task.cpu < task.wall / 10, "{task:?}");
}

#[test]
fn the_loop_costs_both() {
    let ((), timing) = time(|| assert_eq!(wait_loop_nogil(N), N as f64));
    // Other tests' threads are in this process's CPU time: it can only be more.
    assert!(timing.cpu >= cost_of_the_loop() / 3, "{timing}");
    let run = Parallel::new(2).map(wait_loop_nogil, [N; 4]).unwrap();
    for task in &run.tasks {
        assert!(task.cpu >= cost_of_the_loop() / 3, "{task:?}");
        assert!(task.wall >= task.cpu.mul_f64(0.99), "{task:?}");
        assert!(task.start + task.wall <= run.timing.wall, "{task:?}");
    }
    let sum: Duration = run.tasks.iter().map(|task| task.cpu).sum();
    assert_eq!(run.timing.worker_cpu, sum);
    assert!(run.timing.worker_cpu <= run.timing.cpu, "threads are part of this process");
}

/// The CPU time of the loop by the thread's own clock: how busy the machine is hardly changes it.
pub(crate) fn cost_of_the_loop() -> Duration {
    let sequential = Parallel::new(1).backend(Backend::Sequential);
    sequential.map(wait_loop_nogil, [N]).unwrap().tasks[0].cpu
}

#[test]
fn calls_inside_of_a_task_count_for_it_once() {
    const N: u64 = super::timing::N / 3;
    /// Makes a call, and tells the CPU time of its tasks.
    fn inner(backend: String) -> Duration {
        let parallel = Parallel::new(2).backend(backend.parse().unwrap());
        let run = parallel.map(wait_loop_nogil, [N; 3]).unwrap();
        run.timing.worker_cpu
    }
    /// The same with an iterator.
    fn inner_iterator(backend: String) -> Duration {
        let parallel = Parallel::new(2).backend(backend.parse().unwrap());
        let tasks = [N; 3].map(|n| joblab::delayed(wait_loop_nogil, n));
        assert_eq!(parallel.iter(tasks).unwrap().map(Result::unwrap).count(), 3);
        let sequential = Parallel::new(1).backend(Backend::Sequential);
        3 * sequential.map(wait_loop_nogil, [N]).unwrap().tasks[0].cpu
    }
    for &outer in BACKENDS {
        for &backend in BACKENDS {
            for f in [inner, inner_iterator] {
                let parallel = Parallel::new(2).backend(outer);
                let run = parallel.map(f, vec![backend.to_string(); 2]).unwrap();
                for (task, &used) in run.tasks.iter().zip(&run.results) {
                    // One loop tells the cost, or none. More is what starting processes takes.
                    let most = used * 2 + Duration::from_millis(100);
                    let seen = format!("{backend} in {outer}: {used:?} in {task:?}");
                    assert!(task.cpu >= used / 3 && task.cpu <= most, "{seen}");
                }
            }
        }
    }
}

#[test]
#[cfg(target_os = "linux")]
fn programs_that_a_task_waits_for_count_for_it_in_a_worker_process() {
    fn shell(program: String) -> bool {
        std::process::Command::new("sh").args(["-c", &program]).status().unwrap().success()
    }
    let parallel = Parallel::new(1).backend(Backend::Multiprocessing);
    let programs = ["true", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done", "true"];
    let run = parallel.map(shell, programs.map(str::to_owned)).unwrap();
    assert_eq!(run.results, [true; 3]);
    let [none, busy, last] = [0, 1, 2].map(|task: usize| run.tasks[task].cpu);
    assert!(busy > 5 * none && busy > 5 * last, "{:?}", run.tasks);
}

#[test]
fn tasks_that_hold_the_lock_take_turns() {
    static HOLDERS: AtomicUsize = AtomicUsize::new(0);
    fn hold(_: u64) -> usize {
        with_gil(|| {
            let others = HOLDERS.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(5));
            HOLDERS.fetch_sub(1, Ordering::SeqCst);
            others
        })
    }
    let run = Parallel::new(4).map(hold, 0..20).unwrap();
    assert_eq!(run.results, [0; 20]);
}

#[test]
fn holding_the_lock_makes_tasks_wait() {
    let run = Parallel::new(3).map(wait_loop_withgil, [N; 6]).unwrap();
    assert!(run.results.iter().all(|&result| result == wait_loop_nogil(N)));
    // While one computes, the others wait.
    let waited = run.timing.lock_wait;
    assert!(waited > run.timing.worker_cpu / 2, "{:?}", run.timing);
    for task in &run.tasks {
        // Nothing else blocks them.
        let others = task.blocked().unwrap_or_default().saturating_sub(task.lock_wait);
        assert!(others < task.wall / 10, "{task:?}");
    }
    let free = Parallel::new(3).map(wait_loop_nogil, [N; 6]).unwrap();
    assert_eq!(free.timing.lock_wait, Duration::ZERO);
    for task in &free.tasks {
        assert!(task.blocked().unwrap_or_default() < task.wall / 10, "{task:?}");
    }
}

#[test]
fn a_task_that_panics_under_the_lock_leaves_it_usable() {
    let parallel = Parallel::new(2);
    let error =
        parallel.map(|_: u64| -> u64 { with_gil(|| panic!("under the lock")) }, 0..1).unwrap_err();
    assert!(error.to_string().contains("under the lock"));
    assert_eq!(parallel.map(wait_loop_withgil, [10]).unwrap().results, [10.000000000000002]);
}

#[test]
fn display_is_the_tutorials_and_changes_to_minutes() {
    let expected = "wall time 4.717 s and cpu time 13.340 s";
    assert_eq!(timing(4_717, 13_340, 0).to_string(), expected);
    let expected = "wall time 0.500 min and cpu time 1.500 min";
    assert_eq!(timing(30_000, 90_000, 0).to_string(), expected);
}

#[test]
fn ratios() {
    let threads = timing(5_000, 10_000, 9_900);
    assert_eq!(threads.utilisation(), 2.0);
    let processes = timing(5_000, 10, 9_000);
    assert_eq!(processes.utilisation(), 1.8);
    assert_eq!(threads.speedup(&timing(10_000, 10_000, 10_000)), 2.0);
    assert_eq!(timing(0, 0, 0).utilisation(), 0.0);
    assert_eq!(timing(0, 0, 0).speedup(&threads), 0.0);
}

#[cfg(all(unix, not(feature = "figures")))]
#[test]
fn without_figures_a_cell_shows_a_run_and_a_timing_as_text() {
    let name = "timing::without_figures_a_cell_shows_a_run_and_a_timing_as_text";
    let shown = crate::system::in_a_process_of_its_own(name, || {
        let run = joblab::Run::new(vec![7, 8], timing(4_717, 13_340, 0), Vec::new(), 2);
        println!();
        run.evcxr_display();
        run.timing.evcxr_display();
    });
    let Some(shown) = shown.map(|output| output.stdout) else { return };
    let kinds = shown.lines().filter(|line| line.starts_with("EVCXR_BEGIN_CONTENT "));
    assert!(kinds.eq(["EVCXR_BEGIN_CONTENT text/plain"; 2]), "{shown}");
    assert!(shown.contains("\nresults  [7, 8]\n") && shown.contains("wall time 4.7"), "{shown}");
}
