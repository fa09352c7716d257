//! n_jobs and the names of backends, by joblib's rules.

use joblab::{Backend, Parallel, cpu_count};

#[test]
fn negative_n_jobs_count_from_all_cpus() {
    let workers = |n_jobs| Parallel::new(n_jobs).effective_n_jobs().unwrap();
    assert_eq!(workers(3), 3);
    assert_eq!(workers(-1), cpu_count());
    assert_eq!(workers(-2), (cpu_count() - 1).max(1));
    assert_eq!(workers(-1000), 1);
    assert_eq!(workers(i32::MIN), 1);
    let run = Parallel::new(-1).map(|n: u64| n, 0..10).unwrap();
    assert_eq!(run.n_workers, cpu_count());
}

#[test]
fn impossible_n_jobs_are_errors_that_say_what_is_valid() {
    for &backend in crate::BACKENDS {
        for n_jobs in [0, 4097, i32::MAX] {
            let parallel = Parallel::new(n_jobs).backend(backend);
            let error = parallel.map(|n: u64| n, 0..10).unwrap_err();
            assert!(error.is_invalid());
            assert_eq!(
                error.to_string(),
                format!(
                    "n_jobs = {n_jobs} has no meaning: give 1 to 4096 for that many workers, \
                     -1 for as many as there are CPUs, -2 for all CPUs but one"
                )
            );
        }
    }
}

#[test]
fn backends_have_joblibs_names() {
    for &backend in crate::BACKENDS {
        assert_eq!(backend.to_string().parse::<Backend>().unwrap(), backend);
    }
    let error = "thread".parse::<Backend>().unwrap_err();
    assert!(error.is_invalid());
    assert_eq!(
        error.to_string(),
        "\"thread\" is no backend: the backends are sequential, threading, multiprocessing, dask"
    );
}

#[cfg(not(target_os = "linux"))]
#[test]
fn a_cluster_needs_linux_and_says_so() {
    let error = Parallel::new(2).backend(Backend::Dask).map(|n: u64| n, 0..3).unwrap_err();
    assert!(error.to_string().contains("Backend::Dask needs Linux"), "{error}");
}
