//! Attack cases as a table in a file, in every combination of format,
//! partitions and hidden share.
//!
//! `cases.txt` holds the cases and `README.md` says how to add one. The
//! oracle is a copy of what the policy shows, made by plain code and asked
//! without any governance; the second oracle is every other mesh that differs
//! in hidden data alone.

mod cases;
mod expected;
mod fixture;
mod observe;
mod run;
mod wire;
