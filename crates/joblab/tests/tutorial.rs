//! The tutorial's loop: its results, and what it costs. What depends on the optimiser stands here, for
//! this is tested with every one: it is small to build.

use joblab::{Backend, Parallel, wait_loop_nogil, wait_loop_withgil};

// One test, so that the two do not run at the same time: beside another loop, even CPU time
// grows where two CPUs share a core.
#[test]
fn results_are_the_tutorials_and_cost_grows_with_the_cube_of_n() {
    let expected = [
        (0, 0.0),
        (3, 0.0),
        (4, 4.0),
        (5, 5.000000000000001),
        (10, 10.000000000000002),
        (50, 50.00000000000001),
        (100, 100.0),
        (1250, 1250.0),
    ];
    for (n, result) in expected {
        assert_eq!(wait_loop_nogil(n), result, "n = {n}");
        assert_eq!(wait_loop_withgil(n), result, "n = {n}, holding the lock");
    }

    let sequential = Parallel::new(1).backend(Backend::Sequential);
    let cost = |n| {
        let run = sequential.map(wait_loop_nogil, [n; 7]).unwrap();
        let least = run.tasks.iter().map(|task| task.cpu).min();
        least.unwrap_or_default().as_secs_f64()
    };
    let ratio = cost(800) / cost(400);
    assert!((6.0..=10.0).contains(&ratio), "2^3 = 8, measured {ratio:.2}");
}
