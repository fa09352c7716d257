//! `cargo lab run` in the real kernel, mostly on notebooks made to fail.

mod ends;
mod exports;
mod libpython;
mod no_proc;
mod noise;
mod notebook;
mod offline;
mod pages;
mod reruns;
mod stored;
mod verdicts;
