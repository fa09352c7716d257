//! Results that are long: through the socket at first, then through a lane of their worker's own.

use std::thread;
use std::time::Duration;

use joblab::{Backend, Parallel};

use crate::system;

/// What a task gives for so many numbers: each is another one.
fn numbers(length: u64) -> Vec<u64> {
    (0..length).map(|n| n ^ length).collect()
}

#[test]
fn they_come_as_they_were_sent() {
    let lengths = [3, 100_000, 1, 1_000_000, 16_384, 16_385, 50_000, 0, 200_000, 3_000_000];
    for n_jobs in [1, 2] {
        for batch_size in [1, 5] {
            let parallel = Parallel::new(n_jobs).backend(Backend::Multiprocessing);
            let parallel = parallel.batch_size(batch_size);
            for _ in 0..3 {
                let run = parallel.map(numbers, lengths).unwrap();
                assert!(run.results.iter().zip(lengths).all(|(it, n)| *it == numbers(n)));
            }
        }
    }
}

#[test]
fn a_worker_that_dies_while_it_sends_one_leaves_nothing() {
    /// A result, behind which the worker soon ends.
    fn last(after: u64) -> Vec<u64> {
        let result = numbers(1 << 20);
        thread::spawn(move || {
            thread::sleep(Duration::from_micros(after));
            std::process::abort();
        });
        result
    }
    let name = "long_results::a_worker_that_dies_while_it_sends_one_leaves_nothing";
    system::in_a_process_of_its_own(name, || {
        let parallel = Parallel::new(1).backend(Backend::Multiprocessing);
        let good = || assert_eq!(parallel.map(numbers, [1 << 17; 3]).unwrap().results.len(), 3);
        good();
        let before = system::open_files();
        let mut deaths = 0;
        for after in (0..20).map(|n| 500 * n) {
            match parallel.map(last, [after]) {
                Ok(run) => {
                    assert!(run.results[0] == numbers(1 << 20));
                    // Its worker ends now.
                    thread::sleep(Duration::from_millis(50));
                }
                Err(error) => {
                    assert!(error.is_worker_death(), "{error}");
                    deaths += 1;
                }
            }
            good();
        }
        assert!(deaths > 0, "none died in time");
        assert_eq!(system::open_files(), before);
    });
}
