//! Blurs a picture in processes: all read the one picture, and each writes its own part of the blurred one,
//! with no copy of either.
//!
//! `cargo run --release --package joblab --example image_filter -- PICTURE.pgm` (what it writes)

use std::{env, fs};

use joblab::{Backend, Error, Parallel, Part, SharedSlice};

const WIDTH: usize = 640;
const HEIGHT: usize = 480;
/// How far a pixel looks to each side.
const REACH: usize = 4;

/// Writes a part of the blurred picture: each pixel is the mean of those around it.
fn blur((mut part, picture): (Part<u8>, SharedSlice<u8>)) {
    let start = part.start();
    for (nth, pixel) in part.iter_mut().enumerate() {
        let (x, y) = ((start + nth) % WIDTH, (start + nth) / WIDTH);
        let columns = x.saturating_sub(REACH)..(x + REACH + 1).min(WIDTH);
        let rows = y.saturating_sub(REACH)..(y + REACH + 1).min(HEIGHT);
        let n_pixels = (columns.len() * rows.len()) as u32;
        let row = |y| &picture[y * WIDTH + columns.start..y * WIDTH + columns.end];
        let sum: u32 = rows.flat_map(row).map(|&pixel| u32::from(pixel)).sum();
        *pixel = (sum / n_pixels) as u8;
    }
}

fn main() -> Result<(), Error> {
    // A white disc on black.
    let picture = SharedSlice::fill(WIDTH * HEIGHT, |pixels: &mut [u8]| {
        for (at, pixel) in pixels.iter_mut().enumerate() {
            let (x, y) = ((at % WIDTH).abs_diff(WIDTH / 2), (at / WIDTH).abs_diff(HEIGHT / 2));
            *pixel = if x * x + y * y < 150 * 150 { 255 } else { 0 };
        }
    })?;
    let (parts, blurred) = SharedSlice::parts(picture.len(), 16)?;
    let inputs = parts.into_iter().map(|part| (part, picture.clone()));
    let run = Parallel::new(-1).backend(Backend::Multiprocessing).map(blur, inputs)?;
    let blurred = blurred.join()?;
    let (wall, cpu) = (run.timing.wall, run.timing.worker_cpu);
    eprintln!("wall time {wall:.0?}, CPU time of the tasks {cpu:.0?}");

    let greys = |pixels: &[u8]| pixels.iter().filter(|&&pixel| pixel != 0 && pixel != 255).count();
    println!("{} grey pixels before, {} after", greys(&picture), greys(&blurred));
    let Some(file) = env::args().nth(1) else { return Ok(()) };
    let head = format!("P5 {WIDTH} {HEIGHT} 255\n");
    fs::write(&file, [head.as_bytes(), &blurred].concat()).map_err(Error::other)
}
