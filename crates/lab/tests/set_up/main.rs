//! What `cargo lab` makes of machines of all kinds, each played by fake programs.

mod browser;
mod machine;
mod missing;
