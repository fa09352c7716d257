// docs.rs marks what a feature brings.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc = include_str!("../README.md")]
//
// The order to read in, from what a user sees to what the system does. No file imports one that comes
// before it here, but for notebook/display, which shows what all others make.
//
// 1. parallel.rs: `Parallel`, its options and its calls; parallel/: closures that borrow, and workers with
//    a state.
// 2. call/: one call, once for every backend. `engine` decides when tasks are pulled, handed out, tried
//    again and given up, and knows no types of tasks. `tasks` and `results` have the types: with
//    batch/work and batch/function they are all that a notebook cell compiles for a new function.
// 3. backend.rs: which workers there are, and `Choice`, where a new backend is named and started.
//    backend/: sequential, threading, processes, dask; and remote/, what workers outside of this process
//    have in common: the protocol, images, output.
// 4. pool.rs: `Pool` and `Job`, what a backend implements, and `Workers`, what ours implement beside it.
// 5. batch/: tasks that travel together: how they run, what is noted of each, how they are written down.
// 6. codec/: values as bytes. shared/: memory that processes share.
// 7. measure/: clocks, `Timing`, `Run`. figure/: pictures of those. notebook/: what we know of evcxr.
// 8. error.rs, text.rs, os/: what the system offers; no other file asks which system it is.
//
// tutorial/ is what the lessons' cells call, conformance/ the suite that each backend passes.
//
// | word | what it is |
// | --- | --- |
// | task | a function and its argument |
// | call | one use of `Parallel::run`, `map` or the like, with all of its tasks |
// | batch | tasks of one function that travel to a worker together |
// | job | a batch as a pool gets it, with its completion |
// | completion | whom to tell what became of a batch |
// | worker | what runs one task at a time: a thread or a process |
// | pool | the workers of one `Parallel` |
// | backend | a kind of pool |
// | engine | what drives a call |
// | image | a program or a library that is loaded: in a notebook each cell is one |
// | frame | a message between processes, with its kind and its length in front |
// | part | a piece of an argument that is too large for one frame |
// | descriptor | the number of an open file in a process |
// | segment | memory that processes share |

mod backend;
mod batch;
mod call;
mod codec;
#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
#[cfg(feature = "figures")]
mod figure;
mod measure;
mod notebook;
mod os;
mod parallel;
mod pool;
mod seeds;
mod shared;
mod task;
mod text;
mod tutorial;

pub use crate::{
    backend::Backend,
    call::{CancelToken, Progress},
    error::Error,
    measure::{Measured, Run, TaskRecord, TaskRecords, Timing, Trace, time},
    os::cpu_count,
    parallel::{Parallel, shared_mem::SharedMem, with_state::WithState},
    pool::{Job, Pool},
    seeds::seeds,
    shared::{Part, SharedSlice, Whole},
    task::{Data, Delayed, Task, delayed},
    tutorial::{find_ids, wait_loop_nogil, wait_loop_withgil, with_gil},
};

#[cfg(feature = "figures")]
pub use crate::figure::{
    Figure, cost_against_length, cost_against_size, speedup, timeline, wall_vs_cpu,
};

/// serde, and its derives for those who have it from here: types of a notebook's cells travel with
/// `#[derive(Serialize, Deserialize)]` and no other crate.
#[doc(no_inline)]
pub use {
    joblab_derive::{Deserialize, Serialize},
    serde::{self, de::Deserialize, ser::Serialize},
};

#[doc = include_str!("../JOBLIB.md")]
pub mod joblib {}
