//! The program in the workspace's README, compiled and run as a test: a package that stands alone does not
//! have that file.
#![cfg_attr(doctest, doc = include_str!("../../../README.md"))]
