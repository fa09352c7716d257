//! A run for other programs: serde writes it in any format, as a trace or as rows.

use serde::ser::{Serialize, SerializeMap, SerializeStruct, Serializer};

use super::record::TaskRecord;
use super::records::TaskRecords;
use super::run::Run;

/// A run as a trace of tasks, for serde to write as JSON: [`Run::trace`].
#[derive(Debug)]
pub struct Trace<'a> {
    tasks: &'a TaskRecords,
}

impl<R> Run<R> {
    /// The run as a trace that Perfetto, Chrome and speedscope open: a lane for each worker, and in it the
    /// tasks, with their states and what was carried for them. Serde writes it as JSON, say
    /// `serde_json::to_writer(File::create("run.json")?, &run.trace())`.
    ///
    /// It is Chrome's Trace Event Format, of which it has complete events (`X`) and names (`M`); times are in
    /// microseconds since the call.
    ///
    /// ```
    /// # use joblab::Parallel;
    /// let run = Parallel::new(2).map(joblab::wait_loop_nogil, [100; 4])?;
    /// let text = serde_json::to_string(&run.trace()).unwrap();
    /// assert!(text.contains(r#""name":"task 3""#));
    /// # Ok::<(), joblab::Error>(())
    /// ```
    pub fn trace(&self) -> Trace<'_> {
        Trace { tasks: &self.tasks }
    }
}

impl Serialize for Trace<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut lanes: Vec<(u32, &str)> = Vec::new();
        let tasks = || self.tasks.iter().filter(|task| !task.resumed);
        for task in tasks() {
            let lane = (task.pid, &*task.thread);
            // A call has few workers, and tasks that follow each other often have the same.
            if !lanes.contains(&lane) {
                lanes.push(lane);
            }
        }
        let number = |lane| lanes.iter().position(|other| *other == lane).unwrap_or_default();
        let names = lanes.iter().enumerate().map(|(lane, worker)| Event::Name { lane, worker });
        let tasks =
            tasks().map(|task| Event::Task { lane: number((task.pid, &task.thread)), task });
        let mut trace = serializer.serialize_map(Some(2))?;
        trace.serialize_entry("displayTimeUnit", "ms")?;
        trace.serialize_entry("traceEvents", &names.chain(tasks).collect::<Vec<_>>())?;
        trace.end()
    }
}

enum Event<'a> {
    Name { lane: usize, worker: &'a (u32, &'a str) },
    Task { lane: usize, task: &'a TaskRecord },
}

impl Serialize for Event<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut event = serializer.serialize_map(None)?;
        match self {
            Event::Name { lane, worker: (pid, thread) } => {
                event.serialize_entry("name", "thread_name")?;
                event.serialize_entry("ph", "M")?;
                event.serialize_entry("pid", pid)?;
                event.serialize_entry("tid", lane)?;
                event.serialize_entry("args", &Args([("name", thread)]))?;
            }
            Event::Task { lane, task } => {
                event.serialize_entry("name", &format_args!("task {}", task.index))?;
                event.serialize_entry("cat", "task")?;
                event.serialize_entry("ph", "X")?;
                event.serialize_entry("pid", &task.pid)?;
                event.serialize_entry("tid", lane)?;
                event.serialize_entry("ts", &(task.start.as_secs_f64() * 1e6))?;
                event.serialize_entry("dur", &(task.wall.as_secs_f64() * 1e6))?;
                event.serialize_entry("args", task)?;
            }
        }
        event.end()
    }
}

struct Args<V, const N: usize>([(&'static str, V); N]);

impl<V: Serialize, const N: usize> Serialize for Args<V, N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// A row for a data frame: times are in seconds.
///
/// ```
/// # use joblab::Parallel;
/// let run = Parallel::new(2).map(joblab::wait_loop_nogil, [100; 4])?;
/// let rows = serde_json::to_value(&*run.tasks).unwrap();
/// assert_eq!(rows[3]["index"], 3);
/// # Ok::<(), joblab::Error>(())
/// ```
impl Serialize for TaskRecord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let seconds = |time: std::time::Duration| time.as_secs_f64();
        let mut row = serializer.serialize_struct("TaskRecord", 11)?;
        row.serialize_field("index", &self.index)?;
        row.serialize_field("pid", &self.pid)?;
        row.serialize_field("thread", &*self.thread)?;
        row.serialize_field("start", &seconds(self.start))?;
        row.serialize_field("wall", &seconds(self.wall))?;
        row.serialize_field("cpu", &seconds(self.cpu))?;
        row.serialize_field("runnable", &self.runnable.map(seconds))?;
        row.serialize_field("blocked", &self.blocked().map(seconds))?;
        row.serialize_field("lock_wait", &seconds(self.lock_wait))?;
        row.serialize_field("carried", &self.carried)?;
        row.serialize_field("resumed", &self.resumed)?;
        row.end()
    }
}
