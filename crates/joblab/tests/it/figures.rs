//! Figures, as SVG.

use std::time::Duration;

use joblab::{Parallel, Timing, cost_against_length, cost_against_size, speedup, wall_vs_cpu};

use crate::timing::timing;

#[test]
fn bars_carry_their_numbers_labels_and_unit() {
    let figure = wall_vs_cpu([("one & only", timing(4_717, 13_340, 0))]).unwrap();
    let svg = figure.svg();
    for text in [
        "4.72",
        "13.3",
        "one &amp; only",
        "time (s)",
        "wall time",
        "ideal",
    ] {
        assert!(svg.contains(text), "{text} is not in {svg}");
    }
    assert!(!svg.contains("<style"), "GitHub strips style sheets");
    assert!(svg.len() < 40_000);
    assert!(svg.contains("aria-label=\"Wall time and CPU time. one &amp; only: wall 4.717 s"));
}

#[test]
fn the_ideal_is_the_cpu_time_over_the_workers() {
    let run = Parallel::new(4)
        .map(joblab::wait_loop_nogil, [600; 4])
        .unwrap();
    let figure = wall_vs_cpu([("four", &run)]).unwrap();
    let ideal = run.timing.total_cpu().as_secs_f64() / 4.0;
    let expected = format!("ideal wall {ideal:.3} s");
    assert!(
        figure.description().contains(&expected),
        "{}",
        figure.description()
    );
}

#[test]
fn time_in_other_processes_gets_a_bar_of_its_own() {
    let here = wall_vs_cpu([("threads", timing(5_000, 10_000, 9_900))]).unwrap();
    assert!(!here.svg().contains("CPU time in workers"));
    let elsewhere = wall_vs_cpu([("processes", timing(5_000, 10, 9_876))]).unwrap();
    assert!(elsewhere.svg().contains("CPU time in workers"));
    assert!(elsewhere.svg().contains("9.88"));
}

#[test]
fn the_unit_fits_the_longest_time() {
    for (milliseconds, unit) in [
        (180_000, "time (min)"),
        (800, "time (s)"),
        (40, "time (ms)"),
    ] {
        let figure = wall_vs_cpu([("run", timing(milliseconds, 1, 1))]).unwrap();
        assert!(figure.svg().contains(unit), "{unit}");
    }
}

#[test]
fn speedup_is_drawn_against_the_number_of_workers_with_efficiency_and_ideal() {
    let runs: Vec<_> = [1, 2, 4]
        .into_iter()
        .map(|n_jobs| {
            Parallel::new(n_jobs)
                .map(joblab::wait_loop_nogil, [300; 4])
                .unwrap()
        })
        .collect();
    let baseline = runs[0].timing;
    let expected = format!("{:.2} at 4", runs[2].timing.speedup(&baseline));
    let figure = speedup(baseline, [("threads", runs)]).unwrap();
    assert!(
        figure.description().contains("1.00 at 1"),
        "{}",
        figure.description()
    );
    assert!(
        figure.description().contains(&expected),
        "{}",
        figure.description()
    );
    for text in ["speedup", "efficiency", "workers", "ideal", "threads"] {
        assert!(figure.svg().contains(text), "{text}");
    }
}

#[test]
fn costs_are_drawn_on_logarithmic_scales_with_units() {
    let ms = Duration::from_millis;
    let sizes = vec![
        (1_000, ms(1)),
        (1_000_000, ms(10)),
        (100_000_000, ms(1_000)),
    ];
    let figure = cost_against_size([("copied", sizes)]).unwrap();
    for text in [
        "1 MB",
        "size of the argument",
        "wall time",
        "100 ms",
        "copied",
    ] {
        assert!(figure.svg().contains(text), "{text}");
    }
    let described = "copied: 1 ms at 1 kB, 10 ms at 1 MB, 1 s at 100 MB.";
    assert!(
        figure.description().contains(described),
        "{}",
        figure.description()
    );
    let lengths = vec![(ms(1), ms(2)), (ms(100), ms(60))];
    let figure = cost_against_length([("threads", lengths)]).unwrap();
    let described = "threads: 2 ms at 1 ms, 60 ms at 100 ms.";
    assert!(
        figure.description().contains(described),
        "{}",
        figure.description()
    );
}

#[test]
fn what_cannot_be_drawn_is_an_error() {
    let error = wall_vs_cpu::<&str, Timing>([]).unwrap_err();
    assert!(error.to_string().contains("give at least one"), "{error}");
    let error = speedup::<&str, [Timing; 0]>(timing(1, 1, 1), []).unwrap_err();
    assert!(error.to_string().contains("give at least one"), "{error}");
    let error = cost_against_size([("zero", vec![(0, Duration::from_secs(1))])]).unwrap_err();
    assert!(error.to_string().contains("no zero"), "{error}");
    let five = (0..5).map(|n| (n.to_string(), vec![(1, Duration::from_secs(1))]));
    let error = cost_against_size(five).unwrap_err();
    assert!(error.to_string().contains("at most 4"), "{error}");
}

#[test]
fn a_figure_can_be_saved_and_a_wrong_path_is_an_error() {
    let figure = wall_vs_cpu([("run", timing(1, 1, 1))]).unwrap();
    let path = std::env::temp_dir().join(format!("joblab-figure-{}.svg", std::process::id()));
    figure.save(&path).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), figure.svg());
    std::fs::remove_file(&path).unwrap();
    let error = figure.save("/no/such/folder/figure.svg").unwrap_err();
    assert!(
        error.to_string().contains("/no/such/folder/figure.svg"),
        "{error}"
    );
}
