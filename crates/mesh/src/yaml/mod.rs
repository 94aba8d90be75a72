//! YAML as a tree whose every node knows its place, and readers that report
//! everything that is wrong with it rather than the first thing.

mod fields;
mod node;
mod parse;
mod source;

pub(crate) use fields::{Fields, check_header, in_backticks, report_unknown_key};
pub(crate) use node::{Kind, Node};
pub(crate) use parse::parse;
pub(crate) use source::{Source, SourceText};
