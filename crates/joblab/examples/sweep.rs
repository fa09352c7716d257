//! A sweep over the parameters of a model, which takes long and may be stopped at any time: started again, it
//! runs only what is missing, and the longest first.
//!
//! `cargo run --release --package joblab --example sweep -- FILE [MOST]` keeps the results in FILE, and stops
//! by itself when MOST of them are there.

use std::env;

use joblab::{CancelToken, Error, Parallel};

/// A pendulum that is driven: its damping, the strength of the drive, and for how many steps.
type Setting = (f64, f64, u32);

/// How far it swings at most, by small steps of its equation of motion.
fn swing((damping, drive, steps): Setting) -> f64 {
    let (step, mut angle, mut speed, mut most) = (1e-3_f64, 0.2_f64, 0.0_f64, 0.0_f64);
    for n in 0..steps {
        let force = drive * (2.0 / 3.0 * step * f64::from(n)).cos();
        speed += step * (force - angle.sin() - damping * speed);
        angle += step * speed;
        most = most.max(angle.abs());
    }
    most
}

fn main() -> Result<(), Error> {
    let mut arguments = env::args().skip(1);
    let file = arguments.next().ok_or_else(|| Error::other("name a file for the results"))?;
    let most: usize = arguments.next().and_then(|most| most.parse().ok()).unwrap_or(usize::MAX);

    let settings: Vec<Setting> = (1..=5)
        .flat_map(|damping| (1..=8).map(move |drive| (damping, drive)))
        .map(|(damping, drive)| (0.1 * f64::from(damping), 0.2 * f64::from(drive), 50_000 * drive))
        .collect();
    let token = CancelToken::new();
    let switch = token.clone();
    let parallel = Parallel::new(-1).batch_size(1).resume(&file).cancel_token(&token).on_progress(
        move |now| {
            if now.done >= most {
                switch.cancel();
            }
        },
    );
    let run = parallel.map_longest_first(swing, settings.clone(), |(.., steps)| (*steps).into())?;

    println!("{} of {} results were in {file}", run.resumed(), run.results.len());
    let swings = settings.iter().zip(&run.results);
    let widest = swings.max_by(|(_, a), (_, b)| a.total_cmp(b));
    if let Some(((damping, drive, _), angle)) = widest {
        println!("the widest swing: {angle:.3}, with damping {damping:.1} and drive {drive:.1}");
    }
    Ok(())
}
