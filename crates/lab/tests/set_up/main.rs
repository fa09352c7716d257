//! What `cargo lab` makes of machines of all kinds, each played by fake programs.

mod browser;
mod built;
mod mac;
mod machine;
mod missing;
