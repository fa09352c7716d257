//! Whether people with any colour vision tell the states of a task's time apart, and a chart's lines, on
//! light and dark pages.

use std::collections::BTreeSet;
use std::time::Duration;

use joblab::{Figure, Run, TaskRecord, Timing, cost_against_size, timeline};

type Matrix = [[f64; 3]; 3];

const NORMAL: Matrix = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];

/// What people see who lack a kind of cone, as linear RGB from linear RGB: the matrices for a severity of
/// 1 of Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color Vision
/// Deficiency", IEEE TVCG 15 (6), 2009.
const VISIONS: [(&str, Matrix); 4] = [
    ("normal", NORMAL),
    (
        "protanopia",
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
    ),
    (
        "deuteranopia",
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ],
    ),
    (
        "tritanopia",
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ],
    ),
];

/// Linear RGB to the responses of cones, and their cube roots to lightness and two colour axes: Ottosson's
/// Oklab (2020), in which equal distances look about equal. Black and white are 1 apart.
const CONES: Matrix = [
    [0.4122214708, 0.5363325363, 0.0514459929],
    [0.2119034982, 0.6806995451, 0.1073969566],
    [0.0883024619, 0.2817188376, 0.6299787005],
];
const LAB: Matrix = [
    [0.2104542553, 0.7936177850, -0.0040720468],
    [1.9779984951, -2.4285922050, 0.4505937099],
    [0.0259040371, 0.7827717662, -0.8086757660],
];

fn times(matrix: Matrix, vector: [f64; 3]) -> [f64; 3] {
    matrix.map(|row| row.iter().zip(vector).map(|(a, b)| a * b).sum())
}

fn look(colour: &str, vision: Matrix) -> [f64; 3] {
    let linear = [1, 3, 5].map(|place| {
        let part = u8::from_str_radix(&colour[place..place + 2], 16).unwrap();
        let part = f64::from(part) / 255.0;
        if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    });
    let seen = times(vision, linear).map(|part| part.clamp(0.0, 1.0));
    times(LAB, times(CONES, seen).map(f64::cbrt))
}

fn distance(a: [f64; 3], b: [f64; 3]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

/// What stands for colours on a dark page.
fn darkened(figure: &Figure, light: &[&str]) -> Vec<String> {
    let dark = |colour: &&str| {
        let rules: Vec<_> = behind(figure, &format!("\"{colour}\"]{{fill:"));
        rules.first().unwrap_or(colour).to_string()
    };
    light.iter().map(dark).collect()
}

/// The colours behind a mark, wherever that stands in a figure.
fn behind<'a>(figure: &'a Figure, mark: &str) -> Vec<&'a str> {
    figure.svg().split(mark).skip(1).map(|text| &text[..7]).collect()
}

/// Fails where two of a figure's colours look alike to anyone on either page.
fn assert_told_apart(figure: &Figure, light: &[&str], least: f64) {
    let unchanged = light.iter().map(|colour| colour.to_string()).collect();
    for colours in [unchanged, darkened(figure, light)] {
        for (name, vision) in VISIONS {
            for (nth, a) in colours.iter().enumerate() {
                for b in &colours[..nth] {
                    let apart = distance(look(a, vision), look(b, vision));
                    assert!(apart > least, "{name}: {a} and {b} are {apart:.3} apart");
                }
            }
        }
    }
}

#[test]
fn distances_are_those_of_oklab() {
    let [black, white, red] = ["#000000", "#FFFFFF", "#FF0000"].map(|colour| look(colour, NORMAL));
    assert!((distance(black, white) - 1.0).abs() < 1e-3);
    assert!(distance(red, [0.628, 0.225, 0.126]) < 1e-3, "{red:?}");
    // Who lacks a kind of cone sees greys as they are; to some, red and green look much alike.
    for (name, vision) in VISIONS {
        assert!(distance(look("#808080", vision), look("#808080", NORMAL)) < 1e-3, "{name}");
    }
    let apart = |vision| distance(look("#FF0000", vision), look("#00A000", vision));
    let (_, deuteranopia) = VISIONS[2];
    assert!(apart(deuteranopia) < 0.05 && apart(NORMAL) > 0.3, "{}", apart(deuteranopia));
}

// What people just see where colours touch each other is some 0.02.

#[test]
fn everyone_tells_the_states_apart_on_light_and_dark_pages() {
    let mut task = TaskRecord::new(0, "worker-0");
    task.runnable = Some(Duration::ZERO);
    let figure = timeline(&Run::new(vec![0], Timing::default(), vec![task], 1)).unwrap();
    let colours = behind(&figure, "height=\"14\" fill=\"");
    assert_eq!(colours.len(), 5, "four states, and idle");
    assert_told_apart(&figure, &colours, 0.12);
    assert_ne!(darkened(&figure, &colours), colours);
}

#[test]
fn everyone_tells_the_lines_of_a_chart_apart_on_light_and_dark_pages() {
    let line = |n: u64| (n.to_string(), vec![(1_000, Duration::from_secs(n))]);
    let figure = cost_against_size((1..=4).map(line)).unwrap();
    // Those that are not the grid's and the axes', which are greys.
    let is_colour = |colour: &&str| {
        let [_, a, b] = look(colour, NORMAL);
        a.hypot(b) > 0.05
    };
    let strokes: BTreeSet<_> =
        behind(&figure, " stroke=\"").into_iter().filter(is_colour).collect();
    let colours: Vec<_> = strokes.into_iter().collect();
    assert_eq!(colours.len(), 4, "{colours:?}");
    assert_told_apart(&figure, &colours, 0.08);
}
