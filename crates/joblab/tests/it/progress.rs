//! joblib's progress lines, as they come out of a program.

use std::time::Duration;

use joblab::{Backend, Parallel};

use crate::system;

const TASKS: u64 = 20;

/// Backend, n_jobs, verbose.
const CASES: [(Backend, i32, u32); 7] = [
    (Backend::Sequential, 1, 5),
    (Backend::Sequential, 1, 11),
    (Backend::Sequential, 1, 50),
    (Backend::Threading, 2, 5),
    (Backend::Threading, 2, 11),
    (Backend::Threading, 2, 50),
    (Backend::Multiprocessing, 2, 11),
];

fn heading(case: usize) -> String {
    format!("== case {case}")
}

#[test]
fn lines_are_joblibs_and_come_out_where_joblibs_do() {
    let name = "progress::lines_are_joblibs_and_come_out_where_joblibs_do";
    let Some(output) = system::in_a_process_of_its_own(name, || {
        for (case, (backend, n_jobs, verbose)) in CASES.into_iter().enumerate() {
            println!("\n{}", heading(case));
            eprintln!("\n{}", heading(case));
            let parallel = Parallel::new(n_jobs).backend(backend).verbose(verbose);
            // Too long to travel with others.
            let wait = |_: u64| std::thread::sleep(Duration::from_millis(5));
            drop(parallel.map(wait, 0..TASKS).unwrap());
        }
    }) else {
        return;
    };
    for (case, (backend, n_jobs, verbose)) in CASES.into_iter().enumerate() {
        let [stdout, stderr] = [&output.stdout, &output.stderr].map(|text| lines(text, case));
        let (lines, others) = if verbose < 50 { (stderr, stdout) } else { (stdout, stderr) };
        assert!(others.is_empty(), "on the other stream: {others:#?}");
        check(&lines, &backend.to_string(), n_jobs, verbose);
    }
}

#[test]
fn a_call_that_goes_on_says_how_many_results_were_there() {
    let name = "progress::a_call_that_goes_on_says_how_many_results_were_there";
    let Some(output) = system::in_a_process_of_its_own(name, || {
        let path = std::env::temp_dir().join(format!("joblab-resumed-{}", std::process::id()));
        let parallel = Parallel::new(1).backend(Backend::Sequential).resume(&path);
        let _ = parallel.map(|n: u64| n, 0..8).unwrap();
        let run = parallel.verbose(11).map(|n: u64| n, 0..TASKS);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(run.unwrap().resumed(), 8);
    }) else {
        return;
    };
    let lines: Vec<_> = output.stderr.lines().filter(|it| it.starts_with("[Parallel")).collect();
    let (first, last) = (lines[0], lines[lines.len() - 1]);
    assert!(first.contains("Done  1 out of 20 | elapsed: "), "{lines:#?}");
    assert!(first.ends_with(", 1 resumed"), "{lines:#?}");
    assert!(last.contains("Done 20 out of 20 | elapsed: "), "{lines:#?}");
    assert!(last.ends_with("s finished, 8 resumed"), "{lines:#?}");
}

/// The lines that a case printed.
fn lines(text: &str, case: usize) -> Vec<&str> {
    let (_, text) = text.split_once(&heading(case)).unwrap();
    let lines = text.lines().take_while(|line| !line.starts_with("== "));
    lines.filter(|line| line.starts_with("[Parallel")).collect()
}

fn check(mut lines: &[&str], backend: &str, n_jobs: i32, verbose: u32) {
    let title = format!("[Parallel(n_jobs={n_jobs})]: ");
    if n_jobs > 1 {
        let name = backend[..1].to_uppercase() + &backend[1..];
        let first = format!("{title}Using backend {name}Backend with 2 concurrent workers.");
        assert_eq!(lines[0], first);
        lines = &lines[1..];
    }
    let (last, lines) = lines.split_last().unwrap();
    let (done, times) = parts(last, &title);
    assert_eq!(done, TASKS);
    assert!(times.ends_with("s finished"), "{last}");
    // joblib 1.6.0 prints 20 or 18 of them at 11 and above, and 1 at 5, with room for chance.
    let expected = if verbose < 11 { 1..=3 } else { 15..=20 };
    assert!(expected.contains(&lines.len()), "{verbose}: {lines:#?}");
    let mut before = 0;
    for line in lines {
        let (done, times) = parts(line, &title);
        assert!(before < done && done < TASKS, "{line}");
        before = done;
        let times: Vec<&str> = times.split(" remaining: ").collect();
        assert!(times.len() <= 2, "{line}");
        for time in times {
            let seconds = time.strip_suffix('s').unwrap_or_default();
            assert_eq!(seconds.len(), "   0.1".len(), "{line}");
            assert!(seconds.trim().parse::<f64>().is_ok(), "{line}");
        }
    }
}

/// How many tasks are done by a line, and what stands behind `elapsed: `.
fn parts<'a>(line: &'a str, title: &str) -> (u64, &'a str) {
    let (done, times) = line.split_once(" out of 20 | elapsed: ").expect(line);
    let done = done.strip_prefix(&format!("{title}Done ")).expect(line);
    assert_eq!(done.len(), 2, "constant width: {line}");
    (done.trim().parse().unwrap(), times)
}
