//! Who ran what when: a lane for each worker, a bar for each task.

use std::fmt::Write;

use plotters::style::RGBColor;
use plotters::style::text_anchor::HPos;

use super::chart::{Axis, Chart, Mark, key};
use super::drawing::Figure;
use super::look::{
    BLOCKED, BLUE, DrawResult, IDLE, INK, MARGIN, ORANGE, Page, TEXT, VERMILION, WIDTH, rectangle,
    width_of, write,
};
use crate::error::Error;
use crate::measure::Summary;
use crate::measure::units::{short, time, unit_of};
use crate::measure::{Run, TaskRecord};
use crate::os::MAIN_THREAD;

/// More lanes, and more parts of bars in all of them together, would be too fine to see and too long a
/// file.
const MOST_LANES: usize = 64;
const MOST_PARTS: usize = 400;

/// Draws a lane for each worker and in it a bar for each task, from its start to its end: an idle
/// worker, a straggler and the cost of starting are seen.
///
/// A bar is filled from below with what became of its task's time: it computed, or no CPU was free, or
/// it waited for the lock of [`with_gil`](crate::with_gil), or it was blocked otherwise. Where the system
/// does not tell for how long no CPU was free, what is left is drawn as time that it waited. Tasks too short
/// to be drawn apart share a bar.
///
/// # Errors
/// Where plotters cannot draw.
///
/// ```
/// # use joblab::{Parallel, timeline};
/// let run = Parallel::new(2).map(joblab::wait_loop_nogil, [100; 4])?;
/// assert!(timeline(&run)?.description().contains("worker-"));
/// # Ok::<(), joblab::Error>(())
/// ```
pub fn timeline<R>(run: &Run<R>) -> Result<Figure, Error> {
    figure(&run.summary())
}

fn figure(run: &Summary<'_>) -> Result<Figure, Error> {
    let timeline = Timeline::new(run);
    let height = MARGIN + timeline.height();
    Figure::draw(timeline.description(), height, &|page| timeline.draw(page, MARGIN))
}

/// Tasks that share a bar, in seconds since the call.
#[derive(Clone, Copy)]
struct Bar {
    start: f64,
    end: f64,
    /// In the order of [`STATES`].
    states: [f64; 4],
    is_one: bool,
}

/// What the time of a task is spent with, and its colour.
const STATES: [(RGBColor, &str); 4] = [
    (ORANGE, "computed"),
    (BLUE, "no CPU was free"),
    (VERMILION, "waited for the lock"),
    (BLOCKED, "blocked"),
];
const NO_CPU_FREE: usize = 1;
const REST: usize = 3;

/// How many seconds a task was in each state.
fn states(task: &TaskRecord) -> [f64; 4] {
    // Threads and programs of a task may compute for longer than it takes.
    let cpu = task.cpu.min(task.wall);
    let runnable = task.runnable.unwrap_or_default().min(task.wall - cpu);
    let rest = task.wall - cpu - runnable;
    // Whoever gets the lock may have to wait for a CPU: that part is counted as such.
    let lock = task.lock_wait.min(rest);
    [cpu, runnable, lock, rest - lock].map(|time| time.as_secs_f64())
}

#[derive(Default)]
struct Lane {
    name: String,
    bars: Vec<Bar>,
}

impl Lane {
    fn new(tasks: &[&TaskRecord]) -> Self {
        let TaskRecord { pid, thread, .. } = tasks[0];
        let bar = |task: &&TaskRecord| Bar {
            start: task.start.as_secs_f64(),
            end: (task.start + task.wall).as_secs_f64(),
            states: states(task),
            is_one: true,
        };
        Lane {
            name: match (*pid == std::process::id(), &**thread) {
                (true, _) => thread.to_string(),
                (false, MAIN_THREAD) => format!("process {pid}"),
                // A Dask worker may have had several processes.
                (false, _) => format!("{thread} ({pid})"),
            },
            bars: tasks.iter().map(bar).collect(),
        }
    }
}

pub(super) struct Timeline {
    lanes: Vec<Lane>,
    n_workers: usize,
    computed_from: Option<usize>,
    wall: f64,
    /// When the last task ended, or the call.
    end: f64,
    /// Whether the system has told of any task for how long no CPU was free.
    tells_runnable: bool,
}

impl Timeline {
    pub(super) fn new(run: &Summary<'_>) -> Self {
        // worker-10 comes after worker-2.
        fn worker(task: &TaskRecord) -> (usize, &str, u32) {
            (task.thread.len(), &task.thread, task.pid)
        }
        let mut tasks: Vec<_> = run.tasks.iter().filter(|task| !task.resumed).collect();
        tasks.sort_unstable_by(|a, b| worker(a).cmp(&worker(b)).then(a.start.cmp(&b.start)));
        let lanes = tasks.chunk_by(|a, b| worker(a) == worker(b));
        let mut lanes: Vec<_> = lanes.map(Lane::new).collect();
        let n_workers = run.n_workers.max(lanes.len());
        lanes.resize_with(n_workers.min(MOST_LANES), Lane::default);
        let wall = run.timing.wall.as_secs_f64().max(1e-9);
        // Where records were made elsewhere, or on another clock, tasks may end after the call.
        let ends = lanes.iter().flat_map(|lane| &lane.bars).map(|bar| bar.end);
        let end = ends.fold(wall, f64::max);
        let tells_runnable = tasks.iter().any(|task| task.runnable.is_some());
        let computed_from = run.computed_from;
        Timeline { lanes, n_workers, computed_from, wall, end, tells_runnable }
    }

    pub(super) fn description(&self) -> String {
        let wall = time(self.wall);
        let mut text =
            format!("Timeline of {} workers in {wall}{}.", self.n_workers, self.origin());
        for Lane { name, bars } in &self.lanes {
            let (Some(first), Some(last)) = (bars.first(), bars.last()) else {
                continue;
            };
            let busy: f64 = bars.iter().map(|bar| bar.end - bar.start).sum();
            let (n_tasks, from, to) = (bars.len(), time(first.start), time(last.end));
            let _ = write!(text, " {name}: {n_tasks} tasks from {from} to {to}");
            for (state, _, what) in self.states() {
                let share: f64 = bars.iter().map(|bar| bar.states[state]).sum();
                let percent = 100.0 * share / busy.max(1e-9);
                // Computing is always told.
                if state == 0 || percent >= 0.5 {
                    let _ = write!(text, ", {percent:.0} % {what}");
                }
            }
            text.push('.');
        }
        text
    }

    /// The states that are told apart, by their places in [`STATES`].
    fn states(&self) -> impl Iterator<Item = (usize, RGBColor, &'static str)> {
        let states = STATES.into_iter().enumerate();
        states.filter_map(|(state, (colour, what))| match state {
            NO_CPU_FREE if !self.tells_runnable => None,
            REST if !self.tells_runnable => Some((state, colour, "waited")),
            _ => Some((state, colour, what)),
        })
    }

    /// Where it comes from, if it was not measured.
    fn origin(&self) -> String {
        let computed = |workers| format!(", computed from a run on {workers} workers");
        self.computed_from.map(computed).unwrap_or_default()
    }

    fn lane_height(&self) -> i32 {
        (256 / self.lanes.len() as i32).clamp(4, 34)
    }

    pub(super) fn height(&self) -> i32 {
        self.lanes.len() as i32 * self.lane_height() + 88
    }

    pub(super) fn draw(&self, page: &Page<'_>, top: i32) -> DrawResult {
        let states = self.states().map(|(_, colour, what)| (colour, what));
        let entries = states.chain([(IDLE, "idle")]);
        let entries = entries.map(|(colour, what)| (Mark::Block(colour), what));
        let top = key(page, top, entries)? + 8;
        let height = self.lane_height();
        let names = self.lanes.iter().map(|lane| width_of(&lane.name));
        let left = MARGIN + names.fold(width_of("idle"), i32::max) + 8;
        let right = WIDTH - MARGIN;
        let (unit, scale) = unit_of(self.end);
        let not_shown = match self.n_workers - self.lanes.len() {
            0 => String::new(),
            many => format!("; {many} workers are not shown"),
        };
        let title = format!("time since the call ({unit}){not_shown}{}", self.origin());
        let x = Axis::new(&title, &short, (0.0, self.end * scale));
        let y = Axis::new("", &|_| String::new(), (0.0, 1.0));
        let bottom = top + height * self.lanes.len() as i32;
        let chart = Chart::new(x, (left, right), y, (bottom, top));
        chart.draw(page)?;
        // Names of thin lanes keep their distance.
        let named = (TEXT + 2) / height + 1;
        let gap = (height / 8).max(1);
        let bars = self.joined(self.end / f64::from(right - left), height - 2 * gap);
        for ((nth, lane), bars) in (0..).zip(&self.lanes).zip(bars) {
            let (from, to) = (top + nth * height + gap, top + (nth + 1) * height - gap);
            if nth % named == 0 {
                let before = (left - 8, (from + to) / 2);
                let name = if bars.is_empty() { "idle" } else { &lane.name };
                write(page, name, before, (HPos::Right, TEXT, INK))?;
            }
            rectangle(page, [(left, from), (right, to)], IDLE)?;
            for bar in bars {
                let [start, end] = [bar.start, bar.end].map(|time| chart.x.at(time * scale));
                // A gap tells neighbours apart.
                let gap = i32::from(bar.is_one && end - start > 3);
                let end = (end - gap).max(start + 1);
                for (colour, top, bottom) in fill(&bar, from, to) {
                    rectangle(page, [(start, top), (end, bottom)], colour)?;
                }
            }
        }
        Ok(())
    }

    /// The lanes' bars, of this height, those narrower than a pixel joined, and wider ones too where
    /// there are too many.
    fn joined(&self, pixel: f64, height: i32) -> Vec<Vec<Bar>> {
        let mut least = pixel;
        loop {
            let join = |lane: &Lane| join(&lane.bars, least);
            let lanes: Vec<_> = self.lanes.iter().map(join).collect();
            let parts = |bar| fill(bar, 0, height).len();
            if lanes.iter().flatten().map(parts).sum::<usize>() <= MOST_PARTS {
                return lanes;
            }
            least *= 1.5;
        }
    }
}

/// The parts of a bar, from below: the colour of each, its top and its bottom. Where tasks that share it
/// lie apart, it is not full.
fn fill(bar: &Bar, top: i32, bottom: i32) -> Vec<(RGBColor, i32, i32)> {
    let all = (bar.end - bar.start).max(1e-9);
    let (mut below, mut filled) = (0.0, bottom);
    let mut parts = Vec::new();
    for (time, (colour, _)) in bar.states.iter().zip(STATES) {
        below += time;
        let level = bottom - (f64::from(bottom - top) * below / all).round() as i32;
        if level < filled {
            parts.push((colour, level.max(top), filled));
            filled = level;
        }
    }
    parts
}

/// Joins bars with what follows until they are `least` seconds long.
fn join(bars: &[Bar], least: f64) -> Vec<Bar> {
    let mut joined: Vec<Bar> = Vec::new();
    for bar in bars {
        match joined.last_mut() {
            Some(last) if last.end - last.start < least && bar.start - last.end < least => {
                last.end = last.end.max(bar.end);
                for (sum, time) in last.states.iter_mut().zip(bar.states) {
                    *sum += time;
                }
                last.is_one = false;
            }
            _ => joined.push(*bar),
        }
    }
    joined
}
