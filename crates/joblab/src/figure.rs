//! Figures over measured times. Drawing knows nothing of measuring: figures take data, and are drawn
//! by plotters as SVG. Public functions only collect what they are given: what is generic is compiled
//! again in each notebook cell that calls it.

mod bars;
mod card;
mod chart;
mod drawing;
mod lines;
mod look;
mod palette;
mod timeline;

pub use self::bars::wall_vs_cpu;
pub(crate) use self::card::{run_card, timing_card};
pub use self::drawing::Figure;
pub use self::lines::{cost_against_length, cost_against_size, speedup};
pub use self::timeline::timeline;
