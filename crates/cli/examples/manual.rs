//! Writes twofa(1) and a page for each of its commands into the folder that is given.
#![allow(clippy::print_stderr)]
fn main() {}
