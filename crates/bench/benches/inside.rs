//! Single steps inside the process: what a call costs besides its workers.
//!
//! `cargo lab bench --inside`

#![allow(missing_docs)]

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use joblab::{Parallel, inside};

fn main() {
    divan::main();
}

/// Numbers of an argument, written as they travel.
#[divan::bench(args = [1, 125, 125_000])]
fn write_argument(bencher: Bencher, numbers: usize) {
    let argument = vec![0.5_f64; numbers];
    let mut bytes = Vec::new();
    bencher.counter(BytesCount::of_slice(&argument)).bench_local(|| {
        bytes.clear();
        inside::write(black_box(&argument), &mut bytes);
    });
}

#[divan::bench(args = [1, 125, 125_000])]
fn read_argument(bencher: Bencher, numbers: usize) {
    let mut bytes = Vec::new();
    inside::write(&vec![0.5_f64; numbers], &mut bytes);
    let bencher = bencher.counter(BytesCount::of_many::<f64>(numbers));
    bencher.bench(|| inside::read::<Vec<f64>>(black_box(&bytes)));
}

/// A hundred frames that stand in a socket, by the length of a body.
#[divan::bench(args = [16, 1_000, 100_000])]
fn read_100_frames(bencher: Bencher, length: usize) {
    let socket = inside::frames(100, length);
    let bencher = bencher.counter(BytesCount::of_slice(&socket));
    bencher.bench(|| inside::read_frames(black_box(&socket)));
}

/// A call of one empty task on two threads.
#[divan::bench]
fn dispatch_on_threads(bencher: Bencher) {
    let parallel = Parallel::new(2);
    bencher.bench(|| parallel.map(|n: u64| n, [black_box(1)]).map(|run| run.results));
}
