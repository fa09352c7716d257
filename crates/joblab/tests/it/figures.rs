//! Figures, as SVG.

use std::time::Duration;

use joblab::{
    Figure, Measured, Parallel, Run, TaskRecord, Timing, cost_against_length, cost_against_size,
    cpu_count, speedup, timeline, wall_vs_cpu,
};

use crate::replay::measured;
use crate::timing::timing;
use crate::xml::assert_well_formed;

#[test]
fn bars_carry_their_numbers_labels_and_unit() {
    let figure = wall_vs_cpu([("one & only", timing(4_717, 13_340, 0))]).unwrap();
    let svg = figure.svg();
    for text in ["4.72", "13.3", "one &amp; only", "time (s)", "wall time", "ideal"] {
        assert!(svg.contains(text), "{text} is not in {svg}");
    }
    assert_look(&figure);
    assert!(svg.contains("aria-label=\"Wall time and CPU time. one &amp; only: wall 4.717 s"));
}

#[test]
fn any_text_may_stand_on_a_figure() {
    let texts = [
        "a < b & c > \"d\"",
        "it's </text></svg>",
        "]]> &amp; &#0; <!-- x -->",
        "\u{1b}[31mred\u{1b}[0m \0 \u{7f}\u{85}\u{ffff}",
        "two\nlines\tand\r\nmore",
        "\u{202e}עברית\u{202c} and العربية",
        " stroke=\"none\" opacity=\"1\" stroke=\"#2B2B2B\"",
        ">\n",
        "🦀 é e\u{301} \u{200d}",
        "",
    ];
    let escaped = ["a &lt; b &amp; c &gt; ", "\\u{1b}[31mred\\u{1b}[0m", "עברית", "العربية", "🦀"];
    for text in texts {
        let runs = || [(text, timing(4_717, 13_340, 0)), ("other", timing(1, 1, 1))];
        let bars = wall_vs_cpu(runs()).unwrap();
        let lines = cost_against_size([(text, vec![(1_000, Duration::from_millis(5))])]).unwrap();
        let baseline = timing(10_000, 10_000, 10_000);
        let speedup = speedup(baseline, [(text, [run_of(2, [[0, 0, 5, 5]])])]).unwrap();
        let mut task = TaskRecord::new(0, text);
        task.wall = Duration::from_millis(1);
        let run = Run::new(vec![0], timing(1, 1, 1), vec![task], 1);
        for figure in [bars, lines, speedup, timeline(&run).unwrap()] {
            assert_look(&figure);
        }
    }
    let all = texts.map(|text| (text, timing(4_717, 13_340, 0)));
    let figure = wall_vs_cpu(all).unwrap();
    assert_look(&figure);
    for text in escaped {
        let described = figure.svg().split("<style>").next().unwrap();
        assert!(described.contains(text), "{text} is not in {described}");
    }
}

/// What holds for every figure.
fn assert_look(figure: &Figure) {
    let svg = figure.svg();
    assert_well_formed(svg);
    assert!(svg.len() < 40_000, "{} bytes", svg.len());
    let width = svg.split("width=\"").nth(1).unwrap();
    assert!(width.split('"').next().unwrap().parse::<u32>().unwrap() <= 760);
    assert!(svg.contains("role=\"img\"") && svg.contains("aria-label=\""));
    assert!(svg.contains("prefers-color-scheme:dark"));
    // GitHub strips style sheets: the light colours stand without them.
    let paper = svg.split("</style>").nth(1).unwrap();
    assert!(paper.contains("<rect width=\"100%\" height=\"100%\" rx=\"10\" fill=\"#"));
    // A dark page has a colour for each that is used, but for three that suit both.
    for mark in paper.split("fill=\"").skip(1) {
        let colour = mark.split('"').next().unwrap();
        let known = svg.contains(&format!("[fill=\"{colour}\"]"));
        assert!(known || ["none", COMPUTED, LOCK, "#009E73"].contains(&colour), "{colour}");
    }
}

/// A run of tasks that are given as worker, start, wall and CPU time in microseconds.
fn run_of(n_workers: usize, tasks: impl IntoIterator<Item = [u64; 4]>) -> Run<usize> {
    let us = Duration::from_micros;
    let task = |(index, [worker, start, wall, cpu]): (usize, [u64; 4])| {
        let mut task = TaskRecord::new(index, format!("worker-{worker}"));
        (task.start, task.wall, task.cpu) = (us(start), us(wall), us(cpu));
        task
    };
    let tasks: Vec<_> = tasks.into_iter().enumerate().map(task).collect();
    let worker_cpu = tasks.iter().map(|task| task.cpu).sum();
    let wall = tasks.iter().map(|task| task.start + task.wall).max().unwrap_or_default();
    let timing = Timing::new(wall, worker_cpu, worker_cpu);
    Run::new((0..tasks.len()).collect(), timing, tasks, n_workers)
}

const COMPUTED: &str = "#E69F00";
const NO_CPU: &str = "#0072B2";
const LOCK: &str = "#D55E00";
const BLOCKED: &str = "#A9B8C4";
const IDLE: &str = "#E2E2DD";

/// The rectangles that have a colour: left, width, top and height.
fn rectangles(figure: &Figure, colour: &str) -> Vec<[u32; 4]> {
    let fill = format!("fill=\"{colour}\"");
    let parts = figure.svg().lines().filter(|line| line.starts_with("<rect x="));
    let attribute = |line: &str, name: &str| {
        let value = line.split(&format!(" {name}=\"")).nth(1).unwrap().split('"').next();
        value.unwrap().parse().unwrap()
    };
    let place = |line: &str| ["x", "width", "y", "height"].map(|name| attribute(line, name));
    parts.filter(|line| line.contains(&fill)).map(place).collect()
}

/// The heights of the parts of bars that have a colour: all but the key's.
fn heights(figure: &Figure, colour: &str) -> Vec<u32> {
    let all = rectangles(figure, colour).into_iter().map(|[.., height]| height);
    all.filter(|&height| height != KEY).collect()
}

const KEY: u32 = 14;

/// The key: names and their colours, in its order.
fn key(figure: &Figure) -> Vec<(&str, &str)> {
    let block = format!("height=\"{KEY}\"");
    let mut lines = figure.svg().lines();
    let mut key = Vec::new();
    while let Some(line) = lines.next() {
        if line.starts_with("<rect x=") && line.contains(&block) {
            let colour = line.split("fill=\"").nth(1).unwrap().split('"').next().unwrap();
            // A text element, and then the text.
            key.push((lines.nth(1).unwrap(), colour));
        }
    }
    key
}

/// A run of one task of 40 ms that computed, was runnable and waited for the lock for 10 ms each.
fn run_with_all_states() -> Run<u8> {
    let ms = Duration::from_millis;
    let mut task = TaskRecord::new(0, "worker-0");
    (task.wall, task.cpu, task.runnable, task.lock_wait) = (ms(40), ms(10), Some(ms(10)), ms(10));
    let mut timing = timing(40, 10, 10);
    (timing.runnable, timing.blocked, timing.lock_wait) = (Some(ms(10)), Some(ms(20)), ms(10));
    Run::new(vec![0], timing, vec![task], 1)
}

#[test]
fn a_bar_is_filled_with_what_became_of_its_tasks_time_from_below() {
    let figure = timeline(&run_with_all_states()).unwrap();
    assert_look(&figure);
    let [[_, _, lane_top, lane]] = rectangles(&figure, IDLE)[1..] else {
        panic!("{}", figure.svg())
    };
    let mut bottom = lane_top + lane;
    for (colour, what) in [
        (COMPUTED, "computed"),
        (NO_CPU, "no CPU was free"),
        (LOCK, "waited for the lock"),
        (BLOCKED, "blocked"),
    ] {
        let [_, [_, _, top, height]] = rectangles(&figure, colour)[..] else { panic!("{what}") };
        assert!(height.abs_diff(lane / 4) <= 1, "{what}: {height} of {lane}");
        assert_eq!(top + height, bottom, "{what}");
        bottom = top;
        assert!(key(&figure).contains(&(what, colour)), "{:?}", key(&figure));
    }
    assert_eq!(bottom, lane_top);
    assert_eq!(key(&figure).len(), 5);
    let described = "worker-0: 1 tasks from 0 µs to 40 ms, 25 % computed, 25 % no CPU was free, \
                     25 % waited for the lock, 25 % blocked.";
    assert!(figure.description().ends_with(described), "{}", figure.description());
}

#[test]
fn a_runs_text_says_what_its_tasks_waited_for() {
    let text = run_with_all_states().to_string();
    let rows: Vec<_> = text.lines().map(|row| row.split_at(20)).collect();
    for (name, time) in
        [("no CPU was free", "10 ms"), ("blocked", "20 ms"), ("waited for the lock", "10 ms")]
    {
        let row = rows.iter().find(|(first, _)| first.trim_end() == name);
        assert_eq!(row.map(|(_, second)| second.trim_start()), Some(time), "{text}");
    }
}

#[test]
fn what_the_system_does_not_tell_is_left_out() {
    let run = run_of(1, [[0, 0, 1_000, 250]]);
    assert_eq!((run.timing.runnable, run.timing.blocked), (None, None));
    let figure = timeline(&run).unwrap();
    let names: Vec<_> = key(&figure).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["computed", "waited for the lock", "waited", "idle"]);
    let described = "worker-0: 1 tasks from 0 µs to 1 ms, 25 % computed, 75 % waited.";
    assert!(figure.description().ends_with(described), "{}", figure.description());
    let text = run.to_string();
    for row in ["no CPU was free", "blocked", "waited for the lock"] {
        assert!(!text.contains(row), "{row}: {text}");
    }
}

#[test]
fn a_timeline_has_a_lane_for_each_worker_and_a_bar_for_each_task() {
    let tasks =
        [[0, 0, 1_000, 1_000], [0, 1_000, 1_000, 0], [10, 500, 2_500, 1_250], [2, 0, 100, 100]];
    let figure = timeline(&run_of(5, tasks)).unwrap();
    assert_look(&figure);
    let (computed, blocked) = (heights(&figure, COMPUTED), heights(&figure, BLOCKED));
    let full = computed[0];
    assert_eq!((computed, blocked), (vec![full, full, full / 2], vec![full, full / 2]));
    assert_eq!(figure.svg().matches("\nidle\n").count(), 3, "two workers, and the key");
    let described = "worker-0: 2 tasks from 0 µs to 2 ms, 50 % computed, 50 % waited. \
                     worker-2: 1 tasks from 0 µs to 100 µs, 100 % computed. worker-10:";
    assert!(figure.description().contains(described), "{}", figure.description());
    assert!(figure.svg().contains("time since the call (ms)"));
}

#[test]
fn bars_narrower_than_a_pixel_are_joined_and_weighted_by_time() {
    // Tasks that wait for nine tenths of the time, between such that compute.
    let task = |n: u64| match n % 2 {
        0 => [n / 2 % 3, n / 6 * 30, 27, 0],
        _ => [n / 2 % 3, n / 6 * 30 + 27, 3, 3],
    };
    let figure = timeline(&run_of(3, (0..100_000).map(task))).unwrap();
    assert_look(&figure);
    let (computed, blocked) = (heights(&figure, COMPUTED), heights(&figure, BLOCKED));
    let tenth = |levels: &[u32]| levels.len() > 100 && levels.iter().max() <= levels.iter().min();
    assert!(tenth(&computed) && tenth(&blocked), "{computed:?} {blocked:?}");
    assert!((7..=13).contains(&(blocked[0] / computed[0])), "{computed:?} {blocked:?}");
    // Idle time within a bar is no CPU time.
    let sparse = (0..100_000).map(|n| [0, 10 * n, 5, 5]);
    let figure = timeline(&run_of(1, sparse)).unwrap();
    let computed = heights(&figure, COMPUTED);
    assert!(computed.len() > 100 && heights(&figure, BLOCKED).is_empty());
    assert!(computed.iter().all(|&high| 2 * high == heights(&figure, IDLE)[0]), "{computed:?}");
}

#[test]
fn a_timeline_of_many_workers_or_of_no_tasks_can_be_drawn() {
    let tasks = (0..100_000).map(|n| [n % 4096, n / 4096 * 100, 90, 80]);
    let figure = timeline(&run_of(4096, tasks)).unwrap();
    assert_look(&figure);
    assert!(figure.svg().contains("4032 workers are not shown"));
    assert_look(&timeline(&run_of(2, [])).unwrap());
}

#[test]
fn tasks_that_end_after_the_call_are_drawn_within_the_picture() {
    let tasks = run_of(1, [[0, 0, 1_000, 1_000], [0, 1_000, 3_000, 3_000]]).tasks;
    let lane = |wall| {
        let run = Run::new(vec![0, 1], timing(wall, 4, 4), tasks.clone(), 1);
        rectangles(&timeline(&run).unwrap(), COMPUTED)
    };
    for wall in [0, 1] {
        assert_eq!(lane(wall), lane(4));
    }
}

#[test]
fn a_run_estimates_its_speedup_from_cpu_time_and_prints_as_a_table() {
    let run = run_of(4, [[0, 0, 1_000, 1_000], [1, 0, 1_000, 500]]);
    assert_eq!(run.estimated_speedup(), 1.5);
    let text = run.to_string();
    for row in ["tasks                         2", "wall time                  1 ms"] {
        assert!(text.contains(row), "{text}");
    }
    assert!(text.ends_with("estimated efficiency       38 %"), "{text}");
    assert_eq!(run_of(1, []).estimated_speedup(), 0.0);
}

#[test]
fn a_run_of_tasks_that_wait_estimates_no_speedup_in_its_table() {
    let estimated = |blocked, lock_wait| {
        let mut run = run_of(2, [[0, 0, 1_000, 20], [1, 0, 1_000, 20]]);
        let [blocked, lock_wait] = [blocked, lock_wait].map(Duration::from_micros);
        (run.timing.blocked, run.timing.lock_wait) = (Some(blocked), lock_wait);
        run.timing.runnable = Some(Duration::ZERO);
        run.to_string().contains("estimated")
    };
    assert!(estimated(100, 0), "they computed too");
    assert!(!estimated(1_960, 0), "they slept");
    assert!(estimated(1_960, 1_900), "a lock is what one worker alone does not wait for");
}

#[cfg(unix)]
#[test]
fn what_a_cell_shows_is_one_picture_and_its_text() {
    let name = "figures::what_a_cell_shows_is_one_picture_and_its_text";
    let Some(output) = crate::system::in_a_process_of_its_own(name, || {
        let run = run_of(1, (0..1_000).map(|n| [0, n, 1, 1]));
        println!();
        run.evcxr_display();
        run.timing.evcxr_display();
        Parallel::new(0).effective_n_jobs().unwrap_err().evcxr_display();
        let mut waited = run_of(1, [[0, 0, 1_000, 1]]);
        waited.timing.blocked = Some(Duration::from_micros(999));
        waited.evcxr_display();
    }) else {
        return;
    };
    let shown = output.stdout;
    let kinds = shown.lines().filter_map(|line| line.strip_prefix("EVCXR_BEGIN_CONTENT "));
    let (svg, text) = ("image/svg+xml", "text/plain");
    let expected = [svg, text, svg, text, "text/html", text, svg, text];
    assert_eq!(kinds.collect::<Vec<_>>(), expected, "{shown}");
    // The first of the results only.
    assert!(shown.contains("\nresults  [0, 1, 2, 3"), "{shown}");
    assert!(shown.contains(", 19, 2…\nEVCXR_END_CONTENT"), "{shown}");
    assert!(shown.contains("<strong>Error:</strong> n_jobs = 0"), "{shown}");
    for note in ["estimated: CPU time of the tasks / wall time", "no speedup is estimated: "] {
        assert_eq!(shown.matches(note).count(), 1, "{note}: {shown}");
    }
}

#[test]
fn the_ideal_is_the_cpu_time_over_the_workers() {
    let run = Parallel::new(4).map(joblab::wait_loop_nogil, [600; 4]).unwrap();
    let figure = wall_vs_cpu([("four", &run)]).unwrap();
    let ideal = run.timing.total_cpu().as_secs_f64() / 4.0;
    let expected = format!("ideal wall {ideal:.3} s");
    assert!(figure.description().contains(&expected), "{}", figure.description());
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
    for (milliseconds, unit) in [(180_000, "time (min)"), (800, "time (s)"), (40, "time (ms)")] {
        let figure = wall_vs_cpu([("run", timing(milliseconds, 1, 1))]).unwrap();
        assert!(figure.svg().contains(unit), "{unit}");
    }
}

#[test]
fn speedup_is_drawn_against_the_number_of_workers_with_efficiency_and_ideal() {
    let runs: Vec<_> = [1, 2, 4]
        .into_iter()
        .map(|n_jobs| Parallel::new(n_jobs).map(joblab::wait_loop_nogil, [300; 4]).unwrap())
        .collect();
    let baseline = runs[0].timing;
    let expected = format!("{:.2} at 4", runs[2].timing.speedup(&baseline));
    let figure = speedup(baseline, [("threads", runs)]).unwrap();
    assert!(figure.description().contains("1.00 at 1"), "{}", figure.description());
    assert!(figure.description().contains(&expected), "{}", figure.description());
    for text in ["speedup", "efficiency", "workers", "ideal", "threads"] {
        assert!(figure.svg().contains(text), "{text}");
    }
}

#[test]
fn amdahls_law_is_fitted_to_the_runs_with_a_cpu_for_each_worker() {
    struct Model(usize);
    impl Measured for Model {
        fn timing(&self) -> Timing {
            // 3 % serial, but no faster than the CPUs allow.
            let n = self.0.min(cpu_count()) as f64;
            timing((100_000.0 * (0.03 + 0.97 / n)) as u64, 0, 0)
        }

        fn n_workers(&self) -> usize {
            self.0
        }
    }
    let runs = (1..=2 * cpu_count()).map(Model);
    let figure = speedup(Model(1), [("model", runs)]).unwrap();
    assert_look(&figure);
    let law = figure.svg().contains("Amdahl's law, 3 % serial")
        || figure.svg().contains("Amdahl&apos;s law, 3 % serial");
    assert_eq!(law, cpu_count() > 1, "one CPU has nothing to fit");
}

#[test]
fn computed_runs_are_drawn_as_such_and_beside_measured_ones() {
    let measured = measured(&[[10, 20]; 64]);
    let computed = [4, 8, 64].map(|n_workers| measured.replay(n_workers).unwrap());
    let alone = timeline(&computed[0]).unwrap();
    assert!(alone.svg().contains("computed from a run on 1 workers"));
    let lines: [(&str, Vec<&dyn Measured>); 2] = [
        ("measured", vec![&measured]),
        ("computed", computed.iter().map(|run| run as &dyn Measured).collect()),
    ];
    let figure = speedup(measured.replay(1).unwrap(), lines).unwrap();
    assert!(figure.description().contains("at 64"), "{}", figure.description());
}

#[test]
fn costs_are_drawn_on_logarithmic_scales_with_units() {
    let ms = Duration::from_millis;
    let sizes = vec![(1_000, ms(1)), (1_000_000, ms(10)), (100_000_000, ms(1_000))];
    let figure = cost_against_size([("copied", sizes)]).unwrap();
    for text in ["1 MB", "size of the argument", "wall time", "100 ms", "copied"] {
        assert!(figure.svg().contains(text), "{text}");
    }
    let described = "copied: 1 ms at 1 kB, 10 ms at 1 MB, 1 s at 100 MB.";
    assert!(figure.description().contains(described), "{}", figure.description());
    let lengths = vec![(ms(1), ms(2)), (ms(100), ms(60))];
    let figure = cost_against_length([("threads", lengths)]).unwrap();
    let described = "threads: 2 ms at 1 ms, 60 ms at 100 ms.";
    assert!(figure.description().contains(described), "{}", figure.description());
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
    assert!(error.to_string().contains("/no/such/folder/figure.svg"), "{error}");
}
