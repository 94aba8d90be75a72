//! The functions of a session: a closed list, with caps on what can make much
//! out of little.
//!
//! Constant folding calls functions while planning, outside any memory pool,
//! and a failed allocation ends the process for everybody. So a function whose
//! result can be larger than its arguments is wrapped: its size is bounded
//! before it runs.

mod bounds;
mod capped;
mod caps;
mod cell_hidden;
mod closed;
mod concat_operator;
mod constants;
mod names;
mod planner;
mod registry;
mod series;
mod size;

pub use names::{FunctionNames, functions};

pub(crate) use capped::is_capped;
pub(crate) use caps::Caps;
pub(crate) use cell_hidden::{
    CELL_HIDDEN, USAGE as CELL_HIDDEN_USAGE, argument_of as argument_of_cell_hidden,
};
pub(crate) use constants::SessionConstants;
pub(crate) use registry::Registry;
