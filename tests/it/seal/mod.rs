//! The seal: nothing of a hidden row comes out, and the reader's speed gets in.

mod dynamic_filters;
mod fixture;
mod leaks;
mod plans;
