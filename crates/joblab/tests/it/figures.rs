//! Figures, as SVG.

use std::time::Duration;

use joblab::{Parallel, Timing, wall_vs_cpu};

fn timing(wall: u64, cpu: u64, worker_cpu: u64) -> Timing {
    let [wall, cpu, worker_cpu] = [wall, cpu, worker_cpu].map(Duration::from_millis);
    Timing {
        wall,
        cpu,
        worker_cpu,
    }
}

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
    assert!(!here.svg().contains("CPU time of the workers"));
    let elsewhere = wall_vs_cpu([("processes", timing(5_000, 10, 9_876))]).unwrap();
    assert!(elsewhere.svg().contains("CPU time of the workers"));
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
fn nothing_to_draw_is_an_error() {
    let error = wall_vs_cpu::<&str, Timing>([]).unwrap_err();
    assert!(error.to_string().contains("give at least one"), "{error}");
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
