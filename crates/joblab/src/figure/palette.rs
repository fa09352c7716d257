//! The colours of all figures on a light page, those of the stored benchmarks included.

use plotters::style::RGBColor;

pub(super) const PAPER: RGBColor = RGBColor(0xf3, 0xf3, 0xef);
pub(super) const INK: RGBColor = RGBColor(0x2b, 0x2b, 0x2b);
pub(super) const GREY: RGBColor = RGBColor(0x5e, 0x5e, 0x5e);
pub(super) const GRID: RGBColor = RGBColor(0xd8, 0xd8, 0xd3);
/// A worker's time without a task.
pub(super) const IDLE: RGBColor = RGBColor(0xe2, 0xe2, 0xdd);
/// A task's time in which it waited for something that is neither a CPU nor the lock.
pub(super) const BLOCKED: RGBColor = RGBColor(0xa9, 0xb8, 0xc4);
// Colours of Okabe and Ito's palette, which people with any colour vision can tell apart (Wong,
// Nature Methods 8, 441, 2011). They differ in lightness too, for a printed page.
pub(super) const BLUE: RGBColor = RGBColor(0x00, 0x72, 0xb2);
pub(super) const ORANGE: RGBColor = RGBColor(0xe6, 0x9f, 0x00);
pub(super) const GREEN: RGBColor = RGBColor(0x00, 0x9e, 0x73);
pub(super) const VERMILION: RGBColor = RGBColor(0xd5, 0x5e, 0x00);
